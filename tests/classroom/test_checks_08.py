"""The checks of lesson 08: the usual mistakes are told what to look at, right answers written differently pass."""

from course.by_hand import lstm_forward, sigmoid
from course.classroom.exercises import lesson_08
import keras
import numpy as np
import pytest
from verdicts import verdict, wrong

# One step


def step(order="ifgo", g_by=np.tanh, read=np.tanh, gate=sigmoid, swap=False, block=lambda U: U, bias=1.0, state=1.0):
    """A step written gate by gate, with the mistakes as options."""

    def attempt(x_t, h, c, W, U, b):
        H, a = h.shape[1], {}
        for place, name in enumerate(order):
            part = slice(place * H, (place + 1) * H)
            a[name] = x_t @ W[:, part] + state * h @ block(U[:, part]) + bias * b[part]
        c = gate(a["f"]) * c + gate(a["i"]) * g_by(a["g"])
        h = gate(a["o"]) * read(c)
        return (c, h) if swap else (h, c)

    return attempt


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        (step(order="ifog"), "order: Keras lays them side by side as i, f, g, o"),  # cuDNN's and ONNX's relatives
        (step(order="igfo"), "order: Keras lays them side by side as i, f, g, o"),  # TensorFlow's older cells
        (step(order="oifg"), "order: Keras lays them side by side as i, f, g, o"),
        (step(order="figo"), "f and i are swapped"),
        (step(read=lambda c: c), "tanh on c_t is missing"),
        (step(bias=0.0), "bias b is missing"),
        (step(block=np.transpose), "U is transposed"),
        (step(swap=True), "h and c are swapped"),
        (step(g_by=sigmoid), "g is no gate"),
        (step(g_by=lambda a: a), "tanh on g_t is missing"),
        (step(gate=np.tanh), "Gates go through the sigmoid"),
        (step(gate=lambda a: a), "sigmoid on i, f and o is missing"),
        (step(state=0.0), "do not see the state"),
        (lambda *case: step()(*case)[0], "This is h_t only"),
        (lambda x, h, c, W, U, b: step()(x, c, c, W, U, b), "The gates look at c"),
        (lambda x, h, c, W, U, b: step()(0 * x, h, c, W, U, b), "do not see the input"),
        (lambda x, h, c, W, U, b: step()(x, h, c, W, U.T, b), "raised ValueError"),
        (lambda x, h, c, W, U, b: (2 * step()(x, h, c, W, U, b)[0], c), "h_t: the shape is right"),
    ],
)
def test_lstm_step_names_the_mistake(attempt, hint):
    wrong(lesson_08.lstm_step, attempt, hint)


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        (lambda i, f, g, o, c: (o * np.tanh(f * c + g), f * c + g), "write gate is missing"),
        (lambda i, f, g, o, c: (o * np.tanh((1 - f) * c + i * g), (1 - f) * c + i * g), "upside down"),
        (lambda i, f, g, o, c: (o * np.tanh(c), f * c + i * g), "reads the old memory"),
    ],
)
def test_lstm_step_names_a_wrong_last_line(change, hint):
    def attempt(x_t, h, c, W, U, b):
        i, f, g, o = np.split(x_t @ W + h @ U + b, 4, axis=1)
        return change(sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o), c)

    wrong(lesson_08.lstm_step, attempt, hint)


def test_lstm_step_is_accepted_from_keras_and_written_gate_by_gate():
    def from_keras(x_t, h, c, W, U, b):
        cell = keras.layers.LSTMCell(h.shape[1], dtype="float64")
        cell.build(x_t.shape)
        cell.set_weights([W, U, b])
        return [keras.ops.convert_to_numpy(state) for state in cell(x_t, [h, c])[1]]

    def from_numpy(x_t, h, c, W, U, b):
        states = lstm_forward(x_t[:, None], W, U, b, h, c)
        return states.h[:, 0], states.c[:, 0]

    for attempt in (step(), from_keras, from_numpy):
        assert verdict(lesson_08.lstm_step, attempt).status == "right"


# The latch


@pytest.mark.parametrize(
    ("biases", "hint"),
    [
        (
            (-30, 10, 5),
            "Hardly written: at step 1 only 4.4e-05 of the bit goes in, because the write gate opens to 4.5e-05",
        ),
        ((-10, 1, 5), "It leaks: without any noise, less than half of the bit is left at step 4"),
        ((-10, 5, 5), "less than half of the bit is left at step 99"),
        ((-20, 10, 5), "only 0.48 of the bit goes in"),
        ((-5, 10, 5), "in 11 of 2,000 sequences"),
        ((-10, 10, -0.001), "open by 0.4998 only"),
        ((-10, 7, 5), "It leaks"),
        ((0, 10, 5), "Overwritten by noise"),
        ((-3, 10, 5), "Overwritten by noise"),
        ((-10, 10, -5), "kept, but not read"),
        ((10, -10, 5), "It leaks"),  # i and f swapped
        ((5, -10), "Three numbers are expected"),
        ("open", "Three numbers are expected"),
        ((np.nan, 10, 5), "finite"),
    ],
)
def test_latch_says_what_happens_to_the_bit(biases, hint):
    wrong(lesson_08.gate_biases, biases, hint)


@pytest.mark.parametrize("biases", [(-10, 10, 5), (-8, 9, 0), np.array([-15.0, 30.0, 20.0]), [-10, 7.5, 1]])
def test_latch_is_accepted_with_any_biases_that_hold_the_bit(biases):
    assert verdict(lesson_08.gate_biases, biases).status == "right"


def test_latch_leaks_at_the_step_that_arithmetic_gives():
    f = 1 / (1 + np.exp(-4.0))
    first = next(t for t in range(1, 1001) if np.tanh(2) * f ** (t - 1) < 0.5)
    wrong(lesson_08.gate_biases, (-10, 4, 5), f"less than half of the bit is left at step {first},")


def test_latch_is_not_attempted_before_it_is_answered():
    assert lesson_08.gate_biases(...).status == "not attempted"


# The bias for a gap


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        (lambda gap, share: share ** (1 / gap), "This is f, the gate"),
        (lambda gap, share: np.log(share / (1 - share)), "for one step"),
        (lambda gap, share: np.log(share ** (-1 / gap) - 1), "sign is turned round"),
        (lambda gap, share: np.log(gap), "about 1/e"),
        (lambda gap, share: np.log(gap - 1), "about 1/e"),
        (lambda gap, share: share / gap, "a product over steps"),
        (lambda gap, share: 1.0, "σ(1)^100 = 2.5e-14 survives; 0.5 is asked for"),
        (lambda gap, share: lesson_08._bias(gap, share) + (gap == 20), "For gap = 20, share = 0.9: the answer 6.24"),
        (lambda gap, share: 5.5, "survives; 0.5 is asked for"),
        (lambda gap: 1.0, "TypeError"),
    ],
)
def test_forget_bias_names_the_mistake_and_says_what_survives(attempt, hint):
    wrong(lesson_08.forget_bias, attempt, hint)


def test_forget_bias_is_accepted_found_by_formula_or_by_search():
    def by_bisection(gap, share):
        low, high = -20.0, 40.0
        for _ in range(100):
            middle = (low + high) / 2
            low, high = (middle, high) if sigmoid(middle) ** gap < share else (low, middle)
        return low

    for attempt in (by_bisection, lambda gap, share: -np.log(np.expm1(-np.log(share) / gap))):
        assert verdict(lesson_08.forget_bias, attempt).status == "right"


# What is left of one writing


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        (lambda k, i, f, g: i[:, k - 1] * g[:, k - 1] * f[:, k - 1 :].prod(axis=1), "f_k has acted before"),
        (lambda k, i, f, g: i[:, k - 1] * g[:, k - 1] * f[:, k + 1 :].prod(axis=1), "One factor is missing"),
        (lambda k, i, f, g: i[:, k - 1] * g[:, k - 1] * f[:, k:-1].prod(axis=1), "f_T, is missing"),
        (lambda k, i, f, g: i[:, k - 1] * g[:, k - 1] * f[:, k:].sum(axis=1), "not a sum"),
        (lambda k, i, f, g: i[:, k - 1] * g[:, k - 1], "forget gates of the steps after it are missing"),
        (lambda k, i, f, g: f[:, k:].prod(axis=1), "This is the share that is kept"),
        (lambda k, i, f, g: i[:, k] * g[:, k] * f[:, k + 1 :].prod(axis=1), "Python counts from 0"),
        (lambda k, i, f, g: i[:, k - 1] * g[:, k - 1] * f.prod(axis=1), "Only the forget gates after"),
    ],
)
def test_left_at_the_end_names_the_mistake(attempt, hint):
    wrong(lesson_08.left_at_the_end, attempt, hint)


def test_left_at_the_end_is_accepted_as_a_loop_and_sums_to_the_memory():
    def by_loop(k, i, f, g):
        left = i[:, k - 1] * g[:, k - 1]
        for t in range(k, i.shape[1]):
            left = left * f[:, t]
        return left

    assert verdict(lesson_08.left_at_the_end, by_loop).status == "right"
    rng = np.random.default_rng(0)
    run = lstm_forward(rng.normal(size=(2, 5, 3)), *(rng.normal(size=size) for size in ((3, 16), (4, 16), (16,))))
    assert np.allclose(sum(by_loop(k, run.i, run.f, run.g) for k in range(1, 6)), run.c[:, -1])
