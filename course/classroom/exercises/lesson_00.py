"""Checks of lesson 00. Reading on spoils the exercises."""

from course.classroom import checks
import numpy as np


def number_of_steps(answer):
    """Check after how many steps of factor 0.9 less than a millionth is left."""
    steps = int(np.ceil(np.log(1e-6) / np.log(0.9)))
    mistakes = [
        (steps - 1, "Nearly: after that many steps slightly more than a millionth is left. One more."),
        (np.log(1e-6) / np.log(0.9), "The logarithms are right; whole steps are asked for, so round up."),
        (np.log(1e-6) / (0.9 - 1), "ln 0.9 is close to 0.9 − 1, but not the same: take the logarithm of the factor."),
        (6, "0.9 is not 0.1: a step takes away a tenth, not nine tenths."),
        (int(np.ceil(1e-6 / 0.9)), "A product is wanted, not a quotient: 0.9 to the power of what is a millionth?"),
    ]
    return checks.value(answer, steps, mistakes=mistakes, tolerance=1e-9)


def typical_factor(attempt):
    """Check the geometric mean."""
    cases = [(np.random.default_rng(seed).uniform(0.5, 1.5, 7),) for seed in range(3)]
    mistakes = [
        (np.mean, "This is the ordinary mean, which is what misleads here: take the mean of the logarithms."),
        (np.prod, "This is the whole product; one factor is asked for: its T-th root."),
        (lambda a: np.mean(np.log(a)), "This is the mean logarithm; go back with exp."),
        (lambda a: np.exp(np.sum(np.log(a))), "The sum has to be divided by T."),
        (np.median, "The median of the factors is not what a product is made of."),
        (lambda a: 10 ** np.mean(np.log(a)), "np.log is the natural logarithm; its inverse is np.exp."),
    ]
    praise = "Correct: below 1 the signal vanishes, above 1 it explodes."
    return checks.function(attempt, lambda a: np.exp(np.mean(np.log(a))), cases, mistakes=mistakes, praise=praise)


def a_is_better(answer):
    """Check that 4 of 5 against 2 of 5 shows nothing yet."""
    mistakes = [
        ("yes", "4 is more than 2, but the intervals overlap widely: the same method could give both. More seeds."),
        ("maybe", "Answer 'yes' or 'no': do these ten runs show it?"),
    ]
    praise = "Correct: five runs each are too few to tell."
    return checks.value(answer, "no", mistakes=mistakes, praise=praise)
