"""The checks of lesson 02: the usual mistakes are told what to look at, right answers written differently pass."""

import re

from course.classroom.exercises import lesson_02
import keras
from keras import layers
import numpy as np
import pytest
from verdicts import verdict, wrong

KINDS = ["many to one", "in step", "encoder and decoder", "one to many", "one to one"]


def with_answer(answers, number, answer):
    return [answer if n == number else kept for n, kept in enumerate(answers, 1)]


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (with_answer(KINDS, 1, "in step"), "One verdict on the whole review"),
        (with_answer(KINDS, 1, "one to one"), "word by word"),
        (with_answer(KINDS, 2, "many to one"), "an answer at every beat"),
        (with_answer(KINDS, 2, "encoder-decoder"), "reads to the end before anything"),
        (with_answer(KINDS, 2, "bidirectional"), "Answer 2: bidirectional is an addition"),
        (with_answer(KINDS, 3, "in step"), "another number of words"),
        (with_answer(KINDS, 3, "many to many"), "of many to many there are two"),
        (with_answer(KINDS, 4, "many to one"), "The name comes in, the tune goes out"),
        (with_answer(KINDS, 4, "encoder and decoder"), "no sequence to encode"),
        (with_answer(KINDS, 5, "many to one"), "eight features of one step"),
        (with_answer(KINDS, 5, "one to many"), "Answer 5: not one to many"),
        (with_answer(KINDS, 3, "seq2seq"), "got 'seq2seq'"),
        (with_answer(KINDS, 3, 3), "got 3"),
        (KINDS[:4], "five words is expected"),
        ("many to one", "five words is expected"),
    ],
)
def test_kinds_names_the_mistake(answer, hint):
    wrong(lesson_02.kinds, answer, hint)


@pytest.mark.parametrize(
    "answer",
    [
        KINDS,
        tuple(kind.title() for kind in KINDS),
        [
            "many-to-one",
            "many to many, in step",
            "Encoder-Decoder",
            "one-to-many",
            "one_to_one",
        ],
        dict(enumerate(KINDS)),
        np.array(KINDS),
        with_answer(KINDS, 2, "many to many (in step)"),
        with_answer(KINDS, 3, "encoder/decoder"),
    ],
)
def test_kinds_is_accepted_in_other_words(answer):
    assert verdict(lesson_02.kinds, answer).status == "right"


SHAPES = [(32, 5), (32, 20, 5), (32, 20, 2), (32, 20, 10), (32, 7, 5)]


@pytest.mark.parametrize(
    ("number", "shape", "hint"),
    [
        (1, (32, 20, 5), "last state alone"),
        (1, (32, 20), "5 units, so 5 numbers"),
        (1, (5,), "the batch comes first"),
        (1, (20, 5), "the batch comes first"),
        (2, (32, 5), "the state of every step"),
        (2, (32, 5, 20), "Steps come before units"),
        (3, (32, 2), "Dense works on the last axis"),
        (3, (20, 2), "the batch comes first"),
        (4, (32, 20, 5), "side by side"),
        (4, (32, 40, 5), "not one after the other"),
        (5, (32, 7), "whole vector"),
        (5, (32, 35), "an axis of its own"),
        (5, (32, 20, 7, 5), "without steps"),
        (5, (32, 8, 8), "which of them are left"),
        (2, 5, "a tuple such as"),
        (2, "32, 20, 5", "a tuple such as"),
    ],
)
def test_shapes_names_the_mistake(number, shape, hint):
    wrong(lesson_02.shapes, with_answer(SHAPES, number, shape), hint)


def test_shapes_is_accepted_in_other_forms_and_agrees_with_keras():
    x = np.zeros((32, 20, 3), "float32")
    one, every = layers.SimpleRNN(5)(x), layers.SimpleRNN(5, return_sequences=True)(x)
    both = layers.Bidirectional(layers.SimpleRNN(5, return_sequences=True))(x)
    said = [
        one.shape,
        every.shape,
        layers.Dense(2)(every).shape,
        both.shape,
        layers.RepeatVector(7)(one).shape,
    ]
    for answer in (
        said,
        SHAPES,
        tuple(list(shape) for shape in SHAPES),
        [(None, *shape[1:]) for shape in SHAPES],
        dict(enumerate(SHAPES)),
    ):
        assert verdict(lesson_02.shapes, answer).status == "right"
    wrong(lesson_02.shapes, SHAPES[:3], "five shapes is expected")


# Batches for a stateful layer


def cut(stream, rows, steps):
    batches = len(stream) // (rows * steps)
    return np.reshape(stream[: batches * rows * steps], (rows, batches, steps)).swapaxes(0, 1)


def whole(stream, rows, steps):
    return np.asarray(stream)[: len(stream) // (rows * steps) * rows * steps]


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        (lambda s, r, t: whole(s, r, t).reshape(-1, r, t), "the next row of the same batch"),
        (lambda s, r, t: whole(s, r, t).reshape(r, -1, t), "the batches come first"),
        (lambda s, r, t: cut(s, r, t).swapaxes(1, 2), "within a batch the rows come first"),
        (
            lambda s, r, t: whole(s, r, t).reshape(-1, t, r).swapaxes(1, 2),
            "within a row the values are to follow",
        ),
        (lambda s, r, t: cut(s, r, t)[::-1], "time runs backwards"),
        (lambda s, r, t: cut(s, r, t)[:, :, ::-1], "within a row the values are to follow"),
        (lambda s, r, t: cut(s, r, t)[:-1], "batches fit"),
        (lambda s, r, t: cut(s, r, t)[..., None], "one axis too many"),
        (
            lambda s, r, t: np.repeat(cut(s, 1, t)[: len(s) // (r * t)], r, axis=1),
            "a value stands in two rows",
        ),
        (lambda s, r, t: np.stack([s[k : k + t] for k in range(len(s) - t)]), "the shape is"),
        (lambda s, r, t: s.reshape(r, -1, t).swapaxes(0, 1), "raised ValueError"),
        (lambda s, r, t: cut(s, r, t) + 100, "not in the stream"),
        (lambda s, r, t: None if len(s) else s, "returns nothing"),
        (lambda s, r: s, "raised TypeError"),
        (lambda s, r, t: "batches", "an array of the stream's values"),
        (3, "A function is expected"),
    ],
)
def test_in_order_names_the_mistake(attempt, hint):
    wrong(lesson_02.in_order, attempt, hint)


def test_in_order_is_accepted_written_differently():
    def by_loops(stream, rows, steps):
        batches = len(stream) // (rows * steps)
        starts = [[row * batches * steps + k * steps for row in range(rows)] for k in range(batches)]
        return [[list(stream[s : s + steps]) for s in row] for row in starts]

    def pieces_with_a_rest_each(stream, rows, steps):
        pieces = np.array_split(stream[: len(stream) // rows * rows], rows)
        batches = len(stream) // (rows * steps)
        return np.stack([[p[k * steps : (k + 1) * steps] for p in pieces] for k in range(batches)])

    for attempt in (cut, by_loops, pieces_with_a_rest_each):
        assert verdict(lesson_02.in_order, attempt).status == "right"


# What the decoder reads in training


def start_in_front(y, start):
    return np.insert(y, 0, start, axis=1)


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        (lambda y, start: y.copy(), "it learns to copy its input"),
        (lambda y, start: np.c_[y[:, 1:], np.full(len(y), start)], "moved the wrong way"),
        (start_in_front, "one step too many"),
        (lambda y, start: start_in_front(y, 0)[:, :-1], "which is padding"),
        (lambda y, start: np.insert(y, 0, start), "one long row"),
        (
            lambda y, start: np.hstack([[start], y]),
            "One number does not fit|raised ValueError",
        ),
        (lambda y, start: np.where(y == 0, start, np.roll(y, 1, axis=1)), "the shape is right, the numbers are not"),
        (lambda y, start: (start_in_front(y, start)[:, :-1], y), "the shape is \\(2, 3, 6\\)"),
        (lambda y, start: "start", "this is a str"),
    ],
)
def test_decoder_inputs_names_the_mistake(attempt, hint):
    found = verdict(lesson_02.decoder_inputs, attempt)
    assert found.status == "wrong", found
    assert re.search(hint, found.message), found


def test_decoder_inputs_is_accepted_written_differently():
    def rolled(y, start):
        y = np.roll(y, 1, axis=1)
        y[:, 0] = start
        return y

    for attempt in (
        lambda y, start: start_in_front(y[:, :-1], start),
        lambda y, start: [[start, *row[:-1]] for row in y.tolist()],
        lambda y, start: np.hstack([np.full((len(y), 1), start), y[:, :-1]]).astype("float32"),
        rolled,
    ):
        assert verdict(lesson_02.decoder_inputs, attempt).status == "right"


# The mask


def sequential(*parts):
    """A function that builds a model of layers, each given as a function of units and classes."""
    return lambda T, D, units, classes: keras.Sequential(
        [keras.Input((T, D)), *(part(units, classes) for part in parts)]
    )


def masking(units, classes):
    return layers.Masking()


def rnn(units, classes):
    return layers.SimpleRNN(units)


def dense(units, classes):
    return layers.Dense(classes)


def every_step(units, classes):
    return layers.SimpleRNN(units, return_sequences=True)


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        (sequential(rnn, dense), "No layer makes a mask"),
        (
            sequential(lambda u, c: layers.Masking(mask_value=-1.0), rnn, dense),
            "Masking looks for steps of -1",
        ),
        (sequential(every_step, masking, rnn, dense), "has read the padding by then"),
        (sequential(dense, masking, rnn, dense), "put Masking\\(\\) first"),
        (sequential(masking, every_step, dense), "Has return_sequences been left on"),
        (
            sequential(masking, every_step, lambda u, c: layers.Flatten(), dense),
            "With T the number of weights changes",
        ),
        (sequential(masking, rnn), "the model says"),
        (sequential(masking, lambda u, c: layers.LSTM(32), dense), "no recurrent layer has 4, but 32"),
        (
            sequential(masking, lambda u, c: layers.SimpleRNN(u, go_backwards=True)),
            "the model says",
        ),
        (
            sequential(lambda u, c: layers.SimpleRNN(u, go_backwards=True), dense),
            "No layer makes a mask",
        ),
        (
            sequential(masking, lambda u, c: layers.GlobalMaxPooling1D(), dense),
            "There is no recurrent layer",
        ),
        (
            sequential(lambda u, c: layers.Lambda(lambda x: x[:, 1:]), rnn, dense),
            "Step 1 of 6 is no padding",
        ),
        (lambda T, D, units, classes: layers.Masking(), "A keras.Model is expected"),
        (
            lambda T, D, units, classes: keras.Sequential([keras.Input((T, 8)), rnn(units, 0)]),
            "The model raised",
        ),
        (lambda T, D: T, "raised TypeError"),
        (lambda T, D, units, classes: print(end=""), "returns nothing"),
        ("a model", "A function that returns a model"),
    ],
)
@pytest.mark.filterwarnings("ignore:Layer .* does not support masking")
def test_reads_padded_names_the_mistake(attempt, hint):
    found = verdict(lesson_02.reads_padded, attempt)
    assert found.status == "wrong", found
    assert re.search(hint, found.message), found


def test_reads_padded_is_accepted_written_differently():
    def functional(T, D, units, classes):
        x = keras.Input((T, D))
        states = layers.LSTM(units, return_sequences=True)(layers.Masking()(x))
        return keras.Model(x, layers.Dense(classes)(layers.GRU(units)(states)))

    def both_ways(units, classes):
        return layers.Bidirectional(layers.LSTM(units))

    def mean(units, classes):
        return layers.GlobalAveragePooling1D()

    def batch_norm(units, classes):  # its moving variance is no weight to be drawn at random
        return layers.BatchNormalization()

    def layer_norm(units, classes):
        return layers.LayerNormalization()

    def two_cells(units, classes):
        return layers.RNN([layers.GRUCell(units), layers.GRUCell(units)])

    for attempt in (
        sequential(masking, rnn, dense),
        functional,
        sequential(masking, both_ways, dense),
        sequential(masking, every_step, mean, dense),
        sequential(masking, batch_norm, rnn, dense),
        sequential(masking, layer_norm, rnn, dense),
        sequential(masking, two_cells, dense),
    ):
        assert verdict(lesson_02.reads_padded, attempt).status == "right"


# The leak


def windows(values, window):
    rows = np.lib.stride_tricks.sliding_window_view(np.asarray(values, "float32"), window + 1)
    return rows[:, :-1, None], rows[:, -1:]


def prepared(scale=lambda known, series, split: known, test=None, cut=windows):
    """Prepare with mean and std of what `scale` returns, of what `test` returns for the test part."""

    def attempt(series, window, split):
        known = scale(series[:split], series, split)
        other = known if test is None else test(series, split)
        train = cut((series[:split] - known.mean()) / known.std(), window)
        return *train, *cut((series[split:] - other.mean()) / other.std(), window)

    return attempt


def shuffled(series, window, split):
    x, y = windows((series - series[:split].mean()) / series[:split].std(), window)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = x[order], y[order]
    return x[: split - window], y[: split - window], x[split - window :], y[split - window :]


def cut_too_early(series, window, split):
    x, y = windows((series - series[:split].mean()) / series[:split].std(), window)
    return x[:split], y[:split], x[split:], y[split:]


def unscaled(series, window, split):
    return *windows(series[:split], window), *windows(series[split:], window)


def x_alone_scaled(series, window, split):
    x, _, x_test, _ = prepared()(series, window, split)
    return x, windows(series[:split], window)[1], x_test, windows(series[split:], window)[1]


def least_and_largest(series, window, split):
    low, span = series[:split].min(), np.ptp(series[:split])
    return unscaled((series - low) / span, window, split)


def answer_in_the_window(values, window):
    rows = np.lib.stride_tricks.sliding_window_view(values, window)
    return rows, rows[:, -1]


def y_shuffled_alone(series, window, split):
    x, y, *rest = prepared()(series, window, split)
    return x, y[np.random.default_rng(0).permutation(len(y))], *rest


def test_unscaled(series, window, split):
    return *prepared()(series, window, split)[:2], *windows(series[split:], window)


test_unscaled.__test__ = False


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        (
            prepared(scale=lambda known, series, split: series),
            "Mean and std are those of the whole series",
        ),
        (shuffled, "split before windows are cut or shuffled"),
        (cut_too_early, "training windows; only 26 end before the split"),
        (unscaled, "Nothing is scaled"),
        (x_alone_scaled, "y_train is not scaled"),
        (lambda s, w, k: unscaled(s - s[:k].mean(), w, k), "Only the mean is taken off"),
        (lambda s, w, k: unscaled((s - s[:k].mean()) / s[:k].var(), w, k), "divides by the variance"),
        (least_and_largest, "least and largest value"),
        (prepared(test=lambda series, split: series[split:]), "its own mean and std"),
        (test_unscaled, "The test part is not scaled"),
        (prepared(cut=answer_in_the_window), "y_train stands in x_train already"),
        (y_shuffled_alone, "does a shuffle move x and y alike"),
        (lambda s, w, k: [prepared()(s, w, k)[n] for n in (0, 2, 1, 3)], "The order is x_train, y_train"),
        (lambda s, w, k: prepared()(s, w, k)[:2], "Four results are expected"),
        (lambda s, w, k: prepared()(s, w - 1, k), "x_train is to have 4 values a row"),
        (lambda s, w, k: prepared()(s, w, k - 5), "training windows; 26 fit"),
        (lambda s, w, k: ("x", "y", "x", "y"), "arrays of numbers"),
        (lambda s, w: s, "raised TypeError"),
        (lambda s, w, k: print(end=""), "returns nothing"),
        (1, "A function is expected"),
    ],
)
def test_prepare_names_the_mistake(attempt, hint):
    wrong(lesson_02.prepare, attempt, hint)


def test_prepare_is_accepted_written_differently():
    def test_windows_reach_back(series, window, split):
        series = (series - np.mean(series[:split])) / np.std(series[:split])
        return *windows(series[:split], window), *windows(series[split - window :], window)

    def flat_and_shuffled_after_the_split(series, window, split):
        x, y, x_test, y_test = prepared()(series, window, split)
        order = np.random.default_rng(1).permutation(len(x))
        return x[order, :, 0], y[order, 0], x_test[..., 0], y_test[:, 0]

    def shuffled_anew_each_time(series, window, split):
        x, y, *test = prepared()(series, window, split)
        order = np.random.default_rng().permutation(len(x))
        return x[order], y[order], *test

    def as_pandas_does(series, window, split):
        mean, std = series[:split].mean(), series[:split].std(ddof=1)
        scaled = (series - mean) / std
        return *windows(scaled[:split], window), *windows(scaled[split:], window)

    for attempt in (
        prepared(),
        test_windows_reach_back,
        flat_and_shuffled_after_the_split,
        shuffled_anew_each_time,
        as_pandas_does,
    ):
        assert verdict(lesson_02.prepare, attempt).status == "right"


def test_exercises_are_not_attempted_before_they_are_answered():
    def stub(series, window, split):
        """Return something."""
        ...

    for check in (lesson_02.kinds, lesson_02.shapes):
        assert check(...).status == "not attempted"
    for check in (lesson_02.in_order, lesson_02.decoder_inputs, lesson_02.reads_padded, lesson_02.prepare):
        assert check(stub).status == check(...).status == "not attempted"


def test_hints_are_staged():
    for check in (
        lesson_02.kinds,
        lesson_02.shapes,
        lesson_02.in_order,
        lesson_02.decoder_inputs,
        lesson_02.reads_padded,
        lesson_02.prepare,
    ):
        assert len(check.hints) == 3
        assert "Hint 2 of 3" in check.hint(2)
