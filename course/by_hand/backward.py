"""Backpropagation through time for the plain RNN in NumPy: the gradient, its T terms, and what truncation cuts.

For h_t = φ(a_t) with a_t = x_t W + h_{t−1} U + b, and a loss L that reads any of the h_t:

    delta_t = dL/dh_t = ∂L/∂h_t + (delta_{t+1} φ'(a_{t+1})) Uᵀ        total derivative, from the last step back
    dL/dU   = Σ_k h_{k−1}ᵀ (delta_k φ'(a_k))                          one term per step k

∂L/∂h_t is what the loss sees of h_t itself, delta_t also what it sees through all later steps. The k-th term
is delta_k times the immediate derivative ∂⁺h_k/∂U, which holds h_{k−1} fixed. When the loss reads h_T alone,
delta_k = dL/dh_T · dh_T/dh_k, and term k is what reached U over a distance of T − k steps.
The letters: T steps, B batch, D features, H units. Werbos 1990; Pascanu, Mikolov, Bengio 2013.
"""

from typing import NamedTuple

from course import arguments
from course.by_hand.forward import ACTIVATIONS, checked
import numpy as np


class Gradients(NamedTuple):
    """The gradients of one loss, summed over the batch.

    delta (B, T, H): total dL/dh_t. terms (T, H, H): the terms of dL/dU, by the step k they come from.
    x (B, T, D), h0 (B, H), W (D, H), U (H, H), b (H,): the gradient with respect to each of these;
    U is the sum of the terms.
    """

    delta: np.ndarray
    terms: np.ndarray
    x: np.ndarray
    h0: np.ndarray
    W: np.ndarray
    U: np.ndarray
    b: np.ndarray


def rnn_backward(x, W, U, b, h, dh, h0=None, activation="tanh"):
    """Return the `Gradients` of a loss, given dh = ∂L/∂h_t (B, T, H), or (B, H) when L reads h_T alone.

    h (B, T, H) is what `rnn_forward(x, W, U, b, h0, activation)` returns; anything else is refused. Time and
    memory grow in proportion to T.
    Raises ValueError naming the argument that does not fit, TypeError for integers.
    """
    x, W, U, h, dh, h0, slope = _checked(x, W, U, b, h, dh, h0, activation)
    delta = np.empty_like(h)
    through = np.zeros_like(h0)  # the part of delta_t that comes through step t + 1: none at t = T
    for t in reversed(range(h.shape[1])):
        delta[:, t] = dh[:, t] + through
        through = (delta[:, t] * slope[:, t]) @ U.T  # (B, H)
    return _gradients(x, W, h, h0, slope, delta, dh0=through)


def truncated_backward(x, W, U, b, h, dh, window, h0=None, activation="tanh"):
    """Return the `Gradients` when the loss at each step t reaches back to the states h_t … h_{t−window+1} only.

    Exact for `window` > T. Otherwise the parts of delta_k, and so of the terms of dL/dU, that would have
    travelled `window` steps or more are missing. This is what automatic differentiation gives when each step's
    loss is computed from stop_gradient(h_{t−window}); no weight goes without a gradient. (Cutting a sequence
    into blocks, as with `stateful=True`, is `rnn_backward` block by block, with h0 the last state of the block
    before: there a loss reaches back to the start of its own block.) Williams & Peng 1990, BPTT(h).
    Raises as `rnn_backward` does, and naming `window` unless it is an integer of at least 1.
    """
    arguments.integer("window", window, at_least=1)
    x, W, U, h, dh, h0, slope = _checked(x, W, U, b, h, dh, h0, activation)
    delta, dh0 = np.zeros_like(h), np.zeros_like(h0)
    for d, part, at_h0 in _by_distance(dh, U, slope, window):
        delta += part
        if d + 1 < window:
            dh0 += at_h0
    return _gradients(x, W, h, h0, slope, delta, dh0)


def terms_by_distance(x, W, U, b, h, dh, h0=None, activation="tanh"):
    """Return the terms of dL/dU as an array (T, H, H) by distance d, from 0 to T − 1; their sum is dL/dU.

    Term d gathers, over all steps t, what the loss at step t sends to U through h_{t−d}. For a loss that reads
    h_T alone these are the terms of `rnn_backward` in reverse; for a loss that reads every step, only these
    tell far from near. Takes T times as long as `rnn_backward`.
    Raises as `rnn_backward` does.
    """
    x, W, U, h, dh, h0, slope = _checked(x, W, U, b, h, dh, h0, activation)
    before = np.concatenate([h0[:, None], h[:, :-1]], axis=1)  # h_{t−1}
    parts = _by_distance(dh, U, slope, window=h.shape[1])
    return np.stack([np.einsum("bti,btj->ij", before, part * slope, optimize=True) for _, part, _ in parts])


def finite_differences(loss, array, eps=1e-5):
    """Return dL/d`array` by central differences, (L(a + eps) − L(a − eps)) / (2 eps), entry by entry, in float64.

    `loss` takes a float64 array of this shape and returns a number. The error is about
    |L'''| eps² / 6 + 1e-16 |L| / eps: near 1e-10 for losses of order 1. Takes two calls of `loss` per entry.
    Raises TypeError when `loss` cannot be called or computes in less than float64, and ValueError when it
    does not return one finite number or `array` is not finite.
    """
    if not callable(loss):
        raise TypeError(f"loss must be a function of one array, got {loss!r}.")
    arguments.number("eps", eps, above=0)
    array = np.array(array, dtype="float64")  # a copy: the caller's stays as it is
    if not np.isfinite(array).all():
        raise ValueError("array must be finite, got NaN or infinity in it.")
    gradient = np.empty_like(array)
    for index in np.ndindex(array.shape):
        centre = array[index]
        values = []
        for step in (eps, -eps):
            array[index] = centre + step
            values.append(_float64(loss(array.copy())))
        array[index] = centre
        gradient[index] = (values[0] - values[1]) / (2 * eps)
    return gradient


def _by_distance(dh, U, slope, window):
    """Yield d, the part of delta that travelled d steps (B, T, H), and what goes on from it to h_0 (B, H)."""
    part = dh
    for d in range(min(window, dh.shape[1])):
        back = (part * slope) @ U.T  # from every h_t to h_{t−1}, all at once
        yield d, part, back[:, 0]
        part = np.concatenate([back[:, 1:], np.zeros_like(back[:, :1])], axis=1)


def _gradients(x, W, h, h0, slope, delta, dh0):
    """Return the Gradients that follow from delta."""
    da = delta * slope  # dL/da_t
    before = np.concatenate([h0[:, None], h[:, :-1]], axis=1)  # h_{t−1}
    terms = before.transpose(1, 2, 0) @ da.transpose(1, 0, 2)  # (T, H, B) (T, B, H) -> (T, H, H)
    dW = np.einsum("btd,bth->dh", x, da, optimize=True)
    return Gradients(delta, terms, x=da @ W.T, h0=dh0, W=dW, U=terms.sum(axis=0), b=da.sum(axis=(0, 1)))


def _checked(x, W, U, b, h, dh, h0, activation):
    """Return what a backward pass needs, in one float type, with slope = φ'(a_t) (B, T, H), or raise."""
    φ, derivative = ACTIVATIONS[arguments.one_of("activation", activation, ACTIVATIONS)]
    x, W, U, b, h0 = checked(x, W, U, b, gates=1, h0=h0)
    (B, T, _), H = x.shape, len(U)
    h, dh = arguments.array("h", h, (B, T, H)), np.asarray(dh)
    if dh.ndim == 2:
        last = arguments.array("dh", dh, (B, H))
        dh = np.concatenate([np.zeros((B, T - 1, H), dh.dtype), last[:, None]], axis=1)
    dh = arguments.array("dh", dh, (B, T, H))
    for name, value in (("h", h), ("dh", dh)):
        if not np.issubdtype(value.dtype, np.floating):
            raise TypeError(f"{name} must hold floating-point numbers, got {value.dtype}.")
    dtype = np.result_type(x, h, dh)
    x, W, U, b, h, dh, h0 = (value.astype(dtype) for value in (x, W, U, b, h, dh, h0))
    with np.errstate(invalid="ignore", over="ignore"):  # an exploded h is still the right h
        before = np.concatenate([h0[:, None], h[:, :-1]], axis=1)  # h_{t−1}
        again = φ(x @ W + before @ U + b)
        scale = 1 + np.maximum(np.abs(h), np.abs(before)).max(axis=2, keepdims=True)
        wrong = np.abs(h - again) > max(1e-4, np.finfo(dtype).eps ** 0.5) * scale
    wrong |= np.isfinite(h) != np.isfinite(again)
    if wrong.any():
        raise ValueError(
            "h must be rnn_forward(x, W, U, b, h0, activation) of the same arguments, got states that differ from "
            f"it first at time step {1 + np.flatnonzero(wrong.any(axis=(0, 2)))[0]} of {T}."
        )
    return x, W, U, h, dh, h0, derivative(h)


def _float64(value):
    value = np.asarray(value)
    if value.dtype != np.float64:
        raise TypeError(f"loss must return a float64 number, got {value.dtype}.")
    if value.size != 1 or not np.isfinite(value).all():
        raise ValueError(f"loss must return one finite number, got {value!r}.")
    return value.item()
