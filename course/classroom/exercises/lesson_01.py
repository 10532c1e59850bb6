"""Checks of lesson 01. Reading on spoils the exercises."""

from course.classroom import checks
import numpy as np


def _problem(seed=0, B=2, T=5, D=4, H=3):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(B, T, D)), rng.normal(size=(D, H)), rng.normal(size=(H, H)), rng.normal(size=H)


def _step(x_t, h, W, U, b):
    return np.tanh(x_t @ W + h @ U + b)


def one_step(attempt):
    """Check h_t = tanh(x_t W + h U + b)."""
    cases = []
    for seed in range(3):
        x, W, U, b = _problem(seed)
        h = np.random.default_rng(seed + 10).normal(size=(2, 3))
        cases.append((x[:, 0], h, W, U, b))
    mistakes = [
        (lambda x_t, h, W, U, b: x_t @ W + h @ U + b, "The tanh is missing."),
        (lambda x_t, h, W, U, b: np.tanh(x_t @ W + h @ U), "The bias b is missing."),
        (lambda x_t, h, W, U, b: np.tanh(x_t @ W + b), "The state is not used: where does h U come in?"),
        (lambda x_t, h, W, U, b: np.tanh(h @ U + b), "The input is not used: where does x_t W come in?"),
        (
            lambda x_t, h, W, U, b: np.tanh(x_t @ W + h @ U.T + b),
            "U is transposed: states are rows here, so the product is h @ U, not U @ h.",
        ),
        (lambda x_t, h, W, U, b: np.tanh(x_t @ W + h * np.diag(U) + b), "h U is a matrix product: h @ U, not h * U."),
        (lambda x_t, h, W, U, b: np.tanh(x_t @ W) + h @ U + b, "The tanh goes around the whole sum, not one part."),
        (lambda x_t, h, W, U, b: np.tanh(x_t @ W + h @ U) + b, "The bias belongs inside the tanh."),
        (
            lambda x_t, h, W, U, b: 1 / (1 + np.exp(-(x_t @ W + h @ U + b))),
            "This is the sigmoid; the RNN here uses tanh.",
        ),
    ]
    return checks.function(attempt, _step, cases, mistakes=mistakes, praise="Correct: that is all an RNN computes.")


def _unroll(x, W, U, b, carry=True):
    h, states = np.zeros((len(x), len(b))), []
    for t in range(x.shape[1]):
        new = _step(x[:, t], h, W, U, b)
        states.append(new)
        h = new if carry else h
    return np.stack(states, axis=1)


def unroll(attempt):
    """Check all states h (B, T, H) of an RNN started at zero."""

    def with_h0(x, W, U, b):
        return np.concatenate([np.zeros((len(x), 1, len(b))), _unroll(x, W, U, b)], axis=1)

    mistakes = [
        (
            lambda *a: _unroll(*a, carry=False),
            "Every step starts from h_0: hand the new state on with h = ... inside the loop.",
        ),
        (lambda *a: _unroll(*a)[:, -1], "This is the last state only; keep every h_t in a list."),
        (with_h0, "h_0 is in the result: it is the start, not a step. Append after the update."),
        (lambda *a: with_h0(*a)[:, :-1], "Off by one: you append h before it is updated, so h_0 comes first."),
        (
            lambda *a: _unroll(*a).swapaxes(0, 1),
            "The axes are (T, B, H); expected is (B, T, H): np.stack(states, axis=1).",
        ),
        (lambda x, *w: _unroll(x[:, ::-1], *w), "The inputs are read backwards: t goes from first to last."),
    ]
    cases = [_problem(seed) for seed in range(3)]
    return checks.function(attempt, _unroll, cases, mistakes=mistakes, time_axis=1)


def number_of_weights(answer):
    """Check the number of weights of SimpleRNN(20) on 4 features with Dense(3)."""
    D, T, H, out = 4, 50, 20, 3
    rnn, dense = D * H + H * H + H, H * out + out
    mistakes = [
        (rnn, "That is the recurrent layer. The Dense(3) has weights too."),
        (dense, "That is the Dense(3). The recurrent layer has weights too."),
        (rnn + dense - H - out, "The biases are missing, in both layers."),
        (rnn + dense - out, "The bias of the Dense(3) is missing."),
        (rnn + dense - H, "The bias of the recurrent layer is missing."),
        (D * H + H + dense, "The recurrent matrix U is missing: every unit feeds every unit."),
        (D * H + H + H + dense, "U connects every unit with every unit, not only with itself: H × H weights."),
        (T * rnn + dense, "The weights are shared over time: T does not come in."),
        (rnn + T * dense, "The read-out is applied to the last state, once; and it would be shared, too."),
        (T * D * H + H * H + H + dense, "W is shared over time, too: T does not come in."),
    ]
    praise = "Correct, and the same for 50 steps or for 5,000."
    return checks.value(answer, rnn + dense, mistakes=mistakes, praise=praise)
