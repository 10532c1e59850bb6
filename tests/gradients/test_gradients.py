import gc
import pickle
import weakref

from course.gradients import state_jacobian, time_step_norms
from course.layers import LSTMCell, RNNCell, SkipCell, SkipRNN
import keras
from keras import layers
import numpy as np
import pytest

B, T, D, H = 2, 3, 4, 5
TENSORFLOW = keras.backend.backend() == "tensorflow"
# For oracles, and where names and shapes are tested and not a compiled step: tracing it takes longer than the steps.
EAGER = {"run_eagerly": TENSORFLOW, "jit_compile": not TENSORFLOW}


def random_weights(model, seed=0, scale=0.6):
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(0, scale, w.shape) for w in model.get_weights()])
    return model


def build(inputs, outputs, loss="mse", **options):
    model = random_weights(keras.Model(inputs, outputs))
    model.compile("sgd", loss, **({"jit_compile": not TENSORFLOW} | options))
    return model


def data(seed=1, steps=T):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(B, steps, D)).astype("float32"), rng.normal(size=(B, 1)).astype("float32")


# The oracle: the same layers unrolled in NumPy, in float64, with e_t added to every state that is computed, and central
# differences of the loss with respect to every element of every e_t.
def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def rnn_step(x, states, weights):
    W, U, b = weights
    h = np.tanh(x @ W + states[0] @ U + b)
    return [h]


def lstm_step(x, states, weights):
    W, U, b = weights
    i, f, g, o = np.split(x @ W + states[0] @ U + b, 4, axis=-1)
    c = sigmoid(f) * states[1] + sigmoid(i) * np.tanh(g)
    return [lambda c: sigmoid(o) * np.tanh(c), c]  # h_t is computed from the c_t that e_t has not touched


def gru_step(x, states, weights):
    (W, U, (b_x, b_h)), (h,) = weights, states
    x_z, x_r, x_n = np.split(x @ W + b_x, 3, axis=-1)
    h_z, h_r, h_n = np.split(h @ U + b_h, 3, axis=-1)
    z = sigmoid(x_z + h_z)
    return [z * h + (1 - z) * np.tanh(x_n + sigmoid(x_r + h_r) * h_n)]


STEPS = {"SimpleRNN": (rnn_step, 1), "LSTM": (lstm_step, 2), "GRU": (gru_step, 1)}


def unrolled(kind, weights, x, e, mask=None, backwards=False, start=None):
    """h_t (B, T, H) in the order of the input; e: one (B, T, H) per state."""
    step, number = STEPS[kind]
    states = start or [np.zeros_like(e[0][:, 0])] * number
    out = np.zeros_like(e[0])
    for t in reversed(range(x.shape[1])) if backwards else range(x.shape[1]):
        new = step(x[:, t], states, weights)
        new[0] = new[0](new[1]) if callable(new[0]) else new[0]
        keep = np.ones((len(x), 1), bool) if mask is None else mask[:, t, None]
        states = [np.where(keep, s + e_k[:, t], old) for s, e_k, old in zip(new, e, states, strict=True)]
        out[:, t] = states[0]
    return out


def finite_differences(loss, e, step=1e-5):
    """‖dL/de_t‖ (T,) for each array (B, T, H) in the list `e`, all of them zero."""
    result = []
    for array in e:
        slope = np.zeros_like(array)
        for index in np.ndindex(array.shape):
            array[index] = step
            above = loss(e)
            array[index] = -step
            slope[index] = (above - loss(e)) / (2 * step)
            array[index] = 0
        result.append(np.sqrt((slope**2).sum((0, 2))))
    return result


def zeros(*units, steps=T):
    return [np.zeros((B, steps, n)) for n in units]


def flat(norms):
    return [values for states in norms.values() for values in states.values()]


def assert_close(norms, expected, rtol=1e-5):
    assert len(flat(norms)) == len(expected)
    for ours, theirs in zip(flat(norms), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=1e-7 * max(map(np.max, expected)))


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("kind", ["SimpleRNN", "LSTM", "GRU"])
def test_norms_equal_finite_differences_of_the_unrolled_model(kind, jit):
    x, y = data()
    inputs = keras.Input((T, D))
    model = build(inputs, layers.Dense(1)(getattr(layers, kind)(H, name="r")(inputs)), jit_compile=jit)
    *weights, W, b = [w.astype("float64") for w in model.get_weights()]

    def loss(e):
        return np.mean((unrolled(kind, weights, x, e)[:, -1] @ W + b - y) ** 2)

    norms = time_step_norms(model, x, y)
    assert list(norms) == ["r"]
    assert list(norms["r"]) == ["h", "c"][: STEPS[kind][1]]
    assert_close(norms, finite_differences(loss, zeros(*[H] * STEPS[kind][1])))


def test_deep_masked_bidirectional_model_with_two_weighted_outputs_equals_finite_differences():
    x, y = data()
    mask = np.array([[True, True, False], [False, True, True]])
    sequences = np.random.default_rng(5).normal(size=(B, T, 2)).astype("float32")
    loss_weights = {"last": 1.0, "each": 0.7}
    weight = {
        "last": np.array([0.3, 2.0], "float32"),
        "each": np.array([[1.5, 0.4, 0.6], [0.2, 0.9, 1.1]], "float32"),
    }
    x *= mask[..., None]
    inputs = keras.Input((T, D))
    both = layers.Bidirectional(layers.LSTM(H, return_sequences=True), name="both")(layers.Masking()(inputs))
    gru = layers.GRU(6, return_sequences=True, name="gru")(both)
    last = layers.Dense(1, name="last")(layers.SimpleRNN(7, name="top")(gru))
    each = layers.Dense(2, name="each")(gru)
    model = build(inputs, {"last": last, "each": each}, {"last": "mse", "each": "mse"}, loss_weights=loss_weights)
    get = {n: [w.astype("float64") for w in model.get_layer(n).get_weights()] for n in ("both", "gru", "top", "last")}
    get["each"] = [w.astype("float64") for w in model.get_layer("each").get_weights()]

    def loss(e):
        forward = unrolled("LSTM", get["both"][:3], x, e[0:2], mask)
        backward = unrolled("LSTM", get["both"][3:], x, e[2:4], mask, backwards=True)
        concatenated = (
            np.concatenate([forward, backward], -1) * mask[..., None]
        )  # Bidirectional zeroes masked outputs
        h = unrolled("GRU", get["gru"], concatenated, e[4:5], mask)
        top = unrolled("SimpleRNN", get["top"], h, e[5:6], mask)[:, -1]
        last = np.mean((top @ get["last"][0] + get["last"][1] - y) ** 2, -1)
        each = np.mean((h @ get["each"][0] + get["each"][1] - sequences) ** 2, -1) * mask
        each *= mask.size / mask.sum()  # Keras averages over the steps that are not masked
        return np.mean(last * weight["last"]) + 0.7 * np.mean(each * weight["each"])

    both = model.get_layer("both")
    both_halves = both.forward_layer.name, both.backward_layer.name
    norms = time_step_norms(model, x, {"last": y, "each": sequences}, weight)
    assert list(norms) == [f"both/{both_halves[0]}", f"both/{both_halves[1]}", "gru", "top"]
    assert_close(norms, finite_differences(loss, zeros(H, H, H, H, 6, 7)))


@pytest.mark.skipif(not TENSORFLOW, reason="the oracle is tf.GradientTape")
def test_stacked_cells_equal_a_tape_over_a_python_loop():
    import tensorflow as tf

    x, y = data(steps=4)
    cells = [layers.LSTMCell(H), layers.GRUCell(6), layers.LSTMCell(7)]
    inputs = keras.Input((4, D))
    rnn = layers.RNN(layers.StackedRNNCells(cells), name="rnn")
    head = layers.Dense(1)
    model = build(inputs, head(rnn(inputs)))
    taps = [[tf.zeros((B, n)) for n in (H, H, 6, 7, 7)] for _ in range(4)]
    with tf.GradientTape() as tape:
        tape.watch(taps)
        states = [[tf.zeros((B, n)) for n in sizes] for sizes in ((H, H), (6,), (7, 7))]
        for t in range(4):
            out, e = x[:, t], iter(taps[t])
            for k, cell in enumerate(cells):
                _, new = cell(out, states[k])
                states[k] = [s + next(e) for s in new]
                out = states[k][0]
        loss = tf.reduce_mean(tf.square(head(out) - y))
    slopes = tape.gradient(loss, taps, unconnected_gradients="zero")
    expected = [np.array([np.linalg.norm(slopes[t][k]) for t in range(4)]) for k in range(5)]
    norms = time_step_norms(model, x, y)
    assert [*norms] == [f"rnn/{cell.name}" for cell in cells]
    assert_close(norms, expected)


def linear_model(steps, factor, rng, **options):
    """h_t = h_{t-1} U + x_t W with U a multiple of an orthogonal matrix: ‖dL/dh_t‖ = factor^(T-t) ‖dL/dh_T‖."""
    model = keras.Sequential([keras.Input((None, D)), layers.SimpleRNN(H, "linear", name="r"), layers.Dense(1)])
    random_weights(model)
    W, U, b, *head = model.get_weights()
    model.set_weights([W, factor * np.linalg.qr(U)[0], 0 * b, *head])
    model.compile("sgd", "mse", **options)
    return model


@pytest.mark.parametrize("factor", [0.96, 1.04])
def test_two_thousand_steps_follow_the_closed_form_down_to_1e_32_and_up_to_1e_32(factor):
    T = 2000
    model = linear_model(T, factor, np.random.default_rng(0), jit_compile=True)
    x, y = data(steps=T)
    x[:, :-20] = 0 if factor > 1 else x[:, :-20]  # the state itself must stay finite
    h = time_step_norms(model, x, y)["r"]["h"]
    distance = np.arange(T)[::-1]
    near = distance < 1900
    expected = h[-1].astype("float64") * factor ** distance.astype("float64")
    np.testing.assert_allclose(h[near], expected[near], rtol=2e-3)  # 2,000 float32 products round 1e-7 each
    assert expected[near].min() < 1e-32 or expected[near].max() > 1e32


class FastWeights(keras.Layer):
    """A cell whose state is a matrix for every sequence: M_t = 0.5 M_{t-1} + x_tᵀ x_t; its output is the first row."""

    state_size, output_size = (D, D), D

    def call(self, x, states):
        M = 0.5 * states[0] + x[:, :, None] * x[:, None, :]
        return M[:, 0], [M]

    def get_initial_state(self, batch_size=None):
        return [keras.ops.zeros((batch_size, D, D))]


def test_the_norm_of_a_matrix_state_is_over_all_of_its_numbers():
    inputs = keras.Input((T, D))
    model = build(inputs, layers.RNN(FastWeights(), name="rnn")(inputs), loss=lambda y, output: keras.ops.sum(output))
    norms = time_step_norms(model, *data())[
        "rnn"
    ]  # M_{T-k} adds 0.5^k M_{T-k} to M_T; the loss sums B D of its numbers
    np.testing.assert_allclose(norms["h"], np.sqrt(B * D) * 0.5 ** np.array([2, 1, 1000]), rtol=1e-6, atol=1e-30)


def test_sequences_of_other_lengths_need_no_new_model():
    model = linear_model(3, 0.5, np.random.default_rng(0), jit_compile=not TENSORFLOW)
    for steps in (3, 6, 3):
        h = time_step_norms(model, *data(steps=steps))["r"]["h"]
        np.testing.assert_allclose(h, h[-1] * 0.5 ** np.arange(steps)[::-1], rtol=1e-5)


def test_layers_in_nested_and_subclassed_models_measure_as_in_a_flat_one():
    x, y = data()
    flat_inputs = keras.Input((T, D))
    low, top = layers.LSTM(H, return_sequences=True, name="low"), layers.SimpleRNN(6, name="top")
    middle, head = low(flat_inputs), layers.Dense(1)
    flat_model = build(flat_inputs, head(top(middle)), **EAGER)
    norms = time_step_norms(flat_model, x, y)
    assert list(norms) == ["low", "top"]

    encoder = keras.Model(flat_inputs, middle, name="encoder")
    decoder = keras.Sequential([top, head], name="decoder")
    inputs = keras.Input((T, D))
    nested = keras.Model(inputs, decoder(encoder(inputs)))

    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.parts = [encoder, decoder]

        def call(self, x):
            return self.parts[1](self.parts[0](x))

    subclassed = Subclassed()
    subclassed(x)
    for model in (nested, subclassed):
        model.compile("sgd", "mse", jit_compile=not TENSORFLOW)
        found = time_step_norms(model, x, y)
        assert list(found) == ["encoder/low", "decoder/top"]
        assert_close(found, flat(norms), rtol=1e-6)


def test_sub_models_of_one_name_are_told_apart():
    class Two(keras.Model):
        def __init__(self):
            super().__init__()
            self.parts = [
                keras.Sequential([keras.Input((T, D)), layers.LSTM(H, name="lstm")], name="encoder") for _ in range(2)
            ]
            self.head = layers.Dense(1)

        def call(self, x):
            return self.head(self.parts[0](x) - self.parts[1](x))

    x, y = data()
    model = Two()
    model(x)
    model.compile("sgd", "mse", **EAGER)
    assert list(time_step_norms(model, x, y)) == ["encoder/lstm", "encoder_2/lstm"]


def test_shared_layer_reports_each_use():
    x, y = data()
    first, second = keras.Input((T, D)), keras.Input((T, D))
    shared = layers.SimpleRNN(H, name="r")
    model = build([first, second], layers.Dense(1)(layers.Concatenate()([shared(first), shared(second)])))
    norms = time_step_norms(model, [x, 2 * x], y)
    swapped = model.get_weights()
    swapped[-2] = np.roll(swapped[-2], H, axis=0)  # the head that reads the uses in the other order
    model.set_weights(swapped)
    other = time_step_norms(model, [2 * x, x], y)
    assert list(norms) == ["r", "r_2"]
    assert_close(norms, [other["r_2"]["h"], other["r"]["h"]])


class Projected(keras.Layer):
    """A cell whose output y_t = h_t P is not its state."""

    state_size, output_size = H, 2

    def build(self, shape):
        self.inner = layers.SimpleRNNCell(H)
        self.inner.build(shape)
        self.P = self.add_weight((H, 2), name="P")

    def call(self, x, states):
        h, _ = self.inner(x, states)
        return keras.ops.matmul(h, self.P), [h]


def test_output_that_is_no_state_is_reported_beside_it():
    x, y = data()
    inputs = keras.Input((T, D))
    model = build(inputs, layers.Dense(1)(layers.RNN(Projected(), name="r")(inputs)))
    norms = time_step_norms(model, x, y)["r"]
    P, *weights, W, b = [w.astype("float64") for w in model.get_weights()]
    h = unrolled("SimpleRNN", weights, x, zeros(H))
    slope = 2 * (h[:, -1] @ P @ W + b - y) / B @ W.T  # dL/dy_T
    np.testing.assert_allclose(norms["output"], [0, 0, np.linalg.norm(slope)], rtol=1e-5)
    U = weights[1]
    np.testing.assert_allclose(norms["h"][1], np.linalg.norm(slope @ P.T * (1 - h[:, -1] ** 2) @ U.T), rtol=1e-5)
    assert norms["h"][2] == 0


def test_stateful_layer_starts_from_its_present_states():
    x, y = data()
    inputs = keras.Input(batch_shape=(B, T, D))
    rnn = layers.LSTM(H, stateful=True, name="r")
    model = build(inputs, layers.Dense(1)(rnn(inputs)))
    start = [np.random.default_rng(k).normal(size=(B, H)).astype("float32") for k in range(2)]
    for variable, value in zip(rnn.states, start, strict=True):
        variable.assign(value)
    *weights, W, b = [w.astype("float64") for w in model.get_weights()]

    def loss(e):
        return np.mean((unrolled("LSTM", weights, x, e, start=start)[:, -1] @ W + b - y) ** 2)

    assert_close(time_step_norms(model, x, y), finite_differences(loss, zeros(H, H)))
    for variable, value in zip(rnn.states, start, strict=True):
        np.testing.assert_array_equal(variable, value)


def everything(model):
    """Every number that belongs to a model, and the names of its layers' attributes."""
    sublayers = model._flatten_layers()
    states = [s for layer in sublayers for s in keras.tree.flatten(getattr(layer, "states", None) or ())]
    variables = [*model.variables, *model.optimizer.variables, *model.metrics_variables, *states]
    # Python keeps what the functional API notes at each call (the last mask, say); what counts is what a layer holds.
    attributes = [sorted(vars(layer)) for layer in sublayers[1:]]
    losses = [len(layer._losses) for layer in sublayers]
    return [keras.ops.convert_to_numpy(v.value) for v in variables], attributes, losses


def test_model_optimizer_random_generators_and_states_stay_bit_identical_also_when_the_call_fails():
    def make():
        keras.utils.set_random_seed(3)
        inputs = keras.Input(batch_shape=(B, T, D))
        h = layers.SimpleRNN(H, stateful=True, dropout=0.4, activity_regularizer="l2")(inputs)
        model = keras.Model(inputs, layers.Dense(1)(layers.BatchNormalization()(layers.Dropout(0.3)(h))))
        model.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"], jit_compile=not TENSORFLOW)
        model.fit(x, y, batch_size=B, verbose=0, shuffle=False)
        model(x, training=True)  # leaves its activity loss in model.losses
        return model

    x, y = data()
    model, twin = make(), make()
    before = everything(model)
    for training in (False, True):
        time_step_norms(model, x, y, training=training)
    with pytest.raises(Exception, match=r"[Ss]hape|[Dd]imension|broadcast"):
        time_step_norms(model, x, np.zeros((B, 7, 9), "float32"), training=True)
    for ours, theirs in zip(before, everything(model), strict=True):
        np.testing.assert_equal(ours, theirs)
    losses = [m.fit(x, y, batch_size=B, verbose=0, shuffle=False).history["loss"] for m in (model, twin)]
    assert losses[0] == losses[1]


def test_result_is_deterministic_and_training_follows_the_dropout_mask():
    x, y = data()
    inputs = keras.Input((T, D))
    model = build(inputs, layers.Dense(1)(layers.SimpleRNN(H, dropout=0.5, seed=1)(inputs)))
    once, again = (flat(time_step_norms(model, x, y))[0] for _ in range(2))
    dropped, dropped_again = (flat(time_step_norms(model, x, y, training=True))[0] for _ in range(2))
    np.testing.assert_array_equal(once, again)
    np.testing.assert_array_equal(dropped, dropped_again)
    assert np.abs(once - dropped).max() > 1e-3


def test_compiling_again_with_another_loss_is_noticed():
    x, y = data()
    model = linear_model(T, 0.9, np.random.default_rng(0), jit_compile=not TENSORFLOW)
    first = time_step_norms(model, x, y)["r"]["h"]
    model.compile(
        "sgd", lambda y, p: 3 * keras.ops.mean(keras.ops.square(y - p), axis=-1), jit_compile=not TENSORFLOW
    )
    np.testing.assert_allclose(time_step_norms(model, x, y)["r"]["h"], 3 * first, rtol=1e-5)
    model.set_weights([2 * w for w in model.get_weights()])
    assert np.abs(time_step_norms(model, x, y)["r"]["h"] / first).max() > 4  # not the old weights


def test_measured_model_is_freed_pickled_and_saved_as_any_other(tmp_path):
    x, y = data()
    model = linear_model(T, 0.9, np.random.default_rng(0), jit_compile=not TENSORFLOW)
    norms = time_step_norms(model, x, y)
    model.save(tmp_path / "m.keras")
    for copy in (pickle.loads(pickle.dumps(model)), keras.saving.load_model(tmp_path / "m.keras")):
        assert_close(time_step_norms(copy, x, y), flat(norms))
    gone = weakref.ref(model)
    del model
    keras.utils.clear_session(free_memory=True)
    gc.collect()
    assert gone() is None


def test_nan_loss_is_reported_as_nan_with_a_warning():
    x, y = data()
    x[1, 1] = np.nan  # h_2 and h_3 of the second sequence are NaN
    model = linear_model(T, 0.9, np.random.default_rng(0), jit_compile=not TENSORFLOW)
    with pytest.warns(RuntimeWarning, match=r"loss is nan.*r/h at 3 of 3 steps"):
        assert np.isnan(time_step_norms(model, x, y)["r"]["h"]).all()


def test_only_steps_that_reach_the_nan_are_nan():
    x, _ = data()
    inputs = keras.Input((T, D))
    h = layers.SimpleRNN(H, return_sequences=True)(inputs)
    model = build(inputs, layers.Dense(1)(h))
    y = np.zeros((B, T, 1), "float32")
    y[0, 1] = np.nan
    with pytest.warns(RuntimeWarning, match="at 2 of 3 steps"):
        h = flat(time_step_norms(model, x, y))[0]
    np.testing.assert_array_equal(np.isfinite(h), [False, False, True])


def test_half_precision_squares_do_not_vanish():
    x, y = data()
    inputs = keras.Input((T, D))
    rnn = layers.LSTM(H, dtype="mixed_float16")
    model = build(inputs, layers.Dense(1)(rnn(inputs)))
    h, c = flat(time_step_norms(model, x, 1e-3 * y))
    rnn.dtype_policy = keras.dtype_policies.DTypePolicy("float32")
    plain = build(inputs, layers.Dense(1)(layers.LSTM(H)(inputs)), **EAGER)
    expected = flat(time_step_norms(plain, x, 1e-3 * y))
    np.testing.assert_allclose([h, c], expected, rtol=0.02, atol=1e-6)  # float16 has 11 bits


def test_what_the_scaled_loss_of_half_precision_holds_is_not_reported_as_vanished():
    def norms(dtype):
        inputs = keras.Input((T, D))
        model = build(inputs, layers.Dense(1)(layers.SimpleRNN(H, dtype=dtype, name="rnn")(inputs)))
        optimizer = keras.optimizers.SGD()
        if dtype == "mixed_float16":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        model.compile(optimizer, lambda y, p: 1e-8 * keras.ops.mean((y - p) ** 2), jit_compile=not TENSORFLOW)
        return time_step_norms(model, *data())["rnn"]["h"]

    half, whole = norms("mixed_float16"), norms("float32")
    assert 0 < whole.min() < whole.max() < 6e-8  # 0 in float16, but for the scale
    np.testing.assert_allclose(half, whole, rtol=0.05)


def sequential(*middle, compiled=True):
    model = keras.Sequential([keras.Input((T, D)), *middle])
    if compiled:
        model.compile("sgd", "mse")
    return model


def unbuilt():
    model = keras.Sequential([layers.LSTM(H)])
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: layers.LSTM(H), TypeError, r"model must be a keras\.Model"),
        (lambda: sequential(layers.LSTM(H), compiled=False), ValueError, "model must be compiled"),
        (unbuilt, ValueError, "model must be built"),
        (lambda: sequential(layers.Flatten(), layers.Dense(1)), ValueError, "model must have a recurrent layer"),
        (
            lambda: sequential(layers.Reshape((T, 2, 2)), layers.ConvLSTM1D(2, 1)),
            ValueError,
            "conv_lstm1d.*convolutional",
        ),
        (
            lambda: sequential(layers.Reshape((T, 2, 2)), layers.TimeDistributed(layers.LSTM(H))),
            ValueError,
            "inside TimeDistributed",
        ),
    ],
)
def test_bad_model_is_refused(make, error, message):
    x, y = data()
    with pytest.raises(error, match=message):
        time_step_norms(make(), x, y)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"y": np.zeros((3, H), "float32")}, ValueError, "same number of sequences, at least 1, got x 2, y 3"),
        ({"sample_weight": np.zeros(5, "float32")}, ValueError, "sample_weight 5"),
        ({"x": np.zeros((0, T, D)), "y": np.zeros((0, H))}, ValueError, "x 0"),
        ({"x": (batch for batch in [])}, TypeError, "x must be an array"),
        ({"y": [1.0, 2.0]}, TypeError, "y must be an array"),
        ({"x": None}, TypeError, "x must be an array"),
    ],
)
def test_bad_data_is_refused(change, error, message):
    model = sequential(layers.SimpleRNN(H))
    good = {"x": np.zeros((B, T, D), "float32"), "y": np.zeros((B, H), "float32")}
    with pytest.raises(error, match=message):
        time_step_norms(model, **good | change)


# The Jacobian from state to state.
def test_jacobian_of_the_plain_rnn_is_its_closed_form():
    layer = layers.SimpleRNN(H)
    layer.build((None, T, D))
    random_weights(layer)
    (x, *_), _ = data(steps=7)
    h = unrolled("SimpleRNN", layer.get_weights(), np.stack([x, x]), zeros(H, steps=7))[0]
    J = (1 - h**2)[:, :, None] * layer.get_weights()[1].T  # dh_t/dh_{t-1} = diag(1 - h_t²) U'
    np.testing.assert_allclose(state_jacobian(layer, x), J, rtol=1e-4, atol=1e-6)
    backwards = layers.SimpleRNN(H, go_backwards=True)
    backwards.build((None, T, D))
    backwards.set_weights(layer.get_weights())
    np.testing.assert_allclose(state_jacobian(backwards, x[::-1]), J[::-1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_full_jacobian_equals_finite_differences_from_a_random_start(kind):
    cell = getattr(layers, f"{kind}Cell")(H)
    cell.build((None, D))
    random_weights(cell)
    weights = [w.astype("float64") for w in cell.get_weights()]
    (x, *_), _ = data()
    number = STEPS[kind][1]
    start = [np.random.default_rng(k).normal(size=(1, H)) for k in range(number)]

    def last(first):
        state = [first[None, k * H : (k + 1) * H] for k in range(number)]
        for x_t in x[None].transpose(1, 0, 2):
            new = STEPS[kind][0](x_t, state, weights)
            state = [new[0](new[1]), new[1]] if callable(new[0]) else new
        return np.concatenate(state, -1)[0]

    first = np.concatenate(start, -1)[0]
    step = 1e-5 * np.eye(len(first))
    expected = np.stack([(last(first + d) - last(first - d)) / 2e-5 for d in step], -1)  # ds_T/ds_0
    J = state_jacobian(cell, x, start, full=True)
    np.testing.assert_allclose(np.linalg.multi_dot(J[::-1]), expected, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(state_jacobian(cell, x, start), J[:, :H, :H], rtol=1e-5, atol=1e-7)


def test_jacobian_in_many_pieces_equals_the_jacobian_at_once(monkeypatch):
    cell = layers.GRUCell(H)
    cell.build((None, D))
    (x, *_), _ = data(steps=7)
    whole = state_jacobian(cell, x)
    monkeypatch.setattr("course.gradients.jacobian.ROWS", 2 * H)
    np.testing.assert_allclose(state_jacobian(cell, x), whole, rtol=1e-6, atol=1e-8)


def test_jacobian_leaves_the_random_generator_and_the_masks_of_a_cell_alone():
    cell = layers.LSTMCell(H, dropout=0.5, recurrent_dropout=0.5)
    cell.build((None, D))
    (x, *_), _ = data()
    before = keras.ops.convert_to_numpy(cell.seed_generator.state.value)
    J = state_jacobian(cell, x)
    np.testing.assert_array_equal(J, state_jacobian(cell, x))
    np.testing.assert_array_equal(before, keras.ops.convert_to_numpy(cell.seed_generator.state.value))
    assert cell._dropout_mask is None


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"layer_or_cell": layers.Dense(3)}, TypeError, "layer_or_cell must be a recurrent"),
        ({"layer_or_cell": layers.LSTM(3)}, ValueError, "layer_or_cell must be built"),
        ({"x": np.zeros((2, 3, D))}, ValueError, "x must have shape"),
        ({"x": np.zeros((0, D))}, ValueError, "x must have shape"),
        ({"initial_state": [np.zeros((1, 9))]}, ValueError, "initial_state must be"),
    ],
)
def test_bad_jacobian_arguments_are_refused(change, error, message):
    cell = layers.SimpleRNNCell(H)
    cell.build((None, D))
    with pytest.raises(error, match=message):
        state_jacobian(**{"layer_or_cell": cell, "x": np.zeros((T, D))} | change)


def test_jacobian_of_stacked_cells_is_that_of_the_whole_state():
    cells = layers.StackedRNNCells([layers.SimpleRNNCell(H), layers.SimpleRNNCell(2)])
    cells.build((None, D))
    (x, *_), _ = data()
    J = state_jacobian(cells, x, full=True)
    np.testing.assert_allclose(J[:, :H, :H], state_jacobian(cells.cells[0], x), rtol=1e-5, atol=1e-7)
    assert np.abs(J[:, H:, :H]).max() > 0.01  # the upper cell reads h_t of the lower
    np.testing.assert_array_equal(J[:, :H, H:], 0)
    with pytest.raises(ValueError, match="full=True"):
        state_jacobian(cells, x)


def test_cells_of_the_course_measure_as_the_layers_of_keras_do():
    x, y = data()
    inputs = keras.Input((T, D))
    open_gate = SkipRNN(SkipCell(RNNCell(H)), name="skip")
    ours = [layers.RNN(RNNCell(H), name="rnn"), layers.RNN(LSTMCell(H), name="lstm"), open_gate]
    stock = [layers.SimpleRNN(H, name="RNN"), layers.LSTM(H, name="LSTM"), layers.SimpleRNN(H, name="SKIP")]
    head = layers.Dense(1)
    model = build(inputs, layers.Add()([head(layer(inputs)) for layer in ours + stock]), **EAGER)
    for one, other in zip(ours, stock, strict=True):
        cell = one.cell.cell if one is open_gate else one.cell
        cell.set_weights(other.get_weights())
    open_gate.cell.update_kernel.assign(np.zeros((H, 1)))
    open_gate.cell.update_bias.assign([50.0])  # ũ = σ(50) = 1 at every step
    norms = time_step_norms(model, x, y)
    for one, other in zip(ours, stock, strict=True):
        for state, values in norms[other.name].items():
            np.testing.assert_allclose(norms[one.name][state], values, rtol=1e-5)


class Counting(layers.SimpleRNNCell):
    """A plain cell that also counts its steps, in a state nobody asks for."""

    state_names = ("h", None)

    def __init__(self, units):
        super().__init__(units)
        self.state_size = [units, 1]

    def get_initial_state(self, batch_size=None):
        return [keras.ops.zeros((batch_size, n)) for n in self.state_size]

    def call(self, x, states, training=False):
        h, _ = super().call(x, states[0], training)
        return h, [h, states[1] + 1]


def test_cell_names_its_states_and_leaves_out_what_is_none():
    x, y = data()
    inputs = keras.Input((T, D))
    model = build(inputs, layers.Dense(1)(layers.RNN(Counting(H), name="r")(inputs)))
    plain = build(inputs, layers.Dense(1)(layers.SimpleRNN(H, name="r")(inputs)), **EAGER)
    assert_close(time_step_norms(model, x, y), flat(time_step_norms(plain, x, y)))
    model.get_layer("r").cell.state_names = ("h",)
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="state_names of 'r' must name its 2 states"):
        time_step_norms(model, x, y)


def test_loss_includes_what_layers_add_to_it():
    x, y = data()
    inputs = keras.Input((T, D))
    h = layers.ActivityRegularization(l2=0.3)(layers.SimpleRNN(H, kernel_regularizer="l2")(inputs))
    model = build(inputs, layers.Dense(1)(h))
    *weights, W, b = [w.astype("float64") for w in model.get_weights()]

    def loss(e):
        h = unrolled("SimpleRNN", weights, x, e)[:, -1]
        return np.mean((h @ W + b - y) ** 2) + 0.3 * np.sum(h**2) / B

    assert_close(time_step_norms(model, x, y), finite_differences(loss, zeros(H)))


class Breaks(layers.SimpleRNNCell):
    broken = False

    def call(self, *args, **kwargs):
        if self.broken:
            raise KeyError("broken on purpose")
        return super().call(*args, **kwargs)


def test_layer_whose_cell_raises_is_as_before():
    x, y = data()
    inputs = keras.Input((T, D))
    rnn = layers.RNN(Breaks(H, dropout=0.5))
    model = build(inputs, layers.Dense(1)(rnn(inputs)))
    before = flat(time_step_norms(model, x, y, training=True))
    attributes = {name: id(value) for name, value in vars(rnn).items()}
    rnn.cell.broken = True
    model.compile("sgd", "mse")
    with pytest.raises(KeyError, match="on purpose"):
        time_step_norms(model, x, y, training=True)
    rnn.cell.broken = False
    assert {name: id(value) for name, value in vars(rnn).items()} == attributes
    assert rnn.cell._dropout_mask is None
    np.testing.assert_array_equal(flat(time_step_norms(model, x, y, training=True)), before)
