"""Records data/06_divergence.csv, which lesson 06 reads: python data/record_06.py

Runs that are finished are kept in build/record_06, so the script can be stopped and started again.
"""

from pathlib import Path

from course.experiments import fresh, sweep
from course.layers import LSTMCell, RNNCell
import keras
import numpy as np

FOLDER = Path(__file__).resolve().parent
T, BACK, UNITS, BATCH, BLOCK, UPDATES = 60, 8, 32, 32, 10, 400
NETWORKS = {  # activation, or LSTM; what an orthogonal U is multiplied by; learning rate
    "tanh": {"cell": "tanh", "gain": 1.0, "rate": 3.0},
    "tanh, U x 2": {"cell": "tanh", "gain": 2.0, "rate": 1.0},
    "ReLU": {"cell": "relu", "gain": 1.0, "rate": 1.0},
    "LSTM": {"cell": "LSTM", "gain": 1.0, "rate": 10.0},
}
CURES = {  # what is done otherwise; `slower` divides the rate
    "nothing": {},
    "global_clipnorm 1": {"clip": "global_clipnorm", "threshold": 1.0},
    "global_clipnorm 0.1": {"clip": "global_clipnorm", "threshold": 0.1},
    "clipnorm 0.1": {"clip": "clipnorm", "threshold": 0.1},
    "clipvalue 0.01": {"clip": "clipvalue", "threshold": 0.01},
    "a tenth of the rate": {"slower": 10},
    "warm-up": {"warm_up": 100},
    "LSTM": {"cell": "LSTM"},
    "truncated, 20": {"window": 20},
    "truncated, 5": {"window": 5},
}
OF_THE_LSTM = ("nothing", "global_clipnorm 0.1", "a tenth of the rate")
PLAIN = {"clip": "", "threshold": 0.0, "slower": 1, "warm_up": 0, "window": T}


def setting(network, cure):
    """Everything that a run depends on but the seed."""
    return PLAIN | NETWORKS[network] | CURES[cure]


def start(seed, gain, gates=1):
    """Weights W, U, b, V, b_V from NumPy, so that every backend starts alike: U is gain · orthogonal, each gate's."""
    rng = np.random.default_rng(seed)
    W = rng.uniform(-0.4, 0.4, (1, gates * UNITS))
    U = [np.linalg.qr(rng.normal(size=(UNITS, UNITS)))[0] for _ in range(gates)]
    b = np.zeros(gates * UNITS)
    if gates == 4:
        b[UNITS : 2 * UNITS] = 1  # the forget gate's, as Keras has it
    return [W, gain * np.hstack(U), b, rng.uniform(-0.4, 0.4, (UNITS, 1)), np.zeros(1)]


def signs(n, rng):
    """Random signs x (n, T, 1), and whether the sign `BACK` steps before was a plus, y (n, T − BACK, 1)."""
    x = rng.choice([-1.0, 1.0], (n, T, 1)).astype("float32")
    return x, (x[:, :-BACK] > 0).astype("float32")


def build(cell, window, clip, threshold, rate, warm_up):
    """A compiled model that says at every step what the sign was `BACK` steps before."""
    inputs = keras.Input((T, 1))
    made = LSTMCell(UNITS) if cell == "LSTM" else RNNCell(UNITS, activation=cell)
    rnn = keras.layers.RNN(made, return_sequences=True, return_state=True)
    parts, states = [], None
    for first in range(0, T, window):  # the gradient stops at the start of every block, the state does not
        h, *states = rnn(inputs[:, first : first + window], initial_state=states)
        states = [keras.ops.stop_gradient(state) for state in states]
        parts.append(h)
    h = keras.layers.Concatenate(axis=1)(parts) if len(parts) > 1 else parts[0]
    outputs = keras.layers.Cropping1D((BACK, 0))(keras.layers.Dense(1)(h))
    model = keras.Model(inputs, outputs)
    if warm_up:  # in a straight line from a hundredth of the rate
        rate = keras.optimizers.schedules.PolynomialDecay(rate / 100, warm_up, rate)
    optimizer = keras.optimizers.SGD(rate, **({clip: threshold} if clip else {}))
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(optimizer, loss, jit_compile=True)
    return model


def train(seed, network, cure, updates=UPDATES):
    """Train on new sequences all the time; return the mean loss of every ten updates, and what became of the network."""
    options = setting(network, cure)
    gain, slower = options.pop("gain"), options.pop("slower")
    model = fresh(build, seed, **options | {"rate": options["rate"] / slower})
    model.set_weights(start(seed, gain, gates=4 if options["cell"] == "LSTM" else 1))
    rng, losses = np.random.default_rng(seed), []
    while len(losses) < updates // BLOCK and (not losses or np.isfinite(losses[-1])):
        x, y = signs(BLOCK * BATCH, rng)
        losses += model.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0).history["loss"]
    losses += [np.nan] * (updates // BLOCK - len(losses))  # once NaN, NaN for ever
    return {"curve": " ".join(f"{loss:.3g}" for loss in losses)} | left(model.get_weights(), options["cell"])


def left(weights, cell):
    """Norm of U, and for tanh the share of states beyond 0.95 in size on new sequences."""
    W, U, b, *_ = (np.asarray(w, float) for w in weights)
    found = {"norm_U": float(f"{np.linalg.norm(U):.4g}"), "saturated": None}
    if cell == "tanh":
        x, _ = signs(100, np.random.default_rng(1))
        h, beyond = np.zeros((100, UNITS)), []
        for t in range(T):
            h = np.tanh(x[:, t] @ W + h @ U + b)
            beyond.append(np.mean(np.abs(h) > 0.95))
        found["saturated"] = round(float(np.mean(beyond)), 3)
    return found


if __name__ == "__main__":
    grid = [
        {"network": network, "cure": cure}
        for network in NETWORKS
        for cure in (OF_THE_LSTM if network == "LSTM" else CURES)
    ]
    table = sweep(train, grid, range(15), directory=FOLDER.parent / "build" / "record_06")
    print(f"{table.pop('seconds').sum():.0f} seconds")
    table.drop(columns="error").to_csv(FOLDER / "06_divergence.csv", index=False)
