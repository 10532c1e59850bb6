"""Synthetic sequence tasks with a dial for their difficulty, drawn from a generator you pass in.

Each function returns x (n, T, D), float32, and the targets y; the same `rng` state gives the same data. "Chance"
is what a network scores that has learned the shares of the answers alone, "floor" the lowest loss that any
network can reach. Solved is always counted on at least 1,000 sequences drawn afresh. All raise ValueError or
TypeError naming the argument. (The two tasks whose sequences follow a grammar are written in `course.sequences.grammars`.)
"""

from course import arguments
from course.sequences.grammars import one_hot
import numpy as np


def recall(n, gap, rng, symbols=4, distractors=4):
    """Return sequences whose first symbol is to be named after `gap` distractors: y (n,), 0 to symbols − 1.

    x_1 is one of `symbols`, drawn uniformly; x_2 … x_T are `gap` uniform draws from `distractors` other symbols;
    all are one-hot, T = gap + 1, D = symbols + distractors. There is no cue at the end: a network answers from
    h_T, so what it knows of x_1 has made exactly `gap` steps.
    Source: the latching problem of Bengio, Simard & Frasconi 1994, with symbols for its two constants.
    Chance: accuracy 1/symbols, cross-entropy ln symbols. Floor: 0.
    Solved: accuracy above .99. Nothing after x_1 depends on the class, so without a memory of x_1 no network
    passes chance.
    """
    n, gap = arguments.integer("n", n, at_least=1), arguments.integer("gap", gap, at_least=0)
    arguments.generator("rng", rng)
    arguments.integer("symbols", symbols, at_least=2)
    arguments.integer("distractors", distractors, at_least=1)
    y = rng.integers(symbols, size=n)
    noise = rng.integers(symbols, symbols + distractors, size=(n, gap), dtype="int32")
    return one_hot(np.concatenate([y[:, None], noise], axis=1), symbols + distractors), y


def adding(n, length, rng, low=0.0, high=1.0, first=0.5):
    """Return sequences of which the two marked values are to be added: y (n, 1), float32.

    x_t = (value, mark), T = length, D = 2. Values are uniform from `low` to `high`. Two marks are 1, all others
    0: one at a uniform step among the first `length · first` (rounded down), one in the second half.
    Source: Hochreiter & Schmidhuber 1997; as given, the form of Arjovsky, Shah & Bengio 2016 (values from 0 to 1,
    a mark in each half); `low=-0.5, high=0.5, first=0.1` is that of Campos et al. 2018.
    Chance: always answering low + high has mean squared error (high − low)²/6, the variance of y: .167 for 0 to
    1; who knows one of the two values halves that, to .083. Floor: 0.
    Solved: mean squared error below (high − low)²/600, a hundredth of chance (Campos et al.). "|error| < .2"
    would be no criterion: a constant answer is that close in a third of all cases.
    """
    n, length = arguments.integer("n", n, at_least=1), arguments.integer("length", length, at_least=2)
    arguments.generator("rng", rng)
    low = arguments.number("low", low)
    high = arguments.number("high", high, above=low)
    among = int(length * arguments.number("first", first, above=0, at_most=0.5) + 1e-9)  # 1e-9: 0.1 · 30 is 3
    if among < 1:
        raise ValueError(f"first must leave a step for the mark: at least {1 / length:.3g} here, got {first}.")
    x = np.zeros((n, length, 2), "float32")
    x[..., 0] = low + (high - low) * rng.random((n, length), dtype="float32")
    rows = np.arange(n)
    marked = rng.integers(among, size=n), rng.integers((length + 1) // 2, length, size=n)
    for step in marked:
        x[rows, step, 1] = 1
    return x, sum(x[rows, step, 0] for step in marked)[:, None]


def temporal_order(n, length, rng):
    """Return sequences in which the order of two symbols is to be named: y (n,), 0 to 3.

    Six one-hot symbols: A, B and four distractors; T = length, D = 6. A or B stands at step ⌊.1 T⌋ + u and again
    at ⌊.5 T⌋ + u' (counted from 0), u and u' uniform on 0 … ⌊.1 T⌋ − 1, all other steps hold a uniform
    distractor; y = v + 2 v', with v = 0 for A and 1 for B. No start symbol and no trigger.
    Source: Pascanu, Mikolov & Bengio 2013, as in the authors' code; after Hochreiter & Schmidhuber 1997, 6a.
    Chance: accuracy 1/4, cross-entropy ln 4; who remembers the later symbol alone has 1/2 and ln 2. Floor: 0.
    Solved: fewer than 1 % errors on 10,000 sequences (the authors').
    """
    n, length = arguments.integer("n", n, at_least=1), arguments.integer("length", length, at_least=10)
    arguments.generator("rng", rng)
    codes = rng.integers(2, 6, size=(n, length), dtype="int8")
    rows = np.arange(n)
    v, later = rng.integers(2, size=n), rng.integers(2, size=n)
    codes[rows, length // 10 + rng.integers(length // 10, size=n)] = v
    codes[rows, length // 2 + rng.integers(length // 10, size=n)] = later
    return one_hot(codes, 6), v + 2 * later


def copy_memory(n, delay, rng, items=10, symbols=8):
    """Return sequences of `items` symbols to be repeated after `delay` steps: y (n, T), 0 to symbols.

    x: the items, drawn uniformly from `symbols`; delay − 1 blanks; the marker; `items` blanks, all one-hot with
    D = symbols + 2, the blank being `symbols` and the marker `symbols + 1`. T = delay + 2 items. y is blank but
    for the last `items` steps, where it repeats them: every item is due delay + items steps after it was seen.
    Source: Arjovsky, Shah & Bengio 2016; after Hochreiter & Schmidhuber 1997.
    Chance: cross-entropy items · ln(symbols) / T per step (.173 for a delay of 100) and accuracy
    1 − (1 − 1/symbols) items/T, from blanks and blind guesses. That accuracy is high, so look at the last
    `items` steps, where it is 1/symbols. Floor: 0.
    Solved: accuracy above .99 on the last `items` steps.
    """
    n, delay = arguments.integer("n", n, at_least=1), arguments.integer("delay", delay, at_least=1)
    arguments.generator("rng", rng)
    items = arguments.integer("items", items, at_least=1)
    symbols = arguments.integer("symbols", symbols, at_least=2)
    drawn = rng.integers(symbols, size=(n, items))
    codes = np.full((n, delay + 2 * items), symbols)
    codes[:, :items] = drawn
    codes[:, items + delay - 1] = symbols + 1
    y = np.full(codes.shape, symbols)
    y[:, -items:] = drawn
    return one_hot(codes, symbols + 2), y


def reversal(n, longest, rng, letters=6):
    """Return strings to be turned round, as numbers: x, what a decoder reads in training, and y, each (n, T).

    Lengths are uniform from 1 to `longest`, T = longest + 1. 0 is padding, behind; 1 is the stop; letters are drawn
    uniformly from 2 to letters + 1. y holds the letters of x from the last to the first, then the stop; what the
    decoder reads is the stop, then y without its last step (teacher forcing).
    The usual first task for an encoder and decoder (Sutskever, Vinyals & Le 2014).
    Chance: k letters are all guessed right once in lettersᵏ. Floor: 0.
    Solved: above .99 of the strings of a length exactly right, each answer read back as the next input.
    """
    n, longest = arguments.integer("n", n, at_least=1), arguments.integer("longest", longest, at_least=1)
    arguments.generator("rng", rng)
    arguments.integer("letters", letters, at_least=2)
    lengths, step = rng.integers(1, longest + 1, (n, 1)), np.arange(longest + 1)
    x = np.where(step < lengths, rng.integers(2, letters + 2, (n, longest + 1)), 0)
    turned = np.take_along_axis(x, np.maximum(lengths - 1 - step, 0), axis=1)
    y = np.where(step < lengths, turned, step == lengths)
    return x, np.column_stack([np.ones(n, int), y[:, :-1]]), y
