"""Checks of lesson 01. Reading on spoils the exercises."""

from course.by_hand.forward import sigmoid
from course.classroom import checks
import numpy as np

SIZES = (2, 5, 4, 3), (3, 4, 2, 5), (1, 2, 3, 2)  # B, T, D, H


def _problem(seed, sizes):
    B, T, D, H = sizes
    rng = np.random.default_rng(seed)
    return rng.normal(size=(B, T, D)), rng.normal(size=(D, H)), rng.normal(size=(H, H)), rng.normal(size=H)


def _sequences():
    return [_problem(seed, sizes) for seed, sizes in enumerate(SIZES)]


def _steps():
    h = [np.random.default_rng(10 + len(b)).normal(size=(len(x), len(b))) for x, _, _, b in _sequences()]
    return [(x[:, 0], h, W, U, b) for h, (x, W, U, b) in zip(h, _sequences(), strict=True)]


ROWS = "sequences are rows here, so the input stands on the left: x_t @ W and h @ U."


@checks.function(
    _steps,
    mistakes=[
        (lambda x_t, h, W, U, b: x_t @ W + h @ U + b, "The tanh is missing."),
        (lambda x_t, h, W, U, b: np.tanh(x_t @ W + h @ U), "The bias b is missing."),
        (lambda x_t, h, W, U, b: np.tanh(x_t @ W + h @ U - b), "The bias is added, not taken off."),
        (lambda x_t, h, W, U, b: np.tanh(x_t @ W + b), "The state is not used: where does h U come in?"),
        (lambda x_t, h, W, U, b: np.tanh(h @ U + b), "The input is not used: where does x_t W come in?"),
        (
            lambda x_t, h, W, U, b: np.tanh(x_t @ W + h @ U.T + b),
            "U is transposed: states are rows here, so the product is h @ U, not U @ h.",
        ),
        (lambda x_t, h, W, U, b: np.tanh(x_t @ W + h + b), "The state goes through U: h @ U."),
        (lambda x_t, h, W, U, b: np.tanh(x_t @ W + h * np.diag(U) + b), "h U is a matrix product: h @ U, not h * U."),
        (lambda x_t, h, W, U, b: np.tanh(x_t @ W) + h @ U + b, "The tanh goes around the whole sum, not one part."),
        (
            lambda x_t, h, W, U, b: np.tanh(x_t @ W) + np.tanh(h @ U) + b,
            "One tanh goes around the whole sum, not one around each part.",
        ),
        (
            lambda x_t, h, W, U, b: np.tanh(x_t @ W) + np.tanh(h @ U) + np.tanh(b),
            "One tanh goes around the whole sum; here there are three.",
        ),
        (lambda x_t, h, W, U, b: np.tanh(x_t @ W + h @ U) + b, "The bias belongs inside the tanh."),
        (
            lambda x_t, h, W, U, b: h + np.tanh(x_t @ W + h @ U + b),
            "The new state replaces the old one: no h is added.",
        ),
        (lambda x_t, h, W, U, b: sigmoid(x_t @ W + h @ U + b), "This is the sigmoid; the RNN here uses tanh."),
        (lambda x_t, h, W, U, b: np.maximum(x_t @ W + h @ U + b, 0), "This is the ReLU; the RNN here uses tanh."),
        (lambda x_t, h, W, U, b: np.tanh(W @ x_t + U @ h + b), f"W @ x_t and U @ h do not fit: {ROWS}"),
        (lambda x_t, h, W, U, b: np.tanh(x_t * W + h @ U + b), "x_t W is a matrix product: @, not *."),
        (lambda x_t, h, W, U, b: np.tanh(x_t @ W + h * U + b), "h U is a matrix product: @, not *."),
        (lambda x_t, h, W, U, b: np.tanh(h @ W + x_t @ U + b), "W belongs to the input x_t, and U to the state h."),
        (lambda x_t, h, W, U, b: np.tanh(W.T @ x_t.T + U.T @ h.T + b), f"You have turned everything round: {ROWS}"),
    ],
    hints=[
        "It is the formula of section 1, with @ for a product of matrices.",
        "x_t (B, D) @ W (D, H) is (B, H), and so is h (B, H) @ U (H, H); b (H,) is added to every row.",
        "np.tanh goes around the whole sum.",
    ],
    praise="Correct: that is all an RNN computes.",
)
def one_step(x_t, h, W, U, b):
    return np.tanh(x_t @ W + h @ U + b)


def _unroll(x, W, U, b, carry=True, act=np.tanh, start=0.0):
    h, states = np.full((len(x), len(b)), start), []
    for t in range(x.shape[1]):
        new = act(x[:, t] @ W + h @ U + b)
        states.append(new)
        h = new if carry else h
    return np.stack(states, axis=1)


def _with_h0(x, W, U, b):
    return np.concatenate([np.zeros((len(x), 1, len(b))), _unroll(x, W, U, b)], axis=1)


def _delayed(x):
    return np.concatenate([0 * x[:, :1], x[:, :-1]], axis=1)


@checks.function(
    _sequences,
    mistakes=[
        (
            lambda *a: _unroll(*a, carry=False),
            "Every step starts from h_0: hand the new state on with h = ... inside the loop.",
        ),
        (lambda *a: _unroll(*a)[:, -1], "This is the last state only; keep every h_t in a list."),
        (lambda *a: _unroll(*a)[:, :1], "This is the first state only: is the `return` inside the loop?"),
        (lambda *a: _unroll(*a)[:, 0], "This is the first state only: is the `return` inside the loop?"),
        (_with_h0, "h_0 is in the result: it is the start, not a step. Append after the update."),
        (lambda *a: _with_h0(*a)[:, :-1], "Off by one: you append h before it is updated, so h_0 comes first."),
        (
            lambda *a: _unroll(*a).swapaxes(0, 1),
            "The axes are (T, B, H); expected is (B, T, H): np.stack(states, axis=1).",
        ),
        (lambda *a: _unroll(*a).swapaxes(1, 2), "The axes are (B, H, T); expected is (B, T, H)."),
        (lambda *a: np.concatenate(list(_unroll(*a).swapaxes(0, 1)), axis=1), "np.stack makes a new axis for time."),
        (lambda x, *w: _unroll(x[:, ::-1], *w), "The inputs are read backwards: t goes from first to last."),
        (
            lambda *a: np.repeat(_unroll(*a)[:, -1:], a[0].shape[1], axis=1),
            "Every step shows the last state: the list holds one array many times, overwritten by h[:] = ... "
            "Make a new one with h = ...",
        ),
        (lambda x, *w: _unroll(np.roll(x, 1, axis=1), *w), "x[:, t-1] is the input of the step before: use x[:, t]."),
        (lambda x, *w: _unroll(_delayed(x), *w), "Step t reads the input of step t − 1: use x[:, t]."),
        (lambda x, *w: _unroll(0 * x + x[:, :1], *w), "Every step reads the first input: use x[:, t]."),
        (lambda *a: _unroll(*a, act=lambda a: a), "The tanh is missing."),
        (lambda x, W, U, b: _unroll(x, W, U, 0 * b), "The bias b is missing."),
        (lambda x, W, U, b: _unroll(x, W, U.T, b), "U is transposed: the product is h @ U."),
        (lambda *a: _unroll(*a, start=1.0), "h_0 is to be 0, not 1."),
    ],
    hints=[
        "Start with h = np.zeros((B, H)) and an empty list; the step is that of exercise 1, with x[:, t] as x_t.",
        "In the loop over t, first h = ... (a new array), then append h.",
        "np.stack(states, axis=1) makes (B, T, H) of the list.",
    ],
    time="forwards",
)
def unroll(x, W, U, b):
    return _unroll(x, W, U, b)


D, T, H, OUT = 4, 50, 20, 3
RNN, DENSE = D * H + H * H + H, H * OUT + OUT
SHARED = "The weights are shared over time: T does not come in."
number_of_weights = checks.value(
    "number_of_weights",
    RNN + DENSE,
    mistakes=[
        (RNN, "That is the recurrent layer. The Dense(3) has weights too."),
        (DENSE, "That is the Dense(3). The recurrent layer has weights too."),
        (RNN + DENSE - H - OUT, "The biases are missing, in both layers."),
        (D * H + H * H, "The biases are missing, and the Dense(3) has weights too."),
        (RNN + DENSE - OUT, "The bias of the Dense(3) is missing."),
        (RNN + DENSE - H, "The bias of the recurrent layer is missing."),
        (D * H + H + DENSE, "The recurrent matrix U is missing: every unit feeds every unit."),
        (D * H + H + H + DENSE, "U connects every unit with every unit, not only with itself: H × H weights."),
        (T * (RNN + DENSE), SHARED),
        (T * RNN + DENSE, SHARED),
        (T * (RNN - H) + H + DENSE, SHARED),
        (T * D * H + H * H + H + DENSE, "W is shared over time, too: T does not come in."),
        (RNN + T * DENSE, "The read-out is applied to the last state, once; and it would be shared, too."),
        (RNN + T * H * OUT + OUT, "The Dense(3) sees the last state alone, not all 50."),
        (4 * RNN + DENSE, "That is an LSTM, with four layers; SimpleRNN has one."),
    ],
    hints=[
        "Two layers: count the SimpleRNN(20) and the Dense(3) apart. Which arrays does each hold?",
        "SimpleRNN: W (D, H), U (H, H), b (H,). There is no T in it.",
        "Dense(3) on one state: H · 3 weights and 3 biases.",
    ],
    praise="Correct, and the same for 50 steps or for 5,000.",
)
