"""Records data/08_recall.csv and data/08_solved.npz, which lesson 08 reads: python data/record_08.py

Runs that are finished are kept in build/record_08, so the script can be stopped and started again.
"""

import base64
from pathlib import Path

from course import sequences
from course.experiments import fresh, sweep
from course.layers import Chrono, ForgetBias, LSTMCell, PeepholeLSTMCell
import keras
import numpy as np
import pandas as pd

FOLDER = Path(__file__).resolve().parent
UNITS = 16
WRITTEN = 2 / (1 + np.exp(5))  # σ(−5)/σ(0): what b_i = −5 makes of what is written at the start


class WriteClosed(ForgetBias):
    """Starts b_f at `value` as ForgetBias does, and b_i at −value."""

    def __call__(self, shape, dtype=None):
        b = super().__call__(shape, dtype)
        return b - keras.ops.roll(b, -(shape[0] // 4))  # b_f lies behind b_i


STARTS = {  # b, and what U and the candidate's weights in W and U are multiplied by
    "1": (lambda gap: ForgetBias(1.0), 1, 1),
    "5": (lambda gap: ForgetBias(5.0), 1, 1),
    "5, write -5": (lambda gap: WriteClosed(5.0), 1, 1),
    "chrono": (lambda gap: Chrono(T_max=gap), 1, 1),
    "1, U x 4": (lambda gap: ForgetBias(1.0), 4, 1),
    "5, U x 0": (lambda gap: ForgetBias(5.0), 0, 1),
    "5, candidate small": (lambda gap: ForgetBias(5.0), 1, WRITTEN),
}
CELLS = {"LSTM": LSTMCell, "peephole LSTM": PeepholeLSTMCell}


def build_recall(cell, start, gap, learning_rate):
    """A compiled model for recall. start: a key of STARTS, whose bias it gets."""
    bias = STARTS[start][0](gap)
    rnn = keras.layers.RNN(CELLS[cell](UNITS, bias_initializer=bias))
    model = keras.Sequential([keras.Input((gap + 1, 8)), rnn, keras.layers.Dense(4)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(learning_rate), loss, metrics=["accuracy"], jit_compile=True)
    return model


def recall(seed, cell, start, gap, updates, learning_rate, until, batch_size=32, block=50):
    """Train on fresh sequences until a block of 50 updates is answered better than `until`, or `updates` are used up."""
    model = fresh(build_recall, seed, cell=cell, start=start, gap=gap, learning_rate=learning_rate)
    _, gain, written = STARTS[start]
    W, U, *others = model.layers[0].get_weights()
    candidate = np.repeat([1.0, 1.0, written, 1.0], UNITS)
    model.layers[0].set_weights([W * candidate, U * gain * candidate, *others])
    rng, curve = np.random.default_rng(seed), []
    while len(curve) * block < updates and (not curve or curve[-1] <= until):
        x, y = sequences.recall(block * batch_size, gap, rng)
        curve += model.fit(x, y, batch_size=batch_size, verbose=0).history["accuracy"]
    x, y = sequences.recall(1000, gap, rng)
    answers = keras.ops.convert_to_numpy(model(x)).argmax(axis=1)
    weights = np.concatenate([w.ravel() for w in model.get_weights()]).astype("float16")
    return {
        "accuracy": float(np.mean(answers == y)),
        "curve": " ".join(f"{accuracy:.3f}" for accuracy in curve),
        "weights": base64.b64encode(weights.tobytes()).decode() if curve[-1] > 0.99 else "",
    }


def solved(table, starts, n=8):
    """The weights of the first n networks from each start that solved gap 100, as arrays to be saved."""
    runs = table[(table.gap == 100) & (table.weights != "") & table.start.isin(starts)]
    runs = runs.groupby(["start", "until"]).head(n)
    flat = np.stack([np.frombuffer(base64.b64decode(text), "float16") for text in runs.weights])
    shapes = {"W": (8, 4 * UNITS), "U": (UNITS, 4 * UNITS), "b": (4 * UNITS,), "V": (UNITS, 4), "d": (4,)}
    ends = np.cumsum([np.prod(shape) for shape in shapes.values()])[:-1]
    parts = np.split(flat, ends, axis=1)
    named = {k: part.reshape(-1, *shape) for (k, shape), part in zip(shapes.items(), parts, strict=True)}
    start = np.where(runs.until < 1, runs.start, runs.start + ", trained on").astype(str)
    return named | {"start": start, "seed": runs.seed.to_numpy()}


if __name__ == "__main__":
    lstm = {"cell": "LSTM", "gap": 100, "updates": 2000, "learning_rate": 1e-2, "until": 0.99}
    seldom = ["5", "1, U x 4"]  # fewer than half solve it
    ten = [lstm | {"start": start} for start in STARTS if start not in seldom]
    more = [lstm | {"start": start} for start in seldom]
    on = [lstm | {"start": "chrono", "until": 1.0}]  # however well it answers, it trains on
    close = [lstm | {"cell": cell, "start": "1", "gap": 20} for cell in CELLS]
    tables = [
        sweep(recall, settings, seeds, directory=FOLDER.parent / "build" / "record_08")
        for settings, seeds in ((ten, range(10)), (more, range(30)), (on, range(10)), (close, range(10, 40)))
    ]
    table = pd.concat(tables)
    np.savez_compressed(FOLDER / "08_solved.npz", **solved(table, ["chrono", "5, write -5", "5", "1, U x 4"]))
    table.drop(columns=["error", "seconds", "weights"]).to_csv(FOLDER / "08_recall.csv", index=False)
