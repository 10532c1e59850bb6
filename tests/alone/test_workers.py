"""Sweeps whose workers are timed or killed. They run without neighbours; no Keras here, so workers start fast."""

import os
from pathlib import Path
import signal
import subprocess
import sys
import threading
import time

from course import experiments
from course.experiments import Processes, sweep
import pandas as pd
import pytest

GRID = {"units": [8, 16, 32, 64]}  # 4 settings, with 6 seeds 24 runs


def nap(seed, units):
    time.sleep(0.1)
    return {"pid": os.getpid()}


def logged(seed, units, log):
    time.sleep(0.15)
    with open(log, "a") as file:
        file.write(f"{os.getpid()} {units} {seed}\n")
    return {"score": units + seed}


def lines(log):
    return Path(log).read_text().splitlines() if Path(log).exists() else []


def test_two_workers_are_at_least_1_7_times_as_fast_as_one():
    def seconds(workers):
        start = time.perf_counter()
        frame = sweep(nap, GRID, range(4), executor=Processes(workers))
        return time.perf_counter() - start, frame.pid.nunique()

    seconds(2)  # starts the workers
    two, one = (min(seconds(n) for _ in range(2)) for n in (2, 1))
    assert (one[1], two[1]) == (1, 2)
    assert one[0] / two[0] > 1.7  # runs that wait: other load on the machine does not matter


SCRIPT = """
import os, sys, time
from course.experiments import Processes, sweep
def run(seed, units):
    time.sleep(0.2)
    with open("log", "a") as file:
        file.write(f"{os.getpid()} {units} {seed}\\n")
    return {"score": SCALE * units + seed}
SCALE = 10
if __name__ == "__main__":
    frame = sweep(run, {"units": [1, 2, 3, 4]}, range(6), executor=Processes(2), directory="store", progress=False)
    frame.to_pickle("frame.pkl")
"""


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z" if os.path.isdir("/proc/self") else True


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_a_killed_sweep_started_again_repeats_no_finished_run_and_loses_none(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, "script.py"]
    environment = {**os.environ, "PYTHONPATH": str(Path(experiments.__file__).parents[1])}
    first = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL)
    wait_for(lambda: len(lines(tmp_path / "log")) >= 9)
    first.send_signal(signal.SIGKILL)
    first.wait()
    workers = {int(line.split()[0]) for line in lines(tmp_path / "log")}
    wait_for(lambda: not any(map(alive, workers)))  # they end after the run they are doing
    stored, ran = len(list(tmp_path.rglob("*.pickle"))), len(lines(tmp_path / "log"))
    assert ran - 2 <= stored <= ran <= 20  # two were cut short
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    assert len(lines(tmp_path / "log")) == 24 + ran - stored
    frame = pd.read_pickle(tmp_path / "frame.pkl")
    assert frame.score.tolist() == [10 * units + seed for units in (1, 2, 3, 4) for seed in range(6)]


def wait_for(fact, seconds=60):
    end = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
@pytest.mark.filterwarnings("ignore")  # distributed's own, when a worker is gone
def test_on_dask_a_sweep_survives_the_loss_of_a_worker(tmp_path):
    from distributed import Client, LocalCluster

    log, killed = str(tmp_path / "log"), []

    def kill_one():
        wait_for(lambda: len(lines(log)) >= 6)
        killed.append(int(lines(log)[-1].split()[0]))
        os.kill(killed[0], signal.SIGKILL)

    options = {"host": "127.0.0.1", "dashboard_address": None, "silence_logs": 50}
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, **options) as cluster,
        Client(cluster) as client,
    ):
        killer = threading.Thread(target=kill_one)
        killer.start()
        executor = client.get_executor(pure=False)
        frame = sweep(logged, {**GRID, "log": [log]}, range(6), executor=executor, directory=tmp_path / "store")
        killer.join()
    assert killed
    assert killed[0] != os.getpid()
    assert frame.error.isna().all()
    assert frame.score.tolist() == [units + seed for units in GRID["units"] for seed in range(6)]
    assert len(lines(log)) <= 24 + 1  # the run that was being done may have been repeated, no other
