"""Checks of lesson 05. Reading on spoils the exercises."""

from course.classroom import checks
import numpy as np


def _certain_distance(norm_of_U, epsilon, largest_slope=0.25):
    factor, k = largest_slope * norm_of_U, 0
    if factor >= 1:
        return -1
    while factor**k >= epsilon:
        k += 1
    return k


def certain_distance(attempt):
    """Check the smallest k with (slope · ‖U‖)^k < epsilon; None where the bound promises nothing."""
    if checks.is_attempt(attempt):
        unbounded = ((4.0, 1e-6), (5.0, 1e-3), (1.5, 1e-6, 1.0))
        for case in unbounded:
            try:
                found = attempt(*case)
            except Exception as error:
                return checks.wrong(f"Your function raised {type(error).__name__}: {error} for {case}.")
            if found is not None:
                slope = case[2] if len(case) > 2 else 0.25
                return checks.wrong(
                    f"For ‖U‖ = {case[0]:g} and slope {slope:g} the factor is {slope * case[0]:g}, not below 1: the "
                    f"bound promises nothing, so None is expected, not {found!r}."
                )
        if attempt(1.5, 1e-6) is None:
            return checks.wrong(
                "For ‖U‖ = 1.5 and slope 0.25 the factor is 0.375, below 1, so the bound does promise something: is "
                "the slope missing?"
            )
    # 0.5^10 is 0.0009765625 exactly, so the last case tells < from ≤.
    cases = [(1.5, 1e-6), (0.8, 1e-6), (3.9, 1e-2), (0.9, 1e-6, 1.0), (2.0, 0.5**10)]
    mistakes = [
        (
            lambda u, e, s=0.25: _certain_distance(u, e, 0.25),
            "The slope is an argument: use largest_slope, not always 0.25.",
        ),
        (lambda u, e, s=0.25: int(np.floor(np.log(e) / np.log(s * u))), "One too few: round up, not down."),
        (
            lambda u, e, s=0.25: int(np.ceil(np.log(e) / np.log(s * u))),
            "Right but for an exact hit: the gradient has to be below epsilon, not equal to it.",
        ),
        (
            lambda u, e, s=0.25: np.log(e) / np.log(s * u),
            "Right on the whole line; whole steps are asked for: round up.",
        ),
        (lambda u, e, s=0.25: _certain_distance(u, e, s) - 1, "One too few: at that k it is still epsilon or more."),
        (lambda u, e, s=0.25: _certain_distance(u, e, s) + 1, "One too many: look for the smallest such k."),
        (
            lambda u, e, s=0.25: _certain_distance(u**2, e, s),
            "The largest singular value enters once per step, unsquared.",
        ),
    ]
    praise = "Correct: a promise of the theory, from two numbers."
    return checks.function(attempt, _certain_distance, cases, mistakes=mistakes, tolerance=1e-9, praise=praise)


def deceiver(U):
    """Check a 2 × 2 matrix with eigenvalues up to 0.5 and ‖U³‖ of at least 10."""
    if U is None or U is ...:
        return checks.NOT_ATTEMPTED
    try:
        U = np.asarray(U, dtype=float)
    except (TypeError, ValueError):
        return checks.wrong(f"A 2 × 2 matrix of numbers is expected, got {type(U).__name__}.")
    if U.shape != (2, 2):
        return checks.wrong(f"The shape is {U.shape}, expected is (2, 2).")
    if not np.isfinite(U).all():
        return checks.wrong("The matrix holds NaN or infinite numbers.")
    rho = np.abs(np.linalg.eigvals(U)).max()
    stretch = np.linalg.norm(np.linalg.matrix_power(U, 3), 2)
    if rho > 0.5 + 1e-6:
        return checks.wrong(
            f"An eigenvalue is {rho:.3g} in absolute value, more than 0.5. In a triangular matrix they stand on the "
            "diagonal."
        )
    if np.allclose(U @ U.T, U.T @ U):
        return checks.wrong(
            f"This matrix is normal (U Uᵀ = Uᵀ U), so ‖U³‖ is ρ³ = {stretch:.2g}: make one entry off the diagonal large."
        )
    if stretch < 10:
        return checks.wrong(f"Non-normal, but ‖U³‖ is {stretch:.3g}, not yet 10: more off the diagonal.")
    return checks.right(f"Correct: ρ is {rho:.2g}, and yet three steps can stretch a vector {stretch:.0f}-fold.")


def share_that_arrives(attempt):
    """Check ‖dL/dh_1‖ / ‖dL/dh_T‖ on two models the learner has not seen."""
    if not checks.is_attempt(attempt):
        return checks.NOT_ATTEMPTED
    from course.gradients.time_steps import time_step_norms
    import keras

    cases, results = [], {}
    for seed, layer in enumerate((keras.layers.SimpleRNN(3), keras.layers.GRU(4))):
        rng = np.random.default_rng(seed)
        keras.utils.set_random_seed(seed)
        model = keras.Sequential([keras.Input((7, 2)), layer, keras.layers.Dense(1)])
        model.compile("sgd", "mse", jit_compile=True)
        x, y = rng.normal(size=(4, 7, 2)).astype("float32"), rng.normal(size=(4, 1)).astype("float32")
        results[id(model)] = next(iter(time_step_norms(model, x, y).values()))["h"]
        cases.append((model, x, y))

    def norms(model):
        return results[id(model)]

    mistakes = [
        (lambda m, x, y: norms(m)[-1] / norms(m)[0], "Upside down: the first step's norm is divided by the last's."),
        (lambda m, x, y: norms(m)[0], "That is the norm at the first step; divide it by the norm at the last."),
        (lambda m, x, y: norms(m)[-1], "That is the norm at the last step."),
        (lambda m, x, y: norms(m), "These are all the norms; pick the first and the last."),
        (
            lambda m, x, y: norms(m)[1] / norms(m)[-1],
            "The first step has index 0.",
        ),
        (lambda m, x, y: norms(m)[0] / norms(m).sum(), "Divide by the norm at the last step, not by the sum."),
        (lambda m, x, y: norms(m)[0] / norms(m).max(), "Divide by the norm at the last step, not by the largest."),
        (lambda m, x, y: np.log10(norms(m)[0] / norms(m)[-1]), "That is its logarithm."),
        (lambda m, x, y: norms(m)[0] - norms(m)[-1], "A share is a quotient, not a difference."),
    ]
    praise = "Correct, and it works on any recurrent layer of Keras."
    return checks.function(
        attempt, lambda m, x, y: norms(m)[0] / norms(m)[-1], cases, mistakes=mistakes, tolerance=1e-4, praise=praise
    )
