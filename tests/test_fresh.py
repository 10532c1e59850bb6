"""A model from `fresh` trains exactly as a new one: the same losses and weights to the last bit."""

from course import fresh as module
from course.fresh import fresh
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
    new = {}
    for seed in (3, 4):
        keras.utils.set_random_seed(seed)
        new[seed] = trained(build(5))
    assert not same(new[3], new[4])
    for seed in (4, 3, 4):
        assert same(trained(fresh(build, seed, units=5)), new[seed])


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
