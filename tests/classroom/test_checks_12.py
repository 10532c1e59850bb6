"""The checks of lesson 12: the usual mistakes are told what to look at, right answers written differently pass."""

import re

from course.classroom.exercises import lesson_12
import numpy as np
import pytest
from scipy import stats
from verdicts import verdict, wrong

# The search space


def declaring(units=None, dropout=None, learning_rate=None, more=None, answer=None):
    """A space in which one of the three is declared as the argument says, a function of hp."""

    def space(hp):
        found = {
            "units": (units or (lambda hp: hp.Int("units", 8, 64, sampling="log")))(hp),
            "dropout": (dropout or (lambda hp: hp.Float("dropout", 0.0, 0.6)))(hp),
            "learning_rate": (learning_rate or (lambda hp: hp.Float("learning_rate", 1e-3, 3e-2, sampling="log")))(
                hp
            ),
        }
        if more is not None:
            more(hp)
        return found if answer is None else answer(found)

    return space


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        (declaring(units=lambda hp: hp.Int("units", 8, 64)), "units is drawn evenly: 74% of the trials"),
        (declaring(learning_rate=lambda hp: hp.Float("learning_rate", 1e-3, 3e-2)), "sampling='log' makes every"),
        (
            declaring(units=lambda hp: hp.Int("units", 8, 64, sampling="reverse_log")),
            "with sampling='log', not 'reverse_log'",
        ),
        (declaring(units=lambda hp: hp.Float("units", 8, 64, sampling="log")), "cannot have 20.7 units"),
        (declaring(units=lambda hp: hp.Choice("units", [8, 16, 32, 64])), "units is a Choice"),
        (declaring(units=lambda hp: hp.Int("units", 4, 64, sampling="log")), "units goes from 4 to 64"),
        (declaring(units=lambda hp: hp.Int("units", 8, 64, step=2, sampling="log")), "steps of 2"),
        (declaring(units=lambda hp: hp.Int("size", 8, 64, sampling="log")), "No 'units' is declared"),
        (
            declaring(units=lambda hp: 32),
            "No 'units' is declared with hp, so the search cannot vary it; declared are",
        ),
        (declaring(dropout=lambda hp: hp.Int("dropout", 0, 1)), "hp.Float"),
        (declaring(dropout=lambda hp: hp.Float("dropout", 0.0, 0.6, sampling="log")), "raised ValueError"),
        (declaring(dropout=lambda hp: hp.Float("dropout", 0.0, 0.6, step=0.1)), "steps of 0.1"),
        (declaring(dropout=lambda hp: hp.Float("dropout", 0.0, 0.9)), "asked for is 0 to 0.6"),
        (declaring(units=lambda hp: hp.Int("units", 8, 64, sampling="log") * 2), "hp has drawn units = 9, and"),
        (declaring(more=lambda hp: hp.Int("layers", 1, 2)), "besides what is asked for: layers"),
        (declaring(answer=lambda found: tuple(found.values())), "A dict with the keys units, dropout, learning_rate"),
        (declaring(answer=lambda found: found | {"layers": 1}), "A dict with the keys"),
        (lambda hp: declaring(answer=lambda found: None)(hp), "returns nothing"),
        (lambda: {}, "raised TypeError"),
        ({"units": (8, 64)}, "A function of hp is expected"),
    ],
)
def test_space_names_what_is_declared_wrongly(attempt, hint):
    wrong(lesson_12.space, attempt, hint)


def test_space_is_accepted_written_differently():
    def by_keyword(hp):
        names = ["dropout", "learning_rate", "units"]
        values = [
            hp.Float(names[0], min_value=0, max_value=0.6, default=0.2, sampling="linear"),
            hp.Float(names[1], min_value=0.001, max_value=0.03, sampling="log"),
            hp.Int(names[2], max_value=64, min_value=8, default=32, sampling="log"),
        ]
        return dict(zip(names, values, strict=True))

    for attempt in (declaring(), by_keyword):
        assert verdict(lesson_12.space, attempt).status == "right"


# The effect of dropout, seed by seed


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        (lambda a, b: (np.mean(b) - np.mean(a), 2.0), "Result 1|not all|the shape|different|sign"),
        (lambda a, b: np.mean(a - b), "2 results|shape"),
        (
            lambda a, b: (np.mean(a - b), stats.ttest_ind(a, b).confidence_interval(0.95).high),
            "half: the answer",
        ),
        (lambda a, b: (np.mean(a - b), stats.sem(a - b)), "times Student's t"),
        (lambda a, b: (np.mean(a - b), 2 * stats.sem(a - b)), "2 is for many seeds"),
        (lambda a, b: (np.mean(a - b), 1.96 * stats.sem(a - b)), "1.96 is for many seeds"),
        (lambda a, b: (np.mean(b - a), half(a - b)), "The sign is wrong"),
        (lambda a, b: (np.mean(a - b), 2 * half(a - b)), "whole interval"),
        (lambda a, b: (np.mean(a - b), half(a - b) * np.sqrt(len(a))), "how far seeds spread"),
        (
            lambda a, b: stats.t.interval(0.95, len(a) - 1, np.mean(a - b), stats.sem(a - b)),
            "two ends of the interval",
        ),
        (lambda a: (0, 0), "TypeError"),
        (lambda a, b: print(a), "returns nothing"),
        ("0.03", "a function is expected"),
    ],
)
def test_dropout_effect_names_the_mistake(attempt, hint):
    found = verdict(lesson_12.dropout_effect, attempt)
    assert found.status == "wrong"
    assert re.search(hint, found.message), found


def half(d):
    return stats.t.ppf(0.975, len(d) - 1) * np.std(d, ddof=1) / np.sqrt(len(d))


@pytest.mark.parametrize(
    "attempt",
    [
        lambda a, b: (np.mean(a) - np.mean(b), half(a - b)),
        lambda a, b: [sum(a - b) / len(a), half(a - b)],
        lambda a, b: ((a - b).mean(), -stats.t.interval(0.95, len(a) - 1, 0, stats.sem(a - b))[0]),
    ],
)
def test_dropout_effect_is_accepted_written_differently(attempt):
    assert verdict(lesson_12.dropout_effect, attempt).status == "right"


# The winner's worth and optimism


def simulate(trials, executions, spread, luck, rng, searches=20_000):
    true = rng.normal(0, spread, (searches, trials))
    score = true + rng.normal(0, luck, (executions, searches, trials)).mean(axis=0)
    rows, best = np.arange(searches), score.argmax(axis=1)
    return true[rows, best], score[rows, best]


def changed(change):
    """A simulation whose mean worth and mean score of the winner go through `change`."""

    def attempt(*case):
        true, score = simulate(*case)
        return change(true.mean(), score.mean())

    return attempt


def by_the_true_value(trials, executions, spread, luck, rng):
    true = rng.normal(0, spread, (20_000, trials))
    score = true + rng.normal(0, luck, (executions, 20_000, trials)).mean(axis=0)
    rows, best = np.arange(20_000), true.argmax(axis=1)
    return true[rows, best].mean(), (score - true)[rows, best].mean()


def with_case(change):
    """A right simulation of a changed case."""
    return lambda *case: changed(lambda true, score: (true, score - true))(*change(*case))


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        (changed(lambda true, score: (score - true, true)), "swapped"),
        (changed(lambda true, score: (score, score - true)), "The first number is the winner's score"),
        (changed(lambda true, score: (true, score)), "The second number is the score"),
        (changed(lambda true, score: (true, true - score)), "wrong sign"),
        (with_case(lambda n, e, s, luck, rng: (n, 1, s, luck, rng)), "luck / √executions"),
        (with_case(lambda n, e, s, luck, rng: (n, 1, s, luck / e, rng)), "falls with the square root"),
        (with_case(lambda n, e, s, luck, rng: (n, 1, s, luck * e**0.5, rng)), "mean, not their sum"),
        (by_the_true_value, "which nobody sees"),
        (
            lambda n, e, s, luck, rng: (
                rng.normal(0, s, (20_000, n)).max(axis=1).mean(),
                rng.normal(0, luck / e**0.5, (20_000, n)).max(axis=1).mean(),
            ),
            "maximised apart",
        ),
        (lambda *case: (float(case[-1].normal(0, 0.02, 20_000).mean()), 0.0), "the mean over all trials"),
        (lambda *case: tuple(float(v[0]) for v in simulate(*case, searches=1)), "Yours: worth"),
        (lambda *case: simulate(*case, searches=300)[0].mean() * np.ones(2) / 2, "Yours: worth 1.48"),
        (changed(lambda true, score: true), "the shape is ()"),
        (changed(lambda true, score: (1.05 * true, score - true)), "Few leave much to luck"),
        (changed(lambda true, score: (2 * true, score - true)), "; 3.04 and 0.0685 are expected"),
        (lambda trials, executions: (0, 0), "TypeError"),
        (lambda *case: simulate(*case, searches=3) and None, "returns nothing"),
        (0.1, "a function is expected"),
    ],
)
def test_winner_names_the_mistake(attempt, hint):
    wrong(lesson_12.winner, attempt, hint)


def test_winner_is_accepted_with_a_loop_over_searches_and_in_other_forms():
    def looping(trials, executions, spread, luck, rng):
        found = []
        for _ in range(4000):
            true = spread * rng.normal(size=trials)
            score = true + luck * rng.normal(size=(trials, executions)).mean(axis=1)
            found.append((true[score.argmax()], score.max() - true[score.argmax()]))
        return np.mean(found, axis=0)

    for attempt in (looping, changed(lambda true, score: (true, score - true)), changed(lambda t, s: [t, s - t])):
        assert verdict(lesson_12.winner, attempt).status == "right"


def test_the_expected_maximum_is_that_of_tables():
    known = {1: 0.0, 2: 1 / np.sqrt(np.pi), 3: 1.5 / np.sqrt(np.pi), 10: 1.53875}
    assert np.allclose([lesson_12.expected_maximum(n) for n in known], list(known.values()), atol=1e-5)


def test_exercises_are_not_attempted_before_they_are_answered():
    def stub(hp):
        """Return something."""
        ...

    for check in (lesson_12.space, lesson_12.dropout_effect, lesson_12.winner):
        assert check(stub).status == check(...).status == "not attempted"
