"""A small search for the tests, as `python -m course.tuning` and `tests/faults.py` run it."""

from types import SimpleNamespace

import keras
import numpy as np


def build(hp):
    """Return a small RNN that learns to add up."""
    model = keras.Sequential(
        [keras.Input((5, 1)), keras.layers.SimpleRNN(hp.Int("units", 2, 60)), keras.layers.Dense(1)]
    )
    model.compile(keras.optimizers.Adam(hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")), "mse")
    return model


def data(n=64):
    """Return sequences of numbers and their sums."""
    x = np.random.default_rng(0).normal(size=(2 * n, 5, 1)).astype("float32")
    y = x.sum(1)
    return SimpleNamespace(x_train=x[:n], y_train=y[:n], x_validation=x[n:], y_validation=y[n:])


def define(max_trials=20):
    """Return the arguments of `course.tuning.search`, but for the directory."""
    return {
        "hypermodel": build,
        "data": data(),
        "max_trials": max_trials,
        "executions": 2,
        "epochs": 20,
        "patience": 20,
        "objective": "val_loss",
    }


def define_short():
    """Return the same with few trials."""
    return define(max_trials=4)
