"""What lesson 08 reads from data/, spot-checked by computing a part of it again, and the identities it states."""

import importlib.util
from pathlib import Path

from course import sequences
from course.by_hand import lstm_forward
from course.gradients import time_step_norms
from course.layers import LSTMCell
import keras
import numpy as np
import pandas as pd
import pytest

DATA = Path(__file__).resolve().parent.parent / "data"
RUNS = pd.read_csv(DATA / "08_recall.csv", dtype={"start": str})
NETS = np.load(DATA / "08_solved.npz")


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("record_08", DATA / "record_08.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_stored_network_is_a_solved_run_and_answers_as_recorded():
    x, y = sequences.recall(300, 100, np.random.default_rng(5))
    for n, (start, seed) in enumerate(zip(NETS["start"], NETS["seed"], strict=True)):
        W, U, b, V, d = (NETS[name][n].astype(float) for name in "WUbVd")
        right = np.mean(np.argmax(lstm_forward(x, W, U, b).h[:, -1] @ V + d, axis=1) == y)
        run = RUNS[(RUNS.gap == 100) & (RUNS.start == start.split(", trained")[0]) & (RUNS.seed == seed)]
        run = run[(run.until == 1) == ("trained on" in start)].iloc[0]
        assert float(run.curve.split()[-1]) > 0.99
        assert abs(right - run.accuracy) < 0.02, (start, seed)


def test_a_recorded_run_comes_out_again(script):
    """Random numbers differ between backends, so the number of updates is compared to the range over seeds."""
    runs = RUNS[(RUNS.gap == 100) & (RUNS.start == "5, write -5")]
    blocks = runs.curve.str.split().str.len()
    setting = runs.iloc[0][["cell", "start", "gap", "updates", "learning_rate", "until"]].to_dict()
    found = script.recall(0, **setting)
    assert found["accuracy"] > 0.98
    assert blocks.min() / 2 < len(found["curve"].split()) < 2 * blocks.max()


def test_without_U_the_gradient_of_the_memory_is_the_product_of_the_forget_gates():
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((7, 3)), keras.layers.RNN(LSTMCell(1)), keras.layers.Dense(2)])
    model.compile("sgd", "mse")
    W, U, b, *readout = model.get_weights()
    model.set_weights([W, 0 * U, b, *readout])
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(1, 7, 3)).astype("float32"), rng.normal(size=(1, 2)).astype("float32")
    (norms,) = time_step_norms(model, x, y).values()
    f = lstm_forward(x.astype(float), W, 0.0 * U, b).f[0, :, 0]
    expected = [np.prod(f[t:6]) for t in range(1, 7)]  # from step 6 back to step t
    np.testing.assert_allclose(norms["c"][:6] / norms["c"][5], expected, rtol=1e-4)
