"""The time of a sweep of 24 small runs, against the same runs with a model built for each, one by one."""

import os
import time

from course.experiments import Processes, fresh, sweep
import numpy as np

from benchmarks.tables import medians, show

GRID, SEEDS = {"units": [16, 24, 32, 40]}, range(6)
STEPS = 200
ONE, TWO = "sweep, 1 worker, compiled before", "sweep, 2 workers, compiled before"


def build(units):
    """Return a GRU as a lesson compiles it."""
    import keras

    model = keras.Sequential(
        [keras.Input((50, 2)), keras.layers.GRU(units, reset_after=False), keras.layers.Dense(1)]
    )
    model.compile(keras.optimizers.Adam(1e-3), "mse", jit_compile=True)
    return model


def train(model, seed, steps):
    """Return the last loss after so many steps on batches of 32."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(32 * steps, 50, 2)).astype("float32"), rng.normal(size=(32 * steps, 1)).astype("float32")
    return {"loss": model.fit(x, y, batch_size=32, verbose=0).history["loss"][-1]}


def run(seed, units, steps):
    """Return what a lesson's run returns."""
    return train(fresh(build, seed, units=units), seed, steps)


def run_built_anew(seed, units, steps):
    """Return the same, with a model of its own."""
    import keras

    keras.utils.set_random_seed(seed)
    return train(build(units), seed, steps)


def rows(grid=GRID, seeds=SEEDS, steps=STEPS, repeats=3):
    """Return one row for every way to do the same runs; all must find the same losses."""
    grid, losses = {**grid, "steps": [steps]}, []

    def sweep_with(function, workers):
        frame = sweep(function, grid, seeds, executor=Processes(workers), progress=False)
        losses.append(frame["loss"].to_numpy())

    def seconds(function, workers):
        start = time.perf_counter()
        sweep_with(function, workers)
        return time.perf_counter() - start

    ways = {
        "1 worker, a new model each": seconds(run_built_anew, 1),
        "sweep, 1 worker": seconds(run, 1),
        "sweep, 2 workers, that start and load Keras": seconds(run, 2),
    }
    again = {ONE: lambda: sweep_with(run, 1), TWO: lambda: sweep_with(run, 2)}
    ways |= medians(again, repeats)
    np.testing.assert_allclose(losses, np.broadcast_to(losses[0], (len(losses), len(losses[0]))), rtol=1e-4)
    first = next(iter(ways.values()))
    return [
        {"way": way, "runs": len(losses[0]), "seconds": taken, "times as fast": first / taken}
        for way, taken in ways.items()
    ]


def main():
    """Print the table, and the number that matters: two workers against one, both with their models compiled."""
    # One thread here as in the workers, or the comparison would be with a worker that has all cores.
    os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "OMP_NUM_THREADS": "1"}
    table = rows()
    show(f"A sweep of {table[0]['runs']} runs of {STEPS} steps", table)
    one, two = (row["seconds"] for row in table[-2:])
    print(f"\ntwo workers are {one / two:.2f} times as fast as one (at least 1.7 is the aim, on two free cores)")


if __name__ == "__main__":
    main()
