"""Models that hide their steps, their compile or their devices from the instrument: measured rightly or refused."""

import os
import subprocess
import sys
import warnings

from course.gradients import GradientNorms, time_step_norms
import keras
from keras import layers, ops
import numpy as np
import pytest

TENSORFLOW = keras.backend.backend() == "tensorflow"
B, T, D, H = 2, 3, 4, 5
rng = np.random.default_rng(0)
X, Y = rng.normal(size=(B, T, D)).astype("float32"), rng.normal(size=(B, 1)).astype("float32")


class Model(keras.Model):
    """A recurrent layer and a head, called by `how(layer, x)`."""

    def __init__(self, how, layer=None):
        super().__init__()
        self.how, self.r, self.d = how, layer or layers.SimpleRNN(H, name="r"), layers.Dense(1)

    def call(self, x):
        return self.d(self.how(self.r, x))


def built(how=lambda r, x: r(x), layer=None, loss="mse", **options):
    keras.utils.set_random_seed(0)
    model = Model(how, layer)
    model(X)
    model.compile("sgd", loss, jit_compile=False, **options)
    return model


def test_second_compile_is_noticed_where_a_model_overrides_its_metrics():
    class OwnMetrics(Model):
        def __init__(self, how):
            super().__init__(how)
            self.mean = keras.metrics.Mean(name="loss")

        @property
        def metrics(self):
            return [self.mean]

    model = OwnMetrics(lambda r, x: r(x))
    model(X)
    model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=not TENSORFLOW)
    model.fit(X, Y, verbose=0, callbacks=[GradientNorms()])
    first = time_step_norms(model, X, Y)["r"]["h"]
    model.compile(
        keras.optimizers.SGD(0.0), lambda y, p: 3 * ops.mean((y - p) ** 2, axis=-1), jit_compile=not TENSORFLOW
    )
    before = model.get_weights()
    np.testing.assert_allclose(time_step_norms(model, X, Y)["r"]["h"], 3 * first, rtol=1e-5)
    model.fit(X, Y, verbose=0, callbacks=[GradientNorms()])
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)  # the new optimizer stands still


def over_parts(each):
    """A layer over 2 x B sequences, `each` at a time."""
    return lambda r, x: ops.mean(each(r, ops.stack([x, 2 * x])), axis=0)


HIDDEN = {
    "cond": lambda r, x: ops.cond(ops.sum(x) > -1e9, lambda: r(x), lambda: 0 * r(x)),
    "map": over_parts(lambda r, parts: ops.map(r, parts)),
    "vectorized_map": over_parts(lambda r, parts: ops.vectorized_map(r, parts)),
    "remat": lambda r, x: keras.remat(r)(x),
}


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize("how", HIDDEN)
def test_layer_whose_steps_are_hidden_is_refused_by_name(how, eager):
    if eager and how in ("cond", "map") and TENSORFLOW:
        pytest.skip("Python's own, each call an entry")
    with pytest.raises(ValueError, match=r"calls 'r' inside a function that is|calls none of .'r'"):
        time_step_norms(built(HIDDEN[how], run_eagerly=eager), X, Y)


@pytest.mark.skipif(not TENSORFLOW, reason="tf.function")
def test_function_of_tensorflow_is_refused_also_when_it_was_traced_before():
    import tensorflow as tf

    model = built()
    function = tf.function(lambda x: model.r(x))
    model.how = lambda r, x: function(x)
    with pytest.raises(ValueError, match="model calls 'r' inside a function that is"):
        time_step_norms(model, X, Y)
    model(X)  # traces it
    with pytest.raises(ValueError, match=r"model calls 'r' inside a tf\.function that was traced before"):
        time_step_norms(model, X, Y)


def test_recurrent_layer_with_a_call_of_its_own_is_refused_and_one_that_calls_its_base_is_not():
    class Own(layers.SimpleRNN):
        def call(self, sequences, initial_state=None, mask=None, training=False):
            h = ops.zeros((ops.shape(sequences)[0], self.units))
            for t in range(sequences.shape[1]):
                h, _ = self.cell(sequences[:, t], [h])
            return h

    class Base(layers.SimpleRNN):
        def call(self, sequences, initial_state=None, mask=None, training=False):
            return 2 * super().call(sequences, initial_state=initial_state, mask=mask, training=training)

    with pytest.raises(ValueError, match="model has 'own', whose `call`"):
        time_step_norms(built(layer=Own(H, name="own")), X, Y)
    assert time_step_norms(built(layer=Base(H, name="base")), X, Y)["base"]["h"].shape == (T,)


def test_branch_never_called_has_no_entry_and_hinders_nothing():
    class Branches(Model):
        def __init__(self):
            super().__init__(lambda r, x: r(x))
            self.never, self.sometimes = layers.GRU(H, name="never"), layers.GRU(H, name="sometimes")
            self.which = True

        def call(self, x):
            return super().call(x) + (0 if self.which else self.d(self.sometimes(x)))

    model = Branches()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*unbuilt state")
        model.which = False
        model(X)
    model.which = True
    model.compile("sgd", "mse", jit_compile=not TENSORFLOW)
    with pytest.warns(RuntimeWarning, match="not called in this forward pass.*'sometimes'"):
        assert list(time_step_norms(model, X, Y)) == ["r"]


def test_what_cannot_be_tapped_is_left_out_by_name():
    class Loop(keras.Model):
        def __init__(self):
            super().__init__()
            self.cell, self.r, self.d = layers.LSTMCell(H, name="loop"), layers.GRU(H, name="r"), layers.Dense(1)
            self.each = layers.TimeDistributed(layers.LSTM(H, name="inner"), name="each")
            self.conv = layers.ConvLSTM1D(1, 1, name="conv")

        def call(self, x):
            state = [ops.zeros((B, H)), ops.zeros((B, H))]
            for t in range(T):
                h, state = self.cell(x[:, t], state)
            parts = ops.reshape(x, (B, T, 2, 2))
            return self.d(self.r(x) + h + ops.mean(self.each(parts), 1)) + ops.mean(self.conv(parts))

    model = Loop()
    model(X)
    model.compile("sgd", "mse", run_eagerly=TENSORFLOW, jit_compile=not TENSORFLOW)
    with pytest.warns(RuntimeWarning, match="left out.*'loop'.*'each/inner'.*'conv'"):
        assert list(time_step_norms(model, X, Y)) == ["r"]
    assert list(time_step_norms(model, X, Y)) == ["r"]  # and says it once


def test_layer_the_loss_does_not_depend_on_is_reported_as_zero_with_a_warning():
    with pytest.warns(RuntimeWarning, match="every gradient norm of 'r' is 0"):
        norms = time_step_norms(built(lambda r, x: ops.stop_gradient(r(x))), X, Y)
    np.testing.assert_array_equal(norms["r"]["h"], 0)


def test_loss_that_is_not_in_compile_is_asked_for():
    with pytest.raises(ValueError, match="model must be compiled with a loss"):
        time_step_norms(built(loss=None), X, Y)


def test_optimizers_of_a_train_step_of_its_own_are_named_in_the_warning():
    if not TENSORFLOW:
        pytest.skip("a train_step of one's own looks otherwise on JAX")
    import tensorflow as tf

    class TwoOptimizers(Model):  # after Keras' GAN recipe
        def compile(self, one, other):
            super().compile()
            self.one, self.other = one, other

        def train_step(self, data):
            for optimizer, layer in ((self.one, self.r), (self.other, self.d)):
                with tf.GradientTape() as tape:
                    loss = ops.mean((self(data[0]) - data[1]) ** 2)
                weights = layer.trainable_weights
                optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
            return {"loss": loss}

    model = TwoOptimizers(lambda r, x: r(x))
    model(X)
    model.compile(keras.optimizers.SGD(), keras.optimizers.SGD())
    with pytest.warns(RuntimeWarning, match="`train_step` with optimizers of its own"):
        assert np.isnan(model.fit(X, Y, verbose=0, callbacks=[GradientNorms()]).history["grad_norm/global"][0])


REPLICAS = """
import numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import keras
from course.gradients import GradientNorms, time_step_norms
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    model = keras.Sequential([keras.Input((3, 4)), keras.layers.SimpleRNN(5), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
x, y = np.ones((4, 3, 4), "float32"), np.ones((4, 1), "float32")
for measure in (lambda: model.fit(x, y, verbose=0, callbacks=[GradientNorms()]), lambda: time_step_norms(model, x, y)):
    try:
        measure()
    except ValueError as error:
        print(error)
"""


def test_model_on_several_devices_is_refused():
    if TENSORFLOW:
        run = subprocess.run([sys.executable, "-c", REPLICAS], capture_output=True, text=True, env={**os.environ})
        assert run.stdout.count("model must train on one device") == 2, run.stderr
        return
    model = built()
    keras.distribution.set_distribution(keras.distribution.DataParallel(devices=["cpu:0"]))
    try:
        for what in (
            lambda: model.fit(X, Y, verbose=0, callbacks=[GradientNorms()]),
            lambda: time_step_norms(model, X, Y),
        ):
            with pytest.raises(ValueError, match=r"model must train on one device.*under DataParallel"):
                what()
    finally:
        keras.distribution.set_distribution(None)


@pytest.fixture(scope="module")
def masked():
    """Return a model that leaves padding out."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((None, D)), layers.Masking(), layers.SimpleRNN(H, name="r"), layers.Dense(1)]
    )
    model.compile("sgd", "mse", jit_compile=not TENSORFLOW)
    return model


@pytest.mark.parametrize("front", [False, True])
def test_aligned_ends_and_root_mean_squares_equal_the_sequences_one_by_one(masked, front):
    lengths = [4, 2, 3]
    x, y = rng.normal(size=(3, 5, D)).astype("float32"), rng.normal(size=(3, 1)).astype("float32")
    places = [slice(5 - n, 5) if front else slice(0, n) for n in lengths]
    for i, place in enumerate(places):
        kept = x[i, place].copy()
        x[i] = 0
        x[i, place] = kept
    expected, starts, alive = np.zeros((3, 3, 5))
    for i, (n, place) in enumerate(zip(lengths, places, strict=True)):
        alone = time_step_norms(masked, x[i : i + 1, place], y[i : i + 1])["r"]["h"] / 3  # the batch's loss is a mean
        expected[i, 5 - n :], starts[i, place], alive[i, 5 - n :] = alone, alone, 1
    norms = time_step_norms(masked, x, y, align="end", per="sequence")["r"]["h"]
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(norms, np.sqrt((expected**2).sum(0) / alive.sum(0)), rtol=1e-4)
    np.testing.assert_allclose(
        time_step_norms(masked, x, y)["r"]["h"], np.sqrt((starts**2).sum(0)), rtol=1e-4, atol=1e-9
    )
    with pytest.raises(ValueError, match="align must be one of 'start', 'end'"):
        time_step_norms(masked, x, y, align="left")


def test_scale_that_overflows_in_half_precision_is_lowered_as_training_would():
    keras.utils.set_random_seed(0)
    rnn = layers.LSTM(H, dtype="mixed_float16", name="r")
    model = keras.Sequential([keras.Input((T, D)), rnn, layers.Dense(1, dtype="float32")])
    model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD()), "mse", jit_compile=not TENSORFLOW)
    model.optimizer.build(model.trainable_variables)
    norms = time_step_norms(model, X, 1e3 * Y)["r"]["h"]
    assert np.isfinite(norms).all()
    assert norms.max() > 4  # times 2^15 is beyond float16


@pytest.mark.skipif(not TENSORFLOW, reason="JAX has float64 only when told so at its start")
def test_double_precision_layer_in_a_single_precision_model():
    double = built(layer=layers.LSTM(H, dtype="float64", name="r"))
    single = built(layer=layers.LSTM(H, name="r"), run_eagerly=True)
    single.set_weights(double.get_weights())
    norms, expected = (time_step_norms(model, X, Y)["r"]["h"] for model in (double, single))
    assert norms.dtype == "float64"
    np.testing.assert_allclose(norms, expected, rtol=1e-4)
