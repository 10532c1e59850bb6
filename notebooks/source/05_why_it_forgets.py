# %% [markdown]
# # 05 · Why does a plain RNN lose what came early?
#
# "**iPhone** I bought yesterday is a … **mobile**." To choose the last word you need the first: a *long-term
# dependency*.
#
# **You will be able to**
# - measure, in any Keras RNN, how much of the gradient reaches the first step;
# - compute the factor per step, whose logarithm is the Lyapunov exponent;
# - say when "weights below 1 vanish, above 1 explode" is right, and when not.
#
# **60 minutes** · needs: matrix products; eigenvalues and singular values, by name · before: [01](01_what_an_rnn_computes.ipynb), for the chain rule also
# [04](04_backpropagation_through_time.ipynb) · letters: [notation](../docs/notation.md)

# %%
from course import classroom, experiments, plots, sequences
from course.by_hand import rnn_forward
from course.classroom.exercises import lesson_05 as check
from course.gradients import GradientFlow, time_step_norms
from course.layers import RNNCell
import keras  # takes some ten seconds, once per lesson
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

# %% [markdown]
# ## 1 · A dial for distance
#
# `sequences.sentences` makes such sentences. The first word is one of four products, and the word to come depends on it alone; the `gap`
# words between do not. Guessing is right one time in four.

# %%
for gap in (6, 15):
    x, y = sequences.sentences(
        2, gap, np.random.default_rng(3)
    )  # one-hot (n, T, D), 0 to 3 (n,)
    print(f"gap {gap}:", *sequences.words(x, y), sep="\n   ")

# %% [markdown]
# A network begins with random weights, its *initialisation*. As recurrent matrix $U$ Keras draws an **orthogonal** one, which
# turns or reflects the state and keeps its length. Also usual is a **Gaussian** one: independent normal numbers, say of
# standard deviation 0.1 (Pascanu and others 2013). The first learns gap 30, the second does not. Why?
#
# They differ in *scale*, too: in the **spectral radius** $\rho$, the largest absolute value of the eigenvalues of $U$:
# 1 for an orthogonal matrix; for a Gaussian one about its standard deviation times $\sqrt{H}$, with $H = 32$ units here
# $0.1 \cdot \sqrt{32} = 0.57$. So we cross the two: both kinds with $\rho$ near 1, times a `gain` of 1 or 0.57:

# %%
settings = {"units": 32, "learning_rate": 3e-3, "batch_size": 32, "updates": 240, "block": 30}
kinds = {
    "orthogonal": keras.initializers.Orthogonal,
    "Gaussian": lambda seed: keras.initializers.RandomNormal(
        stddev=settings["units"] ** -0.5, seed=seed
    ),
}


def build(gap):
    """A compiled RNN for sentences with this gap."""
    model = keras.Sequential([keras.Input((gap + 1, len(sequences.VOCABULARY)))])
    model.add(keras.layers.RNN(RNNCell(settings["units"]), name="rnn"))
    model.add(keras.layers.Dense(4))
    model.compile(
        keras.optimizers.Adam(settings["learning_rate"]),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=True,  # one compiled training step; on a CPU Keras does not do so by itself
        steps_per_execution=settings["block"],  # so many updates in one call, which saves time
    )
    return model


# %%
def network(kind, gain, seed, gap=30):
    """A new model with U of this kind times `gain`. `fresh` does not compile again for a new seed."""
    model = experiments.fresh(build, seed, gap=gap)
    U = model.layers[0].cell.recurrent_kernel
    U.assign(gain * kinds[kind](seed=seed)(U.shape))
    return model


# %% [markdown]
# The network learns from $dL/dh_t$: how the loss would change if the *hidden state* after step $t$ were a little different, through
# all that follows. The callback `GradientFlow` measures its size at every step, on 32 sentences, before training and after every
# block of 30 updates:
#
# $$\left\lVert \frac{dL}{dh_t} \right\rVert = \sqrt{\sum_{\text{batch, units}} \left(\frac{dL}{dh_{t}}\right)^2}$$
#
# *Solved* means that in some block more than 99 % of its 960 sentences, all new, were right.


# %%
def new_sentences(gap, rng):
    """Batches of new sentences without end."""
    while True:
        yield sequences.sentences(settings["batch_size"], gap, rng)


# %%
def run(kind, gain, seed, gap=30):
    """Train one RNN and return what became of it."""
    model, rng = network(kind, gain, seed, gap), np.random.default_rng(seed)
    flow = GradientFlow(*sequences.sentences(32, gap, rng))
    before = model.get_weights()
    history = model.fit(
        new_sentences(gap, rng),
        steps_per_epoch=settings["block"],
        epochs=settings["updates"] // settings["block"],
        callbacks=[flow],
        shuffle=False,
        verbose=0,
    ).history
    norms = flow.history["rnn"]["h"]  # (blocks + 1, T)
    accuracy = np.array(history["accuracy"])
    return {
        "accuracy": accuracy,
        "norms": norms,
        "before": before,
        "after": model.get_weights(),
    }


# %% [markdown]
# **Predict, then run.** Of the four starts, which have learned gap 30 after 240 updates, most of the time?

# %% tags=["guess"]
learned = classroom.guess(
    "05.1 which of four starts learn gap 30",
    [
        "the two orthogonal ones",
        "the two with gain 1",
        "all four of them",
        "orthogonal with gain 1 alone",
    ],
    answer=...,
)

# %% [markdown]
# Four networks of each start are trained here; ten are recorded in `data/05_gain.csv` (by `data/record_05.py`, JAX backend).

# %%
grid = {"kind": list(kinds), "gain": [0.57, 1.0]}
runs = experiments.sweep(run, grid, seeds=range(4))
runs["solved"] = [max(accuracy) > 0.99 for accuracy in runs.accuracy]
recorded = pd.read_csv("../data/05_gain.csv", dtype={"elsewhere": str})
recorded["solved"] = recorded.accuracy > 0.99
usual = recorded[(recorded.updates == 900) & (recorded.learning_rate == 3e-3)]
in_time = usual[usual.gap == 30].assign(solved=lambda t: t.solved & (t.used <= 240))

# %% tags=["outcome"] jupyter={"source_hidden": true}
# The outcome
live = runs.groupby(["kind", "gain"], sort=False).solved.sum()
of_ten = in_time.groupby(["kind", "gain"]).solved.sum()
for (kind, gain), count in live.items():
    print(
        f"{kind:10} gain {gain:4}: solved {count} of 4 here, {of_ten[kind, gain]} of 10 in the record"
    )
most = tuple(of_ten[kind, gain] > 5 for kind in kinds for gain in (0.57, 1.0))
named = {(True, True, False, False): 0, (False, True, False, True): 1}
named |= {(True,) * 4: 2, (False, True, False, False): 3}
learned.outcome(learned.choices[named[most]])

# %% [markdown]
# **What to notice.** Scale decides here, not orthogonality: at the small scale the orthogonal start fails as well, at the large scale
# the Gaussian one mostly learns as well. While two things differ, a difference is evidence for neither.
#
# ## 2 · Look at the gradient
#
# What `GradientFlow` saw with the first seed whose Gaussian start with gain 1 learned:

# %% tags=["picture"]
figure, panels = plt.subplots(2, 2, figsize=(9.5, 6), sharex=True, sharey=True)
large = runs[(runs.kind == "Gaussian") & (runs.gain == 1.0) & runs.solved]
shown = runs[runs.seed == large.seed.min()]
for ax, row in zip(panels.flat, shown.itertuples(), strict=True):
    rho = np.abs(np.linalg.eigvals(row.before[1])).max()
    plots.gradient_heatmap(row.norms, ax, limits=(1e-6, 1))
    ax.set(
        title=f"{row.kind}, ρ = {rho:.2f}: accuracy {row.accuracy[-1]:.2f}",
        ylabel="block of updates",
    )
    ax.label_outer()
said = [
    f"{row.kind}, gain {row.gain}: from {row.norms[0, -1]:.0e} at the last step to {row.norms[0, 0]:.0e} at the first"
    for row in shown.itertuples()
]
plots.show(panels, alt=f"Four heat maps of gradient norms. Before training, {'; '.join(said)}.")

# %%
runs["share"] = [norms[:, 0] / norms[:, -1] for norms in runs.norms]  # (blocks + 1,)
for gain, group in runs.groupby("gain"):
    first, best = np.transpose([(share[0], share.max()) for share in group.share])
    print(f"gain {gain:4}, share of the gradient that reaches step 1: before training", end=" ")
    print(
        f"{first.min():.0e} to {first.max():.0e}, at its largest {best.min():.0e} to {best.max():.0e}"
    )

# %% [markdown]
# **What to notice.** Read a row from right to left: that is the *backward pass*. In the right column some of the gradient
# arrives at step 1 from the start, after a few blocks about as much as leaves; then it fades everywhere, as the
# loss does. In the left column next to nothing reaches the first word (claim C18). The gradient
# *as a whole* has not vanished: its right edge is bright.
#
# ### Exercise 1 · On your own model, in three lines
# `time_step_norms(model, x, y)` measures the same once: `norms["rnn"]["h"]`, shape $(T,)$, for the `h` of a layer named `rnn`. For any
# compiled Keras model with one recurrent layer, whatever its name, and a batch, return the share that reaches the first step:
# $\lVert dL/dh_1 \rVert / \lVert dL/dh_T \rVert$.


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
# ## 3 · The factor per step
#
# How does a small change of one state change the next? With two units,
# $h_{t,1} = \tanh(\dots + h_{t-1,1} U_{11} + h_{t-1,2} U_{21})$, and the slope of tanh is $1 - h^2$. So the derivative of the new
# unit 1 by the old unit 2 is $(1 - h_{t,1}^2)\,U_{21}$, and all four are
#
# $$J_t = \begin{pmatrix} (1-h_{t,1}^2)\,U_{11} & (1-h_{t,1}^2)\,U_{21} \\ (1-h_{t,2}^2)\,U_{12} & (1-h_{t,2}^2)\,U_{22} \end{pmatrix}
# = \mathrm{diag}\left(1 - h_t^2\right) U^\top,$$
#
# the *Jacobian* $J_t = \partial h_t / \partial h_{t-1}$ of one step. Over many steps the Jacobians multiply, and **the same product serves both ways**:
#
# $$\text{forwards}\quad \frac{dh_T}{dh_k} = J_T\, J_{T-1} \cdots J_{k+1}, \qquad
# \text{backwards}\quad \frac{dL}{dh_k} = \frac{dL}{dh_T}\; J_T\, J_{T-1} \cdots J_{k+1}.$$
#
# Forwards it is what the network still knows of an early state; backwards, what the loss at the end can say about it.


# %%
def travels(v, h, U, backwards=False):
    """Lengths (T + 1,) of a small change, or of a gradient, v (H,) on its way through the states h (T, H)."""
    lengths = [np.linalg.norm(v)]
    for h_t in h[::-1] if backwards else h:
        if backwards:
            v = (1 - h_t**2) * v
            v = v @ U.T
        else:
            v = v @ U
            v = (1 - h_t**2) * v
        lengths.append(np.linalg.norm(v))
    return np.array(lengths)


def sent_through(weights, gain=1.0, T=200, seed=0):
    """Forwards and backwards: a random v of length 1 in a network, U times gain, that reads one sentence."""
    W, U, b = weights[0], gain * weights[1], weights[2]
    rng = np.random.default_rng(seed)
    x, _ = sequences.sentences(1, T - 1, rng)
    (h,), v = rnn_forward(x, W, U, b), rng.normal(size=len(b))  # h (T, H)
    return [travels(v / np.linalg.norm(v), h, U, backwards) for backwards in (False, True)]


# %%
def exponents(weights, gain=1.0):
    """The mean logarithm of the factor per step, forwards and backwards."""
    return [np.log(lengths[-1]) / (len(lengths) - 1) for lengths in sent_through(weights, gain)]


# %% [markdown]
# The logarithm of the factor per step, averaged over many steps, is the largest **Lyapunov exponent** $\lambda$. Below 0
# small changes die out: *fading memory*, vanishing gradient. Above 0 they grow, forwards and backwards: the states are *chaotic*, the gradient
# *explodes* (C25). Turn the dial:

# %% tags=["dial"] jupyter={"source_hidden": true}
# A dial
untrained = {(row.kind, row.seed): row.before for row in runs[runs.gain == 1.0].itertuples()}
gains, frames, captions = sorted(usual.gain.unique()), [], []
for gain in gains:
    forwards, backwards = sent_through(untrained["orthogonal", 0], gain, T=60)
    λ = exponents(untrained["orthogonal", 0], gain)[0]
    ax = plots.axes(yscale="log", ylim=(1e-17, 1e7), xlabel="steps k", ylabel="length")
    curves = {"a small change, forwards": forwards, "a gradient, backwards": backwards}
    plots.lines(np.arange(61), curves, ax)
    line = {"color": "black", "linestyle": ":", "linewidth": 1.1, "zorder": 3}
    ax.plot(np.arange(61), np.exp(λ) ** np.arange(61), **line, label=r"$e^{\lambda k}$")
    ax.legend(loc="lower left")
    ax.set_title(f"gain {gain}: the same factor both ways, {np.exp(λ):.2f} a step")
    said = f"ρ = {gain}: λ = {λ:+.2f}, a factor of {np.exp(λ):.2f} a step, {np.exp(100 * λ):.0e} over 100."
    plots.describe(ax, f"Length against steps, log axis; both ways follow one line. {said}")
    captions.append(said)
    frames.append(ax)
plots.dial(
    frames,
    label="gain of an orthogonal U",
    values=gains,
    captions=captions,
    start=gains.index(1.0),
)

# %%
for gain in (1.0, 1.2, 1.7):
    both = [
        exponents(weights, gain)
        for (kind, _), weights in untrained.items()
        if kind == "orthogonal"
    ]
    print(
        f"gain {gain}: λ of four networks, forwards and backwards:", np.round(both, 2).tolist()
    )

# %% [markdown]
# **What to notice.** An orthogonal $U$ times 1.2 stretches *every* vector by 1.2, and yet changes shrink: the slope
# of tanh, $1 - h_t^2 \le 1$, takes away more than the matrix adds. With inputs that keep the states away from 0, as here, the factor is
# 1 not at $\rho = 1$ but above it, at the **edge of chaos** (Chen and others 2018). Without input it is at 1 (Sompolinsky and others
# 1988, for large Gaussian $U$): below, the states go to 0, where the slopes are 1.
#
# ### Exercise 2 · The exponent of a long sequence
# Over thousands of steps the length leaves the numbers that a computer holds. So after each step note its logarithm and divide by it.
# Return $\lambda$, the mean of the logarithms, for a `v` of any length that goes forwards.


# %% tags=["exercise"]
def lyapunov(v, h, U):
    """Return the mean of ln(length after / length before) over the steps: v (H,) goes forwards through h (T, H)."""
    ...


# %% tags=["check"]
check.lyapunov()


# %% tags=["solution"] jupyter={"source_hidden": true}
# A step is linear in v: dividing by the length changes no factor, and the logarithms of the factors add up.
def solution_lyapunov(v, h, U):
    v, logs = v / np.linalg.norm(v), []
    for h_t in h:
        v = (1 - h_t**2) * (v @ U)
        logs.append(np.log(np.linalg.norm(v)))
        v = v / np.linalg.norm(v)
    return np.mean(logs)


check.lyapunov(solution_lyapunov)

# %% [markdown]
# ## 4 · The gain decides how far
#
# The record holds gaps 10, 30 and 100 for nine gains and both kinds, up to 900 updates, ten seeds each (twenty
# for gap 100 up to gain 1.7).
#
# **Predict, then run.** What happens to the share of networks that learn gap 30 when the gain rises from 0.57 to 2.4?

# %% tags=["guess"]
with_gain = classroom.guess(
    "05.2 the share that learns gap 30, with rising gain",
    [
        "it rises and stays up",
        "it rises, then falls",
        "it falls throughout",
        "it stays the same",
    ],
    answer=...,
)

# %%
rates = experiments.success_rate(usual, by=["kind", "gain", "gap"], solved="solved")
typical = usual.groupby(["kind", "gain"]).exponent.median()  # λ before training
edge = {
    kind: np.interp(0, typical[kind], typical[kind].index) for kind in kinds
}  # where it is 0
at_30 = rates[(rates.kind == "orthogonal") & (rates.gap == 30)].rate.to_numpy()  # by gain

# %% tags=["outcome"] jupyter={"source_hidden": true}
# The outcome
figure, panels = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
for ax, kind in zip(panels, kinds, strict=True):
    own = (
        rates[rates.kind == kind]
        .sort_values("gap")
        .assign(gap=lambda t: "gap " + t.gap.astype(str))
    )
    plots.rates(own, "gain", "gap", ax, xlabel="gain at the start")
    ax.set_title(kind)
    plots.level(ax, edge[kind], f"λ = 0 at {edge[kind]:.2f}", axis="x")
    ax.legend(
        title="bars: 95 % interval", fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5)
    )
    ax.label_outer()
panels[0].get_legend().remove()
figure.suptitle(
    "The farther the gap, the narrower the band of gains", x=0.01, ha="left", weight="bold"
)
said = (f"{r.kind}, gap {r.gap}, gain {r.gain}: {r.rate:.0%}" for r in rates.itertuples())
plots.show(panels, alt=f"Share of seeds that solve the task. {'; '.join(said)}.")
rises, falls = at_30[0] < at_30.max() - 0.3, at_30[-1] < at_30.max() - 0.3
with_gain.outcome(with_gain.choices[{(1, 0): 0, (1, 1): 1, (0, 1): 2, (0, 0): 3}[rises, falls]])


# %%
def counted(solved):
    return f"{solved.sum()} of {solved.size}"


bands = pd.cut(usual.exponent, [-0.7, -0.05, 0.05, 0.2]).rename("λ before training")
by_λ = usual.groupby(["gap", bands, "kind"], observed=True).solved.agg(counted)
print("solved:", by_λ.unstack(["gap", "kind"]).to_string(), sep="\n")
keys = ["gap", "kind", "gain", "learning_rate", "updates"]
longer = recorded[recorded.seed < 10].groupby(keys).solved.agg(counted).unstack("updates")
print("\nten seeds:", longer.dropna(subset=3000).fillna("").to_string(), sep="\n")
again = usual.merge(recorded[recorded.updates == 3000], on=[*keys[:-1], "seed"])
late = again[~again.solved_x].solved_y
print("not solved after 900 updates, but after 3000:", counted(late))

# %% [markdown]
# **What to notice.** Near gaps are learned from nearly every start, far ones from few (C08): after a small gain the gradient does not arrive,
# after a large gain the states are chaotic. Gap 100 is learned by some three in ten that start near the edge, hardly elsewhere; at about
# equal $\lambda$ the two kinds do alike. So "at step 100 the network hardly remembers step 2" (C10) is true of most of these networks, not
# of all. More than three times as many updates solved none of 33 others; two other learning rates, at one start, gained nothing (ten seeds each).
#
# ## 5 · Gaps it has never seen
#
# Has a network that answers gap 30 learned to remember, or to answer after 30 steps? We try other multiples of 3, which differ only in the
# number of clauses.
#
# **Predict, then run.** What percentage do the networks that solved gap 30 answer rightly, averaged over the other gaps, 6 to 90?

# %% tags=["guess"]
elsewhere = classroom.guess(
    "05.3 right at other gaps after training at 30", unit="%", answer=...
)


# %%
def answers(weights, gap, rng, n=300):
    """The accuracy with this gap; and that of a new read-out, fitted to the last states of n other sentences."""
    W, U, b, V, b_V = weights
    (x, y), (x_new, y_new) = (sequences.sentences(n, gap, rng) for _ in range(2))
    h, h_new = (np.c_[rnn_forward(each, W, U, b)[:, -1], np.ones(n)] for each in (x, x_new))
    fitted = np.linalg.lstsq(h, np.eye(4)[y], rcond=None)[0]  # (H + 1, 4)
    own = np.vstack([V, b_V])
    return [np.mean((h_new @ read_out).argmax(axis=1) == y_new) for read_out in (own, fitted)]


def at_gaps(all_weights, gaps):
    """(networks, gaps, 2): accuracies of the own and of the fitted read-out."""
    rng = np.random.default_rng(0)
    return np.array([[answers(weights, gap, rng) for gap in gaps] for weights in all_weights])


others, solvers = np.arange(6, 91, 3), runs[runs.solved]
tested, untaught = at_gaps(solvers.after, others), at_gaps(solvers.before, [60])

# %% tags=["outcome"] jupyter={"source_hidden": true}
# The outcome
middle = np.median(tested, axis=0)  # (gaps, 2)
ax = plots.axes(xlabel="gap", ylabel="accuracy", ylim=(-0.03, 1.05))
for network, accuracy in enumerate(tested[..., 0]):
    label = "one network, its own read-out" if network == 0 else None
    ax.plot(others, accuracy, "o-", color="0.6", markersize=3, linewidth=0.8, label=label)
ax.plot(others, middle[:, 0], "s", label="their median")
ax.plot(others, middle[:, 1], "^-", label="median of new read-outs, fitted at each gap")
ax.set_title("They know the first word, and name another")
plots.level(ax, 0.25, "guessing")
plots.level(ax, 30, "trained on", axis="x")
ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=3, fontsize=9)
said = [f"gap {gap} {middle[others == gap][0].round(2).tolist()}" for gap in (15, 30, 60, 90)]
plots.show(
    ax, alt=f"Accuracy against gap. Medians of own and new read-outs: {', '.join(said)}."
)

# %% tags=["outcome"] jupyter={"source_hidden": true}
# The outcome
at_others, new_60 = tested[:, others != 30, 0], middle[others == 60, 1].item()
own_mean, new_before = at_others.mean(), np.median(untaught[..., 1])
print(
    f"own read-out, other gaps: mean {own_mean:.2f}, below .2 in {np.mean(at_others < 0.2):.0%} of cases"
)
print(f"new read-out, gap 60: median {new_60:.2f}, before training {new_before:.2f}")
λ_after = [exponents(weights)[0] for weights in solvers.after]
print("λ after training:", *(f"{λ:+.2f}" for λ in sorted(λ_after)), end="; in the record\n")
gap_30 = usual[usual.gap == 30]
near_0, off = gap_30.exponent_after.abs() < 0.03, gap_30.exponent.abs() > 0.05
moved, stayed = counted(near_0[gap_30.solved & off]), counted(near_0[~gap_30.solved])
print(
    f"within .03 of 0: {moved} that began beyond .05 and solved gap 30, {stayed} that did not"
)
elsewhere.outcome(round(100 * own_mean), margin=10)

# %% [markdown]
# **What to notice.** At other gaps the networks are often worse than guessing. That is not forgetting: a new read-out finds the word in
# the same states, far beyond gap 30; before training, tried at gap 60 alone, it found nothing. They have learned a motion that fits their
# read-out after 30 steps. And where gap 30 was solved, $\lambda$ has mostly moved close to 0, elsewhere hardly ever.
#
# ## 6 · "Below 1 it vanishes, above 1 it explodes"
#
# For a single linear unit that sentence (C19) is exact. For a matrix, ask *what* is below 1:
#
# - the **spectral radius** $\rho$ rules the long run of $\lVert U^k \rVert$: its $k$-th root tends to $\rho$;
# - the **largest singular value** $\lVert U \rVert$ rules a single step, and bounds the rest:
#   $\lVert U^k \rVert \le \lVert U \rVert^k$.
#
# For a *normal* matrix, $U U^\top = U^\top U$, such as an orthogonal one, they agree; else they can be far apart.
#
# **Predict, then run.** Both eigenvalues of $\begin{pmatrix}0.9 & 4\\ 0 & 0.9\end{pmatrix}$ are 0.9. A gradient passes
# through it 60 times. After how many of these steps can it still be longer than at the beginning?

# %% tags=["guess"]
longer = classroom.guess(
    "05.4 steps for which the matrix with eigenvalues 0.9 can stretch", unit="steps", answer=...
)

# %%
k, non_normal = np.arange(61), np.array([[0.9, 4.0], [0.0, 0.9]])
powers = {"non-normal": non_normal, "normal": 0.9 * np.eye(2)}
growth = {
    name: [np.linalg.norm(np.linalg.matrix_power(U, n), 2) for n in k]
    for name, U in powers.items()
}

# %% tags=["outcome"] jupyter={"source_hidden": true}
# The outcome
ax = plots.lines(k, growth, yscale="log", xlabel="steps k", ylabel=r"$\Vert U^k \Vert$")
ax.set_title("The same eigenvalues: one falls at once, one grows first")
plots.level(ax, 1.0, "keeps the length")
peak, back = (
    max(growth["non-normal"]),
    int(np.flatnonzero(np.array(growth["non-normal"]) > 1)[-1]),
)
plots.show(
    ax,
    alt=f"Norm of the matrix power against k, log scale. The normal matrix falls in a straight line. The non-normal one "
    f"rises to {peak:.0f} first and is above 1 until step {back}; then it falls, in the end with the same slope.",
)
corner = 4 * k[1:] * 0.9 ** (k[1:] - 1)
assert np.allclose(corner, [np.linalg.matrix_power(non_normal, n)[0, 1] for n in k[1:]])
print(f"‖U‖ = {np.linalg.norm(non_normal, 2):.1f}, peak {peak:.1f}, above 1 for {back} steps")
longer.outcome(back, margin=10)

# %% [markdown]
# The corner of $U^k$ is $4k \cdot 0.9^{k-1}$: the factor $k$ wins at first, the power in the end.
#
# So in a linear RNN with $\rho < 1$ the gradient vanishes *in the end*. With an activation whose slope is at most
# $\gamma$ (1 for tanh; 1/4 for the sigmoid $\sigma(a) = 1/(1 + e^{-a})$) there is left (Pascanu and others):
#
# - largest singular value **below** $1/\gamma$: the gradient certainly vanishes (*sufficient*);
# - to explode, it has to be **above** $1/\gamma$ (*necessary*), and that promises nothing: at gain 1.2 you saw tanh vanish.
#
# ### Exercise 3 · How far does it reach?
# With the sigmoid $\lVert J_t \rVert \le \frac{1}{4} \lVert U \rVert$. After how many steps is the gradient
# *certainly* below `epsilon` times its value at the last step? Return the smallest such number, or `None` if the bound promises nothing.


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
# ### Exercise 4 · A matrix that deceives
# Make a $2 \times 2$ matrix with eigenvalues of at most 0.5 in absolute value and
# $\lVert U^3 \rVert \ge 10$: *three* steps stretch some vector tenfold.

# %% tags=["exercise"]
deceiver = ...

# %% tags=["check"]
check.deceiver()

# %% tags=["solution"] jupyter={"source_hidden": true}
# The eigenvalues stand on the diagonal; the corner of U³ is 3 · 0.5² · 20 = 15, whatever they say.
solution_deceiver = np.array([[0.5, 20.0], [0.0, 0.5]])
check.deceiver(solution_deceiver)

# %% [markdown]
# <details><summary>For those who want more: one unit that holds a bit (1994), and how far that argument goes</summary>
#
# Bengio, Simard and Frasconi looked at the smallest memory: one unit, $h_t = \tanh(w\, h_{t-1} + n_t)$ with noise $n_t$, whose
# sign is to last. With $w > 1$ it rests near one of two states, one positive, one negative: it *latches*. There the factor per step,
# $w\,(1 - h_t^2)$, is below 1, for what pushes noise back pushes back the small changes that a gradient is made of. A bit
# that is safe from noise is hard to learn by gradient descent.
#
# The argument is about bounded noise and times without end. At a fixed time the trade-off fades with the noise: of all $w$ up to 1.6 that keep the
# bit over 100 steps in 99.5 % of 500 runs, the best leaves less than $10^{-30}$ of the gradient at noise 0.2, less than $10^{-8}$ at 0.05,
# and almost a thousandth at 0.01 (computed in the folded cell below).
#
# And it is about one unit at rest. Of the recorded networks of 32 units that learned gap 30, three in four answer more than 95 % rightly
# with noise of 0.05 in every unit at every step, and yet more of the gradient arrives at step 1 than left step 31.
#
# </details>


# %% tags=["boxes"] jupyter={"source_hidden": true}
# The numbers of the box
def one_unit(w, noise, T=100, runs=500):
    """The share of bits kept over T steps, and the middle product of the factors."""
    rng = np.random.default_rng(0)
    h = bit = rng.choice([-1.0, 1.0], runs)
    logs = np.zeros(runs)
    for _ in range(T):
        h = np.tanh(w * h + rng.normal(0, noise, runs))
        logs += np.log(w * (1 - h**2))
    return np.mean(np.sign(h) == bit), np.exp(np.median(logs))


for noise, low, high in ((0.2, 0, 1e-30), (0.05, 0, 1e-8), (0.01, 3e-4, 1e-3)):
    units = np.array([one_unit(w, noise) for w in np.arange(1.01, 1.6, 0.01)])
    assert low < units[units[:, 0] >= 0.995, 1].max() < high
learned_30 = usual[(usual.gap == 30) & usual.solved]
assert 0.7 < ((learned_30.noisy > 0.95) & (learned_30.share > 1)).mean() < 0.8

# %% [markdown]
# ## Measured
#
# *Live* is what this notebook has computed, *recorded* what it has read from `data/`.

# %% tags=["boxes"] jupyter={"source_hidden": true}
# What the verdicts compare
small, large = (live.xs(gain, level="gain").sum() for gain in (0.57, 1.0))
near = usual[usual.gap == 30].groupby(["gain", "kind"]).solved.mean()
near_small, near_large = near[:0.71].max(), near[1.0:1.7].min()
shut = runs[runs.gain == 0.57].share.map(np.max).max()
own = [weights for (kind, _), weights in untrained.items() if kind == "orthogonal"]
rng, (W, U, b), still = np.random.default_rng(0), own[0][:3], {}
for gain in (0.95, 1.05):  # without input, from states away from 0
    (h,) = rnn_forward(
        np.zeros((1, 600, len(W))), W, gain * U, b, h0=rng.normal(size=(1, len(b)))
    )
    still[gain] = np.log(travels(h[-1] / np.linalg.norm(h[-1]), h[300:], gain * U)[-1]) / 300
assert abs(still[0.95] - np.log(0.95)) < 0.01
assert abs(still[1.05]) < 0.01
at_12, at_17 = ([exponents(weights, gain)[0] for weights in own] for gain in (1.2, 1.7))
far = usual[usual.gap == 100].groupby(usual.exponent.abs() < 0.05).solved.mean()

# %%
# NBVAL_CHECK_OUTPUT
verdicts = {
    "live, C08: gap 30: no small start learns it, most large ones do": (
        small == 0 and large >= 5
    ),
    "recorded, C08: gap 30: none up to gain .71, of either kind over 3 in 4 from 1 to 1.7": (
        near_small == 0 and near_large > 0.75
    ),
    "live, C18: small starts: never 5e-6 of the gradient at step 1": shut < 5e-6,
    "live, C19: orthogonal U times 1.2 has λ < −.01, times 1.7 λ > .03": (
        max(at_12) < -0.01 and min(at_17) > 0.03
    ),
    "recorded, C10: gap 100: over 1 in 5 if |λ| < .05 at the start, else under 1 in 8": (
        far[True] > 0.2 and far[False] < 0.125
    ),
    "live: other gaps: under half right on average; gap 60, new read-out: over .9, untrained under .5": (
        own_mean < 0.5 and new_60 > 0.9 and new_before < 0.5
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
classroom.quiz("quizzes/05_why_it_forgets.json")

# %% [markdown]
# ## Three things to take away
#
# 1. What a network still knows of an early step and what it can learn about it are one product of Jacobians; its logarithm per
#    step is the Lyapunov exponent.
# 2. The scale of $U$ sets it at the start, and with it the gaps that are learned. At about equal $\lambda$, orthogonal or
#    Gaussian made little difference here.
# 3. What a network has learned shows at gaps it was not trained on.
#
# **Next:** [06 · Why does training suddenly blow up, and what stops it?](06_why_training_blows_up.ipynb)
#
# **References.** S. Hochreiter, *Untersuchungen zu dynamischen neuronalen Netzen*, diploma thesis, TU München (1991), the first analysis. Y. Bengio, P. Simard and P. Frasconi, *Learning long-term dependencies with gradient descent is difficult*, IEEE
# Transactions on Neural Networks 5 (1994). R. Pascanu, T. Mikolov and Y. Bengio, *On the difficulty of training
# recurrent neural networks*, ICML 2013. H. Sompolinsky, A. Crisanti and H. J. Sommers, *Chaos in random neural networks*, Physical
# Review Letters 61 (1988). M. Chen, J. Pennington and S. Schoenholz, *Dynamical isometry and a mean field theory of RNNs: Gating enables signal
# propagation in recurrent neural networks*, ICML 2018.
