# %% [markdown]
# # 01 · What does an RNN compute, and how does it remember?
#
# A recurrent neural network reads a sequence one step at a time and carries a *state* from each step to the next. In
# this lesson you compute that state by hand, get the same numbers from Keras, watch how long one input goes on
# mattering, and train a first RNN on three centuries of sunspots.
#
# **You will be able to**
# - write the equation of an RNN and compute its states, on paper and in code;
# - say why its number of weights does not depend on the length of the sequence;
# - measure how far back an output still feels an input;
# - judge a forecast against baselines, and say where the RNN wins and where it does not.
#
# **45 minutes** · needs: Python, matrix products, what a dense layer is · before: [00](00_start_here.ipynb) ·
# letters: [notation](../docs/notation.md)

# %%
from course import classroom, plots, sequences
from course.classroom.exercises import lesson_01 as check
from course.layers import RNNCell
import keras  # takes some ten seconds, once per lesson
import numpy as np

keras.utils.set_random_seed(1)

# %% [markdown]
# ## 1 · A state that is handed on
#
# At step $t$ the network has two things in front of it: the input $x_t$, and the state $h_{t-1}$, which is all that it
# kept of everything before. It mixes both into a new state:
#
# $$h_t = \tanh(x_t W + h_{t-1} U + b)$$
#
# From the state it reads its output, $\hat y_t = h_t V + c$. The three weight arrays $W$, $U$ and $b$ are the same at every
# step. Drawn as a loop, or unrolled in time:

# %%
plots.show(
    plots.unrolled(4),
    alt="Left, one box h_t with a loop labelled U. Right, the same network unrolled: h_0 and four boxes h_1 to h_4 in "
    "a row; every arrow from one to the next is labelled U, every arrow from an input up into a box W, and every "
    "arrow from a box up to an output V.",
)

# %% [markdown]
# Small numbers first, so that you can redo them: one feature ($D=1$), two units ($H=2$), three steps.

# %%
W = np.array([[0.5, -1.0]])  # (D, H)
U = np.array([[0.0, 1.0], [-1.0, 0.0]])  # (H, H)
b = np.array([0.0, 0.5])  # (H,)
x = np.array([[1.0], [0.0], [2.0]])  # (T, D)

for x_1 in (1.0, 0.0):
    x[0] = x_1
    h = np.zeros(2)  # h_0
    for t, x_t in enumerate(x, 1):
        h = np.tanh(x_t @ W + h @ U + b)
        print(f"x_1 = {x_1:.0f}: h_{t} =", h.round(3))

# %% [markdown]
# **What to notice.** Only $x_1$ differs between the two runs, and at step 2 the input is 0 in both. And yet the two
# $h_2$ differ, and so do the two $h_3$: what is left of $x_1$ arrives through $h_1 U$, and through $h_2 U$ again. That
# is all the memory an RNN has.

# %% [markdown]
# ### Exercise 1 · One step
# Write the step for a whole batch: `x_t` is $(B, D)$, `h` is $(B, H)$.


# %% tags=["exercise"]
def one_step(x_t, h, W, U, b):
    """Return h_t (B, H)."""
    ...


# %% tags=["check"]
check.one_step()


# %% tags=["solution"] jupyter={"source_hidden": true}
# Sequences are rows: (B, D) @ (D, H) and (B, H) @ (H, H) are both (B, H), and b is added to every row.
def solution_one_step(x_t, h, W, U, b):
    return np.tanh(x_t @ W + h @ U + b)


check.one_step(solution_one_step)

# %% [markdown]
# ### Exercise 2 · The whole sequence
# Run the step over `x` $(B, T, D)$, starting from $h_0 = 0$, and return *every* state, $(B, T, H)$.


# %% tags=["exercise"]
def unroll(x, W, U, b):
    """Return h (B, T, H)."""
    ...


# %% tags=["check"]
check.unroll()


# %% tags=["solution"] jupyter={"source_hidden": true}
# Step t needs the state of step t − 1, so h goes round the loop; a new h each time, as the list keeps them all.
def solution_unroll(x, W, U, b):
    B, T, _ = x.shape
    h, states = np.zeros((B, len(b))), []
    for t in range(T):
        h = np.tanh(x[:, t] @ W + h @ U + b)
        states.append(h)
    return np.stack(states, axis=1)


check.unroll(solution_unroll)

# %% [markdown]
# ## 2 · The same numbers from Keras
#
# In Keras a *cell* is one step, and the layer `RNN` is the loop around it. `RNNCell` in
# [`course/layers/cells.py`](../course/layers/cells.py) is the equation above in Keras' form; `SimpleRNN` is Keras' own. Give all
# three the same weights, and they must agree.

# %%
from course.by_hand import rnn_forward  # the loop of exercise 2, kept in the course's package

x = np.random.default_rng(0).normal(size=(2, 6, 3)).astype("float32")  # (B, T, D)
ours = keras.layers.RNN(RNNCell(5), return_sequences=True)
stock = keras.layers.SimpleRNN(5, return_sequences=True)
h_ours, _ = ours(x), stock(x)  # the first call makes the weights
stock.set_weights(ours.get_weights())

h_stock, h_numpy = stock(x), rnn_forward(x, *ours.get_weights())
print(f"RNN(RNNCell) − SimpleRNN: {np.abs(h_ours - h_stock).max():.0e}")
print(f"RNN(RNNCell) − NumPy:     {np.abs(h_ours - h_numpy).max():.0e}")
assert np.allclose(h_ours, h_stock, atol=1e-6)
assert np.allclose(h_ours, h_numpy, atol=1e-6)

# %% [markdown]
# ## 3 · Weights are shared over time
#
# A dense layer that looks at a window of $T$ steps has weights for every step: $T \cdot D \cdot H + H$. An RNN uses
# the same ones again:
#
# $$D \cdot H + H \cdot H + H \qquad\text{for } W,\ U,\ b$$
#
# There is no $T$ in it.

# %%
lengths = np.array([1, 10, 20, 50, 100])
D, H = 3, 16
weights = {
    "dense layer on the window": lengths * D * H + H,
    "RNN": np.full(5, D * H + H * H + H),
}
layer = keras.layers.SimpleRNN(H)
layer.build((None, 100, D))
assert layer.count_params() == weights["RNN"][-1]

ax = plots.lines(
    lengths, weights, xlabel="length of the sequence, T", ylabel="number of weights"
)
ax.set_title("An RNN has as many weights for 100 steps as for one")
plots.show(
    ax,
    alt=f"Number of weights against sequence length. The dense layer's grows along a straight line to "
    f"{weights['dense layer on the window'][-1]:,} at T = 100; the RNN's stays at {weights['RNN'][0]}.",
)

# %% [markdown]
# ### Exercise 3 · Count the weights
# A model reads sequences with 4 features, 50 steps long, by `SimpleRNN(20)`, and predicts 3 numbers from the last
# state by `Dense(3)`. How many weights has it in all? Count first, then check.

# %% tags=["exercise"]
number_of_weights = ...

# %% tags=["check"]
check.number_of_weights()

# %% tags=["solution"] jupyter={"source_hidden": true}
# The recurrent layer holds W, U and b, the dense one V and c, each once: they are shared over the 50 steps.
solution_number_of_weights = (4 * 20 + 20 * 20 + 20) + (20 * 3 + 3)
check.number_of_weights(solution_number_of_weights)

# %% [markdown]
# ## 4 · How long does one input matter?
#
# One often reads that "the output of an RNN is influenced by the entire history of its inputs" (claim C06). Here is a
# way to see how much: run the network twice, changing nothing but $x_1$, and watch how far the outputs move apart.
#
# Beside it a feedforward network that sees a window of the last 10 inputs.
#
# **Predict, then run.** After 100 steps, how large is what is left of the RNN's change, beside what it was at step 1?
# (Median of ten random networks, as Keras starts them, not trained.)

# %% tags=["guess"]
after_100 = classroom.guess(
    "01: what is left of a change of x_1 after 100 steps",
    ["about all of it", "about a tenth", "about a thousandth", "less than a millionth"],
    answer=...,
)


# %%
def influence(seed, scale=1.0, T=100, H=16, window=10):
    """Move x_1 by 1: by how much do y_1 ... y_T move in an RNN, and in a dense net on a window?"""
    rng = np.random.default_rng(seed)
    keras.utils.set_random_seed(seed)
    x = rng.normal(size=(1, T, 1))
    moved = x.copy()
    moved[0, 0] += 1
    layer, V = keras.layers.RNN(RNNCell(H)), rng.normal(size=(H, 1)) / np.sqrt(H)
    layer.build((None, T, 1))
    weights = [w.astype("float64") for w in layer.get_weights()]
    weights[1] *= scale  # U
    W1 = rng.normal(size=(window, H)) / np.sqrt(window)

    def dense(x):
        padded = np.concatenate([np.zeros(window - 1), x[0, :, 0]])
        return (
            np.tanh(np.lib.stride_tricks.sliding_window_view(padded, window) @ W1) @ V
        )  # (T, 1)

    rnn = np.abs(rnn_forward(moved, *weights) @ V - rnn_forward(x, *weights) @ V)[0, :, 0]
    return rnn, np.abs(dense(moved) - dense(x))[:, 0]


changes = np.array([influence(seed) for seed in range(10)])  # (seeds, 2, T)

# %% tags=["outcome"] jupyter={"source_hidden": true}
# The outcome
steps = np.arange(1, 101)
curves = {
    "RNN": changes[:, 0],
    "dense net on the last 10 inputs": np.where(changes[:, 1] == 0, np.nan, changes[:, 1]),
}
ax = plots.lines(
    steps,
    curves,
    yscale="log",
    xlabel="time step t",
    ylabel="change of the output when $x_1$ moves by 1",
)
ax.set_title("An RNN never quite forgets $x_1$, but almost")
plots.level(ax, 10.5, "$x_1$ has left the window", axis="x")
left = np.median(changes[:, 0, -1] / changes[:, 0, 0])
plots.show(
    ax,
    alt="Change of the output against time, log scale, median and range over ten random networks. The RNN's falls in "
    f"a nearly straight line to about {left:.0e} of its first value after 100 steps. The dense net's ends after step "
    "10: from there on it is exactly zero.",
)
print(f"left of the change after 100 steps, RNN:  {left:.0e} of what it was at step 1")
print(f"left of the change after 10 steps, dense: {changes[:, 1, 10:].max():.0e}")

# %% tags=["outcome"] jupyter={"source_hidden": true}
# The outcome
size = np.digitize(np.log10(left), [-6, -2, -0.5])
choices = ["less than a millionth", "about a thousandth", "about a tenth", "about all of it"]
after_100.outcome(choices[size])

# %% [markdown]
# **What to notice.** The line is the median of ten networks, the band reaches from the least to the largest. The
# straight line on a log axis means that the influence shrinks by about the same *factor* at
# every step. The claim holds in principle: nothing ever cuts $x_1$ off, as the window does in the dense net. In
# practice the influence fades over orders of magnitude: single precision, in which networks are trained, keeps about
# seven digits, and after a hundred steps $x_1$ is beyond the last of them. (These networks are not trained. Training can
# strengthen the influence, if its gradient reaches that far.) [Lesson 05](05_why_it_forgets.ipynb) finds out where the factor comes from.
#
# The dense net has the opposite profile: full attention inside the window, nothing at all beyond.
#
# The factor belongs to how Keras starts $U$. Turn the dial to see five of these networks with $U$ smaller and larger.

# %% tags=["dial"] jupyter={"source_hidden": true}
# A dial
frames, captions, alts, scales = [], [], [], [0.85, 0.9, 1, 1.1, 1.25, 1.5, 2]
for scale in scales:
    moved = np.array([influence(seed, scale)[0] for seed in range(5)])  # (seeds, T)
    share = np.median(moved[:, -1] / moved[:, 0])
    ax = plots.lines(
        steps, {"median and range of five RNNs": moved}, markers=False, yscale="log"
    )
    ax.set(xlabel="time step t", ylabel="change of the output", ylim=(1e-17, 1e2))
    ax.set_title(f"U × {scale}: at step 100 {share:.2g} times the change at step 1")
    captions.append(
        f"U × {scale}: at step 100 the change is {share:.2g} times that at step 1 (median)."
    )
    alts.append(
        f"Change of the output against time, log scale, median and range. With U × {scale} "
        f"the median goes from {np.median(moved[:, 0]):.2g} to {np.median(moved[:, -1]):.0e}."
    )
    frames.append(ax)
plots.dial(frames, label="scale of U", values=scales, captions=captions, alts=alts, start=2)

# %% [markdown]
# ## 5 · A first training: sunspots
#
# The sunspot number, a yearly index of how many there are, has been kept since 1700. It rises and falls about every eleven years. We forecast
# next year from the last eleven, on years the network has never seen.
#
# The series is split *by time*, scaled with the mean and spread of the training years only, and no window reaches
# across the split: otherwise the network would be told about the years it is tested on.

# %%
data = sequences.sunspots(window=11, horizon=1, test_fraction=0.35)
print("windows to train on:", data.x_train.shape, " to test on:", data.x_test.shape)
y_train, y_test = data.unscale(data.y_train[:, 0]), data.unscale(data.y_test[:, 0])
print(
    f"largest number of sunspots, training years: {y_train.max():.0f}, test years: {y_test.max():.0f}"
)

# %% [markdown]
# Before any network, two forecasts that a network has to beat. *Persistence*: next year is like this year. *Linear
# autoregression*: a weighted sum of the last eleven years, the weights by least squares.

# %%
persistence = data.unscale(data.x_test[:, -1, 0])

windows = np.column_stack([data.x_train[:, :, 0], np.ones(len(data.x_train))])
weights, *_ = np.linalg.lstsq(windows, data.y_train[:, 0])
linear = data.unscale(
    np.column_stack([data.x_test[:, :, 0], np.ones(len(data.x_test))]) @ weights
)


def rmse(forecast, chosen=slice(None)):
    """Root of the mean squared error, in sunspots."""
    return float(np.sqrt(np.mean((forecast - y_test)[chosen] ** 2)))


print(
    f"persistence {rmse(persistence):.1f}, linear autoregression {rmse(linear):.1f} sunspots off"
)

# %% [markdown]
# Now the RNN: eleven years in, the last state read out by one dense unit. `jit_compile=True` has the whole training
# step compiled by XLA; on a CPU, Keras does not do so by itself, and it makes an RNN's step faster.

# %%
settings = {"units": 8, "learning_rate": 3e-3, "epochs": 48, "batch_size": 32}


def train(seed):
    """Train one RNN and return its forecast of the test years."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [keras.layers.RNN(RNNCell(settings["units"])), keras.layers.Dense(1)]
    )
    model.compile(keras.optimizers.Adam(settings["learning_rate"]), "mse", jit_compile=True)
    model.fit(
        data.x_train,
        data.y_train,
        epochs=settings["epochs"],
        batch_size=settings["batch_size"],
        verbose=0,
    )
    return data.unscale(model(data.x_test))[:, 0]


forecasts = np.array([train(seed) for seed in range(5)])  # (seeds, years)

# %%
ax = plots.lines(
    data.years_test,
    {"measured": y_test, "RNN, five seeds": forecasts, "linear autoregression": linear},
    markers=False,
    xlabel="year",
    ylabel="sunspots",
    ylim=(0, 240),
)
ax.legend(ncols=3, loc="upper left")
ax.set_title("The RNN follows the cycle, and stays below the highest peaks")
plots.level(ax, y_train.max(), "highest of the training years")
high = y_test > 100
plots.show(
    ax,
    alt=f"Sunspots in the test years, measured and forecast one year ahead. RNN and linear autoregression both follow "
    f"the cycles. In the years above 100 the RNN's forecasts lie {np.mean(y_test[high] - forecasts[:, high]):.0f} "
    f"sunspots too low on average, those of the autoregression {np.mean(y_test[high] - linear[high]):.0f}.",
)

# %% [markdown]
# The line is the median of the five networks, the band their range. **Where do they win?** One number hides it, so look at the years of few and of many sunspots apart.

# %%
groups = {"all years": slice(None), "up to 100": ~high, "above 100": high}
errors = {name: [rmse(f, chosen) for f in forecasts] for name, chosen in groups.items()}
print(f"{'sunspots off (rmse)':20} {'persistence':>12} {'linear':>8} {'RNN, five seeds':>22}")
for name, chosen in groups.items():
    rnn = " ".join(f"{error:.1f}" for error in sorted(errors[name]))
    print(f"{name:20} {rmse(persistence, chosen):12.1f} {rmse(linear, chosen):8.1f}   {rnn}")

# %% [markdown]
# The RNN beats persistence everywhere. Over all years the linear forecast is ahead of it all the same. The table says
# where: up to 100 sunspots the RNN, which can bend, is a little better; above 100 it is worse, with every seed, and its
# forecasts stay too low. One possible reason is in the figure: several peaks lie above the dotted line, beyond anything
# in the training years, where nothing has taught the network what follows, while a straight line goes on.

# %% [markdown]
# ## Measured
#
# What this lesson claims, asserted over seeds: ten for the influence, five for the forecast.

# %%
# NBVAL_CHECK_OUTPUT
verdicts = {
    "C06 x_1 still moves y_100 in every RNN": bool((changes[:, 0, -1] > 0).all()),
    "C06 but by less than a thousandth of its first effect": bool(
        (changes[:, 0, -10:].max(axis=1) < 1e-3 * changes[:, 0, 0]).all()
    ),
    "C06 half of them by less than a millionth": bool(left < 1e-6),
    "C01 in the dense net x_1 is gone once it leaves the window": bool(
        (changes[:, 1, 10:] == 0).all()
    ),
    "the RNN beats persistence in all years": max(errors["all years"]) < rmse(persistence),
    "its median over all years is behind the linear forecast": np.median(errors["all years"])
    > rmse(linear),
    "the linear forecast beats the RNN above 100 sunspots": min(errors["above 100"])
    > rmse(linear, high),
    "the RNN's median beats the linear forecast up to 100": np.median(errors["up to 100"])
    < rmse(linear, ~high),
}
for claim, holds in verdicts.items():
    print("holds " if holds else "FAILS ", claim)
assert all(verdicts.values())

# %% [markdown]
# ## Quiz

# %%
classroom.quiz("quizzes/01_what_an_rnn_computes.json")
classroom.tally()

# %% [markdown]
# ## Three things to take away
#
# 1. An RNN is one equation, $h_t = \tanh(x_t W + h_{t-1} U + b)$, applied again and again with the same weights.
# 2. The state is its only memory. Nothing is ever cut off, but in a network as Keras starts it an input's influence
#    shrinks by about the same factor at each step.
# 3. A forecast means something only beside a baseline: here the RNN beats persistence everywhere, and a straight line
#    only up to 100 sunspots.
#
# **Next:** [05 · Why does a plain RNN lose what came early?](05_why_it_forgets.ipynb), or, for the mathematics first,
# [04 · How does the gradient travel back through time?](04_backpropagation_through_time.ipynb)
#
# **References.** J. L. Elman, *Finding structure in time*, Cognitive Science 14 (1990). Sunspots: SIDC, Royal
# Observatory of Belgium, as bundled with statsmodels. The non-linear forecast of this series as a benchmark:
# A. S. Weigend, B. A. Huberman and D. E. Rumelhart, *Predicting the future: a connectionist approach*, International
# Journal of Neural Systems 1 (1990).
