"""The record of lesson 06: what is in it, and that its runs begin as they do here, on this backend."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

DATA = Path(__file__).resolve().parent.parent / "data"
RECORDED = pd.read_csv(DATA / "06_divergence.csv")


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
            assert sorted(rows.seed) == list(range(15))
            assert (rows.curve.str.split().str.len() == script.UPDATES // script.BLOCK).all()


@pytest.mark.parametrize(
    ("network", "cure"),
    [("ReLU", "clipvalue 0.01"), ("tanh", "global_clipnorm 0.1"), ("tanh", "truncated, 20"), ("tanh", "warm-up")],
)
def test_its_runs_begin_as_they_do_here(script, network, cure):
    recorded = RECORDED.set_index(["network", "cure", "seed"]).curve[network, cure, 3]
    here = script.train(3, network, cure, updates=20)["curve"]
    np.testing.assert_allclose(*([float(loss) for loss in curve.split()[:2]] for curve in (here, recorded)), rtol=0.01)
