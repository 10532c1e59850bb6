"""Checks of lesson 12. Reading on spoils the exercises."""

from math import erf

from course.classroom import checks
import numpy as np
import pandas as pd

RANGES = {"units": ("Int", 8, 64, "log"), "dropout": ("Float", 0, 0.6, "linear")}
RANGES |= {"learning_rate": ("Float", 1e-3, 3e-2, "log")}
N_BEST = (8, 5, 3, 7, 2, 6, 4, 9) * 4  # n, for a table each; every cell has more trials than that
DRAWN = [dict(zip(RANGES, values, strict=True)) for values in ((13, 0.1, 2e-3), (60, 0.45, 2e-2))]


@checks.judged(
    hints=[
        'A range is declared by hp.Int("name", low, high) or hp.Float("name", low, high), which returns what is drawn.',
        'sampling="log" makes every doubling equally likely; without it a range is drawn evenly.',
        "Return a dict whose keys are the three names and whose values are what hp has returned.",
    ]
)
def space(attempt):
    """Check a function of hp that declares units, dropout and learning_rate and returns them in a dict."""
    if not callable(attempt):
        return checks.wrong("A function of hp is expected.")
    import keras_tuner

    hp = keras_tuner.HyperParameters()
    answer = checks.call(attempt, hp)
    if isinstance(answer, checks.Raised):
        return checks.wrong(f"Your function raised {type(answer.error).__name__}: {answer.error}")
    declared = {p.name: p for p in hp.space}
    for name, wanted in RANGES.items():
        if name not in declared:
            known = f"; declared are {', '.join(declared)}" if declared else ""
            return checks.wrong(f"No {name!r} is declared with hp, so the search cannot vary it{known}.")
        if fault := _fault(name, declared[name], *wanted):
            return checks.wrong(fault)
    if more := sorted({*declared} - {*RANGES}):
        return checks.wrong(f"Declared besides what is asked for: {', '.join(more)}. It would be searched, too.")
    if answer is None:
        return checks.wrong("Your function returns nothing: is a `return` missing?")
    if not isinstance(answer, dict) or {*answer} != {*RANGES}:
        return checks.wrong(f"A dict with the keys {', '.join(RANGES)} is expected, got {answer!r}.")
    for values in DRAWN:
        hp.values = dict(values)
        answer = checks.call(attempt, hp)
        drawn = ", ".join(f"{name} = {value}" for name, value in values.items())
        if not isinstance(answer, dict) or {*answer} != {*RANGES}:
            return checks.wrong(f"When hp draws {drawn}, the result is no dict with the three keys: {answer!r}.")
        for name, value in values.items():
            if answer[name] != value:
                return checks.wrong(f"hp has drawn {name} = {value}, and your function returns {answer[name]!r}.")
    return checks.right("Correct: three ranges, of which two are drawn evenly on a log scale.")


def _fault(name, parameter, kind, low, high, sampling):
    """Return what is wrong with a declared hyperparameter, or None."""
    given = type(parameter).__name__
    if given in ("Choice", "Boolean", "Fixed"):
        return f"{name} is a {given}: only the values listed are ever tried. A range is asked for: hp.{kind}."
    if given != kind:
        why = "a layer cannot have 20.7 units" if kind == "Int" else "values between whole numbers are meant"
        return f"{name} is of hp.{given}, but {why}: hp.{kind}."
    if (parameter.min_value, parameter.max_value) != (low, high):
        return f"{name} goes from {parameter.min_value} to {parameter.max_value}; asked for is {low} to {high}."
    if parameter.sampling != sampling:
        if parameter.sampling == "reverse_log" or sampling == "linear":
            return f"{name} is to be drawn with sampling={sampling!r}, not {parameter.sampling!r}."
        middle = np.sqrt(low * high)
        share = (high - middle) / (high - low)
        return (
            f"{name} is drawn evenly: {share:.0%} of the trials would lie above {middle:.2g}, the middle of the "
            f"range in doublings. sampling='log' makes every doubling equally likely."
        )
    if parameter.step not in (None, 1):
        return f"{name} moves in steps of {parameter.step}: the values in between are never tried. Leave step out."
    return None


def _score(table):
    return table.groupby(["cell", "trial"])["score"].mean()


def _by_cell(how, scores=_score):
    """Return a function of (table, n): the cell whose scores are best by `how(scores, n)`."""
    return lambda table, n: scores(table).groupby("cell").agg(lambda of_cell: how(of_cell, n)).idxmax()


def _executions(table):
    return table.set_index("cell")["score"]


def _luckiest(table):
    return table.groupby(["cell", "trial"])["score"].max()


def _most_of_the_best(table, n):
    return _score(table).nlargest(n).index.get_level_values("cell").value_counts().idxmax()


def _tables():
    """Tables of made-up searches, each with n, such that any two of the usual mistakes differ on one of them."""
    tables = []
    for seed, n in enumerate(N_BEST):
        rng, rows = np.random.default_rng(seed), []
        middles, spreads, counts = rng.uniform(0.5, 0.55, 3), rng.uniform(0.05, 0.16, 3), rng.integers(9, 20, 3)
        for cell, middle, spread, count in zip(("RNN", "LSTM", "GRU"), middles, spreads, counts, strict=True):
            for level in rng.normal(middle, spread, count):
                trial = len(rows)
                rows += [(trial, cell, level + rng.normal(0, 0.08)) for _ in range(rng.integers(1, 4))]
        table = pd.DataFrame(rows, columns=["trial", "cell", "score"])
        tables.append((table.sample(frac=1, random_state=seed, ignore_index=True), n))
    return tables


def _top(scores, n):
    return scores.nlargest(n).mean()


right_cell = _by_cell(_top)


def _sums(table):
    return table.groupby(["cell", "trial"])["score"].sum()


def _firsts(table):
    return table.groupby(["cell", "trial"])["score"].first()


BEST_OF_ALL = "These are the n best trials of all: more trials of a cell, more among the best."
WHOLE = "This is the highest mean over all its trials, with settings that nobody would use: take only its n best."


@checks.function(
    _tables,
    mistakes=[
        (_by_cell(lambda scores, n: scores.mean()), WHOLE),
        (_by_cell(lambda scores, n: scores.mean(), _executions), WHOLE),
        (_by_cell(lambda scores, n: scores.nsmallest(n).mean()), "These are the n worst trials of a cell."),
        (_by_cell(_top, _executions), "These are the n best executions; a trial's score is the mean over its own."),
        (_by_cell(_top, _luckiest), "A trial's score is the mean over its executions, not the best of them."),
        (_by_cell(_top, _sums), "A trial's score is the mean over its executions, not their sum."),
        (_by_cell(_top, _firsts), "A trial's score is the mean over its executions, not the first of them."),
        (_by_cell(lambda scores, n: scores.iloc[:n].mean()), "These are the first n trials, not the n best."),
        (lambda table, n: right_cell(table, 5), "You take five trials, whatever n is."),
        (lambda table, n: right_cell(table, n - 1), "You take one trial too few: n of them are asked for."),
        (lambda table, n: right_cell(table, n + 1), "You take one trial too many: n of them are asked for."),
        (_by_cell(lambda scores, n: scores.max(), _executions), "This is the one best execution: a lucky seed?"),
        (_by_cell(lambda scores, n: scores.max()), "This is the cell of the one best trial: take the n best."),
        (_most_of_the_best, BEST_OF_ALL),
        (lambda table, n: _score(table).nlargest(n).reset_index().cell.mode()[0], BEST_OF_ALL),
        (_by_cell(lambda scores, n: scores.median()), "The median is a typical trial: you would choose a good one."),
    ],
    hints=[
        "First a score per trial: the mean over its executions, with groupby on cell and trial.",
        "Then, per cell, the mean of the n largest: nlargest(n).mean().",
        "idxmax gives the name of the cell with the highest.",
    ],
    praise="Correct: a cell is judged by the settings that you would choose for it.",
)
def cell_at_its_best(table, n):
    return right_cell(table, n)


def expected_maximum(n):
    """The mean of the largest of n draws from a standard normal distribution, by integration."""
    x = np.linspace(-9, 9, 6001)
    below = np.array([(1 + erf(value / np.sqrt(2))) / 2 for value in x])
    return np.sum(x * n * np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi) * below ** (n - 1)) * (x[1] - x[0])


def _winner(trials, executions, spread, luck, power=0.5):
    """Return worth and optimism, exactly: score = true + noise, both normal; the best score of `trials` wins."""
    noise = (luck / executions**power) ** 2
    share = expected_maximum(trials) / np.sqrt(spread**2 + noise)
    return share * np.array([spread**2, noise])


def _apart(trials, executions, spread, luck):
    return expected_maximum(trials) * np.array([spread, luck / np.sqrt(executions)])


def _simulated():
    cases = (10, 4, 2.0, 0.6), (10, 2, 0.02, 0.04), (30, 3, 0.0, 0.03), (40, 1, 0.5, 0.5)
    return [(*case, np.random.default_rng(0)) for case in cases]


def _exactly(change=lambda found: found, **options):
    return lambda *case: np.asarray(change(_winner(*case[:4], **options)))


@checks.function(
    _simulated,
    mistakes=[
        (_exactly(lambda found: found[::-1]), "Worth and optimism are swapped: return the worth first."),
        (
            _exactly(lambda found: found @ [[1, 0], [1, 1]]),
            "The first number is the winner's score: the worth has no luck.",
        ),
        (
            _exactly(lambda found: found @ [[1, 1], [0, 1]]),
            "The second number is the score: take off its true value.",
        ),
        (
            _exactly(lambda found: found * [1, -1]),
            "The optimism has the wrong sign: it is score minus true value.",
        ),
        (_exactly(lambda found: -found), "This is the worst trial: the best score wins."),
        (_exactly(lambda found: 0 * found), "This is the mean over all trials: take the one with the best score."),
        (_exactly(power=0), "Executions change nothing here: their mean has luck / √executions."),
        (_exactly(power=1), "luck falls with the square root of the executions, not with their number."),
        (_exactly(power=-0.5), "luck grows with the executions: a score is their mean, not their sum."),
        (
            lambda *case: _winner(*case[:2], case[2] ** 2, case[3] ** 2),
            "spread and luck are standard deviations already: do not square them.",
        ),
        (
            lambda *case: _winner(*case[:2], case[2] ** 0.5, case[3] ** 0.5),
            "spread and luck are standard deviations already: take no root.",
        ),
        (
            lambda *case: _apart(*case[:4]) * [1, 0],
            "You choose by the true value, which nobody sees: the best score wins.",
        ),
        (
            lambda *case: _apart(*case[:4]),
            "True value and luck are maximised apart from one another; one trial wins, with both.",
        ),
    ],
    hints=[
        "Draw all searches at once: true values (searches, trials), luck (executions, searches, trials).",
        "score = true + luck.mean(axis=0); score.argmax(axis=1) is the winner of each search.",
        "true[np.arange(searches), winner] is its true value; take means over the searches at the end.",
    ],
    tolerance=0.03,
    seconds=60,
    praise="Correct. More executions make the winner's score more honest, more trials find more.",
    remark=lambda *_: "Is it a mean over 20,000 searches? Few leave much to luck.",
)
def winner(trials, executions, spread, luck, rng):
    return _winner(trials, executions, spread, luck)
