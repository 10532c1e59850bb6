"""Tasks whose sequences follow a grammar: the embedded Reber strings, and product sentences with a dialled gap.

Signatures, chance, floor and solved as in `course.tasks`, from where lessons import them.
"""

from typing import NamedTuple

from course import arguments
import numpy as np

REBER_SYMBOLS = "BTPSXVE"
# By node: the symbol on each of the two ways out, and the node it leads to; a node with one way has it twice.
# Nodes 0 to 6 are Reber's grammar, 7 the closing symbol (the outer T or P), 8 the last E, 9 the end.
_REBER_WAYS = ("BB", "TP", "SX", "TV", "XS", "PV", "EE", "??", "EE", "??")
_REBER_CODES = np.array([[REBER_SYMBOLS.find(symbol) for symbol in ways] for ways in _REBER_WAYS])
_REBER_NODES = np.array([[1, 1], [2, 3], [2, 4], [3, 5], [3, 6], [4, 6], [7, 7], [8, 8], [9, 9], [9, 9]])

PRODUCTS = {"iPhone": "mobile", "MacBook": "laptop", "Kindle": "reader", "Walkman": "player"}
# The words between product and last word, by kind: who, did, when; two kinds of adjective.
_BETWEEN = (
    "I we they",
    "bought tested carried",
    "yesterday daily twice",
    "good nice cheap",
    "new small blue",
)
VOCABULARY = (*PRODUCTS, *" ".join(_BETWEEN).split(), "is", "a")


def embedded_reber(n, rng, length=None):
    """Return strings of the embedded Reber grammar, each next symbol to be predicted: y (n, T), −1 where none is.

    A string is B, T or P, a string of Reber's grammar, the same T or P again ("closing"), E; `REBER_SYMBOLS` are
    its 7 one-hot symbols, D = 7. Strings have 9 symbols or more, 12 on average; after the last prediction x is
    all zeros and y is −1 (`Masking()`, `SparseCategoricalCrossentropy(ignore_class=-1)`). T fits the longest
    string drawn, or is `length`, and longer strings are drawn again (one in 2,000 for `length=32`).
    Source: Hochreiter & Schmidhuber 1997; Cleeremans, Servan-Schreiber & McClelland 1989.
    Chance and floor: most symbols leave two ways open, of which nobody can know which comes: see `reber_best`.
    Solved: accuracy above .99 on the closing symbol, at step `reber_closing(y)`, where forgetting the outer
    symbol scores 1/2 whatever else is learned. It is 5 steps away or more, 8 on average.
    """
    n = arguments.integer("n", n, at_least=1)
    arguments.generator("rng", rng)
    if length is not None:
        arguments.integer("length", length, at_least=8)
    codes = _reber(n, rng, length)
    while len(codes) < n:
        codes = np.concatenate([codes, _reber(n, rng, length)])
    y = codes[:n, 1:]
    x = one_hot(np.maximum(codes[:n, :-1], 0), len(REBER_SYMBOLS))
    x[y < 0] = 0
    return x, y


class ReberBest(NamedTuple):
    """The best that can be expected on given strings, and the best without a memory of the outer symbol."""

    accuracy: float
    loss: float
    accuracy_without_memory: float
    loss_without_memory: float


def reber_best(y):
    """Return what the best possible predictor scores on the targets `y` of `embedded_reber`, as a `ReberBest`.

    Of the ℓ predictions in a string 4 are certain (the inner B and E, the closing symbol, the last E); ℓ − 4
    are a choice between two equally likely symbols: accuracy 1/2 and ln 2 nats each. Per prediction, over many
    strings: accuracy 7.5/11 = .682 and loss 7 ln 2/11 = .441; without a memory of the outer symbol 7/11 = .636
    and 8 ln 2/11 = .504, hardly worse, so look at the closing symbol.

    For strings of any length, or with `length` 30 and more: where `length` leaves many strings out, the choices are no
    longer even, and a predictor that knows of it does better.
    """
    lengths = _reber_lengths(y)
    open_ways, total, strings = (lengths - 4).sum(), lengths.sum(), len(lengths)
    return ReberBest(
        accuracy=float((total - open_ways / 2) / total),
        loss=float(open_ways * np.log(2) / total),
        accuracy_without_memory=float((total - (open_ways + strings) / 2) / total),
        loss_without_memory=float((open_ways + strings) * np.log(2) / total),
    )


def reber_closing(y):
    """Return the index of the step (n,) at which each string's closing symbol is the target."""
    return _reber_lengths(y) - 2


def sentences(n, gap, rng):
    """Return product sentences whose last word depends on the first: y (n,), the product, 0 to 3.

    "iPhone I bought yesterday we tested daily is a new … mobile": x holds the product and `gap` words, one-hot
    over `VOCABULARY` (D = 21), T = gap + 1; the word to come is the product's own in `PRODUCTS`. The words between
    are drawn without regard to the product: as many of "I bought yesterday" as fit, "is a", and up to two
    adjectives. `words` shows a sentence. As in `recall`, x_1 is exactly `gap` steps away.
    Source: this course's; the two product sentences with which the problem is often told, with a dial.
    Chance: accuracy 1/4, cross-entropy ln 4. Floor: 0. Solved: accuracy above .99.
    """
    n, gap = arguments.integer("n", n, at_least=1), arguments.integer("gap", gap, at_least=2)
    arguments.generator("rng", rng)
    y = rng.integers(4, size=n)
    clauses, adjectives = divmod(gap - 2, 3)
    kinds = np.array([0, 1, 2] * clauses + [0, 0] + [3, 4][:adjectives], dtype="int8")
    drawn = len(PRODUCTS) + 3 * kinds + rng.integers(3, size=(n, gap), dtype="int8")
    drawn[:, 3 * clauses : 3 * clauses + 2] = VOCABULARY.index("is"), VOCABULARY.index("a")
    return one_hot(np.concatenate([y[:, None], drawn], axis=1), len(VOCABULARY)), y


def words(x, y=None):
    """Return the sentences x (n, T, 21) as a list of strings, with the last word when `y` (n,) is given."""
    x = arguments.array("x", x, ("n", "T", len(VOCABULARY)))
    text = [" ".join(VOCABULARY[code] for code in sentence) for sentence in x.argmax(axis=-1)]
    if y is None:
        return text
    answers = list(PRODUCTS.values())
    y = arguments.array("y", y, (len(x),))
    if not np.isin(y, range(4)).all():
        raise ValueError(f"y must hold the products 0 to 3, got {y!r}.")
    return [f"{start} {answers[int(k)]}" for start, k in zip(text, y, strict=True)]


def one_hot(codes, D):
    """Return integer `codes` (...) from 0 to D − 1 as one-hot vectors (..., D), float32; ValueError for others."""
    codes = np.asarray(codes)
    if not np.issubdtype(codes.dtype, np.integer) or (codes.size and not 0 <= codes.min() <= codes.max() < D):
        raise ValueError(f"codes must be integers from 0 to {D - 1}, got {codes!r}.")
    return np.take(np.eye(D, dtype="float32"), codes, axis=0)


def _reber(n, rng, length):
    """Return codes (n or fewer, T + 1) of strings that fit, −1 after the end."""
    outer, node = rng.integers(1, 3, size=n), np.zeros(n, int)  # T is 1, P is 2
    codes = [np.zeros(n, int), outer]
    while (node < 9).any():
        way = rng.integers(2, size=n)
        codes.append(np.where(node == 7, outer, _REBER_CODES[node, way]))
        node = _REBER_NODES[node, way]
    codes = np.stack(codes, axis=1)
    if length is None:
        return codes
    codes = codes[(codes >= 0).sum(axis=1) <= length + 1, : length + 1]
    return np.pad(codes, ((0, 0), (0, length + 1 - codes.shape[1])), constant_values=-1)


def _reber_lengths(y):
    lengths = (arguments.array("y", y, ("n", "T")) >= 0).sum(axis=1)
    if not len(lengths) or lengths.min() < 8:
        raise ValueError("y must be the targets of embedded_reber, 8 or more in every row, got fewer.")
    return lengths
