"""The checks of lesson 03: the usual mistakes are told what to look at, right answers written differently pass."""

from course.classroom import checks
from course.classroom.exercises import lesson_03
import numpy as np
import pytest
from verdicts import verdict, wrong

EXERCISES = [value for value in vars(lesson_03).values() if isinstance(value, checks.Check)]


def quiet(function):
    """As a notebook would: with warnings, not errors, where NumPy overflows."""

    def attempt(*case):
        with np.errstate(all="ignore"):
            return function(*case)

    return attempt


# Loss and gradient


def softmax(a, axis=1):
    e = np.exp(a)
    return e / e.sum(axis=axis, keepdims=True)


def one_hot(a, right):
    return (np.arange(a.shape[1]) == right[:, None]).astype(float)


def loss_of(p, right):
    return -np.log(p[np.arange(len(p)), right]).mean()


def answers(loss=None, gradient=None):
    """The right answer with one part written by the learner, both of p, y and the right classes."""

    def attempt(a, right):
        p, y = softmax(a), one_hot(a, right)
        return (
            loss_of(p, right) if loss is None else loss(p, y, right),
            (p - y) / len(a) if gradient is None else gradient(p, y, right),
        )

    return attempt


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        (
            answers(loss=lambda p, y, r: (y * np.log(p)).sum(axis=1).mean()),
            "minus sign is missing",
        ),
        (answers(loss=lambda p, y, r: -(y * np.log(p)).sum()), "This is the sum"),
        (answers(loss=lambda p, y, r: -(y * np.log(p)).mean()), "not over the classes as well"),
        (answers(loss=lambda p, y, r: -(y + np.log(p)).sum(axis=1).mean()), "multiply them"),
        (answers(loss=lambda p, y, r: -np.log(p).sum() / len(p)), "at the right class only"),
        (
            answers(loss=lambda p, y, r: -np.log((p * y).sum() / len(p))),
            "First the logarithm of each",
        ),
        (answers(loss=lambda p, y, r: -np.log2((p * y).sum(axis=1)).mean()), "in bits"),
        (answers(loss=lambda p, y, r: np.sum((p - y) ** 2) / len(p)), "squared error"),
        (answers(loss=lambda p, y, r: -np.log((p * y).sum(axis=1))), "One number per example"),
        (answers(gradient=lambda p, y, r: p - y), "the mean divides by m"),
        (answers(gradient=lambda p, y, r: (y - p) / len(p)), "The sign is wrong"),
        (answers(gradient=lambda p, y, r: (p - y) / p.size), "not by the size of the array"),
        (
            answers(gradient=lambda p, y, r: (p - y).mean(axis=0)),
            "do not sum over the examples",
        ),
        (answers(gradient=lambda p, y, r: p / len(p)), "The target is missing"),
        (answers(gradient=lambda p, y, r: -y / p / len(p)), "derivative by the probabilities"),
        (answers(gradient=lambda p, y, r: (p - y) * p * (1 - p) / len(p)), "has cancelled it"),
        (
            answers(gradient=lambda p, y, r: (p - r[:, None]) / len(p)),
            "gradient: the shape is right, the numbers are",
        ),
        (
            lambda a, right: (
                loss_of(softmax(a, 0), right),
                (softmax(a, 0) - one_hot(a, right)) / len(a),
            ),
            "sum along axis 1",
        ),
        (
            lambda a, right: (
                loss_of(np.exp(a) / np.exp(a).sum(), right),
                (np.exp(a) / np.exp(a).sum() - one_hot(a, right)) / len(a),
            ),
            "All examples share one softmax",
        ),
        (lambda a, right: answers()(softmax(a), right), "takes softmax twice"),
        (lambda a, right: answers()(a, right)[::-1], "the shape is"),
        (lambda a, right: answers()(a, right)[0], "2 results are expected"),
        (lambda a, right: np.exp(a) / np.exp(a).sum(axis=1), "raised ValueError"),
        (lambda a: 0, "raised TypeError"),
        (lambda a, right: print(end=""), "`return` missing"),
    ],
)
def test_loss_and_gradient_names_the_mistake(attempt, hint):
    wrong(lesson_03.loss_and_gradient, attempt, hint)


def by_loops(a, right):
    loss, gradient = 0.0, np.zeros(a.shape)
    for n, (row, j) in enumerate(zip(a, right, strict=True)):
        p = np.exp(row) / sum(np.exp(row))
        loss -= np.log(p[j]) / len(a)
        gradient[n] = p / len(a)
        gradient[n, j] -= 1 / len(a)
    return loss, gradient


def by_log_sum(a, right):
    log_p = a - np.log(np.exp(a).sum(axis=1))[:, None]
    return [
        -np.mean(log_p[range(len(a)), right]),
        (np.exp(log_p) - np.eye(a.shape[1])[right]) / a.shape[0],
    ]


def by_differences(a, right):
    def loss(a):
        return loss_of(softmax(a), right)

    gradient = np.zeros(a.shape)
    for place in np.ndindex(a.shape):
        step = np.zeros(a.shape)
        step[place] = 1e-5
        gradient[place] = (loss(a + step) - loss(a - step)) / 2e-5
    return loss(a), gradient


@pytest.mark.parametrize("attempt", [by_loops, by_log_sum, by_differences, answers()])
def test_loss_and_gradient_is_accepted_written_differently(attempt):
    assert verdict(lesson_03.loss_and_gradient, attempt).status == "right"


# A loss that cannot overflow


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        (
            lambda a, right: -np.log(np.exp(a[right]) / np.exp(a).sum()),
            "np.exp(1000) is infinite",
        ),
        (
            lambda a, right: np.log(np.exp(a).sum()) - a[right],
            "plain form takes np.exp of logits that are too large",
        ),
        (
            lambda a, right: -np.log(np.exp(a - a.max())[right] / np.exp(a - a.max()).sum()),
            "can still be 0, and ln 0 is infinite",
        ),
        (
            lambda a, right: -np.log(np.maximum(np.exp(a - a.max()) / np.exp(a - a.max()).sum(), 1e-7))[right],
            "Clipping hides the mistake|the answer 16.1181 is not it",
        ),
        (
            lambda a, right: np.log(np.exp(a - a.max()).sum()) - a[right],
            "off the right one, too",
        ),
        (
            lambda a, right: (a - a.max())[right] - np.log(np.exp(a - a.max()).sum()),
            "minus sign is missing",
        ),
        (lambda a, right: a.max() - a[right], "has to be added"),
        (lambda a, right: lesson_03._safe(a / abs(a).max(), right), "Dividing the logits"),
        (
            lambda a, right: lesson_03._safe(np.clip(a, -500, 500), right),
            "Clipping the logits changes",
        ),
        (lambda a, right: lesson_03._safe(a, right) / np.log(2), "in bits"),
        (
            lambda a, right: np.log(np.exp(a - a.mean()).sum()) - (a - a.mean())[right],
            "too large",
        ),
        (lambda a, right: lesson_03._safe(a, 0), "is not it"),
        (lambda a: 0, "raised TypeError"),
        (3.0, "a function is expected"),
    ],
)
def test_safe_loss_names_the_mistake(attempt, hint):
    found = verdict(lesson_03.safe_loss, quiet(attempt) if callable(attempt) else attempt)
    assert found.status == "wrong"
    assert any(part in found.message for part in hint.split("|")), found


@pytest.mark.parametrize(
    "attempt",
    [
        lambda a, right: np.logaddexp.reduce(a) - a[right],
        lambda a, right: np.log(sum(np.exp(x - max(a)) for x in a)) + max(a) - a[right],
        lambda a, right: np.log(np.exp(a - a.max()).sum()) - (a[right] - a.max()),
    ],
)
def test_safe_loss_is_accepted_written_differently(attempt):
    assert verdict(lesson_03.safe_loss, attempt).status == "right"


# Perplexity


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        (lambda losses, real: np.exp(losses.mean()), "The padding is in this mean"),
        (lambda losses, real: np.exp(np.mean(losses * real)), "divide by real.sum()"),
        (
            lambda losses, real: np.exp(np.where(real, losses, 0).sum() / losses.size),
            "divide by real.sum()",
        ),
        (
            lambda losses, real: np.exp(np.mean([r[k].mean() for r, k in zip(losses, real, strict=True)])),
            "each sequence",
        ),
        (lambda losses, real: np.mean(np.exp(losses[real])), "First the mean"),
        (lambda losses, real: losses[real].mean(), "This is the mean loss"),
        (lambda losses, real: 2 ** np.mean(losses[real]), "in bits"),
        (lambda losses, real: np.mean(losses[real]) / np.log(2), "the loss in bits"),
        (lambda losses, real: np.exp(-np.mean(losses[real])), "The sign"),
        (lambda losses, real: np.exp(np.sum(losses * real)), "The mean is missing"),
        (
            lambda losses, real: np.exp((losses * real).sum(axis=1) / real.sum(axis=1)),
            "One number",
        ),
        (
            lambda losses, real: np.exp((losses * real).sum() / len(losses)),
            "not by that of sequences",
        ),
        (lambda losses, real: np.exp(losses[~real].mean()), "padding's"),
        (lambda losses, real: 10 ** losses[real].mean(), "is not it"),
        (lambda losses, real: losses[real.index(True)], "raised AttributeError"),
        (4.0, "a function is expected"),
    ],
)
def test_perplexity_names_the_mistake(attempt, hint):
    wrong(lesson_03.perplexity, attempt, hint)


@pytest.mark.parametrize(
    "attempt",
    [
        lambda losses, real: np.exp((losses * real).sum() / real.sum()),
        lambda losses, real: np.exp(np.average(losses, weights=real)),
        lambda losses, real: float(np.e ** np.mean([x for x, r in zip(losses.flat, real.flat, strict=True) if r])),
        lambda losses, real: 2 ** (losses[real].mean() / np.log(2)),
    ],
)
def test_perplexity_is_accepted_written_differently(attempt):
    assert verdict(lesson_03.perplexity, attempt).status == "right"


# Four curves


def changed(**words):
    return lesson_03.LEARNED | words


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        *((changed(**{run: word}), f"{run}, not {word!r}: {why}") for (run, word), why in lesson_03.WHY.items()),
        (changed(A="the symbol", C="nothing"), "(1 more to look at.)"),
        (changed(B=...), "Run B is still open"),
        (changed(D="noise"), "'noise' is none of"),
        (changed(E="nothing"), "no run 'E'"),
        (changed(A=None), "None is none of"),
        ({"A": "nothing"}, "A dict is expected"),
        (["the shares", "its examples", "the symbol", "nothing"], "A dict is expected"),
        (dict.fromkeys("ABCD", "nothing"), "A, not 'nothing'"),
    ],
)
def test_learned_says_what_speaks_against_it(attempt, hint):
    wrong(lesson_03.learned, attempt, hint)


def test_learned_is_accepted_written_differently():
    loudly = {run: f" {word.upper()}. " for run, word in lesson_03.LEARNED.items()}
    backwards = dict(reversed(lesson_03.LEARNED.items()))
    for attempt in (lesson_03.LEARNED, loudly, backwards):
        assert verdict(lesson_03.learned, attempt).status == "right"


def test_there_is_a_reason_against_every_wrong_word():
    assert {*lesson_03.WHY} == {
        (run, word) for run in "ABCD" for word in lesson_03.WORDS if word != lesson_03.LEARNED[run]
    }


def test_exercises_are_not_attempted_before_they_are_answered():
    def stub(a, right):
        """Return something."""
        ...

    for check in EXERCISES:
        assert check(stub if check.name != "learned" else dict.fromkeys("ABCD", ...)).status == "not attempted"
        assert check(...).status == "not attempted"
