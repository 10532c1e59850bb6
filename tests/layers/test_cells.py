"""The cells against Keras, NumPy, finite differences and TensorFlow's own kernel: values and gradients.

The file runs on every backend; `differentiate` is the only place that knows which.
"""

from course.layers import Chrono, GRUCell, LSTMCell, MinGRUCell, PeepholeLSTMCell, RNNCell
import keras
import numpy as np
import pytest

# Keras 3.15 and NumPy 2, when Keras turns its variables into arrays

B, T, D, H = 2, 3, 4, 5
TENSORFLOW = keras.backend.backend() == "tensorflow"
MODES = ("eager", "graph", "xla") if TENSORFLOW else ("eager", "xla")
CELLS = (RNNCell, LSTMCell, PeepholeLSTMCell, GRUCell, MinGRUCell)


def keras_gru(units, **options):
    return keras.layers.GRU(units, reset_after=False, **options)


TWINS = ((RNNCell, keras.layers.SimpleRNN), (LSTMCell, keras.layers.LSTM), (GRUCell, keras_gru))
twins = pytest.mark.parametrize(("cell", "twin"), TWINS, ids=lambda made: made.__name__)
each_cell = pytest.mark.parametrize("cell", CELLS)
each_mode = pytest.mark.parametrize("mode", MODES)


def draw(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(0, 0.7, shape).astype("float32") for shape in shapes]


def randomize(layer, seed=1):
    """Give every weight, the biases too, a random value."""
    layer.set_weights(draw(*(w.shape for w in layer.weights), seed=seed))


def differentiate(layer, x, states, mode):
    """Return what the layer makes of x and the initial states, and the gradients of Σ output · (fixed noise)
    with respect to x, the states and the weights: two lists of arrays."""

    def loss_of(outputs):
        outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
        noise = draw(*(tuple(o.shape) for o in outputs), seed=2)
        return sum(keras.ops.sum(o * r) for o, r in zip(outputs, noise, strict=True)), outputs

    if TENSORFLOW:
        import tensorflow as tf

        def both(x, states):
            with tf.GradientTape() as tape:
                tape.watch([x, *states])
                loss, outputs = loss_of(layer(x, initial_state=states))
            return outputs, tape.gradient(loss, [x, *states, *(w.value for w in layer.trainable_weights)])

        if mode != "eager":
            both = tf.function(both, jit_compile=mode == "xla")
        outputs, gradients = both(tf.constant(x), [tf.constant(s) for s in states])
    else:
        import jax

        def loss(x, states, weights):
            rest = [v.value for v in layer.non_trainable_variables]
            return loss_of(layer.stateless_call(weights, rest, x, initial_state=states)[0])

        slope = jax.grad(loss, argnums=(0, 1, 2), has_aux=True)
        slope = jax.jit(slope) if mode == "xla" else slope
        (dx, dstates, dweights), outputs = slope(x, states, [w.value for w in layer.trainable_weights])
        gradients = [dx, *dstates, *dweights]
    return [np.array(o) for o in outputs], [np.array(g) for g in gradients]


def assert_all_close(given, wanted, rtol=1e-5, atol=1e-6):
    """Compare arrays to float32 rounding, which in a sum is that of its largest terms."""
    assert len(given) == len(wanted)
    for one, other in zip(given, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol, atol * max(1, np.abs(other).max()))


def states_of(cell):
    return draw(*[(B, H)] * cell.states, seed=3)


def numpy_loop(cell, x, states, weights):
    """Run a cell in float64 NumPy, gate by gate from the published equations: h_1 … h_T (B, T, H), last states."""
    x, *states = (a.astype("float64") for a in (x, *states))
    h, c = states[0], states[-1]

    def s(a):
        return 1 / (1 + np.exp(-a))

    def pre(k, h=None):  # what reaches gate k before its activation
        W, b = weights[0][:, k * H : (k + 1) * H], weights[2 if len(weights) > 2 else 1][k * H : (k + 1) * H]
        return x_t @ W + b + (0 if h is None else h @ weights[1][:, k * H : (k + 1) * H])

    outputs = []
    for x_t in x.swapaxes(0, 1):  # noqa: B007, read in pre
        if cell is RNNCell:
            h = np.tanh(pre(0, h))
        elif cell in (LSTMCell, PeepholeLSTMCell):
            p = weights[3] if cell is PeepholeLSTMCell else np.zeros((3, H))
            i, f, g = s(pre(0, h) + p[0] * c), s(pre(1, h) + p[1] * c), np.tanh(pre(2, h))
            c = f * c + i * g
            h = s(pre(3, h) + p[2] * c) * np.tanh(c)
        elif cell is GRUCell:
            z, r = s(pre(0, h)), s(pre(1, h))
            h = z * h + (1 - z) * np.tanh(pre(2, r * h))
        else:
            h = h + s(pre(0)) * (pre(1) - h)
        outputs.append(h)
    return np.stack(outputs, axis=1), *([h, c] if cell.states == 2 else [h])


def finite_differences(function, arrays, epsilon=1e-6):
    """Return the gradient of a float64 scalar function of arrays with respect to each."""
    gradients = [np.zeros(a.shape) for a in arrays]
    for a, g in zip(arrays, gradients, strict=True):
        for place in np.ndindex(a.shape):
            value, ends = a[place], []
            for step in (epsilon, -epsilon):
                a[place] = value + step
                ends.append(function(*arrays))
            a[place] = value
            g[place] = (ends[0] - ends[1]) / (2 * epsilon)
    return gradients


@twins
@each_mode
def test_cell_matches_keras_in_values_and_gradients(cell, twin, mode):
    options = {"return_sequences": True, "return_state": True}
    ours, theirs = keras.layers.RNN(cell(H), **options), twin(H, **options)
    for layer in (ours, theirs):
        layer.build((B, T, D))
    randomize(ours)
    theirs.set_weights(ours.get_weights())
    (x,) = draw((B, T, D))
    given = differentiate(ours, x, states_of(cell), mode)
    wanted = differentiate(theirs, x, states_of(cell), "eager")
    assert_all_close(given[0], wanted[0])
    assert_all_close(given[1], wanted[1])


@each_cell
def test_cell_matches_numpy_loop(cell):
    layer = keras.layers.RNN(cell(H), return_sequences=True, return_state=True)
    layer.build((B, T, D))
    randomize(layer)
    (x,) = draw((B, T, D))
    outputs = layer(x, initial_state=[keras.ops.convert_to_tensor(s) for s in states_of(cell)])
    assert_all_close(list(map(np.array, outputs)), numpy_loop(cell, x, states_of(cell), layer.get_weights()))


@pytest.mark.parametrize("cell", [PeepholeLSTMCell, MinGRUCell])  # the others are held against Keras
@each_mode
def test_gradients_agree_with_finite_differences(cell, mode):
    layer = keras.layers.RNN(cell(H), return_sequences=True, return_state=True)
    layer.build((B, T, D))
    randomize(layer)
    (x,) = draw((B, T, D))
    k = cell.states
    arrays = [a.astype("float64") for a in (x, *states_of(cell), *layer.get_weights())]

    def loss(x, *rest):
        outputs = numpy_loop(cell, x, rest[:k], rest[k:])
        return sum(np.sum(o * r) for o, r in zip(outputs, draw(*(o.shape for o in outputs), seed=2), strict=True))

    _, gradients = differentiate(layer, x, states_of(cell), mode)
    assert_all_close(gradients, finite_differences(loss, arrays), rtol=1e-5, atol=2e-6)  # float32 against float64


@pytest.mark.skipif(not TENSORFLOW, reason="the oracle is a TensorFlow kernel")
def test_peephole_lstm_matches_tensorflow_kernel():
    """Values against BlockLSTMV2; values and gradients against BlockLSTM, with its order of the gates i, g, f, o.

    BlockLSTMV2 has our order i, f, g, o, but TensorFlow 2.21 gives it BlockLSTM's gradient, order and all, so
    that its gradient is not that of its own values (finite differences, above, hold ours).
    """
    import tensorflow as tf

    layer = keras.layers.RNN(PeepholeLSTMCell(H), return_sequences=True)
    layer.build((B, T, D))
    randomize(layer)
    (x,), (h, c) = draw((B, T, D)), states_of(PeepholeLSTMCell)
    outputs, gradients = differentiate(layer, x, [h, c], "eager")

    W, U, b, p = (tf.constant(w) for w in layer.get_weights())
    x, h, c = tf.constant(x), tf.constant(h), tf.constant(c)
    with tf.GradientTape() as tape:
        tape.watch([x, h, c, W, U, b, p])
        w = tf.concat([W, U, b[None]], axis=0)
        i, f, g, o = tf.split(w, 4, axis=1)
        igfo = tf.concat([i, g, f, o], axis=1)
        peepholes = dict(wci=p[0], wcf=p[1], wco=p[2], use_peephole=True)
        common = dict(seq_len_max=T, x=tf.transpose(x, [1, 0, 2]), cs_prev=c, h_prev=h, **peepholes)
        first = tf.raw_ops.BlockLSTM(w=igfo[:-1], b=igfo[-1], forget_bias=0, cell_clip=-1, **common).h
        loss = tf.reduce_sum(tf.transpose(first, [1, 0, 2]) * draw(outputs[0].shape, seed=2)[0])
    second = tf.raw_ops.BlockLSTMV2(w=w[:-1], b=w[-1], cell_clip=0, **common).h
    assert_all_close([tf.transpose(h, [1, 0, 2]) for h in (first, second)], outputs * 2)
    assert_all_close(gradients, tape.gradient(loss, [x, h, c, W, U, b, p]))


def test_peephole_lstm_starts_as_the_lstm():
    peephole = PeepholeLSTMCell(H)
    peephole.build((B, D))
    assert not np.any(peephole.get_weights()[3])


@twins
def test_weights_have_the_names_shapes_and_order_of_keras(cell, twin):
    ours, theirs = cell(H), twin(H)
    ours.build((B, D))
    theirs.build((B, T, D))
    assert [(w.name, w.shape) for w in ours.weights] == [(w.name, w.shape) for w in theirs.weights]


@pytest.mark.parametrize("forget", [True, False])
def test_lstm_bias_starts_as_in_keras(forget):
    ours, theirs = LSTMCell(H, unit_forget_bias=forget), keras.layers.LSTMCell(H, unit_forget_bias=forget)
    for cell in (ours, theirs):
        cell.build((B, D))
    np.testing.assert_array_equal(ours.bias, theirs.bias)


def test_bias_initializer_sets_the_whole_bias_of_the_lstm():
    cell = LSTMCell(H, bias_initializer=Chrono(20, seed=1))
    cell.build((B, D))
    np.testing.assert_array_equal(cell.bias, Chrono(20, seed=1)((4 * H,)))


FEATURES = (
    {"go_backwards": True},
    {"go_backwards": True, "return_sequences": True},
    {"return_sequences": True, "zero_output_for_mask": True},
    {"stateful": True, "return_state": True},
    {"unroll": True},
)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("options", FEATURES, ids=str)
@pytest.mark.parametrize(("cell", "twin"), [*TWINS, (PeepholeLSTMCell, keras.layers.LSTM)])
def test_rnn_layer_features_match_keras(cell, twin, options, masked):
    """Called twice, so that stateful shows; the peephole LSTM with its peepholes at 0."""
    ours, theirs = keras.layers.RNN(cell(H), **options), twin(H, **options)
    for layer in (ours, theirs):
        layer.build((B, T, D))
    randomize(theirs)
    ours.set_weights([*theirs.get_weights(), *[np.zeros((3, H))] * (cell is PeepholeLSTMCell)])
    x = draw((2 * B, T, D))[0].reshape(2, B, T, D)
    mask = np.array([[True, False, True], [True, True, False]]) if masked else None
    for batch in x:
        given, wanted = (keras.tree.flatten(layer(batch, mask=mask)) for layer in (ours, theirs))
        assert_all_close(given, wanted)


@twins
def test_bidirectional_matches_keras(cell, twin):
    ours = keras.layers.Bidirectional(keras.layers.RNN(cell(H), return_sequences=True))
    theirs = keras.layers.Bidirectional(twin(H, return_sequences=True))
    for layer in (ours, theirs):
        layer.build((B, T, D))
    randomize(ours)
    theirs.set_weights(ours.get_weights())
    (x,) = draw((B, T, D))
    assert_all_close([ours(x)], [theirs(x)])


@twins
def test_stacked_cells_match_stacked_keras_layers(cell, twin):
    ours = keras.layers.RNN([cell(H), cell(H + 1)])
    theirs = keras.Sequential([twin(H, return_sequences=True), twin(H + 1)])
    for layer in (ours, theirs):
        layer.build((B, T, D))
    randomize(ours)
    theirs.set_weights(ours.get_weights())
    (x,) = draw((B, T, D))
    assert_all_close([ours(x)], [theirs(x)])


@pytest.mark.parametrize(
    ("cell", "twin", "rates"),
    [
        (RNNCell, keras.layers.SimpleRNN, {"dropout": 0.4}),
        (RNNCell, keras.layers.SimpleRNN, {"dropout": 0.4, "recurrent_dropout": 0.3}),
        (LSTMCell, keras.layers.LSTM, {"dropout": 0.4}),
        (GRUCell, keras_gru, {"dropout": 0.4}),
    ],
)
def test_dropout_with_the_same_seed_matches_keras(cell, twin, rates):
    """Only where Keras has one mask for all gates; the seed is drawn from in the same order."""
    ours = keras.layers.RNN(cell(H, seed=5, **rates), return_sequences=True)
    theirs = twin(H, seed=5, return_sequences=True, **rates)
    for layer in (ours, theirs):
        layer.build((B, T, D))
    randomize(ours)
    theirs.set_weights(ours.get_weights())
    (x,) = draw((B, T, D))
    for training in (True, True, False):
        assert_all_close([ours(x, training=training)], [theirs(x, training=training)])


def identity_rnn(**rates):
    """An RNN that shows its masks: h_t = m_x ⊙ x_t + m_h ⊙ h_{t-1}, with one of the two switched off."""
    layer = keras.layers.RNN(RNNCell(D, "linear", **rates), return_sequences=True)
    layer.build((None, T, D))
    layer.set_weights([np.eye(D) * ("dropout" in rates), np.eye(D) * ("recurrent_dropout" in rates), np.zeros(D)])
    return layer


def test_input_mask_is_constant_over_time_and_new_for_each_sequence():
    layer, x = identity_rnn(dropout=0.75, seed=1), np.ones((200, T, D), "float32")
    first, second = np.array(layer(x, training=True)), np.array(layer(x, training=True))
    assert np.all(first == first[:, :1])
    assert set(np.unique(first)) == {0, 4}  # 1 / (1 - .75)
    assert np.any(first[1:] != first[:-1])
    assert np.any(first != second)
    # m_x has mean 1 and variance 3, here over 800 draws: five standard deviations
    assert abs(first[:, 0].mean() - 1) < 5 * np.sqrt(3 / 800)
    np.testing.assert_array_equal(layer(x), x)  # off at inference


def test_recurrent_mask_is_constant_over_time_and_new_for_each_sequence():
    layer, x, h = identity_rnn(recurrent_dropout=0.5, seed=1), np.zeros((200, T, D)), np.ones((200, D), "float32")
    h_t = np.array(layer(x, initial_state=h, training=True))
    assert set(np.unique(h_t[:, 0])) == {0, 2}
    for t in range(T):  # another mask at any step would show as another product
        np.testing.assert_array_equal(h_t[:, t], h_t[:, 0] ** (t + 1))
    assert abs(h_t[:, 0].mean() - 1) < 5 * np.sqrt(1 / 800)
    np.testing.assert_array_equal(layer(x, initial_state=h), np.ones((200, T, D)))


@pytest.mark.parametrize("cell", [LSTMCell, GRUCell])
def test_recurrent_dropout_leaves_alone_what_is_carried_on(cell):
    """With the memory held fast (f = 1 and i = 0, or z = 1) it must come out as it went in."""
    layer = keras.layers.RNN(cell(H, recurrent_dropout=0.5), return_state=True)
    layer.build((B, T, D))
    bias = np.repeat([-1e9, 1e9, 0, 0] if cell is LSTMCell else [1e9, 0, 0], H)
    layer.set_weights([*layer.get_weights()[:2], bias])
    states = states_of(cell)
    *_, memory = layer(draw((B, T, D))[0], initial_state=states, training=True)
    np.testing.assert_array_equal(memory, states[-1])


@pytest.mark.parametrize(("cells", "jit"), [((LSTMCell, GRUCell), not TENSORFLOW), ((RNNCell, RNNCell), True)])
def test_dropout_trains_in_a_stack_and_compiled(cells, jit):
    """The masks are drawn before the time loop: left inside it, the second trace would fail on the first one's."""
    keras.utils.set_random_seed(0)
    cells = [cell(H, dropout=0.2, recurrent_dropout=0.2) for cell in cells]
    model = keras.Sequential([keras.layers.RNN(cells), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.05), "mse", jit_compile=jit)
    x, y = (np.resize(a, (81, *a.shape[1:])) for a in draw((3, T, D), (3, 1)))  # three, again and again
    before = np.mean((model(x) - y) ** 2)
    model.fit(x, y, batch_size=2, epochs=2, verbose=0)  # the last batch is of one: two traces
    assert np.mean((model(x) - y) ** 2) < before


@each_cell
def test_config_round_trip(cell):
    given = cell(H, "relu", dropout=0.2, seed=7, name="mine", kernel_regularizer="l2", bias_initializer="ones")
    config = given.get_config()
    again = cell.from_config(config)
    assert again.get_config() == config
    assert (again.units, again.dropout, again.name) == (H, 0.2, "mine")
    assert again.activation is keras.activations.relu
    assert isinstance(again.bias_initializer, keras.initializers.Ones)


def test_saved_model_gives_the_same_outputs(tmp_path):
    layers = [keras.layers.RNN(cell(H, dropout=0.1), return_sequences=True) for cell in CELLS]
    model = keras.Sequential(
        [keras.Input((T, D)), *layers, keras.layers.Bidirectional(keras.layers.RNN(LSTMCell(2)))]
    )
    randomize(model)
    model.save(tmp_path / "model.keras")
    (x,) = draw((B, T, D))
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(x), model(x))
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(clone(x), model(x))


def test_recurrent_regularizer_is_part_of_the_loss():
    layer = keras.layers.RNN(RNNCell(H, recurrent_regularizer=keras.regularizers.L2(0.3)))
    layer.build((B, T, D))
    randomize(layer)
    np.testing.assert_allclose(sum(layer.losses), 0.3 * np.sum(layer.get_weights()[1] ** 2), rtol=1e-6)


@each_cell
@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"units": 0}, "units must be at least 1, got 0"),
        ({"units": 2.5}, "units must be an integer, got 2.5"),
        ({"units": H, "dropout": 1.0}, "dropout must be below 1, got 1.0"),
        ({"units": H, "dropout": -0.1}, "dropout must be at least 0, got -0.1"),
        ({"units": H, "activation": "tanhh"}, "activation"),
        ({"units": H, "kernel_initializer": "gloro"}, "initializer"),
    ],
)
def test_bad_options_are_refused(cell, options, error):
    with pytest.raises((ValueError, TypeError), match=error):
        cell(**options)


def test_bad_recurrent_dropout_is_refused():
    with pytest.raises(ValueError, match="recurrent_dropout must be below 1"):
        GRUCell(H, recurrent_dropout=1)
    with pytest.raises(TypeError, match="recurrent_dropout"):
        MinGRUCell(H, recurrent_dropout=0.5)


@each_cell
def test_wrong_shapes_are_refused(cell):
    cell = cell(H)
    with pytest.raises(ValueError, match=r"input_shape must be \(B, D\)"):
        keras.layers.RNN(cell).build((B, T))
    cell.build((B, D))
    x, short, h = draw((B, D), (B, D - 1), (B, H))
    with pytest.raises(ValueError, match=r"x must have shape \(B, 4\), got \(2, 3\)"):
        cell(short, [h] * cell.states)
    with pytest.raises(ValueError, match=r"states must be a list of . tensor\(s\) \(B, 5\)"):
        cell(x, h)
    with pytest.raises(ValueError, match=r"states must be a list of . tensor\(s\) \(B, 5\)"):
        cell(x, [h[:, :1]] * cell.states)
