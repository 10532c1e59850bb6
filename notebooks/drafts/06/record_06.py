"""Records data/06_divergence.csv, which lesson 06 reads: python data/record_06.py

Runs that are finished are kept in build/record_06, so the script can be stopped and started again.
"""

from pathlib import Path

from course.experiments import fresh
from course.layers import LSTMCell, RNNCell
import keras
import numpy as np

FOLDER = Path(__file__).resolve().parent
T, BACK, UNITS, BATCH, BLOCK = 60, 8, 32, 32, 10
CELLS = {"tanh": RNNCell, "relu": RNNCell, "LSTM": LSTMCell}


def start(seed, gain, gates=1):
    """Weights W, U, b, V, c from NumPy, so that every backend starts alike: U is gain · orthogonal, each gate's."""
    rng = np.random.default_rng(seed)
    W = rng.uniform(-0.4, 0.4, (1, gates * UNITS))
    U = [np.linalg.qr(rng.normal(size=(UNITS, UNITS)))[0] for _ in range(gates)]
    b = np.zeros(gates * UNITS)
    if gates == 4:
        b[UNITS : 2 * UNITS] = 1  # the forget gate's, as Keras has it
    return [W, gain * np.hstack(U), b, rng.uniform(-0.4, 0.4, (UNITS, 1)), np.zeros(1)]


def signs(n, rng):
    """Random signs x (n, T, 1), and whether the sign `BACK` steps before was positive, y (n, T − BACK, 1)."""
    x = rng.choice([-1.0, 1.0], (n, T, 1)).astype("float32")
    return x, (x[:, :-BACK] > 0).astype("float32")


def build(cell, rate, warm_up, clip, threshold, window, momentum):
    """A compiled model that says at every step what the sign was `BACK` steps before."""
    inputs = keras.Input((T, 1))
    options = {} if cell == "LSTM" else {"activation": cell}
    rnn = keras.layers.RNN(
        CELLS[cell](UNITS, **options), return_sequences=True, return_state=True
    )
    parts, states = [], None
    for first in range(
        0, T, window
    ):  # the gradient stops at the start of every block, the state does not
        h, *states = rnn(inputs[:, first : first + window], initial_state=states)
        states = [keras.ops.stop_gradient(state) for state in states]
        parts.append(h)
    h = keras.layers.Concatenate(axis=1)(parts) if len(parts) > 1 else parts[0]
    outputs = keras.layers.Cropping1D((BACK, 0))(keras.layers.Dense(1)(h))
    model = keras.Model(inputs, outputs)
    if warm_up:  # in a straight line from a hundredth of the rate
        rate = keras.optimizers.schedules.PolynomialDecay(rate / 100, warm_up, rate)
    limit = {clip: threshold} if clip else {}
    optimizer = keras.optimizers.SGD(rate, momentum=momentum, **limit)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(
        optimizer, loss, metrics=[keras.metrics.BinaryAccuracy(threshold=0.0)], jit_compile=True
    )
    return model


def run(seed, cell, gain, updates, **setting):
    """Train on new sequences all the time; return the mean loss of every ten updates, and what came of it."""
    model = fresh(build, seed, cell=cell, **setting)
    model.set_weights(start(seed, gain, gates=4 if cell == "LSTM" else 1))
    rng = np.random.default_rng(seed)
    losses = []
    for _ in range(updates // BLOCK):
        history = model.fit(
            *signs(BLOCK * BATCH, rng), batch_size=BATCH, shuffle=False, verbose=0
        ).history
        losses.append(history["loss"][0])
    accuracy = model.evaluate(*signs(1000, rng), batch_size=1000, verbose=0)[1]
    curve = " ".join(f"{loss:.3g}" for loss in losses)
    return {"accuracy": accuracy, "curve": curve}


PLAIN = {"rate": 0.1, "warm_up": 0, "clip": "", "threshold": 0.0, "window": T, "momentum": 0.0}
CURES = {
    "nothing": {},
    "global_clipnorm": {"clip": "global_clipnorm", "threshold": 1.0},
    "clipnorm": {"clip": "clipnorm", "threshold": 1.0},
    "clipvalue": {"clip": "clipvalue", "threshold": 0.1},
    "a tenth of the rate": {"rate": 0.01},
    "warm-up": {"warm_up": 100},
    "truncated": {"window": 20},
}

if __name__ == "__main__":
    pass
