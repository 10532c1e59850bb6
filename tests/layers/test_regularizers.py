"""Omega is held against a slow computation in NumPy, float64, sequence by sequence and step by step."""

from course.layers import LSTMCell, OmegaCell, Orthogonality, RNNCell
import keras
import numpy as np
import pytest

TENSORFLOW = keras.backend.backend() == "tensorflow"
B, T, D, H = 3, 6, 2, 5
DERIVATIVE = {"tanh": lambda h: 1 - h**2, "sigmoid": lambda h: h * (1 - h), "linear": np.ones_like}
ACTIVATION = {"tanh": np.tanh, "sigmoid": lambda a: 1 / (1 + np.exp(-a)), "linear": lambda a: a}


def net(cell, sequences=False, optimizer=None, jit=not TENSORFLOW):
    inputs = keras.Input((T, D))
    h = keras.layers.RNN(cell, return_sequences=sequences, name="rnn")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1, name="out")(h))
    # SGD with step 1: the weights before minus the weights after are the gradient
    model.compile(optimizer or keras.optimizers.SGD(1.0), "mse", jit_compile=jit)
    return model


def weights(rng, activation="tanh"):
    """Return W, U, b, V, x, y, all random and not zero; in the linear case U is orthogonal."""
    W, U, b, V = (rng.normal(size=shape) for shape in ((D, H), (H, H), (H,), (H, 1)))
    U = np.linalg.qr(U)[0] if activation == "linear" else 0.8 * U
    return W, U, b, V, rng.normal(size=(B, T, D)), rng.normal(size=(B, 1))


def slow_omega(W, U, b, V, x, y, activation, weight):
    """Return Omega and the gradient of E + weight Omega with respect to U: E the mean over B of (h_T V - y)^2."""
    omega, dU = 0.0, np.zeros_like(U)
    for x_b, y_b in zip(x, y, strict=True):
        h = [np.zeros(H)]
        for t in range(T):
            h.append(ACTIVATION[activation](x_b[t] @ W + h[-1] @ U + b))
        g = 2 * (h[T] @ V - y_b) @ V.T / B
        for t in range(T, 0, -1):
            slope = DERIVATIVE[activation](h[t])
            jacobian = np.array([[slope[j] * U[i, j] for i in range(H)] for j in range(H)])  # dh_t[j] / dh_{t-1}[i]
            v = g @ jacobian
            ratio = np.linalg.norm(v) / np.linalg.norm(g)
            omega += (ratio - 1) ** 2 / B
            dU += np.outer(h[t - 1], g * slope)
            for i in range(H):
                for j in range(H):
                    step = 1e-6  # U moves where it stands in v; g, h and the slope stay
                    moved = [v + sign * step * g[j] * slope[j] * np.eye(H)[i] for sign in (1, -1)]
                    up, down = ((np.linalg.norm(m) / np.linalg.norm(g) - 1) ** 2 for m in moved)
                    dU[i, j] += weight * (up - down) / (2 * step) / B
            g = v
    return omega, dU


def trained(cell, W, U, b, V, x, y, **options):
    """Return the cell's Omega and the gradient of U as one step of fit in float32 finds them."""
    model = net(cell, **options)
    cell.cell.set_weights([W, U, b])
    model.get_layer("out").set_weights([V, np.zeros(1)])
    model.fit(x, y, batch_size=B, verbose=0)
    return float(cell.omega), U - cell.cell.get_weights()[1]


@pytest.mark.parametrize(("activation", "jit"), [("tanh", True), ("sigmoid", not TENSORFLOW)])
def test_omega_and_its_gradient_agree_with_a_slow_explicit_computation(activation, jit):
    given = weights(np.random.default_rng(1))
    omega, dU = slow_omega(*given, activation, weight=0.7)
    got_omega, got_dU = trained(OmegaCell(RNNCell(H, activation=activation), weight=0.7), *given, jit=jit)
    assert got_omega == pytest.approx(omega, rel=1e-5)
    np.testing.assert_allclose(got_dU, dU, rtol=1e-4, atol=1e-5)  # float32 U minus float32 U
    assert np.abs(dU - slow_omega(*given, activation, weight=0)[1]).max() > 0.01  # Omega's own part is no rounding


def test_omega_of_an_orthogonal_linear_recurrence_is_zero():
    given = weights(np.random.default_rng(2), "linear")
    cell = OmegaCell(keras.layers.SimpleRNNCell(H, activation="linear"), weight=4.0)
    omega, dU = trained(cell, *given)
    assert 0 <= omega < 1e-10
    np.testing.assert_allclose(dU, slow_omega(*given, "linear", weight=0)[1], rtol=1e-4, atol=1e-4)


def test_a_scaled_rotation_has_the_omega_worked_out_by_hand():
    W, _, b, V, x, y = weights(np.random.default_rng(3), "linear")
    U = 1.5 * np.linalg.qr(np.random.default_rng(4).normal(size=(H, H)))[0]
    omega, _ = trained(OmegaCell(RNNCell(H, activation="linear")), W, U, b, V, x, y)
    assert omega == pytest.approx(T * 0.5**2, rel=1e-5)  # every step stretches the gradient by 1.5


def test_steps_without_a_gradient_count_nothing():
    W, U, b, V, x, y = weights(np.random.default_rng(5))
    omega, dU = trained(OmegaCell(RNNCell(H), weight=4.0), W, U, b, 0 * V, x, y)
    assert omega == 0
    assert np.abs(dU).max() < 1e-6  # U was rounded to float32


def test_omega_teaches_a_shrinking_recurrence_to_keep_its_gradients():
    W, U, b, _, x, y = weights(np.random.default_rng(6), "linear")
    omega = {}
    for weight in (1e-9, 1.0):
        cell = OmegaCell(RNNCell(H, activation="linear"), weight=weight)
        model = net(cell, optimizer=keras.optimizers.Adam(0.02, global_clipnorm=1.0))
        cell.cell.set_weights([W, 0.5 * U, b])
        model.fit(np.tile(x, (40, 1, 1)), np.tile(y, (40, 1)), batch_size=B, shuffle=False, verbose=0)  # 40 steps
        omega[weight] = float(cell.omega)
    assert omega[1.0] < 0.2 * omega[1e-9]  # at the start both are T (0.5 - 1)^2 = 1.5


def test_the_wrapped_cell_computes_what_it_computes_alone():
    rng = np.random.default_rng(7)
    cell, x, h = RNNCell(H), rng.normal(size=(B, T, D)).astype("float32"), rng.normal(size=(B, H)).astype("float32")
    cell.build((B, D))
    cell.set_weights([rng.normal(size=w.shape) for w in cell.weights])
    alone = keras.layers.RNN(cell, return_sequences=True)(x, initial_state=h)
    wrapped = keras.layers.RNN(OmegaCell(cell), return_sequences=True)(x, initial_state=h)
    assert float(keras.ops.max(keras.ops.abs(wrapped - alone))) < 1e-6


def test_a_saved_model_loads_with_the_same_outputs_and_the_same_weight(tmp_path):
    model = net(OmegaCell(RNNCell(H), weight=0.3), sequences=True)
    x = np.random.default_rng(8).normal(size=(B, T, D)).astype("float32")
    model.save(tmp_path / "omega.keras")
    again = keras.saving.load_model(tmp_path / "omega.keras")
    assert again.get_layer("rnn").cell.weight == 0.3
    np.testing.assert_array_equal(again(x), model(x))


def test_orthogonality_is_the_squared_distance_of_u_transposed_u_from_the_identity():
    U = np.random.default_rng(9).normal(size=(H, 2 * H)).astype("float32")
    wanted = sum(np.linalg.norm(G.T @ G - np.eye(H)) ** 2 for G in (U[:, :H], U[:, H:]))
    assert float(Orthogonality(0.5)(keras.ops.convert_to_tensor(U))) == pytest.approx(0.5 * wanted, rel=1e-5)


def test_orthogonality_comes_back_from_its_config():
    again = keras.regularizers.deserialize(keras.regularizers.serialize(Orthogonality(0.25)))
    assert isinstance(again, Orthogonality)
    assert again.weight == 0.25


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: OmegaCell(LSTMCell(3)), TypeError, "cell must be an RNNCell"),
        (lambda: OmegaCell(keras.layers.SimpleRNN(3)), TypeError, "cell must be an RNNCell"),
        (lambda: OmegaCell(None), TypeError, "cell must be an RNNCell"),
        (lambda: OmegaCell(RNNCell(3, dropout=0.1)), ValueError, "cell must have no dropout"),
        (lambda: OmegaCell(RNNCell(3, recurrent_dropout=0.1)), ValueError, "cell must have no dropout"),
        (
            lambda: keras.layers.RNN(OmegaCell(RNNCell(3), dtype="mixed_float16"))(np.ones((1, 2, 3))),
            ValueError,
            "dtype must not be float16",
        ),
        (lambda: OmegaCell(RNNCell(3), weight=0), ValueError, "weight must be above 0"),
        (lambda: OmegaCell(RNNCell(3), weight="4"), TypeError, "weight must be a number"),
        (lambda: OmegaCell(RNNCell(3), weight=float("nan")), ValueError, "weight must be finite"),
        (lambda: Orthogonality(-1), ValueError, "weight must be above 0"),
        (lambda: Orthogonality()(np.ones((3, 4), "float32")), ValueError, "U must have shape"),
        (lambda: Orthogonality()(np.ones(3, "float32")), ValueError, "U must have shape"),
    ],
)
def test_bad_input_is_named(make, error, message):
    with pytest.raises(error, match=message):
        make()
