"""Runs the README's lines for a model of your own on one: `python tests/own_model.py` in any environment with Keras."""

from pathlib import Path
import re

import keras
import numpy as np

README = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")


def names_after(layer):
    """Return the names that the README's lines leave, run on a model with this recurrent layer."""
    (lines,) = re.findall(r"```python\n(.*?)```", README, re.S)
    rng = np.random.default_rng(0)
    model = keras.Sequential([keras.Input((7, 2)), layer, keras.layers.Dense(1)])
    model.compile("adam", "mse")
    names = {"model": model, "x": rng.normal(size=(64, 7, 2)).astype("float32"), "y": rng.normal(size=(64, 1))}
    exec(lines, names)
    return names


if __name__ == "__main__":
    rows = len(names_after(keras.layers.LSTM(5))["flow"].to_frame())
    print(f"README's lines ran on {keras.backend.backend()}: {rows} norms")
