"""Checks of lesson 00. Reading on spoils the exercises."""

from course.classroom import checks
import numpy as np

STEPS = int(np.ceil(np.log(1e-3) / np.log(0.5)))
number_of_steps = checks.value(
    "number_of_steps",
    STEPS,
    mistakes=[
        (STEPS - 1, "Nearly: after that many steps slightly more than a thousandth is left. One more."),
        (STEPS + 1, "One too many: a step earlier, less than a thousandth is left already."),
        (np.log(1e-3) / np.log(0.5), "The logarithms are right; whole steps are asked for, so round up."),
        (-STEPS, "The sign: both logarithms are negative, so their quotient is positive."),
        (3, "Halved, not divided by ten, at every step."),
        (4, "Halved, not divided by ten, at every step."),
        (500, "Halving divides: half of a half is a quarter. After how many halvings is it a thousandth?"),
        (2000, "Halving divides: half of a half is a quarter. After how many halvings is it a thousandth?"),
        (1024, "That is 2 to the power of the answer."),
        (np.log(1e-3) / np.log10(0.5), "The two logarithms must have the same base: np.log in both places."),
    ],
    hints=[
        "After T steps, 0.5 to the power of T is left: a half, a quarter, an eighth, …",
        "Which power of 2 is the first above 1,000?",
        "With logarithms: np.log(1e-3) / np.log(0.5), rounded up, as whole steps are asked for.",
    ],
    otherwise="A whole number of steps is asked for.",
)


def _products():
    return [(np.array(a),) for a in ([0.5, 1.4, 0.8], [1.3, 0.6, 1.5, 0.9, 0.7], [0.7, 1.2])]


@checks.function(
    _products,
    mistakes=[
        (np.mean, "This is the ordinary mean, which is what misleads here: take the mean of the logarithms."),
        (np.prod, "This is the whole product; one factor is asked for: its T-th root."),
        (lambda q: np.mean(np.log(q)), "This is the mean logarithm; go back with exp."),
        (np.median, "The median of the factors is not what a product is made of."),
        (lambda q: 10 ** np.mean(np.log(q)), "np.log is the natural logarithm; its inverse is np.exp."),
        (lambda q: np.exp(np.mean(np.log10(q))), "np.exp undoes np.log, not np.log10."),
        (lambda q: np.exp(np.mean(q)), "The logarithm is missing: exp of the mean of ln q, not of q."),
        (lambda q: np.prod(q) ** 0.01, "There are T = len(q) factors, not always 100."),
        (lambda q: np.sqrt(np.prod(q)), "There are T = len(q) factors, so it is the T-th root, not the square root."),
        (lambda q: np.exp(np.mean(np.log2(q))), "np.exp undoes np.log, not np.log2."),
        (lambda q: np.prod(q) ** (1 / (len(q) - 1)), "There are len(q) factors, not one less."),
        (lambda q: np.cbrt(np.prod(q)), "There are T = len(q) factors, not always three."),
        (lambda q: np.exp(np.mean(np.log1p(q))), "np.log1p is ln(1 + q); np.log is meant."),
        (lambda q: q, "exp undoes ln, so these are the factors again: take the mean of the logarithms between."),
        (lambda q: np.prod(q) / len(q), "The T-th root of the product, not its T-th part."),
        (lambda q: 1 / np.mean(1 / q), "This is the harmonic mean; take the mean of the logarithms."),
    ],
    hints=[
        "The logarithm turns the product into a sum: ln(q₁ ⋯ q_T) = Σ ln q_t.",
        "Take np.log of all factors, then the mean, then go back with np.exp.",
    ],
    praise="Correct: below 1 the signal vanishes, above 1 it explodes.",
)
def typical_factor(q):
    return np.exp(np.mean(np.log(q)))


OVERLAP = "The intervals overlap, but that alone settles nothing: look at that of the difference. Does it hold 0?"
a_is_better = checks.value(
    "a_is_better",
    "yes",
    mistakes=[("no", OVERLAP), ("maybe", "Answer 'yes' or 'no': do these forty runs show it?")],
    hints=[
        "Run compare(18, 20, 11, 20) in a cell of your own and read its last line.",
        "The difference is shown if its interval does not hold 0.",
    ],
    praise="Correct: the intervals overlap, and the difference is shown all the same.",
    otherwise="Answer 'yes' or 'no', in quotes.",
)
