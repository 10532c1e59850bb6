# %% [markdown]
# # 04 · How does the gradient travel back through time?
#
# Training needs the gradient of the loss with respect to weights that were used at *every* step. In this lesson you
# follow the gradient back through time on paper and in code, take it apart into one term per step, hold your own
# backward pass against two independent judges, and see what is lost when the way back is cut short.
#
# **You will be able to**
# - write the backward step of an RNN, and tell a total from an immediate derivative;
# - take $dL/dU$ apart into $T$ terms, and say which of them vanish and which do not;
# - check a gradient, and find the first time step at which it goes wrong;
# - say what truncation cuts, what it costs, and what `stateful=True` carries on;
# - predict how time and memory grow with the length of the sequence.
#
# **60 minutes** · needs: the chain rule, matrix products · before: [01](01_what_an_rnn_computes.ipynb) ·
# letters: [notation](../docs/notation.md)

# %%
from course import classroom, plots
from course.by_hand import rnn_forward
from course.classroom.exercises import lesson_04 as check
import keras  # takes some ten seconds, once per lesson
import matplotlib.pyplot as plt
import numpy as np

keras.utils.set_random_seed(4)

# %% [markdown]
# ## 1 · Three steps on paper
#
# Take one unit, one feature and three steps: $a_t = x_t W + h_{t-1} U + b$ and $h_t = \tanh a_t$. The loss
# looks at every state: $L = \frac12 \sum_t (h_t - y_t)^2$. Forwards, $h_1$ goes into $h_2$, and $h_2$ into $h_3$. So
# $h_1$ acts on the loss in two ways: directly, and through all that follows.


# %%
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


# %%
plots.show(
    picture(),
    alt="Three boxes h_1, h_2, h_3 in a row, above each a box for the loss at that step. Grey arrows lead forwards, "
    "from each state to the next along U and up to its loss. Orange arrows lead back: from each loss down to its "
    "state, the immediate derivative, and from each state to the one before, times phi'(a) and U transposed. Below "
    "each state stands delta, the sum of what arrives there.",
)

# %% [markdown]
# Follow the orange arrows from right to left. With $\tanh' = 1 - \tanh^2$, so that $\varphi'(a_t) = 1 - h_t^2$:
#
# $$\begin{aligned}
# \delta_3 &= h_3 - y_3 \\
# \delta_2 &= h_2 - y_2 + \delta_3\,(1 - h_3^2)\,U \\
# \delta_1 &= h_1 - y_1 + \delta_2\,(1 - h_2^2)\,U
# \end{aligned}$$
#
# $\delta_t = dL/dh_t$ is the *total* derivative, through everything that follows. $\partial L/\partial h_t = h_t - y_t$ is
# what the loss sees of $h_t$ itself, all later states held fixed: the *immediate* derivative.

# %%
W, U, b = 0.5, 0.8, 0.1
x, y = [1.0, 0.5, -1.0], [0.3, 1.0, 0.5]

h_0 = 0.0
h_1 = np.tanh(x[0] * W + h_0 * U + b)
h_2 = np.tanh(x[1] * W + h_1 * U + b)
h_3 = np.tanh(x[2] * W + h_2 * U + b)

# %%
delta_3 = h_3 - y[2]
delta_2 = h_2 - y[1] + delta_3 * (1 - h_3**2) * U
delta_1 = h_1 - y[0] + delta_2 * (1 - h_2**2) * U

# %% [markdown]
# Do not believe it: nudge $h_t$ by a little, once with the later states held fixed, once letting them follow, and
# see how much the loss moves.


# %%
def loss_when(t, h_t, follow):
    """The loss when step t has the state h_t; later states follow, or stay as they were."""
    h = [h_1, h_2, h_3]
    h[t - 1] = h_t
    for k in range(t, 3 if follow else t):
        h[k] = np.tanh(x[k] * W + h[k - 1] * U + b)
    return 0.5 * sum((h_k - y_k) ** 2 for h_k, y_k in zip(h, y, strict=True))


# %%
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
# **What to notice.** At step 3 both derivatives are equal: nothing follows. At steps 1 and 2 they differ, at step 1
# even in sign: a larger $h_1$ by itself raises the loss, and yet, with all that follows from it, lowers it. Training
# needs the total derivative.
#
# With more units, $\delta_t$ is a row per sequence, and the way back is $U$ transposed:
#
# $$\delta_t = \frac{\partial L}{\partial h_t} + \bigl(\delta_{t+1}\,\varphi'(a_{t+1})\bigr)\,U^\top$$
#
# ### Exercise 1 · The backward step
# Write it for a batch. `delta_next` is $\delta_{t+1}$, `h_next` is $h_{t+1}$, `dh_t` is $\partial L/\partial h_t$, all
# $(B, H)$; the activation is tanh.


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
# ## 2 · The gradient is a sum of T terms
#
# $U$ is used at every step, so it gets a contribution from every step. Hold $h_{k-1}$ fixed: the *immediate* derivative
# $\partial^+ h_k/\partial U$ tells how $U$ acts at step $k$ alone. Then (claim C09)
#
# $$\frac{dL}{dU} = \sum_{k=1}^{T} \delta_k\,\frac{\partial^+ h_k}{\partial U}
# = \sum_{k=1}^{T} h_{k-1}^\top \bigl(\delta_k\,\varphi'(a_k)\bigr)$$
#
# When the loss looks at $h_T$ alone, $\delta_k = \frac{dL}{dh_T}\frac{\partial h_T}{\partial h_{T-1}} \cdots
# \frac{\partial h_{k+1}}{\partial h_k}$: term $k$ is what has come back over the distance $T - k$. In code, the
# backward step in a loop, and one outer product per step:


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
        terms[t] = before.T @ da
        through = da @ U.T
    return delta, terms


# %% [markdown]
# Now a network of 32 units over 50 steps, with a random direction $dL/dh_T$ for a loss. $U$ is orthogonal, as Keras
# starts it: it neither stretches nor shrinks. Beside it, the same $U$ times 2.
#
# **Predict, then run.** With the orthogonal $U$: how large is the term from 40 steps back beside the nearest one? And
# the sum of all terms, which is the gradient, beside the nearest one?

# %% tags=["guess"]
far_term = classroom.guess(
    "04: U orthogonal, the term from 40 steps back beside the nearest one",
    ["about as large", "about a tenth of it", "less than a thousandth of it"],
    answer=...,
)
whole_sum = classroom.guess(
    "04: U orthogonal, the sum of all terms beside the nearest one",
    ["less than a tenth of it", "once or twice as large", "more than ten times as large"],
    answer=...,
)


# %%
def network(seed, stretch, B=32, T=50, D=4, H=32):
    """Random sequences and weights, U = stretch · orthogonal, and a loss that reads h_T alone."""
    rng = np.random.default_rng(seed)
    x, W = rng.normal(size=(B, T, D)), 0.25 * rng.normal(size=(D, H))
    U, b = stretch * np.linalg.qr(rng.normal(size=(H, H)))[0], np.zeros(H)
    dh = np.zeros((B, T, H))
    dh[:, -1] = rng.normal(size=(B, H)) / np.sqrt(H) / B  # mean over the batch
    return x, W, U, b, rnn_forward(x, W, U, b), dh


# %%
def norms(terms):
    """The norm of every term, by its distance T − k, and that of their sum."""
    return np.linalg.norm(terms, axis=(1, 2))[::-1], np.linalg.norm(terms.sum(axis=0))


# %%
def draw(ax, by_distance, total):
    """Bars of the terms, near ones plain and far ones hatched, and the norm of their sum."""
    d = np.arange(len(by_distance))
    ax.bar(d[:10], by_distance[:10], color="C0", label="near")
    ax.bar(d[10:], by_distance[10:], color="C1", label="far", hatch="///")
    plots.axes(ax, yscale="log", xlabel="distance T − k", ylabel="norm of the term")
    ax.set_ylim(top=4 * total)
    plots.level(ax, total, f"norm of the sum: {total:.3g}")


sizes = {stretch: norms(backward(*network(0, stretch))[1]) for stretch in (1, 2)}
at_40 = {stretch: d[40] / d[0] for stretch, (d, _) in sizes.items()}

# %% tags=["outcome"] jupyter={"source_hidden": true}
# The outcome
_, axs = plt.subplots(1, 2, figsize=(9.2, 3.7))
for ax, size in zip(axs, sizes.values(), strict=True):
    draw(ax, *size)
axs[0].set_title("U orthogonal: far terms vanish")
axs[0].legend(loc="center right")
axs[1].set_title("U twice as large: far terms grow")
axs[1].legend(loc="center left")
plots.show(
    axs,
    alt=f"Two bar charts, log scale: norm of each term of dL/dU against its distance. Left, U orthogonal: the bars fall "
    f"steadily; at distance 40 a term is {at_40[1]:.0e} of the nearest, while the norm of the sum, {sizes[1][1]:.3g}, "
    f"lies just above the nearest bar. Right, U twice as large: they grow, at distance 40 to {at_40[2]:.0f} times "
    f"the nearest, and the sum is {sizes[2][1]:.0f}.",
)
share = sizes[1][1] / sizes[1][0][0]
far_term.outcome(far_term.choices[np.digitize(at_40[1], [0.5, 1e-3])])
whole_sum.outcome(whole_sum.choices[np.digitize(share, [0.1, 10])])

# %% [markdown]
# **What to notice.** Left, the far terms vanish, although an orthogonal $U$ shrinks nothing: the factors
# $\varphi'(a_t) < 1$ do. But the *sum* is between one and two times as large as the nearest term. A vanishing gradient is not a small gradient: it is
# one that no longer knows of the far past. Right, the far terms decide everything. (The bar at distance 49 is missing:
# the first step starts from $h_0 = 0$, so its term is zero.)
#
# "The earlier the input, the smaller its share" (claim C18) holds on the left and is wrong on the right.

# %%
far_share, sum_share = {}, {}
for stretch in (1, 2):
    found = [norms(backward(*network(seed, stretch))[1]) for seed in range(10)]
    far = far_share[stretch] = np.array([d[40] / d[0] for d, _ in found])
    whole = sum_share[stretch] = np.array([total / d[0] for d, total in found])
    print(f"U · {stretch}, ten networks, beside the nearest term:")
    print(f"   the term at distance 40: {far.min():.0e} to {far.max():.0e}")
    print(f"   the sum of all terms:    {whole.min():.2g} to {whole.max():.2g}")

# %% [markdown]
# ## 3 · The whole backward pass, and two judges
#
# The other weights get their gradients in the same way, from $da_t = dL/da_t = \delta_t\,\varphi'(a_t)$:
#
# $$\frac{dL}{dW} = \sum_t x_t^\top da_t \qquad \frac{dL}{dU} = \sum_t h_{t-1}^\top da_t
# \qquad \frac{dL}{db} = \sum_t \sum_{\text{batch}} da_t$$
#
# ### Exercise 2 · The whole backward pass
# The states are to follow targets `y` $(B, T, H)$, and the loss is the mean squared error as Keras takes it,
# $L = \frac{1}{B\,T\,H}\sum (h - y)^2$. Return $\delta$ $(B, T, H)$ and the gradients of $W$, $U$ and $b$, with
# $h_0 = 0$. If $\delta$ is wrong, the check names the first wrong step going backwards.


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
    dh = 2 * (h - y) / h.size
    delta, through = np.empty_like(h), 0
    for t in reversed(range(h.shape[1])):
        delta[:, t] = dh[:, t] + through
        through = (delta[:, t] * (1 - h[:, t] ** 2)) @ U.T
    da = delta * (1 - h**2)  # (B, T, H)
    before = np.concatenate([np.zeros_like(h[:, :1]), h[:, :-1]], axis=1)  # h_{t−1}
    dW = np.einsum("btd,bth->dh", x, da)
    dU = np.einsum("bti,btj->ij", before, da)
    return delta, dW, dU, da.sum(axis=(0, 1))


check.full_backward(solution_full_backward)

# %% [markdown]
# The course keeps this pass in [`course/by_hand/backward.py`](../course/by_hand/backward.py): `rnn_backward` is the loop above, with any
# activation and initial state. Two judges decide whether it is right. **Finite differences** nudge every weight and
# know nothing of the chain rule. **Keras** differentiates its own program; one step of gradient descent with learning
# rate 1 *subtracts the gradient*, so the gradient is what the weights have lost.

# %%
from course.by_hand import finite_differences, rnn_backward


def by_keras(model, x, y):
    """The gradient of every weight: what one step of SGD with learning rate 1 subtracts."""
    old = model.get_weights()
    model.train_on_batch(x, y)
    return [before - after for before, after in zip(old, model.get_weights(), strict=True)]


# %%
B, T, D, H = 4, 20, 3, 5
model = keras.Sequential(
    [keras.Input((T, D)), keras.layers.SimpleRNN(H, return_sequences=True)]
)
model.compile(keras.optimizers.SGD(learning_rate=1.0), loss="mse", jit_compile=True)

# %% [markdown]
# Every judge works on random weights, biases included, and sizes that all differ, so that a transposed product cannot
# pass unseen. NumPy computes in float64, Keras in float32, which keeps about seven digits.


# %%
def relative(a, b):
    """How far a is from b, relative to b's largest number."""
    return np.abs(a - b).max() / np.abs(b).max()


def problem(seed):
    """Random x, targets y and weights W, U, b."""
    rng = np.random.default_rng(seed)
    weights = [rng.normal(0, 0.5, shape) for shape in ((D, H), (H, H), (H,))]
    return rng.normal(size=(B, T, D)), rng.normal(size=(B, T, H)), weights


# %%
def judged(seed):
    """The error of rnn_backward's dW, dU, db, first by finite differences, then by Keras."""
    x, y, p = problem(seed)
    h = rnn_forward(x, *p)
    ours = rnn_backward(x, *p, h, 2 * (h - y) / h.size)
    nudged, by_model = [], []
    model.set_weights(p)
    for place, gradient in enumerate(by_keras(model, x, y)):

        def loss(w, place=place):
            return np.mean((rnn_forward(x, *p[:place], w, *p[place + 1 :]) - y) ** 2)

        own = (ours.W, ours.U, ours.b)[place]
        nudged.append(relative(finite_differences(loss, p[place]), own))
        by_model.append(relative(gradient, own))
    return nudged, by_model


# %%
judgements = np.array([judged(seed) for seed in range(5)])  # (seeds, 2 judges, 3 weights)
by_differences, by_autodiff = judgements.max(axis=0)
print("largest error of five, finite differences and Keras")
for name, *errors in zip("WUb", by_differences, by_autodiff, strict=True):
    print(f"dL/d{name}   {errors[0]:.0e}   {errors[1]:.0e}")

# %% [markdown]
# ### Exercise 3 · Find the planted bug
# This backward pass passes its test with one unit. With five units it fails.


# %%
def suspicious_backward(x, W, U, b, h, dh):
    delta, through = np.empty_like(h), 0  # line 1
    for t in reversed(range(h.shape[1])):  # line 2
        delta[:, t] = dh[:, t] + through  # line 3
        through = (delta[:, t] @ U.T) * (1 - h[:, t] ** 2)  # line 4
    da = delta * (1 - h**2)  # line 5
    before = np.concatenate([np.zeros_like(h[:, :1]), h[:, :-1]], axis=1)  # line 6
    dW = np.einsum("btd,bth->dh", x, da)  # line 7
    dU = np.einsum("bti,btj->ij", before, da)  # line 8
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
# Which line is wrong? Answer with its number.

# %% tags=["exercise"]
wrong_line = ...

# %% tags=["check"]
check.wrong_line()

# %% tags=["solution"] jupyter={"source_hidden": true}
# Forwards h goes through U, then tanh; so backwards through the tanh first, then U.T: (delta (1 − h²)) @ U.T.
solution_wrong_line = 4
check.wrong_line(solution_wrong_line)

# %% [markdown]
# ## 4 · Near is learned, far is not, in one run
#
# "The gradient vanishes, so the updates become insignificant and nothing is learned" (claim C02). Put it to the test:
# *one* network, one loss, two questions. The input is a row of 31 random signs. At the end the network is to name
# the sign from 3 steps back and the sign from 30 steps back. Both answers are read from $h_T$ in the same way, with
# binary cross-entropy $L = \frac12(L_\text{near} + L_\text{far})$.


# %%
def two_questions(n, rng, T=31, near=3, far=30):
    """Signs x (n, T, 1), and y (n, 2): was the sign `near` steps back +1, and the one `far` steps back?"""
    x = rng.choice([-1.0, 1.0], size=(n, T, 1)).astype("float32")
    return x, (x[:, [T - 1 - near, T - 1 - far], 0] > 0).astype("float32")


# %%
x, y = two_questions(3, np.random.default_rng(0))
for signs, answer in zip(x[..., 0].astype(int), y.astype(int), strict=True):
    print(f"first sign {signs[0]:2}, last four {signs[-4:]}: near, far = {answer}")

# %% [markdown]
# The model starts in the way Keras starts it. `fresh` builds it with new weights for every seed and saves
# compiling it again.

# %%
from course.experiments import fresh

settings = {"units": 32, "learning_rate": 1e-3, "batch_size": 64}
updates_per_epoch, epochs, seeds = 80, 5, range(5)


# %%


def build(units, learning_rate):
    """A plain RNN with two logits."""
    model = keras.Sequential(
        [keras.Input((31, 1)), keras.layers.SimpleRNN(units), keras.layers.Dense(2)]
    )
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(learning_rate), loss, jit_compile=True)
    return model


# %% [markdown]
# Alongside we watch the gradient itself. The derivative of cross-entropy by the logit is $\sigma(z) - y$, so each
# question has its own $dL/dh_T$, and `rnn_backward` gives the terms of each. For both, by distance.


# %%
def terms_of_both(model, x, y):
    """The terms of dL_near/dU and dL_far/dU, from the model's present weights, in float64."""
    W, U, b, V, c = (w.astype("float64") for w in model.get_weights())
    x = x.astype("float64")
    h = rnn_forward(x, W, U, b)
    dz = (1 / (1 + np.exp(-(h[:, -1] @ V + c))) - y) / y.size  # (B, 2)
    return [rnn_backward(x, W, U, b, h, dz[:, [j]] @ V[:, [j]].T).terms for j in (0, 1)]


# %%
def train(seed):
    """Accuracy (epochs, 2) on sequences drawn afresh, and the terms of a batch of 64 and of 1,600 at the end."""
    rng, accuracy = np.random.default_rng(seed), []
    model = fresh(build, seed, units=settings["units"], learning_rate=settings["learning_rate"])
    x_test, y_test = two_questions(1000, rng)
    for epoch in range(epochs + 1):
        if epoch > 0:
            x, y = two_questions(updates_per_epoch * settings["batch_size"], rng)
            model.fit(x, y, batch_size=settings["batch_size"], verbose=0)
        accuracy.append(np.mean((np.asarray(model(x_test)) > 0) == y_test, axis=0))
    small, large = (terms_of_both(model, *two_questions(n, rng)) for n in (64, 1600))
    return np.array(accuracy), small, large


# %%
runs = [train(seed) for seed in seeds]
accuracies = np.array([accuracy for accuracy, _, _ in runs])  # (seeds, epochs + 1, 2)
end = accuracies[:, -1]
missed = end[:, 1] < 0.6  # runs that have not learned the far sign

# %%
ax = plots.lines(
    np.arange(epochs + 1) * updates_per_epoch,
    {"3 steps back": accuracies[:, :, 0], "30 steps back": accuracies[:, :, 1]},
    xlabel="updates",
    ylabel="accuracy on new sequences",
    ylim=(0, 1.03),
)
ax.set_title("One network, one loss: the near sign is learned, the far one is not")
plots.level(ax, 0.5, "chance")
plots.show(
    ax,
    alt=f"Accuracy against updates, median and range over five seeds. For the sign 3 steps back it reaches "
    f"{end[:, 0].min():.2f} in every run; for the sign 30 steps back it ends between "
    f"{end[:, 1].min():.2f} and {end[:, 1].max():.2f}.",
)

# %%
from statsmodels.stats.proportion import proportion_confint

for question, name in enumerate(("3 steps back", "30 steps back")):
    solved = int((accuracies[:, -1, question] > 0.99).sum())
    low, high = proportion_confint(solved, len(seeds), method="wilson")
    print(
        f"{name:13} learned in {solved} of {len(seeds)} runs, interval {low:.2f} to {high:.2f}"
    )

# %% [markdown]
# The line is the median of five runs, the band their range. The interval says that another start may well find the far
# sign; lesson 05 counts over many starts and distances. What does the gradient look like at the end of a run that has
# not found it, question by question?
#
# **Predict, then run.** At the end, how large is the gradient of the question that has *not* been learned, beside that of
# the one that has?

# %% tags=["guess"]
unlearned = classroom.guess(
    "04: gradient of the question not learned, beside that of the one learned",
    ["less than half of it", "about as large", "more than twice as large"],
    answer=...,
)


# %%
def sizes_of(which):
    """Norms of the terms (runs, 2, T) and of their sum (runs, 2), where the far sign was missed."""
    chosen = [run for run, miss in zip(runs, missed, strict=True) if miss]
    found = [[norms(terms) for terms in run[which]] for run in chosen]
    return tuple(np.array([[pair[i] for pair in both] for both in found]) for i in (0, 1))


(terms_64, total_64), (_, total_1600) = sizes_of(1), sizes_of(2)
learned_64, unlearned_64 = total_64.T

# %% tags=["outcome"] jupyter={"source_hidden": true}
# The outcome
curves = {"3 steps back: learned": terms_64[:, 0], "30 steps back: not learned": terms_64[:, 1]}
ax = plots.lines(
    np.arange(30),  # not 31: the term of the first step is zero, as h_0 = 0
    {name: terms[:, :30] for name, terms in curves.items()},
    yscale="log",
    xlabel="distance T − k",
    ylabel="norm of the term of dL/dU",
)
ax.set_title("Not learned, and yet the larger gradient: it is made of near terms")
plots.show(
    ax,
    alt="Norm of each term of dL/dU after training against distance, log scale, median and range over the runs. Both "
    f"curves fall by orders of magnitude over 29 steps. The one of the question that was not learned lies above: its "
    f"sum is {np.median(unlearned_64):.2f}, against {np.median(learned_64):.3f} for the learned one.",
)
times = np.median(unlearned_64 / learned_64)
unlearned.outcome(unlearned.choices[np.digitize(times, [0.5, 2])])

# %% tags=["outcome"] jupyter={"source_hidden": true}
# The outcome
last, fewer = terms_64[:, 1, 29] / unlearned_64, unlearned_64 / total_1600[:, 1]
print(f"gradient of the learned question:   {learned_64.min():.3f} to {learned_64.max():.3f}")
print(
    f"gradient of the unlearned question: {unlearned_64.min():.3f} to {unlearned_64.max():.3f}"
)
print(f"   its term from 29 steps back:     {last.min():.0e} to {last.max():.0e} of that")
print(
    f"   averaged over 1,600 sequences:   {fewer.min():.1f} to {fewer.max():.1f} times smaller"
)

# %% [markdown]
# **What to notice.** (Median and range over the runs that missed it.) The updates are anything but insignificant: the question that is *not* learned sends back the larger
# gradient. (No wonder: the other has hardly any error left.) It consists of near terms, which meet signs that have nothing to do with the answer. So a good part of it is
# noise, and shrinks when more sequences are averaged. The term that meets the first sign directly, from 29 steps back, is still
# there, more than a thousand times smaller. The claim C02 is half right: the far *terms* vanish; the gradient does not.

# %% [markdown]
# ## 5 · Cutting the way back short
#
# On long sequences one goes back only so far. *Truncated* backpropagation through time with a window of $w$ steps lets
# the loss at step $t$ reach the states $h_t, \ldots, h_{t-w+1}$ and no further:
#
# $$\frac{dL_t}{dU} \approx \sum_{k=t-w+1}^{t} \frac{\partial L_t}{\partial h_t}\frac{\partial h_t}{\partial h_k}
# \frac{\partial^+ h_k}{\partial U}$$
#
# One reads that this "leaves some weights without an update" (claim C16). But what is cut is the far bars of section 2:
# *terms*, not weights. Every weight is used at every step, the last ones included. Turn the dial to cut them:

# %% tags=["dial"] jupyter={"source_hidden": true}
# A dial
cut_windows, frames, captions, alts = [1, 2, 5, 10, 20, 30, 40, 49], [], [], []
for window in cut_windows:
    _, axs = plt.subplots(1, 2, figsize=(9.2, 3.7))
    told = []
    for ax, (stretch, name) in zip(axs, {1: "U orthogonal", 2: "U × 2"}.items(), strict=True):
        terms = backward(*network(0, stretch))[1][::-1]  # by distance
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
        f"The bars of section 2, grey beyond a window of {window}. {told[0]}; {told[1]}."
    )
    frames.append(axs)
label = "window, in steps"
plots.dial(frames, label=label, values=cut_windows, captions=captions, alts=alts, start=3)

# %% [markdown]
# What is left is a gradient with a *bias*: an error that does not go away when more sequences are averaged. To see it,
# take a task whose distance we know: at every step, repeat the input of 8 steps ago.

# %%
from course.by_hand import truncated_backward


def delayed(n, lag, rng, T=20):
    """Random signs x (n, T, 1) and the targets y_t = x_{t−lag}, from step lag + 1 on."""
    x = rng.choice([-1.0, 1.0], size=(n, T, 1))
    return x, x[:, : T - lag]


# %%
def start(seed, stretch=1.0, H=16):
    """Weights W, U, b, V, c: U is stretch · orthogonal, the rest as usual."""
    rng = np.random.default_rng(seed)
    U = stretch * np.linalg.qr(rng.normal(size=(H, H)))[0]
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
    "04: the window from which the gradient of W is nearly right", unit="steps", answer=...
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
def learn(seed, lag, stretch, window):
    """Train from `start(seed, stretch)`; return the accuracy on new sequences and the norm of W."""
    rng = np.random.default_rng(seed)
    weights = start(seed, stretch)
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
# ### What `stateful=True` carries
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
# ## 6 · What a longer sequence costs
#
# The number of weights does not depend on $T$. What training costs does: the way back needs every $h_t$ of the way
# forwards, so all of them are kept, $T \cdot B \cdot H$ numbers; and both ways take one step after the other.


# %%
def one_step(x, W, U, b, block):
    """Forwards and backwards, block by block, the state handed on: dL/dU for L = Σ h."""
    dU, h0 = 0, np.zeros((len(x), len(b)))
    for first in range(0, x.shape[1], block):
        h = rnn_forward(x[:, first : first + block], W, U, b, h0)
        through = 0
        for t in reversed(range(h.shape[1])):
            da = (1 + through) * (1 - h[:, t] ** 2)
            dU = (
                dU + (h[:, t - 1] if t > 0 else h0).T @ da
            )  # only the sum is kept, not its terms
            through = da @ U.T
        h0 = h[:, -1]
    return dU


# %% [markdown]
# Measure the processor time, and the largest amount of memory held at once, for the whole sequence and for blocks of 50.

# %%
import time
import tracemalloc


def cost(T, block):
    """Milliseconds of processor time, the least of nine, and megabytes at the peak."""
    x, W, U, b, _, _ = network(0, 1, B=4, T=T, H=32)
    seconds = []
    for _ in range(9):
        begin = time.process_time()
        one_step(x, W, U, b, block)
        seconds.append(time.process_time() - begin)
    tracemalloc.start()
    one_step(x, W, U, b, block)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return 1000 * min(seconds), peak / 1e6


# %%
lengths = np.array([50, 100, 200, 400, 800])
costs = {
    "whole sequence": np.array([cost(T, T) for T in lengths]),
    "blocks of 50": np.array([cost(T, 50) for T in lengths]),
}  # each (lengths, 2)
ms, mb = ({name: found[:, j] for name, found in costs.items()} for j in (0, 1))


# %%
def draw_cost(ax, curves, ylabel):
    """The curves, and the straight line fitted to that of the whole sequence."""
    plots.lines(lengths, curves, ax, xlabel="length of the sequence, T", ylabel=ylabel)
    slope, offset = np.polyfit(lengths, curves["whole sequence"], 1)
    ax.plot(
        lengths,
        slope * lengths + offset,
        "-",
        color="0.6",
        lw=4,
        label="straight line",
        zorder=0,
    )
    ax.set_ylim(0, None)
    ax.legend()


# %%
_, axs = plt.subplots(1, 2, figsize=(9.2, 3.7))
draw_cost(axs[0], ms, "milliseconds")
draw_cost(axs[1], mb, "megabytes at the peak")
axs[0].set_title("Time grows in proportion to T")
axs[1].set_title("So does memory, unless you cut")
whole_mb, blocks_mb = mb.values()
plots.show(
    axs,
    alt="Two panels against sequence length from 50 to 800, with a straight line fitted. Left: the time of one forward "
    "and backward pass follows it, cut into blocks or not. Right: the peak of memory follows the line for the whole "
    f"sequence, from {whole_mb[0]:.1f} to {whole_mb[-1]:.1f} megabytes, and stays at {blocks_mb[-1]:.1f} in blocks of 50.",
)

# %% [markdown]
# **What to notice.** Twice the length, twice the time and twice the memory. Cutting into blocks saves no time: it bounds
# the *memory* by the block, and lets you update after every block. The price is the bias of section 5.

# %% [markdown]
# ## Measured
#
# What this lesson claims, asserted over seeds: ten for the terms, five for everything else. (Times are left out: they
# depend on what else the machine is doing.)


# %%
def report(verdicts):
    """Print one line per claim, and return whether all of them hold."""
    for claim, holds in verdicts.items():
        print("holds " if holds else "FAILS ", claim)
    return all(verdicts.values())


# %%
# NBVAL_CHECK_OUTPUT
assert report(
    {
        "C09 the T terms of dL/dU add up to what Keras finds": by_autodiff.max() < 1e-4,
        "C09 and to what finite differences find": by_differences.max() < 1e-6,
        "C18 U orthogonal: 40 steps back, below 1/1000 of the nearest term": far_share[1].max()
        < 1e-3,
        "C18 does not hold for U doubled: above ten times": far_share[2].min() > 10,
        "C02 U orthogonal: the sum is larger than the nearest term": sum_share[1].min() > 1,
        "C02 in one run the near sign is learned": end[:, 0].min() > 0.99,
        "C02 and the far one is not, in at least four of five runs": missed.sum() >= 4,
        "C02 the question not learned has the larger gradient": (
            unlearned_64 > 2 * learned_64
        ).all(),
        "C02 its term from 29 steps back is below 1/1000 of it": last.max() < 1e-3,
        "C02 it shrinks when more sequences are averaged": fewer.min() > 1.1,
    }
)

# %%
# NBVAL_CHECK_OUTPUT
back_3, off, on = learned["3 back, U halved"][..., 0], norm_W[:, 3], norm_W[:, 0]
assert report(
    {
        "C16 truncation leaves no weight without a gradient": (zeros == 0).all(),
        "the bias of dL/dW falls at window 9 to less than a third": (
            bias_W[:, 8] < bias_W[:, 7] / 3
        ).all(),
        "8 back, U halved: learned with window 9, in every run": far_case[:, 4].min() > 0.99,
        "8 back, U halved: not learned with a shorter one": far_case[:, :4].max() < 0.85,
        "3 back, U halved: learned from window 4 on": back_3[:, 2:].min() > 0.99,
        "3 back, U halved: learned by the read-out alone": back_3[:, 0].min() > 0.99,
        "8 back, U orthogonal: window 8 is worse than the read-out alone": (
            kept[:, 3] < kept[:, 0]
        ).all(),
        "and turns the input off: W is left with less than a fifth": (off < on / 5).all(),
    }
)

# %%
# NBVAL_CHECK_OUTPUT
assert report(
    {
        "stateful=True carries the state": state.max() < 1e-5,
        "its gradient is that of the second block alone": second.max() < 1e-4,
        "and not that of the long run": whole.min() > 1e-2,
        "memory grows along a straight line in T": np.corrcoef(lengths, whole_mb)[0, 1] > 0.999,
        "cut into blocks it does not": blocks_mb[-1] < 2 * blocks_mb[0],
    }
)

# %% [markdown]
# ## Quiz

# %%
classroom.quiz("quizzes/04_backpropagation_through_time.json")
classroom.tally()

# %% [markdown]
# ## Three things to take away
#
# 1. Backpropagation through time is one line,
#    $\delta_t = \partial L/\partial h_t + (\delta_{t+1}\,\varphi'(a_{t+1}))\,U^\top$, from the last step to the first; $dL/dU$
#    is the sum of what it leaves at every step.
# 2. It is the far *terms* that vanish. The gradient itself does not: it is made of near terms, and may be large where
#    nothing is learned.
# 3. Truncation cuts terms, not weights. It bounds memory; and a network does not learn to keep what lies outside the
#    window, though its state may hold it by itself.
#
# **Next:** [05 · Why does a plain RNN lose what came early?](05_why_it_forgets.ipynb)
#
# **References.** P. J. Werbos, *Backpropagation through time: what it does and how to do it*, Proceedings of the IEEE 78
# (1990). R. J. Williams and J. Peng, *An efficient gradient-based algorithm for on-line training of recurrent network
# trajectories*, Neural Computation 2 (1990), for truncation. R. Pascanu, T. Mikolov and Y. Bengio, *On the difficulty of
# training recurrent neural networks*, ICML (2013), for the sum over steps and the immediate derivative.
