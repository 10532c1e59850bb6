# %% [markdown]
# # 03 · What does the cross-entropy loss tell the network?
#
# Training makes one number small. What does it tell the network, and you when it stays at 1.386?
#
# **You will be able to**
# - work out cross-entropy and its gradient, for one example and for many;
# - compute the loss so that it holds where a network is sure and wrong;
# - average it over steps without the padding, and turn it into a perplexity;
# - read from a loss whether anything has been learned.
#
# **65 minutes** · needs: [01](01_what_an_rnn_computes.ipynb), the derivative of the logarithm · letters: [notation](../docs/notation.md)

# %%
from course import classroom, plots, sequences
from course.by_hand import rnn_forward
from course.classroom.exercises import lesson_03 as check
from course.experiments import fresh, success_rate
import keras  # takes some ten seconds, once per lesson
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import tensorflow as tf

# %% [markdown]
# ## 1 · One example
#
# A network names one of $K = 3$ classes. Its read-out gives a number for each, the **logits** $a_1, a_2, a_3$, of any size and
# sign. **Softmax** makes probabilities of them, positive and with sum 1:
#
# $$p_j = \frac{e^{a_j}}{e^{a_1} + e^{a_2} + e^{a_3}}$$
#
# The target $y$ has a 1 at the right class and 0 elsewhere. The **cross-entropy** is
#
# $$L = -\sum_j y_j \ln p_j = -\ln p_\text{right}$$
#
# All terms but one are 0: the loss is how surprised the network is by the right answer. Of $m$ examples one takes
# the mean. Here are two, both with logits $\ln 2, \ln 7, \ln 1$, so that softmax gives $p = (.2, .7, .1)$.

# %%
a = np.log([[2.0, 7.0, 1.0], [2.0, 7.0, 1.0]])  # (m, K), logits
right = np.array([1, 2])  # (m,), which class is right, counted from 0
y = np.eye(3)[right]  # (m, K), the targets: [[0, 1, 0], [0, 0, 1]]

by_hand = [-np.log(7 / 10), -np.log(1 / 10)]
p = np.exp(a) / np.exp(a).sum(axis=1, keepdims=True)
by_numpy = -(y * np.log(p)).sum(axis=1)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)  # takes classes, not y
by_keras = [float(loss(right[n : n + 1], a[n : n + 1])) for n in (0, 1)]
for name, each in {"by hand": by_hand, "NumPy": by_numpy, "Keras": by_keras}.items():
    print(f"{name:8} {each[0]:.4f} and {each[1]:.4f}, mean {np.mean(each):.4f}")
print(f"Keras, both at once: {loss(right, a):.4f}")

# %% [markdown]
# Tutorials say: "the *sum* of the true probability and the logarithm of the predicted one, averaged over $m$
# examples" (claim C05), $\sum_j (y_j + \ln p_j)$.
#
# **Predict, then run.** What would a network learn whose loss is minus that sum?

# %% tags=["guess"]
sum_learns = classroom.guess(
    "03.1 what minus the sum of y and ln p teaches",
    ["the right classes", "the wrong classes", "nothing about the classes"],
    answer=...,
)

# %% tags=["outcome"] jupyter={"source_hidden": true}
# The outcome
plus = (np.eye(3) + np.log(p[0])).sum(axis=1)  # for each class that may be right
product = (np.eye(3) * np.log(p[0])).sum(axis=1)
readings = {"−Σ (y + ln p)": -plus, "+Σ y ln p": product, "−Σ y ln p": -product}
ax = plots.axes(xlabel="right class, and p for it", ylabel="loss")
for n, (name, values) in enumerate(readings.items()):
    place, hatch = np.arange(3) + 0.27 * (n - 1), ("//", "..", "")[n]
    bars = ax.bar(place, values, 0.25, label=name, hatch=hatch)
    ax.bar_label(bars, fmt="%.2f", padding=2)
ax.set_xticks(range(3), [f"class {j + 1}: p = {p[0, j]:.1f}" for j in range(3)])
ax.axhline(0, color="black", linewidth=0.8)
ax.margins(y=0.15)
ax.set_title("In the sum the target drops out")
ax.legend()
told = "; ".join(f"{name}: {', '.join(f'{v:.2f}' for v in r)}" for name, r in readings.items())
plots.show(ax, alt=f"Three readings of the loss, as bars for each right class. {told}.")
sum_learns.outcome(sum_learns.choices[2 if np.ptp(plus) < 1e-12 else 0])

# %% [markdown]
# **What to notice.** The $y_j$ sum to 1 whatever the answer is, so this sum, and its gradient, are the same for every answer. In a *product*
# the target chooses the term. Without the minus sign training unlearns the best answer. That settles C05: a product, and a minus.

# %% [markdown]
# ## 2 · The gradient: what was said minus what is right
#
# Let class 2 be right. The loss is then a line and a logarithm,
#
# $$L = -\ln \frac{e^{a_2}}{e^{a_1} + e^{a_2} + e^{a_3}} = -a_2 + \ln\left(e^{a_1} + e^{a_2} + e^{a_3}\right)$$
#
# and one index at a time, with $(\ln s)' = s'/s$:
#
# $$\frac{\partial L}{\partial a_1} = \frac{e^{a_1}}{e^{a_1} + e^{a_2} + e^{a_3}} = p_1, \qquad
# \frac{\partial L}{\partial a_2} = p_2 - 1, \qquad \frac{\partial L}{\partial a_3} = p_3$$
#
# The 1 stands where $y$ has one. For all classes together, and for the mean over $m$ examples:
#
# $$\frac{\partial L}{\partial a} = p - y, \qquad \text{of the mean:}\quad \frac{1}{m}\,(p - y)$$
#
# Two judges that do not know the formula: NumPy moves each logit a little; TensorFlow differentiates Keras' loss.


# %%
def mean_loss(a, right):
    """Mean cross-entropy of logits a (m, K) for the right classes (m,)."""
    p = np.exp(a) / np.exp(a).sum(axis=1, keepdims=True)
    return -np.log(p[np.arange(len(a)), right]).mean()


by_moving = np.zeros_like(a)
for place in np.ndindex(a.shape):  # one logit at a time
    step = np.zeros_like(a)
    step[place] = 1e-5
    by_moving[place] = (mean_loss(a + step, right) - mean_loss(a - step, right)) / 2e-5

# %%
logits = tf.Variable(a)
with tf.GradientTape() as tape:
    L = loss(right, logits)
by_tape = tape.gradient(L, logits).numpy()
for name, gradient in {"(p − y)/m": (p - y) / 2, "NumPy": by_moving, "Keras": by_tape}.items():
    print(f"{name:10} {gradient[0].round(3)} and {gradient[1].round(3)}")

# %% [markdown]
# Every wrong class is pushed down by its probability, the right one is pulled up by what it lacks.
# Through the read-out $a = hV + b_V$ the state gets $(p - y)\,V^\top$; there
# [lesson 04](04_backpropagation_through_time.ipynb) begins. Turn the dial:

# %% tags=["dial"] jupyter={"source_hidden": true}
# A dial
frames, captions, alts = [], [], []
dialled = [0.001, 0.01, 0.1, 1 / 3, 0.5, 0.7, 0.9, 0.99]
for value in dialled:
    figure, (left, side) = plt.subplots(1, 2, figsize=(8, 3.1), width_ratios=(3, 2))
    line = np.geomspace(0.0008, 1, 200)
    left.plot(line, -np.log(line))
    left.plot(value, -np.log(value), "o", color="C1", markersize=9)
    plots.level(left, np.log(3), "ln 3: knows nothing")
    left.set(xlabel="p of the right class", ylabel="loss, −ln p", ylim=(-0.2, 7.2))
    left.set_title(f"p = {value:.3g}: surprise, and push")
    push = np.array([(1 - value) / 2, value - 1, (1 - value) / 2])
    bars = side.bar(["class 1", "class 2\n(right)", "class 3"], push, color=["C0", "C1", "C0"])
    side.bar_label(bars, [f"{each:+.2f}" for each in push], padding=2)
    side.axhline(0, color="black", linewidth=0.8)
    side.set(ylim=(-1.25, 1.0), ylabel="gradient, p − y")
    frames.append([left, side])
    text = f"p = {value:.3g}: loss {-np.log(value):.2f}, gradient on the right logit {value - 1:+.3f}"
    captions.append(f"{text}.")
    alts.append(f"{text}, on each of the two wrong ones {push[0]:+.3f}.")
name, values = "probability of the right class", [f"{value:.3g}" for value in dialled]
plots.dial(frames, label=name, values=values, captions=captions, alts=alts, start=5)

# %% [markdown]
# **What to notice.** The loss has no upper end. The gradient has one: it is largest where the network is sure and wrong.
#
# ### Exercise 1 · Loss and gradient
# From logits `a` (m, K) and the right classes `right` (m,), counted from 0, return the mean loss and its gradient by `a`,
# an array (m, K).


# %% tags=["exercise"]
def loss_and_gradient(a, right):
    """Return (mean cross-entropy, its gradient by a (m, K))."""
    ...


# %% tags=["check"]
check.loss_and_gradient()


# %% tags=["solution"] jupyter={"source_hidden": true}
# p − y is the gradient of one example's loss; each example enters the mean by 1/m.
def solution_loss_and_gradient(a, right):
    p = np.exp(a) / np.exp(a).sum(axis=1, keepdims=True)
    y = np.eye(a.shape[1])[right]
    return -np.log((p * y).sum(axis=1)).mean(), (p - y) / len(a)


check.loss_and_gradient(solution_loss_and_gradient)

# %% [markdown]
# ## 3 · Sure and wrong
#
# Why the logarithm? The squared error, the mean over the classes of $(p_j - y_j)^2$, is smallest at $p = y$, too. We make
# networks sure of what is wrong. An RNN reads a symbol, then five **distractors**, other symbols that do not matter, and learns to name the
# first one (`sequences.recall`, $K = 4$). Ten seeds:

# %%
UNITS, BATCH, RATE = 16, 32, 1e-2


def build(gap, softmax=False):
    """A compiled RNN for recall; with softmax=True it gives probabilities, else logits."""
    model = keras.Sequential([keras.Input((gap + 1, 8)), keras.layers.SimpleRNN(UNITS)])
    model.add(keras.layers.Dense(4, activation="softmax" if softmax else None))
    model.add(keras.layers.Reshape((4,)))  # changes nothing; section 5 says what it is for
    how = {"metrics": ["accuracy"], "jit_compile": True}
    how["steps_per_execution"] = 24  # so many updates in one call, which saves time
    model.compile(keras.optimizers.Adam(RATE), loss, **how)
    return model


def drawn(gap, seed, n=240 * BATCH):
    """Sequences (n, T, 8) and their classes (n,), enough for 240 updates."""
    return sequences.recall(n, gap, np.random.default_rng(seed))


# %%
def run(seed, x, right, softmax=False):
    """Train for 240 updates; return loss and share named right in ten parts, (2, 10), and the weights."""
    model = fresh(build, seed, gap=x.shape[1] - 1, softmax=softmax)
    parts = {"batch_size": BATCH, "steps_per_epoch": 24, "epochs": 10, "verbose": 0}
    kept = model.fit(x, right, **parts).history
    return np.array([kept["loss"], kept["accuracy"]]), model.get_weights()


sure = [run(seed, *drawn(5, seed)) for seed in range(10)]
print("named right in the end:", [float(curves[1, -1].round(3)) for curves, _ in sure])

# %% [markdown]
# Now all names change: class $j$ is called $j + 1$, and the last one is called 1. The read-out alone learns the
# new names, by plain gradient descent. The gradient of the squared error goes back through softmax:


# %%
def softmax(a):
    return np.exp(a) / np.exp(a).sum(axis=1, keepdims=True)


def by_crossentropy(a, y):
    """The gradient of each example's loss by its logits a, (m, K). y: the targets."""
    return softmax(a) - y


def by_squared_error(a, y):
    p = softmax(a)
    return 2 / 4 * p * (p - y - (p * (p - y)).sum(axis=1, keepdims=True))


# %%
def renamed(weights, seed, n):
    """New sequences: last states and a 1 for b_V (n, H + 1), new targets (n, 4); and the read-out."""
    W, U, b, *read_out = weights
    x, right = drawn(5, seed + 100, n)
    h = np.c_[rnn_forward(x, W, U, b)[:, -1], np.ones(n)]
    return h, np.eye(4)[(right + 1) % 4], np.vstack(read_out)


def relearn(weights, seed, gradient, rate=0.1, updates=240, adam=False):
    """Train the read-out alone on the new names; return the share named right in ten parts, (10,)."""
    h, targets, w = renamed(weights, seed, updates * BATCH)
    shares, mean, size = [], 0.0, 0.0
    batches = zip(np.split(h, updates), np.split(targets, updates), strict=True)
    for n, (h, y) in enumerate(batches, 1):
        a = h @ w
        shares.append(np.mean(a.argmax(axis=1) == y.argmax(axis=1)))
        step = h.T @ gradient(a, y) / BATCH
        if adam:  # the mean of the last gradients, divided by their size
            mean, size = 0.9 * mean + 0.1 * step, 0.999 * size + 0.001 * step**2
            step = mean / (1 - 0.9**n) / (np.sqrt(size / (1 - 0.999**n)) + 1e-7)
        w = w - rate * step
    return np.mean(np.split(np.array(shares), 10), axis=1)


# %% [markdown]
# **Predict, then run.** After 240 updates with the new names, which loss has taught them?

# %% tags=["guess"]
who_relearns = classroom.guess(
    "03.2 with which loss the new names are learned",
    ["with both", "with neither", "with cross-entropy only", "with squared error only"],
    answer=...,
)


# %%
def all_ten(gradient, networks=sure, **how):
    """(10 seeds, 10 parts)"""
    return np.array([relearn(w, n, gradient, **how) for n, (_, w) in enumerate(networks)])


ways = {
    "cross-entropy": all_ten(by_crossentropy),
    "squared error": all_ten(by_squared_error),
}

# %% tags=["outcome"] jupyter={"source_hidden": true}
# The outcome
updates = np.arange(24, 241, 24)
ax = plots.lines(updates, ways, ylim=(-0.05, 1.05))
ax.set(xlabel="updates with the new names", ylabel="share named right")
ax.set_title("Sure and wrong: with squared error through softmax it stays so")
plots.level(ax, 0.25, "chance")
ax.legend(title="median and range, ten seeds", loc="center right")
ends = {way: shares[:, -1] for way, shares in ways.items()}
told = "; ".join(f"{way} {np.median(end):.2f}" for way, end in ends.items())
plots.show(ax, alt=f"Share of new names right, in ten parts of 24 updates. At the end: {told}.")
learns = [np.median(end) > 0.95 for end in ends.values()]
place = {(True, True): 0, (False, False): 1, (True, False): 2, (False, True): 3}
who_relearns.outcome(who_relearns.choices[place[tuple(learns)]])

# %% [markdown]
# **What to notice.** Sure of the old names, the read-outs start *below* chance; with squared error they stay there. Are they stuck? Is it the
# rate, the square, or being sure? Change one thing at a time, and compare the gradients before the first update:


# %%
def without_softmax(a, y):
    return 2 / 4 * (a - y)  # the squared error of the logits themselves


unsure = [(seen, [*w[:3], w[3] / 10, w[4] / 10]) for seen, w in sure]
controls = {
    "30 times the rate": all_ten(by_squared_error, rate=3.0),
    "Adam": all_ten(by_squared_error, adam=True),
    "no softmax": all_ten(without_softmax),
    "a tenth of the read-out": all_ten(by_squared_error, unsure),
}
ends |= {control: shares[:, -1] for control, shares in controls.items()}
much_longer = all_ten(by_squared_error, updates=30 * 240)  # in ten parts
ends["9 times the updates"], ends["30 times the updates"] = much_longer[:, 2], much_longer[:, 9]
ends["cross-entropy, rate / 30"] = all_ten(by_crossentropy, rate=0.1 / 30)[:, -1]


def at_first(gradient):
    """The norm of the mean gradient before the first update, (10 seeds,)."""
    found = [renamed(w, seed, 1000) for seed, (_, w) in enumerate(sure)]
    return np.array([np.linalg.norm(h.T @ gradient(h @ w, y)) / len(h) for h, y, w in found])


# %%
ax = plots.lines(updates, controls, ylim=(-0.05, 1.05))
ax.set(xlabel="updates with the new names", ylabel="share named right")
ax.set_title("Squared error: four changes with which it learns")
plots.level(ax, 0.25, "chance")
ax.legend(
    title="median and range, ten seeds",
    loc="upper center",
    bbox_to_anchor=(0.5, -0.15),
    ncols=4,
)
table = pd.DataFrame(ends).melt(var_name="way", value_name="share")
rates = success_rate(table, by="way", solved=lambda each: each.share > 0.95)
told = [
    f"{way}: {n * k:.0f} of {n} ({low:.2f} to {high:.2f})"
    for _, way, k, low, high, n in rates.itertuples()
]
plots.show(
    ax,
    alt=f"Share of new names right with four controls. Above .95 at the end: {'; '.join(told)}.",
)
print("seeds with over .95 right in the end, 95 % interval", *told, sep="\n")
longer = at_first(by_crossentropy) / at_first(by_squared_error)
print(f"first gradient of cross-entropy over that of squared error: {np.median(longer):,.0f}")

# %% [markdown]
# **What to notice.** The first gradient of squared error is over a thousand times shorter. All ten learn at 30 times the rate, and
# with Adam, which divides a gradient by its size; at a thirtieth of the rate cross-entropy fails, too. Nine times the updates
# are not enough, thirty times are: it is slow, not stuck. Nor is the square alone to blame: without the softmax it is as fast as cross-entropy. And
# a tenth of the same read-out, no longer sure, learns at the first rate.
#
# To see why, take two classes with one logit $a$ between them; the right one has $p = \sigma(a) = 1/(1 + e^{-a})$.
#
# $$\frac{d}{da}\left(-\ln p\right) = p - 1, \qquad \frac{d}{da}\,(p - 1)^2 = 2\,(p - 1)\cdot p\,(1 - p)$$
#
# The factor $p\,(1 - p)$ is the slope of $\sigma$, next to nothing at both ends: it *saturates*. The slope of the logarithm, $1/p$,
# cancels the $p$ that is next to 0: $-\frac{1}{p}\cdot p\,(1-p) = p - 1$.

# %%
logit = np.linspace(-10, 10, 201)
sigma = 1 / (1 + np.exp(-logit))
sizes = {"cross-entropy": 1 - sigma, "squared error": 2 * (1 - sigma) * sigma * (1 - sigma)}
ax = plots.lines(
    logit, sizes, xlabel="logit a of the right class", yscale="log", ylim=(1e-5, 3)
)
ax.set(ylabel="size of the gradient", title="Left, sure and wrong, only cross-entropy pushes")
told = f"on the left cross-entropy stays at 1, squared error falls to {sizes['squared error'][0]:.0e}"
plots.show(ax, alt=f"Size of the gradient by the logit, log scale: right, both fall; {told}.")

# %% [markdown]
# ### Why Keras should get logits
#
# `from_logits=True` computes softmax and logarithm in one piece, $-a_\text{right} + \ln \sum_j e^{a_j}$. In two pieces a small $p$ becomes 0, and
# $\ln 0$ is infinite. So where Keras sees only probabilities (on TensorFlow it finds the logits behind a softmax that comes last), it first *clips* them to between $10^{-7}$ and $1 - 10^{-7}$. Let the right logit lie
# `d` below the other:


# %%
def loss_and_slope(d, from_logits):
    """Loss, and its derivative by the right logit, for logits (0, d) of which the first is right."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits)
    logits = tf.Variable([[0.0, float(d)]])
    with tf.GradientTape() as tape:
        value = loss(np.array([0]), logits if from_logits else tf.nn.softmax(logits))
    return float(value), float(tape.gradient(value, logits)[0, 0])


for d in (1, 10, 20, 100):
    for given, from_logits in {"logits": True, "probabilities": False}.items():
        value, slope = loss_and_slope(d, from_logits)
        print(f"d = {d:3}, from {given:14} loss {value:6.2f}, slope {slope:5.2f}")

# %% [markdown]
# **What to notice.** From probabilities the loss ends at $-\ln 10^{-7} = 16.12$, and there its gradient is 0: the surest mistakes teach
# nothing.
#
# ### Exercise 2 · A loss that cannot overflow
# From logits `a` (K,) of any size, and the index `right`, return $-\ln p_\text{right}$. `np.exp(1000)` is infinite; but adding
# one number to all logits changes no probability.


# %% tags=["exercise"]
def safe_loss(a, right):
    """Return the cross-entropy of logits a (K,), also where they are ±1000."""
    ...


# %% tags=["check"]
check.safe_loss()


# %% tags=["solution"] jupyter={"source_hidden": true}
# With the largest logit at 0 every exponential is at most 1, and the sum at least 1: neither overflow nor ln 0.
def solution_safe_loss(a, right):
    a = a - a.max()
    return -a[right] + np.log(np.exp(a).sum())


check.safe_loss(solution_safe_loss)

# %% [markdown]
# ## 4 · What value is good?
#
# Who knows nothing gives every class $1/K$, and has the loss $-\ln \frac{1}{K} = \ln K$: the **chance level**. With the natural logarithm
# a loss counts in **nats**. Two other scales: $L / \ln 2$ **bits**, and the **perplexity** $e^L$, the number of equally likely classes that
# would surprise as much.
#
# If class $j$ turns up with share $q_j$, the mean of $p - y$ is $p - q$. So the best answer without a look at the input is $p = q$; its
# loss is the **entropy** $-\sum_j q_j \ln q_j$, below $\ln K$ unless all shares are equal. The **floor**, the lowest loss there is, is 0
# only where the input decides the answer.

# %%
for shares in ([0.25] * 4, [0.7, 0.1, 0.1, 0.1], [1 / 96] * 96):
    entropy = -sum(q * np.log(q) for q in shares)
    bits, perplexity_of = entropy / np.log(2), np.exp(entropy)
    said = f"loss {entropy:.3f} = {bits:.2f} bits, perplexity {perplexity_of:.2f}"
    print(
        f"K = {len(shares):2}, largest share {max(shares):.2f}: {said}; ln K = {np.log(len(shares)):.3f}"
    )

# %% [markdown]
# ### Steps, and padding
#
# With a target at every step the loss is a mean over $B$ sequences and $T$ steps. Short sequences are padded, and a
# `Masking` layer, or a `sample_weight` of 0, keeps the padding out.
#
# **Predict, then run.** Half of all steps are padding, with weight 0. On $K = 4$ classes an untrained network has a mean loss near
# $\ln 4 = 1.39$ at every step. What does `evaluate` report?

# %% tags=["guess"]
padded_loss = classroom.guess(
    "03.3 the loss that evaluate reports", ["about 0.7", "about 1.4", "about 2.8"], answer=...
)

# %%
rng = np.random.default_rng(0)
real = np.arange(8) < np.array([8, 5, 2, 1])[:, None]  # (B, T), which steps are real: half
x = rng.normal(size=(4, 8, 2)).astype("float32") * real[..., None]  # padded with 0
classes = rng.integers(4, size=(4, 8))


def reported(masking=False, weights=None, reduction="sum_over_batch_size", batch_size=4):
    """What evaluate reports of an untrained RNN, and the loss of each step (B, T) by NumPy."""
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Masking()] * masking
    layers += [keras.layers.SimpleRNN(4, return_sequences=True), keras.layers.Dense(4)]
    model = keras.Sequential([keras.Input((8, 2)), *layers])
    kind = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=reduction)
    model.compile(loss=kind, run_eagerly=True)  # one evaluation is not worth compiling
    p = np.asarray(keras.ops.softmax(model(x)))
    each_step = -np.log(np.take_along_axis(p, classes[..., None], axis=2))[..., 0]
    how = {"sample_weight": weights, "batch_size": batch_size, "verbose": 0}
    return model.evaluate(x, classes, **how), each_step


# %% tags=["outcome"] jupyter={"source_hidden": true}
# The outcome
zeros = {"weights": real.astype("float32")}
plain, steps = reported()
masked, masked_steps = reported(masking=True)
of_sequences = [row[kept].mean() for row, kept in zip(masked_steps, real, strict=True)]
rows = {  # by NumPy, by Keras
    "all steps,\npadding too": (steps.mean(), plain),
    "weights 0 and 1": ((steps * real).sum() / real.size, reported(**zeros)[0]),
    "the same, mean_\nwith_sample_weight": (
        steps[real].mean(),
        reported(**zeros, reduction="mean_with_sample_weight")[0],
    ),
    "Masking layer": (masked_steps[real].mean(), masked),
    "Masking, batches\nof 1 sequence": (
        np.mean(of_sequences),
        reported(masking=True, batch_size=1)[0],
    ),
}

# %% tags=["outcome"] jupyter={"source_hidden": true}
# The outcome
ax, at = plots.axes(xlabel="loss"), np.arange(len(rows))
both = dict(zip(("NumPy", "evaluate"), np.transpose(list(rows.values())), strict=True))
for (name, values), shift, hatch in zip(both.items(), (-0.2, 0.2), ("//", ""), strict=True):
    bars = ax.barh(at + shift, values, 0.36, label=name, hatch=hatch)
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
    ax.bar_label(bars, fmt="%.2f", label_type="center", bbox=box, size=9)
ax.set_yticks(at, rows)
ax.set_xlim(0, 2.1)
ax.invert_yaxis()
ax.set_title("Weights of 0 make the loss too small")
plots.level(ax, np.log(4), "ln 4", axis="x")
ax.legend(loc="lower right")
told = ", ".join(f"{' '.join(k.split())} {v[1]:.2f}" for k, v in rows.items())
plots.show(ax, alt=f"What evaluate reports of an untrained network, as NumPy has it: {told}.")
weighted = rows["weights 0 and 1"][1]
padded_loss.outcome(
    padded_loss.choices[np.argmin(np.abs(np.array([0.7, 1.4, 2.8]) - weighted))]
)

# %% [markdown]
# **What to notice.** With a mask Keras divides by the number of *real* steps, with weights by that of *all* steps: padding makes the loss
# look better than chance. `reduction="mean_with_sample_weight"` divides by the sum of the weights. Last, `fit` and `evaluate` print
# a mean over *batches*, in which a step counts more if its batch has few.
#
# ### Exercise 3 · Perplexity
# `losses` (B, T) are the losses of all steps in nats, `real` (B, T) is True where a step is not padding. Return the perplexity over all
# real steps together.


# %% tags=["exercise"]
def perplexity(losses, real):
    """Return the perplexity of the real steps."""
    ...


# %% tags=["check"]
check.perplexity()


# %% tags=["solution"] jupyter={"source_hidden": true}
# Every real step counts once, so one mean over them all; the exponential comes last.
def solution_perplexity(losses, real):
    return np.exp(losses[real].mean())


check.perplexity(solution_perplexity)

# %% [markdown]
# ## 5 · When the loss stays at ln K
#
# The RNN of section 3, four times, 240 updates each: with 5 distractors; with 100; with 5, but targets that have slipped by one
# row, a common fault of a data pipeline; and with a softmax in the model, a layer behind it, *and* `from_logits=True`, so that softmax is taken twice.
#
# **Predict, then run.** The last one: where does its loss end?

# %% tags=["guess"]
twice_ends = classroom.guess(
    "03.4 where the loss ends with softmax taken twice",
    ["near 0", "halfway between 0 and ln 4", "at ln 4", "far above ln 4"],
    answer=...,
)


# %%
def slipped(x, right):
    return x, np.roll(right, 1)


runs = {  # five seeds each
    "5 distractors": sure[:5],
    "100 distractors": [run(seed, *drawn(100, seed)) for seed in range(5)],
    "targets slipped": [run(seed, *slipped(*drawn(5, seed))) for seed in range(5)],
    "softmax twice": [run(seed, *drawn(5, seed), softmax=True) for seed in range(5)],
}
curves = {
    name: np.array([seen for seen, _ in five]) for name, five in runs.items()
}  # (5, 2, 10)

# %% tags=["outcome"] jupyter={"source_hidden": true}
# The outcome
ax = plots.lines(updates, {name: seen[:, 0] for name, seen in curves.items()})
ax.set(xlabel="updates", ylabel="training loss", ylim=(-0.05, 2.1))
ax.set_title("Two learn, two do not; one that learns stops at .74")
floor = np.log(1 + 3 / np.e)
plots.level(plots.level(ax, np.log(4), "ln 4"), floor, "ln(1 + 3/e)")
ax.legend(title="median and range, five seeds", ncols=2, loc="upper right")
last = {name: np.median(seen[:, :, -1], axis=0) for name, seen in curves.items()}
told = [f"{name}: loss {at:.3f}, {share:.0%} right" for name, (at, share) in last.items()]
plots.show(ax, alt=f"Training loss by updates. At the end, {'; '.join(told)}.")
print(*told, sep="\n")
place = int(np.digitize(last["softmax twice"][0], [0.3, 1.1, 1.6]))
twice_ends.outcome(twice_ends.choices[place])

# %% [markdown]
# **What to notice.** The first network learns. So does the fourth, all its answers are right, but the second softmax
# gets numbers from 0 to 1 in place of logits. The best it can make of them is $e/(e + 3) = 0.48$, a loss of $\ln(1 + 3/e) = 0.744$.
#
# <details><summary>Does Keras notice?</summary>
#
# On TensorFlow Keras notices a softmax that comes *last*, warns, and takes its logits; not one with a layer behind it, here `Reshape`, or
# inside `TimeDistributed`. On JAX it notices none. (The course's tests try all three.)
#
# </details>
#
# The other two stay at $\ln 4$, and one answer in four is right: **nothing was learned**. *Why*, the loss does not say. Change one thing: with 5
# distractors the second is the first, which learns, so data and code are in order, and it is the hundred
# distractors ([lesson 05](05_why_it_forgets.ipynb)). The third has the short gap already; read some rows of `x` and `y` yourself.
#
# <details><summary>The distractors, or the hundred steps?</summary>
#
# Both play a part. The next, folded cell leaves the hundred steps blank: some of the networks learn then, not all.
#
# </details>


# %% tags=["box"] jupyter={"source_hidden": true}
# For the box on a hundred steps: the same sequences without their distractors
def blank(x, right):
    x = x.copy()
    x[:, 1:] = 0
    return x, right


blanks = np.array([run(seed, *blank(*drawn(100, seed)))[0][1, -1] for seed in range(5)])
print(
    f"named right in the end with a hundred blank steps, five seeds: {np.sort(blanks).round(2)}"
)

# %% [markdown]
# ### Exercise 4 · Read four curves
# Four RNNs, named A to D, two of which you have seen, were to name one of four symbols, of equal shares but for A, where they are .7, .1, .1, .1. What
# has each learned: `"nothing"`, `"the shares"`, `"the symbol"` or (by heart) `"its examples"`?

# %% tags=["box"] jupyter={"source_hidden": true}
# What A to D are (unfold it afterwards)
rng, q = np.random.default_rng(0), np.array([0.7, 0.1, 0.1, 0.1])


def uneven(x, right):
    """As many rows, drawn so that the classes have the shares q."""
    rows = rng.choice(len(x), len(x), p=q[right] / q[right].sum())
    return x[rows], right[rows]


few, (pool, names) = rng.integers(40, size=240 * BATCH), drawn(5, 7, 40)
lettered = {  # what came of the training, and new sequences
    "A": (run(0, *slipped(*uneven(*drawn(5, 0)))), slipped(*uneven(*drawn(5, 50, 2000)))),
    "B": (run(0, pool[few], np.roll(names, 1)[few]), drawn(5, 50, 2000)),
    "C": (runs["softmax twice"][1], drawn(5, 50, 2000)),
    "D": (runs["100 distractors"][1], drawn(100, 51, 2000)),
}

# %% tags=["box"] jupyter={"source_hidden": true}
# The four curves
figure, panels = plt.subplots(1, 4, figsize=(10, 2.9), sharey=True)
told = []
for ax, (letter, (trained, (x, right))) in zip(panels, lettered.items(), strict=True):
    (losses, _), (W, U, b, V, b_V) = trained
    answers = rnn_forward(x, W, U, b)[:, -1] @ V + b_V
    given = softmax(answers) if letter == "C" else answers
    new, share = mean_loss(given, right), np.mean(answers.argmax(axis=1) == right)
    ax.plot(updates, losses, label="training")
    ax.plot(updates[-1], new, "X", color="C1", markersize=9, label="new sequences")
    ax.axhline(np.log(4), color="0.35", linewidth=1, linestyle=":", label="ln 4")
    ax.set(title=letter, xlabel="updates")
    told.append(f"{letter}: loss {losses[-1]:.2f}, on new {new:.2f}, of them right {share:.0%}")
panels[0].set_ylabel("loss")
panels[0].legend()
plots.show(
    panels, alt=f"Training loss of four runs, and loss on new sequences. {'; '.join(told)}."
)
print(*told, sep="\n")

# %% tags=["exercise"]
learned = {"A": ..., "B": ..., "C": ..., "D": ...}

# %% tags=["check"]
check.learned()

# %% tags=["solution"] jupyter={"source_hidden": true}
# A's loss is about the entropy of its shares, .94; B fails on new sequences; C is right on them, whatever its loss; D is at ln 4.
solution_learned = {"A": "the shares", "B": "its examples", "C": "the symbol", "D": "nothing"}
check.learned(solution_learned)

# %% [markdown]
# ## Measured
#
# All live, in this notebook.


# %%
def agree_with_keras(seed):
    """Largest difference of −Σ y ln p and p − y, means over B · T, to Keras' loss and gradient."""
    rng = np.random.default_rng(seed)
    B, T, K = rng.integers(2, 6, 3)
    logits, right = tf.Variable(rng.normal(0, 3, (B, T, K))), rng.integers(K, size=(B, T))
    with tf.GradientTape() as tape:
        L = keras.losses.SparseCategoricalCrossentropy(True, dtype="float64")(right, logits)
    p = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    y = np.eye(K)[right]
    value, gradient = -(y * np.log(p)).sum() / (B * T), (p - y) / (B * T)
    return max(abs(value - float(L)), np.abs(gradient - tape.gradient(L, logits)).max())


def squares_agree(seed):
    """Largest difference of by_squared_error to TensorFlow's derivative of Keras' loss."""
    rng = np.random.default_rng(seed)
    logits, y = tf.Variable(rng.normal(0, 3, (5, 4))), np.eye(4)[rng.integers(4, size=5)]
    with tf.GradientTape() as tape:
        L = keras.losses.MeanSquaredError(dtype="float64")(y, tf.nn.softmax(logits))
    return np.abs(by_squared_error(logits.numpy(), y) / 5 - tape.gradient(L, logits)).max()


assert max(squares_agree(seed) for seed in range(5)) < 1e-6
apart = max(agree_with_keras(seed) for seed in range(20))

# %%
relearned = [ends[way].min() for way in ("30 times the rate", "no softmax", "Adam")]
by_both = max(abs(own - of_keras) for own, of_keras in rows.values())
off = {name: np.abs(seen[:, 0, -1] - np.log(4)) for name, seen in curves.items()}
stays = max(np.median(off["100 distractors"]), off["targets slipped"].max())
twice = curves["softmax twice"][:, :, -1]
above = (twice[:, 0] - floor).max()
print(f"largest differences: to Keras {apart:.0e}, padding {by_both:.0e}, to ln 4 {stays:.3f}")
print(f"softmax twice, above its floor: {above:.4f}")

# %%
# NBVAL_CHECK_OUTPUT
verdicts = {
    "C05: −Σ y ln p and p − y, means over examples and steps, agree with Keras": apart < 1e-12,
    "sure and wrong, at one rate: cross-entropy relearns with 10 seeds of 10 (.72 to 1), squared error with 0 (0 to .28)": (
        ends["cross-entropy"].min() > 0.95 and ends["squared error"].max() < 0.1
    ),
    "squared error does with all ten at 30 times the rate, by Adam or without a softmax": (
        min(relearned) > 0.95
    ),
    "padding: masks divide by real steps, weights by all": by_both < 1e-6,
    "slipped targets, and the median of 100 distractors: the loss ends within .04 of ln 4": stays
    < 0.04,
    "softmax twice: over .99 right, and the loss within .002 of ln(1 + 3/e)": (
        min(twice[:, 1]) > 0.99 and above < 0.002
    ),
}
for claim, holds in verdicts.items():
    print("holds " if holds else "FAILS ", claim)
assert all(verdicts.values())

# %%
classroom.tally()

# %% [markdown]
# ## Quiz

# %%
classroom.quiz("quizzes/03_what_the_loss_tells.json")

# %% [markdown]
# ## Three things to take away
#
# 1. Cross-entropy is $-\ln p$ of the right answer, a mean over examples and real steps. Its gradient by the logits is $p - y$: what
#    was said minus what is right.
# 2. Give Keras logits. Then the gradient is largest where the network is sure and wrong; from clipped probabilities, or from squares
#    behind a softmax, next to nothing is left there.
# 3. Read a loss beside $\ln K$, the entropy of the shares, the floor, and new sequences. One that *stays* at $\ln K$,
#    with one in K named right, says that nothing was learned, and not why.
#
# **Next:** [04 · How does the gradient travel back through time?](04_backpropagation_through_time.ipynb)
#
# **References.** J. Bridle, *Probabilistic interpretation of feedforward classification network outputs* (1990): softmax. E. Baum,
# F. Wilczek, *Supervised learning of probability distributions by neural networks*, NIPS 1987: cross-entropy. L. Hui, M. Belkin,
# *Evaluation of neural architectures trained with square loss vs cross-entropy in classification tasks*, ICLR 2021: squared error,
# without a softmax, does as well there. C. Shannon, *A mathematical theory of communication* (1948): entropy and bits.
