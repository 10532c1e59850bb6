"""The record of lesson 06: what is in it, and that its runs begin as they do with Keras and its optimizers."""

import importlib.util
from pathlib import Path

from course.layers import LSTMCell, RNNCell
import keras
import numpy as np
import pandas as pd
import pytest

DATA = Path(__file__).resolve().parent.parent / "data"
RECORDED = pd.read_csv(DATA / "06_divergence.csv")
UPDATES = 20


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("record_06", DATA / "record_06.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_holds_fifteen_seeds_of_every_setting_of_the_script(script):
    for network in script.NETWORKS:
        for cure in script.OF_THE_LSTM if network == "LSTM" else script.CURES:
            rows = RECORDED[(RECORDED.network == network) & (RECORDED.cure == cure)]
            assert rows.seed.tolist() == list(range(script.SEEDS))
            assert (rows.curve.str.split().str.len() == script.UPDATES // script.BLOCK).all()


def with_keras(script, seed, cell, gain, rate, slower, warm_up, block, **clip):
    """The mean loss of every ten of the first updates, trained with Keras."""
    inputs = keras.Input((script.T, 1))
    made = LSTMCell(script.UNITS) if cell == "LSTM" else RNNCell(script.UNITS, activation=cell)
    rnn = keras.layers.RNN(made, return_sequences=True, return_state=True)
    parts, states = [], None
    for first in range(0, script.T, block):
        h, *states = rnn(inputs[:, first : first + block], initial_state=states)
        states = [keras.ops.stop_gradient(state) for state in states]
        parts.append(h)
    h = keras.ops.concatenate(parts, axis=1)[:, script.BACK :]
    model = keras.Model(inputs, keras.layers.Dense(1)(h))
    rate = rate / slower
    if warm_up > 1:
        rate = keras.optimizers.schedules.PolynomialDecay(rate / warm_up, warm_up - 1, rate)
    optimizer = keras.optimizers.SGD(rate, **{kind: theta for kind, theta in clip.items() if np.isfinite(theta)})
    model.compile(optimizer, keras.losses.BinaryCrossentropy(from_logits=True))
    model.set_weights(script.start(seed, gain, gates=4 if cell == "LSTM" else 1))
    x = script.signs(seed, UPDATES).astype("float32").reshape(-1, script.BLOCK * script.BATCH, script.T, 1)
    fit = {"batch_size": script.BATCH, "shuffle": False, "verbose": 0}
    return [model.fit(part, part[:, : -script.BACK] > 0, **fit).history["loss"][0] for part in x]


@pytest.mark.parametrize(
    ("network", "cure"),
    [
        ("tanh", "global_clipnorm 0.1"),
        ("tanh", "clipnorm 0.1"),
        ("ReLU", "clipvalue 0.01"),
        ("tanh, U x 2", "truncated, 20"),
        ("ReLU", "truncated, 5"),
        ("tanh", "warm-up"),
        ("tanh", "LSTM"),
    ],
)
def test_its_runs_begin_as_they_do_with_keras(script, network, cure):
    recorded = RECORDED.set_index(["network", "cure", "seed"]).curve[network, cure, 3]
    losses = with_keras(script, 3, **script.setting(network, cure))
    np.testing.assert_allclose(losses, [float(loss) for loss in recorded.split()[: len(losses)]], rtol=0.02)
