# %% [markdown]
# # 00 · Is my machine ready, and how does the course work?
#
# This course explains why recurrent neural networks are hard to train, and shows it: nothing is claimed that is not
# measured, in front of you or, where that takes too long, in a recorded run whose script is included. This page checks your machine and shows you the parts that every lesson is made of.
#
# **You will be able to**
# - tell whether this machine is ready, and mend it if not;
# - run a lesson, do an exercise and check your answer;
# - read a result that comes with seeds and an interval.
#
# **10 minutes** · needs: a little Python and NumPy · letters: [notation](../docs/notation.md)
#
# A cell is run with **Shift + Enter**, which also goes on to the next one. Run this first:

# %%
from course import classroom, doctor, plots
from course.classroom.exercises import lesson_00 as check
import numpy as np

# %% [markdown]
# ## 1 · Is this machine ready?
#
# The doctor looks at what the course needs, and trains a small network once, which takes some twenty seconds. A line
# with ✗ comes with a sentence that says what to do. In a terminal it is `python -m course.doctor`.

# %%
failures = doctor.main()

# %% [markdown]
# ## 2 · A surprise, as in every lesson
#
# Every idea in this course goes the same way: a sentence, an equation, a few lines of code with the same letters, one
# number or figure, and what to notice. Before a surprise you are asked to predict: write your guess in place of the
# dots and run the cell. The folded cell below it draws the outcome and shows your guess beside it; open it to read its
# code. Nobody has to guess, but a prediction that is written down teaches more than one that is not. Here is the first
# surprise, and it is the seed of the whole subject.
#
# A signal that travels back through $T$ steps of a recurrent network is multiplied by a factor at every step:
#
# $$p_T = a_1 \cdot a_2 \cdots a_T$$
#
# Take factors drawn at random between 0.5 and 1.5. On average they are exactly 1.
#
# **Predict, then run.** We draw 200 such signals. What is left of the typical one, their median, after 100 steps?

# %% tags=["guess"]
left = classroom.guess(
    "00: the typical product of 100 factors",
    ["about 1", "more than 10", "less than a tenth"],
    answer=...,
)

# %%
rng = np.random.default_rng(0)
factors = rng.uniform(0.5, 1.5, size=(200, 100))  # (runs, T)
signal = np.cumprod(factors, axis=1)  # the product after each step
typical = np.median(signal, axis=0)

# %% tags=["outcome"] jupyter={"source_hidden": true}
# The outcome
steps = np.arange(1, 101)
curves = {"median of 200 runs": typical, "1, the mean of a factor": np.ones(100)}
ax = plots.lines(
    steps, curves, yscale="log", xlabel="number of factors", ylabel="their product"
)
runs = ax.plot(steps, signal[:25].T, color="0.8", linewidth=0.7, linestyle="-", zorder=0)
runs[0].set_label("25 of the runs")
ax.legend(loc="lower left")
ax.set_title("Factors that are 1 on average: the typical product vanishes")
plots.show(
    ax,
    alt="Product of random factors against their number, log scale; grey lines are single runs. The median falls along "
    f"a nearly straight line to {typical[-1]:.1g} after 100 factors; some single runs end far above it.",
)
print(f"mean factor {factors.mean():.2f}, typical product of 100 factors {typical[-1]:.1g}")
size = np.digitize(typical[-1], [0.1, 10])
left.outcome(["less than a tenth", "about 1", "more than 10"][size])

# %% [markdown]
# **What to notice.** Take a fall by a half and a rise by a half: $0.5 \cdot 1.5 = 0.75$. The fall is not made good. For
# a hundred factors, the logarithm turns the product into a sum:
#
# $$\ln p_T = \ln a_1 + \ln a_2 + \dots + \ln a_T$$
#
# What counts is the mean of $\ln a$, not of $a$, and here it is below 0. So the typical product shrinks by about the same
# share at every step, in a straight line on a log axis. (The *mean* of all products stays 1: a few runs that grow make
# up for the many that vanish.) The gradient that trains an RNN is such a product, of matrices instead of numbers. That
# is why almost every figure of this course has a log axis.
#
# Turn the dial with the mouse or the arrow keys. All these factors are 1 on average; what changes is how far from 1 they
# may lie.

# %% tags=["dial"] jupyter={"source_hidden": true}
# A dial
frames, captions, alts, reaches = [], [], [], [0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9]
for reach in reaches:
    a = np.random.default_rng(0).uniform(1 - reach, 1 + reach, size=(200, 100))
    products = np.cumprod(a, axis=1)
    middle = np.median(products, axis=0)
    ax = plots.lines(steps, {"median of 200 runs": middle}, markers=False, yscale="log")
    ax.set(xlabel="number of factors", ylabel="their product", ylim=(1e-10, 1e4))
    ax.plot(steps, products[:25].T, color="0.8", linewidth=0.7, linestyle="-", zorder=0)
    ax.set_title(f"Factors between {1 - reach:.1f} and {1 + reach:.1f}")
    told = f"the typical product of 100 is {middle[-1]:.2g}, the mean of ln a {np.log(a).mean():.3f}"
    captions.append(f"Factors between {1 - reach:.1f} and {1 + reach:.1f}: {told}.")
    alts.append(
        f"Product against the number of factors, log scale, single runs in grey; {told}."
    )
    frames.append(ax)
plots.dial(
    frames, label="reach around 1", values=reaches, captions=captions, alts=alts, start=3
)

# %% [markdown]
# ## 3 · Exercises
#
# An exercise is a cell for your answer, where `...` stands, and one that **checks** it and says what is wrong. Try wrong
# answers too: the checks know the usual mistakes, and no answer breaks anything. Stuck?
# `check.number_of_steps.hint(1)` says a little, `.hint(2)` says more; so does every exercise.

# %% [markdown] tags=["with-solutions"]
# Below the check, a folded cell holds a **solution**.

# %% [markdown]
# ### Exercise 1 · When is it gone?
# A signal shrinks by the factor 0.9 at every step. After how many whole steps is less than a millionth ($10^{-6}$) of
# it left? Logarithms help, or a loop.

# %% tags=["exercise"]
number_of_steps = ...

# %% tags=["check"]
check.number_of_steps()

# %% tags=["solution"] jupyter={"source_hidden": true}
# 0.9^T < 10⁻⁶ means T ln 0.9 < ln 10⁻⁶; dividing by ln 0.9, which is negative, turns the sign: T > 131.1.
solution_number_of_steps = int(np.ceil(np.log(1e-6) / np.log(0.9)))
check.number_of_steps(solution_number_of_steps)

# %% [markdown]
# ### Exercise 2 · The factor that counts
# Which single factor, repeated, shrinks a signal as the random factors do? Write a function that returns it for any
# positive factors: $\exp\left(\frac{1}{T}\sum_t \ln a_t\right)$, the geometric mean.


# %% tags=["exercise"]
def typical_factor(a):
    """Return the geometric mean of the factors a (T,)."""
    ...


# %% tags=["check"]
check.typical_factor()


# %% tags=["solution"] jupyter={"source_hidden": true}
# The product is exp(Σ ln a_t); the factor whose T-th power is the same has the mean logarithm.
def solution_typical_factor(a):
    return np.exp(np.mean(np.log(a)))


check.typical_factor(solution_typical_factor)

# %% [markdown]
# ## 4 · Results come with seeds and an interval
#
# Training starts from random numbers, so one run proves little. The course repeats a run over several *seeds* and
# reports a rate with a 95 % interval (Wilson's, which also works for 0 and for all).
#
# Does the product of 100 factors vanish *every* time? Count the runs that end below a tenth.

# %%
from statsmodels.stats.proportion import proportion_confint

gone = int((signal[:, -1] < 0.1).sum())
low, high = proportion_confint(gone, len(signal), method="wilson")
print(
    f"{gone} of {len(signal)} runs end below 0.1: rate {gone / len(signal):.2f}, interval {low:.2f} to {high:.2f}"
)
low, high = proportion_confint(4, 5, method="wilson")
print(f"4 of 5 runs would be: rate {4 / 5:.2f}, interval {low:.2f} to {high:.2f}")

# %% [markdown]
# **What to notice.** With 200 runs the interval is narrow. With five it reaches from less than a half to almost one:
# five runs can show that something *can* happen, seldom how often.
#
# ### Exercise 3 · Read an interval
# A cautious rule: where two intervals lie apart, the difference is shown; where they overlap, these runs alone do not
# settle it. Method A solved a task with 4 of 5 seeds, method B with 2 of 5. The intervals are 0.38 to 0.96 and 0.12 to 0.77.
# Do these runs show that A is better? Answer `"yes"` or `"no"`.

# %% tags=["exercise"]
a_is_better = ...

# %% tags=["check"]
check.a_is_better()

# %% tags=["solution"] jupyter={"source_hidden": true}
# The intervals share 0.38 to 0.77, so both methods may have the same rate: ten runs do not settle it.
solution_a_is_better = "no"
check.a_is_better(solution_a_is_better)

# %% [markdown]
# ## Measured
#
# Every lesson has a cell that asserts what the lesson claims, over several seeds. The course's tests run it again
# whenever anything changes.

# %%
# NBVAL_CHECK_OUTPUT
ends = [
    np.random.default_rng(seed).uniform(0.5, 1.5, (200, 100)).prod(axis=1) for seed in range(5)
]
interval_a, interval_b = (proportion_confint(solved, 5, method="wilson") for solved in (4, 2))
verdicts = {
    "factors of mean 1: the typical product of 100 is below 0.05": all(
        np.median(end) < 0.05 for end in ends
    ),
    "not every run vanishes: some products end above 0.1": all(
        (end > 0.1).any() for end in ends
    ),
    "the intervals of 4 and 2 out of 5 overlap": interval_a[0] < interval_b[1],
    "4 of 5 is 0.38 to 0.96, 2 of 5 is 0.12 to 0.77": bool(
        np.allclose([*interval_a, *interval_b], [0.38, 0.96, 0.12, 0.77], atol=0.005)
    ),
}
for claim, holds in verdicts.items():
    print("holds " if holds else "FAILS ", claim)
assert all(verdicts.values())

# %% [markdown]
# ## Quiz
# Every choice is answered with a reason, right or wrong. Below it, how your predictions did.

# %%
classroom.quiz("quizzes/00_start_here.json")
classroom.tally()

# %% [markdown]
# ## The course
#
# Every lesson is one question. Minutes are reading and doing; computing is at most a minute on two cores.
#
# | # | question | minutes | needs |
# |---|---|---|---|
# | 00 | Is my machine ready, and how does the course work? | 10 | |
# | [01](01_what_an_rnn_computes.ipynb) | What does an RNN compute, and how does it remember? | 45 | |
# | 02 | Which shapes of sequence problem are there? *(to come)* | 45 | 01 |
# | 03 | What does the cross-entropy loss tell the network? *(to come)* | 35 | 01 |
# | [04](04_backpropagation_through_time.ipynb) | How does the gradient travel back through time? | 60 | 01 |
# | [05](05_why_it_forgets.ipynb) | Why does a plain RNN lose what came early? | 50 | 01 |
# | 06 | Why does training suddenly blow up, and what stops it? *(to come)* | 50 | 05 |
# | 07 | How far can a plain RNN be repaired? *(to come)* | 60 | 05 |
# | [08](08_how_an_lstm_remembers.ipynb) | How does an LSTM remember, and when does it still forget? | 60 | 05 |
# | 09 | Is a simpler gate enough? *(to come)* | 40 | 08 |
# | 10 | Can it write a book chapter? *(to come)* | 60 | 03, 08 |
# | 11 | Is it learning or memorising? *(to come)* | 50 | 03 |
# | [12](12_tuning.ipynb) | Which size and how much dropout should I use? | 50 | 01 |
# | 13 | Can we reproduce "On the difficulty of training RNNs"? *(to come)* | 50 | 06, 07 |
# | 14 | What held up, and which network should I use? *(to come)* | 30 | all |
#
# **Claims.** Letters and numbers in brackets, such as (C06), name sentences that tutorials make about RNNs. The course
# settles them one by one; [the list](../docs/claims.md) says where.
#
# **Routes.** Half a day: 01, 05, 06, 08. One day adds 04, 07, 11, 12. Two days or self-study: all, in order.

# %% [markdown]
# ## Letters
#
# One letter, one meaning, in text, figures and code. The whole table is [notation](../docs/notation.md).
#
# | letter | meaning | shape |
# |---|---|---|
# | $T, B, D, H$ | steps, sequences in a batch, features, units | |
# | $x_t$ | input at step $t$ | $(B, D)$ |
# | $h_t$ | state after step $t$; $h_0$ is the start | $(B, H)$ |
# | $c_t$ | memory of an LSTM | $(B, H)$ |
# | $W, U, b$ | weights from the input, from the state (the recurrent matrix), and bias | $(D, H), (H, H), (H,)$ |
# | $i, f, g, o$ | gates of the LSTM: write, keep, what to write, read | $(B, H)$ |
# | $z, r$ | gates of the GRU: keep, reset | $(B, H)$ |
# | $L$ | loss | |
# | $\delta_t$ | $dL/dh_t$, through everything that follows step $t$ | $(B, H)$ |
# | $J_t$ | Jacobian $\partial h_t / \partial h_{t-1}$ of one step | $(H, H)$ |

# %% [markdown]
# ## Three things to take away
#
# 1. A typical product of many factors vanishes or explodes, unless their geometric mean is 1.
# 2. A result is a rate over seeds with an interval, not one lucky run.
# 3. A check tells you what to look at; nothing can break.
#
# **Next:** [01 · What does an RNN compute, and how does it remember?](01_what_an_rnn_computes.ipynb)
#
# **References.** E. B. Wilson, *Probable inference, the law of succession, and statistical inference*, Journal of the
# American Statistical Association 22 (1927).
