"""Records data/08_peepholes.csv, which lesson 08 reads: python data/record_08_peepholes.py

The timing task is the generation of timed spikes of Gers, Schraudolph & Schmidhuber 2002: the input is 1 at every
step, the output is to be 1 at every tenth step and 0 between. Runs that are finished are kept in build/record_08_peepholes,
so the script can be stopped and started again.
"""

from pathlib import Path

from course.experiments import fresh, sweep
from course.layers import LSTMCell, PeepholeLSTMCell
import keras
import numpy as np

FOLDER = Path(__file__).resolve().parent
CELLS = {"LSTM": LSTMCell, "peephole LSTM": PeepholeLSTMCell}
PERIOD, T, BLOCK = 10, 50, 100  # steps from spike to spike, steps in all, updates between two looks


def build_timer(cell, units, learning_rate):
    """A compiled model that answers at every step."""
    rnn = keras.layers.RNN(CELLS[cell](units), return_sequences=True)
    model = keras.Sequential([keras.Input((T, 1)), rnn, keras.layers.Dense(1)])
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(learning_rate), loss, jit_compile=True)
    return model


def timed_spikes(seed, cell, units, updates=4000, learning_rate=1e-2):
    """Train until all T answers are right or `updates` are used up. "Never a spike" has 9 of 10 answers right."""
    model = fresh(build_timer, seed, cell=cell, units=units, learning_rate=learning_rate)
    x = np.ones((BLOCK, T, 1), "float32")
    y = np.zeros((BLOCK, T, 1), "float32")
    y[:, PERIOD - 1 :: PERIOD] = 1
    used = right = 0
    while used < updates and right < 1:
        model.fit(x, y, batch_size=1, verbose=0)
        used += BLOCK
        answers = keras.ops.convert_to_numpy(model(x[:1])) > 0
        right = float(np.mean(answers == y[:1]))
    return {"updates_used": used, "right": right}


if __name__ == "__main__":
    grid = {"units": [4, 8], "cell": list(CELLS)}
    table = sweep(timed_spikes, grid, range(10), directory=FOLDER.parent / "build" / "record_08_peepholes")
    table.drop(columns=["error", "seconds"]).to_csv(FOLDER / "08_peepholes.csv", index=False)
