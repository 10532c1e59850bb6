"""The NumPy forward passes, held against hand arithmetic and Keras' own layers."""

from course.by_hand import ACTIVATIONS, gru_forward, lstm_forward, rnn_forward, sigmoid
import keras
import numpy as np
import pytest

B, T, D, H = 2, 3, 4, 5


def draw(seed, gates, dtype="float32", states=1):
    """Return x, [W, U, b] and initial states: random, none of them zero."""
    rng = np.random.default_rng(seed)
    shapes = [(B, T, D), (D, gates * H), (H, gates * H), (gates * H,)] + [(B, H)] * states
    x, W, U, b, *initial = (rng.normal(0, 0.7, shape).astype(dtype) for shape in shapes)
    return x, [W, U, b], initial


def run_keras(layer, x, weights, initial):
    """Return what a Keras layer with these weights gives from these initial states."""
    layer.build(x.shape)
    layer.set_weights(weights)
    return [keras.ops.convert_to_numpy(value) for value in layer(x, initial_state=initial)]


def test_rnn_forward_equals_hand_arithmetic():
    x = np.array([[[1.0], [2.0]]])
    h = rnn_forward(x, np.array([[0.5]]), np.array([[3.0]]), np.array([-1.0]), np.array([[0.25]]), "linear")
    # h_1 = 1 · .5 + .25 · 3 − 1 = .25 and h_2 = 2 · .5 + .25 · 3 − 1 = .75
    np.testing.assert_array_equal(h, [[[0.25], [0.75]]])


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_rnn_forward_equals_keras_simple_rnn_with_copied_weights(activation):
    x, weights, (h0,) = draw(1, gates=1)
    layer = keras.layers.SimpleRNN(H, activation=activation, return_sequences=True, return_state=True)
    h, _ = run_keras(layer, x, weights, [h0])
    np.testing.assert_allclose(rnn_forward(x, *weights, h0, activation), h, rtol=1e-6, atol=1e-6)


def test_lstm_forward_equals_keras_lstm_with_copied_weights():
    x, weights, initial = draw(2, gates=4, states=2)
    layer = keras.layers.LSTM(H, return_sequences=True, return_state=True)
    h, _, last_c = run_keras(layer, x, weights, initial)
    states = lstm_forward(x, *weights, *initial)
    np.testing.assert_allclose(states.h, h, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(states.c[:, -1], last_c, rtol=1e-6, atol=1e-6)


def test_gru_forward_equals_keras_gru_with_copied_weights():
    x, weights, initial = draw(3, gates=3)
    layer = keras.layers.GRU(H, reset_after=False, return_sequences=True, return_state=True)
    h, _ = run_keras(layer, x, weights, initial)
    np.testing.assert_allclose(gru_forward(x, *weights, *initial).h, h, rtol=1e-6, atol=1e-6)


def test_lstm_gates_are_written_in_the_order_i_f_g_o():
    bias = np.log([3.0, 1.0, 1.0, 1 / 3])  # i = 3/4, f = 1/2, o = 1/4; g = tanh(0 + x)
    W = np.array([[0.0, 0.0, 1.0, 0.0]])
    s = lstm_forward(np.array([[[2.0]]]), W, np.zeros((1, 4)), bias, np.array([[9.0]]), np.array([[8.0]]))
    np.testing.assert_allclose([v.item() for v in (s.i, s.f, s.g, s.o)], [0.75, 0.5, np.tanh(2), 0.25], rtol=1e-15)
    np.testing.assert_allclose(s.c.item(), 0.5 * 8 + 0.75 * np.tanh(2), rtol=1e-15)
    np.testing.assert_allclose(s.h.item(), 0.25 * np.tanh(s.c.item()), rtol=1e-15)


def test_gru_gates_are_written_in_the_order_z_r_h_and_z_keeps_the_past():
    bias = np.array([np.log(3.0), -np.log(3.0), 0.5])  # z = 3/4, r = 1/4
    U = np.array([[0.0, 0.0, 2.0]])
    s = gru_forward(np.array([[[0.0]]]), np.zeros((1, 3)), U, bias, np.array([[0.8]]))
    g = np.tanh(0.25 * 0.8 * 2 + 0.5)
    np.testing.assert_allclose([v.item() for v in (s.z, s.r, s.g)], [0.75, 0.25, g], rtol=1e-15)
    np.testing.assert_allclose(s.h.item(), 0.75 * 0.8 + 0.25 * g, rtol=1e-15)


@pytest.mark.parametrize("forward", [rnn_forward, gru_forward, lstm_forward])
def test_states_start_at_zero_unless_given(forward):
    gates = {rnn_forward: 1, gru_forward: 3, lstm_forward: 4}[forward]
    x, weights, _ = draw(4, gates)
    zeros = [np.zeros((B, H), "float32")] * (2 if gates == 4 else 1)
    np.testing.assert_array_equal(np.asarray(forward(x, *weights)), np.asarray(forward(x, *weights, *zeros)))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize(("forward", "gates"), [(rnn_forward, 1), (gru_forward, 3), (lstm_forward, 4)])
def test_the_float_type_given_is_the_float_type_returned(forward, gates, dtype):
    x, weights, _ = draw(5, gates, dtype)
    assert np.asarray(forward(x, *weights)).dtype == dtype


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_derivatives_agree_with_finite_differences(name):
    φ, derivative = ACTIVATIONS[name]
    a = np.array([-2.0, -0.3, 0.4, 1.7])
    np.testing.assert_allclose(derivative(φ(a)), (φ(a + 1e-6) - φ(a - 1e-6)) / 2e-6, rtol=1e-8)


def test_sigmoid_neither_overflows_nor_loses_its_small_values():
    np.testing.assert_allclose(sigmoid(np.array([-800.0, -40.0, 0.0, 800.0])), [0, np.exp(-40), 0.5, 1], rtol=1e-14)


x0, (W0, U0, b0), _ = draw(6, gates=1)
W4, U4, b4 = draw(6, gates=4)[1]
W3, U3, b3 = draw(6, gates=3)[1]


@pytest.mark.parametrize(
    ("error", "name", "call"),
    [
        (ValueError, "x", lambda: rnn_forward(x0[0], W0, U0, b0)),
        (ValueError, "x", lambda: rnn_forward(x0[:, :0], W0, U0, b0)),
        (ValueError, "W", lambda: rnn_forward(x0, W0[1:], U0, b0)),
        (ValueError, "W", lambda: rnn_forward(x0, W0.T, U0, b0)),
        (ValueError, "U", lambda: rnn_forward(x0, W0, U0[:, 1:], b0)),
        (ValueError, "b", lambda: rnn_forward(x0, W0, U0, b0[None])),
        (ValueError, "h0", lambda: rnn_forward(x0, W0, U0, b0, b0)),
        (ValueError, "activation", lambda: rnn_forward(x0, W0, U0, b0, activation="softplus")),
        (TypeError, "x", lambda: rnn_forward(x0.astype(int), W0, U0, b0)),
        (TypeError, "U", lambda: rnn_forward(x0, W0, U0.astype(int), b0)),
        (ValueError, "W", lambda: lstm_forward(x0, W0, U4, b4)),
        (ValueError, "c0", lambda: lstm_forward(x0, W4, U4, b4, c0=x0)),
        (ValueError, "b", lambda: gru_forward(x0, W3, U3, np.stack([b3, b3]))),
        (ValueError, "U", lambda: gru_forward(x0, W3, U0, b3)),
    ],
)
def test_bad_arguments_are_named(error, name, call):
    with pytest.raises(error, match=rf"^{name} must"):
        call()
