"""The record of lesson 06: what is in it, and that its runs begin as they do with Keras and its optimizers."""

import importlib.util
from pathlib import Path

from course.by_hand import rnn_backward, rnn_forward, sigmoid
from course.layers import LSTMCell, RNNCell
import keras
import numpy as np
import pandas as pd
import pytest

DATA = Path(__file__).resolve().parent.parent / "data"
TABLE = pd.read_csv(DATA / "06_divergence.csv")
RECORDED = TABLE[TABLE.updates == 400]
UPDATES = 20


@pytest.fixture(scope="module")
def script():
    pytest.importorskip("jax")  # which trained the record
    spec = importlib.util.spec_from_file_location("record_06", DATA / "record_06.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_holds_fifteen_seeds_of_every_setting_of_the_script(script):
    for network in script.NETWORKS:
        for cure in script.OF_THE_LSTM if network == "LSTM" else script.CURES:
            rows = RECORDED[(RECORDED.network == network) & (RECORDED.cure == cure)]
            assert rows.seed.tolist() == list(range(script.SEEDS))
    blocks = TABLE.curve.str.split().str.len()
    assert (blocks == TABLE.updates // script.BLOCK).all()
    for network, cures in script.LONGER.items():
        for cure in cures:
            rows = TABLE[(TABLE.network == network) & (TABLE.cure == cure) & (TABLE.updates > 400)]
            assert rows.seed.tolist() == list(range(10))


def with_keras(script, seed, cell, gain, rate, slower, warm_up, **clip):
    """The mean loss of every ten of the first updates, trained with Keras."""
    inputs = keras.Input((script.T, 1))
    made = LSTMCell(script.UNITS) if cell == "LSTM" else RNNCell(script.UNITS, activation=cell)
    h = keras.layers.RNN(made, return_sequences=True)(inputs)[:, script.BACK :]
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
        ("tanh", "warm-up"),
        ("tanh", "LSTM"),
    ],
)
def test_its_runs_begin_as_they_do_with_keras(script, network, cure):
    recorded = RECORDED.set_index(["network", "cure", "seed"]).curve[network, cure, 3]
    options = script.setting(network, cure)
    assert options.pop("block") == script.T
    losses = with_keras(script, 3, **options)
    np.testing.assert_allclose(losses, [float(loss) for loss in recorded.split()[: len(losses)]], rtol=0.02)


def test_blocks_end_the_way_back_and_keep_the_state(script):
    weights, x = script.start(0, 1.0), script.signs(0, 1)[0].astype(float)
    W, U, b, V, b_V = weights
    h = rnn_forward(x, W, U, b)
    e = np.zeros_like(x)
    y = x[:, : -script.BACK] > 0
    e[:, script.BACK :] = (sigmoid(h[:, script.BACK :] @ V + b_V) - y) / y.size
    by_hand = 0
    for first in range(0, script.T, 20):
        now, before = slice(first, first + 20), h[:, first - 1] if first else None
        by_hand += rnn_backward(x[:, now], W, U, b, h[:, now], (e @ V.T)[:, now], h0=before).U
    import jax

    starts = (np.arange(script.T) % 20 == 0).astype("float32")
    _, found, *_ = jax.grad(script.loss)([w.astype("float32") for w in weights], x.astype("float32"), "tanh", starts)
    np.testing.assert_allclose(found, by_hand, atol=1e-4 * np.abs(by_hand).max())
