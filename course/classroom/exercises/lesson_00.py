"""Checks of lesson 00. Reading on spoils the exercises."""

from course.classroom import checks
import numpy as np

STEPS = int(np.ceil(np.log(1e-6) / np.log(0.9)))
number_of_steps = checks.value(
    "number_of_steps",
    STEPS,
    mistakes=[
        (STEPS - 1, "Nearly: after that many steps slightly more than a millionth is left. One more."),
        (STEPS + 1, "One too many: a step earlier, less than a millionth is left already."),
        (np.log(1e-6) / np.log(0.9), "The logarithms are right; whole steps are asked for, so round up."),
        (np.log(1e-6) / (0.9 - 1), "ln 0.9 is close to 0.9 − 1, but not the same: take the logarithm of the factor."),
        (139, "ln 0.9 is close to 0.9 − 1, but not the same: take the logarithm unrounded."),
        (-STEPS, "The sign: both logarithms are negative, so their quotient is positive."),
        (6, "0.9 is not 0.1: a step takes away a tenth, not nine tenths."),
        (7, "0.9 is not 0.1: a step takes away a tenth, not nine tenths."),
        (57, "The two logarithms must have the same base: np.log in both places, or np.log10."),
        (1, "A product is wanted, not a quotient: 0.9 to the power of what is a millionth?"),
    ],
    hints=[
        "After T steps, 0.9 to the power of T is left.",
        "ln(0.9^T) = T ln 0.9. For which T is that ln(10⁻⁶)?",
        "Divide np.log(1e-6) by np.log(0.9), and round up: whole steps are asked for.",
    ],
)


def _products():
    return [(np.array(a),) for a in ([0.5, 1.4, 0.8], [1.3, 0.6, 1.5, 0.9, 0.7], [0.7, 1.2])]


@checks.function(
    _products,
    mistakes=[
        (np.mean, "This is the ordinary mean, which is what misleads here: take the mean of the logarithms."),
        (np.prod, "This is the whole product; one factor is asked for: its T-th root."),
        (lambda a: np.mean(np.log(a)), "This is the mean logarithm; go back with exp."),
        (np.median, "The median of the factors is not what a product is made of."),
        (lambda a: 10 ** np.mean(np.log(a)), "np.log is the natural logarithm; its inverse is np.exp."),
        (lambda a: np.exp(np.mean(np.log10(a))), "np.exp undoes np.log, not np.log10."),
        (lambda a: np.exp(np.mean(a)), "The logarithm is missing: exp of the mean of ln a, not of a."),
        (lambda a: np.prod(a) ** 0.01, "There are T = len(a) factors, not always 100."),
        (lambda a: np.sqrt(np.prod(a)), "There are T = len(a) factors, so it is the T-th root, not the square root."),
        (lambda a: a, "exp undoes ln, so these are the factors again: take the mean of the logarithms between."),
        (lambda a: np.prod(a) / len(a), "The T-th root of the product, not its T-th part."),
        (lambda a: 1 / np.mean(1 / a), "This is the harmonic mean; take the mean of the logarithms."),
    ],
    hints=[
        "The logarithm turns the product into a sum: ln(a₁ ⋯ a_T) = Σ ln a_t.",
        "Take np.log of all factors, then the mean, then go back with np.exp.",
    ],
    praise="Correct: below 1 the signal vanishes, above 1 it explodes.",
)
def typical_factor(a):
    return np.exp(np.mean(np.log(a)))


OVERLAP = "4 is more than 2, but the intervals overlap widely: the same method could give both. More seeds."
a_is_better = checks.value(
    "a_is_better",
    "no",
    mistakes=[("yes", OVERLAP), ("maybe", "Answer 'yes' or 'no': do these ten runs show it?")],
    hints=[
        "Write down the two intervals. Do they overlap?",
        "They share 0.38 to 0.77. What does the rule above the question say about that?",
    ],
    praise="Correct: five runs each are too few to tell.",
    otherwise="Answer 'yes' or 'no', in quotes.",
)
