"""Checks of lesson 12. Reading on spoils the exercises."""

from math import erf

from course.classroom import checks
import numpy as np
from scipy.stats import norm, t

RANGES = {"units": ("Int", 8, 64, "log"), "dropout": ("Float", 0, 0.6, "linear")}
RANGES |= {"learning_rate": ("Float", 1e-3, 3e-2, "log")}
DRAWN = [dict(zip(RANGES, values, strict=True)) for values in ((9, 0.1234567, 1.7321e-3), (61, 0.4567891, 2.2361e-2))]


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
        return checks.wrong(f"When hp gives its defaults, {checks.came_of(answer)}.")
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
        if isinstance(answer, checks.Raised):
            return checks.wrong(f"When hp draws {drawn}, {checks.came_of(answer)}.")
        if not isinstance(answer, dict) or {*answer} != {*RANGES}:
            return checks.wrong(f"When hp draws {drawn}, the result is no dict with the three keys: {answer!r}.")
        for name, value in values.items():
            if checks.number(answer[name]) != value:
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
    if parameter.step is not None and not (kind == "Int" and parameter.step == 1):
        return f"{name} moves in steps of {parameter.step}: the values in between are never tried. Leave step out."
    return None


def _pairs():
    """Accuracies with and without dropout, in which the seeds differ more than the effect."""
    cases = []
    for number, n in enumerate((4, 7, 12)):
        rng = np.random.default_rng(number)
        seeds = rng.normal(0.7, 0.05, n)
        cases.append((seeds + rng.normal(0.03 - 0.05 * number, 0.02, n), seeds + rng.normal(0, 0.02, n)))
    return cases


def _change(with_dropout, without):
    return (np.asarray(with_dropout) - np.asarray(without)).mean()


def _half(with_dropout, without):
    return _t(_d(with_dropout, without)) * _error(_d(with_dropout, without))


def _of_d(f):
    """A function of both arrays from one of their differences."""
    return lambda a, b: f(_d(a, b))


def _d(with_dropout, without):
    return np.asarray(with_dropout) - np.asarray(without)


def _error(values):
    return values.std(ddof=1) / np.sqrt(len(values))


UNPAIRED = "This takes the two groups apart: the same seed stands in both, so use the differences, seed by seed."


@checks.function(
    _pairs,
    mistakes=[
        (
            lambda a, b: (_change(a, b) - _half(a, b), _change(a, b) + _half(a, b)),
            "These are the two ends of the interval; asked for are its middle and half its length.",
        ),
        (lambda a, b: (_half(a, b), _change(a, b)), "The two are swapped: the mean difference first."),
    ],
    parts={
        "mean": [
            (_of_d(lambda d: -d.mean()), "The sign is wrong: with dropout minus without."),
            (_of_d(np.median), "The mean of the differences is asked for, not the median."),
            (_of_d(np.sum), "This is the sum of the differences; take their mean."),
            (_of_d(lambda d: 100 * d.mean()), "That is in percent; the difference of the accuracies is asked for."),
            (
                lambda a, b: _change(a, b) / np.mean(b),
                "The difference itself is asked for, not relative to the other.",
            ),
            (lambda a, b: np.mean(a), "This is the mean with dropout; the difference to that without is asked for."),
        ],
        "half": [
            (lambda a, b: _t(a) * np.hypot(_error(np.asarray(a)), _error(np.asarray(b))), UNPAIRED),
            (
                lambda a, b: t.ppf(0.975, 2 * len(a) - 2) * np.hypot(_error(np.asarray(a)), _error(np.asarray(b))),
                UNPAIRED,
            ),
            (lambda a, b: _t(a) * (_error(np.asarray(a)) + _error(np.asarray(b))), UNPAIRED),
            (_of_d(lambda d: 2 * _t(d) * _error(d)), "This is the whole interval: half of it is asked for."),
            (_of_d(lambda d: -_t(d) * _error(d)), "Half a length is positive: take t at .975, not at .025."),
            (
                _of_d(lambda d: _t(d) * d.std(ddof=1)),
                "The standard deviation tells how far seeds spread; the error of their mean is smaller by √n.",
            ),
            (_of_d(_error), "This is the standard error: times Student's t."),
            (_of_d(lambda d: 1.96 * _error(d)), "1.96 is for many seeds: with few, Student's t is larger."),
            (
                _of_d(lambda d: norm.ppf(0.975) * _error(d)),
                "The normal distribution is for many seeds: with few, Student's t is larger.",
            ),
            (_of_d(lambda d: 2 * _error(d)), "2 is for many seeds: with few, Student's t is larger."),
            (
                _of_d(lambda d: t.ppf(0.95, len(d) - 1) * _error(d)),
                "Between the 5 % and the 95 % point lie 90 %: take t at .975.",
            ),
            (
                _of_d(lambda d: t.ppf(0.975, len(d)) * _error(d)),
                "n differences have n − 1 degrees of freedom: their mean has used up one.",
            ),
            (_of_d(lambda d: _t(d) * d.std() / np.sqrt(len(d))), "std divides by n unless told otherwise: ddof=1."),
            (
                _of_d(lambda d: _t(d) * d.std(ddof=1) / len(d)),
                "The error of a mean falls with the square root of n, not with n.",
            ),
            (
                _of_d(lambda d: _t(d) * d.var(ddof=1) / np.sqrt(len(d))),
                "This takes the variance: the standard deviation is its root, std.",
            ),
            (
                _of_d(lambda d: _t(d) * d.std(ddof=1) / np.sqrt(len(d) - 1)),
                "ddof=1 has taken off one already: divide by the root of n.",
            ),
        ],
    },
    hints=[
        "Take the differences first: d = with_dropout - without, one number per seed.",
        "The standard error of their mean is d.std(ddof=1) / np.sqrt(n).",
        "Half the interval is stats.t.ppf(0.975, n - 1) times that error. Return d.mean() and it.",
    ],
    praise="Correct: what a seed does to both runs alike has fallen out.",
)
def dropout_effect(with_dropout, without):
    return _change(with_dropout, without), _half(with_dropout, without)


def _t(d):
    return t.ppf(0.975, len(d) - 1)


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


def _both(answer, *case):
    """Both numbers beside those expected, and a word on luck where they are off by no more than luck may do."""
    found, expected = checks.numbers(answer), _winner(*case[:4])
    if found is None or found.shape != (2,):
        return ""
    near = np.allclose(found, expected, rtol=0, atol=0.2 * np.max(expected))
    said = (
        f"Yours: worth {found[0]:.3g}, optimism {found[1]:.3g}; {expected[0]:.3g} and {expected[1]:.3g} are expected."
    )
    return f"{said} Is it a mean over 20,000 searches? Few leave much to luck." if near else said


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
            lambda *case: _winner(*case[:2], case[3], case[2]),
            "spread and luck are swapped: the true values have spread, the executions luck.",
        ),
        (
            lambda *case: _winner(*case[:2], case[2] / np.sqrt(case[1]), case[3]),
            "The true value of a trial is the same in all its executions: only luck is divided by √executions.",
        ),
        (lambda *case: _apart(*case[:4]) * [0, 1], "You choose the luckiest trial; the best score wins."),
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
    tolerance=0.02,
    seconds=60,
    praise="Correct. More executions make the winner's score more honest, more trials find more.",
    remark=_both,
)
def winner(trials, executions, spread, luck, rng):
    return _winner(trials, executions, spread, luck)
