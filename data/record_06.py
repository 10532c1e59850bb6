"""Records data/06_divergence.csv, which lesson 06 reads: python data/record_06.py

All seeds and cures of a network are trained side by side in one compiled JAX function, which is some ten times
faster than one after the other; tests/test_record_06.py trains the first updates again with Keras and its optimizers.
Tables that are finished are kept in build/record_06, so the script can be stopped and started again.
"""

from functools import partial
from pathlib import Path
import time

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

FOLDER = Path(__file__).resolve().parent
FINISHED = FOLDER.parent / "build" / "record_06"
T, BACK, UNITS, BATCH, BLOCK, UPDATES, SEEDS = 60, 8, 32, 32, 10, 400, 15
NETWORKS = {  # activation, or LSTM; what an orthogonal U is multiplied by; learning rate
    "tanh": {"cell": "tanh", "gain": 1.0, "rate": 3.0},
    "tanh, U x 2": {"cell": "tanh", "gain": 2.0, "rate": 1.0},
    "ReLU": {"cell": "relu", "gain": 1.0, "rate": 1.0},
    "LSTM": {"cell": "LSTM", "gain": 1.0, "rate": 10.0},
}
CURES = {  # what is done otherwise
    "nothing": {},
    "global_clipnorm 1": {"global_clipnorm": 1.0},
    "global_clipnorm 0.3": {"global_clipnorm": 0.3},
    "global_clipnorm 0.1": {"global_clipnorm": 0.1},
    "clipnorm 0.1": {"clipnorm": 0.1},
    "clipvalue 0.01": {"clipvalue": 0.01},
    "a tenth of the rate": {"slower": 10.0},
    "warm-up": {"warm_up": 100.0},  # updates in which the rate rises in a straight line
    "LSTM": {"cell": "LSTM"},
    "truncated, 20": {"block": 20},  # the gradient stops at the start of every block, the state does not
    "truncated, 20, and clipped": {"block": 20, "global_clipnorm": 0.1},
    "truncated, 5": {"block": 5},
}
OF_THE_LSTM = ("nothing", "global_clipnorm 0.1", "a tenth of the rate")
CONTROL = {  # as long as five arrays that clipnorm 0.1 has cut can be together: 0.1 times the root of 5
    "global_clipnorm 0.224": {"global_clipnorm": 0.2236},
}
LONGER = {  # five times as many updates, ten seeds
    "tanh, U x 2": ("global_clipnorm 0.1", *CONTROL, "clipnorm 0.1", "clipvalue 0.01", "a tenth of the rate"),
}
PLAIN = {
    "global_clipnorm": np.inf,
    "clipnorm": np.inf,
    "clipvalue": np.inf,
    "slower": 1.0,
    "warm_up": 1.0,
    "block": T,
}


def setting(network, cure):
    """Everything that a run depends on but the seed."""
    return PLAIN | NETWORKS[network] | (CURES | CONTROL)[cure]


def start(seed, gain, gates=1):
    """Weights W, U, b, V, b_V from NumPy, so that every backend starts alike: U is gain · orthogonal, each gate's."""
    rng = np.random.default_rng(seed)
    W = rng.uniform(-0.4, 0.4, (1, gates * UNITS))
    U = [np.linalg.qr(rng.normal(size=(UNITS, UNITS)))[0] for _ in range(gates)]
    b = np.zeros(gates * UNITS)
    if gates == 4:
        b[UNITS : 2 * UNITS] = 1  # the forget gate's, as Keras has it
    return [W, gain * np.hstack(U), b, rng.uniform(-0.4, 0.4, (UNITS, 1)), np.zeros(1)]


def signs(seed, updates):
    """Random signs (updates, B, T, 1), the same batches as in the lesson."""
    rng = np.random.default_rng(seed)
    return np.stack([rng.choice([-1.0, 1.0], (BATCH, T, 1)) for _ in range(updates)]).astype("int8")


def states(weights, x, cell, starts):
    """The states h (T, B, H) of x (B, T, 1). starts (T,): 1 where a block starts, and the way back ends."""
    W, U, b, *_ = weights

    def step(state, now):
        x_t, stop = now
        h, c = (stop * jax.lax.stop_gradient(s) + (1 - stop) * s for s in state)
        a = x_t @ W + h @ U + b
        if cell == "LSTM":
            i, f, g, o = jnp.split(a, 4, axis=-1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
        else:
            h = jnp.tanh(a) if cell == "tanh" else jax.nn.relu(a)
        return (h, c), h

    zero = jnp.zeros((len(x), UNITS))
    return jax.lax.scan(step, (zero, zero), (x.swapaxes(0, 1), starts))[1]


def loss(weights, x, cell, starts):
    """Cross-entropy of saying at every step whether the sign `BACK` steps before was a plus."""
    z = (states(weights, x, cell, starts) @ weights[3] + weights[4])[BACK:]
    y = x.swapaxes(0, 1)[:-BACK] > 0
    return jnp.mean(jnp.maximum(z, 0) - z * y + jnp.log1p(jnp.exp(-jnp.abs(z))))


def norm(arrays):
    return jnp.sqrt(sum(jnp.sum(a**2) for a in arrays))


def shortened(arrays, threshold):
    """The arrays times one factor, so that their norm is at most the threshold; as they are if that is infinite."""
    length = norm(arrays)
    factor = jnp.minimum(1, threshold / length) + (length - length)  # as in Keras: NaN if the norm is not finite
    return [a * jnp.where(jnp.isinf(threshold), 1, factor) for a in arrays]


def train(weights, signs, options, starts, cell):
    """Gradient descent, one update a batch; returns weights, losses and norms before clipping (updates,)."""

    def update(weights, now):
        number, x = now
        x = x.astype("float32")
        value, g = jax.value_and_grad(loss)(weights, x, cell, starts)
        length = norm(g)
        g = shortened(g, options["global_clipnorm"])
        g = [shortened([a], options["clipnorm"])[0] for a in g]
        g = [jnp.clip(a, -options["clipvalue"], options["clipvalue"]) for a in g]
        rate = options["rate"] / options["slower"] * jnp.minimum(1, (number + 1) / options["warm_up"])
        return [w - rate * a for w, a in zip(weights, g, strict=True)], (value, length)

    weights, (losses, norms) = jax.lax.scan(update, weights, (jnp.arange(len(signs)), signs))
    x = signs[0].astype("float32")
    return weights, losses, norms, jnp.mean(jnp.abs(states(weights, x, cell, starts)) > 0.95)


@partial(jax.jit, static_argnames="cell")
def side_by_side(weights, signs, options, starts, cell):
    """`train` for all settings (first axis) and seeds (second axis; signs have it alone)."""
    of_seeds = jax.vmap(partial(train, cell=cell), in_axes=(0, 0, None, None))
    return jax.vmap(of_seeds, in_axes=(0, None, 0, 0))(weights, signs, options, starts)


def runs(cell, pairs, seeds, updates):
    """Rows of the table for pairs (network, cure), all of this cell."""
    settings = [setting(*pair) for pair in pairs]
    gates = 4 if cell == "LSTM" else 1
    weights = [[start(seed, one["gain"], gates) for seed in seeds] for one in settings]
    weights = [jnp.array([[of_run[n] for of_run in of_seeds] for of_seeds in weights], "float32") for n in range(5)]
    names = ("rate", "global_clipnorm", "clipnorm", "clipvalue", "slower", "warm_up")
    options = {name: jnp.array([one[name] for one in settings], "float32") for name in names}
    starts = jnp.array([np.arange(T) % one["block"] == 0 for one in settings], "float32")
    data = jnp.array([signs(seed, updates) for seed in seeds])
    weights, losses, norms, saturated = side_by_side(weights, data, options, starts, cell=cell)
    losses, norms, saturated, U = map(np.asarray, (losses, norms, saturated, weights[1]))
    for at, (network, cure) in enumerate(pairs):
        for n, seed in enumerate(seeds):
            blocks = losses[at, n].reshape(-1, BLOCK).mean(axis=1)
            finite = norms[at, n][np.isfinite(norms[at, n])]
            yield {
                "network": network,
                "cure": cure,
                "seed": seed,
                "updates": updates,
                "curve": " ".join(f"{block:.3g}" for block in blocks),
                "largest_norm": f"{finite.max():.3g}",
                "norm_U": f"{np.linalg.norm(U[at, n]):.3g}",
                "saturated": f"{saturated[at, n]:.3f}" if cell == "tanh" else "",
            }


def finished(name, cell, pairs, seeds, updates):
    """Return the table of `runs`, kept under `name`: what is there is not made again."""
    path = FINISHED / f"{name}.csv"
    if not path.exists():
        begun = time.perf_counter()
        table = pd.DataFrame(runs(cell, pairs, seeds, updates))
        FINISHED.mkdir(parents=True, exist_ok=True)
        table.to_csv(path.with_suffix(".part"), index=False)
        path.with_suffix(".part").replace(path)
        print(f"{name}: {len(table)} runs, {time.perf_counter() - begun:.0f} seconds", flush=True)
    as_written = dict.fromkeys(("curve", "largest_norm", "norm_U", "saturated"), str)
    return pd.read_csv(path, dtype=as_written, na_filter=False)


if __name__ == "__main__":
    tables = []
    for network in NETWORKS:
        cures = OF_THE_LSTM if network == "LSTM" else CURES
        for cell in dict.fromkeys(setting(network, cure)["cell"] for cure in cures):
            pairs = [(network, cure) for cure in cures if setting(network, cure)["cell"] == cell]
            tables.append(finished(f"{network}, {cell}", cell, pairs, range(SEEDS), UPDATES))
    for network, cures in LONGER.items():
        pairs = [(network, cure) for cure in cures]
        tables.append(finished(f"{network}, longer", NETWORKS[network]["cell"], pairs, range(10), 5 * UPDATES))
    table = pd.concat(tables)
    table["network"] = pd.Categorical(table.network, NETWORKS)
    table["cure"] = pd.Categorical(table.cure, [*CURES, *CONTROL])
    table.sort_values(["updates", "network", "cure", "seed"]).to_csv(FOLDER / "06_divergence.csv", index=False)
