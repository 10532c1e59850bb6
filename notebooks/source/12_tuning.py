# %% [markdown]
# # 12 · Which size and how much dropout should I use?
#
# Size, dropout, learning rate: nobody learns these numbers, you choose them by trying. They are *hyperparameters*. In
# this lesson Keras Tuner tries for you, you read what comes out, and find out how much of the winner's score is luck.
#
# **You will be able to**
# - write a search space, start a search, stop it and go on with it;
# - say what one choice does while the others are held fixed, with an interval;
# - say how a winner's score relates to what it is worth, and why;
# - report a result from images that no choice has seen.
#
# **50 minutes** · needs: [01](01_what_an_rnn_computes.ipynb), and pandas' `groupby` · letters: [notation](../docs/notation.md)

# %%
from pathlib import Path

from course import classroom, plots, sequences
from course.classroom.exercises import lesson_12 as check
from course.experiments import Processes
from course.tuning import RandomSearch
import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats

# %% [markdown]
# ## 1 · A task that can be memorised
#
# Two things can go wrong, and you tell them apart by the accuracy on the examples a network is trained with. It
# **underfits**: not even those are learned. It **overfits**: those are learned by heart, new ones are not. The usual advice
# for the second is to shrink the network or to use *dropout*: at every update of the weights a random share of the numbers that
# enter a unit is set to 0; it is off when accuracies are measured. (Claim C03: shrink it, or raise dropout.)
#
# Our task invites memorising: name a handwritten digit that is read row by row, $T = 8$ steps of $D = 8$ pixels, from 400
# examples of which three in ten carry a **wrong label**. The 200 *validation* images, to choose by, and the 1,000 *test*
# images, for the end, have the right ones. Guessing scores 0.1.

# %%
data = sequences.digits("row", train=400, validation=200, test=1000, wrong=0.3)
true = sequences.digits("row", train=400, validation=200, test=1000)
panels = plt.subplots(1, 8, figsize=(9, 1.7))[1]
for ax, image, given, label in zip(
    panels, data.x_train, data.y_train, true.y_train, strict=False
):
    ax.imshow(image, cmap="Greys")
    ax.set(xticks=[], yticks=[])
    ax.set_title(f"{given}" + ("" if given == label else f", is {label}"), size=10)
eight = ", ".join(map(str, data.y_train[:8]))
plots.show(
    panels, alt=f"Eight images of 8 by 8 pixels with the labels {eight}; some of them wrong."
)
share = np.mean(data.y_train != true.y_train)
print(f"wrong labels in training: {share:.0%}")

# %% [markdown]
# ## 2 · A search with Keras Tuner
#
# A function of `hp` declares what may vary and builds the model. The **search space** is what it declares: `units` from 8
# to 64 on a log scale (8 to 16 is as likely as 32 to 64), dropout from 0 to 0.5, a learning rate. `dropout` acts on the
# inputs, `recurrent_dropout` on the state; here both get the same share.


# %%
def build(hp):
    units = hp.Int("units", 8, 64, sampling="log")
    share = hp.Float("dropout", 0.0, 0.5)
    rate = hp.Float("learning_rate", 1e-3, 3e-2, sampling="log")
    model = keras.Sequential([keras.Input((8, 8))])
    model.add(keras.layers.SimpleRNN(units, dropout=share, recurrent_dropout=share))
    model.add(keras.layers.Dense(10))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    return model


# %% [markdown]
# A **trial** is one choice of hyperparameters, an **execution** one training with it, from one seed. A trial's score is the
# mean over its executions of the validation accuracy at the best epoch. `RandomSearch` draws every trial from the
# space. The class is Keras Tuner's own with three additions: every training becomes a row, the results stay in a folder, and
# `executor=` trains several at once, here one per core.


# %%
def search(max_trials, executions=1, folder="runs"):
    """Search, or go on with the search in the folder."""
    tuner = RandomSearch(
        build,
        objective="val_accuracy",
        max_trials=max_trials,
        executions_per_trial=executions,
        seed=0,
        directory=folder,
        project_name="digits",
        executor=Processes(),
    )
    validation = data.x_validation, data.y_validation
    tuner.search(
        data.x_train, data.y_train, validation_data=validation, epochs=60, batch_size=40
    )
    return tuner


for old in Path("runs/digits").glob(
    "*"
):  # so that the lesson begins anew; leave this out for a search of yours
    old.unlink()
tuner = search(max_trials=2)
print(tuner.executions()[["trial", "execution", "seed", "units", "dropout", "score"]].round(2))

# %% [markdown]
# Now ask for four trials in the same folder. While the bar runs, **press ■** (interrupt the kernel), then run the cell again:
# it goes on. (Too late? Ask for eight.) Whatever has finished is on disk, even if the machine goes off.

# %%
tuner = search(max_trials=4)
again = search(max_trials=4)
same_table = again.executions().equals(tuner.executions())
print(f"asked a third time, the same table, seconds included: {same_table}")
tuner.results_summary(2)

# %% [markdown]
# ### Exercise 1 · Write a search space
# Declare with `hp`: `units`, a whole number from 8 to 64, every doubling equally likely; `dropout`, from 0 to 0.6, evenly;
# `learning_rate`, from 0.001 to 0.03, every doubling equally likely. Return the three values in a dict.


# %% tags=["exercise"]
def space(hp):
    """Return {"units": …, "dropout": …, "learning_rate": …} as hp draws them."""
    ...


# %% tags=["check"]
check.space()


# %% tags=["solution"] jupyter={"source_hidden": true}
# A rate of 0.02 against 0.01 matters as much as 0.002 against 0.001, so doublings are drawn evenly: sampling="log".
def solution_space(hp):
    return {
        "units": hp.Int("units", 8, 64, sampling="log"),
        "dropout": hp.Float("dropout", 0.0, 0.6),
        "learning_rate": hp.Float("learning_rate", 1e-3, 3e-2, sampling="log"),
    }


check.space(solution_space)

# %% [markdown]
# ## 3 · What a table of trials says, and what it does not
#
# The same search with 40 trials of two executions is recorded in `data/12_search.csv` (`data/record_12.py` made it). Its
# first trials are the ones you have trained, there on Keras' JAX backend, whose random numbers are others.

# %%
recorded = pd.read_csv("../data/12_search.csv")
choices = ["units", "dropout", "learning_rate"]
ours = tuner.executions()
theirs = recorded[(recorded.trial < 4) & (recorded.execution == 0)].reset_index(drop=True)
same_settings = np.allclose(theirs[choices], ours[choices], rtol=1e-3)
apart = np.abs(theirs.score - ours.score).mean()
print(f"same settings: {same_settings}; scores differ by {apart:.2f} on average")

# %%
axes = plots.scores(recorded, choices)
axes[0].figure.suptitle(
    "Forty trials: everything varies at once", x=0.01, ha="left", weight="bold"
)
plots.show(axes)

# %% [markdown]
# **What to notice.** Each panel shows one choice while the two others vary, which is where most of the scatter comes from. Is some
# dropout good? The table cannot say: it may depend on the size. To find out, **vary one thing and hold the others fixed**, over
# seeds: `data/12_dropout.csv` has four sizes without dropout and with 0.25, ten seeds each, 60 epochs, learning rate 0.005.
#
# **Predict, then run.** What does dropout 0.25 do to the test accuracy of 64 units after the last epoch: with three labels in
# ten wrong, and with all of them right?

# %% tags=["guess"]
dropout_does = classroom.guess(
    "12.1 what dropout does to 64 units",
    [
        "helps both times",
        "hurts both times",
        "helps with wrong labels alone",
        "helps with right labels alone",
    ],
    answer=...,
)


# %%
def paired(runs, column):
    """For each size: by how much dropout changes `column`, seed by seed, with half its 95 % interval."""
    table = runs.pivot_table(column, ["units", "seed"], "dropout")
    change = (table[0.25] - table[0.0]).groupby("units")
    half = stats.t.ppf(0.975, change.size() - 1) * change.sem()
    return pd.DataFrame({"change": change.mean(), "half": half})


runs = pd.read_csv("../data/12_dropout.csv").fillna({"epochs": 60})
sixty = runs[runs.epochs == 60]
wrong, right = sixty[sixty.wrong == 0.3], sixty[sixty.wrong == 0.0]

# %% tags=["outcome"] jupyter={"source_hidden": true}
# The outcome
effects = {
    "3 in 10 labels wrong": paired(wrong, "test_last"),
    "all labels right": paired(right, "test_last"),
}
ax = plots.axes(xlabel="units", ylabel="change of test accuracy", xscale="log")
said = []
for number, (name, effect) in enumerate(effects.items()):
    place = effect.index * 1.04**number
    ax.errorbar(place, effect.change, effect.half, marker="os"[number], capsize=4, label=name)
    each = (f"{u} units {e.change:+.2f} ± {e.half:.2f}" for u, e in effect.iterrows())
    said.append(f"{name}: {', '.join(each)}")
ax.set_xticks([8, 16, 32, 64], [8, 16, 32, 64])
ax.set_xticks([], minor=True)
ax.set_title("Dropout saves large networks from wrong labels; else it costs")
plots.level(ax, 0, "no change").legend(title="bars: 95 % interval")
plots.show(ax, alt=f"Change of the test accuracy by dropout, against size. {'; '.join(said)}.")
small, large = (effects["3 in 10 labels wrong"].loc[size] for size in (8, 64))
clean = effects["all labels right"]
signs = large.change > 0, clean.change[64] > 0
told = {(True, True): 0, (False, False): 1, (True, False): 2, (False, True): 3}
dropout_does.outcome(dropout_does.choices[told[signs]])

# %% [markdown]
# Why? `training_last` is the accuracy on the labels given, wrong ones included, and `right_last` on the true labels of the same
# images. A network that knows every digit and no wrong label has 0.70 and 1.00; one that knows all by heart 1.00 and 0.70.
# `test_best` is the test accuracy at the best validation epoch, that is with **stopping in time**.

# %%
shown = ["training_last", "right_last", "test_last", "test_best"]
middle = wrong.groupby(["units", "dropout"])[shown].mean()
kept = right.groupby(["units", "dropout"])[["training_last", "test_last"]].mean()
print(pd.concat({"3 in 10 wrong": middle, "all right": kept}, axis=1).round(2).to_string())
on_top = paired(wrong, "test_best").loc[64]
stopped = (middle.test_best - middle.test_last)[64, 0.0]
print(f"64 units: stopping in time {stopped:+.3f}")
print(f"          dropout on top of it {on_top.change:+.3f} ± {on_top.half:.3f}")
print(f"8 units, wrong labels: dropout {small.change:+.3f} ± {small.half:.3f}")
late = paired(runs[runs.epochs == 240], "test_last")
said = (f"{u} units {e.change:+.2f} ± {e.half:.2f}" for u, e in late.iterrows())
print(f"240 epochs, five seeds: dropout {', '.join(said)}")

# %% [markdown]
# **What to notice.** Without dropout 64 units learn all labels by heart, and the test pays for it; with dropout they do not. Eight
# units have hardly begun to memorise: dropout gains them nothing. With right labels there is nothing to be saved from, and after
# 60 epochs dropout costs at every size. (Dropout needs time: with 240 epochs the small network gains, too, with wrong labels. Whether
# time would repay the cost with right ones is not measured.)
#
# So C03 holds *if* the network memorises something that is wrong. And stopping in time does most of dropout's work here, at the
# price of 200 rightly labelled images to stop by.
#
# ### Exercise 2 · One effect, with its interval
# `with_dropout` and `without` hold test accuracies, one per seed, in the same order of seeds. Return the mean difference
# (with minus without) and half its 95 % interval: Student's $t_{.975}$ with $n - 1$ degrees of freedom,
# `stats.t.ppf(0.975, n - 1)`, times the standard error of the differences.


# %% tags=["exercise"]
def dropout_effect(with_dropout, without):
    """Return (mean difference, half of its 95 % interval)."""
    ...


# %% tags=["check"]
check.dropout_effect()


# %% tags=["solution"] jupyter={"source_hidden": true}
# Seed by seed: what a seed does to both runs alike falls out of the difference. It may be little; pairing costs nothing.
def solution_dropout_effect(with_dropout, without):
    d = np.asarray(with_dropout) - np.asarray(without)
    half = stats.t.ppf(0.975, len(d) - 1) * d.std(ddof=1) / np.sqrt(len(d))
    return d.mean(), half


check.dropout_effect(solution_dropout_effect)

# %% [markdown]
# ## 4 · The winner, trained again
#
# The best of the 40 trials has been trained again, with 20 new seeds (`data/12_seeds.csv`), the same images, everything else
# the same.
#
# **Predict, then run.** By how many hundredths will the mean of its new validation scores differ from the score it won with (minus:
# lower)? One image of the 200 is half a hundredth.

# %% tags=["guess"]
how_much_lower = classroom.guess("12.2 new scores of the winner", unit="hundredths", answer=...)

# %% tags=["outcome"] jupyter={"source_hidden": true}
# The outcome
trials = recorded.groupby("trial")[[*choices, "score", "test"]].mean()
best = trials.score.idxmax()
promised, seeds = trials.score[best], pd.read_csv("../data/12_seeds.csv")
of = {name: own for name, own in seeds.groupby("setting")}
new = of["winner"].validation_best
lower, half = promised - new.mean(), stats.t.ppf(0.975, len(new) - 1) * new.sem()
ax = plt.subplots(figsize=(7.2, 2.2))[1]
ax.plot(new, 0.2 * new.groupby(new).cumcount(), "o", label="20 new seeds, equal ones piled up")
ax.axvline(
    promised, color="black", linestyle="--", label="the score it won with, a mean of two seeds"
)
ax.set(ylim=(-0.3, 2.6), yticks=[], xlabel="validation accuracy at the best epoch")
ax.set_title("Trained again, the winner scores less, on the same images")
ax.legend(loc="upper left")
plots.show(
    ax,
    alt=f"New scores {new.min():.3f} to {new.max():.3f}, mean {new.mean():.3f}; the winning score was {promised:.3f}.",
)
pairs = (new.to_numpy()[:, None] + new.to_numpy()) / 2
reach = np.mean(pairs[np.triu_indices(len(new), 1)] >= promised)
print(
    f"lower by {lower:.3f} ± {half:.3f}; {reach:.0%} of the pairs of new seeds reach {promised:.4f}"
)
how_much_lower.outcome(round(-100 * lower, 1), margin=0.5)

# %% [markdown]
# **What to notice.** Of many trials, one that is lucky wins more easily; new seeds do not bring its luck. That is the
# **winner's curse**. It is an *offset*: the score is too high on average, however little the seeds spread. Shorter searches, drawn
# from the 40 trials, show it against the test images:


# %%
def winners(trials, n, searches=2000):
    """Mean score and mean test accuracy of the best of n trials, over many draws."""
    # n different trials at random, a row for each search
    draws = np.random.default_rng(0).random((searches, len(trials))).argsort(axis=1)[:, :n]
    score, test = trials.score.to_numpy(), trials.test.to_numpy()
    best = draws[np.arange(searches), score[draws].argmax(axis=1)]
    return score[best].mean(), test[best].mean()


for n in (1, 3, 10, 40):
    score, test = winners(trials, n)
    print(
        f"best of {n:2} trials: score {score:.3f}, test {test:.3f}, score − test {score - test:+.3f}"
    )

# %% [markdown]
# **What to notice.** Both rise, the score a little more. From 10 to 40 trials the table cannot tell any more: all searches end at the
# same few winners. Exercise 3 gives the rule.

# %% [markdown]
# ## 5 · The test images, once
#
# A search ends with a *setting*. Its result comes from new seeds and from images that no choice has seen: here, beside a
# guess made before there was any search, 32 units, no dropout, learning rate 0.003, stopped in time like all of them. (We have
# looked at test accuracies all along, to show what a search does; in work of yours, do not.)

# %%
won, guessed = (of[name].set_index("seed").test_best for name in ("winner", "plain"))
gain = won - guessed
gain_half = stats.t.ppf(0.975, len(gain) - 1) * gain.sem()
print(
    f"promised {promised:.3f}; the winner's test {won.mean():.3f}, the guess's {guessed.mean():.3f}"
)
print(f"the search gained {gain.mean():+.3f} ± {gain_half:.3f} ({len(gain)} seeds)")
other = of["plain, other images"].test_best
print(
    f"spread of the guess: {guessed.std():.3f} over seeds, {other.std():.3f} over other images"
)

# %% [markdown]
# **What to notice.** The search was worth it; which of its choices did it, this does not tell. The interval counts seeds only: a search
# on other images could end elsewhere, and one search on one set of images is one draw. Note also what the test may *not* be used for: as soon as you
# choose by it, it is a validation set.
#
# ### Exercise 3 · Simulate a search
# Every trial has a true value, normal with standard deviation `spread` around 0. A score adds luck, normal with standard
# deviation `luck` for one execution; it is the mean over `executions`. The trial with the best score wins. With `rng`, simulate 20,000
# searches of so many `trials` and return two means: the winner's true value (its worth), and its score minus that (the
# optimism).


# %% tags=["exercise"]
def winner(trials, executions, spread, luck, rng):
    """Return (worth, optimism), means over 20,000 searches."""
    ...


# %% tags=["check"]
check.winner()


# %% tags=["solution"] jupyter={"source_hidden": true}
# The score decides who wins, so whoever wins has been lucky; averaging executions shrinks luck by their square root.
def solution_winner(trials, executions, spread, luck, rng):
    true = rng.normal(0, spread, (20_000, trials))
    score = true + rng.normal(0, luck / np.sqrt(executions), true.shape)
    best = np.arange(len(true)), score.argmax(axis=1)
    return true[best].mean(), (score - true)[best].mean()


check.winner(solution_winner)

# %% [markdown]
# ## On several machines
#
# `executor=` takes any `concurrent.futures.Executor`. On several machines that is Dask's, and nothing else changes:
#
# ```python
# from distributed import Client
#
# tuner = RandomSearch(build, ..., executor=Client("tcp://10.0.0.5:8786").get_executor(pure=False))
# ```
#
# [Several machines](../docs/several_machines.md) shows it with two terminals, by SSH, on Slurm and Kubernetes. A worker that dies
# costs the training it was at; a search that dies goes on with the same call.

# %% [markdown]
# ## Measured
#
# *Live* is what this notebook has trained, *recorded* what it has read from `data/`.

# %%
# NBVAL_CHECK_OUTPUT
brings, costs = large.change - large.half, clean.change + clean.half
verdicts = {
    "live: asked again, the same table to the second: nothing trained": same_table,
    "live: settings and, within .06, scores of the record": same_settings and apart < 0.06,
    "recorded, C03: 3 in 10 labels wrong, dropout brings 64 units over .1": brings > 0.1,
    "recorded, C03: all right, after 60 epochs it costs at every size": costs.max() < 0,
    "recorded: stopping in time does over half of dropout's work": stopped > large.change / 2,
    "recorded: trained again, the winner scores less": lower - half > 0,
}
for claim, holds in verdicts.items():
    print("holds " if holds else "FAILS ", claim)
assert all(verdicts.values())

# %%
classroom.tally()

# %% [markdown]
# ## Quiz

# %%
classroom.quiz("quizzes/12_tuning.json")

# %% [markdown]
# ## Three things to take away
#
# 1. Vary one thing at a time, over seeds, with an interval. Dropout helped where a large network learned wrong labels by heart;
#    where all were right it cost, after 60 epochs. Stopping in time did most of its work.
# 2. A winner's score is too good, the more so the more trials and the more luck in each. Train the winner again with new seeds, and touch the test
#    images once.
# 3. Every finished training is on disk: a search may be stopped, killed, continued and shared between machines.
#
# **Next:** 13 · Can we reproduce "On the difficulty of training RNNs"?
#
# **References.** T. O'Malley and others, *KerasTuner* (2019). J. Bergstra and Y. Bengio, *Random search for
# hyper-parameter optimization*, Journal of Machine Learning Research 13 (2012). G. Cawley and N. Talbot, *On over-fitting in
# model selection and subsequent selection bias in performance evaluation*, Journal of Machine Learning Research 11 (2010). C. Zhang
# and others, *Understanding deep learning requires rethinking generalization*, ICLR 2017, for wrong labels learned by heart.
# Y. Gal and Z. Ghahramani, *A theoretically grounded application of dropout in recurrent neural networks*, NIPS 2016. N. Srivastava
# and others, *Dropout: a simple way to prevent neural networks from overfitting*, Journal of Machine Learning Research 15 (2014).
# E. Alpaydin and C. Kaynak, *Cascading classifiers*, Kybernetika 34 (1998), for the digits.
