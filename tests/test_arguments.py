from course import arguments
import numpy as np
import pytest


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: arguments.integer("units", 0, at_least=1), ValueError, "units must be at least 1, got 0"),
        (lambda: arguments.integer("units", 7, at_most=6), ValueError, "units must be at most 6, got 7"),
        (lambda: arguments.integer("units", 2.0), TypeError, "units must be an integer, got 2.0"),
        (lambda: arguments.integer("units", True), TypeError, "units must be an integer, got True"),
        (lambda: arguments.number("rate", "x"), TypeError, "rate must be a number, got 'x'"),
        (lambda: arguments.number("rate", np.nan), ValueError, "rate must be finite, got nan"),
        (lambda: arguments.number("rate", 1.0, below=1), ValueError, "rate must be below 1, got 1.0"),
        (lambda: arguments.number("rate", 0.0, above=0), ValueError, "rate must be above 0, got 0.0"),
        (lambda: arguments.one_of("name", "x", ("a", "b")), ValueError, "name must be one of 'a', 'b', got 'x'"),
        (lambda: arguments.generator("rng", 0), TypeError, r"rng must be .*default_rng\(0\), got 0"),
        (lambda: arguments.array("x", np.ones((2, 3)), ("B", "T", 2)), ValueError, r"\(B, T, 2\), got \(2, 3\)"),
        (
            lambda: arguments.array("x", np.ones((2, 3, 4)), ("B", "T", 2)),
            ValueError,
            r"\(B, T, 2\), got \(2, 3, 4\)",
        ),
    ],
)
def test_a_bad_argument_is_named_with_what_was_given_and_expected(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_good_arguments_come_back():
    rng = np.random.default_rng(0)
    assert arguments.integer("units", np.int64(3), at_least=3) == 3
    assert arguments.number("rate", 1, at_least=1, at_most=1) == 1.0
    assert arguments.one_of("name", "a", ("a",)) == "a"
    assert arguments.generator("rng", rng) is rng
    assert arguments.array("x", [[1, 2]], ("B", 2)).shape == (1, 2)
