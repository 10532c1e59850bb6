"""Records data/02_reversal.csv, which lesson 02 reads: python data/record_02.py

Runs that are finished are kept in build/record_02, so the script can be stopped and started again.
"""

from pathlib import Path

from course import sequences
from course.experiments import fresh, sweep
import keras
from keras import layers
import numpy as np

FOLDER = Path(__file__).resolve().parent
LENGTHS = range(1, 13)


def encoder_decoder(units=64):
    """The network of the lesson."""
    question, before = (keras.Input((None,), dtype="int32") for _ in range(2))
    letters = layers.Embedding(8, 8, "orthogonal", mask_zero=True)(question)
    _, h, c = layers.LSTM(units, return_state=True)(letters)
    read = layers.Embedding(8, 8, "orthogonal")(before)
    answer = layers.Dense(8)(layers.LSTM(units, return_sequences=True)(read, initial_state=[h, c]))
    model = keras.Model([question, before], answer)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0)
    model.compile(keras.optimizers.Adam(1e-2), loss, jit_compile=True)
    return model


def write(model, x):
    """What the model answers, each letter the next input."""
    said = np.ones((len(x), 1), int)
    for _ in range(x.shape[1]):
        letter = keras.ops.convert_to_numpy(model([x, said]))[:, -1].argmax(axis=-1)
        said = np.column_stack([said, letter])
    return said[:, 1:]


def reverse(seed, longest, updates, batch_size=64):
    """Train on strings of one to `longest` letters; return the share of new ones reversed exactly, for each length."""
    x, before, y = sequences.reversal(updates * batch_size, longest, np.random.default_rng(0))
    model = fresh(encoder_decoder, seed)
    model.fit([x, before], y, batch_size=batch_size, verbose=0)
    x, _, y = sequences.reversal(2400, LENGTHS[-1], np.random.default_rng(99))
    exact = np.all((write(model, x) == y) | (y == 0), axis=1)
    lengths = np.count_nonzero(x, axis=1)
    return {str(n): round(exact[lengths == n].mean(), 3) for n in LENGTHS}


if __name__ == "__main__":
    settings = [{"longest": 6, "updates": 800}, {"longest": 6, "updates": 3200}, {"longest": 9, "updates": 3200}]
    table = sweep(reverse, settings, range(5), directory=FOLDER.parent / "build" / "record_02")
    table.drop(columns=["error", "seconds"]).to_csv(FOLDER / "02_reversal.csv", index=False)
