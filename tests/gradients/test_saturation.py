"""Saturation of units and gates, against NumPy by hand."""

from course.gradients import saturation
from course.layers import GRUCell, LSTMCell, MinGRUCell, PeepholeLSTMCell, ResidualCell, RNNCell
import keras
from keras import layers
import numpy as np
import pytest

B, T, D, H = 4, 6, 3, 5
rng = np.random.default_rng(0)
X = rng.normal(size=(B, T, D)).astype("float32")
MASK = np.arange(T) < np.array([6, 4, 2, 5])[:, None]


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def rnn(w, x, s, kind):
    W, U, b = w
    h = np.tanh(x @ W + s[0] @ U + b)
    return [h], {"h": h}


def lstm(w, x, s, kind):
    W, U, *p, b = w if kind != "peephole" else (w[0], w[1], w[3], w[2])
    p = p[0] if p else np.zeros((3, H))
    i, f, g, o = np.split(x @ W + s[0] @ U + b, 4, -1)
    i, f, g = sigmoid(i + p[0] * s[1]), sigmoid(f + p[1] * s[1]), np.tanh(g)
    c = f * s[1] + i * g
    o = sigmoid(o + p[2] * c)
    return [o * np.tanh(c), c], {"i": i, "f": f, "g": g, "o": o, "h": o * np.tanh(c)}


def gru(w, x, s, kind):
    (W, U, b), (h,) = w, s
    b_x, b_h = b if b.ndim == 2 else (b, 0 * b)
    x_z, x_r, x_n = np.split(x @ W + b_x, 3, -1)
    h_z, h_r, h_n = np.split(h @ U + b_h, 3, -1)
    z, r = sigmoid(x_z + h_z), sigmoid(x_r + h_r)
    n = np.tanh(x_n + (r * h_n if b.ndim == 2 else (r * h) @ np.split(U, 3, -1)[2]))
    h = z * h + (1 - z) * n
    return [h], {"z": z, "r": r, "n": n, "h": h}


def min_gru(w, x, s, kind):
    (W, b), (h,) = w, s
    z, n = np.split(x @ W + b, 2, -1)
    z = sigmoid(z)
    return [(1 - z) * h + z * n], {"z": z}


CASES = {
    "SimpleRNN": (lambda: layers.SimpleRNN(H), rnn, 1),
    "LSTM": (lambda: layers.LSTM(H), lstm, 2),
    "GRU": (lambda: layers.GRU(H), gru, 1),
    "reset before": (lambda: layers.GRU(H, reset_after=False), gru, 1),
    "RNNCell": (lambda: layers.RNN(RNNCell(H)), rnn, 1),
    "LSTMCell": (lambda: layers.RNN(LSTMCell(H)), lstm, 2),
    "peephole": (lambda: layers.RNN(PeepholeLSTMCell(H)), lstm, 2),
    "GRUCell": (lambda: layers.RNN(GRUCell(H)), gru, 1),
    "MinGRUCell": (lambda: layers.RNN(MinGRUCell(H)), min_gru, 1),
    "backwards": (lambda: layers.LSTM(H, go_backwards=True), lstm, 2),
}


@pytest.mark.parametrize("case", CASES)
def test_shares_at_both_ends_equal_those_counted_by_hand(case):
    make, step, number = CASES[case]
    inputs, keep = keras.Input((T, D)), keras.Input((T,), dtype="bool")
    layer = make()
    model = keras.Model([inputs, keep], layer(inputs, mask=keep))
    weights = [rng.normal(0, 1.5, w.shape) for w in layer.get_weights()]
    layer.set_weights(weights)
    states, seen = [np.zeros((B, H))] * number, {}
    for t in reversed(range(T)) if case == "backwards" else range(T):
        new, gates = step(weights, X[:, t], states, case)
        states = [np.where(MASK[:, t, None], n, s) for n, s in zip(new, states, strict=True)]
        for name, value in gates.items():
            seen.setdefault(name, []).append(value[MASK[:, t]])
    found = saturation(model, [X, MASK], margin=0.2)[layer.name]
    assert list(found) == list(seen)
    for name, values in seen.items():
        values = np.concatenate(values)
        low = -1 if name in "ghn" else 0
        expected = np.stack([(values < low + 0.2).mean(0), (values > 0.8).mean(0)], -1)
        np.testing.assert_allclose(found[name], expected, atol=1e-6)


def test_every_layer_of_a_model_is_there_and_what_has_no_ends_is_not():
    model = keras.Sequential(
        [keras.Input((T, D)), layers.Bidirectional(layers.GRU(H, return_sequences=True), name="b")]
    )
    model.add(layers.SimpleRNN(H, "relu", return_sequences=True, name="relu"))
    model.add(layers.RNN(ResidualCell(RNNCell(H)), name="other"))
    with pytest.warns(RuntimeWarning, match="left out: 'other' .a ResidualCell"):
        found = saturation(model, X)
    assert [list(names) for names in found.values()] == [["z", "r", "n", "h"]] * 2 + [[]]
    assert found[f"b/{model.layers[0].forward_layer.name}"]["z"].shape == (H, 2)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"model": layers.LSTM(2)}, TypeError, "model must be a"),
        ({"margin": 0.5}, ValueError, "margin must be below"),
        ({"x": [1.0]}, TypeError, "x must be an array"),
    ],
)
def test_bad_arguments_are_refused(change, error, message):
    model = keras.Sequential([keras.Input((T, D)), layers.LSTM(H)])
    with pytest.raises(error, match=message):
        saturation(**{"model": model, "x": X} | change)
