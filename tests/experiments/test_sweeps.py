"""Sweeps: what they return, what they survive, what they never repeat. No Keras here, so workers start fast."""

from contextlib import redirect_stderr, redirect_stdout
import importlib
import io
import linecache
import os
from pathlib import Path
import sys
from textwrap import dedent
import time

from course.experiments import Processes, executors, store, success_rate, sweep
import numpy as np
import pandas as pd
import pytest


def square(seed, units, rate=0.0):
    return {"score": units + seed**2 + rate, "pid": os.getpid()}


def logged(seed, units, rate, log):
    time.sleep(0.15)
    with open(log, "a") as file:
        file.write(f"{os.getpid()} {units} {seed}\n")
    return {"score": units + seed}


def moody(seed, units):
    if seed == 1:
        raise ArithmeticError(f"seed {seed} diverged")
    return {"loss": float("nan") if seed == 2 else 0.5, "curve": [1.0, np.float32("nan") if seed == 3 else 2.0]}


def lines(log):
    return Path(log).read_text().splitlines() if Path(log).exists() else []


def test_a_sweep_has_one_row_per_setting_and_seed_in_the_order_of_the_grid():
    frame = sweep(square, {"units": [8, 4], "rate": [0.5, 0.25]}, [3, 1], executor=Processes(2))
    assert list(frame.columns) == ["units", "rate", "seed", "score", "pid", "error", "seconds"]
    wanted = [(u, r, s, u + s**2 + r) for u in (8, 4) for r in (0.5, 0.25) for s in (3, 1)]
    assert list(frame[["units", "rate", "seed", "score"]].itertuples(index=False, name=None)) == wanted
    assert frame.error.isna().all()
    assert os.getpid() not in set(frame.pid)


def test_one_worker_runs_here_and_two_give_the_same_results():
    here, there = (sweep(square, [{"units": 5}, {"units": 2}], range(3), executor=n) for n in (None, Processes(2)))
    assert set(here.pid) == {os.getpid()}
    pd.testing.assert_frame_equal(here.drop(columns=["pid", "seconds"]), there.drop(columns=["pid", "seconds"]))


def test_workers_use_one_thread(monkeypatch):
    def threads(seed):
        names = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
        return {name: os.environ.get(name) for name in names}

    before = dict(os.environ)
    frame = sweep(threads, {}, [0], executor=Processes(2))
    assert frame.iloc[0, 1:4].tolist() == ["1", "1", "1"]
    assert dict(os.environ) == before


def test_a_run_that_raises_or_gives_nan_is_a_row_with_its_error():
    with pytest.warns(UserWarning, match="1 of 4 runs raised; the first: .*'seed': 1.*diverged"):
        frame = sweep(moody, {"units": [8]}, range(4))
    assert frame.error.tolist() == [None, "ArithmeticError: seed 1 diverged", "NaN in loss", "NaN in curve"]
    assert np.isnan(frame.loss[1])
    assert frame.loss[3] == 0.5


@pytest.mark.parametrize(
    ("results", "message"),
    [
        (3, "TypeError: run must return a dict"),
        ({1: 2}, "TypeError: run must return a dict"),
        ({"units": 2}, "ValueError: run must not call a result 'units'"),
        ({"seed": 2}, "ValueError: run must not call a result 'seed'"),
        ({"f": lambda: 0}, "pickle"),
    ],
)
def test_results_that_do_not_fit_the_table_are_errors_of_the_run(results, message):
    with pytest.warns(UserWarning, match="1 of 1 runs raised"):
        frame = sweep(lambda seed, units: results, {"units": [8]}, [0])
    assert message in frame.error[0]


def test_scalars_of_numpy_become_numbers():
    frame = sweep(lambda seed: {"a": np.float32(0.5), "b": np.bool_(True), "c": np.zeros(2)}, {}, [0])
    assert (type(frame.a[0]), frame.b.dtype) == (np.float64, bool)
    assert isinstance(frame.c[0], np.ndarray)


def test_a_stored_sweep_computes_only_what_is_missing(tmp_path):
    log, store = str(tmp_path / "log"), tmp_path / "store"
    first = sweep(logged, {"units": [2, 3], "rate": [0.1], "log": [log]}, [0, 1], directory=store)
    assert len(lines(log)) == 4
    more = sweep(
        logged, {"units": [2, 3, 4], "rate": [0.1], "log": [log]}, [1, 2], executor=Processes(2), directory=store
    )
    assert len(lines(log)) == 4 + 4  # seed 1 of units 2 and 3 was there
    assert more.seconds[0] == first.seconds[1]


def test_failed_runs_are_tried_again_and_nan_is_not(tmp_path):
    log = str(tmp_path / "log")

    def run(seed):
        with open(log, "a") as file:
            file.write(f"{seed}\n")
        return {"loss": 1 / seed if seed < 2 else np.nan}

    for _ in range(2):
        with pytest.warns(UserWarning, match="1 of 3 runs raised; the first: .*ZeroDivisionError"):
            frame = sweep(run, {}, [0, 1, 2], directory=tmp_path / "store")
        assert frame.error[2] == "NaN in loss"
    assert lines(log) == ["0", "1", "2", "0"]


def test_an_unfinished_sweep_goes_on_with_what_it_has(tmp_path):
    log, grid = str(tmp_path / "log"), {"units": [2, 3], "rate": [0.1]}
    full = sweep(logged, [{**s, "log": log} for s in ({"units": 2, "rate": 0.1}, {"units": 3, "rate": 0.1})], [0, 1])
    for _ in range(2):
        frame = sweep(logged, grid | {"log": [log]}, [0, 1], directory=tmp_path / "store")
    pd.testing.assert_frame_equal(full.drop(columns="seconds"), frame.drop(columns="seconds"))
    assert len(lines(log)) == 4 + 4


CODE = """
def run(seed):
    return {{"score": {factor} * (seed + 1)}}
"""


def edited(tmp_path, monkeypatch, factor):
    (tmp_path / "edited.py").write_text(CODE.format(factor=factor))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("edited", None)
    linecache.checkcache()
    return importlib.import_module("edited").run


def test_results_of_other_code_are_refused_with_what_to_do(tmp_path, monkeypatch):
    store = tmp_path / "store"
    for _ in range(2):
        assert sweep(edited(tmp_path, monkeypatch, 2), {}, [1], directory=store).score[0] == 4
    changed = edited(tmp_path, monkeypatch, 3)
    with pytest.raises(ValueError, match=r"something else has made.*: file changed since\. Name another directory"):
        sweep(changed, {}, [1], directory=store)
    assert sweep(changed, {}, [1], directory=tmp_path / "other").score[0] == 6


def test_results_of_another_backend_or_course_are_refused(tmp_path, monkeypatch):
    sweep(square, {"units": [1]}, [0], directory=tmp_path / "store")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(ValueError, match="backend changed since"):
        sweep(square, {"units": [1]}, [0], directory=tmp_path / "store")
    monkeypatch.undo()
    monkeypatch.setattr(store, "COURSE", tmp_path)
    (tmp_path / "cells.py").write_text("x = 1")
    with pytest.raises(ValueError, match="course changed since"):
        sweep(square, {"units": [1]}, [0], directory=tmp_path / "store")


def test_what_only_draws_and_checks_is_no_part_of_a_result(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "COURSE", tmp_path)
    before = store.made_by(square)
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "new.py").write_text("x = 1")
    assert store.made_by(square) == before
    (tmp_path / "cells.py").write_text("x = 1")
    assert store.made_by(square) != before


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_directory_with_something_else_is_refused(tmp_path, what):
    if what == "file":
        (tmp_path / "x").write_text("notes")
        directory, message = tmp_path / "x", "directory must be a folder"
    else:
        (tmp_path / "notes.txt").write_text("notes")
        directory, message = tmp_path, "directory must be new, empty or of this run"
    with pytest.raises(ValueError, match=message):
        sweep(square, {"units": [1]}, [0], directory=directory)


def die(seed, units):
    if (seed, units) == (1, 8):
        os._exit(3)
    time.sleep(0.2)
    return {"score": seed}


def test_a_run_that_takes_its_process_down_is_a_row_and_the_others_go_on():
    with pytest.warns(UserWarning, match="1 of 6 runs raised; the first: .*'seed': 1.*TerminatedWorkerError"):
        frame = sweep(die, {"units": [8, 9]}, range(3), executor=Processes(2))
    assert frame.error.isna().tolist() == [True, False, True, True, True, True]
    assert frame.score.dropna().tolist() == [0, 2, 0, 1, 2]


def test_what_comes_after_a_run_is_the_same_setting_until_others_would_idle(monkeypatch):
    """As many runs are under way as there are workers, so the next one goes to the worker that did the last."""
    asked, original = [], executors.carry_out

    def watched(function, ask, executor):
        def listed(last):
            asked.append((last and last[1]["units"], (task := ask(last)) and task[1]["units"]))
            return task

        return original(function, listed, executor)

    class Two(executors.Here):
        workers = 2

    monkeypatch.setattr(executors, "carry_out", watched)
    sweep(square, {"units": [8, 16]}, range(6), executor=Two())
    assert {(last, task) for last, task in asked if last and task} == {(8, 8), (16, 16)}
    asked.clear()
    sweep(square, {"units": [8, 16, 32]}, range(2), executor=Two())
    assert [task for last, task in asked[:2]] == [8, 16]
    assert {task for last, task in asked if last != task} == {8, 16, 32, None}


def notebook(directory, factor):
    import nbformat  # here, as the workers load this file too

    code = f"""
    from course.experiments import Processes, sweep
    FACTOR = {factor}
    def helper(seed):
        return FACTOR * seed
    def run(seed, units):
        open({str(directory / "log")!r}, "a").write("x\\n")
        return {{"score": helper(seed) + units}}
    frame = sweep(run, {{"units": [1, 2]}}, range(3), executor=Processes(2), directory={str(directory / "store")!r})
    print(frame.score.tolist())
    """
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(dedent(code))])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of jupyter_client
def test_functions_of_a_notebook_run_in_workers_and_are_found_again_by_the_next_kernel(tmp_path, monkeypatch):
    from nbclient import NotebookClient

    monkeypatch.setenv("TQDM_DISABLE", "1")  # as for notebooks that are stored
    for _ in range(2):
        cell = NotebookClient(notebook(tmp_path, 10), kernel_name="python3").execute().cells[0]
        wanted = str([10 * s + u for u in (1, 2) for s in range(3)]) + "\n"
        assert [(output["name"], output["text"]) for output in cell.outputs] == [("stdout", wanted)]
        assert len(lines(tmp_path / "log")) == 6
    with pytest.raises(Exception, match="file changed since"):  # a constant of the cell is part of its source
        NotebookClient(notebook(tmp_path, 20), kernel_name="python3").execute()


def test_the_bar_is_on_standard_output_and_can_be_switched_off():
    def output(**options):
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            sweep(square, {"units": [8]}, range(3), **options)
        assert err.getvalue() == ""
        return out.getvalue()

    assert "0/3" in output()
    assert output().split("\r")[-1].strip() == ""  # cleared at the end
    assert output(progress=False) == ""


def test_a_stored_sweep_refuses_values_that_have_no_name(tmp_path):
    with pytest.raises(TypeError, match="grid must hold numbers, text, None or tuples of these"):
        sweep(square, {"units": [frozenset([1])]}, [0], directory=tmp_path / "store")


def test_success_rate_is_wilsons_interval_worked_out_by_hand():
    frame = pd.DataFrame({"gap": [10] * 10 + [50] * 4, "score": [1.0] * 7 + [0.0] * 3 + [0.0] * 4})
    table = success_rate(frame, "gap", lambda frame: frame.score > 0.5)
    z = 1.959963984540054
    center, half = (7 + z**2 / 2) / (10 + z**2), z / (10 + z**2) * np.sqrt(7 * 3 / 10 + z**2 / 4)
    assert table.columns.tolist() == ["gap", "rate", "low", "high", "n"]
    assert table.iloc[0].tolist() == pytest.approx([10, 0.7, center - half, center + half, 10], abs=1e-12)
    assert table.iloc[1].tolist() == pytest.approx([50, 0, 0, z**2 / (4 + z**2), 4], abs=1e-12)


def test_runs_with_an_error_count_as_not_solved():
    frame = pd.DataFrame(
        {"cell": "gru", "ok": [True, True, None, True], "error": [None, "NaN in loss", "ValueError", None]}
    )
    assert success_rate(frame, ["cell"], "ok")[["rate", "n"]].to_numpy().tolist() == [[0.5, 4]]


def test_a_higher_confidence_gives_a_wider_interval():
    frame = pd.DataFrame({"cell": ["rnn"] * 5, "ok": [True, False, True, True, False]})
    narrow, wide = (success_rate(frame, "cell", "ok", confidence=c).iloc[0] for c in (0.8, 0.99))
    assert wide.low < narrow.low < 0.6 < narrow.high < wide.high


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"run": 3}, TypeError, "run must be a function"),
        ({"run": lambda units: {}}, TypeError, "run must accept seed, units"),
        ({"run": lambda seed: {}}, TypeError, "run must accept seed, units"),
        ({"grid": "units"}, TypeError, "grid must be a dict of lists"),
        ({"grid": {"units": "8"}}, TypeError, "grid\\['units'\\] must be a list"),
        ({"grid": {"units": 8}}, TypeError, "grid\\['units'\\] must be a list"),
        ({"grid": {"units": []}}, ValueError, "grid must hold at least one value"),
        ({"grid": []}, ValueError, "grid must hold at least one value"),
        ({"grid": {"units": [8, 8]}}, ValueError, "grid must not hold a setting twice"),
        ({"grid": {"units": [[8]]}}, TypeError, "grid must have hashable values"),
        ({"grid": {"seed": [1]}}, ValueError, "grid must have names"),
        ({"grid": {"error": [1]}}, ValueError, "grid must have names"),
        ({"grid": {3: [1]}}, ValueError, "grid must have names"),
        ({"grid": [{"units": 8}, {"gap": 8}]}, ValueError, "grid must have the same names"),
        ({"seeds": 5}, TypeError, "seeds must be a list of integers"),
        ({"seeds": []}, ValueError, "seeds must hold at least one"),
        ({"seeds": [1, 1]}, ValueError, "seeds must hold at least one integer and none twice"),
        ({"seeds": [0.5]}, TypeError, "seeds must be an integer"),
        ({"seeds": [-1]}, ValueError, "seeds must be at least 0"),
        ({"seeds": [2**32]}, ValueError, "seeds must be at most"),
        ({"executor": 2}, TypeError, "executor must be a concurrent.futures.Executor"),
        ({"directory": 3}, TypeError, "directory must be a path"),
    ],
)
def test_sweep_names_the_bad_argument(change, error, message):
    with pytest.raises(error, match=message):
        sweep(**({"run": square, "grid": {"units": [8]}, "seeds": [0]} | change))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"frame": [1]}, TypeError, "frame must be a pandas.DataFrame"),
        ({"frame": pd.DataFrame()}, TypeError, "frame must be a pandas.DataFrame"),
        ({"by": "units"}, ValueError, "by must be one of 'cell', 'ok'"),
        ({"by": []}, ValueError, "by must be one of 'cell', 'ok'"),
        ({"by": ["low"]}, ValueError, "by must not be called as a column of the result, got 'low'"),
        ({"solved": "done"}, ValueError, "solved must be one of"),
        ({"solved": "score"}, ValueError, "solved must give True or False"),
        ({"solved": lambda frame: frame.score}, ValueError, "solved must give True or False"),
        ({"confidence": 95}, ValueError, "confidence must be below 1"),
        ({"confidence": 0}, ValueError, "confidence must be above 0"),
    ],
)
def test_success_rate_names_the_bad_argument(change, error, message):
    frame = pd.DataFrame({"cell": ["rnn", "gru"], "ok": [True, False], "score": [0.3, 0.9], "low": [0, 1]})
    with pytest.raises(error, match=message):
        success_rate(**({"frame": frame, "by": "cell", "solved": "ok"} | change))
