# %% [markdown]
# # 00 · Is my machine ready, and how does the course work?
#
# This course shows why recurrent neural networks (RNNs) are hard to train. What is claimed of training is measured: in
# front of you or, where that takes too long, in a recorded run whose script is included. Theory is cited. This page checks
# your machine and tries the course's manner once.
#
# **You will be able to**
# - tell whether this machine is ready, and mend it if not;
# - do an exercise, get a hint and check your answer;
# - say why a product of factors that are 1 on average can vanish;
# - read a result that comes with seeds and an interval.
#
# **15 minutes** · needs: a little Python and NumPy, logarithms
#
# A cell is run with **Shift + Enter**, which also goes on to the next one. Run this first:

# %%
from course import classroom, doctor, plots
from course.classroom.exercises import lesson_00 as check
import numpy as np

# %% [markdown]
# ## 1 · Is this machine ready?
#
# The doctor looks at what the course needs and trains a small network, which takes some twenty seconds. A line with ✗
# says what to do. In a terminal it is `python -m course.doctor`.

# %%
failures = doctor.main()

# %% [markdown]
# ## 2 · Guess first
#
# Before a surprise you are asked to predict. Write your guess in place of the dots and run on: a folded cell draws the
# outcome and shows your guess beside it. The first surprise is the seed of the whole subject.
#
# A gradient, the signal that says how to change the weights, is multiplied at every step that it travels back through an
# RNN: there by matrices, here by numbers $q_1 q_2 \cdots q_T$. Draw 100 factors between 0.5 and 1.5; on average they are 1.
#
# **Predict, then run.** Of 200 such products, how large is the typical one, their median?

# %% tags=["guess"]
left = classroom.guess(
    "00.1 the typical product of 100 factors",
    ["about 1", "more than 10", "less than a tenth"],
    answer=...,
)

# %%
q = np.random.default_rng(0).uniform(0.5, 1.5, size=(200, 100))  # (runs, T)
products = np.cumprod(q, axis=1)  # after every step
median, mean = np.median(products, axis=0), products.mean(axis=0)

# %% tags=["outcome"] jupyter={"source_hidden": true}
# The outcome
steps = np.arange(1, 101)
curves = {"median of 200 runs": median, "mean of the same runs": mean}
ax = plots.lines(steps, curves, yscale="log", xlabel="number of factors", ylabel="product")
runs = ax.plot(steps, products[:25].T, color="0.8", linewidth=0.7, linestyle="-", zorder=0)
runs[0].set_label("25 of the runs")
ax.legend(loc="lower left")
ax.set_title("Factors of mean 1: the typical product vanishes")
plots.level(ax, 1, "1, the mean of a factor")
plots.show(
    ax,
    alt="Product of random factors against their number, log scale; grey lines are single runs. The median falls along "
    f"a nearly straight line to {median[-1]:.1g} after 100 factors; the mean stays around 1, in jumps, and ends at "
    f"{mean[-1]:.1f}.",
)
print(f"of 100 factors: median product {median[-1]:.2g}, mean product {mean[-1]:.2g}")
print(f"mean of the factors {q.mean():.2f}, of their logarithms {np.log(q).mean():.3f}")
print(f"products that end above 1: {np.sum(products[:, -1] > 1)} of 200")
size = np.digitize(median[-1], [0.1, 10])
left.outcome(["less than a tenth", "about 1", "more than 10"][size])

# %% [markdown]
# **What to notice.** A fall by a half and a rise by a half: $0.5 \cdot 1.5 = 0.75$. The fall is not made good. In general
#
# $$\ln(q_1 q_2 \cdots q_T) = \ln q_1 + \ln q_2 + \dots + \ln q_T$$
#
# What counts for the typical product is the mean of $\ln q$, and it is below 0: the median falls by about the same share
# at every step, a straight line on a log axis. The *mean* product does not fall: of independent factors it is the product of
# their means, here 1. But it hangs on the few runs that grow, fewer than one in ten, which is why it jumps.
#
# Turn the dial with the mouse or the arrow keys: how far from 1 may the factors lie? (Far enough, and even the mean of 200
# runs leaves 1: those that would hold it there have become too rare.)

# %% tags=["dial"] jupyter={"source_hidden": true}
# A dial
frames, captions, alts, reaches = [], [], [], [0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9]
for reach in reaches:
    factors = np.random.default_rng(0).uniform(1 - reach, 1 + reach, size=(200, 100))
    grown = np.cumprod(factors, axis=1)
    middle = np.median(grown, axis=0)
    curves = {"median of 200 runs": middle, "mean of the same runs": grown.mean(axis=0)}
    ax = plots.lines(steps, curves, markers=False, yscale="log")
    ax.set(xlabel="number of factors", ylabel="product", ylim=(1e-10, 1e4))
    runs = ax.plot(steps, grown[:25].T, color="0.8", linewidth=0.7, linestyle="-", zorder=0)
    runs[0].set_label("25 of the runs")
    ax.legend(loc="lower left")
    ax.set_title(f"Factors between {1 - reach:.1f} and {1 + reach:.1f}")
    told = f"typical product of 100 {middle[-1]:.2g}, mean product {grown[:, -1].mean():.2g}, "
    told += f"mean of ln q {np.log(factors).mean():.3f}"
    captions.append(f"Factors between {1 - reach:.1f} and {1 + reach:.1f}: {told}.")
    alts.append(f"Product against number of factors, log scale, single runs in grey: {told}.")
    frames.append(ax)
plots.dial(
    frames, label="reach around 1", values=reaches, captions=captions, alts=alts, start=3
)

# %% [markdown]
# ## 3 · Exercises
#
# An exercise is a cell for your answer, where `...` stands, and one that **checks** it and says what is wrong. Try a wrong
# answer too. Stuck? Run `check.number_of_steps.hint(1)`, then `.hint(2)`; every exercise has hints.

# %% [markdown] tags=["with-solutions"]
# Below the check, a folded cell holds a **solution**.

# %% [markdown]
# ### Exercise 1 · When is it gone?
# A signal is halved at every step. After how many whole steps is less than a thousandth of it left?

# %% tags=["exercise"]
number_of_steps = ...

# %% tags=["check"]
check.number_of_steps()

# %% tags=["solution"] jupyter={"source_hidden": true}
# 0.5^T < 1/1000 means T ln 0.5 < −ln 1000; dividing by ln 0.5, which is negative, turns the sign: T > 9.97.
solution_number_of_steps = int(np.ceil(np.log(1e-3) / np.log(0.5)))
check.number_of_steps(solution_number_of_steps)

# %% [markdown]
# ### Exercise 2 · The factor that counts
# Which single factor, repeated, makes the same product as the factors `q`? It is their geometric mean: $e$ to the power
# of the mean of $\ln q$.


# %% tags=["exercise"]
def typical_factor(q):
    """Return the geometric mean of the factors q (T,)."""
    ...


# %% tags=["check"]
check.typical_factor()


# %% tags=["solution"] jupyter={"source_hidden": true}
# The product is exp(Σ ln q_t); the factor whose T-th power is the same has the mean logarithm.
def solution_typical_factor(q):
    return np.exp(np.mean(np.log(q)))


check.typical_factor(solution_typical_factor)

# %% [markdown]
# ## 4 · Results come with seeds and an interval
#
# Training starts from random numbers, so one run proves little. The course repeats it over several *seeds* and gives the
# rate of success with a 95 % interval (Wilson's): of a hundred such intervals, about 95 hold the true rate.

# %%
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint


def compare(a, of_a, b, of_b):
    """Print the success rates of two methods and their difference, with intervals."""
    for name, solved, runs in (("A", a, of_a), ("B", b, of_b)):
        low, high = proportion_confint(solved, runs, method="wilson")
        print(f"{name}: {solved} of {runs}, rate {solved / runs:.2f}, {low:.2f} to {high:.2f}")
    low, high = confint_proportions_2indep(a, of_a, b, of_b, method="newcomb", compare="diff")
    print(f"A − B: {a / of_a - b / of_b:+.2f}, {low:+.2f} to {high:+.2f}")


compare(4, 5, 2, 5)

# %% [markdown]
# **What to notice.** Where the intervals of A and B lie apart, the difference is shown. Where they overlap, look at the
# interval of the difference itself (Newcombe's): here it holds 0, so these ten runs do not settle it.
#
# ### Exercise 3 · Read an interval
# Now A solved the task with 18 of 20 seeds, B with 11 of 20. Use `compare`. Do these runs show that A is better? Answer `"yes"`
# or `"no"`.

# %% tags=["exercise"]
a_is_better = ...

# %% tags=["check"]
check.a_is_better()

# %% tags=["solution"] jupyter={"source_hidden": true}
# The intervals of A and B overlap, but that of the difference does not hold 0.
solution_a_is_better = "yes"
check.a_is_better(solution_a_is_better)

# %% [markdown]
# ## Measured
#
# Every lesson has a cell like this one, which asserts its claims, each with a bound that could fail. *Live*: this notebook
# has measured it just now. *Recorded*: it is read from a table in `data/`, which a script beside it once made. The course's
# tests run these cells: that measures a live claim anew; a recorded one is only read again, and whoever doubts it runs
# the script.

# %%
# NBVAL_CHECK_OUTPUT
ends = [
    np.random.default_rng(seed).uniform(0.5, 1.5, (200, 100)).prod(axis=1) for seed in range(10)
]
verdicts = {
    "live, factors of mean 1: ten times the median of 200 products of 100 is below 0.03": max(
        np.median(end) for end in ends
    )
    < 0.03,
    "live, and yet of these 2,000 products 4 to 10 % end above 1": 0.04
    < np.mean(np.array(ends) > 1)
    < 0.1,
}
for claim, holds in verdicts.items():
    print("holds " if holds else "FAILS ", claim)
assert all(verdicts.values())

# %% [markdown]
# ## Quiz
# Every choice is answered with a reason, right or wrong. Below it, how your prediction did.

# %%
classroom.quiz("quizzes/00_start_here.json")
classroom.tally()

# %% [markdown]
# ## Three things to take away
#
# 1. The typical product of many factors follows the mean of their logarithms, not their mean.
# 2. A result is a rate over seeds with an interval, not one lucky run.
# 3. A check tells you what to look at; nothing can break.
#
# **Next:** [01 · What does an RNN compute, and how does it remember?](01_what_an_rnn_computes.ipynb)
#
# <details><summary>All lessons, and three routes through them</summary>
#
# Half a day: 01, 05, 06, 08 (285 minutes). One day adds 04 and 12 (420). Self-study: all, in order. Lessons without a link are to come. Letters mean
# the same in all of them: [notation](../docs/notation.md). Numbers such as (C06) name sentences that tutorials make;
# [the list](../docs/claims.md) says where each is settled.
#
# | # | question | minutes |
# |---|---|---|
# | [01](01_what_an_rnn_computes.ipynb) | What does an RNN compute, and how does it remember? | 60 |
# | [02](02_types_of_rnn.ipynb) | Which shapes of sequence problem are there? | 100 |
# | [03](03_what_the_loss_tells.ipynb) | What does the cross-entropy loss tell the network? | 65 |
# | [04](04_backpropagation_through_time.ipynb) | How does the gradient travel back through time? | 85 |
# | [05](05_why_it_forgets.ipynb) | Why does a plain RNN lose what came early? | 60 |
# | [06](06_why_training_blows_up.ipynb) | Why does training suddenly blow up, and what stops it? | 90 |
# | 07 | How far can a plain RNN be repaired? | 60 |
# | [08](08_how_an_lstm_remembers.ipynb) | How does an LSTM remember, and when does it still forget? | 75 |
# | 09 | Is a simpler gate enough? | 40 |
# | 10 | Can it write a book chapter? | 60 |
# | 11 | Is it learning or memorising? | 50 |
# | [12](12_tuning.ipynb) | Which size and how much dropout should I use? | 50 |
# | 13 | Can we reproduce "On the difficulty of training RNNs"? | 50 |
# | 14 | What held up, and which network should I use? | 30 |
#
# </details>
#
# **References.** E. B. Wilson, *Probable inference, the law of succession, and statistical inference*, Journal of the
# American Statistical Association 22 (1927). R. G. Newcombe, *Interval estimation for the difference between independent
# proportions*, Statistics in Medicine 17 (1998).
