"""What the gradient instrument costs: time and memory, each as a ratio to plain training within one run."""

import json
import os
import resource
import subprocess
import sys
import time

import course.classroom  # noqa: F401  (quiets TensorFlow)
import numpy as np

from benchmarks.tables import show

SIZES = {"T": 100, "B": 32, "H": 64, "D": 2, "steps": 50, "repeats": 15}
LARGE = SIZES | {"T": 500, "H": 256, "steps": 3, "repeats": 7}
LONG = SIZES | {"T": 2000, "steps": 4, "repeats": 1}
LAYERS = ("SimpleRNN", "LSTM", "GRU")
PLAIN = "fit"
NORMS = "fit with GradientNorms"
FLOW = "time_step_norms"
INPUTS = "input_norms"
LIMITS = {NORMS: 1.05, FLOW: 1.0, INPUTS: 1.0, "memory": 1.3}  # of a training step, and of the peak memory


def variants(layer, T, B, H, D, steps, **_):
    """Return {name: function that does so many steps}; each model is its own, so nothing compiled is shared."""
    from course.gradients import GradientNorms, input_norms, time_step_norms
    import keras

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(B * steps, T, D)).astype("float32"), rng.normal(size=(B * steps, 1)).astype("float32")

    def model():
        made = keras.Sequential([keras.Input((T, D)), getattr(keras.layers, layer)(H), keras.layers.Dense(1)])
        made.compile(keras.optimizers.Adam(1e-3), "mse", jit_compile=True)
        return made

    plain, with_norms, measured = model(), model(), model()
    return {
        PLAIN: lambda: plain.fit(x, y, batch_size=B, verbose=0),
        NORMS: lambda: with_norms.fit(x, y, batch_size=B, verbose=0, callbacks=[GradientNorms()]),
        FLOW: lambda: [time_step_norms(measured, x[:B], y[:B]) for _ in range(steps)],
        INPUTS: lambda: [input_norms(measured, x[:B], y[:B]) for _ in range(steps)],
    }


def times(layer, sizes=SIZES):
    """Rows of one layer: milliseconds a step and their ratio to plain training, both from the quickest round.

    The variants take turns. What else the machine does only ever adds, so the least is nearest to what each costs.
    """
    functions = variants(layer, **sizes)
    for function in functions.values():
        function()
    rounds = []
    for _ in range(sizes["repeats"]):
        seconds = {}
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            seconds[name] = time.perf_counter() - start
        rounds.append(seconds)
    rows = []
    for name in functions:
        least, plain = (min(seconds[which] for seconds in rounds) for which in (name, PLAIN))
        ratio, ms = least / plain, 1000 * least / sizes["steps"]
        size = {key: sizes[key] for key in "TH"}
        rows.append(
            {"layer": layer} | size | {"variant": name, "ms": ms, "ratio": ratio, "at most": LIMITS.get(name)}
        )
    return rows


def peak_memory(layer, name, sizes):
    """MB that a process of its own holds at most while it runs one variant after plain training."""
    arguments = json.dumps([layer, name, sizes])
    command = [sys.executable, "-m", "benchmarks.instrument", arguments]
    return float(subprocess.run(command, stdout=subprocess.PIPE, check=True, env=os.environ).stdout)


def memory(layer, sizes):
    """Rows of one layer: peak memory of the process, and its ratio to that of plain training."""
    megabytes = {name: peak_memory(layer, name, sizes) for name in (PLAIN, NORMS, FLOW)}
    return [
        {
            "layer": layer,
            "T": sizes["T"],
            "H": sizes["H"],
            "variant": name,
            "MB": size,
            "ratio": size / megabytes[PLAIN],
            "at most": None if name == PLAIN else LIMITS["memory"],
        }
        for name, size in megabytes.items()
    ]


def main():
    """Print the table; with an argument, a list as JSON, run one variant alone and print its peak memory in MB."""
    if sys.argv[1:]:
        layer, name, sizes = json.loads(sys.argv[1])
        functions = variants(layer, **sizes)
        for function in [functions[NORMS if name == NORMS else PLAIN], functions[name]]:
            function()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kB on Linux, bytes on macOS
        print(peak / (2**20 if sys.platform == "darwin" else 2**10))
        return
    # Memory first: a process starts with the peak of the one that starts it, so this one must still be small.
    of_memory = [row for sizes in (SIZES, LONG) for row in memory("LSTM", sizes)]
    rows = [row for sizes in (SIZES, LARGE) for layer in LAYERS for row in times(layer, sizes)] + of_memory
    shapes = ", ".join(f"{name}={size}" for name, size in SIZES.items() if name in "BD")
    show(f"The instrument's time per step and peak memory of the process, and their ratio to `fit` ({shapes})", rows)


if __name__ == "__main__":
    main()
