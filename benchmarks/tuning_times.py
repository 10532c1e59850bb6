"""The time of one search with one worker and with two, and the memory of its processes over the trials.

A worker that trains on TensorFlow or JAX does not stay on one core: input threads, the runtime and above all XLA's
compiler use a second one when there is one. So the table has two kinds of row: as it comes, on all cores; and with
one core for one worker and two for two (``os.sched_setaffinity``, Linux alone), which says what the search itself
costs. Counting, which needs nothing but its core, says what the machine gave meanwhile. One and two workers take turns.
"""

import json
import os
from pathlib import Path
import statistics
import subprocess
import sys
import tempfile
import time

from course import sequences
import course.classroom  # noqa: F401  (quiets TensorFlow)
from course.experiments import Processes
from course.tuning import RandomSearch
import keras
import psutil

from benchmarks.tables import show

TRIALS, ROUNDS = 12, 3


def build(hp):
    """Return a classifier of digits read row by row."""
    model = keras.Sequential([keras.Input((8, 8)), keras.layers.GRU(hp.Int("units", 8, 64, sampling="log"))])
    model.add(keras.layers.Dropout(hp.Float("dropout", 0.0, 0.6)))
    model.add(keras.layers.Dense(10))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    return model


class Watch(keras.callbacks.Callback):
    """Writes to a file when a training began and ended, and the memory of its process then."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def on_train_begin(self, logs=None):
        self.begun = time.time()

    def on_train_end(self, logs=None):
        process = psutil.Process()
        with open(self.path, "a") as file:
            file.write(f"{process.pid} {process.memory_info().rss / 2**20:.0f} {self.begun} {time.time()}\n")


def count(number):
    """Do nothing but count."""
    while number:
        number -= 1


def counted(workers, number=30_000_000):
    """Return the seconds that so many workers take to count so far in all: what the machine itself gives."""
    executor = Processes(workers)
    list(executor.map(count, [1] * workers))  # started
    begun = time.perf_counter()
    list(executor.map(count, [2 * number // workers] * workers))
    return time.perf_counter() - begun


def searched(workers):
    """Return the seconds of a search from the first training's begin to the last's end, and [[pid, MB], …]."""
    data = sequences.digits("row", train=96, validation=100, test=350)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "trainings.txt")
        tuner = RandomSearch(
            build, "val_accuracy", max_trials=TRIALS, seed=0, directory=folder, executor=Processes(workers)
        )
        tuner.search(
            data.x_train,
            data.y_train,
            validation_data=(data.x_validation, data.y_validation),
            batch_size=16,
            epochs=30,
            callbacks=[Watch(path)],
            verbose=0,
        )
        rows = [line.split() for line in Path(path).read_text().splitlines()]
    return max(float(row[3]) for row in rows) - min(float(row[2]) for row in rows), [row[:2] for row in rows]


def apart(workers, cores):
    """Return (seconds of a search, seconds of counting, memory), from a process of its own on so many cores."""
    every = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, sorted(every)[:cores])  # which the process and its workers inherit
        done = subprocess.run([sys.executable, "-m", __spec__.name, str(workers)], check=True, capture_output=True)
    finally:
        os.sched_setaffinity(0, every)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    """Print both tables."""
    rows, memory = [], None
    for name, cores in (("a core for each worker", (1, 2)), ("two cores for one as for two", (2, 2))):
        pairs = []
        for _ in range(ROUNDS):
            one, two = apart(1, cores[0]), apart(2, cores[1])
            memory = memory or one[2]
            pairs.append((one, two))
        for k, what in enumerate(("search", "counting")):
            ratios = [one[k] / two[k] for one, two in pairs]
            row = {f"{workers} (s)": statistics.median(pair[workers - 1][k] for pair in pairs) for workers in (1, 2)}
            row |= {"ratio": statistics.median(ratios), "least": min(ratios), "most": max(ratios)}
            rows.append({"": f"{what}, {name}"} | row)
    show(f"{TRIALS} trials, first to last, one worker and two: medians of {ROUNDS} rounds", rows)
    rows = [{"trials done": k + 1, "process": pid, "MB": int(mb)} for k, (pid, mb) in enumerate(memory) if k % 3 == 2]
    show("The process of the search with one worker", rows)


if __name__ == "__main__":
    if sys.argv[1:]:
        seconds, memory = searched(int(sys.argv[1]))
        print(json.dumps([seconds, counted(int(sys.argv[1])), memory]))
    else:
        main()
