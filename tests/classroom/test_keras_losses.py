"""What lesson 03 says in passing about Keras' losses, on the backend that is there."""

import warnings

import keras
import numpy as np
import pytest

ON_TENSORFLOW = keras.backend.backend() == "tensorflow"
X, RIGHT = (
    np.random.default_rng(0).normal(0, 3, (4, 3)).astype("float32"),
    np.array([0, 1, 2, 0]),
)


def reported(model):
    """The loss that evaluate reports with from_logits=True, the warnings about it, and the probabilities."""
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    p = keras.ops.convert_to_numpy(model(X))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        loss = model.evaluate(X, RIGHT, verbose=0)
    return loss, [w for w in said if "from_logits" in str(w.message)], p.reshape(4, 3)


def cross_entropy(p):
    return -np.log(p[np.arange(4), RIGHT]).mean()


def twice(p):
    return cross_entropy(np.exp(p) / np.exp(p).sum(axis=1, keepdims=True))


def test_a_softmax_that_comes_last_is_noticed_on_tensorflow_only():
    keras.utils.set_random_seed(0)
    loss, said, p = reported(keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, activation="softmax")]))
    assert len(said) == (1 if ON_TENSORFLOW else 0)
    assert loss == pytest.approx(cross_entropy(p) if ON_TENSORFLOW else twice(p), rel=1e-4)


def test_a_softmax_with_a_layer_behind_it_is_taken_twice_without_a_word():
    keras.utils.set_random_seed(0)
    dense = keras.layers.Dense(3, activation="softmax")
    loss, said, p = reported(keras.Sequential([keras.Input((3,)), dense, keras.layers.Reshape((3,))]))
    assert not said
    assert loss == pytest.approx(twice(p), rel=1e-4)


def test_a_softmax_inside_time_distributed_is_taken_twice_without_a_word():
    keras.utils.set_random_seed(0)
    inner = keras.layers.TimeDistributed(keras.layers.Dense(3, activation="softmax"))
    model = keras.Sequential([keras.Input((3,)), keras.layers.Reshape((1, 3)), inner])
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    p = keras.ops.convert_to_numpy(model(X))[:, 0]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        loss = model.evaluate(X, RIGHT[:, None], verbose=0)
    assert not [w for w in said if "from_logits" in str(w.message)]
    assert loss == pytest.approx(twice(p), rel=1e-4)
