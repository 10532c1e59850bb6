# %% [markdown]
# # 06 · Why does training suddenly blow up, and what stops it?
#
# For hundreds of updates the loss falls. Then, from one update to the next, it is a thousand times larger, or NaN. In this
# lesson you see the place where that happens, record a training up to its last number, and count what prevents it.
#
# **You will be able to**
# - clip a gradient so that its direction stays and its step has a length you know;
# - choose the threshold from recorded norms;
# - say whether a run has diverged, and how often each of the usual cures prevents it;
# - set up `fit` so that a run that blows up loses an epoch at most.
#
# **50 minutes** · needs: [05](05_why_it_forgets.ipynb) · letters: [notation](../docs/notation.md); besides, $g$ is a gradient here,
# $\eta$ a learning rate, $\theta$ a threshold

# %%
from course import classroom, plots
from course.by_hand import rnn_backward, rnn_forward, truncated_backward
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
# One unit without inputs runs for 50 steps and should end at 0.7; it has two weights, $w$ and $b$. With the sigmoid
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
# **What to notice.** On the line $b = 0.5 - 0.62\, w$ the unit rests at $h_0$ for ever. A little above it, the unit ends
# high; a little below, low. On the line each step multiplies a small deviation by $w\, h_0 (1 - h_0) = 0.235\, w$. From
# $w = 4.26$ on that is above 1, and it happens 50 times: the product of lesson 05, growing. The gradient *explodes*.

# %%
near = np.concatenate([-np.logspace(-12, -1, 800), np.logspace(-12, -1, 800)])
for w in (4.5, 5.0, 6.0):
    steepest = np.linalg.norm(unit(w, wall(w) + near)[1], axis=0).max()
    factor = (w * h_0 * (1 - h_0)) ** 50
    print(f"w = {w}: factor over 50 steps {factor:.0e}, largest gradient {steepest:.0e}")

# %% [markdown]
# Now descend: subtract $\eta\, g$ from $(w, b)$, with $g$ the gradient, from a place on the gentle slope at $w = 5$. There
# the steps are less than 0.01 long.
#
# **Predict, then run.** The learning rate is 0.03. How long is the longest of 200 steps? (The picture above is 3 wide.)

# %% tags=["guess"]
longest_step = classroom.guess(
    "06.1 the longest step at the wall", unit="of w and b", answer=...
)


# %%
def descend(eta, theta=np.inf, place=(5.0, -2.4), updates=200):
    """The path (updates + 1, 2) of (w, b), each gradient cut to the length theta if it is longer."""
    path = [np.array(place)]
    for _ in range(updates):
        _, g = unit(*path[-1])
        path.append(path[-1] - eta * g * min(1, theta / np.linalg.norm(g)))
    return np.array(path)


def steps(path):
    """The lengths of the steps of a path."""
    return np.linalg.norm(np.diff(path, axis=0), axis=1)


# %% tags=["outcome"] jupyter={"source_hidden": true}
# The outcome
def drawn(eta):
    """Draw the paths without clipping and with it over the contours; return axes, a caption and their end losses."""
    ax = plt.subplots(figsize=(7.2, 4))[1]
    w, b = np.meshgrid(np.linspace(3.5, 6, 400), np.linspace(-3.4, -1.4, 500))
    ax.contourf(w, b, unit(w, b)[0], levels=20, cmap="Greys", alpha=0.6)
    told = []
    for name, theta, look in (("no clipping", np.inf, "C1o--"), ("clipped at 1", 1.0, "C0s-")):
        path = descend(eta, theta)
        end = unit(*path[-1])[0]
        ax.plot(
            *path.T, look, markersize=3, linewidth=1, label=f"{name}: loss {end:.3f} at the end"
        )
        told.append(f"{name}, longest step {steps(path).max():.2g}, loss {end:.3f} after 200")
    ax.set(xlim=(3.5, 6), ylim=(-3.4, -1.4), xlabel="w", ylabel="b")
    ax.set_title(
        f"Learning rate {eta}: the wall throws one path, not the other"
        if eta > 0.005
        else f"Learning rate {eta}"
    )
    ax.legend(loc="upper right")
    return ax, f"Learning rate {eta}: {'; '.join(told)}."


ax, caption = drawn(0.03)
plots.show(
    ax,
    alt=f"Contours of the loss, dark is high, with two paths that begin at (5, -2.4). {caption}",
)
print(caption)
longest_step.outcome(round(steps(descend(0.03)).max(), 1), margin=3)

# %% [markdown]
# **What to notice.** Just beside the wall the gradient is not wrong: it points straight away from the wall. It is *long*, and the step is
# as long as $\eta$ times the gradient, however thin the wall. Cut to a length of $\theta = 1$, the step is at most
# $\eta\, \theta$. Turn the learning rate:

# %% tags=["dial"] jupyter={"source_hidden": true}
# A dial
rates = [0.003, 0.01, 0.03, 0.1, 0.3, 1.0]
frames, captions = zip(*[drawn(eta) for eta in rates], strict=True)
alts = [
    f"Contours of the loss with two paths from (5, -2.4). {caption}" for caption in captions
]
plots.dial(frames, label="learning rate", values=rates, captions=captions, alts=alts, start=2)

# %% [markdown]
# A small rate meets the wall later, and is thrown less far. With clipping, every rate here ends lower than it began.
#
# ### Exercise 1 · Clip
# A network has several weight arrays, and so has its gradient. The *global norm* is the norm over all of them together,
# $\lVert g \rVert = \sqrt{\sum_w \lVert g_w \rVert^2}$. Write what Keras calls `global_clipnorm`: if the global norm is above
# the threshold, all arrays are multiplied by one factor, so that it becomes the threshold.


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
# Now a network: 32 units read random signs and say at every step whether the sign 8 steps before was a plus. The loss is
# the cross-entropy; at chance it is $\ln 2 = 0.69$. What it hands back to each output is below 1 in size, so a huge
# gradient can come from the way back through time alone. $U$ starts orthogonal, times a gain; Keras' own is 1.

# %%
settings = {"length": 60, "back": 8, "units": 32, "rate": 1.0, "batch_size": 32}
chance = np.log(2)


def signs(n, rng):
    """Random signs x (n, T, 1), and whether the one 8 steps before was a plus, y (n, T − 8, 1)."""
    x = rng.choice([-1.0, 1.0], (n, settings["length"], 1)).astype("float32")
    return x, (x[:, : -settings["back"]] > 0).astype("float32")


def start(seed, gain):
    """Weights W, U, b, V, c."""
    rng, H = np.random.default_rng(seed), settings["units"]
    W, U = rng.uniform(-0.4, 0.4, (1, H)), np.linalg.qr(rng.normal(size=(H, H)))[0]
    return [W, gain * U, np.zeros(H), rng.uniform(-0.4, 0.4, (H, 1)), np.zeros(1)]


# %%
def build(activation, **clipping):
    """A compiled RNN for signs, trained by plain gradient descent."""
    H, T, back = settings["units"], settings["length"], settings["back"]
    model = keras.Sequential([keras.Input((T, 1))])
    model.add(keras.layers.SimpleRNN(H, activation=activation, return_sequences=True))
    model.add(keras.layers.Cropping1D((back, 0)))  # the first 8 steps have no target
    model.add(keras.layers.Dense(1))
    optimizer = keras.optimizers.SGD(settings["rate"], **clipping)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(optimizer, loss, jit_compile=True)  # on a CPU Keras does not do so by itself
    return model


# %% [markdown]
# `GradientNorms` (from this course) writes the norms of the gradients into the history of `fit`, as they are *before*
# clipping: their mean and maximum over an epoch. With one update an epoch we get every single one.


# %%
def batches(seed):
    """New sequences without end."""
    rng = np.random.default_rng(seed)
    while True:
        yield signs(settings["batch_size"], rng)


def record(activation, gain, seed=0, updates=300, **clipping):
    """Train; return the losses and the global norms, one an update, and the weights at the end."""
    model = fresh(build, seed, activation=activation, **clipping)
    model.set_weights(start(seed, gain))
    every = {"steps_per_epoch": 1, "epochs": updates, "callbacks": [GradientNorms()]}
    history = model.fit(batches(seed), verbose=0, **every).history
    return np.array(history["loss"]), np.array(history["grad_norm/global"]), model.get_weights()


# %% [markdown]
# **Predict, then run.** Three networks, the same learning rate of 1: ReLU units with gain 1, tanh units with gain 1, tanh
# units with gain 2. Which end in NaN within 300 updates?

# %% tags=["guess"]
end_in_nan = classroom.guess(
    "06.2 which networks end in NaN",
    ["none of the three", "ReLU alone", "tanh with gain 2 alone", "ReLU, and tanh with gain 2"],
    answer=...,
)

# %%
tried = {"ReLU": ("relu", 1.0), "tanh, gain 1": ("tanh", 1.0), "tanh, gain 2": ("tanh", 2.0)}
recorded = {name: record(*case) for name, case in tried.items()}

# %% tags=["outcome"] jupyter={"source_hidden": true}
# The outcome
figure, axs = plt.subplots(2, 1, figsize=(8, 5.4), sharex=True)
updates, told = np.arange(1, 301), []
for name, (losses, norms, _) in recorded.items():
    broken = np.flatnonzero(~np.isfinite(losses + norms))
    last = broken[0] if len(broken) else len(losses)
    for ax, values in zip(axs, (losses, norms), strict=True):
        (line,) = ax.plot(updates[:last], values[:last], label=name, linewidth=1.2)
        if last < len(losses):
            ax.plot(last, values[last - 1], "X", markersize=11, color=line.get_color())
    end = (
        f"NaN after update {last}"
        if last < len(losses)
        else f"loss {losses[-30:].mean():.2f} at the end"
    )
    told.append(f"{name}: {end}, largest norm {norms[:last].max():.0e}")
plots.level(axs[0], chance, "chance")
axs[0].set(yscale="log", ylabel="loss")
axs[1].set(yscale="log", ylabel="global norm of the gradient", xlabel="update")
axs[0].set_title(
    "One ends in NaN (the cross is its last number), one is thrown back, one learns"
)
axs[0].legend()
plots.show(axs, alt=f"Loss and gradient norm at every update, log scales. {'; '.join(told)}.")
print(*told, sep="\n")
nan = tuple(not np.isfinite(losses).all() for losses, _, _ in recorded.values())
named = {
    (False,) * 3: 0,
    (True, False, False): 1,
    (False, False, True): 2,
    (True, False, True): 3,
}
end_in_nan.outcome(end_in_nan.choices[named[nan]])

# %% [markdown]
# **What to notice.** (C12) The ReLU network has its states without bound: norm, weights, states and loss grow from one update to the next until a number is too
# large for the computer. With tanh, states stay between −1 and 1: no NaN, the loss jumps. That is worse, as nobody is
# told. Why does it not come back? Look at the weights that the long step has left (C15):


# %%
def saturated(weights, activation="tanh"):
    """The share of states beyond 0.95 in size, on new sequences."""
    W, U, b, *_ = (np.asarray(w, float) for w in weights)
    x, _ = signs(100, np.random.default_rng(1))
    return np.mean(np.abs(rnn_forward(x.astype(float), W, U, b)) > 0.95)


thrown = recorded["tanh, gain 2"]
longest = np.nanmax(thrown[1]) * settings["rate"]
size = {
    name: np.linalg.norm(w[1]) for name, w in (("start", start(0, 2.0)), ("end", thrown[2]))
}
print(
    f"longest step {longest:.0e}; norm of U {size['start']:.1f} at the start, {size['end']:.1e} at the end"
)
print(
    f"saturated: {saturated(start(0, 2.0)):.0%} at the start, {saturated(thrown[2]):.0%} at the end"
)

# %% [markdown]
# **What to notice.** One step was longer than all the weights together. It was meant for one batch at one place; now every unit is at
# the end of its range for every input, where the slope of tanh is next to 0 and so is every gradient to come.
#
# ## 3 · Three ways to clip, one that keeps the direction
#
# | in a Keras optimizer | what is done to the gradient $g$ |
# |---|---|
# | `global_clipnorm=`$\theta$ | all of it times $\min(1, \theta / \lVert g \rVert)$ |
# | `clipnorm=`$\theta$ | each array $g_w$ times $\min(1, \theta / \lVert g_w \rVert)$, by itself |
# | `clipvalue=`$\theta$ | each number cut to the range from $-\theta$ to $\theta$ |
#
# All keep the gradient below a value (C17). Which keep its direction? We take the gradients of our network at 60 starts, by hand as in
# [lesson 04](04_backpropagation_through_time.ipynb), with gains from 1 to 3, and measure the angle between each and what clipping makes of it.


# %%
def gradients(weights, x, y, window=None):
    """dL/dW, dL/dU, dL/db, dL/dV, dL/dc by hand; through a window of steps, if one is given."""
    W, U, b, V, c = (np.asarray(w, float) for w in weights)
    h, back = rnn_forward(x, W, U, b), settings["back"]
    e = np.zeros_like(x)  # dL/d(logit): 0 where there is no target
    e[:, back:] = (sigmoid(h[:, back:] @ V + c) - y) / y.size
    dh = e @ V.T
    through = rnn_backward if window is None else truncated_backward
    found = through(x, W, U, b, h, dh, *([] if window is None else [window]))
    return [found.W, found.U, found.b, np.einsum("bth,bto->ho", h, e), e.sum(axis=(0, 1))]


def norm(arrays):
    return np.sqrt(sum(np.sum(a**2) for a in arrays))


def angle(a, b):
    """The angle between two lists of arrays, in degrees."""
    cosine = sum(np.sum(p * q) for p, q in zip(a, b, strict=True)) / (norm(a) * norm(b))
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


# %%
theta = 0.1
kinds = {
    "global_clipnorm": lambda g: [a * min(1, theta / norm(g)) for a in g],
    "clipnorm": lambda g: [a * min(1, theta / norm([a])) for a in g],
    "clipvalue": lambda g: [np.clip(a, -theta, theta) for a in g],
}
x, y = (part.astype(float) for part in signs(settings["batch_size"], np.random.default_rng(2)))
sixty = [gradients(start(seed, g), x, y) for seed in range(5) for g in np.linspace(1, 3, 12)]

# %% [markdown]
# **Predict, then run.** By how many degrees does clipping by value turn the longest of them?

# %% tags=["guess"]
turned = classroom.guess("06.3 the angle of clipping by value", unit="degrees", answer=...)

# %% tags=["outcome"] jupyter={"source_hidden": true}
# The outcome
lengths = np.array([norm(g) for g in sixty])
angles = {kind: np.array([angle(g, clip(g)) for g in sixty]) for kind, clip in kinds.items()}
ax = plots.axes(
    xscale="log", xlabel="norm of the gradient", ylabel="degrees turned by clipping"
)
for (kind, turns), marker in zip(angles.items(), "osD", strict=True):
    ax.plot(lengths, turns, marker, linestyle="", alpha=0.8, label=f"{kind} = {theta}")
ax.set_title("One kind of clipping leaves the direction as it is")
ax.legend()
said = (f"{kind} at most {turns.max():.0f} degrees" for kind, turns in angles.items())
said = f"{'; '.join(said)}; norms {lengths.min():.2f} to {lengths.max():.0e}"
plots.show(ax, alt=f"Angle against norm for sixty gradients: {said}.")
print(said)
turned.outcome(round(angles["clipvalue"][lengths.argmax()]), margin=10)

# %% [markdown]
# **What to notice.** Norm clipping with one factor for all turns nothing. `clipnorm` gives every array the same length, the
# read-out as much as $U$. `clipvalue` makes all large numbers equal.
#
# Where should $\theta$ be? Look before you clip: `GradientNorms(thresholds=[…])` counts how many updates would have been clipped.

# %%
thresholds = [0.03, 0.1, 0.3, 1.0]
model = fresh(build, 0, activation="relu")
model.set_weights(start(0, 1.0))
look = GradientNorms(thresholds=thresholds)
history = model.fit(
    batches(0), steps_per_epoch=20, epochs=5, callbacks=[look], verbose=0
).history
shares = pd.DataFrame({t: history[f"grad_norm_above/{t:g}"] for t in thresholds})
print("share of updates above a threshold, by epoch of 20 updates")
print(shares.round(2).to_string())

# %% [markdown]
# ### Exercise 2 · Choose the threshold
# `norms` are the recorded global norms of a run; those after it broke are NaN or infinite. Leave these out, and return the
# threshold that a `share` of the others exceeds (0.1: one in ten).


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
# A run that never showed NaN may be lost all the same, and a loss that jumped may come back. So we say beforehand: a run
# has **diverged** if the mean loss of its last tenth is not finite, or above 1.1 times chance: worse than knowing nothing.
#
# ### Exercise 3 · Diverged, or not
# `losses` has a row for each run. Return the share of the rows that diverged: the mean of the last tenth is NaN, infinite
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
# `data/06_divergence.csv` holds 20 seeds for each of nine settings, with the ReLU network and with tanh at gain 2: 400 updates,
# on Keras' JAX backend, from the very weights of `start` (`data/record_06.py`). *Warm-up* lets the rate rise in a straight line over the
# first 100 updates; *truncated* is section 5.
#
# **Predict, then run.** Which of these leaves most ReLU networks diverging?

# %% tags=["guess"]
helps_least = classroom.guess(
    "06.4 what leaves most ReLU networks diverging",
    ["a tenth of the rate", "warm-up", "truncated", "clipvalue"],
    answer=...,
)

# %%
runs = pd.read_csv("../data/06_divergence.csv")
curves = np.array([[float(loss) for loss in curve.split()] for curve in runs.curve])
ends = curves[:, -(curves.shape[1] // 10) :].mean(axis=1)
runs["diverged"] = ~(ends <= 1.1 * chance)
runs["learned"] = ends < chance / 4
rates = {
    what: success_rate(runs, by=["network", "cure"], solved=what)
    for what in ("diverged", "learned")
}

# %% tags=["outcome"] jupyter={"source_hidden": true}
# The outcome
