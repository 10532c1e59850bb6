"""Checks of lesson 01. Reading on spoils the exercises."""

from course.by_hand.forward import sigmoid
from course.classroom import checks
import numpy as np

SIZES = (2, 5, 4, 3), (3, 4, 2, 5), (1, 2, 3, 2)  # B, T, D, H


def _problem(seed, sizes):
    B, T, D, H = sizes
    rng = np.random.default_rng(seed)
    return rng.normal(size=(B, T, D)), rng.normal(size=(D, H)), rng.normal(size=(H, H)), rng.normal(size=H)


def _sequences():
    return [_problem(seed, sizes) for seed, sizes in enumerate(SIZES)]


def _steps():
    h = [np.random.default_rng(10 + len(b)).normal(size=(len(x), len(b))) for x, _, _, b in _sequences()]
    return [(x[:, 0], h, W, U, b) for h, (x, W, U, b) in zip(h, _sequences(), strict=True)]


ROWS = "sequences are rows here, so the input stands on the left: x_t @ W and h @ U."


@checks.function(
    _steps,
    mistakes=[
        (lambda x_t, h, W, U, b: x_t @ W + h @ U + b, "The tanh is missing."),
        (lambda x_t, h, W, U, b: np.tanh(x_t @ W + h @ U), "The bias b is missing."),
        (lambda x_t, h, W, U, b: np.tanh(x_t @ W + h @ U + 2 * b), "The bias b is added once, not twice."),
        (
            lambda x_t, h, W, U, b: np.tanh(x_t @ W + b) + np.tanh(h @ U),
            "One tanh goes around the whole sum; here there are two.",
        ),
        (lambda x_t, h, W, U, b: np.tanh(x_t @ W + h @ U - b), "The bias is added, not taken off."),
        (lambda x_t, h, W, U, b: np.tanh(x_t @ W + b), "The state is not used: where does h U come in?"),
        (lambda x_t, h, W, U, b: np.tanh(h @ U + b), "The input is not used: where does x_t W come in?"),
        (
            lambda x_t, h, W, U, b: np.tanh(x_t @ W + h @ U.T + b),
            "U is transposed: states are rows here, so the product is h @ U, not U @ h.",
        ),
        (lambda x_t, h, W, U, b: np.tanh(x_t @ W + h + b), "The state goes through U: h @ U."),
        (lambda x_t, h, W, U, b: np.tanh(x_t @ W + h * np.diag(U) + b), "h U is a matrix product: h @ U, not h * U."),
        (lambda x_t, h, W, U, b: np.tanh(x_t @ W) + h @ U + b, "The tanh goes around the whole sum, not one part."),
        (
            lambda x_t, h, W, U, b: np.tanh(x_t @ W) + np.tanh(h @ U) + b,
            "One tanh goes around the whole sum, not one around each part.",
        ),
        (
            lambda x_t, h, W, U, b: np.tanh(x_t @ W) + np.tanh(h @ U) + np.tanh(b),
            "One tanh goes around the whole sum; here there are three.",
        ),
        (lambda x_t, h, W, U, b: np.tanh(x_t @ W + h @ U) + b, "The bias belongs inside the tanh."),
        (
            lambda x_t, h, W, U, b: h + np.tanh(x_t @ W + h @ U + b),
            "The new state replaces the old one: no h is added.",
        ),
        (lambda x_t, h, W, U, b: sigmoid(x_t @ W + h @ U + b), "This is the sigmoid; the RNN here uses tanh."),
        (lambda x_t, h, W, U, b: np.maximum(x_t @ W + h @ U + b, 0), "This is the ReLU; the RNN here uses tanh."),
        (lambda x_t, h, W, U, b: np.tanh(W @ x_t + U @ h + b), f"W @ x_t and U @ h do not fit: {ROWS}"),
        (lambda x_t, h, W, U, b: np.tanh(x_t * W + h @ U + b), "x_t W is a matrix product: @, not *."),
        (lambda x_t, h, W, U, b: np.tanh(x_t @ W + h * U + b), "h U is a matrix product: @, not *."),
        (lambda x_t, h, W, U, b: np.tanh(h @ W + x_t @ U + b), "W belongs to the input x_t, and U to the state h."),
        (lambda x_t, h, W, U, b: np.tanh(W.T @ x_t.T + U.T @ h.T + b), f"You have turned everything round: {ROWS}"),
    ],
    hints=[
        "It is the formula of section 1, with @ for a product of matrices.",
        "x_t (B, D) @ W (D, H) is (B, H), and so is h (B, H) @ U (H, H); b (H,) is added to every row.",
        "np.tanh goes around the whole sum.",
    ],
    praise="Correct: that is all an RNN computes.",
)
def one_step(x_t, h, W, U, b):
    return np.tanh(x_t @ W + h @ U + b)


def _unroll(x, W, U, b, carry=True, act=np.tanh, start=0.0):
    h, states = np.full((len(x), len(b)), start), []
    for t in range(x.shape[1]):
        new = act(x[:, t] @ W + h @ U + b)
        states.append(new)
        h = new if carry else h
    return np.stack(states, axis=1)


def _along_the_batch(x, W, U, b):
    h, states = 0.0 * b, []
    for x_n in x:
        h = np.tanh(x_n @ W + h @ U + b)
        states.append(h)
    return np.stack(states)


def _handed_on(x, W, U, b):
    h, states = 0.0 * b, []
    for x_t in x.reshape(-1, x.shape[2]):
        h = np.tanh(x_t @ W + h @ U + b)
        states.append(h)
    return np.stack(states).reshape(*x.shape[:2], -1)


def _with_h0(x, W, U, b):
    return np.concatenate([np.zeros((len(x), 1, len(b))), _unroll(x, W, U, b)], axis=1)


def _delayed(x):
    return np.concatenate([0 * x[:, :1], x[:, :-1]], axis=1)


@checks.function(
    lambda: _sequences()[:1] + _sequences(),  # the second shows a state that is kept from one call to the next
    mistakes=[
        (_along_the_batch, "`for x_t in x` goes along the batch, axis 0; step t is x[:, t]."),
        (_handed_on, "Every sequence starts from h_0 = 0; here each starts where the one before has ended."),
        (lambda *a: _unroll(*a, act=sigmoid), "This is the sigmoid; the RNN here uses tanh."),
        (
            lambda *a: _unroll(*a, carry=False),
            "Every step starts from h_0: hand the new state on with h = ... inside the loop.",
        ),
        (lambda *a: _unroll(*a)[:, -1], "This is the last state only; keep every h_t in a list."),
        (lambda *a: _unroll(*a)[:, :1], "This is the first state only: is the `return` inside the loop?"),
        (lambda *a: _unroll(*a)[:, 0], "This is the first state only: is the `return` inside the loop?"),
        (_with_h0, "h_0 is in the result: it is the start, not a step. Append after the update."),
        (lambda *a: _with_h0(*a)[:, :-1], "Off by one: you append h before it is updated, so h_0 comes first."),
        (
            lambda *a: _unroll(*a).swapaxes(0, 1),
            "The axes are (T, B, H); expected is (B, T, H): np.stack(states, axis=1).",
        ),
        (lambda *a: _unroll(*a).swapaxes(1, 2), "The axes are (B, H, T); expected is (B, T, H)."),
        (lambda *a: np.concatenate(list(_unroll(*a).swapaxes(0, 1)), axis=1), "np.stack makes a new axis for time."),
        (lambda x, *w: _unroll(x[:, ::-1], *w), "The inputs are read backwards: t goes from first to last."),
        (
            lambda *a: np.repeat(_unroll(*a)[:, -1:], a[0].shape[1], axis=1),
            "Every step shows the last state: the list holds one array many times, overwritten by h[:] = ... "
            "Make a new one with h = ...",
        ),
        (lambda x, *w: _unroll(np.roll(x, 1, axis=1), *w), "x[:, t-1] is the input of the step before: use x[:, t]."),
        (lambda x, *w: _unroll(_delayed(x), *w), "Step t reads the input of step t − 1: use x[:, t]."),
        (lambda x, *w: _unroll(0 * x + x[:, :1], *w), "Every step reads the first input: use x[:, t]."),
        (lambda *a: _unroll(*a, act=lambda a: a), "The tanh is missing."),
        (lambda x, W, U, b: _unroll(x, W, U, 0 * b), "The bias b is missing."),
        (lambda x, W, U, b: _unroll(x, W, U.T, b), "U is transposed: the product is h @ U."),
        (lambda *a: _unroll(*a, start=1.0), "h_0 is to be 0, not 1."),
    ],
    hints=[
        "Start with h = np.zeros((B, H)) and an empty list; the step is that of exercise 1, with x[:, t] as x_t.",
        "In the loop over t, first h = ... (a new array), then append h.",
        "np.stack(states, axis=1) makes (B, T, H) of the list.",
    ],
    time="forwards",
)
def unroll(x, W, U, b):
    return _unroll(x, W, U, b)


D, T, H, OUT = 4, 50, 20, 3
RNN, DENSE = D * H + H * H + H, H * OUT + OUT
SHARED = "The weights are shared over time: T does not come in."
number_of_weights = checks.value(
    "number_of_weights",
    RNN + DENSE,
    mistakes=[
        (RNN, "That is the recurrent layer. The Dense(3) has weights too."),
        (DENSE, "That is the Dense(3). The recurrent layer has weights too."),
        (RNN + DENSE - H - OUT, "The biases are missing, in both layers."),
        (D * H + H * H, "The biases are missing, and the Dense(3) has weights too."),
        (RNN + DENSE - OUT, "The bias of the Dense(3) is missing."),
        (RNN + DENSE - H, "The bias of the recurrent layer is missing."),
        (D * H + H + DENSE, "The recurrent matrix U is missing: every unit feeds every unit."),
        (D * H + H + H + DENSE, "U connects every unit with every unit, not only with itself: H × H weights."),
        (T * (RNN + DENSE), SHARED),
        (T * RNN + DENSE, SHARED),
        (T * (RNN - H) + H + DENSE, SHARED),
        (T * D * H + H * H + H + DENSE, "W is shared over time, too: T does not come in."),
        (RNN + T * DENSE, "The read-out is applied to the last state, once; and it would be shared, too."),
        (RNN + T * H * OUT + OUT, "The Dense(3) sees the last state alone, not all 50."),
        (RNN + H + DENSE, "Keras' SimpleRNN has one bias; PyTorch's RNN would have two."),
        (4 * RNN + DENSE, "That is an LSTM, with four layers; SimpleRNN has one."),
    ],
    hints=[
        "Two layers: count the SimpleRNN(20) and the Dense(3) apart. Which arrays does each hold?",
        "SimpleRNN: W (D, H), U (H, H), b (H,). There is no T in it.",
        "Dense(3) on one state: H · 3 weights and 3 biases.",
    ],
    praise="Correct, and the same for 50 steps or for 5,000.",
)


def _single(x, W, U, b):
    return _unroll(x[None], W, U, b)[0]  # (T, H)


def _felt(
    x, W, U, b, change=lambda moved, h, k: np.linalg.norm(moved[-1] - h[-1]), move=lambda x, k: x[k] + 1, keep=False
):
    h, found, x_moved = _single(x, W, U, b), [], x.copy()
    for k in range(len(x)):
        x_moved = x_moved if keep else x.copy()
        x_moved[k] = move(x, k)
        found.append(change(_single(x_moved, W, U, b), h, k))
    return np.array(found)


def _felt_by(change):
    return lambda *a: _felt(*a, change=lambda moved, h, k: change(moved, h))


def _later_too(x, W, U, b):
    h = _single(x, W, U, b)[-1]
    moved = [x + (np.arange(len(x)) >= k)[:, None] for k in range(len(x))]
    return np.array([np.linalg.norm(_single(m, W, U, b)[-1] - h) for m in moved])


def _one_sequence():
    return [(x[0], W, U, b) for x, W, U, b in _sequences()]


def _of_x_1(x, W, U, b):
    moved = x.copy()
    moved[0] += 1
    return np.linalg.norm(_single(moved, W, U, b) - _single(x, W, U, b), axis=1)


@checks.function(
    _one_sequence,
    mistakes=[
        (_of_x_1, "This moves x_1 and follows all h_t. Move each x_k in turn, and look at h_T alone."),
        (lambda *a: _felt(*a)[::-1], "The order is turned round: entry k belongs to the move of x_k, k = 1 first."),
        (
            lambda *a: _felt(*a, keep=True, move=lambda x, k: x[k] + 1),
            "The moves add up: before each one, start from a fresh copy of x, x.copy().",
        ),
        (
            _felt_by(lambda moved, h: np.linalg.norm(moved[-1])),
            "This is the size of h_T, not of its change: take off the h_T of the sequence that was not moved.",
        ),
        (
            _felt_by(lambda moved, h: moved[-1] - h[-1]),
            "These are the changes of the single units; their norm is asked for: np.linalg.norm.",
        ),
        (
            _felt_by(lambda moved, h: np.linalg.norm(moved - h)),
            "This is the change of all states together; look at the last one, h_T.",
        ),
        (
            _felt_by(lambda moved, h: np.abs(moved[-1] - h[-1]).sum()),
            "This is the sum of the units' changes; the norm is the root of the sum of their squares.",
        ),
        (
            _felt_by(lambda moved, h: np.sum((moved[-1] - h[-1]) ** 2)),
            "The root is missing: this is the norm squared.",
        ),
        (
            _felt_by(lambda moved, h: np.linalg.norm(moved[-1]) - np.linalg.norm(h[-1])),
            "Take the difference of the two states first, then its norm.",
        ),
        (lambda *a: _felt(*a) / _felt(*a)[-1], "Do not divide: the change itself is asked for."),
        (
            _felt_by(lambda moved, h: np.abs(moved[-1] - h[-1]).max()),
            "This is the unit that changes most; the norm is over all units.",
        ),
        (
            _felt_by(lambda moved, h: np.mean(np.abs(moved[-1] - h[-1]))),
            "This is a mean over units; the norm is asked for.",
        ),
        (
            lambda *a: _felt(*a, change=lambda moved, h, k: np.linalg.norm(moved[k] - h[k])),
            "This is how much h_k changes; look at the last state, h_T, for every k.",
        ),
        (
            lambda *a: _felt(*a, move=lambda x, k: x[k] + np.eye(x.shape[1])[0]),
            "Only the first feature of x_k is moved; all of them are to be.",
        ),
        (lambda *a: _felt(*a, move=lambda x, k: 1 + 0 * x[k]), "x_k is set to 1; add 1 to what it is."),
        (_later_too, "All x from k on are moved; only x_k is to be."),
        (lambda *a: _felt(*a) / _felt(*a)[0], "Do not divide: the change itself is asked for."),
        (lambda *a: _felt(*a, move=lambda x, k: x[k] - 1), "x_k is to move by +1."),
        (lambda x, *w: _felt(np.roll(x, 1, axis=0), *w), "The inputs are not in their order."),
    ],
    hints=[
        "Run the network once as it is, and once for every k with x_k moved; compare the two h_T.",
        "In the loop over k: moved = x.copy(); moved[k] += 1; then rnn_forward(moved[None], W, U, b)[0, -1].",
        "np.linalg.norm of the difference of the two last states, collected in a list over k.",
    ],
    tolerance=1e-4,
    praise="Correct: read from its end, this is how far back the last state looks.",
)
def felt(x, W, U, b):
    return _felt(x, W, U, b)


def _forecasts():
    cases = []
    for seed, years in enumerate((12, 20, 9)):
        rng = np.random.default_rng(20 + seed)
        measured = rng.uniform(40, 170, years)
        forecast, baseline = measured + rng.normal(2, 15, years), measured + rng.normal(-3, 30, years)
        forecast[0] = 100.0  # not above 100
        cases.append((forecast, baseline, measured))
    return cases


def _ratio(forecast, baseline, measured):
    return np.mean((forecast - measured) ** 2) / np.mean((baseline - measured) ** 2)


def _bias(forecast, baseline, measured):
    return np.mean((forecast - measured)[forecast > 100])


@checks.function(
    _forecasts,
    mistakes=[(lambda *a: (_bias(*a), _ratio(*a)), "The two are swapped: the ratio first, then the bias.")],
    parts={
        "ratio": [
            (lambda *a: 1 / _ratio(*a), "It is the other way round: the forecast's error over the baseline's."),
            (lambda *a: np.sqrt(_ratio(*a)), "No root: the ratio of the mean squared errors is asked for."),
            (lambda *a: 1 - _ratio(*a), "This is 1 minus the ratio (a skill score); the ratio is asked for."),
            (
                lambda f, b, m: np.mean(np.abs(f - m)) / np.mean(np.abs(b - m)),
                "These are absolute errors; square them.",
            ),
            (lambda f, b, m: np.mean((f - m) ** 2), "This is the forecast's error; divide by the baseline's."),
            (lambda f, b, m: np.mean(((f - m) / (b - m)) ** 2), "Take each mean first, then divide."),
            (lambda f, b, m: np.mean((f - m) ** 2) - np.mean((b - m) ** 2), "A ratio is asked for, no difference."),
            (
                lambda f, b, m: np.var(f - m) / np.var(b - m),
                "The variance leaves out the mean error: square the errors themselves.",
            ),
            (lambda f, b, m: np.median((f - m) ** 2) / np.median((b - m) ** 2), "Means of the squares, not medians."),
            (lambda f, b, m: _ratio(f, m, b), "baseline and measured are swapped."),
        ],
        "bias": [
            (
                lambda f, b, m: np.mean((f - m)[m > 100]),
                "You group by what was measured, which nobody knew beforehand: a right forecast would look too low as "
                "well. Group by the forecast.",
            ),
            (
                lambda f, b, m: np.mean((m - f)[f > 100]),
                "The sign: forecast − measured, so that too low is negative.",
            ),
            (
                lambda f, b, m: np.mean((f - m)[f >= 100]),
                "A forecast of exactly 100 is not above 100: > instead of >=.",
            ),
            (lambda f, b, m: np.median((f - m)[f > 100]), "The mean is asked for, not the median."),
            (
                lambda f, b, m: np.mean((f - m)[(f > 100) & (m > 100)]),
                "You ask for both above 100; what was measured is not to choose the years.",
            ),
            (
                lambda f, b, m: np.mean((f - m)[(f > 100) | (m > 100)]),
                "You take years in which one of the two is above 100; what was measured is not to choose them.",
            ),
            (
                lambda f, b, m: np.mean(f[f > 100]) - np.mean(m[m > 100]),
                "Both means are to be over the same years: those whose forecast is above 100.",
            ),
            (lambda f, b, m: np.mean(f - m), "These are all years; take those whose forecast is above 100."),
            (
                lambda f, b, m: np.mean(np.abs(f - m)[f > 100]),
                "Without the absolute value: errors of both signs cancel.",
            ),
            (lambda f, b, m: np.mean((f - m)[b > 100]), "Group by the forecast itself, not by the baseline's."),
            (lambda f, b, m: np.mean((f - m)[f <= 100]), "These are the years up to 100; those above are asked for."),
            (lambda f, b, m: np.sum((f - m)[f > 100]), "This is the sum; take the mean."),
            (lambda f, b, m: np.sum((f - m)[f > 100]) / len(f), "Divide by the number of years in the group."),
        ],
    },
    hints=[
        "Ratio: np.mean((forecast - measured) ** 2), over the same of the baseline.",
        "Bias: the mean of forecast - measured in the years that forecast > 100 picks out.",
    ],
    tolerance=1e-4,
    praise="Correct.",
)
def judge(forecast, baseline, measured):
    return _ratio(forecast, baseline, measured), _bias(forecast, baseline, measured)
