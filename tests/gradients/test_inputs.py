"""`input_norms` against explicit computations: finite differences, and backpropagation term by term in NumPy."""

from course.by_hand import rnn_forward
from course.gradients import input_norms
import keras
from keras import layers
import numpy as np
import pytest

B, T, D, H, K = 2, 4, 3, 5, 7
TENSORFLOW = keras.backend.backend() == "tensorflow"
COMPILED = [{"jit_compile": False}, {"jit_compile": True}, {"run_eagerly": True, "jit_compile": False}]


def arrays(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype("float32") for shape in shapes]


def series(y_steps=False, **options):
    """An RNN that reads x (B, T, D), with random weights and biases."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((T, D)), layers.SimpleRNN(H, return_sequences=y_steps), layers.Dense(1)])
    moves = arrays(*(w.shape for w in model.weights))
    model.set_weights([w + 0.3 * move for w, move in zip(model.get_weights(), moves, strict=True)])
    model.compile("sgd", "mse", **options)
    return model


def text(rnn=None, batch_size=None, **options):
    """A character model: the next of K characters at every step."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((T,), batch_size, "int32"), layers.Embedding(K, D)])
    model.add(rnn or layers.GRU(H, return_sequences=True))
    model.add(layers.Dense(K))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), **options)
    return model


def slopes(loss, x, step=1e-5):
    """dL/dx by central differences."""
    result = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        moved = np.array([x, x], "float64")
        moved[0][index] += step
        moved[1][index] -= step
        result[index] = (loss(moved[0]) - loss(moved[1])) / (2 * step)
    return result


@pytest.mark.parametrize("options", COMPILED)
def test_norms_of_a_series_equal_finite_differences(options):
    model, (x, y) = series(**options), arrays((B, T, D), (B, 1))
    W, U, b, V, c = (w.astype("float64") for w in model.get_weights())
    expected = slopes(lambda x: np.mean((rnn_forward(x, W, U, b)[:, -1] @ V + c - y) ** 2), x)
    norms = input_norms(model, x, y)
    assert norms.shape == (B, T)
    np.testing.assert_allclose(norms, np.linalg.norm(expected, axis=2), rtol=1e-5)


@pytest.mark.parametrize("options", COMPILED)
def test_norms_of_a_text_are_those_of_the_vectors_looked_up(options):
    model, rng = text(layers.SimpleRNN(H, return_sequences=True), **options), np.random.default_rng(2)
    x, y = rng.integers(K, size=(2, B, T))
    weight = np.zeros((B, T), "float32")
    weight[0, 2], weight[1, 3] = 1.0, 0.5  # of which predictions is asked
    E, W, U, b, V, c = (w.astype("float64") for w in model.get_weights())

    def loss(vectors):
        logits = rnn_forward(vectors, W, U, b) @ V + c
        surprise = np.log(np.exp(logits).sum(-1)) - np.take_along_axis(logits, y[..., None], 2)[..., 0]
        return np.sum(weight * surprise) / weight.size

    norms = input_norms(model, x, y, weight)
    np.testing.assert_allclose(norms, np.linalg.norm(slopes(loss, E[x]), axis=2), rtol=1e-4, atol=1e-9)
    assert norms[0, 3] == 0  # what comes after the prediction has no part in it
    assert (norms[0, :3] > 0).all()
    assert (norms[1] > 0).all()


def test_the_model_stays_as_it_was_and_a_stateful_layer_starts_from_its_present_states():
    model = text(layers.GRU(H, return_sequences=True, stateful=True), 1, jit_compile=not TENSORFLOW)
    before, (x, y) = model.get_weights(), np.random.default_rng(3).integers(K, size=(2, 1, T))
    first = input_norms(model, x, y)
    (states,) = (layer.states for layer in model.layers if getattr(layer, "stateful", False))
    assert (keras.ops.convert_to_numpy(states[0]) == 0).all()
    states[0].assign(np.ones((1, H)))
    moved = input_norms(model, x, y)
    assert np.abs(moved / first - 1).max() > 0.01
    states[0].assign(np.zeros((1, H)))
    np.testing.assert_array_equal(input_norms(model, x, y), first)
    for then, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(then, now)


def test_a_new_compile_and_new_weights_are_noticed():
    model, (x, y) = series(run_eagerly=TENSORFLOW, jit_compile=not TENSORFLOW), arrays((B, T, D), (B, 1))
    first = input_norms(model, x, y)
    model.compile("sgd", lambda y, p: 3 * keras.ops.square(y - p), run_eagerly=TENSORFLOW, jit_compile=not TENSORFLOW)
    np.testing.assert_allclose(input_norms(model, x, y), 3 * first, rtol=1e-5)
    model.set_weights([0 * w for w in model.get_weights()])
    assert (input_norms(model, x, y) == 0).all()


def test_what_cannot_be_measured_is_refused():
    (x, y), whole = arrays((B, T, D), (B, 1)), np.ones((B, T), "int32")
    model = series(run_eagerly=TENSORFLOW)
    with pytest.raises(TypeError, match=r"model must be a keras\.Model, got 'lstm'"):
        input_norms("lstm", x, y)
    with pytest.raises(ValueError, match="model must be compiled, got"):
        input_norms(keras.Sequential([keras.Input((T, D)), layers.LSTM(H)]), x, y)
    unbuilt = keras.Sequential([layers.LSTM(H)])
    unbuilt.compile("sgd", "mse")
    with pytest.raises(ValueError, match="model must be built: call it on data"):
        input_norms(unbuilt, x, y)
    with pytest.raises(ValueError, match=r"x must be one array \(B, T, …\), got shape \(2,\)"):
        input_norms(model, x[:, 0, 0], y)
    with pytest.raises(ValueError, match=r"x must be one array \(B, T, …\), got a dict of inputs"):
        input_norms(model, {"x": x}, y)
    with pytest.raises(ValueError, match="model must have one Embedding where x is of integers, got none"):
        input_norms(model, whole, y)
    with pytest.raises(ValueError, match="same number of sequences"):
        input_norms(model, x, y[:1])
    hidden = keras.Sequential([keras.Input((T,), dtype="int32"), Shortened(K, D), layers.LSTM(H), layers.Dense(1)])
    hidden.compile("sgd", "mse", run_eagerly=TENSORFLOW)
    with pytest.raises(
        ValueError, match=r"must look x of shape \(2, 4\) up in .* got vectors of shapes \[\(2, 3, 3\)\]"
    ):
        input_norms(hidden, whole, y)


class Shortened(layers.Embedding):
    """Looks up all numbers but the first."""

    def call(self, inputs):
        return super().call(inputs[:, 1:])

    def compute_output_shape(self, input_shape):
        return (input_shape[0], T - 1, D)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor((inputs.shape[0], T - 1, D))
