"""data/05_gain.csv is what its script makes: two of its runs, made again, on whatever backend runs the tests."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

DATA = Path(__file__).resolve().parent.parent / "data"
RECORD = pd.read_csv(DATA / "05_gain.csv")
USUAL = {"gap": 10, "updates": 900, "learning_rate": 3e-3}


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("record_05", DATA / "record_05.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def recorded(**setting):
    """The rows of the record with this setting."""
    return RECORD[(RECORD[list(setting)] == pd.Series(setting)).all(axis=1)]


@pytest.mark.parametrize("gain", [0.57, 1.2])
def test_a_run_of_the_record_made_again_agrees_with_its_ten_seeds(script, gain):
    setting = {"kind": "orthogonal", "gain": gain} | USUAL
    rows, again = recorded(**setting), script.learn(seed=0, **setting)
    assert len(rows) == 10
    # Backends draw other weights from one seed; orthogonal ones of one gain differ little.
    assert again["exponent"] == pytest.approx(rows.exponent.mean(), abs=0.03)
    assert again["accuracy"] > 0.99
    assert (rows.accuracy > 0.99).all()
    assert 0.5 * rows.used.min() <= again["used"] <= 2 * rows.used.max()


def test_the_exponent_is_that_of_the_matrix_where_nothing_bends(script):
    """With weights near 0 every slope is 1, and an orthogonal U times 0.9 shrinks each change by 0.9."""
    Q, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(script.H, script.H)))
    weights = [np.zeros((21, script.H)), 0.9 * Q, np.zeros(script.H)]
    assert script.exponent(weights, np.random.default_rng(1)) == pytest.approx(np.log(0.9))
