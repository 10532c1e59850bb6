"""Training-step times: stock Keras layers, ours, and the JAX backend through `fit`; PyTorch's in a loop by hand."""

from importlib.util import find_spec
import json
import os
import subprocess
import sys

import numpy as np

from benchmarks.tables import medians, show

SIZES = {"T": 100, "B": 32, "H": 64, "D": 2, "steps": 50, "repeats": 7}
LAYERS = ("SimpleRNN", "LSTM", "GRU")
STOCK = "stock, default compile"  # what the ratio is to
BACKENDS = {"tensorflow": "tensorflow", "jax": "jax", "pytorch": "torch"}  # and the module that must be there


def keras_models(layer, T, H, D, default_compile):
    """Return {name: compiled model} for a layer: stock and ours with XLA, and stock as Keras compiles by default."""
    from course import layers
    import keras

    ours = {"SimpleRNN": layers.RNNCell, "LSTM": layers.LSTMCell, "GRU": layers.GRUCell}[layer]
    stock = {"reset_after": False} if layer == "GRU" else {}

    def model(recurrent, **options):
        made = keras.Sequential([keras.Input((T, D)), recurrent, keras.layers.Dense(1)])
        made.compile(keras.optimizers.Adam(1e-3), "mse", **options)
        return made

    models = {STOCK: model(getattr(keras.layers, layer)(H, **stock))} if default_compile else {}
    models["stock, jit_compile=True"] = model(getattr(keras.layers, layer)(H, **stock), jit_compile=True)
    models["ours, jit_compile=True"] = model(keras.layers.RNN(ours(H)), jit_compile=True)
    return models


def keras_steps(layer, T, B, H, D, steps, default_compile):
    """Return {name: function that trains for so many steps}."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(B * steps, T, D)).astype("float32"), rng.normal(size=(B * steps, 1)).astype("float32")
    models = keras_models(layer, T, H, D, default_compile)
    return {name: lambda m=model: m.fit(x, y, batch_size=B, verbose=0) for name, model in models.items()}


def torch_steps(layer, T, B, H, D, steps, default_compile):
    """Return the same for PyTorch: nn.RNN, nn.LSTM or nn.GRU, a linear layer on the last output, Adam."""
    import torch

    recurrent = {"SimpleRNN": torch.nn.RNN, "LSTM": torch.nn.LSTM, "GRU": torch.nn.GRU}[layer](D, H, batch_first=True)
    linear = torch.nn.Linear(H, 1)
    optimizer = torch.optim.Adam([*recurrent.parameters(), *linear.parameters()], 1e-3)
    batches = [(torch.randn(B, T, D), torch.randn(B, 1)) for _ in range(steps)]

    def train():
        for x, y in batches:
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(linear(recurrent(x)[0][:, -1]), y).backward()
            optimizer.step()

    return {"nn module, loop by hand": train}


def measure(backend, sizes=SIZES, layers=LAYERS):
    """Return rows of one backend, whose library this process must be free to load."""
    make = torch_steps if backend == "pytorch" else keras_steps
    shapes = {name: sizes[name] for name in ("T", "B", "H", "D", "steps")}
    rows = []
    for layer in layers:
        variants = make(layer, **shapes, default_compile=backend == "tensorflow")
        for name, seconds in medians(variants, sizes["repeats"]).items():
            rows.append({"layer": layer, "backend": backend, "variant": name, "ms": 1000 * seconds / sizes["steps"]})
    return rows


def rows_of(backend):
    """Return the rows of one backend, measured in a process of its own, or one that says why there are none."""
    if find_spec(BACKENDS[backend]) is None:
        return [{"layer": layer, "backend": backend, "variant": "not installed", "ms": None} for layer in LAYERS]
    environment = os.environ | ({} if backend == "pytorch" else {"KERAS_BACKEND": backend})
    command = [sys.executable, "-m", "benchmarks.step_times", backend]
    return json.loads(subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True).stdout)


def with_ratios(rows):
    """Return the rows by layer, with the ratio of each time to that of stock Keras in the same run."""
    stock = {row["layer"]: row["ms"] for row in rows if row["variant"] == STOCK}
    rows = sorted(rows, key=lambda row: LAYERS.index(row["layer"]))
    return [row | {"ratio": row["ms"] and row["ms"] / stock[row["layer"]]} for row in rows]


def main():
    """Print the table; with a backend as argument its rows as JSON."""
    if sys.argv[1:]:
        print(json.dumps(measure(sys.argv[1])))
        return
    rows = [row for backend in BACKENDS for row in rows_of(backend)]
    sizes = ", ".join(f"{name}={size}" for name, size in SIZES.items())
    show(f"Milliseconds for one training step, median, and ratio to stock Keras ({sizes})", with_ratios(rows))


if __name__ == "__main__":
    main()
