"""A model from `fresh` trains exactly as a new one: the same losses and weights to the last bit."""

from course.experiments import fresh
from course.experiments import models as module
import keras
import numpy as np
import pytest

T, D = 6, 2
rng = np.random.default_rng(0)
x, y = rng.normal(size=(64, T, D)).astype("float32"), rng.integers(0, 3, 64)


def build(units, rate=0.2):
    """Return a model with random weights, masks, a stateful optimizer, and an order of examples that matters."""
    model = keras.Sequential([keras.Input((T, D)), keras.layers.Dropout(0.1)])
    model.add(keras.layers.SimpleRNN(units, dropout=rate, recurrent_initializer="glorot_normal"))
    model.add(keras.layers.Dense(3))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-2), loss, metrics=["accuracy"], jit_compile=True)
    return model


def trained(model):
    history = model.fit(x, y, batch_size=16, epochs=2, verbose=0).history
    return history, [keras.ops.convert_to_numpy(1 * weight) for weight in model.weights]


def same(one, other):
    return one[0] == other[0] and all(np.array_equal(a, b) for a, b in zip(one[1], other[1], strict=True))


def test_training_is_identical_to_that_of_a_new_model_whatever_was_trained_before():
    keras.utils.set_random_seed(4)
    new = trained(build(5))
    for seed in (4, 3, 4):
        assert same(trained(fresh(build, seed, units=5)), new) == (seed == 4)


def test_nothing_is_traced_again(monkeypatch):
    first = fresh(build, 0, units=5)
    trained(first)
    compiled = first.train_function
    assert compiled is not None
    assert fresh(build, 1, units=5).train_function is compiled
    assert fresh(build, 1, units=4).train_function is None


def test_changed_models_are_built_anew():
    frozen = fresh(build, 0, units=3)
    frozen.layers[1].trainable = False
    assert fresh(build, 0, units=3) is not frozen
    again = fresh(build, 0, units=3)
    again.compile("sgd", "mse")
    assert isinstance(fresh(build, 0, units=3).optimizer, keras.optimizers.Adam)


def test_a_learning_rate_changed_by_hand_is_back_at_the_start():
    fresh(build, 0, units=3).optimizer.learning_rate = 5.0
    assert float(fresh(build, 0, units=3).optimizer.learning_rate) == pytest.approx(0.01)


def test_only_the_latest_models_are_kept():
    module._MODELS.clear()
    for units in (*range(1, module._KEEP + 2), 1):
        fresh(build, 0, units=units)
    assert len(module._MODELS) == module._KEEP


def unbuilt():
    model = keras.Sequential([keras.layers.Dense(3)])
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize(
    ("build", "seed", "error", "message"),
    [
        (3, 0, TypeError, "build must be a function"),
        (build, 0.5, TypeError, "seed must be an integer"),
        (build, -1, ValueError, "seed must be at least 0"),
        (build, 2**32, ValueError, "seed must be at most"),
        (lambda units: units, 0, ValueError, "build must return a compiled keras.Model"),
        (
            lambda units: keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)]),
            0,
            ValueError,
            "build must return",
        ),
        (lambda units: unbuilt(), 0, ValueError, "build must return a compiled keras.Model that starts with"),
    ],
)
def test_bad_input_is_named(build, seed, error, message):
    with pytest.raises(error, match=message):
        fresh(build, seed, units=3)


SCALE = 2.0


def scaled(y_true, y_pred):
    return SCALE * keras.ops.mean(keras.ops.square(y_true - y_pred))


def tanh(x):  # called as one of Keras'
    return SCALE * x


class Times(keras.layers.Layer):
    def call(self, x):
        return SCALE * x


@pytest.mark.parametrize(
    ("layer", "loss"),
    [
        (lambda: keras.layers.Dense(1), scaled),
        (lambda: keras.layers.Dense(1, activation=tanh), "mse"),
        (lambda: keras.layers.Lambda(lambda x: SCALE * x), "mse"),
        (Times, "mse"),
    ],
)
@pytest.mark.filterwarnings("ignore")  # that a Lambda cannot be saved
def test_a_constant_changed_by_hand_never_comes_back_as_the_old_model(layer, loss, monkeypatch):
    def build():
        model = keras.Sequential([keras.Input((1,)), layer(), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.0), loss)
        return model

    def loss_of(model):
        return model.evaluate(np.ones((4, 1)), np.zeros((4, 1)), verbose=0)

    before = loss_of(fresh(build, 1))
    monkeypatch.setattr(f"{__name__}.SCALE", 4.0)
    assert loss_of(fresh(build, 1)) > 1.5 * before


def test_a_setting_of_the_notebook_that_changes_the_graph_is_another_model():
    for rate in (0.1, 0.4):
        assert fresh(lambda rate=rate: build(3, rate), 0).layers[1].cell.dropout == rate


def test_what_was_changed_by_hand_on_the_model_is_gone():
    fresh(build, 0, units=3).layers[1].cell.activation = keras.activations.relu
    assert fresh(build, 0, units=3).layers[1].cell.activation is keras.activations.tanh
    fresh(build, 0, units=3).optimizer.global_clipnorm = 1.0
    assert fresh(build, 0, units=3).optimizer.global_clipnorm is None


def test_a_name_that_was_given_is_kept():
    def named(name):
        model = keras.Sequential([keras.Input((T, D)), keras.layers.GRU(2, name=name), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    for name in (None, None, "reader", "gru", None):
        assert name in (None, fresh(named, 0, name=name).layers[0].name)


def test_a_sweep_over_learning_rates_compiles_once():
    def at(rate):
        model = keras.Sequential([keras.Input((T, D)), keras.layers.GRU(2), keras.layers.Dense(1)])
        model.compile(keras.optimizers.Adam(rate), "mse")
        return model

    first = fresh(at, 0, rate=0.1)
    first.fit(x, y, epochs=1, verbose=0)
    second = fresh(at, 0, rate=0.2)
    assert second.train_function is first.train_function is not None
    assert float(second.optimizer.learning_rate) == pytest.approx(0.2)
