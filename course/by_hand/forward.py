"""Forward pass of the plain RNN, the LSTM and the GRU in NumPy: one equation a line, the loop in view.

Weights have Keras' layout, so `rnn_forward(x, *layer.get_weights())` computes what the Keras layer computes.
Everything is done in the float type of the arguments (float64 for checks, float32 to compare with Keras).
The letters: T steps, B batch, D features, H units.
"""

from typing import NamedTuple

from course import arguments
import numpy as np


class LSTMStates(NamedTuple):
    """What an LSTM holds at every step, each (B, T, H): state h, memory c, gates i, f, o and candidate g."""

    h: np.ndarray
    c: np.ndarray
    i: np.ndarray
    f: np.ndarray
    g: np.ndarray
    o: np.ndarray


class GRUStates(NamedTuple):
    """What a GRU holds at every step, each (B, T, H): state h, gates z, r and candidate g (written h̃)."""

    h: np.ndarray
    z: np.ndarray
    r: np.ndarray
    g: np.ndarray


def sigmoid(a):
    """Return σ(a) = 1 / (1 + exp(−a)), without overflow and in the float type of `a`."""
    return np.exp(-np.logaddexp(0, -a))


# φ(a), and its derivative φ'(a) written with h = φ(a), which is what a backward pass has at hand.
ACTIVATIONS = {
    "tanh": (np.tanh, lambda h: 1 - h * h),
    "sigmoid": (sigmoid, lambda h: h * (1 - h)),
    "relu": (lambda a: np.maximum(a, 0), lambda h: (h > 0).astype(h.dtype)),
    "leaky_relu": (lambda a: np.maximum(a, 0.2 * a), lambda h: np.where(h > 0, 1, h.dtype.type(0.2))),
    "linear": (lambda a: a, np.ones_like),
}


def rnn_forward(x, W, U, b, h0=None, activation="tanh"):
    """Run a plain RNN over x (B, T, D) and return its states h (B, T, H).

        h_t = φ(x_t W + h_{t−1} U + b)

    W (D, H), U (H, H), b (H,); h0 (B, H) is zero unless given. φ is named by `activation`: "tanh",
    "sigmoid", "relu", "leaky_relu" (slope 0.2, as in Keras) or "linear". Elman 1990.
    Raises ValueError for a shape that does not fit or an unknown activation, TypeError for integers.
    """
    φ, _ = ACTIVATIONS[arguments.one_of("activation", activation, ACTIVATIONS)]
    x, W, U, b, h = checked(x, W, U, b, gates=1, h0=h0)
    states = []
    for t in range(x.shape[1]):
        h = φ(x[:, t] @ W + h @ U + b)  # (B, H)
        states.append(h)
    return np.stack(states, axis=1)  # (B, T, H)


def lstm_forward(x, W, U, b, h0=None, c0=None):
    """Run an LSTM over x (B, T, D) and return its states, memory and gates, each (B, T, H), as LSTMStates.

        i_t = σ(x_t W_i + h_{t−1} U_i + b_i)      write
        f_t = σ(x_t W_f + h_{t−1} U_f + b_f)      keep
        g_t = tanh(x_t W_g + h_{t−1} U_g + b_g)   what to write
        o_t = σ(x_t W_o + h_{t−1} U_o + b_o)      read
        c_t = f_t c_{t−1} + i_t g_t
        h_t = o_t tanh(c_t)

    W (D, 4H), U (H, 4H), b (4H,), the four blocks in Keras' order i, f, g, o; h0 and c0 (B, H) are zero
    unless given. Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000.
    Raises ValueError for a shape that does not fit, TypeError for integers.
    """
    x, W, U, b, h, c = checked(x, W, U, b, gates=4, h0=h0, c0=c0)
    states = []
    for t in range(x.shape[1]):
        i, f, g, o = np.split(x[:, t] @ W + h @ U + b, 4, axis=-1)  # each (B, H)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        c = f * c + i * g
        h = o * np.tanh(c)
        states.append((h, c, i, f, g, o))
    return LSTMStates(*(np.stack(s, axis=1) for s in zip(*states, strict=True)))


def gru_forward(x, W, U, b, h0=None):
    """Run a GRU over x (B, T, D) and return its states and gates, each (B, T, H), as GRUStates.

        z_t = σ(x_t W_z + h_{t−1} U_z + b_z)               keep
        r_t = σ(x_t W_r + h_{t−1} U_r + b_r)               reset
        g_t = tanh(x_t W_h + (r_t h_{t−1}) U_h + b_h)      candidate, often h̃_t
        h_t = z_t h_{t−1} + (1 − z_t) g_t

    W (D, 3H), U (H, 3H), b (3H,), the three blocks in Keras' order z, r, h; h0 (B, H) is zero unless given.
    As in Keras with `reset_after=False`, z keeps the past: other texts swap z and 1 − z. Cho et al. 2014.
    Raises ValueError for a shape that does not fit, TypeError for integers.
    """
    x, W, U, b, h = checked(x, W, U, b, gates=3, h0=h0)
    U_zr, U_h = np.split(U, [2 * h.shape[1]], axis=1)
    states = []
    for t in range(x.shape[1]):
        z, r, g = np.split(x[:, t] @ W + b, 3, axis=-1)  # each (B, H)
        u_z, u_r = np.split(h @ U_zr, 2, axis=-1)
        z, r = sigmoid(z + u_z), sigmoid(r + u_r)
        g = np.tanh(g + (r * h) @ U_h)
        h = z * h + (1 - z) * g
        states.append((h, z, r, g))
    return GRUStates(*(np.stack(s, axis=1) for s in zip(*states, strict=True)))


def checked(x, W, U, b, gates, **initial):
    """Return x, W, U, b and the initial states (zeros for None) as arrays of one float type, or raise."""
    x = arguments.array("x", x, ("B", "T", "D"))
    B, T, D = x.shape
    if T < 1:
        raise ValueError(f"x must have at least one time step, got shape {x.shape} for (B, T, D).")
    H = len(arguments.array("U", U, ("H", f"{gates}H" if gates > 1 else "H")))
    arrays = {
        "x": x,
        "U": arguments.array("U", U, (H, gates * H)),  # before W and b, which are held against its H
        "W": arguments.array("W", W, (D, gates * H)),
        "b": arguments.array("b", b, (gates * H,)),
    } | {name: arguments.array(name, s, (B, H)) for name, s in initial.items() if s is not None}
    for name, value in arrays.items():
        if not np.issubdtype(value.dtype, np.floating):
            raise TypeError(f"{name} must hold floating-point numbers, got {value.dtype}.")
    dtype = np.result_type(*arrays.values())
    arrays = {name: np.zeros((B, H)) for name in initial} | arrays
    return [arrays[name].astype(dtype) for name in ("x", "W", "U", "b", *initial)]
