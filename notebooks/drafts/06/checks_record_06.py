"""The record of lesson 06: what is in it, and that its runs begin as they do here, on this backend."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

DATA = Path(__file__).resolve().parents[2] / "data"


def loaded():
    described = importlib.util.spec_from_file_location("record_06", DATA / "record_06.py")
    module = importlib.util.module_from_spec(described)
    described.loader.exec_module(module)
    return module


record_06 = loaded()
RECORDED = pd.read_csv(DATA / "06_divergence.csv").fillna({"clip": ""})


def test_it_holds_twenty_seeds_of_every_setting_of_the_script():
    for network in record_06.NETWORKS:
        for cure in record_06.CURES:
            rows = RECORDED[(RECORDED.network == network) & (RECORDED.cure == cure)]
            assert sorted(rows.seed) == list(range(20))
            for name, value in record_06.setting(network, cure).items():
                assert (rows[name] == value).all(), (network, cure, name)


@pytest.mark.parametrize(
    ("network", "cure"),
    [("ReLU", "nothing"), ("ReLU", "global_clipnorm"), ("tanh, gain 2", "blocks of 20")],
)
def test_its_runs_begin_as_they_do_here(network, cure):
    (row,) = RECORDED[
        (RECORDED.network == network) & (RECORDED.cure == cure) & (RECORDED.seed == 3)
    ].curve
    here = record_06.train(3, **record_06.setting(network, cure) | {"updates": 20})["curve"]
    assert np.allclose(np.fromstring(here, sep=" "), np.fromstring(row, sep=" ")[:2], rtol=2e-3)
