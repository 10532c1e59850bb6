# %% [markdown]
# # 05 · Why does a plain RNN lose what came early?
#
# "**iPhone** I bought yesterday is a … **mobile**." To choose the last word you need the first. A plain RNN learns that,
# as long as the two are close. In this lesson you turn that distance like a dial, look at the gradient that should teach
# the network, and find out by what factor it shrinks and why.
#
# **You will be able to**
# - measure how the gradient of the loss spreads over time steps, in any Keras RNN, in one line;
# - predict the factor by which it shrinks per step, from the recurrent matrix and the activation;
# - say when "weights below 1 vanish, above 1 explode" is right, and when it is not;
# - say what it costs a network to hold a bit safely.
#
# **50 minutes** · needs: eigenvalues and singular values, by name · before: [01](01_what_an_rnn_computes.ipynb), for the theory better also [04](04_backpropagation_through_time.ipynb) ·
# letters: [notation](../docs/notation.md)

# %%
from course import classroom, experiments, plots, sequences
from course.classroom.exercises import lesson_05 as check
from course.experiments import fresh
from course.gradients import GradientFlow, state_jacobian, time_step_norms
from course.layers import RNNCell
import keras  # takes some ten seconds, once per lesson
import matplotlib.pyplot as plt
import numpy as np

# %% [markdown]
# ## 1 · A dial for distance
#
# `sequences.sentences` makes such sentences. The first word is one of four products; the word to come depends on it and on
# nothing else; the `gap` words between them are drawn without regard to it. Guessing is right one time in four.

# %%
for gap in (5, 14):
    x, y = sequences.sentences(
        2, gap, np.random.default_rng(3)
    )  # one-hot (n, T, D), 0 to 3 (n,)
    print(f"gap {gap}:", *sequences.words(x, y), sep="\n   ")

# %% [markdown]
# We train plain RNNs on gaps from near to far, five seeds each, from two starts of the recurrent matrix $U$: Keras'
# own, which is *orthogonal*, and the small *Gaussian* one that was common in 2013. Everything else is the same.
#
# **Predict, then run.** Of each start, which gaps will most of five networks have learned after 300 updates?

# %% tags=["guess"]
learned_gaps = classroom.guess(
    "05: which start learns the sentences at gap 30",
    ["both", "neither", "only the orthogonal one", "only the Gaussian one"],
    answer=...,
)

# %% [markdown]
# Everything that may be turned stands in one cell:

# %%
settings = {"units": 32, "learning_rate": 3e-3, "updates": 300, "batch_size": 32}
starts = {
    "orthogonal": lambda: keras.initializers.Orthogonal(),
    "Gaussian": lambda: keras.initializers.RandomNormal(stddev=0.1),
}  # functions, because one initializer draws the same matrix every time


def build(gap, start):
    """A compiled RNN for sentences with this gap, U drawn as `start` says."""
    cell = RNNCell(settings["units"], recurrent_initializer=starts[start]())
    model = keras.Sequential(
        [
            keras.Input((gap + 1, len(sequences.VOCABULARY))),
            keras.layers.RNN(cell, name="rnn"),
            keras.layers.Dense(4),
        ]
    )
    model.compile(
        keras.optimizers.Adam(settings["learning_rate"]),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=True,  # one compiled training step; on a CPU Keras does not do so by itself
        steps_per_execution=30,  # as many steps in one call, which saves time when steps are short
    )
    return model


# %% [markdown]
# `fresh` makes a model with new weights for a seed without compiling it again, `sweep` runs every setting with every
# seed, and `success_rate` counts. *Solved* means more than 99 % of 1,000 new sentences right, which guessing cannot
# reach.


# %%
def run(gap, start, seed):
    """Train one RNN on new sentences all the time; return its accuracy on 1,000 others."""
    model, rng = fresh(build, seed, gap=gap, start=start), np.random.default_rng(seed)
    x, y = sequences.sentences(settings["updates"] * settings["batch_size"], gap, rng)
    model.fit(x, y, batch_size=settings["batch_size"], verbose=0)
    _, accuracy = model.evaluate(
        *sequences.sentences(1000, gap, rng), batch_size=1000, verbose=0
    )
    return {"accuracy": accuracy}


grid = [{"start": "orthogonal", "gap": gap} for gap in (30, 100)]
grid += [{"start": "Gaussian", "gap": gap} for gap in (5, 15, 30)]
runs = experiments.sweep(run, grid, seeds=range(5))
runs["solved"] = runs.accuracy > 0.99
solved = experiments.success_rate(runs, by=["start", "gap"], solved="solved")

# %% tags=["outcome"] jupyter={"source_hidden": true}
# The outcome
ax = plots.rates(solved, "gap", "start", xscale="log", xlabel="gap between word and decision")
ax.set_xticks([5, 15, 30, 100], ["5", "15", "30", "100"], minor=False)
ax.set_title("Near dependencies are learned, far ones are not")
plots.show(ax)
for (start, gap), group in runs.groupby(["start", "gap"]):
    print(f"{start:10} gap {gap:3}: accuracies", *(f"{a:.2f}" for a in sorted(group.accuracy)))
orthogonal, gaussian = solved[solved.gap == 30].set_index("start").rate[list(starts)] > 0.5
named = {(True, True): 0, (False, False): 1, (True, False): 2, (False, True): 3}
learned_gaps.outcome(learned_gaps.choices[named[orthogonal, gaussian]])

# %% [markdown]
# **What to notice.** Near, all networks solve the task; far, all are at chance, an accuracy of 0.25; between, some have
# learned a part (claims C08, C10). But *where* it falls depends on the start: at gap 30 the one has
# learned and the other has not. So "an RNN cannot look back more than ten steps" is not a law. It depends on a
# matrix, and on how long you train. The bars are intervals for five seeds; they are wide, and that is their honest width.

# %% [markdown]
# ## 2 · Look at the gradient
#
# What reaches the first word? The network learns from $dL/dh_t$: how the loss would change if the state after step $t$
# were a little different, through everything that follows. `time_step_norms` measures its size at every step, in
# one backward pass, in any compiled Keras model, and returns them by layer and state, `norms["rnn"]["h"]` with shape
# $(T,)$ for the `h` of a layer named `rnn`:
#
# $$\left\lVert \frac{dL}{dh_t} \right\rVert = \sqrt{\sum_{\text{batch, units}} \left(\frac{dL}{dh_{t}}\right)^2}$$

# %%
x, y = sequences.sentences(32, 30, np.random.default_rng(0))
at_start = {}
for start in starts:
    model = fresh(build, seed=0, gap=30, start=start)
    at_start[start] = time_step_norms(model, x, y)["rnn"]["h"]  # (T,)
    U = keras.ops.convert_to_numpy(model.layers[0].cell.recurrent_kernel)
    rho = np.abs(np.linalg.eigvals(U)).max()
    last, first = at_start[start][-1], at_start[start][0]
    print(f"{start:10} ρ of U {rho:.2f}; at the last step {last:.2f}, at the first {first:.0e}")

ax = plots.norm_by_distance(at_start)
ax.set_title("Before training: the gradient shrinks by a factor a step")
plots.show(ax)

# %% [markdown]
# Straight lines on a log axis: about the same factor at every step, somewhat below the spectral radius $\rho$ of $U$ (the
# largest absolute value of its eigenvalues). Section 3 shows why. With the Gaussian start so little is left at the first
# word that the network has nothing to learn from. `GradientFlow` is a callback that measures the same after every
# epoch of a `fit`, so we can watch what training makes of it.


# %%
def new_sentences(gap, rng):
    """Batches of new sentences without end: none is seen twice, so none can be learned by heart."""
    while True:
        yield sequences.sentences(settings["batch_size"], gap, rng)


def watch(start, seed, gap=30, epochs=10):
    """Train as above, in `epochs` parts; return the norms (epochs + 1, T) and the accuracies."""
    model, rng = fresh(build, seed, gap=gap, start=start), np.random.default_rng(seed)
    flow = GradientFlow(*sequences.sentences(32, gap, rng))
    history = model.fit(
        new_sentences(gap, rng),
        steps_per_epoch=settings["updates"] // epochs,
        epochs=epochs,
        callbacks=[flow],
        shuffle=False,
        verbose=0,
    )
    return flow.history["rnn"]["h"], history.history["accuracy"]


watched = {start: watch(start, seed=0) for start in starts}

# %% tags=["picture"]
figure, panels = plt.subplots(1, 2, figsize=(9.5, 3.6), sharey=True)
for ax, (start, (norms, accuracy)) in zip(panels, watched.items(), strict=True):
    plots.gradient_heatmap(norms, ax, limits=(1e-6, 1))
    ax.set_title(f"{start}: accuracy {accuracy[-1]:.2f} at the end")
    ax.label_outer()
plots.show(panels)

# %% [markdown]
# **What to notice.** Read a row from right to left: that is the way the gradient travels. Left, some of it arrives
# at step 1 from the start; within an epoch or two as much arrives as leaves, the network has learned to pass it on,
# and from then on it fades everywhere, because the loss is small. Right, the left half stays dark through all of
# training: less than a thousandth of the gradient ever arrives at the first word (C18). The gradient *as a whole*
# has not vanished: its right edge is as bright as ever, busy with words that tell nothing.

# %% [markdown]
# ## 3 · A product of Jacobians
#
# How does a small change of one state change the next? That is a table of derivatives, of each new unit by each old
# one, the *Jacobian* $J_t$. From $h_t = \tanh(x_t W + h_{t-1} U + b)$ its entry for new unit $i$ and old unit $j$ is
# $(1 - h_{t,i}^2)\, U_{ji}$. From one state to the one before, the chain rule multiplies by it:
#
# $$\frac{dL}{dh_{t-1}} = \frac{dL}{dh_t} J_t, \qquad
# J_t = \frac{\partial h_t}{\partial h_{t-1}} = \mathrm{diag}\left(1 - h_t^2\right) U^\top$$
#
# and over a distance the product of all the Jacobians between. (With a loss at the last step only, as here, nothing
# else is added.) Two things can shrink it: the matrix $U$, and the slope of tanh, $1 - h_t^2 \le 1$.
#
# Take $U = \rho\, Q$ with $Q$ orthogonal: it turns a vector and stretches it by exactly $\rho$. Without tanh, the norm
# at distance $k$ must be $\rho^k$ times the norm at the end. We set the activation to linear, then to tanh.

# %%
T, H = 60, 32
rng = np.random.default_rng(0)
x_noise, y_noise = (
    rng.normal(size=(16, T, 1)).astype("float32"),
    rng.normal(size=(16, 1)).astype("float32"),
)


def build_on_noise(activation):
    """A compiled RNN that reads noise, with this activation."""
    layer = keras.layers.RNN(RNNCell(H, activation=activation), name="rnn")
    model = keras.Sequential([keras.Input((T, 1)), layer, keras.layers.Dense(1)])
    model.compile("sgd", "mse", jit_compile=True)
    return model


def norms_at(activation, U, seed=0):
    """‖dL/dh_t‖ (T,) of an RNN with this activation and this recurrent matrix (H, H)."""
    model = fresh(build_on_noise, seed, activation=activation)
    model.layers[0].cell.recurrent_kernel.assign(U)
    return time_step_norms(model, x_noise, y_noise)["rnn"]["h"]


# %%
Q, _ = np.linalg.qr(rng.normal(size=(H, H)))
radii = {f"ρ = {rho}": rho for rho in (0.5, 0.9, 1.0, 1.1)}
figure, panels = plt.subplots(1, 2, figsize=(9.5, 4), sharey=True)
for ax, (activation, title) in zip(
    panels, {"linear": "exactly ρ per step", "tanh": "less than ρ"}.items(), strict=True
):
    found = {name: norms_at(activation, rho * Q) for name, rho in radii.items()}
    plots.norm_by_distance(found, ax, predicted=radii)
    ax.set(title=f"{activation}: {title}", ylim=(1e-20, 1e9))
plots.show(panels)

# %% [markdown]
# **What to notice.** Without tanh the dotted prediction lies on the measurement: below 1 the gradient vanishes, above 1
# it explodes, at 1 it stays. With tanh every line is steeper. At $\rho = 1$ it vanishes, and even at $\rho = 1.1$: the
# slope of tanh takes away more than the matrix adds.
#
# Between these four lie others. Turn the dial:

# %% tags=["dial"] jupyter={"source_hidden": true}
# A dial
frames, captions, radii = [], [], [0.5, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0]
for rho in radii:
    found = {activation: norms_at(activation, rho * Q) for activation in ("linear", "tanh")}
    ax = plots.norm_by_distance(found, predicted={"linear": rho}, fit=False, ylim=(1e-20, 1e20))
    ax.set_title(f"U = {rho} Q")
    first, *_, last = found["tanh"]
    factor = (first / last) ** (1 / (T - 1))
    captions.append(f"ρ = {rho}: the linear network {rho:.2f} a step, with tanh {factor:.2f}.")
    frames.append(ax)
plots.dial(frames, label="spectral radius ρ", values=radii, captions=captions, start=3)

# %% [markdown]
# How much tanh takes away can be seen in the singular values of $J_t$, the factors by which it can stretch or shrink a
# vector.

# %%
model = fresh(build_on_noise, seed=0, activation="tanh")
model.layers[0].cell.recurrent_kernel.assign(1.1 * Q)
J = state_jacobian(model.layers[0], x_noise[0])  # (T, H, H)
ax = plots.jacobian_spectrum(J, ylim=(0, 1.25))
ax.set_title("tanh with ρ = 1.1: no step stretches more, and some directions shrink a lot")
plots.show(ax)
typical = np.exp(np.log(np.linalg.svd(J, compute_uv=False)).mean())
norms = norms_at("tanh", 1.1 * Q)
largest, factor = (
    np.linalg.norm(J, 2, axis=(1, 2)).max(),
    (norms[0] / norms[-1]) ** (1 / (T - 1)),
)
print(f"geometric mean {typical:.2f}, measured factor {factor:.2f}, largest {largest:.2f}")

# %% [markdown]
# **What to notice.** The largest singular value is that of $U$, 1.1: there are moments and directions in which tanh takes
# nothing away. But a gradient does not stay in one direction, and what it meets on its way lies between the geometric
# mean of all singular values, as if it visited all directions alike, and the largest one. Here the measured factor is
# below 1, near the lower end. That is how $\rho = 1.1$ can vanish.

# %% [markdown]
# ### Exercise 1 · How far does it reach?
# With the sigmoid the slope is at most 1/4, so $\lVert J_t \rVert \le \frac{1}{4} \lVert U \rVert$, with
# $\lVert U \rVert$ the largest singular value. After how many steps is the gradient *certainly* below `epsilon` times
# its value at the end? Return the smallest such whole number, or `None` if the bound promises nothing.


# %% tags=["exercise"]
def certain_distance(norm_of_U, epsilon, largest_slope=0.25):
    """Return the smallest k with (largest_slope · norm_of_U)^k < epsilon, or None."""
    ...


# %% tags=["check"]
check.certain_distance()


# %% tags=["solution"] jupyter={"source_hidden": true}
# After k steps at most factor^k is left; from a factor of 1 on that need never fall below epsilon.
def solution_certain_distance(norm_of_U, epsilon, largest_slope=0.25):
    factor = largest_slope * norm_of_U
    if factor >= 1:
        return None
    k = 0
    while factor**k >= epsilon:
        k += 1
    return k


check.certain_distance(solution_certain_distance)

# %% [markdown]
# ## 4 · "Below 1 it vanishes, above 1 it explodes"
#
# You will read that sentence in many places (C19). For a single linear unit it is exact. For a matrix you have to ask:
# *what* is below 1? There are two candidates, and they can be far apart.
#
# - The **spectral radius** $\rho$, the largest eigenvalue by absolute value, rules the long run of $\lVert U^k \rVert$:
#   its $k$-th root tends to $\rho$.
# - The **largest singular value** $\lVert U \rVert$ rules a single step, and bounds the rest:
#   $\lVert U^k \rVert \le \lVert U \rVert^k$.
#
# For a *normal* matrix, one with $U U^\top = U^\top U$, such as an orthogonal or a symmetric one times a number, they
# agree. For a *non-normal* one they do not.
#
# **Predict, then run.** Both eigenvalues of $\begin{pmatrix}0.9 & 4\\ 0 & 0.9\end{pmatrix}$ are 0.9. A gradient passes
# through it 60 times. After how many of these steps can it still be longer than at the beginning?

# %% tags=["guess"]
longer = classroom.guess(
    "05: steps for which the matrix with eigenvalues 0.9 can stretch", unit="steps", answer=...
)

# %%
non_normal, normal = np.array([[0.9, 4.0], [0.0, 0.9]]), 0.9 * np.eye(2)
k = np.arange(61)


def power_norms(U):
    """‖U^k‖ for k = 0 … 60: by how much k linear steps can stretch a vector."""
    return np.array([np.linalg.norm(np.linalg.matrix_power(U, n), 2) for n in k])


growth = {"non-normal": power_norms(non_normal), "normal": power_norms(normal)}

# %% tags=["outcome"] jupyter={"source_hidden": true}
# The outcome
ax = plots.lines(k, growth, yscale="log", xlabel="steps k", ylabel=r"$\Vert U^k \Vert$")
ax.set_title("The same eigenvalues: one falls at once, one explodes first")
plots.level(ax, 1.0, "keeps the length")
peak = growth["non-normal"].max()
back = int(np.flatnonzero(growth["non-normal"] > 1)[-1])
plots.show(
    ax,
    alt=f"Norm of the matrix power against k, log scale. The normal matrix falls in a straight line. The non-normal one "
    f"rises to {peak:.0f} first and is above 1 until step {back}; then it falls, in the end with the same slope.",
)
print(f"‖U‖ = {np.linalg.norm(non_normal, 2):.1f}, peak {peak:.1f}, above 1 for {back} steps")
longer.outcome(back, margin=10)

# %% [markdown]
# It first grows more than tenfold, and takes dozens of steps to come back: between the first step and the long run
# anything can happen. So for a linear RNN, $\rho < 1$
# means that the gradient vanishes *in the end*. For tanh or sigmoid with slope at most
# $\gamma$ (1 and 1/4) Pascanu and others proved what is left of the rule:
#
# - largest singular value **below** $1/\gamma$: the gradient vanishes, for certain (*sufficient*);
# - to explode, it has to be **above** $1/\gamma$ (*necessary*), and that promises nothing.
#
# Here are both sides, for random matrices with a given spectral radius:

# %%
G = rng.normal(size=(H, H))
G /= np.abs(np.linalg.eigvals(G)).max()  # spectral radius 1
tried = {
    ("tanh", 1.1, "G"): 1.1 * G,
    ("tanh", 2.0, "Q"): 2.0 * Q,
    ("sigmoid", 1.5, "Q"): 1.5 * Q,
}
tried |= {("sigmoid", 1.5, "G"): 1.5 * G, ("sigmoid", 8.0, "Q"): 8.0 * Q}
print(f"{'activation':11}{'U':6}{'ρ':>3}{'‖U‖':>6}   factor per step")
for (activation, rho, kind), U in tried.items():
    norms = norms_at(activation, U)
    reached = np.flatnonzero(norms > 1e-30)[0]  # float32 ends at about 1e-38
    factor = (norms[reached] / norms[-1]) ** (1 / (T - 1 - reached))
    verdict = "vanishes" if factor < 1 else "explodes"
    print(
        f"{activation:11}{kind}{rho:8.1f}{np.linalg.norm(U, 2):6.1f}   {factor:.2f}  {verdict}"
    )

# %% [markdown]
# **What to notice.** "Above 1 explodes" fails for tanh at $\rho = 1.1$ and for the sigmoid at every $\rho$ here, even
# twice as far out as the 4 above which its gradient *can* explode: necessary is not sufficient.
#
# ### Exercise 2 · A matrix that deceives
# Make a $2 \times 2$ matrix whose eigenvalues are both at most 0.5 in absolute value, and which all the same stretches
# some vector at least tenfold over *three* steps: $\lVert U^3 \rVert \ge 10$.

# %% tags=["exercise"]
deceiver = ...

# %% tags=["check"]
check.deceiver()

# %% tags=["solution"] jupyter={"source_hidden": true}
# The eigenvalues stand on the diagonal; the corner of U³ is 3 · 0.5² · 20 = 15, whatever they say.
solution_deceiver = np.array([[0.5, 20.0], [0.0, 0.5]])
check.deceiver(solution_deceiver)

# %% [markdown]
# ## 5 · Holding a bit, and feeling where it came from
#
# Could one choose the weights so that the network remembers? In 1994 Bengio, Simard and Frasconi looked at the smallest
# case: one unit that has to hold one bit, its sign, for 100 steps, while noise comes in:
#
# $$h_t = \tanh(w\, h_{t-1} + n_t), \qquad \frac{\partial h_t}{\partial h_{t-1}} = w\,(1 - h_t^2)$$
#
# With $w > 1$ the unit has two states in which it likes to rest, one positive, one negative.
#
# **Predict, then run.** Look at a $w$ at which the unit holds its bit in nearly all runs. By which factor does a gradient
# change there at each step, typically?

# %% tags=["guess"]
safe_factor = classroom.guess(
    "05: the factor per step where the bit is safe",
    ["less than a half", "between a half and 0.9", "close to 1", "more than 1.1"],
    answer=...,
)


# %%
def latch(w, seed, T=100, runs=500, noise=0.2):
    """Return the share of runs that still have the sign they began with, and the typical factor per step."""
    rng = np.random.default_rng(seed)
    h = bit = rng.choice([-1.0, 1.0], runs)
    log_product = np.zeros(runs)
    for _ in range(T):
        h = np.tanh(w * h + rng.normal(0, noise, runs))
        log_product += np.log(np.abs(w * (1 - h**2)))
    return np.mean(np.sign(h) == bit), np.exp(np.median(log_product) / T)


w = np.array([0.5, 0.75, 1.0, 1.1, 1.25, 1.4, 1.5, 1.75, 2.0, 2.5])
latched = np.array([[latch(value, seed) for value in w] for seed in range(5)])  # (seeds, w, 2)

# %% tags=["outcome"] jupyter={"source_hidden": true}
# The outcome
kept, factor = latched[:, :, 0], latched[:, :, 1]
curves = {
    "share of bits kept over 100 steps": kept,
    "gradient: typical factor per step": factor,
}
ax = plots.lines(w, curves, xlabel="recurrent weight w", ylim=(0, 1.3))
ax.set_title("Where the bit is safe, the gradient is gone")
ax.legend(loc="upper left", ncols=2)
plots.level(ax, 0.5, "guessing the bit")
safe = kept.min(axis=0) > 0.98
plots.show(
    ax,
    alt=f"Against the recurrent weight: the share of bits kept is at one half up to w = 1, then rises to 1 at "
    f"w = {w[safe][0]}. The gradient's factor per step is largest near w = 1, {factor.max():.2f}, and falls to "
    f"{factor[:, safe].max():.2f} where the bit is first safe and {factor[:, -1].max():.2f} at w = {w[-1]}.",
)
there = factor[:, safe].max()
print(f"safe from w = {w[safe][0]}; factor {there:.2f} a step, {there**100:.0e} over 100 steps")
safe_factor.outcome(safe_factor.choices[np.digitize(there, [0.5, 0.9, 1.1])])

# %% [markdown]
# **What to notice.** (Median and range over five seeds.) The two curves are never high together. To be safe from noise, the unit must push small
# disturbances back; a small change of the bit's origin *is* a small disturbance. So the derivative is small wherever
# the memory is safe. (Not the other way round: at the left end both are poor.) That is the trade-off of 1994: what is stored robustly is difficult to learn by gradient. (With
# less noise the safe region begins closer to $w = 1$, and the factor there is closer to 1; the *Measured* cell tries
# three levels.) The
# LSTM of [lesson 08](08_how_an_lstm_remembers.ipynb) gets around it by storing in a different way, by adding.

# %% [markdown]
# ### Exercise 3 · On your own model, in three lines
# Write a function that takes any compiled Keras model with one recurrent layer, whatever its name, and a batch, and returns what share of
# the gradient reaches the first step: $\lVert dL/dh_1 \rVert \,/\, \lVert dL/dh_T \rVert$.
# The check tries it on four small models, which takes a second or two.


# %% tags=["exercise"]
def share_that_arrives(model, x, y):
    """Return the norm at the first step divided by the norm at the last."""
    ...


# %% tags=["check"]
check.share_that_arrives()


# %% tags=["solution"] jupyter={"source_hidden": true}
# There is one layer, whatever its name; of its h, the first step has index 0 and the last −1.
def solution_share_that_arrives(model, x, y):
    norms = time_step_norms(model, x, y)
    (layer,) = norms.values()
    return layer["h"][0] / layer["h"][-1]


check.share_that_arrives(solution_share_that_arrives)

# %% [markdown]
# ## Measured
#
# What this lesson claims, over five seeds: new networks, new matrices, new noise.


# %%
def factors(seed):
    """The factor per step with linear units at ρ = 0.9 and with tanh at ρ = 1.1, for a new orthogonal Q."""
    Q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(H, H)))
    found = (norms_at("linear", 0.9 * Q, seed), norms_at("tanh", 1.1 * Q, seed))
    return [(norms[0] / norms[-1]) ** (1 / (T - 1)) for norms in found]


def shares(start, seed):
    """‖dL/dh_1‖ / ‖dL/dh_T‖ before, while and after training at gap 30, and the last accuracy."""
    norms, accuracy = watch(start, seed)
    return [*norms[:, 0] / norms[:, -1], accuracy[-1]]


def safe_factors(noise):
    """The factors per step of those w that keep the bit in 99.5 % of the runs, over five seeds."""
    near_1 = np.arange(1.05, 2.5, 0.05)
    found = np.array([latch(value, seed, noise=noise) for value in near_1 for seed in range(5)])
    return found[found[:, 0] >= 0.995, 1]


linear_factors, tanh_factors = np.transpose([factors(seed) for seed in range(5)])
arrives = {start: np.array([shares(start, seed) for seed in range(5)]) for start in starts}
left_when_safe = max(safe_factors(noise).max() ** 100 for noise in (0.05, 0.1, 0.2))

# %%
# NBVAL_CHECK_OUTPUT
rate = solved.set_index(["start", "gap"]).rate
dark = arrives["Gaussian"][:, :-1]  # (seeds, epochs)
bright, learned = np.split(arrives["orthogonal"], [-1], axis=1)
near = min(rate["Gaussian", 5], rate["orthogonal", 30])
verdicts = {
    "C08 near is learned: Gaussian start at gap 5, orthogonal at 30": near >= 0.8,
    "C08 far is not: Gaussian start at gap 30": rate["Gaussian", 30] <= 0.2,
    "C08 the orthogonal start reaches farther": rate["orthogonal", 30] > rate["Gaussian", 30],
    "C10 and is lost at gap 100": rate["orthogonal", 100] <= 0.2,
    "C18 Gaussian, gap 30: never 1e-3 of the gradient at step 1": (dark < 1e-3).all(),
    "C18 orthogonal: over 5e-3 of it before training": (bright[:, 0] > 5e-3).all(),
    "C18 and over 0.1 of it when the task is learned": (
        bright[learned[:, 0] > 0.95, -1] > 0.1
    ).all(),
    "as it is by all but one at most": (learned > 0.95).sum() >= 4,
    "C19 a linear orthogonal U: ρ per step": np.allclose(linear_factors, 0.9, atol=1e-3),
    "C19 tanh vanishes even at ρ = 1.1": max(tanh_factors) < 0.97,
    "C25 a non-normal matrix with ρ = 0.9 grows over tenfold": peak > 10,
    "a safe bit leaves less than 1e-4 of the gradient over 100 steps": left_when_safe < 1e-4,
}
for claim, holds in verdicts.items():
    print("holds " if holds else "FAILS ", claim)
assert all(verdicts.values())

# %% [markdown]
# ## Quiz

# %%
classroom.quiz("quizzes/05_why_it_forgets.json")
classroom.tally()

# %% [markdown]
# ## Three things to take away
#
# 1. The gradient $k$ steps back is a product of $k$ Jacobians. It shrinks by about the same factor at every step; the
#    near part of the gradient stays, the far part does not.
# 2. The factor comes from two places: the recurrent matrix, and the slope of the activation. For tanh even a matrix that
#    stretches can vanish. Singular values below 1 are certain to; above 1 nothing is certain.
# 3. A plain RNN that holds a bit safely pushes small changes away, and with them the gradient. Remembering and learning
#    to remember pull in opposite directions.
#
# **Next:** [08 · How does an LSTM remember, and when does it still forget?](08_how_an_lstm_remembers.ipynb)
#
# **References.** S. Hochreiter, *Untersuchungen zu dynamischen neuronalen Netzen*, diploma thesis, TU München (1991).
# Y. Bengio, P. Simard and P. Frasconi, *Learning long-term dependencies with gradient descent is difficult*, IEEE
# Transactions on Neural Networks 5 (1994). R. Pascanu, T. Mikolov and Y. Bengio, *On the difficulty of training
# recurrent neural networks*, ICML (2013), for the sufficient and the necessary condition.
