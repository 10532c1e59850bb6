"""Records data/08_recall.csv, which lesson 08 reads: python data/record_08.py

Runs that are finished are kept in build/record_08, so the script can be stopped and started again.
"""

from pathlib import Path

from course import sequences
from course.experiments import fresh, sweep
from course.layers import Chrono, ForgetBias, LSTMCell, PeepholeLSTMCell
import keras
import numpy as np
import pandas as pd

FOLDER = Path(__file__).resolve().parent


class WriteClosed(ForgetBias):
    """Starts b_f at `value` as ForgetBias does, and b_i at −value."""

    def __call__(self, shape, dtype=None):
        b = super().__call__(shape, dtype)
        return b - keras.ops.roll(b, -(shape[0] // 4))  # b_f lies behind b_i


STARTS = {
    "1": lambda gap: ForgetBias(1.0),
    "5": lambda gap: ForgetBias(5.0),
    "5, write -5": lambda gap: WriteClosed(5.0),
    "chrono": lambda gap: Chrono(T_max=gap),
}
CELLS = {"LSTM": LSTMCell, "peephole LSTM": PeepholeLSTMCell}


def build_recall(cell, start, gap, units, learning_rate):
    """A compiled model for recall. start: a key of STARTS."""
    bias = STARTS[start](gap)
    rnn = keras.layers.RNN(CELLS[cell](units, bias_initializer=bias))
    model = keras.Sequential([keras.Input((gap + 1, 8)), rnn, keras.layers.Dense(4)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(learning_rate), loss, metrics=["accuracy"], jit_compile=True)
    return model


def recall(seed, cell, start, gap, updates, learning_rate, units=16, batch_size=32, block=50):
    """Train on fresh sequences until a block of 50 updates is answered with above 99 % or `updates` are used up."""
    model = fresh(build_recall, seed, cell=cell, start=start, gap=gap, units=units, learning_rate=learning_rate)
    rng, curve = np.random.default_rng(seed), []
    while len(curve) * block < updates and (not curve or curve[-1] <= 0.99):
        x, y = sequences.recall(block * batch_size, gap, rng)
        curve += model.fit(x, y, batch_size=batch_size, verbose=0).history["accuracy"]
    x, y = sequences.recall(1000, gap, rng)
    answers = keras.ops.convert_to_numpy(model(x)).argmax(axis=1)
    curve = " ".join(f"{accuracy:.3f}" for accuracy in curve)
    return {"accuracy": float(np.mean(answers == y)), "curve": curve}


if __name__ == "__main__":
    lstm = {"cell": "LSTM", "updates": 2000, "learning_rate": 1e-2}
    peephole = lstm | {"cell": "peephole LSTM"}
    grid = [lstm | {"start": start, "gap": gap} for gap in (100, 50, 20) for start in ("chrono", "5", "1")]
    grid += [lstm | {"start": "5, write -5", "gap": 100}]
    grid += [peephole | {"start": "chrono", "gap": gap} for gap in (100, 20)]
    grid += [peephole | {"start": "1", "gap": 20}]
    close = [setting | {"start": "1", "gap": 20} for setting in (lstm, peephole)]  # too close for ten seeds
    longer = [lstm | {"start": "1", "gap": 100, "updates": 6000, "learning_rate": 3e-3}]
    tables = [
        sweep(recall, settings, seeds, directory=FOLDER.parent / "build" / "record_08")
        for settings, seeds in ((grid, range(10)), (close, range(10, 40)), (longer, range(5)))
    ]
    pd.concat(tables).drop(columns=["error", "seconds"]).to_csv(FOLDER / "08_recall.csv", index=False)
