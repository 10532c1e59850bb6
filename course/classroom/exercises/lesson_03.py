"""Checks of lesson 03. Reading on spoils the exercises."""

from course.classroom import checks
import numpy as np

# Loss and gradient


def _batches():
    rng = np.random.default_rng(3)
    drawn = [(rng.normal(0, 2, (m, K)), rng.integers(K, size=m)) for m, K in ((5, 4), (7, 2))]
    return [(np.log([[2.0, 7.0, 1.0], [1.0, 1.0, 2.0]]), np.array([1, 0])), *drawn]


def _softmax(a, axis=1):
    return np.exp(a) / np.exp(a).sum(axis=axis, keepdims=True)


def _of_right(values, right):
    return values[np.arange(len(values)), right]


def _loss(a, right):
    return -np.log(_of_right(_softmax(a), right)).mean()


def _gradient(a, right):
    return (_softmax(a) - np.eye(a.shape[1])[right]) / len(a)


def _with_softmax(softmax):
    """Loss and gradient with another softmax."""

    def both(a, right):
        p = softmax(a)
        return -np.log(_of_right(p, right)).mean(), (p - np.eye(a.shape[1])[right]) / len(a)

    return both


def _both_ways(a, right):
    p, y = _softmax(a), np.eye(a.shape[1])[right]
    return -(y * np.log(p) + (1 - y) * np.log(1 - p))


def _literal(a, right):
    return -(1 + np.log(_softmax(a)).sum(axis=1)).mean()


@checks.function(
    _batches,
    mistakes=[
        (
            _with_softmax(lambda a: _softmax(a, axis=0)),
            "The probabilities of one example must sum to 1, not those of one class: sum along axis 1, keepdims=True.",
        ),
        (
            _with_softmax(lambda a: _softmax(a, axis=None)),
            "All examples share one softmax: sum within each example, axis=1, keepdims=True.",
        ),
        (
            _with_softmax(lambda a: _softmax(_softmax(a))),
            "This takes softmax twice: the probabilities are not logits.",
        ),
        (
            _with_softmax(lambda a: 1 / (1 + np.exp(-a))),
            "This is the sigmoid of each logit by itself; softmax divides by the sum over the classes.",
        ),
        (
            lambda a, right: (_loss(a, right - 1), _gradient(a, right - 1)),
            "The right classes are counted from 0: take no 1 off.",
        ),
    ],
    parts={
        "loss": [
            (
                lambda a, right: -_loss(a, right),
                "The minus sign is missing: a loss is smallest where it is best.",
            ),
            (
                lambda a, right: _loss(a, right) * len(a),
                "This is the sum; take the mean over the m examples.",
            ),
            (
                lambda a, right: _loss(a, right) / a.shape[1],
                "Only one term per example is not 0: the mean is over the m examples, not over the classes as well.",
            ),
            (
                _literal,
                "This adds y and ln p; multiply them, so that the target chooses the term.",
            ),
            (
                lambda a, right: -np.log(_softmax(a)).sum(axis=1).mean(),
                "This adds ln p of all classes; take it at the right class only.",
            ),
            (
                lambda a, right: -np.log(_of_right(_softmax(a), right).mean()),
                "First the logarithm of each example, then the mean.",
            ),
            (
                lambda a, right: 1 - _of_right(_softmax(a), right).mean(),
                "This is the mean of 1 − p: the logarithm is missing.",
            ),
            (
                lambda a, right: _loss(a, right) / np.log(2),
                "This is in bits: the natural logarithm is asked for, np.log.",
            ),
            (
                lambda a, right: -_of_right(a, right).mean(),
                "These are the logits of the right classes: softmax first.",
            ),
            (
                lambda a, right: -np.log(_softmax(a)[:, right]).mean(),
                "p[:, right] takes every right class in every row, (m, m); pair rows and classes: p[np.arange(m), right].",
            ),
            (
                lambda a, right: -np.log10(_of_right(_softmax(a), right)).mean(),
                "The natural logarithm is asked for: np.log, not np.log10.",
            ),
            (
                lambda a, right: _both_ways(a, right).sum(axis=1).mean(),
                "This adds −(1 − y) ln(1 − p), the loss of separate yes-or-no questions; here only −Σ y ln p counts.",
            ),
            (
                lambda a, right: _both_ways(a, right).mean(),
                "This adds −(1 − y) ln(1 − p), the loss of separate yes-or-no questions, and divides by K as well.",
            ),
            (
                lambda a, right: ((_softmax(a) - np.eye(a.shape[1])[right]) ** 2).sum(axis=1).mean(),
                "This is the squared error; take minus the logarithm of p at the right class.",
            ),
            (
                lambda a, right: -np.log(_of_right(_softmax(a), right)),
                "One number per example: take their mean.",
            ),
        ],
        "gradient": [
            (
                lambda a, right: _gradient(a, right) * len(a),
                "p − y is the gradient of one example's own loss; the mean divides by m.",
            ),
            (
                lambda a, right: -_gradient(a, right),
                "The sign is wrong: p − y, which is negative at the right class.",
            ),
            (
                lambda a, right: -_gradient(a, right) * len(a),
                "It is p − y, not y − p, and the mean divides by m.",
            ),
            (
                lambda a, right: _gradient(a, right) / a.shape[1],
                "The mean is over m examples: divide by m, not by the size of the array.",
            ),
            (
                lambda a, right: _gradient(a, right) * len(a) / a.shape[1],
                "Divide by the number of examples, len(a), not by that of the classes.",
            ),
            (lambda a, right: _softmax(a) / len(a), "The target is missing: p − y."),
            (
                lambda a, right: 2 * _gradient(a, right),
                "This is the derivative of a square; cross-entropy's is p − y, without the 2.",
            ),
            (
                lambda a, right: _softmax(a) * (1 - _softmax(a)) / len(a),
                "p (1 − p) is the slope of softmax alone; the logarithm cancels it, and p − y is left.",
            ),
            (
                lambda a, right: _gradient(a, right) * np.eye(a.shape[1])[right],
                "The wrong classes have a gradient, too: they are pushed down by their p.",
            ),
            (
                lambda a, right: -np.eye(a.shape[1])[right] / _softmax(a) / len(a),
                "This is the derivative by the probabilities; by the logits it is p − y.",
            ),
            (
                lambda a, right: -np.eye(a.shape[1])[right] / _softmax(a),
                "This is the derivative by the probabilities, and not divided by m; by the logits it is p − y.",
            ),
            (
                lambda a, right: (a - np.eye(a.shape[1])[right]) / len(a),
                "These are logits minus targets: softmax first.",
            ),
            (
                lambda a, right: _gradient(a, right).sum(axis=0),
                "Each example has logits of its own: do not sum over the examples.",
            ),
            (
                lambda a, right: _gradient(a, right) * _softmax(a) * (1 - _softmax(a)),
                "The slope of softmax is in p − y already: the logarithm has cancelled it.",
            ),
        ],
    },
    hints=[
        "First p, by softmax along axis 1; then y, an array (m, K) with a 1 at each right class: np.eye(K)[right].",
        "The loss is the mean over examples of −Σ y ln p, where the sum goes along axis 1.",
        "The gradient of each example's loss is p − y; in the mean it counts 1/m: (p - y) / len(a).",
    ],
    praise="Correct: what was said minus what is right, divided by m.",
)
def loss_and_gradient(a, right):
    return _loss(a, right), _gradient(a, right)


# A loss that cannot overflow


def _logits():
    cases = (
        ([2.0, 7.0, 1.0], 1),
        ([0.5, -1.0, 3.0, 0.0], 0),
        ([1000.0, -1000.0, 990.0], 1),
        ([-1000.0, -1003.0], 0),
    )
    return [(np.array(a), right) for a, right in (*cases, ([1e5, 1e5, 0.0], 2))]


def _safe(a, right):
    shifted = a - a.max()
    return np.log(np.exp(shifted).sum()) - shifted[right]


def _from_probability(p):
    """A loss that takes the logarithm of a probability, without warnings."""

    def loss(a, right):
        with np.errstate(all="ignore"):
            return -np.log(p(a)[right])

    return loss


def _shifted(a):
    return np.exp(a - a.max()) / np.exp(a - a.max()).sum()


def _overflows(answer, a, right):
    found = checks.number(answer)
    if found is None and np.abs(a).max() >= 1000 and not isinstance(answer, checks.Raised):
        return "Softmax in the plain form takes np.exp of logits that are too large, or ln of a p that has become 0."
    return ""


@checks.function(
    _logits,
    mistakes=[
        (
            _from_probability(lambda a: np.exp(a) / np.exp(a).sum()),
            "Right for small logits. np.exp(1000) is infinite, and np.exp(-1000) is 0, so here comes NaN or infinity.",
        ),
        (
            _from_probability(_shifted),
            "No overflow any more, but the p of the right class can still be 0, and ln 0 is infinite: "
            "work with ln p = a_right − ln Σ e^a instead of p.",
        ),
        (
            _from_probability(lambda a: np.clip(_shifted(a), 1e-7, 1 - 1e-7)),
            "Clipping hides the mistake: beyond 16.1 the loss no longer grows. Work with a_right − ln Σ e^a.",
        ),
        (
            _from_probability(lambda a: _shifted(a) + 1e-7),
            "A number added to p hides the mistake: beyond 16.1 the loss no longer grows. Work with a_right − ln Σ e^a.",
        ),
        (
            _from_probability(lambda a: _shifted(a) + 1e-12),
            "A number added to p hides the mistake: beyond 27.6 the loss no longer grows. Work with a_right − ln Σ e^a.",
        ),
        (
            lambda a, right: np.log(np.exp(a - a.max()).sum()) - a.max() - a[right],
            "What was taken off inside the sum comes back with a plus: a.max() + ln Σ e^(a − max) − a_right.",
        ),
        (
            lambda a, right: np.log(np.exp(a - a.max()).sum()) - (a - a.max()),
            "These are the losses of all classes: take the one at `right`.",
        ),
        (
            lambda a, right: _safe(a, right) / len(a),
            "This divides by the number of classes; there is one example, so nothing is averaged.",
        ),
        (
            lambda a, right: np.exp(-_safe(a, right)),
            "This is p of the right class; the loss is minus its logarithm.",
        ),
        (
            lambda a, right: -_safe(a, right),
            "The minus sign is missing: this is ln p of the right class.",
        ),
        (
            lambda a, right: np.log(np.exp(a - a.max()).sum()) - a[right],
            "Take the largest logit off the right one, too: the same number off all of them.",
        ),
        (
            lambda a, right: a.max() - a[right],
            "This is the distance to the largest logit; ln Σ e^(a − max), between 0 and ln K, has to be added.",
        ),
        (
            lambda a, right: np.log(np.exp(a - a.max()).sum()) + a.max() - a[right] / a.max(),
            "The logits are shifted, not divided: subtract the largest.",
        ),
        (
            lambda a, right: _safe(a / np.abs(a).max(), right),
            "Dividing the logits changes the probabilities; subtracting the same number from all does not.",
        ),
        (
            lambda a, right: _safe(np.clip(a, -500, 500), right),
            "Clipping the logits changes their differences. Subtract the largest one from all.",
        ),
        (
            lambda a, right: _safe(a, right) / np.log(2),
            "This is in bits: the natural logarithm is asked for.",
        ),
    ],
    hints=[
        "Write ln p = a_right − ln Σ e^a: no probability is needed.",
        "Take a.max() off all logits first: then no exponential is larger than 1.",
        "a = a - a.max(), and then np.log(np.exp(a).sum()) - a[right].",
    ],
    remark=_overflows,
    tolerance=1e-9,
    praise="Correct, and as exact at ±1000 as at ±1: that is what from_logits=True computes.",
)
def safe_loss(a, right):
    return _safe(a, right)


# Perplexity without the padding


def _padded():
    cases = []
    for number, lengths in enumerate(([4, 1], [1, 5, 2], [3, 6, 6, 2])):
        rng = np.random.default_rng(number)
        losses = rng.gamma(2.0, 0.6, (len(lengths), max(lengths) + 1))
        cases.append((losses, np.arange(losses.shape[1]) < np.array(lengths)[:, None]))
    return cases


def _by_sequence(losses, real):
    return (losses * real).sum(axis=1) / real.sum(axis=1)


@checks.function(
    _padded,
    mistakes=[
        (
            lambda losses, real: losses[real].mean(),
            "This is the mean loss; its perplexity is e to that power.",
        ),
        (
            lambda losses, real: np.exp(losses.mean()),
            "The padding is in this mean: only steps where real is True.",
        ),
        (
            lambda losses, real: losses.mean(),
            "This is the mean over all steps, and without the exponential.",
        ),
        (
            lambda losses, real: np.exp((losses * real).mean()),
            "The padding adds 0 to the sum, but the mean still divides by all steps: divide by real.sum().",
        ),
        (
            lambda losses, real: np.exp((losses * real).sum() / len(losses)),
            "Divide by the number of real steps, not by that of sequences.",
        ),
        (
            lambda losses, real: np.exp(_by_sequence(losses, real).mean()),
            "A mean of each sequence's mean gives the steps of short sequences more weight. Every real step counts once.",
        ),
        (
            lambda losses, real: np.exp(losses[real]).mean(),
            "First the mean of the losses, then e to that power.",
        ),
        (
            lambda losses, real: np.exp(_by_sequence(losses, real)).mean(),
            "This is the mean of each sequence's perplexity: first the mean over all real steps, then e to that power.",
        ),
        (
            lambda losses, real: np.exp(_by_sequence(losses, real)),
            "One number for all real steps together is asked for, not one for each sequence.",
        ),
        (
            lambda losses, real: 2 ** losses[real].mean(),
            "2 to that power would be right for a loss in bits; this one is in nats.",
        ),
        (
            lambda losses, real: losses[real].mean() / np.log(2),
            "This is the loss in bits; perplexity is e^L.",
        ),
        (
            lambda losses, real: np.exp(-losses[real].mean()),
            "The sign: this is 1 over the perplexity.",
        ),
        (
            lambda losses, real: np.exp(losses[real].sum()),
            "The mean is missing: divide by the number of real steps.",
        ),
        (
            lambda losses, real: np.exp(losses[~real].mean()),
            "This is the padding's: real is True where a step counts.",
        ),
        (
            lambda losses, real: np.exp(np.median(losses[real])),
            "The mean is asked for, not the median.",
        ),
        (
            lambda losses, real: np.exp(losses.sum() / real.sum()),
            "The padding is still in the sum: add up losses[real].",
        ),
        (
            lambda losses, real: np.exp((losses * real).sum() / losses.shape[1]),
            "Divide by the number of real steps, real.sum(), not by T.",
        ),
        (
            lambda losses, real: np.exp(losses[real]),
            "One number is asked for: the mean of the losses first, then e to that power.",
        ),
        (
            lambda losses, real: np.log(losses[real].mean()),
            "The logarithm is in the losses already; perplexity is e to the power of their mean.",
        ),
    ],
    hints=[
        "losses[real] are the losses of the real steps, in one row.",
        "Their mean is the loss L; the perplexity is e to the power L.",
        "np.exp((losses * real).sum() / real.sum()) is the same.",
    ],
    praise="Correct: every real step counts once.",
)
def perplexity(losses, real):
    return np.exp(losses[real].mean())


# What four curves say

WORDS = ("nothing", "the shares", "the symbol", "its examples")
LEARNED = {"A": "the shares", "B": "its examples", "C": "the symbol", "D": "nothing"}
WHY = {  # what speaks against each wrong word
    (
        "A",
        "nothing",
    ): "its loss lies at .94, below ln 4: it has learned something, though not from the input",
    (
        "A",
        "the symbol",
    ): "seven in ten right, with shares of .7: always naming the same class does that",
    ("A", "its examples"): "its loss on new sequences is that on its own",
    ("B", "nothing"): "its training loss goes to 0, so it has learned something",
    (
        "B",
        "the shares",
    ): "with equal shares that would be a training loss of ln 4 = 1.39; its own goes to 0",
    (
        "B",
        "the symbol",
    ): "look at the new sequences: a loss far above ln 4, and one in four right",
    ("C", "nothing"): "it names all new symbols rightly, and its loss lies far below ln 4",
    (
        "C",
        "the shares",
    ): "with equal shares that would be a loss of ln 4 = 1.39, and one in four right",
    ("C", "its examples"): "it names the symbols of new sequences rightly",
    (
        "D",
        "the shares",
    ): "there is no share to learn, all four are equal: knowing that is knowing nothing",
    ("D", "the symbol"): "its loss is ln 4, and one in four is right",
    ("D", "its examples"): "its training loss is ln 4, too",
}


@checks.judged(
    hints=[
        "Two losses come without any training: ln 4 = 1.39, and the entropy of A's shares. Work that one out.",
        "Compare the loss on new sequences with that on its own, and the share of right answers with the largest share.",
        "A loss that stays away from 0 need not mean that there is something left to learn: look at the right answers.",
    ]
)
def learned(attempt):
    """Check a dict from each of the letters A to D to one of four words."""
    if not isinstance(attempt, dict) or not {*LEARNED} <= {*attempt}:
        return checks.wrong('A dict is expected with the keys "A", "B", "C", "D".')
    if more := [key for key in attempt if key not in LEARNED]:
        return checks.wrong(f"There is no run {more[0]!r}: A, B, C and D only.")
    if all(attempt[run] is ... for run in LEARNED):
        return checks.Verdict("not attempted", "not attempted yet (a hint: check.learned.hint(1))")
    said = {}
    for run in LEARNED:
        word = attempt[run]
        if word is ...:
            return checks.wrong(f"Run {run} is still open.")
        said[run] = str(word).strip(" .!'\"").lower()
        if said[run] not in WORDS:
            return checks.wrong(f"{run}: {word!r} is none of {', '.join(map(repr, WORDS))}.")
    for run, word in said.items():
        if word != LEARNED[run]:
            others = sum(said[other] != LEARNED[other] for other in LEARNED) - 1
            also = f" ({others} more to look at.)" if others else ""
            return checks.wrong(f"{run}, not {word!r}: {WHY[run, word]}.{also}")
    return checks.right("Correct: a loss means something beside ln K, the shares, the floor and new sequences only.")
