"""What lesson 02 reads from data/, spot-checked by computing a part of it again."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd

DATA = Path(__file__).resolve().parent.parent / "data"
RUNS = pd.read_csv(DATA / "02_reversal.csv")


def test_a_recorded_run_comes_out_again():
    """Random numbers differ between backends, so a run is compared to the range over seeds."""
    spec = importlib.util.spec_from_file_location("record_02", DATA / "record_02.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    found = script.reverse(1, longest=6, updates=800)
    runs = RUNS[(RUNS.longest == 6) & (RUNS.updates == 800)]
    assert len(runs) == 5
    for length, share in found.items():
        assert runs[length].min() - 0.15 < share < runs[length].max() + 0.15, length


def test_all_settings_are_recorded_with_the_same_seeds():
    seeds = RUNS.groupby(["longest", "updates"]).seed.agg(list)
    assert set(seeds.index) == {(6, 800), (6, 3200), (9, 3200)}
    assert all(of_one == list(range(5)) for of_one in seeds)
    assert np.isfinite(RUNS.to_numpy(float)).all()
