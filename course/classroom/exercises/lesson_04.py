"""Checks of lesson 04. Reading on spoils the exercises."""

from course.by_hand.forward import rnn_forward
from course.classroom import checks
import numpy as np


def _step(delta_next, h_next, dh_t, U):
    return dh_t + (delta_next * (1 - h_next**2)) @ U.T


def backward_step(attempt):
    """Check delta_t = dL/dh_t from delta_{t+1}, h_{t+1} and the immediate derivative dh_t."""
    cases = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        delta_next, dh_t, h_next = rng.normal(size=(3, 2, 3))
        cases.append((delta_next, np.tanh(h_next), dh_t, rng.normal(size=(3, 3))))
    mistakes = [
        (
            lambda d, h, dh, U: dh + (d * (1 - h**2)) @ U,
            "U is not transposed: forwards a state is multiplied by U, so backwards its derivative is by U.T.",
        ),
        (
            lambda d, h, dh, U: dh + d @ U.T,
            "The derivative of the tanh is missing: 1 - h_next**2 takes you from h_{t+1} to a_{t+1}.",
        ),
        (
            lambda d, h, dh, U: (d * (1 - h**2)) @ U.T,
            "The immediate derivative dh_t is missing: what the loss sees of h_t itself is added.",
        ),
        (
            lambda d, h, dh, U: dh + (d @ U.T) * (1 - h**2),
            "The order is wrong: first through the tanh of step t+1, then through U.T. (With one unit it makes no "
            "difference, with more it does.)",
        ),
        (
            lambda d, h, dh, U: ((dh + d) * (1 - h**2)) @ U.T,
            "dh_t has been sent through a step too: it belongs to h_t already, only delta_next travels.",
        ),
        (
            lambda d, h, dh, U: dh + (d * (1 - np.tanh(h) ** 2)) @ U.T,
            "h_next is the tanh already: its derivative, written with h, is 1 - h_next**2.",
        ),
        (lambda d, h, dh, U: dh + (d * h) @ U.T, "The derivative of the tanh is 1 - h_next**2, not h_next."),
        (lambda d, h, dh, U: dh + (d * (1 - h)) @ U.T, "The square is missing: tanh' is 1 - h_next**2."),
        (lambda d, h, dh, U: dh + d * (1 - h**2) * np.diag(U), "With U.T it is a matrix product: @, not *."),
    ]
    praise = "Correct: all of backpropagation through time is this line, from the last step to the first."
    return checks.function(attempt, _step, cases, mistakes=mistakes, praise=praise)


def _delta(x, y, W, U, b, *, scale=None, back=None, slope="h_t", own=True, carried=True, forwards=False):
    """The total derivatives delta (B, T, H) of the mean squared error of all states; each option is a mistake."""
    h = rnn_forward(x, W, U, b)
    dh = 2 * (h - y) * (1 / h.size if scale is None else scale(*h.shape))
    zero = np.zeros_like(h[:, :1])
    state = {
        "h_t": h,
        "h_{t-1}": np.concatenate([zero, h[:, :-1]], axis=1),
        "h_{t+1}": np.concatenate([h[:, 1:], zero], axis=1),
    }
    tanh = np.ones_like(h) if slope == "none" else 1 - state[slope] ** 2
    delta, through, last = np.empty_like(h), np.zeros_like(h[:, 0]), h.shape[1] - 1
    for t in range(last + 1) if forwards else reversed(range(last + 1)):
        delta[:, t] = through + (dh[:, t] if own or t == last else 0)
        through = (delta[:, t] * tanh[:, t]) @ (U.T if back is None else back(U)) * carried
    return delta


def _backward(x, y, W, U, b, *, states="h_{t-1}", tanh=True, collect=np.sum, early=False):
    """delta, dW, dU, db; each option makes a mistake in what follows from a right delta."""
    h, delta = rnn_forward(x, W, U, b), _delta(x, y, W, U, b)
    da = delta * (1 - h**2) if tanh else delta
    shifted = np.concatenate([np.zeros_like(h[:, :1]), h[:, :-1]], axis=1) if states == "h_{t-1}" else h
    inputs = np.concatenate([np.zeros_like(x[:, :1]), x[:, :-1]], axis=1) if early else x
    dW = np.einsum("btd,bth->dh", inputs, da)
    return delta, dW, np.einsum("bti,btj->ij", shifted, da), collect(da, axis=(0, 1))


def _wrong_delta(**options):
    return lambda *case: _delta(*case, **options)


def _wrong(place, **options):
    return lambda *case: _backward(*case, **options)[place]


NOT_da = "This pairs with delta_t, the derivative by h_t; the weights act on a_t: da = delta * (1 - h**2)."
MISTAKES = {
    "delta": [
        (
            _wrong_delta(scale=lambda B, T, H: 1),
            "The loss is a mean, this is the gradient of a sum: divide by h.size.",
        ),
        (
            _wrong_delta(scale=lambda B, T, H: 1 / B),
            "The mean is over the batch, the steps and the units: divide by h.size, not by B alone.",
        ),
        (_wrong_delta(scale=lambda B, T, H: 1 / (B * T)), "The mean is over the units, too: divide by h.size."),
        (_wrong_delta(scale=lambda B, T, H: 1 / (T * H)), "The mean is over the batch, too: divide by h.size."),
        (
            _wrong_delta(scale=lambda B, T, H: 0.5 / (B * T * H)),
            "The 2 of the square is missing: 2 (h - y) / h.size.",
        ),
        (_wrong_delta(scale=lambda B, T, H: -1 / (B * T * H)), "The sign is turned: (h - y)² gives 2 (h - y)."),
        (_wrong_delta(back=lambda U: U), "U is not transposed on the way back: forwards h U, backwards (...) Uᵀ."),
        (_wrong_delta(slope="none"), "The derivative of the tanh, 1 - h_t², is missing on the way back."),
        (
            _wrong_delta(slope="h_{t-1}"),
            "Off by one in time: from h_t back to h_{t-1} you cross the tanh of step t, 1 - h_t²; this has h_{t-1}.",
        ),
        (
            _wrong_delta(slope="h_{t+1}"),
            "Off by one in time: from h_t back to h_{t-1} you cross the tanh of step t, 1 - h_t²; this has h_{t+1}.",
        ),
        (_wrong_delta(carried=False), "These are the immediate derivatives: nothing is handed on from step t + 1."),
        (_wrong_delta(own=False), "Only the last step's loss comes in: add the immediate derivative at every step."),
        (_wrong_delta(forwards=True), "The loop runs forwards; delta_t needs delta_{t+1}: reversed(range(T))."),
    ],
    "dW": [
        (_wrong(1, tanh=False), NOT_da),
        (_wrong(1, early=True), "Off by one in time: a_t was made from x_t; this pairs it with x_{t-1}."),
    ],
    "dU": [
        (_wrong(2, states="h_t"), "h_t is used where h_{t-1} belongs: a_t was made from h_{t-1}, with h_0 = 0."),
        (
            lambda *case: _backward(*case)[2].T,
            "The outer product is the wrong way round: states from the left, h_{t-1}ᵀ da_t.",
        ),
        (_wrong(2, tanh=False), NOT_da),
        (
            lambda *case: _backward(*case, states="h_t")[2].T,
            "Two things: the outer product is the wrong way round, and h_t stands where h_{t-1} belongs.",
        ),
    ],
    "db": [
        (lambda *case: np.zeros(3), "The bias has a gradient as well: b enters every a_t with factor 1."),
        (_wrong(3, tanh=False), NOT_da),
        (
            _wrong(3, collect=np.mean),
            "The loss has taken the mean already; here da_t is summed over batch and steps.",
        ),
    ],
}


def full_backward(attempt):
    """Check delta, dW, dU, db of the mean squared error of all states; a wrong delta is placed in time."""
    cases = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        B, T, D, H = 2, 6, 4, 3
        shapes = (B, T, D), (B, T, H), (D, H), (H, H), (H,)
        cases.append(tuple(rng.normal(0, 0.7, shape) for shape in shapes))
    praise = "Correct: this is what automatic differentiation does for you."
    verdict = checks.function(attempt, _backward, cases, praise=praise)
    if verdict.status != "wrong" or not _four(attempt, cases[0]):
        return verdict
    for place, name in enumerate(MISTAKES):
        part = checks.function(
            lambda *case, place=place: attempt(*case)[place],
            lambda *case, place=place: _backward(*case)[place],
            cases,
            mistakes=MISTAKES[name],
            time_axis=1 if name == "delta" else None,
        )
        if part.status == "wrong":
            return checks.wrong(f"{name}: {part.message}")
    return verdict


def _four(attempt, case):
    """Whether the attempt returns four results; if it raises, that has been said already."""
    try:
        answer = attempt(*(argument.copy() for argument in case))
    except Exception:
        return False
    return isinstance(answer, (tuple, list)) and len(answer) == 4 and not any(part is None for part in answer)


def bug_line(answer):
    """Check which line of `suspicious_backward` is wrong."""
    right_as_it_stands = {
        1: "Line 1 makes room and starts with nothing: beyond the last step nothing comes back. That is right.",
        2: "Line 2 goes from the last step to the first, as it must.",
        3: "Line 3 adds what the loss sees of h_t itself to what comes through step t+1. That is right.",
        5: "Line 5 goes from h_t to a_t at every step. That is right, given a right delta; delta is wrong already.",
        6: "Line 6 puts h_0 = 0 in front and drops the last state: h_{t-1} at place t. That is right.",
        7: "Line 7 pairs x_t with da_t. dW is wrong only because delta is.",
        8: "Line 8 pairs h_{t-1} with da_t. dU is wrong only because delta is.",
    }
    praise = (
        "Correct: back through the tanh of step t first, then through U.T. With one unit the order does not matter."
    )
    return checks.value(answer, 4, mistakes=list(right_as_it_stands.items()), tolerance=1e-9, praise=praise)
