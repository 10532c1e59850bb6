"""Checks of lesson 05. Reading on spoils the exercises."""

import functools

from course.classroom import checks
from course.gradients.time_steps import time_step_norms
import numpy as np


def _distances():
    # Not below 1: exactly 1, above, and above by the slope alone. 0.5^10 is exact, so the last case tells < from ≤.
    none = [(4.0, 1e-6), (5.0, 1e-3), (1.5, 1e-6, 1.0)]
    return [(1.5, 1e-6), *none, (8.0, 1e-3, 0.1), (0.8, 1e-6), (3.99, 1e-6), (0.9, 1e-6, 1.0), (2.0, 0.5**10)]


def _steps(factor, epsilon):
    """The smallest k with factor^k < epsilon, or None."""
    if factor >= 1:
        return None
    k = 0
    while factor**k >= epsilon:
        k += 1
    return k


def _unless_none(change):
    """A mistake that is right where None is expected."""
    return lambda u, e, s=0.25: None if s * u >= 1 else change(u, e, s)


def _why_none(answer, norm_of_U, epsilon, largest_slope=0.25):
    factor = largest_slope * norm_of_U
    return f"There the factor is {factor:g}, not below 1: the bound promises nothing." if factor >= 1 else ""


@checks.function(
    _distances,
    mistakes=[
        (lambda u, e, s=0.25: _steps(0.25 * u, e), "The slope is an argument: use largest_slope, not always 0.25."),
        (lambda u, e, s=0.25: _steps(u, e), "The slope is missing: the factor is largest_slope · norm_of_U."),
        (lambda u, e, s=0.25: _steps(s * u**2, e), "The largest singular value enters once per step, unsquared."),
        (_unless_none(lambda u, e, s: _steps(s * u, e) - 1), "One too few: at that k it is still epsilon or more."),
        (_unless_none(lambda u, e, s: _steps(s * u, e) + 1), "One too many: look for the smallest such k."),
        (
            _unless_none(lambda u, e, s: int(np.ceil(np.log(e) / np.log(s * u)))),
            "Right but for an exact hit: the gradient has to be below epsilon, not equal to it.",
        ),
        (
            _unless_none(lambda u, e, s: np.log(e) / np.log(s * u)),
            "Right on the whole line; whole steps are asked for: round up.",
        ),
        (
            lambda u, e, s=0.25: None if u >= 1 else _steps(s * u, e),
            "norm_of_U may be above 1: what has to be below 1 is the factor, largest_slope · norm_of_U.",
        ),
        (
            lambda u, e, s=0.25: _steps(s * u, e) or 0,
            "Where the bound promises nothing, None is to be returned, not 0.",
        ),
    ],
    hints=[
        "Per step, the gradient is multiplied by at most largest_slope · norm_of_U.",
        "Where that factor is 1 or more it need not fall at all: return None before any loop.",
        "Otherwise count k up from 0 while factor**k >= epsilon.",
    ],
    tolerance=1e-9,
    seconds=3,
    praise="Correct: a promise of the theory, from two numbers.",
    remark=_why_none,
)
def certain_distance(norm_of_U, epsilon, largest_slope=0.25):
    return _steps(largest_slope * norm_of_U, epsilon)


@checks.judged(
    hints=[
        "In a triangular matrix the eigenvalues stand on the diagonal, and off it you are free.",
        "Try [[0.5, z], [0, 0.5]]: work out its square and its cube.",
        "The corner of the cube is 3 · 0.5² · z. How large must z be?",
    ]
)
def deceiver(U):
    """Check a 2 × 2 matrix with eigenvalues up to 0.5 and ‖U³‖ of at least 10."""
    U = checks.numbers(U)
    if U is None:
        return checks.wrong("A 2 × 2 matrix of real numbers is expected.")
    if U.shape != (2, 2):
        return checks.wrong(f"The shape is {U.shape}, expected is (2, 2).")
    if not np.all(np.abs(U) < 1e50):  # NaN is not, either
        return checks.wrong("The matrix holds NaN, infinite or huge numbers.")
    (a, b), (c, d) = U
    trace, det, rounding = a + d, a * d - b * c, 1e-14 * (abs(a * d) + abs(b * c))
    # Of λ² − trace λ + det both roots are at most 0.5 in absolute value if and only if this holds. The eigenvalues
    # themselves would not do: those of a matrix that deceives well hang on its last digits.
    if abs(det) > 0.25 + rounding or abs(trace) / 2 > 0.25 + det + rounding:
        root = np.sqrt(complex(trace**2 / 4 - det))
        rho = max(abs(trace / 2 + root), abs(trace / 2 - root))
        return checks.wrong(
            f"An eigenvalue is {rho:.9g} in absolute value, more than 0.5. In a triangular matrix they stand on the "
            "diagonal."
        )
    stretch = np.linalg.norm(U @ U @ U, 2)
    if np.allclose(U @ U.T, U.T @ U):
        return checks.wrong(
            f"This matrix is normal (U Uᵀ = Uᵀ U), so ‖U³‖ is ρ³ = {stretch:.2g}: make one entry off the diagonal large."
        )
    if stretch < 10 and abs(trace**2 - det) < 0.02:  # U³ = (trace² − det) U − trace det I
        return checks.wrong(
            f"Non-normal, but ‖U³‖ is {stretch:.2g}, not yet 10, and a larger entry off the diagonal hardly helps: with "
            "these eigenvalues U³ holds next to nothing of it. Two equal ones near 0.5 let it through."
        )
    if stretch < 10:
        return checks.wrong(f"Non-normal, but ‖U³‖ is {stretch:.3g}, not yet 10: more off the diagonal.")
    return checks.right(
        f"Correct: no eigenvalue above 0.5, and yet three steps can stretch a vector {stretch:.3g}-fold."
    )


def _journeys():
    """(v, h, U) with a v of length other than 1: a few steps, and so many that the length leaves the numbers behind."""
    cases = []
    for seed, (T, H, size) in enumerate(((3, 2, 1.0), (6, 4, 1.5), (4000, 3, 0.3), (4000, 3, 3.0))):
        rng = np.random.default_rng(seed + 50)
        cases.append((3 * rng.normal(size=H), np.tanh(0.5 * rng.normal(size=(T, H))), size * rng.normal(size=(H, H))))
    return cases


def _logs(v, h, U, step=lambda v, h_t, U: (1 - h_t**2) * (v @ U)):
    """ln(length after / length before) at every step."""
    v, logs = v / np.linalg.norm(v), []
    for h_t in h:
        v = step(v, h_t, U)
        length = np.linalg.norm(v)
        logs.append(np.log(length))
        v = v / length
    return np.array(logs)


def _stepping(step):
    return lambda v, h, U: np.mean(_logs(v, h, U, step))


def _at_once(v, h, U):
    length = np.linalg.norm(v)
    for h_t in h:
        v = (1 - h_t**2) * (v @ U)
    return np.log(np.linalg.norm(v) / length) / len(h)


@checks.function(
    _journeys,
    mistakes=[
        (_at_once, "Right for a few steps, but over thousands the length is 0 or infinite: divide after each step."),
        (
            _stepping(lambda v, h_t, U: ((1 - h_t**2) * v) @ U.T),
            "That is the way of a gradient; forwards v is multiplied by U first, then by the slopes.",
        ),
        (
            lambda v, h, U: np.mean(_logs(v, h[::-1], U, lambda v, h_t, U: ((1 - h_t**2) * v) @ U.T)),
            "That is a gradient's way, from the last state to the first; forwards: first v @ U, then the slopes.",
        ),
        (
            lambda v, h, U: 0.0,
            "You take the length after v has been divided by it, which is 1: take the logarithm before.",
        ),
        (lambda v, h, U: -np.mean(_logs(v, h, U)), "The sign: a length that grows has a positive exponent."),
        (
            lambda v, h, U: np.abs(np.mean(_logs(v, h, U))),
            "Without the absolute value: a length that shrinks has a negative exponent.",
        ),
        (lambda v, h, U: np.mean(_logs(v, h, U)) / np.log(2), "The natural logarithm is meant, np.log."),
        (lambda v, h, U: np.sum(_logs(v, h, U)) / (len(h) - 1), "There are len(h) steps, not one less."),
        (lambda v, h, U: np.sum(_logs(v, h, U)) / (len(h) + 1), "There are len(h) steps, not one more."),
        (
            lambda v, h, U: np.log(np.linalg.norm(U, 2)),
            "That is the largest singular value of U: follow v through the steps.",
        ),
        (lambda v, h, U: np.median(_logs(v, h, U)), "The mean of the logarithms is asked for, not the median."),
        (_stepping(lambda v, h_t, U: ((1 - h_t**2) * v) @ U), "The slope is that of the new state: first v @ U."),
        (_stepping(lambda v, h_t, U: v @ U), "The slope of tanh is missing: 1 - h_t**2."),
        (_stepping(lambda v, h_t, U: (1 - h_t**2) * (v @ U.T)), "U is transposed; forwards it is v @ U."),
        (_stepping(lambda v, h_t, U: (1 - np.tanh(h_t) ** 2) * (v @ U)), "h_t is the tanh already: 1 - h_t**2."),
        (_stepping(lambda v, h_t, U: h_t * (v @ U)), "The slope of tanh is 1 - h_t**2, not h_t."),
        (lambda v, h, U: np.exp(np.mean(_logs(v, h, U))), "That is the factor per step; its logarithm is asked for."),
        (lambda v, h, U: np.sum(_logs(v, h, U)), "That is the sum over the steps; the mean is asked for."),
        (lambda v, h, U: np.mean(np.exp(_logs(v, h, U))), "That is the mean factor; take logarithms first."),
        (
            lambda v, h, U: np.log(np.mean(np.exp(_logs(v, h, U)))),
            "First the logarithm of each factor, then the mean: factors multiply, logarithms add up.",
        ),
        (lambda v, h, U: np.mean(_logs(v, h, U)) / np.log(10), "The natural logarithm is meant, np.log."),
        (
            lambda v, h, U: np.mean(_logs(v, h, U)) + np.log(np.linalg.norm(v)) / len(h),
            "v need not have length 1: divide it by its length before the first step, too.",
        ),
        (lambda v, h, U: np.mean(_logs(v, h[::-1], U)), "Forwards: from the first state to the last."),
        (lambda v, h, U: _logs(v, h, U), "These are the logarithms; return their mean."),
        (lambda v, h, U: np.mean(_logs(v, h[1:], U)), "A step is missing: v goes through every state of h."),
    ],
    hints=[
        "One step forwards is (1 - h_t**2) * (v @ U), as in travels.",
        "Divide v by its length before the loop and at the end of every step; then its length after a step is the factor.",
        "Collect np.log(np.linalg.norm(v)) after each step, before you divide, and return the mean.",
    ],
    seconds=10,
    praise="Correct, over 4,000 steps too: the Lyapunov exponent.",
)
def lyapunov(v, h, U):
    return np.mean(_logs(v, h, U))


def _models():
    """Four compiled models with a batch each: a gradient that falls, one that explodes, two states, words as input.

    Nothing of it is drawn from the generators of Keras, NumPy or Python: the weights come from one of its own.
    """
    import keras

    def layer(kind, units, name, **options):
        own = {"kernel_initializer": "zeros", "recurrent_initializer": "zeros", "seed": 0, "name": name, **options}
        return kind(units, **own)

    def sequential(name, recurrent):
        return keras.Sequential([keras.Input((7, 2), name=f"{name}_x"), recurrent, dense(f"{name}_y")], name=name)

    def dense(name):
        return keras.layers.Dense(1, kernel_initializer="zeros", name=name)

    simple, words = keras.layers.SimpleRNN, keras.Input((12,), dtype="int32", name="words_x")
    embedded = keras.layers.Embedding(5, 3, embeddings_initializer="zeros", name="words_in")(words)
    hidden = layer(keras.layers.GRU, 4, "reader")(embedded)
    models = {
        sequential("falling", layer(simple, 3, "memory")): 0.3,
        sequential("exploding", layer(simple, 3, "growth", activation="linear")): 1.2,
        sequential("two_states", layer(keras.layers.LSTM, 3, "cell_of_two")): 1.0,
        keras.Model(words, dense("words_y")(hidden), name="words"): 1.0,
    }
    cases, rng = [], np.random.default_rng(26)
    for model, spread in models.items():
        model.set_weights([rng.normal(0, spread, weight.shape) for weight in model.weights])
        model.compile("sgd", "mse", run_eagerly=True)  # quicker than to compile four graphs for one pass each
        x = rng.integers(0, 5, (4, 12)) if model.name == "words" else rng.normal(size=(4, 7, 2)).astype("float32")
        cases.append((model, x, rng.normal(size=(4, 1)).astype("float32")))
    return cases


@functools.cache
def _norms():
    """What time_step_norms finds in each model, by the model's name."""
    return {model.name: time_step_norms(model, x, y) for model, x, y in _models()}


def _states(model):
    (states,) = _norms()[model.name].values()
    return states


def _from_h(change):
    return lambda model, x, y: change(_states(model)["h"])


def _of_first_layer(model, x, y):
    h = _norms()[model.name][model.layers[0].name]["h"]
    return h[0] / h[-1]


def _of_last_state(model, x, y):
    state = list(_states(model).values())[-1]
    return state[0] / state[-1]


NAMED = "Layers have other names in other models: take the one that norms holds, whatever its name."
LEVELS = 'norms is {layer name: {"h": (T,), …}}: two names, then the step: (layer,) = norms.values(), layer["h"][0].'


@checks.function(
    _models,
    mistakes=[
        (_from_h(lambda h: h[-1] / h[0]), "Upside down: the first step's norm is divided by the last's."),
        (_from_h(lambda h: h[0]), "That is the norm at the first step; divide it by the norm at the last."),
        (_from_h(lambda h: h[-1]), "That is the norm at the last step."),
        (_from_h(lambda h: h), "These are all the norms; pick the first and the last."),
        (_from_h(lambda h: h / h[-1]), "These are the shares at all steps; pick the first."),
        (_from_h(lambda h: h[1] / h[-1]), "The first step has index 0."),
        (_from_h(lambda h: h[0] / h[-2]), "The last step has index -1."),
        (_from_h(lambda h: h[0] / h.sum()), "Divide by the norm at the last step, not by the sum."),
        (_from_h(lambda h: h[0] / h.mean()), "Divide by the norm at the last step, not by the mean."),
        (_from_h(lambda h: h[0] / h.max()), "Divide by the norm at the last step, not by the largest."),
        (_from_h(lambda h: h.min() / h.max()), "Take the first and the last step, not the smallest and the largest."),
        (_from_h(lambda h: h.min() / h[-1]), "Take the norm at the first step, not the smallest."),
        (
            _from_h(lambda h: min(1.0, h[0] / h[-1])),
            "A share may be above 1: then the gradient explodes. Leave it so.",
        ),
        (_from_h(lambda h: 100 * h[0] / h[-1]), "That is in percent; a share is asked for."),
        (_from_h(lambda h: np.log10(h[0] / h[-1])), "That is its logarithm."),
        (_from_h(lambda h: np.log(h[0] / h[-1])), "That is its logarithm."),
        (_from_h(lambda h: (h[0] / h[-1]) ** 2), "The norms are not squared."),
        (
            _from_h(lambda h: (h[0] / h[-1]) ** (1 / len(h))),
            "That is a factor per step; the whole share is asked for.",
        ),
        (
            _from_h(lambda h: (h[0] / h[-1]) ** (1 / (len(h) - 1))),
            "That is the factor per step; the share is asked for.",
        ),
        (_from_h(lambda h: h[0] - h[-1]), "A share is a quotient, not a difference."),
        (_of_last_state, 'An LSTM has two states, h and c: take "h" by its name, not the last one.'),
        (_of_first_layer, "The recurrent layer need not be the first: take the one that norms holds."),
        (lambda model, x, y: {}["h"], LEVELS),
        (lambda model, x, y: {}[0], LEVELS),
    ],
    hints=[
        "time_step_norms(model, x, y) returns {layer name: {state: (T,)}}. Print it for a model of yours.",
        "With one recurrent layer, (layer,) = norms.values() takes it out, whatever its name.",
        'layer["h"] has a norm per step: the first has index 0, the last -1.',
    ],
    tolerance=1e-4,
    seconds=20,
    praise="Correct: on a gradient that falls, one that explodes, an LSTM, and a GRU that reads words.",
    remark=lambda answer, *_: NAMED if isinstance(getattr(answer, "error", None), KeyError) else "",
)
def share_that_arrives(model, x, y):
    h = _states(model)["h"]
    return h[0] / h[-1]
