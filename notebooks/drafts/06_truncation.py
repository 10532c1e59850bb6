# %% [markdown]
# # Part of lesson 06, to come · Cutting the way back short
#
# From lesson 04, which needs only the whole way back. It runs by itself; as a part of lesson 06 it leaves out its first
# and last cells. Its quiz questions are in `06_truncation.json`.

# %%
from course import classroom, plots
from course.by_hand import rnn_backward, rnn_forward, truncated_backward
import matplotlib.pyplot as plt
import numpy as np

# %% [markdown]
# ## Cutting the way back short
#
# On long sequences one goes back only so far. *Truncated* backpropagation through time with a window of five steps, say,
# lets the loss at step $t$ reach the states $h_t, \ldots, h_{t-4}$ and no further:
#
# $$\frac{dL_t}{dU} \approx \sum_{k=t-4}^{t} \frac{dL_t}{dh_k} \frac{\partial^+ h_k}{\partial U}$$
#
# (Libraries speak of TBPTT($k_1$, $k_2$): after every $k_1$ steps forwards, $k_2$ steps back. This is $k_1 = 1$; blocks that
# follow each other are $k_1 = k_2$.) One reads that truncation "leaves some weights without an update" (claim C16). What is
# cut is the far *terms* of lesson 04, not weights. Every weight is used at every step, the last ones included. Turn the dial
# to cut them:


# %%
def network(seed, scale, B=32, T=50, D=4, H=32):
    """Random sequences and weights, U = scale · orthogonal, and a loss that reads h_T alone (as in lesson 04)."""
    rng = np.random.default_rng(seed)
    x, W = rng.normal(size=(B, T, D)), 0.25 * rng.normal(size=(D, H))
    U, b = scale * np.linalg.qr(rng.normal(size=(H, H)))[0], np.zeros(H)
    dh = rng.normal(size=(B, H)) / np.sqrt(H) / B  # mean over the batch
    return x, W, U, b, rnn_forward(x, W, U, b), dh


# %% tags=["dial"] jupyter={"source_hidden": true}
# A dial
cut_windows, frames, captions, alts = [1, 2, 5, 10, 20, 30, 40, 49], [], [], []
for window in cut_windows:
    _, axs = plt.subplots(1, 2, figsize=(9.2, 3.7))
    told = []
    for ax, (scale, name) in zip(axs, {1: "U orthogonal", 2: "U × 2"}.items(), strict=True):
        terms = rnn_backward(*network(0, scale)).terms[::-1]  # by distance
        by_distance, d = np.linalg.norm(terms, axis=(1, 2)), np.arange(len(terms))
        lost = np.linalg.norm(terms[window:].sum(axis=0)) / np.linalg.norm(terms.sum(axis=0))
        ax.bar(d[:window], by_distance[:window], color="C0", label="reached")
        ax.bar(d[window:], by_distance[window:], color="0.85", hatch="///", label="cut")
        plots.axes(ax, yscale="log", xlabel="distance T − k", ylabel="norm of the term")
        ax.set_title(f"{name}: {lost:.1%} of the gradient is cut")
        told.append(f"{name}: {lost:.1%} of the gradient is cut")
    axs[0].legend()
    captions.append(f"Window of {window}. {told[0]}; {told[1]}.")
    alts.append(
        f"The terms of dL/dU by distance, grey beyond a window of {window}. {told[0]}; {told[1]}."
    )
    frames.append(axs)
label = "window, in steps"
plots.dial(frames, label=label, values=cut_windows, captions=captions, alts=alts, start=3)

# %% [markdown]
# What is left is a gradient with a *bias*: an error that does not go away when more sequences are averaged. To see it,
# take a task whose distance we know: at every step, repeat the input of 8 steps ago.


# %%
def delayed(n, lag, rng, T=20):
    """Random signs x (n, T, 1) and the targets y_t = x_{t−lag}, from step lag + 1 on."""
    x = rng.choice([-1.0, 1.0], size=(n, T, 1))
    return x, x[:, : T - lag]


# %%
def start(seed, scale=1.0, H=16):
    """Weights W, U, b, V, c: U is scale · orthogonal, the rest as usual."""
    rng = np.random.default_rng(seed)
    U = scale * np.linalg.qr(rng.normal(size=(H, H)))[0]
    W, V = rng.uniform(-0.5, 0.5, (1, H)), rng.normal(size=(H, 1)) / np.sqrt(H)
    return [W, U, np.zeros(H), V, np.zeros(1)]


# %% [markdown]
# The loss is half the mean squared error of $\hat y_t = h_t V + c$. Only the way back through time is cut: $V$ and $c$
# always get their whole gradient.


# %%
def gradients(weights, x, y, window):
    """dL/dW, dL/dU, dL/db through a window (none for 0), and dL/dV, dL/dc."""
    W, U, b, V, c = weights
    h = rnn_forward(x, W, U, b)
    lag = x.shape[1] - y.shape[1]
    e = np.zeros_like(x)  # dL/dŷ
    e[:, lag:] = (h[:, lag:] @ V + c - y) / y.size
    readout = [np.einsum("bth,bto->ho", h, e), e.sum(axis=(0, 1))]
    if window == 0:
        return [np.zeros_like(w) for w in (W, U, b)] + readout
    back = truncated_backward(x, W, U, b, h, e @ V.T, window)
    return [back.W, back.U, back.b, *readout]


# %% [markdown]
# **Predict, then run.** The input that is asked for lies 8 steps back. From which window on is the gradient of $W$ nearly
# right, less than a fifth off?

# %% tags=["guess"]
nearly_right = classroom.guess(
    "06: the window from which the gradient of W is nearly right", unit="steps", answer=...
)

# %%
windows = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 16]


def biases(seed):
    """By window: the bias of dL/dW and of dL/dU, and how many weights have no gradient."""
    weights, rows = start(seed), []
    x, y = delayed(1000, 8, np.random.default_rng(100 + seed))
    full = gradients(weights, x, y, window=20)
    for window in windows:
        cut = gradients(weights, x, y, window)
        error = [np.linalg.norm(cut[j] - full[j]) / np.linalg.norm(full[j]) for j in (0, 1)]
        rows.append([*error, sum(np.count_nonzero(g == 0) for g in cut)])
    return rows


# %%
bias_W, bias_U, zeros = np.moveaxis(
    [biases(seed) for seed in range(5)], 2, 0
)  # (seeds, windows)

# %% tags=["outcome"] jupyter={"source_hidden": true}
# The outcome
print(f"weights without a gradient, over all windows and seeds: {zeros.sum():.0f}")
ax = plots.lines(
    windows,
    {"gradient of W": bias_W, "gradient of U": bias_U},
    yscale="log",
    xlabel="window, in steps",
    ylabel="bias, relative to the whole gradient",
)
ax.set_title("The bias falls where the window reaches the input that matters")
plots.level(ax, 9, "$x_{t-8}$ is reached", axis="x")
at = dict(zip(windows, np.median([bias_W, bias_U], axis=1).T, strict=True))
plots.show(
    ax,
    alt="Norm of the difference between truncated and whole gradient, relative to the whole, against the window, log "
    f"scale, median and range over five starts. For W it is {at[8][0]:.2f} at a window of 8 and {at[9][0]:.3f} at 9. For "
    f"U it is {at[7][1]:.2f} at a window of 7 and {at[8][1]:.3f} at 8, one step earlier.",
)
nearly_right.outcome(next(w for w in windows if at[w][0] < 0.2))

# %% [markdown]
# **What to notice.** (Again median and range, over five starts.) No weight goes without a gradient at any window, not even at 1. What falls is the bias, and it
# falls in one step. $x_{t-8}$ enters through $W$ at step $t-8$: nine states, $h_t$ to $h_{t-8}$. $U$ meets $h_{t-8}$
# already at step $t-7$, so its own gradient is nearly right one window earlier.
#
# ### What the bias does to learning
# Now train with these gradients: your own backward pass as the engine, Adam in five lines. Three settings: inputs from 3
# and from 8 steps back with a $U$ that forgets by itself (half an orthogonal matrix), and 8 steps back with $U$
# orthogonal. Window 0 stands for a network whose $W$, $U$ and $b$ stay as they were drawn: only the read-out learns.

# %%
budget = {"updates": 300, "batch_size": 32, "learning_rate": 5e-3}
cases = {
    "3 back, U halved": (3, 0.5),
    "8 back, U halved": (8, 0.5),
    "8 back, U orthogonal": (8, 1.0),
}
tried = [0, 2, 4, 8, 9]


# %%
def adam(weights, gradients, m, v, step):
    """One update of Adam, in place; m and v are its running means."""
    for w, g, m_w, v_w in zip(weights, gradients, m, v, strict=True):
        m_w += 0.1 * (g - m_w)
        v_w += 0.001 * (g * g - v_w)
        m_hat, v_hat = m_w / (1 - 0.9**step), v_w / (1 - 0.999**step)
        w -= budget["learning_rate"] * m_hat / (np.sqrt(v_hat) + 1e-8)


# %%
def learn(seed, lag, scale, window):
    """Train from `start(seed, scale)`; return the accuracy on new sequences and the norm of W."""
    rng = np.random.default_rng(seed)
    weights = start(seed, scale)
    m, v = ([np.zeros_like(w) for w in weights] for _ in range(2))
    for step in range(1, budget["updates"] + 1):
        x, y = delayed(budget["batch_size"], lag, rng)
        adam(weights, gradients(weights, x, y, window), m, v, step)
    x, y = delayed(200, lag, rng)
    W, U, b, V, c = weights
    answer = (rnn_forward(x, W, U, b) @ V + c)[:, lag:]
    return np.mean((answer > 0) == (y > 0)), np.linalg.norm(W)


# %%
learned = {
    name: np.array([[learn(seed, *case, window) for window in tried] for seed in range(5)])
    for name, case in cases.items()
}  # each (seeds, windows, 2)
far_case, kept = learned["8 back, U halved"][..., 0], learned["8 back, U orthogonal"][..., 0]

# %%
ax = plots.lines(
    tried,
    {name: found[:, :, 0] for name, found in learned.items()},
    xlabel="window, in steps",
    ylabel="accuracy on new sequences",
    ylim=(0.4, 1.2),
)
ax.set_xticks(tried, ["0: read-out\nalone", *map(str, tried[1:])])
ax.legend(ncols=3, loc="upper center")
ax.set_title("When U forgets by itself, what lies 8 steps back takes a window of 9")
plots.level(ax, 0.5, "chance")
plots.show(
    ax,
    alt="Accuracy against window, median and range over five seeds. Input 3 steps back: "
    f"{learned['3 back, U halved'][:, 2:, 0].min():.2f} from a window of 4 on, and for the read-out alone. Input 8 steps back, U halved: at most "
    f"{far_case[:, :4].max():.2f} up to a window of 8, {far_case[:, 4:].min():.2f} at 9. With U "
    f"orthogonal: {kept[:, 0].min():.2f} to {kept[:, 0].max():.2f} for the read-out alone, {kept[:, 3].min():.2f} to "
    f"{kept[:, 3].max():.2f} at window 8, {kept[:, 4:].min():.2f} at 9.",
)
# %%
norm_W = learned["8 back, U orthogonal"][..., 1]
sizes_W = (f"{np.median(norm_W[:, i]):.2f} at {window}" for i, window in enumerate(tried))
print(f"norm of W after training, 8 back, U orthogonal: {', '.join(sizes_W)}")

# %% [markdown]
# **What to notice.** (Median and range over five seeds.)
# - With a window of 9, every run learns what lies 8 steps back; with a shorter one none does when $U$ forgets by itself.
# - Three steps back is learned with windows longer than that, and even by the read-out alone: the *state* still holds that
#   input, and $V$ needs no way back through time. A short window does not make a network blind to the past; it stops it
#   from *learning what to keep*.
# - With $U$ orthogonal the state holds something even of 8 steps ago, by chance of the start. There a window of 8 is *worse*
#   than not training $U$ and $W$ at all: the biased gradient sees only that the inputs disturb the output now, and
#   none of their use later. It turns the input off, as the norm of $W$ shows.
#
# %% [markdown]
# ## Measured
#
# Five seeds, live.

# %%
# NBVAL_CHECK_OUTPUT
off, on = norm_W[:, 3], norm_W[:, 0]
verdicts = {
    "live, C16 does not hold: no window leaves a weight without a gradient": (zeros == 0).all(),
    "live: at window 9 the bias of dL/dW falls to less than a third": (
        bias_W[:, 8] < bias_W[:, 7] / 3
    ).all(),
    "live: 8 back, U halved: learned with window 9, in every run": far_case[:, 4].min() > 0.99,
    "live: not with a shorter one": far_case[:, :4].max() < 0.8,
    "live: 8 back, U orthogonal: window 8 is worse than the read-out alone, by .2": (
        kept[:, 3] < kept[:, 0] - 0.2
    ).all(),
    "live: and turns the input off: W is left with less than a tenth": (off < on / 10).all(),
}
for claim, holds in verdicts.items():
    print("holds " if holds else "FAILS ", claim)
assert all(verdicts.values())

# %% [markdown]
# **To take away.** Truncation cuts terms, not weights. It bounds memory; and a network does not learn to keep what lies
# outside the window, though its state may hold it by itself.
#
# **Reference.** R. J. Williams and J. Peng, *An efficient gradient-based algorithm for on-line training of recurrent network
# trajectories*, Neural Computation 2 (1990).
#
# **Still to do in lesson 06:** an exercise of its own, for instance a window of truncated backpropagation around
# `rnn_backward`; ten times as many updates, to see whether the short windows still fail.
