# %% [markdown]
# # 06 · Why does training suddenly blow up, and what stops it?
#
# The loss falls; then, from one update to the next, it is ten times larger, or NaN. You record it, and count what prevents it.
#
# **You will be able to**
# - clip a gradient so that its direction stays and its step has a length you know;
# - choose the threshold from recorded norms;
# - say whether a run has diverged, and how often the usual cures prevent it;
# - say what truncated backpropagation cuts, and when that helps;
# - set up `fit` so that a run that blows up loses an epoch at most.
#
# **90 minutes** · needs: [05](05_why_it_forgets.ipynb) · letters: [notation](../docs/notation.md); $g$ is a gradient here,
# $\eta$ a learning rate, $\theta$ a threshold

# %%
import tempfile

from course import classroom, plots
from course.by_hand import rnn_backward, rnn_forward
from course.classroom.exercises import lesson_06 as check
from course.experiments import fresh, success_rate
from course.gradients import GradientNorms
import keras  # takes some ten seconds, once per lesson
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

# %% [markdown]
# ## 1 · A wall
#
# One unit without inputs should end at 0.7 after 50 steps. It has two weights, $w$ and $b$; with the sigmoid
# $\sigma(a) = 1/(1+e^{-a})$:
#
# $$h_t = \sigma(w\, h_{t-1} + b), \qquad h_0 = \sigma(0.5) = 0.62, \qquad L = (h_{50} - 0.7)^2$$


# %%
def sigmoid(a):
    return 0.5 + 0.5 * np.tanh(a / 2)  # 1 / (1 + exp(−a)), without overflow


h_0 = sigmoid(0.5)


def unit(w, b, T=50):
    """The loss L after T steps, and its gradient (dL/dw, dL/db)."""
    h, dw, db = h_0, 0.0, 0.0  # dw, db: the derivatives of h
    for _ in range(T):
        h_next = sigmoid(w * h + b)
        slope = h_next * (1 - h_next)
        h, dw, db = h_next, slope * (h + w * dw), slope * (1 + w * db)
    return (h - 0.7) ** 2, 2 * (h - 0.7) * np.array([dw, db])


# %%
def wall(w):
    """The b for which h_0 stays where it is: w h_0 + b = 0.5."""
    return 0.5 - h_0 * w


figure = plt.figure(figsize=(9.5, 3.8))
labels = {"xlabel": "w", "ylabel": "b, counted from the wall"}
ax = figure.add_subplot(1, 2, 1, projection="3d", zlabel="loss", **labels)
w, off = np.meshgrid(np.linspace(3.5, 6.5, 61), np.linspace(-0.6, 0.6, 240))
ax.plot_surface(w, off, unit(w, wall(w) + off)[0], cmap="viridis", rcount=240)
ax.set(xticks=[4, 5, 6], yticks=[-0.5, 0, 0.5], zticks=[0, 0.2, 0.4])
ax.view_init(25, -35)
across = figure.add_subplot(1, 2, 2, xlabel=labels["ylabel"], ylabel="loss")
off = np.linspace(-0.3, 0.3, 2001)
curves = {f"w = {w}": unit(w, wall(w) + off)[0] for w in (3.5, 4.5, 6)}
plots.lines(off, curves, across)
figure.suptitle("Two gentle slopes, and between them a wall", x=0.01, ha="left", weight="bold")
plots.show(
    ax,
    alt="The loss over w and b, in three dimensions and cut across at three w. At w = 3.5 it is a smooth slope; at 4.5 and "
    "6 two gentle slopes meet in a vertical step, high where b lies below the line and low above it.",
)

# %% [markdown]
# **What to notice.** On the line $b = 0.5 - 0.62\, w$ the unit rests at $h_0$; above it, it ends
# high, below, low. Near the line each step multiplies a small deviation by $w\, h_0 (1 - h_0) = 0.235\, w$: from
# $w = 4.26$ on that is above 1, and over 50 steps the gradient **explodes**.


# %%
near = np.concatenate([-np.logspace(-12, -1, 800), np.logspace(-12, -1, 800)])
for w in (4.5, 5.0, 6.0):
    steepest = np.linalg.norm(unit(w, wall(w) + near)[1], axis=0).max()
    factor = (w * h_0 * (1 - h_0)) ** 50
    print(f"w = {w}: factor over 50 steps {factor:.0e}, largest gradient {steepest:.0e}")

# %% [markdown]
# Now descend: subtract $\eta\, g$ from $(w, b)$, beginning on the gentle slope at $w = 5$.
#
# **Predict, then run.** The learning rate is 0.03. How long is the longest of 200 steps?

# %% tags=["guess"]
longest_step = classroom.guess(
    "06.1 the longest step at the wall", unit="units of w and b", answer=...
)


# %%
def descend(eta, theta=np.inf, place=(5.0, -2.4), updates=200):
    """The path (updates + 1, 2) of (w, b), each gradient cut to the length theta if it is longer."""
    path = [np.array(place)]
    for _ in range(updates):
        _, g = unit(*path[-1])
        path.append(path[-1] - eta * g * min(1, theta / np.linalg.norm(g)))
    return np.array(path)


# %% tags=["outcome"] jupyter={"source_hidden": true}
# The outcome
def steps(path):
    """The lengths of the steps of a path."""
    return np.linalg.norm(np.diff(path, axis=0), axis=1)


def drawn(eta):
    """Draw the paths without clipping and with it over the contours; return axes and a caption."""
    ax = plt.subplots(figsize=(7.2, 4))[1]
    w, b = np.meshgrid(np.linspace(3.5, 6, 400), np.linspace(-3.4, -1.4, 500))
    ax.contourf(w, b, unit(w, b)[0], levels=20, cmap="Greys", alpha=0.6)
    told = []
    for name, theta, look in (("no clipping", np.inf, "C1o--"), ("clipped at 1", 1.0, "C0s-")):
        path = descend(eta, theta)
        end, longest = unit(*path[-1])[0], steps(path).max()
        ax.plot(
            *path.T, look, markersize=3, linewidth=1, label=f"{name}: loss {end:.3f} at the end"
        )
        told.append(f"{name}, longest step {longest:.2g}, loss {end:.3f} after 200")
    ax.set(xlim=(3.5, 6), ylim=(-3.4, -1.4), xlabel="w", ylabel="b")
    ax.set_title(f"Learning rate {eta}: the descent without clipping and with it")
    ax.legend(loc="lower left", frameon=True, framealpha=0.9)
    return ax, f"Learning rate {eta}: {'; '.join(told)}."


# %% tags=["outcome"] jupyter={"source_hidden": true}
# The outcome
ax, caption = drawn(0.03)
ax.set_title("The wall throws the one that is not clipped")
plots.show(
    ax,
    alt=f"Contours of the loss, dark is high, with two paths that begin at (5, -2.4). {caption}",
)
print(caption)
longest_step.outcome(round(steps(descend(0.03)).max(), 1), margin=3)

# %% [markdown]
# **What to notice.** At the wall the gradient points straight across, rightly, but it is *long*, and so is the step.
# **Clipped** to $\theta = 1$, a step is at most $\eta\, \theta$ long. Turn the learning rate:

# %% tags=["dial"] jupyter={"source_hidden": true}
# A dial
rates = [0.003, 0.01, 0.03, 0.1, 0.3, 1.0]
frames, captions = zip(*[drawn(eta) for eta in rates], strict=True)
alts = [
    f"Contours of the loss with two paths from (5, -2.4). {caption}" for caption in captions
]
plots.dial(frames, label="learning rate", values=rates, captions=captions, alts=alts, start=2)

# %% [markdown]
# ### Exercise 1 · Clip
# A network's gradient has an array $g_w$ for each of its weights $w$, and one **global norm**,
# $\lVert g \rVert = \sqrt{\sum_w \lVert g_w \rVert^2}$. Write Keras' `global_clipnorm`: where that is
# above the threshold, one factor for all arrays makes it the threshold.


# %% tags=["exercise"]
def clip_by_global_norm(gradients, threshold):
    """Return the list of arrays `gradients`, clipped so that their global norm is at most `threshold`."""
    ...


# %% tags=["check"]
check.clip_by_global_norm()


# %% tags=["solution"] jupyter={"source_hidden": true}
# One factor for all arrays: the direction stays, the length becomes the threshold. Short ones, and 0, stay as they are.
def solution_clip_by_global_norm(gradients, threshold):
    norm = np.sqrt(sum(np.sum(g**2) for g in gradients))
    return [g * threshold / norm for g in gradients] if norm > threshold else gradients


check.clip_by_global_norm(solution_clip_by_global_norm)

# %% [markdown]
# ## 2 · A training, recorded to its last number
#
# 32 units read random signs and say at every step whether the sign 8 steps before was a plus. The loss is
# the cross-entropy, $\ln 2 = 0.69$ at chance. $U$ starts orthogonal, as in Keras, or that times 2.

# %%
settings = {"length": 60, "back": 8, "units": 32, "batch_size": 32}
chance = np.log(2)
networks = {  # activation, what U is multiplied by, learning rate
    "tanh": ("tanh", 1.0, 3.0),
    "tanh, U x 2": ("tanh", 2.0, 1.0),
    "ReLU": ("relu", 1.0, 1.0),
}


def signs(n, rng):
    """Random signs x (n, T, 1), and whether the one 8 steps before was a plus, y (n, T − 8, 1)."""
    x = rng.choice([-1.0, 1.0], (n, settings["length"], 1)).astype("float32")
    return x, (x[:, : -settings["back"]] > 0).astype("float32")


def start(seed, gain):
    """Weights W, U, b, V, b_V."""
    rng, H = np.random.default_rng(seed), settings["units"]
    W, U = rng.uniform(-0.4, 0.4, (1, H)), np.linalg.qr(rng.normal(size=(H, H)))[0]
    return [W, gain * U, np.zeros(H), rng.uniform(-0.4, 0.4, (H, 1)), np.zeros(1)]


# %%
def build(activation, rate, **clipping):
    """A compiled RNN for signs, trained by plain gradient descent."""
    H, T, back = settings["units"], settings["length"], settings["back"]
    model = keras.Sequential([keras.Input((T, 1))])
    model.add(keras.layers.SimpleRNN(H, activation=activation, return_sequences=True))
    model.add(keras.layers.Cropping1D((back, 0)))  # the first 8 steps have no target
    model.add(keras.layers.Dense(1))
    optimizer = keras.optimizers.SGD(rate, **clipping)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(optimizer, loss, jit_compile=True)  # on a CPU Keras does not do so by itself
    return model


def network(name, seed, slower=1, **clipping):
    """A new model with the weights of `start`."""
    activation, gain, rate = networks[name]
    model = fresh(build, seed, activation=activation, rate=rate / slower, **clipping)
    model.set_weights(start(seed, gain))
    return model


# %% [markdown]
# The course's `GradientNorms` writes the norms of the gradients, *before* clipping, into the history of `fit`; with one update an
# epoch, every single one.


# %%
def batches(seed):
    """New sequences without end."""
    rng = np.random.default_rng(seed)
    while True:
        yield signs(settings["batch_size"], rng)


def record(name, seed, updates=100):
    """Train; return the losses and the global norms, one an update, and the weights at the end."""
    model, look = network(name, seed), GradientNorms(weights=False)
    every = {"steps_per_epoch": 1, "epochs": updates, "callbacks": [look], "verbose": 0}
    history = model.fit(batches(seed), shuffle=False, **every).history
    return np.array(history["loss"]), np.array(history["grad_norm/global"]), model.get_weights()


# %% [markdown]
# **Predict, then run.** Which of the three can end in NaN?

# %% tags=["guess"]
end_in_nan = classroom.guess(
    "06.2 which networks can end in NaN",
    ["ReLU alone", "the two with tanh alone", "all three of them"],
    answer=...,
)

# %%
shown_seed = 7
recorded = {name: record(name, shown_seed) for name in networks}


# %% tags=["outcome"] jupyter={"source_hidden": true}
# The outcome
def drawn_run(name, losses, norms, axs):
    """Draw a run up to its last number, and say in words how it ended."""
    broken = np.flatnonzero(~np.isfinite(losses + norms))
    last = broken[0] if len(broken) else len(losses)
    for ax, values in zip(axs, (losses, norms), strict=True):
        (line,) = ax.plot(np.arange(1, last + 1), values[:last], label=name, linewidth=1.2)
        if last < len(losses):
            ax.plot(last, values[last - 1], "X", markersize=11, color=line.get_color())
    end = f"loss {losses[-10:].mean():.2f} at the end"
    end = f"NaN after update {last}" if last < len(losses) else end
    return f"{name}: {end}, largest norm {norms[:last].max():.0e}"


# %% tags=["outcome"] jupyter={"source_hidden": true}
# The outcome
axs = plt.subplots(2, 1, figsize=(8, 5.4), sharex=True)[1]
told = [drawn_run(name, *run[:2], axs) for name, run in recorded.items()]
plots.level(axs[0], chance, "chance")
axs[0].set(yscale="log", ylabel="loss")
axs[1].set(yscale="log", ylabel="norm of the gradient", xlabel="update")
axs[0].set_title("One ends in NaN (the cross is its last number), two go on as wrecks")
axs[0].legend()
plots.show(axs, alt=f"Loss and gradient norm at every update, log scales. {'; '.join(told)}.")
print(*told, sep="\n")
nan = tuple(not np.isfinite(losses).all() for losses, _, _ in recorded.values())
named = {(False, False, True): 0, (True, True, False): 1, (True, True, True): 2}
end_in_nan.outcome(end_in_nan.choices[named[nan]])

# %% [markdown]
# **What to notice.** (C12) ReLU states have no bound: norm, weights and loss grow until a number is too large for the computer.
# Tanh states stay between −1 and 1: no NaN in these runs, and nobody is told. What have the long steps left (C15)?


# %%
def saturated(weights):
    """The share of tanh states beyond 0.95 in size, on new sequences."""
    W, U, b, *_ = (np.asarray(w, float) for w in weights)
    x, _ = signs(100, np.random.default_rng(1))
    return np.mean(np.abs(rnn_forward(x.astype(float), W, U, b)) > 0.95)


for name in ("tanh", "tanh, U x 2"):
    first, last = start(shown_seed, networks[name][1]), recorded[name][2]
    shares = " → ".join(f"{saturated(weights):.0%}" for weights in (first, last))
    U_norms = " → ".join(f"{np.linalg.norm(weights[1]):.2g}" for weights in (first, last))
    print(f"{name}: saturated {shares}; norm of U {U_norms}")

# %% [markdown]
# **What to notice.** A step for one batch was longer than all of $U$. Nearly every unit is at the end of its range, where tanh's
# slope is next to 0, and the loss stays above chance.
#
# ## 3 · Three ways to clip, one that keeps the direction
#
# | in a Keras optimizer | what is done to the gradient $g$ |
# |---|---|
# | `global_clipnorm=`$\theta$ | all of it times $\min(1, \theta / \lVert g \rVert)$ |
# | `clipnorm=`$\theta$ | each array $g_w$ times $\min(1, \theta / \lVert g_w \rVert)$, by itself |
# | `clipvalue=`$\theta$ | each number cut to the range from $-\theta$ to $\theta$ |
#
# All keep the gradient below a value (C17). Which keep its direction? For 60 starts, $U$ times 1 to 3, we measure the angle
# between the gradient (by hand, as in [lesson 04](04_backpropagation_through_time.ipynb)) and what clipping makes of it.


# %%
def gradients(weights, x, y, block=settings["length"]):
    """dL/dW, dL/dU, dL/db, dL/dV, dL/db_V of a tanh network. The way back ends where a block of steps starts."""
    W, U, b, V, b_V = weights
    h, back = rnn_forward(x, W, U, b), settings["back"]
    e = np.zeros_like(x)  # dL/d(logit): 0 where there is no target
    e[:, back:] = (sigmoid(h[:, back:] @ V + b_V) - y) / y.size
    blocks = []
    for first in range(0, x.shape[1], block):
        now, h_first = slice(first, first + block), h[:, first - 1] if first else None
        blocks.append(rnn_backward(x[:, now], W, U, b, h[:, now], e[:, now] @ V.T, h_first))
    dW, dU, db = (sum(getattr(found, name) for found in blocks) for name in "WUb")
    return [dW, dU, db, np.einsum("bth,bto->ho", h, e), e.sum(axis=(0, 1))]


def norm(arrays):
    return np.sqrt(sum(np.sum(a**2) for a in arrays))


def angle(a, b):
    """The angle between two lists of arrays, in degrees."""
    cosine = sum(np.sum(p * q) for p, q in zip(a, b, strict=True)) / (norm(a) * norm(b))
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


# %%
kinds = {
    "global_clipnorm": lambda g, theta: [a * min(1, theta / norm(g)) for a in g],
    "clipnorm": lambda g, theta: [a * min(1, theta / norm([a])) for a in g],
    "clipvalue": lambda g, theta: [np.clip(a, -theta, theta) for a in g],
}
thetas = {"global_clipnorm": 0.1, "clipnorm": 0.1, "clipvalue": 0.01}
one, other = ([part.astype(float) for part in next(batches(n))] for n in (2, 3))
sixty = [gradients(start(seed, g), *one) for seed in range(5) for g in np.linspace(1, 3, 12)]

# %% [markdown]
# **Predict, then run.** By how many degrees does clipping by value turn the longest of them?

# %% tags=["guess"]
turned = classroom.guess("06.3 the angle of clipping by value", unit="degrees", answer=...)

# %% tags=["outcome"] jupyter={"source_hidden": true}
# The outcome
lengths = np.array([norm(g) for g in sixty])
angles = {
    kind: np.array([angle(g, clip(g, thetas[kind])) for g in sixty])
    for kind, clip in kinds.items()
}
ax = plots.axes(
    xscale="log", xlabel="norm of the gradient", ylabel="degrees turned by clipping"
)
for (kind, turns), marker in zip(angles.items(), "osD", strict=True):
    ax.plot(lengths, turns, marker, linestyle="", alpha=0.8, label=f"{kind} = {thetas[kind]}")
ax.set_title("One kind of clipping leaves the direction as it is")
ax.legend()
said = (f"{kind} at most {turns.max():.0f} degrees" for kind, turns in angles.items())
said = f"{'; '.join(said)}; norms {lengths.min():.2f} to {lengths.max():.0e}"
plots.show(ax, alt=f"Angle against norm for sixty gradients: {said}.")
print(said)
turned.outcome(round(angles["clipvalue"][lengths.argmax()]), margin=10)

# %% [markdown]
# **What to notice.** One factor for all turns nothing. `clipnorm` gives every long array the same length; `clipvalue` makes all
# large numbers equal.
#
# Where should $\theta$ be? In a run that goes well, tanh with a tenth of the rate, `GradientNorms(thresholds=[…])` counts the updates
# that would have been clipped.


# %%
thresholds = [0.03, 0.1, 0.3, 1.0]
look = GradientNorms(thresholds=thresholds)
fit = {"steps_per_epoch": 30, "epochs": 5, "callbacks": [look], "verbose": 0}
history = network("tanh", 0, slower=10).fit(batches(0), shuffle=False, **fit).history
shares = pd.DataFrame({t: history[f"grad_norm_above/{t:g}"] for t in thresholds})
shares.index = [f"updates {n + 1} to {n + 30}" for n in range(0, 150, 30)]
print("share of updates above a threshold")
print(shares.round(2).to_string())

# %% [markdown]
# ### Exercise 2 · Choose the threshold
# `norms` are the global norms of a run up to the update at which it broke, the last ones NaN or infinite. Return the threshold that a
# `share` of the finite ones exceeds (0.1: one in ten).


# %% tags=["exercise"]
def threshold(norms, share):
    """Return the norm that this share of the finite norms exceeds."""
    ...


# %% tags=["check"]
check.threshold()


# %% tags=["solution"] jupyter={"source_hidden": true}
# A quantile, not a multiple of the mean: a few huge norms make the mean as large as they like.
def solution_threshold(norms, share):
    finite = norms[np.isfinite(norms)]
    return np.quantile(finite, 1 - share)


check.threshold(solution_threshold)

# %% [markdown]
# ## 4 · What stops it, counted
#
# We say beforehand: a run has **diverged** if the mean loss of its last tenth is not finite, or above 1.1 times chance;
# it has **learned** if that mean is below a quarter of chance.
#
# ### Exercise 3 · Diverged, or not
# `losses` has a row for each run. Return the share of the rows that diverged: the last tenth's mean is NaN, infinite
# or above `limit`.


# %% tags=["exercise"]
def diverged_share(losses, limit):
    """Return the share of the runs whose last tenth has a mean that is not finite or above limit."""
    ...


# %% tags=["check"]
check.diverged_share()


# %% tags=["solution"] jupyter={"source_hidden": true}
# A comparison with NaN is False, so `mean > limit` calls a run that ended in NaN a good one. Ask which are fine.
def solution_diverged_share(losses, limit):
    ends = losses[:, -(losses.shape[1] // 10) :].mean(axis=1)
    return np.mean(~(ends <= limit))


check.diverged_share(solution_diverged_share)

# %% [markdown]
# `data/06_divergence.csv` holds fifteen seeds of our three networks, as they are and with eleven cures, 400 updates each.
# *Warm-up*: the rate rises in a straight line over 100
# updates; *LSTM*: same rate and gain; *truncated*: the way back ends every 20 steps (also with `global_clipnorm` 0.1), or every 5.
#
# **Predict, then run.** What lets most networks with $U \times 2$ learn?

# %% tags=["guess"]
helps_most = classroom.guess(
    "06.4 what lets most networks with U x 2 learn",
    [
        "clipping the global norm at 0.1",
        "a tenth of the learning rate",
        "truncation to 20 steps",
    ],
    answer=...,
)

# %%
runs = pd.read_csv("../data/06_divergence.csv")
curves = [np.array(curve.split(), float) for curve in runs.curve]  # means of ten updates
runs["end"] = [curve[-(len(curve) // 10) :].mean() for curve in curves]
runs["diverged"], runs["learned"] = ~(runs.end <= 1.1 * chance), runs.end < chance / 4
longer, runs = runs[runs.updates > 400], runs[runs.updates == 400]  # longer: for section 5
rates = {
    what: success_rate(runs, by=["network", "cure"], solved=what).set_index(["network", "cure"])
    for what in ("diverged", "learned")
}
same = runs[(runs.network == "ReLU") & (runs.cure == "nothing") & (runs.seed == shown_seed)]
live = recorded["ReLU"][0][:20].reshape(2, 10).mean(axis=1)
assert np.allclose(live, curves[same.index[0]][:2], rtol=0.01), "not the network of the record"

# %% tags=["outcome"] jupyter={"source_hidden": true}
# The outcome
cures = list(dict.fromkeys(runs.cure))
counts = runs.groupby(["network", "cure"], sort=False)[["diverged", "learned"]].sum()


def drawn_rates(ax, name):
    """Draw both rates of a network with each cure."""
    for what, marker, shift in (("diverged", "X", -0.15), ("learned", "o", 0.15)):
        r = rates[what].loc[name].loc[cures]
        bars = [r.rate - r.low, r.high - r.rate]
        look = {"marker": marker, "linestyle": "", "capsize": 3, "label": what}
        ax.errorbar(r.rate, np.arange(len(cures)) + shift, xerr=bars, **look)
    ax.set(xlim=(-0.03, 1.03), xlabel="share of 15 seeds")
    ax.set_title(f"{name}, rate {networks[name][2]:g}")


# %% tags=["outcome"] jupyter={"source_hidden": true}
# The outcome
figure, panels = plt.subplots(1, 3, figsize=(11, 4.9), sharey=True, layout="constrained")
for ax, name in zip(panels, networks, strict=True):
    drawn_rates(ax, name)
panels[0].set_yticks(range(len(cures)), cures)
panels[0].invert_yaxis()
panels[2].legend(title="bars: 95 % interval", loc="center left", bbox_to_anchor=(1, 0.5))
title = "With clipping two networks learn, with truncation the other one"
figure.suptitle(title, x=0.01, ha="left", weight="bold")
said = (f"{n}, {c}: {d} diverged, {k} learned" for (n, c), d, k in counts.itertuples())
plots.show(panels, alt=f"Share of 15 seeds that diverged and that learned. {'; '.join(said)}.")
print("of 15 LSTMs at rate 10:", counts.loc["LSTM"].T.to_string(), sep="\n")
learned_x2 = counts.learned["tanh, U x 2"]
of_choices = learned_x2[["global_clipnorm 0.1", "a tenth of the rate", "truncated, 20"]]
helps_most.outcome(helps_most.choices[int(np.argmax(of_choices))])

# %% [markdown]
# **What to notice.** (C13)
#
# - *Clipped* at 0.1 or 0.3 all tanh networks learn, at 1 none: the step $\eta\,\theta$ counts against the weights, and $3 \cdot 1$ is half the
#   norm of $U$. A tenth of the rate does it too, warm-up in part. With ReLU clip the norm; values hardly help.
# - No *LSTM* diverges at these rates (nor learns in 400 updates), at 10 all do unless clipped.
# - With $U \times 2$ clipping at 0.1 or 0.3 prevents divergence, but fewer than half learn; truncated to 20 steps all do, clipped or not. Why?
#
# ## 5 · When the direction is wrong
#
# **Truncated** backpropagation through time cuts the sequence into blocks, here of 20 steps: the state goes on into the next one, the
# gradient ends where its block starts. One reads that this "leaves some weights without an update" (C16). We count these, and ask: do two
# batches agree on the gradient?
#
# **Predict, then run.** With $U \times 2$ at its start, what is the angle between the whole gradients of two batches of 32?

# %% tags=["guess"]
agree = classroom.guess("06.5 the angle between two batches, U x 2", unit="degrees", answer=...)

# %%
sizes = [1, 5, 10, 15, 20, 30, settings["length"]]


def truncations(seed, gain):
    """By block: the angle between two batches, the bias of dL/dU, and how many weights have no gradient."""
    weights, rows = start(seed, gain), []
    full = gradients(weights, *one)[1]
    for block in sizes:
        a, b = gradients(weights, *one, block), gradients(weights, *other, block)
        error = np.linalg.norm(a[1] - full) / np.linalg.norm(full)
        rows.append([angle(a[:3], b[:3]), error, sum(np.count_nonzero(g == 0) for g in a)])
    return rows


truncated = {g: np.array([truncations(seed, g) for seed in range(5)]) for g in (1.0, 2.0)}

# %% tags=["outcome"] jupyter={"source_hidden": true}
# The outcome
turns = {f"U x {gain:g}": found[:, :, 0] for gain, found in truncated.items()}
ax = plots.lines(
    sizes,
    turns,
    xlabel="steps in a block",
    ylabel="degrees between two batches",
    ylim=(0, 125),
)
ax.set_title("Exploded, the gradients of two batches have nothing in common")
ax.legend(title="median and range of five starts", loc="center right")
plots.level(ax, 90, "nothing in common")
middle = {gain: np.median(found, axis=0) for gain, found in truncated.items()}  # (blocks, 3)
said = [
    f"U x {gain:g}, blocks of {n}: {row[0]:.0f} degrees, bias {row[1]:.3f}"
    for gain, rows in middle.items()
    for n, row in zip(sizes, rows, strict=True)
    if n in (1, 10, 20, 60)
]
plots.show(ax, alt=f"Angle between the gradients of W, U, b of two batches. {'; '.join(said)}.")
print(*said, sep="\n")
no_gradient = sum(found[:, :, 2].sum() for found in truncated.values())
print(f"weights without a gradient, all blocks and starts: {no_gradient:.0f}")
agree.outcome(round(middle[2.0][-1, 0]), margin=10)

# %% [markdown]
# **What to notice.** No weight goes without a gradient, even in blocks of one step: each is used at every step. What is cut are far *terms*.
# At gain 1 that leaves a bias. At gain 2 blocks of 20 cut nearly everything, and two batches come to agree on a part: the far terms are
# large, and differ from batch to batch. Clipping the global norm keeps their direction. The price: in blocks of 5, too short for 8 steps
# back, nothing is learned.
#
# <details><summary>For those who want more: five times as many updates</summary>
#
# Do the clipped networks learn later? Ten seeds of $U \times 2$ were trained for 2,000 updates; the next, folded cell prints how many had learned
# at the end. With the global norm or values clipped, or a tenth of the rate, it is three at most; with `clipnorm` it is all. Because it turns the
# gradient, or because it leaves it longer? Five arrays of length 0.1 are together $0.1 \sqrt{5} = 0.224$ long; with `global_clipnorm`
# 0.224, which turns nothing, nearly all learn too. So the length is enough, and clipping can do it, later than truncation.
#
# </details>

# %% tags=["box"] jupyter={"source_hidden": true}
# For the box on more updates
late = longer.groupby("cure", sort=False).learned.agg(["sum", "count"])
print("with U x 2, learned after 2,000 updates:")
print(*(f"   {cure}: {k} of {n}" for cure, k, n in late.itertuples()), sep="\n")
as_long = ["clipnorm 0.1", "global_clipnorm 0.224"]
assert late["sum"].drop(as_long).max() <= 3
assert late["sum"][as_long].min() >= 8

# %% [markdown]
# ### Exercise 4 · What is cut
# The way back may also end a fixed number of steps, a *window*, behind each loss: of `terms` $(T, H, H)$, those of $dL/dU$ by distance, it keeps
# distances 0 to `window` − 1. Return the bias: the norm of what is cut over that of the whole gradient.


# %% tags=["exercise"]
def bias(terms, window):
    """Return the norm of the terms cut off, summed, relative to that of all of them, summed."""
    ...


# %% tags=["check"]
check.bias()


# %% tags=["solution"] jupyter={"source_hidden": true}
# Terms are matrices with signs: they are summed before the norm is taken, since they may cancel.
def solution_bias(terms, window):
    cut = terms[window:].sum(axis=0)
    return np.linalg.norm(cut) / np.linalg.norm(terms.sum(axis=0))


check.bias(solution_bias)

# %% [markdown]
# ## 6 · Losing an epoch at most
#
# `TerminateOnNaN(raise_error=True)` breaks `fit` off; `BackupAndRestore(folder)` saves every
# epoch, and the next `fit` goes on from there (without `raise_error` the backup is removed, as after a success);
# `ModelCheckpoint(monitor="val_loss", save_best_only=True)` keeps the epoch that is best on other sequences. Three ReLU networks that
# broke in the record, and two with tanh, ten updates an epoch:


# %%
def guarded(name, seed, folder, epochs=10):
    """Train until it breaks or ends; whether it broke, and the loss of what is saved, last and best."""
    best, backup = f"{folder}/best.weights.h5", f"{folder}/backup"
    keep = {"monitor": "val_loss", "save_best_only": True, "save_weights_only": True}
    guards = [
        keras.callbacks.ModelCheckpoint(best, **keep),
        keras.callbacks.BackupAndRestore(backup, delete_checkpoint=False),
        keras.callbacks.TerminateOnNaN(raise_error=True),
    ]
    model, broke = network(name, seed), False
    fit = {"steps_per_epoch": 10, "epochs": epochs, "callbacks": guards, "verbose": 0}
    try:
        model.fit(batches(seed), shuffle=False, validation_data=new, **fit)
    except RuntimeError:
        broke = True
    losses = []
    for saved in (f"{backup}/latest.weights.h5", best):
        model.load_weights(saved)
        losses.append(model.evaluate(*new, verbose=0))
    return broke, *losses


# %%
new = signs(500, np.random.default_rng(99))
lost = runs[(runs.cure == "nothing") & ~np.isfinite(runs.end)]
tried = [("ReLU", int(seed)) for seed in lost.seed[1:4]] + [("tanh", seed) for seed in range(2)]
found = []
for name, seed in tried:
    with tempfile.TemporaryDirectory() as folder:
        found.append((name, seed, *guarded(name, seed, folder)))
columns = ["network", "seed", "broke off", "loss of the backup", "loss of the best"]
saved = pd.DataFrame(found, columns=columns)
print(saved.round(2).to_string(index=False))

# %% [markdown]
# **What to notice.** Of a ReLU run that breaks, an epoch is lost at most. But a backup may hold a network that is thrown; then take the
# best, by a loss measured *after* the epoch (`val_loss`; `loss` is a mean during it). With tanh nothing is
# broken off, and the wreck is backed up.
#
# ### Exercise 5 · Go on from the last good epoch
# `build(threshold)` makes a compiled model, without clipping for `None`. Train it for 6 epochs with batches of 4; if the loss becomes
# NaN, go on from the last good epoch with `build(1.0)`. `folder` is for the backup. Return the model.


# %% tags=["exercise"]
def train(build, x, y, folder):
    """Return a model trained for 6 epochs, clipped from the last good one on if it blew up."""
    ...


# %% tags=["check"]
check.train()


# %% tags=["solution"] jupyter={"source_hidden": true}
# The error leaves the backup where it is; the second fit finds it, weights and number of the epoch.
def solution_train(build, x, y, folder):
    for threshold in (None, 1.0):
        model = build(threshold)
        guards = [
            keras.callbacks.BackupAndRestore(folder),
            keras.callbacks.TerminateOnNaN(raise_error=True),
        ]
        try:
            model.fit(x, y, batch_size=4, epochs=6, callbacks=guards, verbose=0)
        except RuntimeError:
            continue
        return model


check.train(solution_train)

# %% [markdown]
# ## Measured
#
# *Live*: computed here. *Recorded*: read from `data/06_divergence.csv`, fifteen seeds each.


# %%
def of(what, network, cure):
    """Rate, low and high of what is recorded for a network with a cure."""
    return rates[what].loc[network, cure]


kept_by = [("tanh", "a tenth of the rate")]
kept_by += [(name, "global_clipnorm 0.1") for name in ("tanh", "LSTM")]
clipped = [cure for cure in cures if cure.startswith(("global_clipnorm", "clip"))]
best_clip = max(of("learned", "tanh, U x 2", cure).high for cure in clipped)
uncured = runs[runs.cure == "nothing"]
nans = (~np.isfinite(uncured.end)).groupby(uncured.network).sum()
states = runs[runs.network == "tanh"].groupby("cure").saturated.median()
turned_by = angles["clipvalue"][lengths.argmax()], angles["clipnorm"][lengths.argmax()]
whole, ten = middle[2.0][-1, 0], middle[2.0][sizes.index(10), 0]

# %%
# NBVAL_CHECK_OUTPUT
verdicts = {
    "recorded, C12: without a cure ReLU ends in NaN in more than a quarter of the runs, tanh in "
    "none": nans["ReLU"] > 4 and nans["tanh"] == nans["tanh, U x 2"] == 0,
    "recorded, C15: tanh is left with more than 80 % of its states saturated, clipped at 0.1 with "
    "less than 8 % (medians)": states["nothing"] > 0.8 and states["global_clipnorm 0.1"] < 0.08,
    "recorded, C13: clipping at 0.1 and a tenth of the rate keep tanh from diverging, clipping an "
    "LSTM at rate 10, intervals apart": all(
        of("diverged", name, "nothing").low > of("diverged", name, cure).high
        for name, cure in kept_by
    ),
    "recorded, C13: with U x 2, truncation lets more networks learn in 400 updates than any "
    "clipping tried, intervals apart": of("learned", "tanh, U x 2", "truncated, 20").low
    > best_clip,
    "live, C17: the longest gradient is turned by clipvalue and by clipnorm, by 20 degrees or "
    "more": min(turned_by) > 20,
    "live, C16: no block leaves a weight without a gradient; with U x 2 two batches stand at 75 "
    "degrees or more, in blocks of ten below 60": no_gradient == 0 and whole > 75 and ten < 60,
}
for claim, holds in verdicts.items():
    print("holds " if holds else "FAILS ", claim)
assert all(verdicts.values())

# %%
classroom.tally()

# %% [markdown]
# ## Quiz

# %%
classroom.quiz("quizzes/06_why_training_blows_up.json")

# %% [markdown]
# ## Three things to take away
#
# 1. What throws a training is a step, $\eta \lVert g \rVert$, that is long against the weights; clipping the global norm bounds it.
# 2. No NaN is no proof: bounded units go on as wrecks. Count by the loss at the end, NaN included.
# 3. Clipping the global norm mends no direction. Where two batches do not agree on it, a shorter way back learns sooner.
#
# **Next:** [08 · How does an LSTM remember, and when does it still forget?](08_how_an_lstm_remembers.ipynb) (07, on repairing the plain RNN, is to come)
#
# **References.** R. Pascanu, T. Mikolov, Y. Bengio, *On the difficulty of training recurrent neural networks*, ICML 2013.
# R. J. Williams, J. Peng, Neural Computation 2 (1990), on truncation.
