# %% [markdown]
# # Part of lesson 02, to come · What `stateful=True` carries
#
# From lesson 04. It runs by itself; as a part of lesson 02 it leaves out its first cells. Its quiz question is in
# `02_stateful.json`.

# %%
from course.by_hand import rnn_backward, rnn_forward
import keras
import numpy as np

B, T, D, H = 4, 20, 3, 5


# %%
def by_keras(model, x, y):
    """The gradient of every weight: what one step of SGD with learning rate 1 subtracts."""
    old = model.get_weights()
    model.train_on_batch(x, y)
    return [before - after for before, after in zip(old, model.get_weights(), strict=True)]


def relative(a, b):
    """How far a is from b, relative to b's largest number."""
    return np.abs(a - b).max() / np.abs(b).max()


def problem(seed):
    """Random x, targets y and weights W, U, b."""
    rng = np.random.default_rng(seed)
    weights = [rng.normal(0, 0.5, shape) for shape in ((D, H), (H, H), (H,))]
    return rng.normal(size=(B, T, D)), rng.normal(size=(B, T, H)), weights


# %% [markdown]
# ## What `stateful=True` carries
# In Keras one truncates by cutting a long sequence into blocks. With `stateful=True` the last state of a block becomes
# $h_0$ of the next one. Does the gradient go along? Two blocks of 10 steps; the loss looks at the second.
# (With TensorFlow: on the JAX backend the compiled training step of Keras 3.15 neither reads nor keeps the state of a
# stateful layer; it always starts from the state of its first call.)

# %%
block = 10
stateful = keras.Sequential(
    [
        keras.Input((block, D), batch_size=B),
        keras.layers.SimpleRNN(H, return_sequences=True, stateful=True),
    ]
)
stateful.compile(keras.optimizers.SGD(learning_rate=1.0), loss="mse", jit_compile=True)


# %%
def long_run(x, y, p):
    """Without Keras: h, and dL/dU of block 2, back to the first step and back to its own h_0."""
    h = rnn_forward(x, *p)
    dh = np.zeros_like(h)
    dh[:, block:] = 2 * (h[:, block:] - y) / y.size
    whole = rnn_backward(x, *p, h, dh).U
    second = x[:, block:], *p, h[:, block:], dh[:, block:], h[:, block - 1]
    return h, whole, rnn_backward(*second).U


def carried(seed):
    """How far Keras' state is from the long run's, and its dL/dU from either of the two."""
    x, y, p = problem(seed)
    y = y[:, block:]
    h, whole, second = long_run(x, y, p)
    stateful.set_weights(p)
    stateful.layers[0].reset_states()
    stateful(x[:, :block])  # the first block: its last state stays in the layer
    state = np.asarray(stateful.layers[0].states[0])
    dU = by_keras(stateful, x[:, block:], y)[1]
    return relative(state, h[:, block - 1]), relative(dU, second), relative(dU, whole)


# %%
state, second, whole = np.array([carried(seed) for seed in range(5)]).T
print(f"state after block 1, off the long run's by at most:       {state.max():.0e}")
print(f"dL/dU of block 2, off the one with h_0 fixed by at most:  {second.max():.0e}")
print(f"dL/dU of block 2, off the long run's by at least:         {whole.min():.2f}")

# %% [markdown]
# **What to notice.** The state is handed on, to the last digit of float32. The gradient is the one that takes this
# state for a given number: nothing goes back into the first block. `stateful=True` carries state, not gradient.
# (Cut into blocks, a loss reaches back to the start of its own block: a window that is short at the beginning of each
# block and longest at its end.)

# %% [markdown]
# ## Measured

# %%
# NBVAL_CHECK_OUTPUT
verdicts = {
    "live: stateful=True carries the state": state.max() < 1e-6,
    "live: its gradient is that of the second block alone": second.max() < 2e-6,
    "live: and not that of the long run": whole.min() > 0.03,
}
for claim, holds in verdicts.items():
    print("holds " if holds else "FAILS ", claim)
assert all(verdicts.values())
