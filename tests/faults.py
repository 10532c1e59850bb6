"""Kills searches and sweeps, starts them again, and counts what was lost: `python tests/faults.py --kills 20`.

search   the searching process gets SIGKILL at random moments (its two training processes end by themselves)
sweep    the same for a stored sweep
worker   one of two Dask workers gets SIGKILL at random moments and is replaced

What counts as recorded at a kill is what a new process finds in the directory, seconds included: had it been lost or
trained anew, the end would not hold it as it was. A training that a kill has cut short is trained again.
"""

import argparse
import json
from pathlib import Path
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import course.classroom  # noqa: F401  (quiets TensorFlow)
from course.experiments import Processes, sweep
from course.tuning import RandomSearch
import keras
import keras_tuner
import numpy as np

KINDS = ("search", "sweep", "worker")
TRIALS, EXECUTIONS = 12, 2
COUNTS = ("kills", "recorded at a kill", "lost or trained anew", "unfinished")


class Quick(keras_tuner.HyperModel):
    """A small model that trains for half a second and whose score its weights decide: tested is what is kept."""

    def __init__(self, log):
        super().__init__()
        self.log = log

    def build(self, hp):
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(hp.Int("units", 2, 64, sampling="log"))])
        model.compile("sgd", "mse")
        return model

    def fit(self, hp, model, *args, **kwargs):
        time.sleep(0.5)
        with open(self.log, "a") as file:
            file.write("ended\n")
        return {"val_loss": float(np.sum(model.get_weights()[0]))}


def search(folder, executor):
    """Search, new or gone on with, and return what has been recorded."""
    names = {"directory": str(folder), "project_name": "search"}
    counts = {"max_trials": TRIALS, "executions_per_trial": EXECUTIONS}
    model = Quick(str(Path(folder) / "log"))
    RandomSearch(model, objective="val_loss", seed=0, executor=executor, **counts, **names).search(verbose=0)
    return recorded("search", folder)


def run(seed, units, log):
    """A run of the stored sweep."""
    time.sleep(0.4)
    with open(log, "a") as file:
        file.write(f"{units} {seed}\n")
    return {"score": units + seed}


def swept(folder, executor):
    """Sweep, and return what has been recorded."""
    grid = {"units": list(range(TRIALS)), "log": [str(Path(folder) / "log")]}
    sweep(run, grid, range(EXECUTIONS), executor=executor, directory=Path(folder) / "store", progress=False)
    return recorded("sweep", folder)


def recorded(kind, folder):
    """Return {name: content} of the trainings or runs on disk."""
    if kind == "sweep":
        return {path.name: path.read_bytes() for path in (Path(folder) / "store").glob("*.pickle")}
    path = Path(folder) / "search" / "search.json"
    outcomes = json.loads(path.read_text())["executions"] if path.exists() else {}
    return {f"{trial} {k}": outcome for trial, kept in outcomes.items() for k, outcome in kept.items()}


def attempts(folder):
    """Return how many trainings have come to their end, recorded or not."""
    path = Path(folder) / "log"
    return len(path.read_text().splitlines()) if path.exists() else 0


def killed_process(kind, kills, rng, folder):
    """Kill the process that searches or sweeps; return the counts."""
    counts = dict.fromkeys(COUNTS, 0) | {"ended, not yet recorded": 0}
    number = 0
    while counts["kills"] < kills:
        number += 1
        here, seen, cut = Path(folder) / f"{kind}_{number}", {}, 0
        here.mkdir()
        command = [sys.executable, __file__, "--only", kind, str(here)]
        while True:
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            before = len(recorded(kind, here))
            while process.poll() is None and len(recorded(kind, here)) == before:  # until it is at work
                time.sleep(0.02)
            try:
                process.wait(rng.uniform(0, 3) if counts["kills"] < kills else 600)
                break
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
            counts["kills"] += 1
            now = recorded(kind, here)
            counts["lost or trained anew"] += sum(now.get(name) != content for name, content in seen.items())
            seen = now
            time.sleep(1.5)  # its training processes notice
        counts["unfinished"] += process.returncode != 0
        end = recorded(kind, here)
        counts["recorded at a kill"] += len(seen)
        counts["lost or trained anew"] += sum(end.get(name) != content for name, content in seen.items())
        counts["lost or trained anew"] += TRIALS * EXECUTIONS - len(end)
        cut = attempts(here) - TRIALS * EXECUTIONS  # ended, but not recorded when the kill came
        counts["ended, not yet recorded"] += cut
    return counts


def killed_worker(kills, rng, folder):
    """Kill one of two Dask workers, again and again; return the counts."""
    from distributed import Client
    import psutil

    counts, number = dict.fromkeys(COUNTS, 0), 0
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    commands = (  # those of docs/several_machines.md
        ["scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard"],
        ["worker", f"tcp://127.0.0.1:{port}", "--nworkers", "2", "--nthreads", "1", "--no-dashboard"],
    )
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
    processes = [subprocess.Popen([sys.executable, "-m", "dask", *command], **quiet) for command in commands]
    nanny = psutil.Process(processes[1].pid)  # starts a worker anew when it dies

    def kill(here, seen, stop):
        before = 0
        while counts["kills"] < kills and not stop.wait(rng.uniform(0, 2)):
            workers = [child for child in nanny.children() if "spawn_main" in " ".join(child.cmdline())]
            now = len(recorded("search", here))
            if workers and before < now < TRIALS * EXECUTIONS:  # they are at work
                before = now
                workers[rng.integers(len(workers))].kill()
                counts["kills"] += 1
                seen |= recorded("search", here)

    try:
        with Client(f"tcp://127.0.0.1:{port}", timeout=60) as client:
            while counts["kills"] < kills:
                number += 1
                here, seen, stop = Path(folder) / f"worker_{number}", {}, threading.Event()
                here.mkdir()
                client.wait_for_workers(2)
                killer = threading.Thread(target=kill, args=(here, seen, stop))
                killer.start()
                try:
                    end = search(here, client.get_executor(pure=False))
                finally:
                    stop.set()
                    killer.join()
                counts["recorded at a kill"] += len(seen)
                counts["lost or trained anew"] += sum(end.get(name) != content for name, content in seen.items())
                counts["unfinished"] += len(end) != TRIALS * EXECUTIONS
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait(30)
    return counts


def faults(kind, kills, seed, folder):
    """Return the counts for one kind of fault."""
    rng = np.random.default_rng(seed)
    return killed_worker(kills, rng, folder) if kind == "worker" else killed_process(kind, kills, rng, folder)


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=KINDS, action="append")
    parser.add_argument(
        "--only", nargs=2, metavar=("KIND", "FOLDER"), help="search or sweep once; used by this script"
    )
    options = parser.parse_args()
    if options.only:
        {"search": search, "sweep": swept}[options.only[0]](options.only[1], Processes(2))
        return
    with tempfile.TemporaryDirectory() as folder:
        for kind in options.kind or KINDS:
            begun = time.monotonic()
            told = ", ".join(
                f"{name} {count}" for name, count in faults(kind, options.kills, options.seed, folder).items()
            )
            print(f"{kind}: {told} ({time.monotonic() - begun:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
