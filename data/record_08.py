"""Records data/08_recall.csv and data/08_peepholes.csv, which lesson 08 reads: python data/record_08.py

Runs that are finished are kept in build/record_08, so the script can be stopped and started again.
"""

from pathlib import Path

from course import tasks
from course.cells import LSTMCell, PeepholeLSTMCell
from course.experiments import sweep
from course.fresh import fresh
from course.initializers import Chrono, ForgetBias
import keras
import numpy as np
import pandas as pd

FOLDER = Path(__file__).resolve().parent
CELLS = {"LSTM": LSTMCell, "peephole LSTM": PeepholeLSTMCell}


def build_recall(cell, start, gap, units, learning_rate):
    """A compiled model for recall. start: the forget bias, or "chrono" for Chrono(T_max=gap)."""
    bias = Chrono(gap) if start == "chrono" else ForgetBias(float(start))
    rnn = keras.layers.RNN(CELLS[cell](units, bias_initializer=bias))
    model = keras.Sequential([keras.Input((gap + 1, 8)), rnn, keras.layers.Dense(4)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(learning_rate), loss, metrics=["accuracy"], jit_compile=True)
    return model


def recall(seed, cell, start, gap, updates, learning_rate, units=16, batch_size=32, block=50):
    """Train on fresh sequences until a block of 50 updates is answered with above 99 % or `updates` are used up."""
    model = fresh(
        build_recall, seed, cell=cell, start=start, gap=gap, units=units, learning_rate=learning_rate
    )
    rng, curve = np.random.default_rng(seed), []
    while len(curve) * block < updates and (not curve or curve[-1] <= 0.99):
        x, y = tasks.recall(block * batch_size, gap, rng)
        curve += model.fit(x, y, batch_size=batch_size, verbose=0).history["accuracy"]
    x, y = tasks.recall(1000, gap, rng)
    answers = keras.ops.convert_to_numpy(model(x)).argmax(axis=1)
    curve = " ".join(f"{accuracy:.3f}" for accuracy in curve)
    return {"accuracy": float(np.mean(answers == y)), "curve": curve}


def recall_settings():
    """Default, forget bias 5 and chrono at three gaps; the default once more, for longer; peepholes at two."""
    common = {"cell": "LSTM", "updates": 2000, "learning_rate": 1e-2}
    grid = [common | {"start": start, "gap": gap} for gap in (100, 50, 20) for start in ("chrono", "5", "1")]
    grid += [common | {"cell": "peephole LSTM", "start": "chrono", "gap": gap} for gap in (100, 20)]
    grid += [common | {"cell": "peephole LSTM", "start": "1", "gap": 20}]
    return grid


def longer_settings():
    """The default start at a smaller learning rate and with three times as many updates."""
    return [{"cell": "LSTM", "start": "1", "gap": 100, "updates": 6000, "learning_rate": 3e-3}]


if __name__ == "__main__":
    directory = FOLDER.parent / "build" / "record_08"
    tables = [
        sweep(recall, recall_settings(), range(10), n_jobs=1, directory=directory),
        sweep(recall, longer_settings(), range(5), n_jobs=1, directory=directory),
    ]
    pd.concat(tables).drop(columns=["error", "seconds"]).to_csv(FOLDER / "08_recall.csv", index=False)
