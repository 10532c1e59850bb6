"""The checks: a right answer written differently is accepted, each usual mistake is told what to look at."""

from course.classroom import checks
from course.classroom.exercises import lesson_00, lesson_01
import numpy as np
import pytest
from verdicts import verdict, wrong

# The engine


def test_stubs_are_not_attempted():
    def stub(x): ...

    def documented_stub(x):
        """Return something."""
        ...

    for answer in (..., None, stub, documented_stub, lambda x: None):
        assert checks.function(answer, abs, [(1,)]).status == "not attempted"
    assert checks.value(..., 1) == checks.NOT_ATTEMPTED
    assert repr(checks.NOT_ATTEMPTED) == "… not attempted yet"


def test_a_function_that_returns_a_constant_is_an_attempt():
    def constant(x):
        return 3

    assert checks.function(constant, abs, [(1,)]).status == "wrong"


def test_a_function_that_computes_but_returns_nothing_is_told_so():
    def no_return(x):
        x + 1

    wrong(lambda f: checks.function(f, abs, [(1,)]), no_return, "`return` missing")


def test_an_attempt_that_raises_gets_a_verdict_with_the_shapes():
    x, W = np.ones((2, 3)), np.ones((4, 3))
    found = checks.function(lambda x, W: x @ W, lambda x, W: x @ W.T, [(x, W)])
    assert found.status == "wrong"
    assert "ValueError" in found.message
    assert "(2, 3), (4, 3)" in found.message


def test_the_first_wrong_time_step_is_named_in_both_directions():
    right = np.arange(10.0).reshape(1, 5, 2)

    def attempt(x):
        x[:, 1:3] += 1
        return x

    found = checks.function(attempt, lambda x: x, [(right,)], time_axis=1)
    assert "2 of 5 time steps" in found.message
    assert "t = 2 going forwards, t = 3 going backwards" in found.message


def test_an_attempt_that_writes_into_its_arguments_spoils_nothing():
    case = np.ones(3)

    def attempt(x):
        x *= 2
        return x

    assert checks.function(attempt, lambda x: 2 * x, [(case,)]).status == "right"
    assert case.tolist() == [1, 1, 1]


def test_shape_type_and_finiteness_are_told_apart():
    expected = np.ones((2, 3))
    assert "shape is (3, 2), expected is (2, 3)" in checks.value(np.ones((3, 2)), expected).message
    assert "a str" in checks.value("one", expected).message
    assert "NaN" in checks.value(np.full((2, 3), np.nan), expected).message
    assert "largest difference is 0.5" in checks.value(expected + 0.5, expected).message


def test_tolerance_is_relative_to_the_largest_number():
    assert checks.value(np.array([1e6, 1e-3]), np.array([1e6, 0.0])).status == "right"
    assert checks.value(1e-9, 2e-9).status == "wrong"


def test_several_results_are_compared_one_by_one():
    expected = (np.ones(2), np.zeros(3))
    assert checks.value((np.ones(2), np.zeros(3)), expected).status == "right"
    assert "Result 2 of 2" in checks.value((np.ones(2), np.ones(3)), expected).message
    assert "2 results are expected" in checks.value(np.ones(2), expected).message


# Lesson 00


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (131, "One more"),
        (np.log(1e-6) / np.log(0.9), "round up"),
        (np.log(1e-6) / (0.9 - 1), "ln 0.9"),
        (6, "a tenth"),
        (1, "quotient"),
        ("x", "a str"),
    ],
)
def test_00_number_of_steps_names_the_mistake(answer, hint):
    wrong(lesson_00.number_of_steps, answer, hint)


@pytest.mark.parametrize("answer", [132, 132.0, np.int64(132), sum(0.9**t >= 1e-6 for t in range(1000))])
def test_00_number_of_steps_is_accepted_however_it_was_found(answer):
    assert verdict(lesson_00.number_of_steps, answer).status == "right"


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        (lambda a: a.mean(), "ordinary mean"),
        (lambda a: a.prod(), "whole product"),
        (lambda a: np.log(a).mean(), "exp"),
        (lambda a: np.exp(np.log(a).sum()), "whole product"),
        (lambda a: np.sort(a)[3], "median"),
        (lambda a: 10 ** np.log(a).mean(), "natural"),
        (lambda a: a, "shape"),
    ],
)
def test_00_typical_factor_names_the_mistake(attempt, hint):
    wrong(lesson_00.typical_factor, attempt, hint)


def test_00_typical_factor_is_accepted_written_as_a_root():
    assert verdict(lesson_00.typical_factor, lambda a: np.prod(a) ** (1 / len(a))).status == "right"


def test_00_a_is_better():
    wrong(lesson_00.a_is_better, "yes", "overlap")
    wrong(lesson_00.a_is_better, "Maybe", "yes")
    wrong(lesson_00.a_is_better, 0.8, "not a word")
    assert verdict(lesson_00.a_is_better, " No ").status == "right"


# Lesson 01


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        (lambda x, h, W, U, b: x @ W + h @ U + b, "tanh is missing"),
        (lambda x, h, W, U, b: np.tanh(x @ W + h @ U), "bias b is missing"),
        (lambda x, h, W, U, b: np.tanh(x @ W + b), "state is not used"),
        (lambda x, h, W, U, b: np.tanh(h @ U + b), "input is not used"),
        (lambda x, h, W, U, b: np.tanh(x @ W + (U @ h.T).T + b), "transposed"),
        (lambda x, h, W, U, b: np.tanh(x @ W + h @ U) + b, "inside the tanh"),
        (lambda x, h, W, U, b: np.tanh(W @ x + h @ U + b), "ValueError"),
        (lambda x, h, W, U, b: np.tanh(x @ W + h @ U + b)[0], "shape is (3,), expected is (2, 3)"),
    ],
)
def test_01_one_step_names_the_mistake(attempt, hint):
    wrong(lesson_01.one_step, attempt, hint)


def test_01_one_step_is_accepted_written_differently():
    def attempt(x_t, h, W, U, b):
        a = np.concatenate([x_t, h], axis=1) @ np.concatenate([W, U]) + b
        return 2 / (1 + np.exp(-2 * a)) - 1

    assert verdict(lesson_01.one_step, attempt).status == "right"


def loop(x, W, U, b, *, carry=True, before=False, last=False, backwards=False, axis=1):
    h, states = np.zeros((len(x), len(b))), []
    for t in reversed(range(x.shape[1])) if backwards else range(x.shape[1]):
        if before:
            states.append(h)
        new = np.tanh(x[:, t] @ W + h @ U + b)
        h = new if carry else h
        if not before:
            states.append(new)
    return h if last else np.stack(states, axis=axis)


@pytest.mark.parametrize(
    ("mistake", "hint"),
    [
        ({"carry": False}, "Every step starts from h_0"),
        ({"before": True}, "Off by one"),
        ({"last": True}, "last state only"),
        ({"backwards": True}, "read backwards"),
        ({"axis": 0}, "(T, B, H)"),
        ({"axis": 2}, "shape"),
    ],
)
def test_01_unroll_names_the_mistake(mistake, hint):
    wrong(lesson_01.unroll, lambda *case: loop(*case, **mistake), hint)


def test_01_unroll_places_an_unusual_mistake_in_time():
    def forgets_at_step_4(x, W, U, b):
        return np.concatenate([loop(x[:, :3], W, U, b), loop(x[:, 3:], W, U, b)], axis=1)

    wrong(lesson_01.unroll, forgets_at_step_4, "t = 4 going forwards")


def test_01_unroll_is_accepted_written_into_an_array():
    def attempt(x, W, U, b):
        h = np.zeros((x.shape[0], x.shape[1] + 1, len(b)))
        for t in range(x.shape[1]):
            h[:, t + 1] = np.tanh(x[:, t] @ W + h[:, t] @ U + b)
        return h[:, 1:]

    assert verdict(lesson_01.unroll, attempt).status == "right"


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (500, "Dense(3) has weights too"),
        (63, "recurrent layer has weights too"),
        (540, "biases are missing"),
        (560, "bias of the Dense(3)"),
        (543, "bias of the recurrent layer"),
        (163, "U is missing"),
        (25063, "shared over time"),
        (183, "not only with itself"),
        (7, "not it"),
    ],
)
def test_01_number_of_weights_names_the_mistake(answer, hint):
    wrong(lesson_01.number_of_weights, answer, hint)


def test_01_number_of_weights_is_what_keras_counts():
    import keras

    model = keras.Sequential([keras.Input((50, 4)), keras.layers.SimpleRNN(20), keras.layers.Dense(3)])
    assert verdict(lesson_01.number_of_weights, model.count_params()).status == "right"
