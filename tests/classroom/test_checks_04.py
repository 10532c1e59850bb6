"""The checks of lesson 04: wrong answers are told what to look at, right ones accepted however they are written."""

from course.by_hand import rnn_backward, rnn_forward
from course.classroom import checks
from course.classroom.exercises import lesson_04
import numpy as np
import pytest
from verdicts import wrong

# The backward step


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        (lambda d, h, dh, U: dh + np.einsum("bi,ij->bj", d * (1 - h * h), U), "not transposed"),
        (lambda d, h, dh, U: dh + (U @ d.T).T, "derivative of the tanh is missing"),
        (lambda d, h, dh, U: (U @ (d * (1 - h * h)).T).T, "immediate derivative dh_t is missing"),
        (lambda d, h, dh, U: dh + (1 - h * h) * (d @ U.T), "order is wrong"),
        (lambda d, h, dh, U: ((d + dh) * (1 - h * h)) @ U.T, "sent through a step too"),
        (lambda d, h, dh, U: dh + (d / np.cosh(h) ** 2) @ U.T, "tanh already"),
        (lambda d, h, dh, U: dh + (h * d) @ U.T, "not h_next"),
        (lambda d, h, dh, U: dh + (d - d * h) @ U.T, "square is missing"),
        (lambda d, h, dh, U: dh - (d * (1 - h * h)) @ U.T, "added, not taken off"),
        (lambda d, h, dh, U: dh + 2 * (d * (1 - h * h)) @ U.T, "largest difference"),
        (lambda d, h, dh, U: (dh + (d * (1 - h * h)) @ U.T).T, "shape is (3, 2), expected is (2, 3)"),
        (lambda d, h, dh, U: dh + U @ d, "A product of matrices does not fit"),
    ],
)
def test_backward_step_names_the_mistake(attempt, hint):
    wrong(lesson_04.backward_step, attempt, hint)


def test_backward_step_is_accepted_written_with_the_jacobian():
    def attempt(delta_next, h_next, dh_t, U):
        rows = []
        for d, h, dh in zip(delta_next, h_next, dh_t, strict=True):
            J = np.diag(1 - h**2) @ U.T  # ∂h_{t+1}/∂h_t: the entry (j, i) is ∂h_j/∂h_i
            rows.append(dh + d @ J)
        return np.stack(rows)

    assert lesson_04.backward_step(attempt).status == "right"


# The far part of the gradient, and signal to noise


def of_sizes(keep):
    """The ratio of sizes, written with norms of flattened arrays."""
    return lambda g, d: np.linalg.norm(keep(g, d).sum(0).ravel()) / np.linalg.norm(g.sum(0).ravel())


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        (lambda g, d: sum(map(np.linalg.norm, g[: len(g) - d])) / sum(map(np.linalg.norm, g)), "may cancel"),
        (lambda g, d: sum(map(np.linalg.norm, g[:-d])) / np.linalg.norm(g.sum(0)), "before their size"),
        (of_sizes(lambda g, d: g[d:]), "order of the steps"),
        (of_sizes(lambda g, d: g[:d]), "counts from the first step"),
        (of_sizes(lambda g, d: g[-d:]), "near terms"),
        (of_sizes(lambda g, d: g[: -d - 1]), "One term is missing"),
        (of_sizes(lambda g, d: g[::-1][d - 1 :]), "One term too many"),
        (lambda g, d: np.linalg.norm(g[:-d].sum(0)), "divide by"),
        (lambda g, d: g[:-d].sum() / g.sum(), "root of the sum of their squares"),
        (lambda g, d: np.linalg.norm(g[:-d].sum(0)) / g.sum(0), "shape"),
        (lambda g, d: print(end=""), "return"),
    ],
)
def test_far_part_names_the_mistake(attempt, hint):
    wrong(lesson_04.far_part, attempt, hint)


def test_far_part_is_accepted_by_distance():
    assert lesson_04.far_part(of_sizes(lambda g, d: g[::-1][d:])).status == "right"


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        (lambda g: np.mean([np.linalg.norm(m) for m in g]) / np.linalg.norm(g.std(0)), "mean of the sizes"),
        (lambda g: np.mean([np.linalg.norm(m) for m in g]) / np.std([np.linalg.norm(m) for m in g]), "direction"),
        (lambda g: np.linalg.norm(g.mean(0)) / np.std([np.linalg.norm(m) for m in g]), "sizes differ"),
        (lambda g: np.linalg.norm(g.mean(0)) / np.linalg.norm(g.std(0, ddof=1)), "one less"),
        (lambda g: np.linalg.norm(g.mean(0)) / g.var(0).mean() ** 0.5, "over the batches alone"),
        (lambda g: np.linalg.norm(g.mean(0)) / np.linalg.norm(g - g.mean(0)), "averaged over the batches"),
        (lambda g: np.linalg.norm(g.mean(0)) / g.var(0).sum(), "root is missing"),
        (lambda g: np.linalg.norm(g.std(0)) / np.linalg.norm(g.mean(0)), "Upside down"),
        (lambda g: g.mean(0) / g.std(0), "shape"),
        (lambda g: np.linalg.norm(g.mean(0) / g.std(0)), "entry by entry"),
    ],
)
def test_signal_to_noise_names_the_mistake(attempt, hint):
    wrong(lesson_04.signal_to_noise, attempt, hint)


def test_signal_to_noise_is_accepted_written_with_the_variance_of_every_entry():
    attempt = lambda g: np.linalg.norm(g.mean(0)) / g.var(0).sum() ** 0.5  # noqa: E731
    assert lesson_04.signal_to_noise(attempt).status == "right"


# The full backward pass: an attempt written out, into which the mistakes are put one by one


def attempt(x, y, W, U, b, **bug):
    h = rnn_forward(x, W, U, b)
    B, T, H = h.shape
    delta, dW, dU, db, coming = np.zeros_like(h), np.zeros_like(W), np.zeros_like(U), np.zeros_like(b), 0.0
    for t in range(T) if bug.get("forwards") else range(T - 1, -1, -1):
        own = 2 * (h[:, t] - y[:, t]) / bug.get("divide", lambda B, T, H: B * T * H)(B, T, H)
        delta[:, t] = coming + own * (t == T - 1 or not bug.get("last_only"))
        at = h[:, (t + bug.get("shift", 0)) % T]
        if bug.get("shift") == -1 and t == 0:
            at = 0 * at
        step = delta[:, t] if bug.get("no_tanh") else delta[:, t] * (1 - at**2)
        da = delta[:, t] if bug.get("no_tanh_in_weights") else delta[:, t] * (1 - h[:, t] ** 2)
        before = h[:, t - 1] if t else np.zeros((B, H))
        state = h[:, t] if bug.get("h_t") else before
        if t or not bug.get("x_early"):
            dW += x[:, t - bug.get("x_early", 0)].T @ da
        dU += da.T @ state if bug.get("outer") else state.T @ da
        db += da.sum(0) * (not bug.get("no_bias"))
        coming = step @ (U if bug.get("no_transpose") else U.T) * (not bug.get("immediate"))
        if t == bug.get("cut_at"):
            coming = 0 * coming
    return delta, dW, dU, db / (B * T if bug.get("mean_bias") else 1)


def with_bug(**bug):
    return lambda *case: attempt(*case, **bug)


@pytest.mark.parametrize(
    ("bug", "hint"),
    [
        ({"no_transpose": True}, "delta: U is not transposed"),
        ({"no_tanh": True}, "delta: The derivative of the tanh"),
        ({"shift": -1}, "this has h_{t-1}"),
        ({"shift": 1}, "this has h_{t+1}, and h_1 at the end"),
        ({"forwards": True}, "runs forwards"),
        ({"immediate": True}, "immediate derivatives"),
        ({"last_only": True}, "Only the last step's loss"),
        ({"divide": lambda B, T, H: 1}, "mean over the batch, the mean over the steps, the mean over the units."),
        ({"divide": lambda B, T, H: B}, "Missing: the mean over the steps, the mean over the units."),
        ({"divide": lambda B, T, H: B * T}, "Missing: the mean over the units."),
        ({"divide": lambda B, T, H: T * H}, "Missing: the mean over the batch."),
        ({"divide": lambda B, T, H: 2 * T * H}, "Missing: the 2 of the square, the mean over the batch."),
        ({"divide": lambda B, T, H: 2 * B * T * H}, "Missing: the 2 of the square."),
        ({"divide": lambda B, T, H: -B * T * H}, "sign is turned"),
        ({"h_t": True}, "dU: h_t is used where h_{t-1} belongs"),
        ({"outer": True}, "dU: The outer product"),
        ({"outer": True, "h_t": True}, "dU: Two things"),
        ({"no_tanh_in_weights": True}, "dW: This pairs with delta_t"),
        ({"x_early": 1}, "this pairs it with x_{t-1}"),
        ({"no_bias": True}, "db: The bias has a gradient"),
        ({"mean_bias": True}, "db: The loss has taken the mean already"),
        ({"no_transpose": True, "h_t": True, "no_bias": True}, "delta: U is not transposed"),
    ],
)
def test_full_backward_names_the_mistake(bug, hint):
    wrong(lesson_04.full_backward, with_bug(**bug), hint)


@pytest.mark.parametrize("step", [2, 4])
def test_full_backward_names_the_first_wrong_step_going_backwards(step):
    # cut_at counts from 0: the gradient is lost on leaving step cut_at + 1, so delta is wrong from cut_at on.
    wrong(lesson_04.full_backward, with_bug(cut_at=step), f"going backwards, the first is t = {step}.")


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda *case: attempt(*case)[0], "4 results are expected"),
        (lambda *case: attempt(*case)[:3], "4 results are expected"),
        (lambda *case: (*attempt(*case)[:3], None), "db: your function returns None"),
        (lambda *case: (attempt(*case)[0].swapaxes(0, 1), *attempt(*case)[1:]), "delta: the shape is (5, 3, 4)"),
        (lambda *case: (*attempt(*case)[:1], attempt(*case)[1].T, *attempt(*case)[2:]), "dW: The outer product"),
        (lambda x, y, W, U, b: x @ U, "ValueError"),
    ],
)
def test_full_backward_tells_what_has_the_wrong_form(answer, hint):
    wrong(lesson_04.full_backward, answer, hint)


def test_full_backward_is_accepted_written_as_a_loop_or_by_the_course():
    def by_the_course(x, y, W, U, b):
        h = rnn_forward(x, W, U, b)
        found = rnn_backward(x, W, U, b, h, 2 * (h - y) / h.size)
        return [found.delta, found.W, found.U, found.b]

    assert lesson_04.full_backward(attempt).status == "right"
    assert lesson_04.full_backward(by_the_course).status == "right"


def test_full_backward_is_accepted_by_automatic_differentiation():
    import tensorflow as tf

    def by_tape(x, y, W, U, b):
        weights = [tf.constant(w) for w in (W, U, b)]
        (B, T, _), H = x.shape, len(b)
        nudges = [tf.zeros((B, H), "float64") for _ in range(T)]
        with tf.GradientTape() as tape:
            tape.watch([*weights, *nudges])
            h, states = tf.zeros((B, H), "float64"), []
            for t in range(T):
                h = tf.tanh(x[:, t] @ weights[0] + h @ weights[1] + weights[2]) + nudges[t]
                states.append(h)
            loss = tf.reduce_mean((tf.stack(states, axis=1) - y) ** 2)
        dW, dU, db, *delta = tape.gradient(loss, [*weights, *nudges])
        return np.stack(delta, axis=1), dW.numpy(), dU.numpy(), db.numpy()

    assert lesson_04.full_backward(by_tape).status == "right"


# The planted bug


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (1, "makes room"),
        (2, "last step to the first"),
        (3, "what the loss sees of h_t itself"),
        (5, "delta is wrong already"),
        (6, "h_0 = 0"),
        (7, "dW is wrong only because"),
        (8, "dU is wrong only because"),
        (12, "not it"),
        ("four", "a str"),
    ],
)
def test_bug_line_says_why_another_line_is_right(answer, hint):
    wrong(lesson_04.wrong_line, answer, hint)


def test_bug_line_is_accepted_as_a_number():
    assert lesson_04.wrong_line(4).status == "right"


@pytest.mark.parametrize("check", [check for check in vars(lesson_04).values() if isinstance(check, checks.Check)])
def test_a_stub_is_not_attempted(check):
    assert check(...).status == "not attempted"
