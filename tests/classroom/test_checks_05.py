"""The checks of lesson 05: each usual mistake is told what to look at."""

from course.classroom.exercises import lesson_05
from course.gradients import time_step_norms
import numpy as np
import pytest


def certain_distance(norm_of_U, epsilon, largest_slope=0.25, *, slope=None, none=True, shift=0, rounding=None):
    factor = norm_of_U * (largest_slope if slope is None else slope)
    if factor >= 1:
        return None if none else 0
    if rounding:
        return rounding(np.log(epsilon) / np.log(factor))
    k = 0
    while factor**k >= epsilon:
        k += 1
    return k + shift


@pytest.mark.parametrize(
    ("mistake", "hint"),
    [
        ({"none": False}, "None is to be returned, not 0"),
        ({"slope": 0.25}, "not always 0.25"),
        ({"shift": 1}, "One too many"),
        ({"shift": -1}, "One too few"),
        ({"rounding": lambda k: int(np.ceil(k))}, "exact hit"),
        ({"rounding": float}, "round up"),
    ],
)
def test_certain_distance_names_the_mistake(mistake, hint):
    verdict = lesson_05.certain_distance(lambda *case: certain_distance(*case, **mistake))
    assert verdict.status == "wrong"
    assert hint in verdict.message


def test_certain_distance_without_the_slope_is_told_so():
    verdict = lesson_05.certain_distance(lambda u, e, s=0.25: certain_distance(u, e, s, slope=1.0))
    assert verdict.status == "wrong"
    assert "slope" in verdict.message


def test_certain_distance_is_accepted_written_with_logarithms():
    def attempt(norm_of_U, epsilon, largest_slope=0.25):
        factor = largest_slope * norm_of_U
        return int(np.floor(np.log(epsilon) / np.log(factor) + 1e-9)) + 1 if factor < 1 else None

    assert lesson_05.certain_distance(attempt).status == "right"
    assert lesson_05.certain_distance(certain_distance).status == "right"
    assert lesson_05.certain_distance(...).status == "not attempted"


@pytest.mark.parametrize(
    ("matrix", "hint"),
    [
        (0.5 * np.eye(2), "normal"),
        ([[0, 3], [-3, 0]], "eigenvalue is 3"),
        ([[0.5, 2], [0, 0.5]], "not yet 10"),
        ([[0.9, 20], [0, 0.5]], "eigenvalue is 0.9"),
        ([[0.0, 1e6], [0, 0]], "hardly helps"),  # its cube is zero whatever stands off the diagonal
        ([[0.5001, 20], [0, 0.5]], "eigenvalue is 0.5001"),
        ([[1e155, 1], [1, 1e155]], "huge"),
        ([1, 2, 3], "shape"),
        ("no", "2 × 2 matrix"),
        ([[np.nan, 1], [0, 0]], "NaN"),
    ],
)
def test_deceiver_names_the_mistake(matrix, hint):
    verdict = lesson_05.deceiver(matrix)
    assert verdict.status == "wrong"
    assert hint in verdict.message


@pytest.mark.parametrize("matrix", [[[0.5, 14], [0, 0.5]], [[-0.5, 0], [30, 0.5]], [[0.4, 40], [0.001, 0.1]]])
def test_deceiver_accepts_any_matrix_that_does_it(matrix):
    U = np.array(matrix, dtype=float)
    does_it = np.abs(np.linalg.eigvals(U)).max() <= 0.5 and np.linalg.norm(U @ U @ U, 2) >= 10
    assert (lesson_05.deceiver(matrix).status == "right") == does_it


@pytest.mark.parametrize("a", [7, 100, 1000])
def test_deceiver_accepts_matrices_whose_eigenvalues_hang_on_the_last_digits(a):
    # (λ − 1/2)² = 0 exactly, and numerically an eigenvalue above 1/2 by the root of the rounding.
    assert lesson_05.deceiver([[a + 0.5, a], [-a, 0.5 - a]]).status == "right"


def test_certain_distance_that_never_ends_is_told_where_and_why():
    def forgets_none(norm_of_U, epsilon, largest_slope=0.25):
        k = 0
        while (largest_slope * norm_of_U) ** k >= epsilon:
            k += 1
        return k

    message = lesson_05.certain_distance(forgets_none).message
    assert message.startswith("For norm_of_U = 4.0, epsilon = 1e-06: your function had not come back after 3 seconds")
    assert "None is expected. There the factor is 1, not below 1" in message


def test_certain_distance_with_none_in_the_wrong_place_is_quoted():
    verdict = lesson_05.certain_distance(lambda u, e, s=0.25: None if s * u > 0.9 else certain_distance(u, e, s))
    assert "For norm_of_U = 3.99, epsilon = 1e-06: your function returns None; 5520 is expected." in verdict.message


def first_layer(model, x, y):
    return next(iter(time_step_norms(model, x, y).values()))["h"]


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda h: h[-1] / h[0], "Upside down"),
        (lambda h: h[0], "divide it by"),
        (lambda h: h, "all the norms"),
        (lambda h: h[1] / h[-1], "index 0"),
        (lambda h: h[0] / h.sum(), "not by the sum"),
        (lambda h: np.log10(h[0] / h[-1]), "logarithm"),
        (lambda h: h[0] - h[-1], "quotient"),
    ],
)
def test_share_that_arrives_names_the_mistake(answer, hint):
    verdict = lesson_05.share_that_arrives(lambda model, x, y: answer(first_layer(model, x, y)))
    assert verdict.status == "wrong"
    assert hint in verdict.message


def test_share_that_arrives_is_accepted_written_differently():
    def attempt(model, x, y):
        for states in time_step_norms(model, x, y).values():
            first, *_, last = states["h"]
            return first / last

    assert lesson_05.share_that_arrives(attempt).status == "right"


@np.errstate(all="ignore")
def lyapunov(v, h, U, *, divide=True, whole=False, back=False, collect=np.mean):
    v, logs = (v if whole else v / np.linalg.norm(v)), []
    for h_t in h:
        v = ((1 - h_t**2) * v) @ U.T if back else (1 - h_t**2) * (v @ U)
        logs.append(np.log(np.linalg.norm(v)))
        v = v / np.linalg.norm(v) if divide else v
    return collect(logs) if divide else logs[-1] / len(h)


@pytest.mark.parametrize(
    ("mistake", "hint"),
    [
        ({"divide": False}, "over thousands the length is 0 or infinite"),
        ({"back": True}, "the way of a gradient"),
        ({"whole": True}, "before the first step"),
        ({"collect": np.sum}, "the mean is asked for"),
        ({"collect": lambda logs: np.exp(np.mean(logs))}, "That is the factor per step"),
        ({"collect": np.array}, "return their mean"),
    ],
)
def test_lyapunov_names_the_mistake(mistake, hint):
    verdict = lesson_05.lyapunov(lambda *case: lyapunov(*case, **mistake))
    assert verdict.status == "wrong"
    assert hint in verdict.message


def test_lyapunov_is_accepted_written_differently():
    def with_jacobians(v, h, U):
        total = 0.0
        for h_t in h:
            new = np.diag(1 - h_t**2) @ U.T @ v
            total += np.log(np.linalg.norm(new) / np.linalg.norm(v))
            v = new / np.linalg.norm(new)
        return total / len(h)

    assert lesson_05.lyapunov(with_jacobians).status == "right"
    assert lesson_05.lyapunov(lyapunov).status == "right"
    assert lesson_05.lyapunov(...).status == "not attempted"


def test_lyapunov_of_an_orthogonal_matrix_without_slopes_is_the_logarithm_of_its_scale():
    Q, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    reference = lesson_05._logs(np.ones(3), np.zeros((7, 3)), 0.9 * Q)
    np.testing.assert_allclose(reference, np.log(0.9))
