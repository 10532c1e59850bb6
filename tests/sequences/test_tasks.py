"""The synthetic tasks, held against slow independent labellers and the distributions their papers give."""

import re

from course import sequences
from course.sequences import grammars
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from scipy import stats

SEEDS = st.integers(0, 2**32 - 1)
COUNTS = st.integers(1, 12)
quick = settings(max_examples=25, deadline=None)


def draw(name, seed=0, n=50):
    rng = np.random.default_rng(seed)
    return {
        "recall": lambda: sequences.recall(n, 20, rng),
        "adding": lambda: sequences.adding(n, 20, rng),
        "temporal_order": lambda: sequences.temporal_order(n, 20, rng),
        "copy_memory": lambda: sequences.copy_memory(n, 20, rng),
        "embedded_reber": lambda: sequences.embedded_reber(n, rng, length=30),
        "sentences": lambda: sequences.sentences(n, 20, rng),
        "reversal": lambda: sequences.reversal(n, 6, rng),
    }[name]()


ALL = ["recall", "adding", "temporal_order", "copy_memory", "embedded_reber", "sentences", "reversal"]


def codes_of(x):
    """Return one-hot x (n, T, D) as lists of integers, after checking that it is one-hot."""
    assert x.dtype == np.float32
    assert set(np.unique(x)) <= {0.0, 1.0}
    assert (x.sum(axis=-1) == 1).all()
    return [[list(step).index(1) for step in sequence] for sequence in x]


def assert_uniform(values, choices):
    """The values are spread evenly over `choices`; a right generator fails once in a million (and is seeded)."""
    counts = [np.sum(np.asarray(values) == choice) for choice in choices]
    assert sum(counts) == len(values)
    assert stats.chisquare(counts).pvalue > 1e-6


@quick
@given(n=COUNTS, gap=st.integers(0, 30), symbols=st.integers(2, 6), distractors=st.integers(1, 5), seed=SEEDS)
def test_recall_asks_for_the_first_symbol_and_shows_only_distractors_after_it(n, gap, symbols, distractors, seed):
    x, y = sequences.recall(n, gap, np.random.default_rng(seed), symbols, distractors)
    assert x.shape == (n, gap + 1, symbols + distractors)
    for sequence, label in zip(codes_of(x), y, strict=True):
        assert sequence[0] == label < symbols
        assert all(symbols <= code < symbols + distractors for code in sequence[1:])


def test_recall_classes_and_distractors_are_uniform_and_unrelated():
    x, y = sequences.recall(20_000, 3, np.random.default_rng(1))
    assert_uniform(y, range(4))
    assert_uniform(x.argmax(-1)[:, 1:].ravel(), range(4, 8))
    for t in range(1, 4):
        assert stats.chi2_contingency(np.histogram2d(y, x.argmax(-1)[:, t], bins=(4, 4))[0]).pvalue > 1e-6


@quick
@given(n=COUNTS, length=st.integers(2, 60), low=st.floats(-2, 1), span=st.floats(0.1, 3), seed=SEEDS)
def test_adding_asks_for_the_sum_of_the_two_marked_values(n, length, low, span, seed):
    x, y = sequences.adding(n, length, np.random.default_rng(seed), low, low + span)
    assert (x.shape, y.shape, x.dtype, y.dtype) == ((n, length, 2), (n, 1), np.float32, np.float32)
    assert x[..., 0].min() >= low - 1e-6
    assert x[..., 0].max() <= low + span + 1e-6
    for sequence, target in zip(x.tolist(), y[:, 0], strict=True):
        first, second = (t for t in range(length) if sequence[t][1] == 1)  # exactly two
        assert first < length / 2 <= second
        assert sum(mark for _, mark in sequence) == 2
        assert abs(sequence[first][0] + sequence[second][0] - target) < 1e-5


@pytest.mark.parametrize(("length", "first", "among"), [(50, 0.5, 25), (50, 0.1, 5), (30, 0.1, 3), (13, 0.5, 6)])
def test_adding_marks_are_uniform_over_the_first_share_and_the_second_half(length, first, among):
    x, _ = sequences.adding(20_000, length, np.random.default_rng(2), first=first)
    _, steps = np.nonzero(x[..., 1])
    assert_uniform(steps[0::2], range(among))
    assert_uniform(steps[1::2], range((length + 1) // 2, length))


@pytest.mark.parametrize(("low", "high", "variance"), [(0, 1, 1 / 6), (-0.5, 0.5, 1 / 6), (-1, 1, 2 / 3)])
def test_adding_chance_is_the_variance_of_the_target_and_half_of_it_with_one_value_known(low, high, variance):
    x, y = sequences.adding(100_000, 4, np.random.default_rng(3), low, high)
    error = y[:, 0] - (low + high)
    assert np.mean(error**2) == pytest.approx(variance, rel=0.02)  # 5 standard errors are 1.5 %
    first = (x[:, :2, 0] * x[:, :2, 1]).sum(axis=1)
    assert np.mean((y[:, 0] - first - (low + high) / 2) ** 2) == pytest.approx(variance / 2, rel=0.02)
    assert np.mean(np.abs(error) < 0.2 * (high - low)) == pytest.approx(0.36, abs=0.01)


@quick
@given(n=COUNTS, length=st.integers(10, 70), seed=SEEDS)
def test_temporal_order_asks_for_the_order_of_the_two_informative_symbols(n, length, seed):
    x, y = sequences.temporal_order(n, length, np.random.default_rng(seed))
    assert x.shape == (n, length, 6)
    classes = {"AA": 0, "BA": 1, "AB": 2, "BB": 3}  # v0 + 2 v1
    for sequence, label in zip(codes_of(x), y, strict=True):
        first, second = (t for t in range(length) if sequence[t] < 2)  # exactly two
        assert classes["AB"[sequence[first]] + "AB"[sequence[second]]] == label
        assert int(0.1 * length) <= first < 2 * int(0.1 * length)
        assert int(0.5 * length) <= second < int(0.5 * length) + int(0.1 * length)


def test_temporal_order_has_the_authors_distribution():
    x, y = sequences.temporal_order(20_000, 50, np.random.default_rng(4))
    codes = x.argmax(-1)
    _, steps = np.nonzero(codes < 2)
    assert_uniform(y, range(4))
    assert_uniform(steps[0::2], range(5, 10))
    assert_uniform(steps[1::2], range(25, 30))
    assert_uniform((steps[0::2] - 5) * 5 + steps[1::2] - 25, range(25))  # the two positions are independent
    assert_uniform(codes[codes >= 2], range(2, 6))


@quick
@given(n=COUNTS, delay=st.integers(1, 30), items=st.integers(1, 10), symbols=st.integers(2, 8), seed=SEEDS)
def test_copy_memory_repeats_the_items_right_after_marker(n, delay, items, symbols, seed):
    x, y = sequences.copy_memory(n, delay, np.random.default_rng(seed), items, symbols)
    assert x.shape == (n, delay + 2 * items, symbols + 2)
    assert y.shape == x.shape[:2]
    for sequence, target in zip(codes_of(x), y.tolist(), strict=True):
        marker = sequence.index(symbols + 1)
        seen = [code for code in sequence if code < symbols]
        assert seen == sequence[:items]
        assert target == [symbols] * (marker + 1) + seen
        assert len(target) - len(seen) - items == delay
        assert set(sequence[items:marker] + sequence[marker + 1 :]) <= {symbols}


def test_copy_memory_baseline_is_that_of_the_paper():
    x, y = sequences.copy_memory(2_000, 100, np.random.default_rng(5))
    blind = np.full((120, 9), 1e-30)  # sure of the blank until the items are due, then each of 8 alike
    blind[:110, 8] = 1
    blind[110:, :8] = 1 / 8
    loss = -np.log(blind[np.arange(120), y]).mean()
    assert loss == pytest.approx(10 * np.log(8) / 120, rel=1e-6)
    assert loss == pytest.approx(0.173, abs=5e-4)
    assert_uniform(y[y < 8], range(8))
    assert x.shape[1] == 120


INNER = "(?:T*VPX)*T*V(?:V|PS)"  # Reber's grammar from its third node on, as a regular expression
EMBEDDED = re.compile(f"B([TP])B(?:TS*X(?:S|X{INNER})|P{INNER})E\\1E")


def strings_of(x, y):
    """Return the strings that x and y stand for, after checking that y is x one step ahead and the rest empty."""
    strings = []
    for sequence, targets in zip(x, y.tolist(), strict=True):
        steps = sum(target >= 0 for target in targets)
        assert targets[steps:] == [-1] * (len(targets) - steps)
        assert not sequence[steps:].any()
        symbols = codes_of(sequence[None, :steps])[0]
        assert symbols[1:] == targets[: steps - 1]
        strings.append("".join("BTPSXVE"[code] for code in [*symbols, targets[steps - 1]]))
    return strings


@quick
@given(n=st.integers(1, 40), length=st.one_of(st.none(), st.integers(8, 40)), seed=SEEDS)
def test_embedded_reber_strings_follow_the_grammar(n, length, seed):
    x, y = sequences.embedded_reber(n, np.random.default_rng(seed), length)
    strings = strings_of(x, y)
    assert all(EMBEDDED.fullmatch(s) for s in strings)
    longest = max(map(len, strings)) - 1
    assert x.shape == (n, longest if length is None else length, 7)
    assert y.shape == x.shape[:2]
    assert longest <= x.shape[1]
    assert all(
        s[1] == "BTPSXVE"[y[k, at]] for (k, at), s in zip(enumerate(sequences.reber_closing(y)), strings, strict=True)
    )


WAYS = {1: {"T": 2, "P": 3}, 2: {"S": 2, "X": 4}, 3: {"T": 3, "V": 5}, 4: {"X": 3, "S": 6}, 5: {"P": 4, "V": 6}}


def test_embedded_reber_takes_both_ways_out_of_every_node_equally_often():
    taken = {node: [] for node in WAYS}
    outer = []
    for s in strings_of(*sequences.embedded_reber(3_000, np.random.default_rng(6))):
        outer.append(s[1])
        node = 1
        for symbol in s[3:-3]:
            taken[node].append(symbol)
            node = WAYS[node][symbol]
        assert node == 6
    assert_uniform(outer, "TP")
    for node, symbols in taken.items():
        assert_uniform(symbols, WAYS[node])


def test_reber_best_agrees_with_the_expected_visits_of_the_grammars_nodes():
    leave = np.zeros((7, 7))
    for node, ways in WAYS.items():
        leave[node, list(ways.values())] = 0.5
    visits = np.linalg.solve((np.eye(7) - leave).T, np.eye(7)[1])  # how often a string passes each node
    choices = 1 + visits[1:6].sum()  # and the outer symbol
    predictions = choices + 4
    assert (choices, predictions) == (pytest.approx(7), pytest.approx(11))
    best = sequences.reber_best(sequences.embedded_reber(100_000, np.random.default_rng(7))[1])
    expected = 7.5 / 11, 7 * np.log(2) / 11, 7 / 11, 8 * np.log(2) / 11
    np.testing.assert_allclose(best, expected, atol=5e-4)  # 4 standard errors


def test_reber_best_counts_the_open_choices_of_given_strings():
    y = np.full((2, 12), -1)
    y[0, :8] = [1, 0, 1, 4, 3, 6, 1, 6]  # B T B T X S E T E: 8 predictions, of which 4 are open
    y[1, :10] = [2, 0, 1, 3, 3, 4, 3, 6, 2, 6]  # B P B T S S X S E P E: 10, of which 6 are open
    best = sequences.reber_best(y)
    np.testing.assert_allclose(best, (13 / 18, 10 * np.log(2) / 18, 12 / 18, 12 * np.log(2) / 18), rtol=1e-12)
    np.testing.assert_array_equal(sequences.reber_closing(y), [6, 8])


SENTENCE = re.compile(
    "(iPhone|MacBook|Kindle|Walkman)( (I|we|they) (bought|tested|carried) (yesterday|daily|twice))* is a"
    "( (good|nice|cheap)( (new|small|blue))?)? (mobile|laptop|reader|player)"
)
LAST = {"iPhone": "mobile", "MacBook": "laptop", "Kindle": "reader", "Walkman": "player"}


@quick
@given(n=COUNTS, gap=st.integers(2, 40), seed=SEEDS)
def test_the_last_word_of_a_sentence_is_that_of_its_first_at_the_dialled_gap(n, gap, seed):
    x, y = sequences.sentences(n, gap, np.random.default_rng(seed))
    assert x.shape == (n, gap + 1, 21)
    codes_of(x)  # one-hot
    for sentence in sequences.words(x, y):
        assert SENTENCE.fullmatch(sentence)
        first, *between, last = sentence.split()
        assert LAST[first] == last
        assert len(between) == gap


def test_sentences_cannot_be_guessed_from_the_words_between():
    x, y = sequences.sentences(20_000, 7, np.random.default_rng(8))
    codes = x.argmax(-1)
    assert_uniform(y, range(4))
    for t in range(1, 8):
        table = np.array([[np.sum(codes[y == k, t] == word) for word in np.unique(codes[:, t])] for k in range(4)])
        assert table.shape[1] == 1 or stats.chi2_contingency(table).pvalue > 1e-6


def test_words_shows_a_sentence_with_and_without_its_last_word():
    x, y = sequences.sentences(1, 5, np.random.default_rng(9))
    (whole,), (start,) = sequences.words(x, y), sequences.words(x)
    assert whole.rsplit(" ", 1)[0] == start
    assert start.split() == [sequences.VOCABULARY[code] for code in codes_of(x)[0]]


@quick
@given(n=COUNTS, longest=st.integers(1, 12), letters=st.integers(2, 9), seed=SEEDS)
def test_reversal_asks_for_the_letters_from_the_last_to_the_first_and_a_stop(n, longest, letters, seed):
    for x, read, y in zip(*sequences.reversal(n, longest, np.random.default_rng(seed), letters), strict=True):
        word = [code for code in x.tolist() if code]
        assert len(x) == len(y) == longest + 1
        assert 1 <= len(word) <= longest
        assert all(2 <= code < letters + 2 for code in word)
        assert x.tolist() == word + [0] * (longest + 1 - len(word))  # padded behind
        assert y.tolist() == [*word[::-1], 1] + [0] * (longest - len(word))
        assert read.tolist() == [1, *y.tolist()[:-1]]


def test_reversal_draws_lengths_and_letters_uniformly():
    x, _, _ = sequences.reversal(20_000, 6, np.random.default_rng(11))
    assert_uniform(np.count_nonzero(x, axis=1), range(1, 7))
    assert_uniform(x[x > 0], range(2, 8))


@pytest.mark.parametrize("name", ALL)
def test_same_seed_same_data_and_other_seed_other_data(name):
    for first, again, other in zip(draw(name, 1), draw(name, 1), draw(name, 2), strict=True):
        np.testing.assert_array_equal(first, again)
        assert (first != other).any()


@pytest.mark.parametrize("name", ["recall", "adding", "temporal_order", "copy_memory", "sentences"])
def test_a_second_draw_from_the_generator_shares_no_sequence_with_the_first(name):
    rng = np.random.default_rng(10)
    train, test = (getattr(sequences, name)(300, 40, rng)[0] for _ in range(2))
    assert not {sequence.tobytes() for sequence in train} & {sequence.tobytes() for sequence in test}


RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("error", "name", "call"),
    [
        (ValueError, "n", lambda: sequences.recall(0, 5, RNG)),
        (TypeError, "n", lambda: sequences.recall(2.0, 5, RNG)),
        (ValueError, "gap", lambda: sequences.recall(2, -1, RNG)),
        (TypeError, "rng", lambda: sequences.recall(2, 5, 0)),
        (ValueError, "symbols", lambda: sequences.recall(2, 5, RNG, symbols=1)),
        (ValueError, "distractors", lambda: sequences.recall(2, 5, RNG, distractors=0)),
        (ValueError, "length", lambda: sequences.adding(2, 1, RNG)),
        (TypeError, "rng", lambda: sequences.adding(2, 10, np.random)),
        (ValueError, "high", lambda: sequences.adding(2, 10, RNG, low=1.0, high=1.0)),
        (ValueError, "low", lambda: sequences.adding(2, 10, RNG, low=np.nan)),
        (ValueError, "first", lambda: sequences.adding(2, 10, RNG, first=0.6)),
        (ValueError, "first", lambda: sequences.adding(2, 9, RNG, first=0.1)),
        (ValueError, "length", lambda: sequences.temporal_order(2, 9, RNG)),
        (TypeError, "length", lambda: sequences.temporal_order(2, "20", RNG)),
        (ValueError, "delay", lambda: sequences.copy_memory(2, 0, RNG)),
        (ValueError, "items", lambda: sequences.copy_memory(2, 5, RNG, items=0)),
        (ValueError, "symbols", lambda: sequences.copy_memory(2, 5, RNG, symbols=1)),
        (ValueError, "n", lambda: sequences.embedded_reber(-3, RNG)),
        (TypeError, "rng", lambda: sequences.embedded_reber(3, None)),
        (ValueError, "length", lambda: sequences.embedded_reber(3, RNG, length=7)),
        (ValueError, "y", lambda: sequences.reber_best(np.zeros(5))),
        (ValueError, "y", lambda: sequences.reber_closing(np.full((2, 9), -1))),
        (ValueError, "gap", lambda: sequences.sentences(2, 1, RNG)),
        (ValueError, "longest", lambda: sequences.reversal(2, 0, RNG)),
        (ValueError, "letters", lambda: sequences.reversal(2, 5, RNG, letters=1)),
        (TypeError, "rng", lambda: sequences.reversal(2, 5, 0)),
        (TypeError, "n", lambda: sequences.sentences(True, 5, RNG)),
        (ValueError, "x", lambda: sequences.words(np.zeros((2, 3, 4)))),
        (ValueError, "y", lambda: sequences.words(np.zeros((2, 3, 21)), np.zeros(3, int))),
        (ValueError, "y", lambda: sequences.words(np.zeros((2, 3, 21)), np.array([0, 4]))),
        (ValueError, "codes", lambda: grammars.one_hot([0, 3], 3)),
        (ValueError, "codes", lambda: grammars.one_hot([0, -1], 3)),
        (ValueError, "codes", lambda: grammars.one_hot([0.0, 1.0], 3)),
    ],
)
def test_bad_arguments_are_named(error, name, call):
    with pytest.raises(error, match=rf"^{name} must"):
        call()
