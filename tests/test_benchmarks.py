"""The benchmarks run and compare what they say; small sizes, so the numbers mean nothing here."""

import itertools
import subprocess
import sys
import time

from course.experiments import sweep
import pandas as pd
import pytest

from benchmarks import __main__ as command
from benchmarks import step_times, sweep_times
from benchmarks.tables import medians, show

TINY = {"T": 3, "B": 2, "H": 5, "D": 2, "steps": 2, "repeats": 1}


def test_every_file_is_a_table_with_a_name():
    assert {"step_times", "sweep_times"} <= set(command.TABLES)
    assert not {"tables", "__main__"} & set(command.TABLES)


def test_an_unknown_table_is_refused_before_anything_runs(monkeypatch, capsys):
    monkeypatch.setattr(subprocess, "run", None)
    assert command.main(["step_times", "step_time"]) == 2
    assert "no table 'step_time'" in capsys.readouterr().err


def test_a_table_that_fails_makes_the_command_fail(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert command.main(["step_times"]) == 1


def test_the_first_call_which_compiles_is_not_timed():
    calls = {"a": 0, "b": 0}

    def function(name, seconds):
        calls[name] += 1
        time.sleep(0.2 if calls[name] == 1 else seconds)

    times = medians({"a": lambda: function("a", 0.01), "b": lambda: function("b", 0.04)}, repeats=3)
    assert calls == {"a": 4, "b": 4}
    assert 0.01 <= times["a"] < times["b"] < 0.2


def test_stock_and_ours_are_timed_on_the_same_number_of_weights():
    models = step_times.keras_models("GRU", T=3, H=5, D=2, default_compile=True)
    assert len({model.count_params() for model in models.values()}) == 1
    assert [model.jit_compile for model in models.values()] == [False, True, True]


def test_rows_have_times_and_ratios_to_stock_keras():
    rows = step_times.with_ratios(step_times.measure("tensorflow", TINY, ["SimpleRNN"]))
    assert [row["variant"].split(",")[0] for row in rows] == ["stock", "stock", "ours"]
    assert rows[0]["ratio"] == 1
    assert all(row["ms"] > 0 and row["ratio"] == row["ms"] / rows[0]["ms"] for row in rows)


def test_a_library_that_is_not_installed_is_a_row_that_says_so(monkeypatch, capsys):
    monkeypatch.setitem(step_times.BACKENDS, "pytorch", "no_such_library")
    rows = step_times.rows_of("pytorch")
    show("title", step_times.with_ratios(rows))
    assert capsys.readouterr().out.count("not installed") == 3


def test_all_ways_to_do_a_sweep_find_the_same_losses(monkeypatch):
    def here(*args, executor, progress):
        return sweep(*args, progress=False)

    monkeypatch.setattr(sweep_times, "sweep", here)  # no workers, which would take long to load Keras
    rows = sweep_times.rows({"units": [2]}, [0], steps=2, repeats=1)
    assert [row["runs"] for row in rows] == [1] * 5
    assert rows[0]["times as fast"] == 1


def test_ways_that_find_other_losses_are_not_compared(monkeypatch):
    losses = itertools.count()
    monkeypatch.setattr(sweep_times, "sweep", lambda *args, **options: pd.DataFrame({"loss": [next(losses)]}))
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        sweep_times.rows({"units": [2]}, [0], steps=2)
