# %% [markdown]
# # 04 · How does the gradient travel back through time?
#
# Training needs the gradient by weights used at *every* step. You follow it back (*backpropagation through time*), take it
# apart into a term per step, see what becomes of what lies far back, and hold your backward pass against two judges.
#
# **You will be able to**
# - write the backward step of an RNN, and tell a total from an immediate derivative;
# - take $dL/dU$ apart into $T$ terms, and say which of them vanish and which do not;
# - tell a gradient's signal from its noise;
# - check a gradient, and find the first time step at which it goes wrong.
#
# **85 minutes** · needs: the chain rule, matrix products · before: [01](01_what_an_rnn_computes.ipynb) ·
# letters: [notation](../docs/notation.md)

# %%
from course import classroom, plots
from course.by_hand import finite_differences, rnn_backward, rnn_forward, terms_by_distance
from course.classroom.exercises import lesson_04 as check
import keras  # takes some ten seconds, once per lesson
import matplotlib.pyplot as plt
import numpy as np

# %% [markdown]
# ## 1 · Three steps on paper
#
# Take one unit, one feature and three steps, so that $W$, $U$ and $b$ are numbers: $a_t = x_t W + h_{t-1} U + b$ and the
# hidden state $h_t = \tanh a_t$. The loss looks at every state: $L = \sum_t L_t$, $L_t = \frac12 (h_t - y_t)^2$. So $h_1$
# acts on it in two ways: directly, and through all that follows.


# %% jupyter={"source_hidden": true}
def picture(T=3):
    """Draw the way forwards (grey) and back (orange)."""
    ax = plots.canvas(None, 8.4, 3.5)
    ax.set_ylim(0.5, 3.5)
    ax.set_title("Forwards through U, backwards through its transpose")
    for t in range(1, T + 1):
        x = 2.4 * t - 0.7
        plots.box(ax, x, 1.5, f"$h_{t}$")
        plots.box(ax, x, 3.1, f"$L_{t}$", plots.GREEN)
        plots.arrow(ax, (x - 0.15, 1.8), (x - 0.15, 2.82))
        plots.arrow(ax, (x + 0.15, 2.82), (x + 0.15, 1.8), "", plots.ORANGE)
        ax.text(x + 0.25, 2.3, rf"$\partial L/\partial h_{t}$", color=plots.ORANGE)
        ax.text(x, 0.85, rf"$\delta_{t}$", color=plots.ORANGE, ha="center", size=13)
        if t < T:
            plots.arrow(ax, (x + 0.35, 1.62), (x + 2.05, 1.62), "$U$")
            plots.arrow(ax, (x + 2.05, 1.38), (x + 0.35, 1.38), "", plots.ORANGE)
            label = rf"$\varphi'(a_{t + 1})\,U^\top$"
            ax.text(x + 1.2, 1.0, label, color=plots.ORANGE, ha="center")
    return ax


# %% jupyter={"source_hidden": true}
plots.show(
    picture(),
    alt="Three boxes h_1, h_2, h_3 in a row, above each a box for the loss at that step. Grey arrows lead forwards, "
    "from each state to the next along U and up to its loss. Orange arrows lead back: from each loss down to its "
    "state, the immediate derivative, and from each state to the one before, times phi'(a) and U transposed. Below "
    "each state stands delta, the sum of what arrives there.",
)

# %% [markdown]
# Follow the orange arrows. As $\tanh' = 1 - \tanh^2$, $\varphi'(a_t) = 1 - h_t^2$; with one unit,
# $U^\top$ is $U$:
#
# $$\begin{aligned}
# \delta_3 &= h_3 - y_3 \\
# \delta_2 &= h_2 - y_2 + \delta_3\,(1 - h_3^2)\,U \\
# \delta_1 &= h_1 - y_1 + \delta_2\,(1 - h_2^2)\,U
# \end{aligned}$$
#
# $\delta_t = dL/dh_t$ is the *total* derivative; $\partial L/\partial h_t = h_t - y_t$, with later
# states fixed, is the *immediate* one.

# %%
W, U, b = 0.5, 0.8, 0.1
x, y = [1.0, 0.5, -1.0], [0.3, 1.0, 0.5]

h_1 = np.tanh(x[0] * W + 0 * U + b)  # h_0 = 0
h_2 = np.tanh(x[1] * W + h_1 * U + b)
h_3 = np.tanh(x[2] * W + h_2 * U + b)

delta_3 = h_3 - y[2]
delta_2 = h_2 - y[1] + delta_3 * (1 - h_3**2) * U
delta_1 = h_1 - y[0] + delta_2 * (1 - h_2**2) * U

# %% [markdown]
# Test it: nudge $h_t$, with later states held fixed or following.


# %%
def loss_when(t, h_t, follow):
    """The loss when step t has the state h_t; later states follow, or stay as they were."""
    h = [h_1, h_2, h_3]
    h[t - 1] = h_t
    for k in range(t, 3 if follow else t):
        h[k] = np.tanh(x[k] * W + h[k - 1] * U + b)
    return 0.5 * sum((h_k - y_k) ** 2 for h_k, y_k in zip(h, y, strict=True))


print("t   ∂L/∂h_t by nudging   delta_t by nudging   delta_t by the chain rule")
for t, h_t, delta in ((3, h_3, delta_3), (2, h_2, delta_2), (1, h_1, delta_1)):
    eps, by_nudging = 1e-5, {}
    for follow in (False, True):
        up, down = loss_when(t, h_t + eps, follow), loss_when(t, h_t - eps, follow)
        by_nudging[follow] = (up - down) / (2 * eps)
    print(f"{t} {by_nudging[False]:15.4f} {by_nudging[True]:20.4f} {delta:20.4f}")
    assert abs(by_nudging[True] - delta) < 1e-8
assert h_1 - y[0] > 0 > delta_1  # the two differ in sign

# %% [markdown]
# **What to notice.** At step 3 both are equal: nothing follows. At step 1 even the sign differs. Training needs the total one.
#
# ## 2 · The same with two units
#
# Now $U_{12}$ leads from unit 1 to unit 2. Forwards,
#
# $$a_{t+1,1} = \ldots + h_{t,1} U_{11} + h_{t,2} U_{21} \qquad a_{t+1,2} = \ldots + h_{t,1} U_{12} + h_{t,2} U_{22}$$
#
# Each unit *collects* along a column of $U$. Backwards, $h_{t,1}$ stands in both sums, times $U_{11}$ and
# $U_{12}$, a *row* of $U$. With $dL/da_{t+1,j} = \delta_{t+1,j}\,\varphi'(a_{t+1,j})$,
#
# $$\delta_{t,1} = \frac{\partial L}{\partial h_{t,1}} + \frac{dL}{da_{t+1,1}}\,U_{11} + \frac{dL}{da_{t+1,2}}\,U_{12}$$
#
# A row times a matrix runs down its columns; to run along the rows of $U$, transpose it. For any number of units, with a row per
# sequence,
#
# $$\delta_t = \frac{\partial L}{\partial h_t} + \bigl(\delta_{t+1}\,\varphi'(a_{t+1})\bigr)\,U^\top$$

# %%
W2, U2, b2 = np.array([[0.5, -0.7]]), np.array([[0.9, -0.6], [0.3, 0.8]]), np.array([0.1, 0.0])
x2 = np.array([[[1.0], [0.5], [-1.0]]])  # (B, T, D) = (1, 3, 1)
h2 = rnn_forward(x2, W2, U2, b2)  # (1, 3, 2)

dh2 = np.zeros_like(h2)
dh2[0, 2] = 1.0, -0.5  # the loss looks at h_3 alone; these are its immediate derivatives
da_3 = dh2[0, 2] * (1 - h2[0, 2] ** 2)

by_index = [da_3[0] * U2[i, 0] + da_3[1] * U2[i, 1] for i in (0, 1)]
print("delta_2 by index:", np.round(by_index, 3), " da_3 @ U.T:", np.round(da_3 @ U2.T, 3))
assert np.allclose(by_index, da_3 @ U2.T)


# %% jupyter={"source_hidden": true}
def column(ax, t, what, y, colour, values):
    """The two numbers of a step in a box, with their name beside it."""
    numbers = "\n".join(f"{value:+.2f}" for value in values)
    plots.box(ax, 2.6 * t - 1.2, y, numbers, colour, width=1.0, height=0.9)
    ax.text(2.6 * t - 1.8, y, rf"${what}_{t}$", color=colour, ha="right", va="center", size=12)


# %% tags=["dial"] jupyter={"source_hidden": true}
# A dial: the way back with these numbers
deltas, frames, captions = rnn_backward(x2, W2, U2, b2, h2, dh2).delta[0], [], []
for gone in range(4):
    ax = plots.canvas(None, 8.4, 3.0)
    for t in (1, 2, 3):
        at = 2.6 * t - 1.2
        column(ax, t, "h", 2.2, plots.BLUE, h2[0, t - 1])
        if t < 3:
            plots.arrow(ax, (at + 0.55, 2.2), (at + 1.6, 2.2), "$U$")
        if t > 3 - gone:
            column(ax, t, r"\delta", 0.7, plots.ORANGE, deltas[t - 1])
        if 3 - gone < t < 3:
            plots.arrow(
                ax, (at + 1.6, 0.7), (at + 0.55, 0.7), r"$\varphi'\;U^\top$", plots.ORANGE
            )
    ax.set_title("Forwards the states, backwards what the loss makes of them")
    captions.append(
        f"delta_{4 - gone} = {np.round(deltas[3 - gone], 2)}" if gone else "The states."
    )
    frames.append(ax)
alts = [
    f"Three states of two units, and the deltas reached so far. {said}" for said in captions
]
plots.dial(frames, label="steps back", values=range(4), captions=captions, alts=alts, start=3)

# %% [markdown]
# ### Exercise 1 · The backward step
# `delta_next` is $\delta_{t+1}$, `h_next` $h_{t+1}$, `dh_t` $\partial L/\partial h_t$, all $(B, H)$; the
# activation is tanh.


# %% tags=["exercise"]
def backward_step(delta_next, h_next, dh_t, U):
    """Return delta_t (B, H)."""
    ...


# %% tags=["check"]
check.backward_step()


# %% tags=["solution"] jupyter={"source_hidden": true}
# h_t acts on the loss itself (dh_t), and through h_{t+1}: back through its tanh, then through U, transposed.
def solution_backward_step(delta_next, h_next, dh_t, U):
    return dh_t + (delta_next * (1 - h_next**2)) @ U.T


check.backward_step(solution_backward_step)

# %% [markdown]
# ## 3 · The gradient is a sum of T terms
#
# At step $k$, $U_{12}$ stands in one place: $a_{k,2} = \ldots + h_{k-1,1} U_{12}$. With $h_{k-1}$ held fixed (the
# *immediate* derivative, $\partial^+$), it counts for $h_{k-1,1}\,dL/da_{k,2}$: the state of the unit it leads from, times the
# derivative at the unit it leads to. All four are the outer product $h_{k-1}^\top\,dL/da_k$, and $dL/dU$ is its sum over the steps
# (claim C09):
#
# $$\frac{dL}{dU} = \sum_{k=1}^{T} \delta_k\,\frac{\partial^+ h_k}{\partial U}
# = \sum_{k=1}^{T} h_{k-1}^\top \bigl(\delta_k\,\varphi'(a_k)\bigr)$$
#
# When the loss looks at $h_T$ alone, $\delta_k = \frac{dL}{dh_T} J_T J_{T-1} \cdots J_{k+1}$ with the Jacobians $J_t =
# \partial h_t/\partial h_{t-1}$: term $k$ has come back over the distance $T - k$.


# %%
def backward(x, W, U, b, h, dh):
    """Return delta (B, T, H) and the T terms of dL/dU (T, H, H), given dh = ∂L/∂h_t (B, T, H)."""
    B, T, H = h.shape
    delta, terms = np.empty((B, T, H)), np.empty((T, H, H))
    through = np.zeros((B, H))  # what comes back through step t + 1: nothing at t = T
    for t in reversed(range(T)):
        delta[:, t] = dh[:, t] + through
        da = delta[:, t] * (1 - h[:, t] ** 2)  # (B, H)
        before = h[:, t - 1] if t > 0 else np.zeros((B, H))  # h_0 = 0
        terms[t] = before.T @ da  # summed over the batch
        through = da @ U.T
    return delta, terms


# %% [markdown]
# Now 32 units over 50 steps and a random $dL/dh_T$. $U$ is orthogonal, as Keras starts it (its initialisation): it changes
# no length. Then the same $U$ times 2.
#
# **Predict, then run.** With the orthogonal $U$: how large is the term from 40 steps back beside the nearest? And the sum of all?

# %% tags=["guess"]
far_term = classroom.guess(
    "04.1 U orthogonal, the term from 40 steps back beside the nearest one",
    ["about as large", "about a tenth of it", "less than a thousandth of it"],
    answer=...,
)
whole_sum = classroom.guess(
    "04.2 U orthogonal, the sum of all terms beside the nearest one",
    ["less than a tenth of it", "once or twice as large", "more than ten times as large"],
    answer=...,
)


# %%
def network(seed, scale, B=32, T=50, D=4, H=32):
    """Random sequences and weights, U = scale · orthogonal, and a loss that reads h_T alone."""
    rng = np.random.default_rng(seed)
    x, W = rng.normal(size=(B, T, D)), 0.25 * rng.normal(size=(D, H))
    U, b = scale * np.linalg.qr(rng.normal(size=(H, H)))[0], np.zeros(H)
    dh = np.zeros((B, T, H))
    dh[:, -1] = rng.normal(size=(B, H)) / np.sqrt(H) / B  # mean over the batch
    return x, W, U, b, rnn_forward(x, W, U, b), dh


def sizes(terms):
    """The size (root of the sum of squares) of every term, by its distance T − k, and of their sum."""
    return np.linalg.norm(terms, axis=(1, 2))[::-1], np.linalg.norm(terms.sum(axis=0))


# %% jupyter={"source_hidden": true}
def draw(ax, by_distance, total):
    """Bars of the terms, near ones plain and far ones hatched, and the size of their sum."""
    distance = np.arange(len(by_distance))
    ax.bar(distance[:10], by_distance[:10], color="C0", label="near: under 10 steps")
    ax.bar(distance[10:], by_distance[10:], color="C1", label="far: 10 or more", hatch="///")
    plots.axes(ax, yscale="log", xlabel="distance T − k", ylabel="size of the term")
    ax.set_ylim(top=4 * total)
    plots.level(ax, total, f"the sum: {total:.3g}")


# %% tags=["outcome"] jupyter={"source_hidden": true}
# The outcome
found = {scale: sizes(backward(*network(0, scale))[1]) for scale in (1, 2)}
at_40 = {scale: size[40] / size[0] for scale, (size, _) in found.items()}
_, axs = plt.subplots(1, 2, figsize=(9.6, 3.7), layout="constrained")
for ax, size in zip(axs, found.values(), strict=True):
    draw(ax, *size)
axs[0].set_title("U orthogonal: far terms vanish")
axs[0].legend(loc="upper right", bbox_to_anchor=(1, 0.88))
axs[1].set_title("U twice as large: far terms grow")
axs[1].legend(loc="upper left")
plots.show(
    axs,
    alt=f"Two bar charts, log scale: size of each term of dL/dU against its distance. Left, U orthogonal: the bars fall "
    f"steadily; at distance 40 a term is {at_40[1]:.0e} of the nearest, while the sum, {found[1][1]:.3g}, "
    f"lies just above the nearest bar. Right, U twice as large: they grow, at distance 40 to {at_40[2]:.0f} times "
    f"the nearest, and the sum is {found[2][1]:.0f}.",
)
share = found[1][1] / found[1][0][0]
far_term.outcome(far_term.choices[np.digitize(at_40[1], [0.5, 1e-3])])
whole_sum.outcome(whole_sum.choices[np.digitize(share, [0.1, 10])])

# %%
far_share = {1: [], 2: []}  # of dL/dU, of dL/dW: term at distance 40 / nearest
for scale, shares in far_share.items():
    whole = []
    for seed in range(10):
        x, W, U, b, h, dh = network(seed, scale)
        delta, terms = backward(x, W, U, b, h, dh)
        of_U, total = sizes(terms)
        of_W, _ = sizes(np.einsum("btd,bth->tdh", x, delta * (1 - h**2)))  # x_k's share
        shares.append([of_U[40] / of_U[0], of_W[40] / of_W[0]])
        whole.append(total / of_U[0])
    low, high = np.min(shares, axis=0), np.max(shares, axis=0)
    print(f"U · {scale}, ten networks, beside the nearest term:")
    print(f"   at distance 40:        {low[0]:.0e} to {high[0]:.0e}", end="")
    print(f" (of dL/dW: {low[1]:.0e} to {high[1]:.0e})")
    print(f"   the sum of all terms:  {min(whole):.2g} to {max(whole):.2g}")

# %% [markdown]
# **What to notice.** Left, far terms vanish (*vanishing gradient*) although $U$ shrinks nothing: the factors $\varphi'(a_t) < 1$
# do. Right they grow (*exploding gradient*). "The earlier the input, the smaller its share" (claim C18) holds on the left only;
# $x_k$'s own share, $x_k^\top dL/da_k$ of $dL/dW$, behaves alike. (The
# last bars on the right fall because the first states are small; $h_0 = 0$ leaves none at 49.)

# %% tags=["dial"] jupyter={"source_hidden": true}
# A dial: the terms as U grows
scales, frames, captions = [0.5, 0.75, 1, 1.2, 1.5, 2], [], []
for scale in scales:
    terms = backward(*network(0, scale))[1]
    by_distance, total = sizes(terms)
    ax = plt.subplots(figsize=(8.4, 3.7), layout="constrained")[1]
    draw(ax, by_distance, total)
    ax.set_ylim(1e-9, 1e6)
    ax.legend(loc="upper left", ncols=2)
    ax.set_title(f"U is {scale} times an orthogonal matrix")
    part = np.linalg.norm(terms[:-10].sum(axis=0)) / total
    captions.append(
        f"U × {scale}: the term at distance 40 is {by_distance[40] / by_distance[0]:.0e} of the nearest; "
        f"the far ones, hatched, together are {part:.0%} of the gradient."
    )
    frames.append(ax)
alts = [
    f"Bars of the size of every term by distance, and the size of their sum. {said}"
    for said in captions
]
plots.dial(frames, label="scale of U", values=scales, captions=captions, alts=alts, start=2)

# %% [markdown]
# With a **loss at every step**, as for language, each adds near and far terms of its own: the far part of the whole, 20 steps
# or more, stays about as small as before. But if only the last loss needs the far past, its far part is one voice in fifty:

# %%
x, W, U, b, h, dh = network(0, 1)
far = backward(x, W, U, b, h, dh)[1][:-20].sum(axis=0)
dh_every = np.random.default_rng(1).normal(size=dh.shape) / np.sqrt(32) / 32
dh_every[:, -1] = dh[:, -1]
print("share of the gradient     far terms of all losses    of the last loss")
for name, losses in (("the last step", dh), ("every step", dh_every)):
    terms = terms_by_distance(x, W, U, b, h, losses)
    whole = np.linalg.norm(terms.sum(axis=0))
    of_all, of_last = (
        np.linalg.norm(terms[20:].sum(axis=0)) / whole,
        np.linalg.norm(far) / whole,
    )
    print(f"loss at {name:13} {of_all:22.2%} {of_last:22.2%}")

# %% [markdown]
# ### Exercise 2 · The far part
# `terms` $(T, H, H)$ come in the order of the steps. Return the size (`np.linalg.norm`) of the part of the gradient that has
# travelled `distance` steps or more, 1 to $T-1$, relative to that of the whole.


# %% tags=["exercise"]
def far_part(terms, distance):
    """Return the share of the gradient that comes from `distance` steps or more."""
    ...


# %% tags=["check"]
check.far_part()


# %% tags=["solution"] jupyter={"source_hidden": true}
# Terms are matrices and may cancel: first the sum, then its size. Term k is at place k − 1 and has distance T − k.
def solution_far_part(terms, distance):
    far = terms[: len(terms) - distance].sum(axis=0)
    return np.linalg.norm(far) / np.linalg.norm(terms.sum(axis=0))


check.far_part(solution_far_part)

# %% [markdown]
# ## 4 · What becomes of what lies far back
#
# "The gradient vanishes, so the updates become insignificant and nothing is learned" (claim C02). Far *terms* do vanish. The
# rest: a network reads 31 random signs and is asked for those 3 and 30 steps back. The loss is the binary cross-entropy.

# %%
from course.experiments import fresh

T, H, rows, asked = 31, 32, 64, (3, 30)  # rows: sequences of a batch; asked: steps back


# %%
def signs(n, rng):
    """n rows of T random signs (n, T, 1)."""
    return rng.choice([-1.0, 1.0], size=(n, T, 1)).astype("float32")


def answers(x):
    """For either question: was the sign that far back +1? Each (n, 1)."""
    return [(x[:, T - 1 - steps] > 0).astype("float32") for steps in asked]


def build():
    """A plain RNN with a logit for each question."""
    x = keras.Input((T, 1))
    h = keras.layers.SimpleRNN(H)(x)
    model = keras.Model(x, [keras.layers.Dense(1)(h) for _ in asked])
    loss = [keras.losses.BinaryCrossentropy(from_logits=True) for _ in asked]
    model.compile(keras.optimizers.Adam(3e-3), loss, jit_compile=True)
    return model


# %%
def learn(model, rng, near, far, updates):
    """Train on near · L_near + far · L_far. Return both accuracies on new sequences, and how far an update moves U."""
    x, kernels = signs(updates * rows, rng), []  # kernels: U after every update
    keep = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: kernels.append(model.get_weights()[1])
    )
    shares = [np.full(len(x), share) for share in (near, far)]
    model.fit(x, answers(x), rows, verbose=0, callbacks=[keep], sample_weight=shares)
    x = signs(1000, rng)
    W, U, b, *readouts = model.get_weights()
    h_T = rnn_forward(x, W, U, b)[:, -1]
    logits = [h_T @ V + b_V for V, b_V in (readouts[:2], readouts[2:])]
    right = [np.mean((logit > 0) == y) for logit, y in zip(logits, answers(x), strict=True)]
    return *right, np.mean(np.linalg.norm(np.diff(kernels, axis=0), axis=(1, 2)))


# %% [markdown]
# **Predict, then run.** Five networks are trained: 150 updates on far alone; from the same starts 150 on both,
# $L = \frac12 (L_\text{near} + L_\text{far})$; and the first five then 300 more on both. How many of five name the far sign in
# over 90 % of new sequences?

# %% tags=["guess"]
guess_alone = classroom.guess("04.3 far question alone", unit="networks", answer=...)
guess_both = classroom.guess("04.4 far and near at once", unit="networks", answer=...)
guess_first = classroom.guess("04.5 far first, then both", unit="networks", answer=...)

# %%
found = {how: [] for how in ("alone", "both", "far first", "alone after both")}
starts = []  # weights at the start and after 100 updates on both
for seed in range(5):
    rng, model = np.random.default_rng(seed), fresh(build, seed)
    first = model.get_weights()
    found["alone"].append(learn(model, rng, 0, 1, 150))
    found["far first"].append(learn(model, rng, 0.5, 0.5, 300))
    model = fresh(build, seed)
    learn(model, rng, 0.5, 0.5, 100)
    later = model.get_weights()
    starts.append((first, later))
    found["both"].append(learn(model, rng, 0.5, 0.5, 50))
    model = fresh(build, seed)  # with a new Adam
    model.set_weights(later)
    found["alone after both"].append(learn(model, rng, 0, 1, 150))
found = {how: np.array(runs) for how, runs in found.items()}  # (networks, 3)
learned = {how: int((runs[:, 1] > 0.9).sum()) for how, runs in found.items()}

# %% jupyter={"source_hidden": true}
shown = {
    "far question alone": found["alone"][:, 1],
    "far question, near and far at once": found["both"][:, 1],
    "near question, near and far at once": found["both"][:, 0],
    "far question, far first, then both": found["far first"][:, 1],
    "near question, far first, then both": found["far first"][:, 0],
}

# %% tags=["outcome"] jupyter={"source_hidden": true}
# The outcome
ax = plt.subplots(figsize=(8.6, 2.9), layout="constrained")[1]
for place, right in enumerate(shown.values()):
    marker, colour = ("o", "C1") if place in (0, 1, 3) else ("s", "C0")
    ax.plot(right, place + np.linspace(-0.2, 0.2, 5), marker, color=colour)
ax.set_yticks(range(5), shown)
ax.set(
    xlim=(0.4, 1.03),
    ylim=(4.5, -0.5),
    xlabel="accuracy on new sequences; a mark for each network",
)
ax.axvline(0.5, color="0.4", ls="--", label="chance")
ax.legend(loc="center")
ax.set_title("150 updates: far is learned alone, not beside near at equal weight")
said = "; ".join(
    f"{name}: {right.min():.2f} to {right.max():.2f}" for name, right in shown.items()
)
plots.show(ax, alt=f"Accuracies of five networks. {said}.")
guess_alone.outcome(learned["alone"], margin=1)
guess_both.outcome(learned["both"], margin=1)
guess_first.outcome(learned["far first"], margin=1)

# %%
for how, runs in found.items():
    moved, know_both = runs[:, 2], (runs[:, :2] > 0.9).all(axis=1).sum()
    print(f"{how:17} far learned: {learned[how]} of 5, far and near: {know_both}", end="")
    print(f"; an update moves U by {moved.min():.3f} to {moved.max():.3f}")
assert found["both"][:, 2].mean() > found["alone"][:, 2].mean() / 2
assert learned["alone after both"] < 3 < learned["alone"]

# %% [markdown]
# **What to notice.** Alone, the far sign is learned: vanishing terms do not forbid it. Beside the near question at equal weight
# it is not, though with Adam the updates of $U$ are of the same order. One network can know both: those that knew far first do,
# after 300 more. But left with far alone after 100 updates on both, with a new Adam, most learn nothing in 150. What does the
# near question do to the far one?
#
# ### Signal and noise
# A batch's gradient is the mean over all batches, the *signal*, plus a deviation, the *noise*. We measure both **at equal
# loss**: the same network and read-out $V$, every answer ½, either loss $\ln 2$. (By a logit the cross-entropy has
# the derivative $\sigma - y$, here $\frac12 - y$.) For the signal we take *twins*, two sequences that differ only in the sign
# asked for. In their mean gradient, (own + other)/2, what they have in common cancels.


# %%
def pulls(weights, x, steps, V):
    """What each sequence sends to U (n, H, H) when the answer is ½: dL/dh_T = (½ − y) V."""
    x, (W, U, b) = x.astype("float64"), (w.astype("float64") for w in weights[:3])
    h, y = rnn_forward(x, W, U, b), x[:, T - 1 - steps] > 0
    delta = rnn_backward(x, W, U, b, h, (0.5 - y) * V).delta
    before = np.concatenate([np.zeros_like(h[:, :1]), h[:, :-1]], axis=1)  # h_{t−1}
    return before.transpose(0, 2, 1) @ (delta * (1 - h**2))


def signal_and_noise(weights, steps, seed, n=640):
    """Size of a batch's gradient, of the signal in it and of the noise."""
    rng = np.random.default_rng(seed)
    x, V = signs(n, rng), rng.normal(size=H) / np.sqrt(H)
    twin = x.copy()
    twin[:, T - 1 - steps] *= -1
    own, other = pulls(weights, x, steps, V), pulls(weights, twin, steps, V)
    batches = own.reshape(-1, rows, H, H).mean(axis=1)
    noise = np.sqrt(((batches - batches.mean(axis=0)) ** 2).sum(axis=(1, 2)).mean())
    signal = np.linalg.norm((own + other).mean(axis=0) / 2)
    return np.linalg.norm(batches, axis=(1, 2)).mean(), signal, noise


# %%
strength = np.array(
    [
        [[signal_and_noise(w, s, seed) for s in asked] for w in pair]
        for seed, pair in enumerate(starts)
    ]
)  # (networks, start or later, near or far, 3)
ratio = strength[..., 1] / strength[..., 2]
print("medians of five networks    batch's gradient   signal   noise   signal/noise   batches")
for when, name in enumerate(("at the start", "after 100 updates on both")):
    for question, steps in enumerate(asked):
        size, signal, noise = np.median(strength[:, when, question], axis=0)
        middle = np.median(ratio[:, when, question])
        print(f"{name:25} {steps:2} back {size:10.2f} {signal:12.4f}", end="")
        print(f"{noise:8.2f} {middle:14.3f}   {max(1, middle**-2):.0e}")

# %% [markdown]
# **What to notice.** The noise is alike in all rows, and the far gradient of one batch is hardly more: not small, but blind. The
# last column says over how many batches to average until the noise is as small as the *signal*: some dozens for the far one at the
# start, a million or so after 100 updates on both, when the near sign is known: the way back has closed, at least for a while.
# So C02 does not hold as it stands: far terms vanish, the gradient does not, and what is learned depends on signal against
# noise and on what else pulls. (Weigh them 0.05 and 0.95, or train longer: `learn` does both.)
#
# ### Exercise 3 · Signal to noise
# `gradients` $(n, H, H)$ are those of $n$ batches. Return the size of their mean over the root of their mean squared distance from it.


# %% tags=["exercise"]
def signal_to_noise(gradients):
    """Return signal / noise of the gradient of a single batch."""
    ...


# %% tags=["check"]
check.signal_to_noise()


# %% tags=["solution"] jupyter={"source_hidden": true}
# Signal is what is left when gradients are averaged, so first the mean, then its size; noise is the distance from it.
def solution_signal_to_noise(gradients):
    mean = gradients.mean(axis=0)
    squares = ((gradients - mean) ** 2).sum(axis=(1, 2))
    return np.linalg.norm(mean) / np.sqrt(squares.mean())


check.signal_to_noise(solution_signal_to_noise)

# %% [markdown]
# ## 5 · The whole backward pass, and two judges
#
# With $dL/da_t = \delta_t\,\varphi'(a_t)$,
#
# $$\frac{dL}{dW} = \sum_t x_t^\top \frac{dL}{da_t} \qquad \frac{dL}{dU} = \sum_t h_{t-1}^\top \frac{dL}{da_t}
# \qquad \frac{dL}{db} = \sum_t \sum_{\text{batch}} \frac{dL}{da_t}$$
#
# ### Exercise 4 · The whole backward pass
# The states follow targets `y` $(B, T, H)$; the loss is Keras' mean squared error, $L = \frac{1}{B\,T\,H}\sum (h - y)^2$.
# Return $\delta$ $(B, T, H)$ and the gradients of $W$, $U$ and $b$, with $h_0 = 0$. The check names the first wrong step of
# $\delta$, going backwards.


# %% tags=["exercise"]
def full_backward(x, y, W, U, b):
    """Return delta, dW, dU, db."""
    ...


# %% tags=["check"]
check.full_backward()


# %% tags=["solution"] jupyter={"source_hidden": true}
# delta goes from the last step to the first; every weight then sums what it gave to a_t over steps and batch.
def solution_full_backward(x, y, W, U, b):
    h = rnn_forward(x, W, U, b)
    dh = 2 * (h - y) / h.size  # the mean over B T H numbers of (h − y)², differentiated
    delta, through = np.empty_like(h), 0
    dW, dU, db = np.zeros_like(W), np.zeros_like(U), np.zeros_like(b)
    for t in reversed(range(h.shape[1])):
        delta[:, t] = dh[:, t] + through
        da = delta[:, t] * (1 - h[:, t] ** 2)
        dW += x[:, t].T @ da
        dU += h[:, t - 1].T @ da if t > 0 else 0  # h_0 = 0; h[:, −1] would be the last state
        db += da.sum(axis=0)
        through = da @ U.T
    return delta, dW, dU, db


check.full_backward(solution_full_backward)

# %% [markdown]
# `rnn_backward` in [`course/by_hand/backward.py`](../course/by_hand/backward.py) is this loop. Two judges (a *gradient check*):
# **finite differences** nudge every weight and know nothing of the chain rule; **Keras** differentiates its own program, and a
# step of SGD with learning rate 1 subtracts the gradient.

# %%
B, T, D, H = 4, 20, 3, 5
model = keras.Sequential(
    [keras.Input((T, D)), keras.layers.SimpleRNN(H, return_sequences=True)]
)
model.compile(
    keras.optimizers.SGD(learning_rate=1.0), loss="mse", run_eagerly=True
)  # five steps only


def relative(a, b):
    """How far a is from b, relative to b's largest number."""
    return np.abs(a - b).max() / np.abs(b).max()


# %%
def judged(seed):
    """The error of rnn_backward's dW, dU, db, first by finite differences, then by Keras."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(B, T, D)), rng.normal(size=(B, T, H))
    WUb = [rng.normal(0, 0.5, shape) for shape in ((D, H), (H, H), (H,))]
    h = rnn_forward(x, *WUb)
    ours = rnn_backward(x, *WUb, h, 2 * (h - y) / h.size)
    model.set_weights(WUb)
    old = model.get_weights()
    model.train_on_batch(x, y)
    errors = []
    for i, own in enumerate((ours.W, ours.U, ours.b)):

        def loss(w, i=i):
            return np.mean((rnn_forward(x, *WUb[:i], w, *WUb[i + 1 :]) - y) ** 2)

        lost = old[i] - model.get_weights()[i]
        errors.append([relative(finite_differences(loss, WUb[i]), own), relative(lost, own)])
    return errors


by_differences, by_autodiff = np.max([judged(seed) for seed in range(5)], axis=0).T
print("largest error of five, finite differences and Keras")
for name, *errors in zip("WUb", by_differences, by_autodiff, strict=True):
    print(f"dL/d{name}   {errors[0]:.0e}   {errors[1]:.0e}")

# %% [markdown]
# (Keras computes in float32.)
#
# ### Exercise 5 · Find the planted bug
# It is right for one unit and wrong for five.


# %%
def suspicious_backward(x, W, U, b, h, dh):
    delta, through = np.empty_like(h), 0  # line 1
    for t in reversed(range(h.shape[1])):  # line 2
        delta[:, t] = dh[:, t] + through  # line 3
        through = (delta[:, t] @ U.T) * (1 - h[:, t] ** 2)  # line 4
    da = delta * (1 - h**2)  # line 5
    before = np.concatenate([np.zeros_like(h[:, :1]), h[:, :-1]], axis=1)  # line 6
    dW = sum(x[:, t].T @ da[:, t] for t in range(h.shape[1]))  # line 7
    dU = sum(before[:, t].T @ da[:, t] for t in range(h.shape[1]))  # line 8
    return delta, dW, dU


# %%
for units in (1, 5):
    case = network(0, 1, T=6, H=units)
    delta, dW, dU = suspicious_backward(*case)
    right = rnn_backward(*case)
    wrong = [
        t for t in range(6, 0, -1) if relative(delta[:, t - 1], right.delta[:, t - 1]) > 1e-9
    ]
    print(f"H = {units}: wrong steps of delta, going backwards: {wrong or 'none'}")
    print(f"       error of dW {relative(dW, right.W):.0e}, of dU {relative(dU, right.U):.0e}")

# %% [markdown]
# Which line is wrong?

# %% tags=["exercise"]
wrong_line = ...

# %% tags=["check"]
check.wrong_line()

# %% tags=["solution"] jupyter={"source_hidden": true}
# Forwards h goes through U, then tanh; so backwards through the tanh first, then U.T: (delta (1 − h²)) @ U.T.
solution_wrong_line = 4
check.wrong_line(solution_wrong_line)

# %% [markdown]
# <details><summary>For those who want more: what a longer sequence costs</summary>
#
# The number of weights does not depend on $T$. The way back as written here visits every $h_t$ of the way forwards, so
# time and memory grow in proportion to $T$. For the memory there are other ways. *Checkpointing* keeps every $\sqrt T$-th
# state and computes the others again when the way back needs them: the same gradient, memory of order $\sqrt T$, one more
# way forwards. *Real-time recurrent learning* (RTRL; R. J. Williams and D. Zipser, *A learning algorithm for continually running
# fully recurrent neural networks*, Neural Computation 1, 1989) carries the derivatives $dh_t/dU$ *forwards* along with the state and
# keeps nothing of the past; that is $H^3$ numbers and about $H^4$ products per step, and exact while the weights do not
# change on the way. *Truncation* goes back a fixed number of steps only and accepts an error: [lesson 06](06_why_training_blows_up.ipynb).
#
# </details>

# %% [markdown]
# ## Measured
#
# Ten networks for the terms, five for the rest.

# %%
# NBVAL_CHECK_OUTPUT
know_both = np.sum((found["far first"][:, :2] > 0.9).all(axis=1))
below, above = np.max(far_share[1]), np.min(far_share[2])  # terms of dL/dU and of dL/dW
fall = strength[:, 0, 1, 1] / strength[:, 1, 1, 1]
verdicts = {
    "live, C09: the T terms add up to what finite differences and Keras find": (
        by_differences.max() < 1e-9 and by_autodiff.max() < 2e-6
    ),
    "live, C18: U orthogonal, 40 back a term is below 1/5000 of the nearest": below < 2e-4,
    "live, C18 fails for U doubled: there it is over 30 times the nearest": above > 30,
    "live, C02: asked alone, the far sign is learned; beside the near one, by none": (
        np.median(found["alone"][:, 1]) > 0.95 and found["both"][:, 1].max() < 0.6
    ),
    "live, C02: four or more of five that learned far first then know both": know_both >= 4,
    "live, C02: 100 updates on both cut the far signal to under 1/60": np.median(fall) > 60,
}
for claim, holds in verdicts.items():
    print("holds " if holds else "FAILS ", claim)
assert all(verdicts.values())

# %%
classroom.tally()

# %% [markdown]
# ## Quiz

# %%
classroom.quiz("quizzes/04_backpropagation_through_time.json")

# %% [markdown]
# ## Three things to take away
#
# 1. Backpropagation through time is one line,
#    $\delta_t = \partial L/\partial h_t + (\delta_{t+1}\,\varphi'(a_{t+1}))\,U^\top$, from the last step to the first; $dL/dU$
#    is the sum of $h_{t-1}^\top dL/da_t$ over the steps.
# 2. It is the far *terms* that vanish, not the gradient, in which near ones dominate (Bengio, Simard and Frasconi, 1994): its
#    size does not tell what it knows of the far past.
# 3. A far question can be learned alone, and be lost beside a near one of equal weight.
#
# **Next:** [05 · Why does a plain RNN lose what came early?](05_why_it_forgets.ipynb)
#
# **References.** P. J. Werbos, *Backpropagation through time: what it does and how to do it*, Proceedings of the IEEE 78
# (1990). Y. Bengio, P. Simard and P. Frasconi, *Learning long-term dependencies with gradient descent
# is difficult*, IEEE Transactions on Neural Networks 5 (1994). R. Pascanu, T. Mikolov and Y. Bengio, *On the difficulty of training recurrent neural
# networks*, ICML (2013).
