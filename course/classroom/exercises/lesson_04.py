"""Checks of lesson 04. Reading on spoils the exercises."""

import itertools

from course.by_hand.forward import rnn_forward
from course.classroom import checks
import numpy as np


def _steps():
    cases = []
    for seed, (B, H) in enumerate(((2, 3), (3, 2), (4, 3))):
        rng = np.random.default_rng(seed)
        delta_next, dh_t, h_next = rng.normal(size=(3, B, H))
        cases.append((delta_next, np.tanh(h_next), dh_t, rng.normal(size=(H, H))))
    return cases


PRODUCTS = "only U.T is multiplied by @, on the right; the derivative of the tanh multiplies entry by entry, *."


@checks.function(
    _steps,
    mistakes=[
        (
            lambda d, h, dh, U: dh + (d * (1 - h**2)) @ U,
            "U is not transposed: forwards a state is multiplied by U, so backwards its derivative is by U.T.",
        ),
        (
            lambda d, h, dh, U: dh + d @ U.T,
            "The derivative of the tanh is missing: 1 - h_next**2 takes you from h_{t+1} to a_{t+1}.",
        ),
        (
            lambda d, h, dh, U: dh + d @ U,
            "Two things: the derivative of the tanh, 1 - h_next**2, is missing, and U is not transposed.",
        ),
        (
            lambda d, h, dh, U: (d * (1 - h**2)) @ U.T,
            "The immediate derivative dh_t is missing: what the loss sees of h_t itself is added.",
        ),
        (lambda d, h, dh, U: dh - (d * (1 - h**2)) @ U.T, "What comes from step t+1 is added, not taken off."),
        (
            lambda d, h, dh, U: dh + (d @ U.T) * (1 - h**2),
            "The order is wrong: first through the tanh of step t+1, then through U.T. (With one unit it makes no "
            "difference, with more it does.)",
        ),
        (
            lambda d, h, dh, U: dh + ((d * (1 - h**2)) @ U.T) * (1 - h**2),
            "1 - h_next**2 comes in twice: it belongs before U.T alone.",
        ),
        (
            lambda d, h, dh, U: ((dh + d) * (1 - h**2)) @ U.T,
            "dh_t has been sent through a step too: it belongs to h_t already, only delta_next travels.",
        ),
        (
            lambda d, h, dh, U: (dh + d @ U.T) * (1 - h**2),
            "1 - h_next**2 belongs to delta_next alone, before U.T: dh_t is a derivative by h_t already.",
        ),
        (
            lambda d, h, dh, U: dh * (1 - h**2) + (d * (1 - h**2)) @ U.T,
            "1 - h_next**2 belongs to delta_next alone: dh_t is a derivative by h_t already.",
        ),
        (
            lambda d, h, dh, U: d + (dh * (1 - h**2)) @ U.T,
            "delta_next and dh_t are swapped: delta_next is what travels back.",
        ),
        (
            lambda d, h, dh, U: dh + (d * (1 - np.tanh(h) ** 2)) @ U.T,
            "h_next is the tanh already: its derivative, written with h, is 1 - h_next**2.",
        ),
        (lambda d, h, dh, U: dh + (d * np.tanh(h)) @ U.T, "The derivative of the tanh is 1 - h_next**2."),
        (lambda d, h, dh, U: dh + (d * h) @ U.T, "The derivative of the tanh is 1 - h_next**2, not h_next."),
        (lambda d, h, dh, U: dh + (d * (1 - h)) @ U.T, "The square is missing: tanh' is 1 - h_next**2."),
        (lambda d, h, dh, U: dh + (d * (1 - h) ** 2) @ U.T, "Only h_next is squared: tanh' is 1 - h_next**2."),
        (lambda d, h, dh, U: dh + (d * (1 + h**2)) @ U.T, "The sign: tanh' is 1 - h_next**2."),
        (
            lambda d, h, dh, U: dh + (d * h * (1 - h)) @ U.T,
            "h (1 - h) belongs to the sigmoid; tanh' is 1 - h_next**2.",
        ),
        (lambda d, h, dh, U: dh + (1 - h**2) @ U.T, "delta_next is not used: it is what comes from step t+1."),
        (lambda d, h, dh, U: dh + d * (1 - h**2), "The way back leads through U.T, which is missing."),
        (lambda d, h, dh, U: dh, "This is the immediate derivative alone: what comes from step t+1 is missing."),
        (lambda d, h, dh, U: dh + d * (1 - h**2) * np.diag(U), "With U.T it is a matrix product: @, not *."),
        (lambda d, h, dh, U: dh + d * (1 - h**2) * U.T, f"A (B, H) and a (H, H) do not go together: {PRODUCTS}"),
        (lambda d, h, dh, U: dh + d @ (1 - h**2) @ U.T, f"A product of matrices does not fit: {PRODUCTS}"),
    ],
    hints=[
        "It is the formula above. What comes from step t+1 passes through two things: the tanh, then U.T.",
        "φ' of tanh, written with the state: 1 - h_next**2. It multiplies delta_next entry by entry (*).",
        "Then @ U.T, and dh_t is added last.",
    ],
    praise="Correct: all of backpropagation through time is this line, from the last step to the first.",
)
def backward_step(delta_next, h_next, dh_t, U):
    return dh_t + (delta_next * (1 - h_next**2)) @ U.T


def _terms():
    """Terms of which the near ones are large and partly cancel, so that no two ways to count or to order them agree."""
    cases = []
    for seed, (T, H, distance) in enumerate(((7, 3, 2), (6, 2, 4), (9, 4, 5))):
        rng = np.random.default_rng(seed)
        cases.append((rng.normal(size=(T, H, H)) * 0.8 ** np.arange(T)[::-1, None, None], distance))
    return cases


def _size(array):
    return np.sqrt(np.sum(array**2))


def _each(terms):
    return np.sqrt(np.sum(terms**2, axis=(1, 2)))


def _far(terms, distance):
    """The terms at this distance or more: term k, at place k - 1, has distance T - k."""
    return terms[: len(terms) - distance]


@checks.function(
    _terms,
    mistakes=[
        (
            lambda g, d: _each(_far(g, d)).sum() / _each(g).sum(),
            "These are sums of sizes. Terms have directions and may cancel: add the terms first, then take the size.",
        ),
        (
            lambda g, d: _each(_far(g, d)).sum() / _size(g.sum(axis=0)),
            "The far terms are to be added before their size is taken: they have directions and may cancel.",
        ),
        (
            lambda g, d: _size(_far(g, d).sum(axis=0)) / _each(g).sum(),
            "The gradient is the sum of all terms: add them first, then take its size.",
        ),
        (
            lambda g, d: _size(g[d:].sum(axis=0)) / _size(g.sum(axis=0)),
            "These are the near ones and more: the terms stand in the order of the steps, so the first is the farthest.",
        ),
        (
            lambda g, d: _size(g[:d].sum(axis=0)) / _size(g.sum(axis=0)),
            "This counts from the first step; the distance of term k is T - k, so the far ones are the first T - distance.",
        ),
        (
            lambda g, d: _size(g[len(g) - d :].sum(axis=0)) / _size(g.sum(axis=0)),
            "These are the near terms; asked for are those at this distance or more.",
        ),
        (
            lambda g, d: _size(g[: len(g) - d - 1].sum(axis=0)) / _size(g.sum(axis=0)),
            "One term is missing: the one at exactly this distance counts as far.",
        ),
        (
            lambda g, d: _size(g[: len(g) - d + 1].sum(axis=0)) / _size(g.sum(axis=0)),
            "One term too many: the last one has distance 0, so T - distance terms are far.",
        ),
        (
            lambda g, d: _size(_far(g, d).sum(axis=0)),
            "This is the size of the far part; divide by the size of the whole gradient.",
        ),
        (
            lambda g, d: np.linalg.norm(_far(g, d).sum(axis=0), 2) / np.linalg.norm(g.sum(axis=0), 2),
            "This norm is the largest singular value; asked for is the root of the sum of squares.",
        ),
        (
            lambda g, d: _size(_far(g, d).sum(axis=0)) / _size(g.sum(axis=0) - _far(g, d).sum(axis=0)),
            "This divides by the near part; divide by the size of the whole gradient.",
        ),
        (
            lambda g, d: 1 - _size(g[len(g) - d :].sum(axis=0)) / _size(g.sum(axis=0)),
            "1 minus the near part's share is not the far one's: sizes do not add up. Add the far terms themselves.",
        ),
        (
            lambda g, d: (_size(_far(g, d).sum(axis=0)) / _size(g.sum(axis=0))) ** 2,
            "The root is missing: sizes, not their squares.",
        ),
        (
            lambda g, d: 100 * _size(_far(g, d).sum(axis=0)) / _size(g.sum(axis=0)),
            "That is in percent; a share is asked for.",
        ),
        (
            lambda g, d: _size(_far(g, d)) / _size(g),
            "The terms are not added: sum over axis 0 first, then take the size.",
        ),
        (
            lambda g, d: _size(_far(g, d)) / _size(g.sum(axis=0)),
            "The far terms are not added: sum over axis 0 first, then take the size.",
        ),
        (
            lambda g, d: _size(g[len(g) - d - 1]) / _size(g.sum(axis=0)),
            "This is the one term at this distance; those farther back count as well.",
        ),
        (
            lambda g, d: _far(g, d).sum() / g.sum(),
            "All numbers of the matrices have been added up; the size is the root of the sum of their squares.",
        ),
    ],
    hints=[
        "Which are the far terms? The last one, terms[-1], has distance 0; the first one has distance T - 1.",
        "terms[: T - distance].sum(axis=0) is the far part of the gradient, a matrix.",
        "np.linalg.norm of a matrix is the root of the sum of squares. Divide by that of the whole sum.",
    ],
    praise="Correct: first the sum, then its size.",
)
def far_part(terms, distance):
    return _size(_far(terms, distance).sum(axis=0)) / _size(terms.sum(axis=0))


def _batches():
    """Gradients of several batches, one a row: a mean that is neither small nor large beside the spread."""
    cases = []
    for seed, (n, H) in enumerate(((6, 3), (4, 2), (9, 2))):
        rng = np.random.default_rng(10 + seed)
        cases.append((rng.normal(size=(H, H)) + rng.normal(size=(n, H, H)),))
    return cases


def _signal(g):
    return _size(g.mean(axis=0))


def _spread(g, ddof=0):
    return np.sqrt(np.sum((g - g.mean(axis=0)) ** 2) / (len(g) - ddof))


@checks.function(
    _batches,
    mistakes=[
        (
            lambda g: _each(g).mean() / _spread(g),
            "This is the mean of the sizes. The signal is the size of the mean: average the gradients first.",
        ),
        (
            lambda g: _each(g).mean() / _each(g).std(),
            "These are mean and spread of the sizes. A gradient has a direction: average the gradients themselves.",
        ),
        (
            lambda g: _signal(g) / _each(g).std(),
            "The noise is not how much the sizes differ but how far each gradient lies from the mean one.",
        ),
        (
            lambda g: _signal(g) / _each(g - g.mean(axis=0)).mean(),
            "The distances from the mean have been averaged; square them, take the mean, then the root.",
        ),
        (
            lambda g: _signal(g) / np.sqrt(np.sum((g - g.mean(axis=0)) ** 2)),
            "The squared distances are to be averaged over the batches, not added up.",
        ),
        (
            lambda g: _signal(g) / _spread(g, ddof=1),
            "Nearly: divide by the number of batches here, not by one less.",
        ),
        (
            lambda g: _signal(g) / np.sqrt(np.mean((g - g.mean(axis=0)) ** 2)),
            "The mean is over the batches alone; over the entries of the matrix the squares are added up.",
        ),
        (
            lambda g: _signal(g) / np.sqrt(np.mean(_each(g) ** 2)),
            "This is the size of a single gradient, signal and noise together: take off the mean before you square.",
        ),
        (
            lambda g: _signal(g) / _spread(g) ** 2,
            "The root is missing: this divides by the mean square, not by its root.",
        ),
        (
            lambda g: _signal(g) / _spread(g) * np.sqrt(len(g)),
            "This is the ratio for all batches averaged; asked for is that of a single one.",
        ),
        (
            lambda g: _signal(g) / g.std(),
            "g.std() is the spread of all numbers about one mean: take each matrix's distance from the mean matrix.",
        ),
        (lambda g: (_signal(g) / _spread(g)) ** 2, "The root is missing: sizes, not their squares."),
        (
            lambda g: np.linalg.norm(g.mean(axis=0), 2) / _spread(g),
            "This norm of a matrix is its largest singular value; asked for is the root of the sum of squares.",
        ),
        (lambda g: _size(g.sum(axis=0)) / _spread(g), "The signal is the size of the mean, not of the sum."),
        (
            lambda g: np.linalg.norm(g.mean(axis=0)) / np.linalg.norm(g.std(axis=0, ddof=1)),
            "Nearly: divide by the number of batches here, not by one less.",
        ),
        (lambda g: _spread(g) / _signal(g), "Upside down: signal over noise."),
        (
            lambda g: _size(np.mean(g, axis=0) / np.std(g, axis=0)),
            "Take the two sizes first, then divide: this divides entry by entry.",
        ),
    ],
    hints=[
        "mean = gradients.mean(axis=0) is the signal, a matrix; np.linalg.norm gives its size.",
        "For the noise: ((gradients - mean) ** 2).sum(axis=(1, 2)) is the squared distance of every batch from the mean.",
        "Average that over the batches, take the root, and divide the size of the signal by it.",
    ],
    praise="Correct. Averaging n batches leaves the signal as it is and divides the noise by the root of n.",
)
def signal_to_noise(gradients):
    return _signal(gradients) / _spread(gradients)


def _before(states):
    return np.concatenate([np.zeros_like(states[:, :1]), states[:, :-1]], axis=1)


def _after(states):
    return np.concatenate([states[:, 1:], np.zeros_like(states[:, :1])], axis=1)


def _delta(x, y, W, U, b, *, scale=None, slope=lambda h: 1 - h**2, order=False, back=np.transpose, own=True, **flags):
    """The total derivatives delta (B, T, H) of the mean squared error of all states; each option is a mistake."""
    h = rnn_forward(x, W, U, b)
    dh = (h - y) * (2 / h.size if scale is None else scale(*h.shape))
    delta, through, last = np.empty_like(h), np.zeros_like(h[:, 0]), h.shape[1] - 1
    for t in range(last + 1) if flags.get("forwards") else reversed(range(last + 1)):
        delta[:, t] = through + (dh[:, t] if own or t == last else 0)
        crossed = slope(h)[:, t]
        through = (delta[:, t] @ U.T) * crossed if order else (delta[:, t] * crossed) @ back(U)
        through = through * flags.get("carried", True)
    return delta


def _pieces(*case):
    """What the gradients of the weights are made of: x, h, delta and da."""
    h, delta = rnn_forward(case[0], *case[2:]), _delta(*case)
    return case[0], h, delta, delta * (1 - h**2)


def _pair(left, right):
    return np.einsum("bti,btj->ij", left, right)


def _delta_with(**options):
    return lambda *case: _delta(*case, **options)


def _made_of(make):
    """A function of a case, from one of its pieces."""
    return lambda *case: make(*_pieces(*case))


MEANS = {"the mean over the batch": 0, "the mean over the steps": 1, "the mean over the units": 2}


def _scales():
    """Every way to get the factor 2/(B T H) of h - y wrong by leaving out the 2 or a part of the mean."""
    for missing in itertools.chain.from_iterable(
        itertools.combinations(["the 2 of the square", *MEANS], n) for n in (1, 2, 3, 4)
    ):

        def scale(*sizes, missing=missing):
            means = [sizes[axis] for mean, axis in MEANS.items() if mean not in missing]
            return (1 if "the 2 of the square" in missing else 2) / np.prod(means)

        yield _delta_with(scale=scale), f"(h - y)² as a mean gives 2 (h - y) / h.size. Missing: {', '.join(missing)}."


CROSSED = "Off by one in time: from h_t back to h_{t-1} you cross the tanh of step t, 1 - h_t²; this has"
NOT_da = "This pairs with delta_t, the derivative by h_t; the weights act on a_t: da = delta * (1 - h**2)."
TANH_TWICE = "h is the tanh already: its derivative is 1 - h**2, not 1 - np.tanh(h)**2."
WHOLE = [
    (
        lambda *case: [full_backward_of(*case)[place] for place in (1, 2, 3, 0)],
        "The results are in another order: return delta first, then dW, dU, db.",
    ),
    (
        lambda *case: [full_backward_of(*case)[place] for place in (0, 2, 1, 3)],
        "dU and dW are swapped: return delta, dW, dU, db.",
    ),
]
PARTS = {
    "delta": [
        *_scales(),
        (_delta_with(scale=lambda B, T, H: -2 / (B * T * H)), "The sign is turned: (h - y)² gives 2 (h - y)."),
        (_delta_with(back=lambda U: U), "U is not transposed on the way back: forwards h U, backwards (...) Uᵀ."),
        (
            _delta_with(order=True),
            "The order is wrong: back from h_t you cross the tanh of step t first, then U.T: (delta_t (1 - h_t²)) Uᵀ.",
        ),
        (_delta_with(slope=np.ones_like), "The derivative of the tanh, 1 - h_t², is missing on the way back."),
        (_delta_with(slope=lambda h: 1 - np.tanh(h) ** 2), TANH_TWICE),
        (_delta_with(slope=lambda h: 1 - h), "The square is missing: tanh' is 1 - h_t²."),
        (_delta_with(slope=lambda h: h * (1 - h)), "h (1 - h) belongs to the sigmoid; tanh' is 1 - h_t²."),
        (
            _delta_with(slope=np.ones_like, back=lambda U: U),
            "Two things: the derivative of the tanh, 1 - h_t², is missing on the way back, and U is not transposed.",
        ),
        (_delta_with(slope=lambda h: 1 - _before(h) ** 2), f"{CROSSED} h_{{t-1}}."),
        (_delta_with(slope=lambda h: 1 - _after(h) ** 2), f"{CROSSED} h_{{t+1}}."),
        (_delta_with(slope=lambda h: 1 - np.roll(h, -1, axis=1) ** 2), f"{CROSSED} h_{{t+1}}, and h_1 at the end."),
        (_delta_with(carried=False), "These are the immediate derivatives: nothing is handed on from step t + 1."),
        (_delta_with(own=False), "Only the last step's loss comes in: add the immediate derivative at every step."),
        (_delta_with(forwards=True), "The loop runs forwards; delta_t needs delta_{t+1}: reversed(range(T))."),
        (_made_of(lambda x, h, delta, da: da), "This is da_t = dL/da_t; asked for is dL/dh_t, before the tanh."),
    ],
    "dW": [
        (_made_of(lambda x, h, delta, da: _pair(x, delta)), NOT_da),
        (_made_of(lambda x, h, delta, da: _pair(x, delta * (1 - np.tanh(h) ** 2))), TANH_TWICE),
        (
            _made_of(lambda x, h, delta, da: _pair(_before(x), da)),
            "Off by one in time: a_t was made from x_t; this pairs it with x_{t-1}.",
        ),
        (
            _made_of(lambda x, h, delta, da: _pair(x[:, -1:], da[:, -1:])),
            "This is the last step's share: sum over t.",
        ),
        (
            _made_of(lambda x, h, delta, da: _pair(x[:, :1], da[:, :1])),
            "This is the first step's share, the last one in the loop: dW += instead of dW =.",
        ),
        (_made_of(lambda x, h, delta, da: _pair(x, da).T), "The outer product is the wrong way round: x_tᵀ da_t."),
    ],
    "dU": [
        (
            _made_of(lambda x, h, delta, da: 0 * _pair(h, da)),
            "All zero: the loop ends at the first step, where h_0 = 0. With dU = only that share is left; dU += adds up.",
        ),
        (
            _made_of(lambda x, h, delta, da: _pair(h[:, -2:-1], da[:, -1:])),
            "This is the last step's share: sum over t.",
        ),
        (
            _made_of(lambda x, h, delta, da: _pair(h, da)),
            "h_t is used where h_{t-1} belongs: a_t was made from h_{t-1}, with h_0 = 0.",
        ),
        (
            _made_of(lambda x, h, delta, da: _pair(np.roll(h, 1, axis=1), da)),
            "At the first step h_{t-1} is h_0 = 0; here it is the last state: index −1 and np.roll wrap round.",
        ),
        (
            _made_of(lambda x, h, delta, da: _pair(_after(h), da)),
            "h_{t+1} is used where h_{t-1} belongs: a_t was made from h_{t-1}.",
        ),
        (
            _made_of(lambda x, h, delta, da: _pair(da, _before(h))),
            "The outer product is the wrong way round: states from the left, h_{t-1}ᵀ da_t.",
        ),
        (_made_of(lambda x, h, delta, da: _pair(_before(h), delta)), NOT_da),
        (
            _made_of(lambda x, h, delta, da: _pair(da, h)),
            "Two things: the outer product is the wrong way round, and h_t stands where h_{t-1} belongs.",
        ),
    ],
    "db": [
        (lambda *case: 0 * case[-1], "The bias has a gradient as well: b enters every a_t with factor 1."),
        (_made_of(lambda x, h, delta, da: delta.sum(axis=(0, 1))), NOT_da),
        (
            _made_of(lambda x, h, delta, da: da.mean(axis=(0, 1))),
            "The loss has taken the mean already; here da_t is summed over batch and steps.",
        ),
        (
            _made_of(lambda x, h, delta, da: da.sum(axis=1).mean(axis=0)),
            "The loss has taken the mean already; here da_t is summed over the batch, too.",
        ),
        (
            _made_of(lambda x, h, delta, da: da[:, 0].sum(axis=0)),
            "This is the first step's share, the last one in the loop: db += instead of db =.",
        ),
        (_made_of(lambda x, h, delta, da: da[:, -1].sum(axis=0)), "This is the last step's share: sum over t."),
        (_made_of(lambda x, h, delta, da: da.sum(axis=0)), "Sum over the steps, too: b is the same at every one."),
        (_made_of(lambda x, h, delta, da: da.sum(axis=1)), "Sum over the batch, too: b is the same for all."),
    ],
}


def _problems():
    """B, T, D and H such that no two ways to take a mean agree, with the 2 of the square or without."""
    cases = []
    for seed, (B, T, D, H) in enumerate(((3, 5, 2, 4), (2, 3, 4, 5))):
        rng = np.random.default_rng(seed)
        shapes = (B, T, D), (B, T, H), (D, H), (H, H), (H,)
        cases.append(tuple(rng.normal(0, 0.7, shape) for shape in shapes))
    return cases


@checks.function(
    _problems,
    mistakes=WHOLE,
    parts=PARTS,
    hints=[
        "First h = rnn_forward(x, W, U, b), and dh = 2 (h - y) / h.size: what the loss sees of every state itself.",
        "delta: the line of exercise 1 in a loop from the last step to the first, starting with nothing coming back.",
        "da = delta * (1 - h**2). db sums it over batch and steps; dW and dU sum x_tᵀ da_t and h_{t-1}ᵀ da_t over t.",
    ],
    time="backwards",
    praise="Correct: this is what automatic differentiation does for you.",
)
def full_backward(x, y, W, U, b):
    return full_backward_of(x, y, W, U, b)


def full_backward_of(*case):
    x, h, delta, da = _pieces(*case)
    return [delta, _pair(x, da), _pair(_before(h), da), da.sum(axis=(0, 1))]


wrong_line = checks.value(
    "wrong_line",
    4,
    mistakes=[
        (1, "Line 1 makes room and starts with nothing: beyond the last step nothing comes back. That is right."),
        (2, "Line 2 goes from the last step to the first, as it must."),
        (3, "Line 3 adds what the loss sees of h_t itself to what comes through step t+1. That is right."),
        (5, "Line 5 goes from h_t to a_t at every step. That is right, given a right delta; delta is wrong already."),
        (6, "Line 6 puts h_0 = 0 in front and drops the last state: h_{t-1} at place t. That is right."),
        (7, "Line 7 pairs x_t with da_t. dW is wrong only because delta is."),
        (8, "Line 8 pairs h_{t-1} with da_t. dU is wrong only because delta is."),
    ],
    hints=[
        "delta is wrong already, so the fault is in one of the lines that make it.",
        "With one unit the mistake does not show: what is the same for numbers and not for matrices?",
    ],
    praise=(
        "Correct: back through the tanh of step t first, then through U.T. With one unit the order does not matter."
    ),
    otherwise="The lines are numbered 1 to 8; answer with a number.",
)
