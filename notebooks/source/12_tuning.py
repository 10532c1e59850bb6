# %% [markdown]
# # 12 · Which size and how much dropout should I use?
#
# A network has numbers that nobody learns: how many units and layers, which cell, how fast it learns, how much dropout.
# They are *hyperparameters*, and you choose them by trying. In this lesson you let Keras Tuner try, read what a hundred
# trials say about size and dropout, and find out how much of the winner's score is luck.
#
# **You will be able to**
# - write a search space, start a search, stop it, and go on with it;
# - read a table of trials without being misled by its averages;
# - say how far a winner's score lies above what it is worth, and why;
# - compare random search, Hyperband and Bayesian search at equal cost;
# - report a result from images that no choice has seen;
# - spread a search over several machines.
#
# **50 minutes** · needs: [01](01_what_an_rnn_computes.ipynb) · letters: [notation](../docs/notation.md)

# %%
import tempfile
import time

from course import classroom, plots, searches, tuning
from course.classroom.exercises import lesson_12 as check
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

# %% [markdown]
# ## 1 · A space, and a search through it
#
# Two things can go wrong with a network, and you tell them apart by its accuracy on the examples it is trained with:
#
# - It **underfits**: even those are not learned. The usual advice is to enlarge it, or to train longer or faster.
# - It **overfits**: those are learned, new ones are not. The usual advice is to shrink it, or to use *dropout*: at every
#   training step a random share of the units is set to 0, so that no unit can rely on another.
#
# That is claim C03, which this lesson checks in part; lesson 11, which is to come, says more about both. Our task is
# small enough to overfit: name a handwritten digit that is read row by row, $T = 8$ steps of $D = 8$ pixels,
# after 96 examples. Another 100 images, the *validation* images, are there to choose by, and 350 *test* images for the end.
# Guessing scores 0.1.
#
# The **search space** says what may be tried. A list holds choices, a pair is a range. `dropout` sets units to 0 on the
# way to the next layer, `recurrent_dropout` units of the state on the way to the next step; both in training only. LSTM
# and GRU are recurrent cells with gates (lessons 08 and 09); here they are names to choose from.

# %%
hypermodel = tuning.build_hypermodel(
    (8, 8),  # T, D
    10,  # classes
    cell=["RNN", "LSTM", "GRU"],
    units=(8, 64),  # on a log scale: 8 to 16 is as likely as 32 to 64
    layers=[1, 2],
    dropout=(0.0, 0.6),
    recurrent_dropout=(0.0, 0.6),
    learning_rate=(1e-3, 3e-2),  # on a log scale, too
)

# %% [markdown]
# The rest of the search is in [`course/searches.py`](../course/searches.py), with the same space, so that this
# notebook and other machines (section 7) run the same:

# %%
given = searches.digits_by_row() | {"hypermodel": hypermodel}
print({name: value for name, value in given.items() if isinstance(value, int)})
choices = ["cell", "units", "layers", "dropout", "recurrent_dropout", "learning_rate"]

# %% [markdown]
# `patience`: a training ends early, after 10 epochs without a better validation accuracy.
#
# A **trial** is one choice of hyperparameters. An **execution** is one training with it, from one seed. A trial's score
# is the mean over its executions of the validation accuracy at the best epoch. A random search draws every trial from
# the space, whatever the others have scored. We start with two trials; the results go to a folder, a new one here, so
# that the lesson begins anew every time. A search of yours gets one that stays.

# %%
folder = tempfile.mkdtemp()
live = tuning.search(**given | {"max_trials": 2}, directory=folder)
print(live.table[["trial", "execution", "cell", "units", "score", "attempts"]].round(2))

# %% [markdown]
# **Predict, then run.** The same folder, and `max_trials` is 5 now. How many trainings does the next cell start? And
# how many does it start if you run it twice?

# %%
live = tuning.search(**given | {"max_trials": 5}, directory=folder)
begun = time.perf_counter()
third = tuning.search(**given | {"max_trials": 5}, directory=folder, progress=False)
seconds = time.perf_counter() - begun
again_same = third.table.equals(live.table)
print(live.table[["trial", "execution", "cell", "units", "score", "attempts"]].round(2))
print(f"asked again: {seconds:.1f} s, same table: {again_same}")

# %% [markdown]
# **What to notice.** Six, and none. Whatever is finished is on disk, and `attempts` says how often each execution
# was started: once. It is 2 where a training was cut short, because the battery went or somebody pressed *stop*: the
# same call, made again, goes on and trains only what is missing.

# %%
axes = plots.scores(live.table, choices, maximize=live.maximize)
for ax in axes:
    plots.level(ax, 0.1, "chance" if ax is axes[1] else "")
    ax.set_ylim(bottom=0.05)
title = "Five trials differ a lot, and in everything at once"
axes[0].figure.suptitle(title, x=0.01, ha="left", weight="bold")
plots.show(axes)

# %% [markdown]
# **What to notice.** The trials differ a lot, but all choices differ at once. Five points in six dimensions say which
# trial was best, and hardly why.
#
# **Keras Tuner itself** is what draws the trials. Used directly, the search would be
#
# ```python
# import keras_tuner
#
# def build(hp):  # hp declares, and returns the value of this trial
#     H = hp.Int("units", 8, 64, sampling="log")
#     dropout = keras.layers.Dropout(hp.Float("dropout", 0.0, 0.6))
#     model = keras.Sequential(
#         [keras.Input((8, 8)), keras.layers.LSTM(H), dropout, keras.layers.Dense(10)]
#     )
#     model.compile(...)
#     return model
#
# tuner = keras_tuner.RandomSearch(
#     build, objective="val_accuracy", max_trials=100, executions_per_trial=2, seed=1
# )
# tuner.search(x_train, y_train, validation_data=(x_validation, y_validation), epochs=30)
# tuner.results_summary()
# ```
#
# `build_hypermodel` above returns such a function of `hp`, and you may pass `tuning.search` one of your own. What
# [`course/tuning.py`](../course/tuning.py) adds: every execution with its seed and learning curve, where Keras Tuner
# keeps the mean; a search that goes on after it was killed at any moment; and trainings in processes of their own,
# several at once, whose memory is given back.
#
# ### Exercise 1 · Write a search space
# Declare with `hp`: `units`, a whole number from 8 to 64, every doubling equally likely; `dropout`, from 0 to 0.6,
# evenly; `learning_rate`, from 0.001 to 0.03, every doubling equally likely. Return the three values in a dict.


# %% tags=["exercise"]
def space(hp):
    """Return {"units": …, "dropout": …, "learning_rate": …} as hp draws them."""
    ...


# %% tags=["check"]
check.space(space)


# %% tags=["solution"] jupyter={"source_hidden": true}
def space(hp):
    return {
        "units": hp.Int("units", 8, 64, sampling="log"),
        "dropout": hp.Float("dropout", 0.0, 0.6),
        "learning_rate": hp.Float("learning_rate", 1e-3, 3e-2, sampling="log"),
    }


check.space(space)

# %% [markdown]
# ## 2 · What a hundred trials say
#
# The very same search, gone on with to its 100 trials, is recorded in `data/12_search.csv` (`data/record_12.py` made it).
# Its first five trials are those that you have trained.

# %%
recorded = pd.read_csv("../data/12_search.csv")
first = recorded[recorded.trial < 5].reset_index(drop=True)
same = np.allclose(first[choices[1:]], live.table[choices[1:]], rtol=1e-3)
difference = np.abs(first.score - live.table.score).max()
print(f"the first trials are the same: {same}; scores differ by {difference:.2f} at most")
print(f"started more than once: {sum(recorded.attempts > 1)} of {len(recorded)} executions")

# %%
axes = plots.scores(recorded, choices)
for ax in axes:
    plots.level(ax, 0.1, "chance" if ax is axes[1] else "")
    ax.set_ylim(bottom=0.05)
axes[0].figure.suptitle("A hundred trials: size matters", x=0.01, ha="left", weight="bold")
plots.show(axes)

# %%
ax = plots.parallel(recorded, choices)
ax.set_title("The best trials are large, with little recurrent dropout")
plots.show(ax)

# %% [markdown]
# **What to notice.** The smallest networks never come near the best. Towards much dropout, of either kind, scores fall. Each panel
# shows one choice while the five others vary, which is where the scatter comes from. To hold the others, fit them all at once:
# the score as a sum of one term per choice, by least squares, with intervals from drawing trials again (bootstrap).

# %%
terms = {
    "twice the units": lambda t: np.log2(t.units),
    "a second layer": lambda t: t.layers,
    "dropout + 0.1": lambda t: 10 * t.dropout,
    "recurrent dropout + 0.1": lambda t: 10 * t.recurrent_dropout,
    "twice the learning rate": lambda t: np.log2(t.learning_rate),
    "LSTM, not RNN": lambda t: t.cell == "LSTM",
    "GRU, not RNN": lambda t: t.cell == "GRU",
}


def effects(trials):
    """By how much the score changes with each term while the others are held."""
    X = np.column_stack([np.ones(len(trials)), *(term(trials) for term in terms.values())])
    return np.linalg.lstsq(X.astype(float), trials.score.to_numpy(), rcond=None)[0][1:]


# %%
trials = recorded.groupby("trial")[[*choices[1:], "score", "test"]].mean()
trials["cell"] = recorded.groupby("trial").cell.first()
rng = np.random.default_rng(0)
drawn = [effects(trials.sample(frac=1, replace=True, random_state=rng)) for _ in range(1000)]
effect = pd.DataFrame({"effect": effects(trials)}, index=[*terms])
effect["low"], effect["high"] = np.percentile(drawn, [2.5, 97.5], axis=0)
ends = np.log2([8, 64]), [1, 2], [0, 6], [0, 6], np.log2([1e-3, 3e-2]), [0, 1], [0, 1]
effect["from end to end"] = effect.effect * np.diff(ends)[:, 0]
print(effect.round(3))

# %% [markdown]
# **What to notice.** In these 30 epochs, size and learning rate matter most: from one end of their ranges to the
# other each is worth 0.3. Dropout and recurrent dropout both cost accuracy, with intervals below 0; which costs more is open.
# A second layer brings nothing that a hundred trials could show. All of this holds *within this space, for this
# budget*.
#
# **Predict, then run.** The mean score of each cell is below. Which cell would you take?


# %%
def difference(a, b):
    """The difference of two means, and half its 95 % interval (two standard errors)."""
    return a.mean() - b.mean(), 2 * np.hypot(a.sem(), b.sem())


def best_five_of(trials):
    """The mean score of each cell's five best trials."""
    return trials.groupby("cell").score.apply(lambda scores: scores.nlargest(5).mean())


cells = {cell: own for cell, own in trials.groupby("cell")}
print(trials.groupby("cell").score.agg(["mean", "count"]).round(3))
by_mean = difference(cells["GRU"].score, cells["RNN"].score)
print("GRU − RNN: {:.3f} ± {:.3f}".format(*by_mean))

# %% [markdown]
# ### Exercise 2 · Read the table
# The mean over all trials of a cell holds the settings that nobody would use. Write a function that returns the cell that
# is best *at its best*: whose `n` best trials have the highest mean score. The table has a row per execution, with the
# columns `trial`, `cell` and `score`.


# %% tags=["exercise"]
def cell_at_its_best(table, n):
    """Return the name of the cell whose n best trials have the highest mean."""
    ...


# %% tags=["check"]
check.cell_at_its_best(cell_at_its_best)


# %% tags=["solution"] jupyter={"source_hidden": true}
def cell_at_its_best(table, n):
    by_trial = table.groupby(["cell", "trial"])["score"].mean()
    best = by_trial.groupby("cell").apply(lambda scores: scores.nlargest(n).mean())
    return best.idxmax()


check.cell_at_its_best(cell_at_its_best)

# %%
print(best_five_of(trials).round(3).to_string())
fewest = min(len(own) for own in cells.values())
even = [
    best_five_of(trials.groupby("cell").sample(fewest, random_state=rng)).idxmax()
    for _ in range(500)
]
still = np.mean([cell == "RNN" for cell in even])
print(f"RNN first among {fewest} trials of each, drawn 500 times: {still:.0%}")

# %% [markdown]
# **What to notice.** The means of GRU and RNN cannot be told apart: the interval of their difference holds 0. At its best the plain RNN
# is ahead, and not because it had more trials to be best in. The mean of a cell tells how it does with settings drawn
# blindly from this space, and nobody uses a setting drawn blindly. The fit above is misled, too: it holds the other
# choices, but allows each of them one effect only, the same for all cells. So fit each cell for itself:

# %%
per_cell = {}
for cell, own in cells.items():
    again = [
        effects(own.sample(frac=1, replace=True, random_state=rng))[3] for _ in range(1000)
    ]
    per_cell[cell] = effects(own)[3], *np.percentile(again, [2.5, 97.5])
per_cell = pd.DataFrame(per_cell, index=["recurrent dropout + 0.1", "low", "high"]).T
print(per_cell.round(3))
little = {cell: own.score[own.recurrent_dropout < 0.2] for cell, own in cells.items()}
with_little = difference(little["RNN"], little["GRU"])
print("recurrent dropout below 0.2, RNN − GRU: {:.2f} ± {:.2f}".format(*with_little))

# %% [markdown]
# **What to notice.** Recurrent dropout hurts the plain RNN far more than the two others, and most of this space has much of
# it: that weighs on the RNN's mean. Choices interact: how good a cell is depends on how much recurrent dropout it gets. (With little of it the
# RNN is ahead on average, too, but so few trials do not show that.)

# %% [markdown]
# ## 3 · Size and dropout alone
#
# A search varies everything at once. To answer the question of this lesson, vary two things and nothing else, with
# several seeds: a plain RNN of 8 or 32 units, dropout 0, 0.25 or 0.5, ten seeds, and twice as many epochs as above, to give
# dropout time (`data/12_dropout.csv`).
#
# **Predict, then run.** Which of the two sizes underfits, which overfits? Where will dropout help?

# %%
alone = pd.read_csv("../data/12_dropout.csv")
parts = {"training, last epoch": "training_last", "test, best epoch": "test_of_all"}
panels = plt.subplots(1, 2, sharey=True, figsize=(7.6, 3.4))[1]
for ax, (units, runs) in zip(panels, alone.groupby("units"), strict=True):
    shares = sorted(runs.dropout.unique())
    curves = {
        name: np.transpose([runs[column][runs.dropout == share] for share in shares])
        for name, column in parts.items()
    }
    plots.lines(shares, curves, ax, xlabel="dropout", xticks=shares, ylim=(0, 1.05))
    plots.level(ax, 0.1, "chance").set_title(f"{units} units", size=10, weight="normal")
panels[0].set_ylabel("accuracy: median, range")
panels[0].get_legend().remove()
title = "More units help; of dropout no gain is to be seen"
panels[0].figure.suptitle(title, x=0.01, ha="left", weight="bold")
middle = alone.groupby(["units", "dropout"])[[*parts.values()]].median()
said = "; ".join(
    f"{units} units, dropout {share:g}: training {row.iloc[0]:.2f}, test {row.iloc[1]:.2f}"
    for (units, share), row in middle.iterrows()
)
plots.show(panels, alt=f"Accuracy against dropout, median of ten seeds. {said}.")

# %%
means = (
    alone.groupby(["units", "dropout"])[[*parts.values()]]
    .mean()
    .set_axis(["training", "test"], axis=1)
)
means["gap"] = means.training - means.test
print(means.round(2))
tests = alone.pivot(index="seed", columns=["units", "dropout"], values="test_of_all")
t = 2.262  # Student's t for ten pairs and 95 %
changes = {share: tests[32, share] - tests[32, 0.0] for share in (0.25, 0.5)}
for share, change in changes.items():
    print(
        f"32 units, dropout {share:g}: {change.mean():+.3f} ± {t * change.sem():.3f} in test, same seeds"
    )

# %% [markdown]
# **What to notice.** Look at the networks without dropout. Going by the gap between training and test, you would shrink the *small* one: its gap is the larger one. Its training accuracy says
# otherwise: after 60 epochs it has not learned even its own examples. It underfits, and four times the units bring more than a quarter
# of the test images. So look at the training first, then at the gap.
#
# With 32 units it knows every training image, and nearly one test image in five is wrong: it overfits. The advice of C03 for
# that case is not confirmed here. Shrinking it to 8, for the same 60 epochs, makes it much worse, and dropout changes the test
# by −0.01 ± 0.03: no gain to be seen, and none above 0.03 to be expected. That is a result on 96 images of digits
# and ten seeds, not a law; what it does show is that a gap is no promise that dropout closes it.
#
# ## 4 · How much of the winner is luck?
#
# Here are the five best trials of the search (of the two that tie, the one drawn first is the winner), each with the mean of its two executions, and the setting of the best trained 60
# times more from new seeds, on the same images, also in means of two (`data/12_seeds.csv`).
#
# The test accuracies of all trials are recorded *only to teach*: to show what choosing does to a score. A search for
# use looks at the test images once, when everything is chosen.

# %%
seeds = pd.read_csv("../data/12_seeds.csv")
ranking = trials.sort_values("score", ascending=False, kind="stable")
repeated = seeds[seeds.setting == "winner"].rename(columns={"validation": "score"})
pairs = repeated.groupby(np.arange(len(repeated)) // 2)[["score", "test"]].mean()
best_five = ranking[:5]
styles = {"score": ("o", "#0072B2", 0.12), "test": ("s", "#D55E00", -0.12)}

# %%
ax = plots.axes(xlabel="accuracy, mean of two executions")
ax.set_title("The best five differ by no more than seeds do")
jitter = np.random.default_rng(0).uniform(-0.08, 0.08, len(pairs))
for column, (marker, colour, shift) in styles.items():
    ax.plot(best_five[column], -np.arange(5) + shift, marker, color=colour, label=column)
    ax.plot(
        pairs[column], -5 + 2 * shift + jitter, marker, color=colour, alpha=0.5, markersize=4
    )
    ax.plot([pairs[column].mean()] * 2, -5 + 2 * shift + np.array([-0.15, 0.15]), "k-")
names = [f"trial {trial}" for trial in best_five.index] + ["the first again,\nnew seeds"]
ax.set_yticks(-np.arange(6), names)
ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
plots.show(
    ax,
    alt=f"Scores and test accuracies. The best five trials score {best_five.score.min():.3f} to {best_five.score.max():.3f}, "
    f"with tests of {best_five.test.min():.3f} to {best_five.test.max():.3f}. The first again, in 30 pairs of new seeds: score "
    f"{pairs.score.min():.3f} to {pairs.score.max():.3f}, mean {pairs.score.mean():.3f}; test {pairs.test.min():.3f} to "
    f"{pairs.test.max():.3f}, mean {pairs.test.mean():.3f}.",
)

# %%
promised = ranking.score.iloc[0]
lower, reached = promised - pairs.score.mean(), sum(pairs.score >= promised)
print(f"the best five differ by {np.ptp(best_five.score):.3f} in all")
print(f"pairs of one setting: standard deviation {pairs.score.std():.3f}")
print(
    f"new scores: {lower:.3f} lower on average; {reached} of {len(pairs)} reaches {promised:.3f}"
)

# %% [markdown]
# **What to notice.** The ranking of the best five means little: seeds alone spread as far. And the winner's new scores are lower than
# the score it won with, on the very same validation images: all but one.
#
# So the winner's score is too good, and for two reasons. It is the best of 30 *epochs*, picked with the validation images.
# And it is the best of many *trials*, picked with the same images: a good trial wins more easily if it is lucky, too.
# That is the **winner's curse**, and it should grow with the number of trials. To see it, draw smaller searches from the
# hundred trials, 2,000 of each size.
#
# **Predict, then run.** The more trials, the higher the winner's score. Its test accuracy, too?


# %%
def winners(trials, n, searches=2000, seed=0):
    """Score and test accuracy, each (searches,), of the best of n trials drawn from the table."""
    draws = np.random.default_rng(seed).random((searches, len(trials))).argsort(axis=1)[:, :n]
    score, test = trials.score.to_numpy(), trials.test.to_numpy()
    best = draws[np.arange(searches), score[draws].argmax(axis=1)]
    return score[best], test[best]


# %%
sizes = np.array([1, 2, 3, 5, 10, 20, 30, 50, 100])
won = np.array([np.mean(winners(trials, n), axis=1) for n in sizes])  # (sizes, 2)
curves = {"winner's score (validation)": won[:, 0], "the same winner's test": won[:, 1]}
ax = plots.lines(
    sizes, curves, xscale="log", xlabel="trials", ylabel="accuracy", ylim=(0.55, 0.95)
)
ax.set_xticks([1, 3, 10, 30, 100], [1, 3, 10, 30, 100])
ax.set_title("The longer the search, the further its score lies above the test")
gaps = won[:, 0] - won[:, 1]
plots.show(
    ax,
    alt=f"Against the number of trials, log scale: the winner's score rises from {won[0, 0]:.2f} to {won[-1, 0]:.2f}, its test "
    f"accuracy from {won[0, 1]:.2f} to {won[-1, 1]:.2f}. The gap grows from {gaps[0]:.3f} to {gaps[-1]:.3f}.",
)
for n, gap in zip(sizes, gaps, strict=True):
    print(f"{n:3} trials: score − test {gap:.3f}")

# %% [markdown]
# **What to notice.** Both curves rise: searching longer finds better networks. But the score rises more, and the gap grows.
# Not all of the gap is the curse: the winner's setting has one with new seeds, too, because each training still picks its best epoch.
# What choosing among trials put on top is what the new scores above are lower by. (The right-most point is one search, this one;
# towards the left they are averages of more and more different ones.)
#
# The curse is clearest where no setting can be better than another. Let 60 "trials" differ in nothing but their seed:

# %%
lucky = repeated.sort_values("score").iloc[-1]
print(f"score of the best of 60 identical trials  {lucky.score:.3f}")
print(f"its test accuracy                         {lucky.test:.3f}")
print(f"test accuracy of the setting, mean of 60  {repeated.test.mean():.3f}")
together = repeated.score.corr(repeated.test)
print(f"correlation of score and test over the 60 {together:.2f}")
by_epoch = (repeated.score - repeated.test).mean()
unchosen = (repeated.validation_last - repeated.test_last).mean()
print(
    f"validation − test, mean of 60: at the best epoch {by_epoch:.3f}, at the last {unchosen:.3f}"
)

# %% [markdown]
# **What to notice.** The best of 60 seeds looks like a discovery. Some of it is one, of a *network*: networks that do better on the
# validation images do better on the test images, too, so this one is worth keeping. But its *setting* is worth the mean. The last line takes
# the rest of the gap apart: without any choice, at the last epoch, these validation images are hardly easier than the test images;
# choosing the best epoch by them makes most of the gap.
#
# ### Exercise 3 · Spend ten trainings
# Ten trials of one execution, or five of two? Simulate it. Each trial has a true value, normally distributed with mean 0
# and standard deviation `spread`. Its score is the mean over its `executions` of the true value plus luck, normally
# distributed with standard deviation `luck`. The trial with the best score wins. Return, as means over 20,000 searches,
# the winner's *worth*, its true value, and its *optimism*, score minus true value. `rng` is a NumPy generator.


# %% tags=["exercise"]
def winner(trials, executions, spread, luck, rng):
    """Return worth and optimism of the winner, means over many simulated searches."""
    ...


# %% tags=["check"]
check.winner(winner)


# %% tags=["solution"] jupyter={"source_hidden": true}
def winner(trials, executions, spread, luck, rng):
    true = rng.normal(0, spread, (20_000, trials))
    score = true + rng.normal(0, luck, (executions, 20_000, trials)).mean(axis=0)
    rows, best = np.arange(20_000), score.argmax(axis=1)
    return true[rows, best].mean(), (score - true)[rows, best].mean()


check.winner(winner)

# %% [markdown]
# And in this lesson's search? Its executions tell how far seeds lie apart, and its trials, with the share of the seeds
# taken off, how far settings do.

# %%
luck = np.sqrt(recorded.groupby("trial").score.var().mean())
spread = np.sqrt(trials.score.var() - luck**2 / 2)
print(f"settings differ by {spread:.3f}, seeds by {luck:.3f} (standard deviations)")
for n, executions in ((10, 1), (5, 2)):  # exactly, without simulating
    noise = luck**2 / executions
    share = check.expected_maximum(n) / np.sqrt(spread**2 + noise)
    print(
        f"{n:2} trials of {executions}: worth {share * spread**2:+.3f}, optimism {share * noise:.3f}"
    )

# %% [markdown]
# **What to notice.** Where settings differ more than seeds, more trials find more, and two executions make the
# winner's score more honest. (Ours had two because this section is about that honesty.)
#
# ## 5 · A cleverer search?
#
# A random search learns nothing from its trials. Two strategies that do, both in Keras Tuner:
#
# - **Hyperband** trains many settings for two epochs, the best third of them for longer, and so on. It saves epochs. (A
#   setting that goes on is a new trial.)
# - **Bayesian** search draws the first third of its trials at random. Then it fits a smooth function, a Gaussian process, to the scores so
#   far, and tries next where that promises most.
#
# In `tuning.search` they are `strategy="hyperband"` and `strategy="bayesian"`. Each was recorded five times, with
# other seeds and one execution per trial: 12 trials of Bayesian search, 40 of random search, and 100 of Hyperband, most of
# which are short (`data/12_strategies.csv`). Their seconds are those of a machine that had other work, too.
#
# **Predict, then run.** Two of those five are below, counted in epochs and in seconds. Which strategy is best?

# %%
strategies = pd.read_csv("../data/12_strategies.csv").sort_values("trial", ignore_index=True)
panels = plt.subplots(2, 2, sharey=True, figsize=(8.4, 6.2))[1]
for row, search in zip(panels, (1, 2), strict=True):
    own = {name: t for name, t in strategies[strategies.search == search].groupby("strategy")}
    for ax, (cost, limit) in zip(row, {"epochs": 350, "seconds": 200}.items(), strict=True):
        within = {name: t[t[cost].cumsum() <= limit] for name, t in own.items()}
        plots.describe(ax, f"Search seed {search}.")
        plots.best_so_far(within, cost, ax)
        ax.set_title(f"search seed {search}", size=10, weight="normal")
for ax in panels.flat:
    plots.level(ax, 0.1, "chance")
for ax in panels.flat[1:]:
    ax.get_legend().remove()
title = "Which strategy is ahead changes with the seed and with the cost"
panels[0, 0].figure.suptitle(title, x=0.01, ha="left", weight="bold")
plots.show(panels)

# %% [markdown]
# One search per strategy says little. So take all five, give each the budget of the cheapest, once counted in epochs
# and once in seconds, and look at the best trial each has found. (The second time without Bayesian search, whose 12
# trials would leave the others too few.)


# %%
def found_within(cost, names):
    """The best trial of every search that fits the budget of the cheapest strategy among `names`."""
    some = strategies[strategies.strategy.isin(names)]
    by_search = some.groupby(["strategy", "search"])[cost]
    budget = by_search.sum().groupby("search").min()
    afforded = some[by_search.cumsum() <= some.search.map(budget) + 1e-6]
    groups = afforded.groupby(["strategy", "search"])
    counts = {
        "trials": groups.size().to_numpy(),
        "settings": groups.apply(lambda own: len(own[choices].drop_duplicates())).to_numpy(),
    }
    return afforded.loc[groups.score.idxmax()].assign(**counts)


# %%
found = {"epochs": found_within("epochs", ["bayesian", "hyperband", "random"])}
found["seconds"] = found_within("seconds", ["hyperband", "random"])
panels = plt.subplots(1, 2, sharey=True, figsize=(7.6, 3.6), width_ratios=[3, 2])[1]
for ax, (cost, best) in zip(panels, found.items(), strict=True):
    names = []
    for place, (strategy, runs) in enumerate(best.groupby("strategy")):
        names.append(f"{strategy}\n{runs.trials.mean():.0f} trials")
        for column, (marker, colour, shift) in styles.items():
            x = place - shift + np.linspace(-0.06, 0.06, len(runs))
            ax.plot(x, runs[column], marker, color=colour, alpha=0.7, markersize=5)
            ax.plot(place - shift + np.array([-0.1, 0.1]), [runs[column].mean()] * 2, "k-")
    ax.set_xticks(range(len(names)), names)
    ax.set_title(f"at equal {cost}", size=10, weight="normal")
panels[0].set_ylabel("best trial: ● score, ■ test, bar: mean")
panels[0].figure.suptitle(
    "Five searches each do not show which strategy is best", x=0.01, ha="left", weight="bold"
)
said = pd.concat(found).groupby([pd.concat(found).index.get_level_values(0), "strategy"])
said = "; ".join(
    f"{name} at equal {cost}: {row.score:.3f} and {row.test:.3f}"
    for (cost, name), row in said[["score", "test"]].mean().iterrows()
)
plots.show(panels, alt=f"Mean score and mean test accuracy of the best trial: {said}.")


# %%
def against_random(cost, strategy, column):
    """Mean of the difference to random search over five searches, and half its 95 % interval (Student's t)."""
    table = found[cost].pivot(index="search", columns="strategy", values=column)
    difference = table[strategy] - table["random"]
    return difference.mean(), 2.776 * difference.sem()


versus = {
    (cost, strategy, column): against_random(cost, strategy, column)
    for cost, strategy in (
        ("epochs", "bayesian"),
        ("epochs", "hyperband"),
        ("seconds", "hyperband"),
    )
    for column in ("score", "test")
}
for (cost, strategy, column), (mean, half) in versus.items():
    print(f"equal {cost}: {strategy} − random, {column:5} {mean:+.3f} ± {half:.3f}")
tried = found["epochs"].groupby("strategy")[["trials", "settings"]].mean()
print(tried.round(0).astype(int))
spent = strategies.groupby("strategy")[["seconds", "epochs"]].sum()
per_epoch = spent.seconds / spent.epochs
print("seconds per epoch:", {name: round(cost, 2) for name, cost in per_epoch.items()})

# %% [markdown]
# **What to notice.** A null result: every interval holds 0. (They are wide: differences of 0.05 remain possible.) At equal epochs Hyperband has run
# some 80 trials where random search has run 11, of more than 50 settings, and that has bought nothing that five searches could show. In seconds
# no advantage is to be seen either: every trial pays its start, a promoted one too, so that an epoch of Hyperband costs more than
# two of random search. (With trainings of hours the start should matter less; that is not measured here.) A
# Gaussian process with 12 trials in 6 dimensions, four of them drawn at random, has little to go by. And the best
# trials of one and the same strategy differ so much from search to search that the two searches above, taken alone,
# would have "shown" anything. (Random and Bayesian searches of the same seed begin with the same trials.)
#
# ## 6 · The test set, once
#
# A search ends with a *setting*, not with a result. The result comes from training this setting anew, with seeds that
# took no part in the search, and from images that no choice has seen: no choice of a trial, of an epoch or of a
# strategy. Here it is, beside two others: the best GRU of the search, and a plain RNN with 32 units, no dropout and
# learning rate 0.003, chosen before there was any search.

# %%
final = (
    seeds[seeds.setting != "plain, other images"]
    .groupby("setting")
    .test.agg(["mean", "sem", "size"])
)
final["low"], final["high"] = final["mean"] - 2 * final["sem"], final["mean"] + 2 * final["sem"]
print(final.drop(columns="sem").round(3))
of = {setting: runs.test for setting, runs in seeds.groupby("setting")}
gained, moved = (
    difference(of["winner"], of["plain"]),
    difference(of["plain, other images"], of["plain"]),
)
print(f"promised by the search {promised:.3f}")
print("gained over the plain RNN {:.3f} ± {:.3f}".format(*gained))
print("the plain RNN, all images drawn anew 30 times: {:+.3f} ± {:.3f}".format(*moved))

# %% [markdown]
# **What to notice.** The winner is worth less than the search promised. (You have seen what it is worth in section 4; in a
# search of yours that number would appear here for the first time.) Two hundred trainings have bought 0.01 over a sensible guess, and
# the interval holds 0. It counts seeds only: with other images, for training and for test, the plain RNN alone moves by twice as much. The search was
# worth more as a map of what matters than for its winner. Note also what this table can *not* be used for: as soon as
# you choose by it, it is a validation table.
#
# ## 7 · On several machines
#
# A search of hours is spread over processes and machines with Keras Tuner's own chief and workers. The *chief* chooses
# trials and trains nothing; *workers* ask it for one, train it, and report. All of them name the same function,
# `digits_by_row` in `course/searches.py`, and the same directory. On this machine, in three terminals in the course's
# folder, where its README is:
#
# ```
# python -m course.tuning chief  course.searches:digits_by_row --directory runs/digits
# python -m course.tuning worker course.searches:digits_by_row --directory runs/digits --id 1
# python -m course.tuning worker course.searches:digits_by_row --directory runs/digits --id 2
# ```
#
# On several, the directory is one that all of them see, such as a network drive, and chief and workers are told the
# chief's address, `--host 10.0.0.5`. The channel is not encrypted and asks for no password: a private network only.
#
# - **A worker dies** or its machine is switched off: after a minute without a sign of life, its trial goes to another worker.
#   Executions it had finished are on disk and are not repeated. Started again, it takes part again.
# - **The chief dies**: the workers wait for it, ten minutes if not told otherwise. Start it again with the same command, and
#   it goes on where it was.
# - **All of it dies**: start everything again.
#
# At the end the directory holds what a search in one process leaves: `tuning.search(**searches.digits_by_row(),
# directory="../runs/digits")` in a notebook, which runs in `notebooks/`, trains nothing more and returns the table. More in
# [several machines](../docs/several_machines.md), clusters included.

# %% [markdown]
# ## Measured
#
# What this lesson claims: of the live search that it goes on; of size, dropout and luck over the recorded trials and seeds.

# %%
# NBVAL_CHECK_OUTPUT
both = {name: alone[alone.units == units] for name, units in (("small", 8), ("large", 32))}
large = both["large"].groupby("dropout").test_of_all.mean()
enlarged = large[0.0] - both["small"][both["small"].dropout == 0].test_of_all.mean()
trained = {name: runs.training_last.mean() for name, runs in both.items()}
dropout_gain = [change.mean() + t * change.sem() for change in changes.values()]
verdicts = {
    "the live search trained each of ten executions once": [*live.table.attempts] == [1] * 10,
    "asked again it returned the same table": again_same,
    "its trials are the first of the recorded search": same,
    "C03 in part: 8 units underfit, training below 0.9": trained["small"] < 0.9,
    "C03 in part: enlarging to 32 brings over 0.25": enlarged > 0.25,
    "32 units overfit: training over 0.99": trained["large"] > 0.99,
    "and test below 0.87": large.max() < 0.87,
    "the gap does not tell: it is larger for 8 units": means.gap[8, 0.0] > means.gap[32, 0.0],
    "C03: no gain from dropout seen, none over 0.03": max(dropout_gain) < 0.03,
}
for claim, holds in verdicts.items():
    print("holds " if holds else "FAILS ", claim)
assert all(verdicts.values())

# %%
# NBVAL_CHECK_OUTPUT
far = effect["from end to end"]
hurt = per_cell["recurrent dropout + 0.1"]
lowest, highest = effect.low["a second layer"], effect.high["a second layer"]
verdicts = {
    "recorded: twice the units bring over 0.05": effect.low["twice the units"] > 0.05,
    "recorded: dropout costs, interval below 0": effect.high["dropout + 0.1"] < 0,
    "recorded: recurrent dropout costs": effect.high["recurrent dropout + 0.1"] < 0,
    "recorded: a second layer, not known": lowest < 0 < highest,
    "units and learning rate matter most": min(far.iloc[0], far.iloc[4])
    > 1.5 * far.iloc[1:4].abs().max(),
    "recorded: means of GRU and RNN not told apart": abs(by_mean[0]) < by_mean[1],
    "recorded: the RNN is first at its best": best_five_of(trials).idxmax() == "RNN",
    "and with no more trials than the others": still > 0.95,
    "recurrent dropout hurts the RNN over twice as much": hurt["RNN"]
    < 2 * hurt.drop("RNN").min(),
}
for claim, holds in verdicts.items():
    print("holds " if holds else "FAILS ", claim)
assert all(verdicts.values())

# %%
# NBVAL_CHECK_OUTPUT
worth = final["high"]["winner"]
again, five = np.ptp(pairs.score), np.ptp(best_five.score)
verdicts = {
    "luck: one setting spreads wider than the best five": again > five,
    "trained again, the winner scores less, all but once": lower > 0.01 and reached == 1,
    "the gap grows by over 0.02 from 1 to 100 trials": gaps[-1] - gaps[0] > 0.02,
    "and the test rises all the same": won[-1, 1] > won[0, 1] + 0.1,
    "choosing the epoch makes a gap over 0.01": by_epoch - unchosen > 0.01,
    "lucky networks are better ones: correlation over 0.3": together > 0.3,
    "settings differ more than seeds, twice as much": spread > 2 * luck,
    "best of 60 identical trials: score over 0.03 above test": lucky.score - lucky.test > 0.03,
    "the winner's new tests lie over 0.03 below its score": promised - worth > 0.03,
}
for claim, holds in verdicts.items():
    print("holds " if holds else "FAILS ", claim)
assert all(verdicts.values())

# %%
# NBVAL_CHECK_OUTPUT
settings = tried.settings.round()
zero_inside = [abs(mean) < half for mean, half in versus.values()]
verdicts = {
    "what the search gained over a guess: 0 is possible": gained[0] < gained[1],
    "other images move the plain RNN by more": moved[0] > max(moved[1], 1.5 * gained[0]),
    "Hyperband tried over 50 settings": settings["hyperband"] > 50,
    "where random search tried 11": settings["random"] == 11,
    "an epoch of Hyperband costs over twice": per_epoch["hyperband"] > 2 * per_epoch["random"],
    "strategies: every interval holds 0": all(zero_inside),
}
for claim, holds in verdicts.items():
    print("holds " if holds else "FAILS ", claim)
assert all(verdicts.values())

# %% [markdown]
# ## Quiz

# %%
classroom.quiz("quizzes/12_tuning.json")

# %% [markdown]
# ## Three things to take away
#
# 1. Search over size and learning rate first, on log scales, and read effects with the other choices held: averages over
#    a search space describe the space. Dropout is worth a try and no promise: here it did not help.
# 2. A winner's score is too good, the more so the longer the search. Repeat the winner with new seeds, and touch
#    the test images once.
# 3. Every finished training is on disk, so that a search may be stopped, killed, continued and shared between machines.
#
# **Next:** 13 · Can we reproduce "On the difficulty of training RNNs"?
#
# **References.** T. O'Malley and others, *KerasTuner* (2019). J. Bergstra and Y. Bengio, *Random search for
# hyper-parameter optimization*, Journal of Machine Learning Research 13 (2012). L. Li and others, *Hyperband: a novel
# bandit-based approach to hyperparameter optimization*, Journal of Machine Learning Research 18 (2018). J. Snoek, H. Larochelle and R. Adams, *Practical Bayesian
# optimization of machine learning algorithms*, NIPS 2012. G. Cawley and N. Talbot, *On over-fitting in model selection
# and subsequent selection bias in performance evaluation*, Journal of Machine Learning Research 11 (2010). X.
# Bouthillier and others, *Accounting for variance in machine learning benchmarks*, MLSys 2021. N. Srivastava and others,
# *Dropout: a simple way to prevent neural networks from overfitting*, Journal of Machine Learning Research 15 (2014).
# E. Alpaydin and C. Kaynak, *Cascading classifiers*, Kybernetika 34 (1998), for the digits.
