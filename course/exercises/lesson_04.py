"""Checks of lesson 04. Reading on spoils the exercises."""

from course import checks
from course.numpy_rnn import rnn_forward
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


def _pass(x, y, W, U, b, *, scale=None, transposed=True, tanh="h", before="h_{t-1}", own=True, stop=None):
    """The backward pass for the mean squared error of all states; the options make it wrong."""
    h = rnn_forward(x, W, U, b)
    first = np.zeros_like(h[:, :1])
    earlier = np.concatenate([first, h[:, :-1]], axis=1)
    dh = 2 * (h - y) * (1 / h.size if scale is None else scale(*h.shape))
    slope = {
        "h": 1 - h**2,
        "none": np.ones_like(h),
        "earlier": 1 - earlier**2,
        "later": np.concatenate([1 - h[:, 1:] ** 2, 1 + first], axis=1),
    }[tanh]
    delta, through = np.empty_like(h), np.zeros_like(h[:, 0])
    for t in reversed(range(h.shape[1])):
        delta[:, t] = dh[:, t] + through if own or t == h.shape[1] - 1 else through
        through = (delta[:, t] * slope[:, t]) @ (U.T if transposed else U)
        if stop == "never handed on":
            through = np.zeros_like(through)
    # A tanh that is only missing on the way back is one mistake, without it everywhere another.
    da = delta * (1 - h**2 if stop == "tanh only on the way" else slope)
    other = {"h_{t-1}": earlier, "h_t": h, "h_{t+1}": np.concatenate([h[:, 1:], first], axis=1)}[before]
    dW = np.einsum("btd,bth->dh", x, da)
    return delta, dW, np.einsum("bti,btj->ij", other, da), da.sum(axis=(0, 1))


def _with(**options):
    return lambda *case: _pass(*case, **options)


def _forwards(x, y, W, U, b):
    """The loop from the first step to the last: nothing has come back yet when a step is visited."""
    h = rnn_forward(x, W, U, b)
    dh, slope = 2 * (h - y) / h.size, 1 - h**2
    delta, through = np.empty_like(h), 0
    for t in range(h.shape[1]):
        delta[:, t] = dh[:, t] + through
        through = (delta[:, t] * slope[:, t]) @ U.T
    return (delta,)


NAMES = ("delta", "dW", "dU", "db")
TOTAL = [  # usual mistakes in delta
    (_with(scale=lambda B, T, H: 1), "The loss is a mean, this is the gradient of a sum: divide dh by h.size."),
    (_with(scale=lambda B, T, H: 1 / B), "The mean is over batch, steps and units: divide by h.size, not by B alone."),
    (_with(scale=lambda B, T, H: 1 / (B * T)), "The mean is over units, too: divide by h.size."),
    (_with(scale=lambda B, T, H: 1 / (T * H)), "The mean is over the batch, too: divide by h.size."),
    (_with(scale=lambda B, T, H: 0.5 / (B * T * H)), "The factor 2 of the square is missing: dh = 2 (h − y) / h.size."),
    (_with(scale=lambda B, T, H: -1 / (B * T * H)), "The sign is turned: the derivative of (h − y)² is 2 (h − y)."),
    (_with(transposed=False), "U is not transposed on the way back: through = (...) @ U.T."),
    (_with(tanh="none"), "The derivative of the tanh, 1 − h_t², is missing on the way back."),
    (
        _with(tanh="earlier"),
        "Off by one in time: leaving step t you cross the tanh of step t, with h_t; this takes h_{t−1}.",
    ),
    (
        _with(tanh="later"),
        "Off by one in time: leaving step t you cross the tanh of step t, with h_t; this takes h_{t+1}.",
    ),
    (_with(stop="never handed on"), "This is the immediate derivative alone: nothing is handed on from step t + 1."),
    (_with(own=False), "Only the last step's loss comes in: add dh of every step."),
    (_forwards, "The loop runs forwards; delta_t needs delta_{t+1}: reversed(range(T))."),
]
WEIGHTS = {  # usual mistakes in what follows from a right delta
    "dW": [
        (_with(stop="tanh only on the way", tanh="h"), ""),
    ],
    "dU": [
        (_with(before="h_t"), "dU pairs da_t with the state it was made from, h_{t−1}; this takes h_t."),
        (_with(before="h_{t+1}"), "dU pairs da_t with the state it was made from, h_{t−1}; this takes h_{t+1}."),
    ],
    "db": [],
}
