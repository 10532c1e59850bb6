"""Records data/05_gain.csv, which lesson 05 reads: python data/record_05.py

Runs that are finished are kept in build/record_05, so the script can be stopped and started again.
"""

from pathlib import Path

from course import sequences
from course.experiments import fresh, sweep
from course.gradients import time_step_norms
from course.layers import RNNCell
import keras
import numpy as np
import pandas as pd

FOLDER = Path(__file__).resolve().parent
H, BATCH, BLOCK = 32, 32, 30  # units, sentences an update, updates a block
OTHER_GAPS = (5, 10, 15, 20, 25, 30, 35, 40, 50, 60, 80, 100, 130, 200)
KINDS = {
    "orthogonal": keras.initializers.Orthogonal,
    "Gaussian": lambda: keras.initializers.RandomNormal(stddev=H**-0.5),
}


def build(kind, gap, learning_rate):
    """A compiled RNN for sentences with this gap. kind: a key of KINDS."""
    rnn = keras.layers.RNN(RNNCell(H, recurrent_initializer=KINDS[kind]()), name="rnn")
    model = keras.Sequential([keras.Input((gap + 1, len(sequences.VOCABULARY))), rnn, keras.layers.Dense(4)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(
        keras.optimizers.Adam(learning_rate), loss, metrics=["accuracy"], jit_compile=True, steps_per_execution=BLOCK
    )
    return model


def scaled(kind, gain, gap, seed, learning_rate=3e-3):
    """A new model whose recurrent matrix is multiplied by `gain`."""
    model = fresh(build, seed, kind=kind, gap=gap, learning_rate=learning_rate)
    U = model.layers[0].cell.recurrent_kernel
    U.assign(gain * U)
    return model


class StopWhenSolved(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs):
        self.model.stop_training = logs["accuracy"] > 0.99


def new_sentences(gap, rng):
    while True:
        yield sequences.sentences(BATCH, gap, rng)


def exponent(weights, rng, T=230, settle=30):
    """The largest Lyapunov exponent of the network while it reads sentences: mean ln of the factor per step."""
    W, U, b = weights[:3]
    x, _ = sequences.sentences(16, T - 1, rng)
    h, v, logs = np.zeros((16, H)), rng.normal(size=(16, H)), []
    for t in range(T):
        h = np.tanh(x[:, t] @ W + h @ U + b)
        v = (v @ U) * (1 - h**2)
        length = np.linalg.norm(v, axis=1, keepdims=True)
        v, logs = v / length, [*logs, np.log(length)]
    return float(np.mean(logs[settle:]))


def accuracy(weights, gap, rng, n=500, noise=0.0):
    """The share of n new sentences answered rightly, with noise of that standard deviation in h at every step."""
    W, U, b, V, c = weights
    x, y = sequences.sentences(n, gap, rng)
    h = np.zeros((n, H))
    for t in range(gap + 1):
        h = np.tanh(x[:, t] @ W + h @ U + b) + rng.normal(0, noise, h.shape)
    return float(np.mean((h @ V + c).argmax(axis=1) == y))


def learn(seed, kind, gain, gap, updates, learning_rate):
    """Train on new sentences until a block of 30 updates is answered with above 99 % or `updates` are used up."""
    model, rng = scaled(kind, gain, gap, seed, learning_rate), np.random.default_rng(seed)
    start = exponent(model.get_weights(), np.random.default_rng(seed))
    history = model.fit(
        new_sentences(gap, rng),
        steps_per_epoch=BLOCK,
        epochs=updates // BLOCK,
        callbacks=[StopWhenSolved()],
        shuffle=False,
        verbose=0,
    ).history["accuracy"]
    weights = model.get_weights()
    solved = history[-1] > 0.99
    elsewhere = [accuracy(weights, other, rng) for other in OTHER_GAPS] if solved else []
    share = time_step_norms(model, *sequences.sentences(32, gap, rng))["rnn"]["h"] if solved else [np.nan]
    return {
        "used": BLOCK * len(history),
        "accuracy": round(history[-1], 3),
        "exponent": round(start, 4),
        "exponent_after": round(exponent(weights, np.random.default_rng(seed)), 4),
        "share": float(f"{share[0] / share[-1]:.3g}") if solved else None,
        "noisy": accuracy(weights, gap, rng, noise=0.05) if solved else None,
        "elsewhere": " ".join(f"{other}:{right:.3f}" for other, right in zip(OTHER_GAPS, elsewhere, strict=False)),
    }


if __name__ == "__main__":
    gains = (0.57, 0.71, 0.85, 1.0, 1.2, 1.4, 1.7, 2.0, 2.4)
    usual = {"updates": 900, "learning_rate": 3e-3}
    grid = [
        {"kind": kind, "gain": gain, "gap": gap} | usual
        for gap in (30, 100, 10)
        for kind in KINDS
        for gain in (gains[2:] if gap == 100 else gains)
    ]
    far = [setting for setting in grid if setting["gap"] == 100 and setting["gain"] < 2]  # rates of some 20 %
    longer = [
        ("Gaussian", 0.57, 30, 3e-3),
        ("orthogonal", 1.0, 100, 3e-3),
        ("orthogonal", 1.4, 100, 3e-3),
        ("Gaussian", 1.4, 100, 3e-3),
        ("orthogonal", 1.0, 100, 1e-3),
        ("orthogonal", 1.0, 100, 1e-2),
    ]
    longer = [
        {"kind": kind, "gain": gain, "gap": gap, "updates": 3000, "learning_rate": rate}
        for kind, gain, gap, rate in longer
    ]
    tables = [
        sweep(learn, settings, seeds, directory=FOLDER.parent / "build" / "record_05")
        for settings, seeds in ((grid + longer, range(10)), (far, range(10, 20)))
    ]
    table = pd.concat(tables).drop(columns="error")
    print(f"{table.pop('seconds').sum():.0f} seconds")
    table.to_csv(FOLDER / "05_gain.csv", index=False)
