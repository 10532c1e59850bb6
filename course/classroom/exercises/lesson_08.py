"""Checks of lesson 08. Reading on spoils the exercises."""

from course.by_hand.forward import lstm_forward, sigmoid
from course.classroom import checks
import numpy as np

T_LATCH = 1000


def _problem(seed, B=2, D=4, H=3):
    rng = np.random.default_rng(seed)
    x_t, h, c = rng.normal(size=(B, D)), rng.normal(size=(B, H)), rng.normal(size=(B, H))
    return x_t, h, c, rng.normal(size=(D, 4 * H)), rng.normal(size=(H, 4 * H)), rng.normal(size=4 * H)


def _step(x_t, h, c, W, U, b, order="ifgo", squash_g=np.tanh, squash=sigmoid, read=np.tanh):
    """One step of the LSTM; the options make the usual mistakes."""
    a = dict(zip(order, np.split(x_t @ W + h @ U + b, 4, axis=1), strict=True))
    i, f, g, o = squash(a["i"]), squash(a["f"]), squash_g(a["g"]), squash(a["o"])
    c = f * c + i * g
    return o * read(c), c


def _blocks_transposed(U):
    return np.concatenate([block.T for block in np.split(U, 4, axis=1)], axis=1)


def _no_write_gate(x_t, h, c, W, U, b):
    _, f, g, o = np.split(x_t @ W + h @ U + b, 4, axis=1)
    c = sigmoid(f) * c + np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def _forgetting(x_t, h, c, W, U, b):
    i, f, g, o = np.split(x_t @ W + h @ U + b, 4, axis=1)
    c = (1 - sigmoid(f)) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def _reads_the_old(x_t, h, c, W, U, b):
    o = np.split(x_t @ W + h @ U + b, 4, axis=1)[3]
    return sigmoid(o) * np.tanh(c), _step(x_t, h, c, W, U, b)[1]


def lstm_step(attempt):
    """Check one step of the LSTM: h_t and c_t, gates in the order i, f, g, o."""
    order = "The gates are taken apart in the wrong order: Keras lays them side by side as i, f, g, o."
    mistakes = [
        (lambda *a: _step(*a)[::-1], "h and c are swapped: return h_t first, then c_t."),
        (lambda *a: _step(*a)[0], "This is h_t only. The cell hands on two states: return h_t and c_t."),
        (lambda *a: _step(*a, order="figo"), "f and i are swapped: f multiplies the old c, i what is written."),
        *(
            (lambda *a, o=o: _step(*a, order=o), order)
            for o in ("ifog", "igfo", "figo", "fiog", "oifg", "ofig", "gifo")
        ),
        (lambda *a: _step(*a, read=lambda c: c), "The tanh on c_t is missing: h_t = o_t tanh(c_t)."),
        (lambda *a: _step(*a, squash_g=sigmoid), "g is no gate: it can be negative, so it goes through tanh, not σ."),
        (lambda *a: _step(*a, squash_g=lambda a: a), "The tanh on g_t is missing."),
        (lambda *a: _step(*a, squash=np.tanh), "Gates go through the sigmoid: tanh would let f be negative."),
        (lambda *a: _step(*a, squash=lambda a: a), "The sigmoid on i, f and o is missing."),
        (lambda x, h, c, W, U, b: _step(x, h, c, W, U, 0 * b), "The bias b is missing."),
        (lambda x, h, c, W, U, b: _step(x, 0 * h, c, W, U, b), "The gates do not see the state: where is h U?"),
        (lambda x, h, c, W, U, b: _step(0 * x, h, c, W, U, b), "The gates do not see the input: where is x_t W?"),
        (
            lambda x, h, c, W, U, b: _step(x, h, c, W, _blocks_transposed(U), b),
            "U is transposed: states are rows here, so every block is used as h @ U.",
        ),
        (lambda x, h, c, W, U, b: _step(x, c, c, W, U, b), "The gates look at c; they see x_t and h_{t-1} only."),
        (_no_write_gate, "The write gate is missing: c_t = f_t c_{t-1} + i_t g_t."),
        (_forgetting, "f is upside down: in spite of its name, f = 1 keeps and f = 0 forgets."),
        (_reads_the_old, "h_t reads the old memory: compute c_t first, then h_t = o_t tanh(c_t)."),
    ]
    praise = "Correct: three gates, one candidate, one memory that is added to."
    return checks.function(attempt, _step, [_problem(seed) for seed in range(3)], mistakes=mistakes, praise=praise)


def latch_weights(b_i, b_f, b_o):
    """W (2, 4), U (1, 4) and b (4,) of the one-unit LSTM of exercise 2: x_t is (value, write signal), U is 0."""
    W = np.array([[0.0, 0.0, 2.0, 0.0], [20.0, 0.0, 0.0, 0.0]])
    return W, np.zeros((1, 4)), np.array([b_i, b_f, 0.0, b_o], dtype=float)


def latch_inputs(n=100, noise=1.0, seed=0):
    """x (2n, T, 2) and the bits (2n,): at step 1 the bit, +1 or −1, and the write signal; then noise alone."""
    x = np.zeros((2 * n, T_LATCH, 2))
    x[..., 0] = noise * np.random.default_rng(seed).normal(size=(2 * n, T_LATCH))
    bits = np.repeat([1.0, -1.0], n)
    x[:, 0] = np.stack([bits, np.ones(2 * n)], axis=1)
    return x, bits


def latch(answer):
    """Check (b_i, b_f, b_o) by running the cell for 1,000 steps, without and with noise."""
    if answer is None or answer is ...:
        return checks.NOT_ATTEMPTED
    try:
        b_i, b_f, b_o = (float(b) for b in answer)
    except (TypeError, ValueError):
        return checks.wrong("Three numbers are expected, in the order b_i, b_f, b_o.")
    if not np.all(np.isfinite([b_i, b_f, b_o])):
        return checks.wrong("The biases have to be finite numbers.")
    weights = latch_weights(b_i, b_f, b_o)
    x, bits = latch_inputs(n=1, noise=0.0)
    quiet = lstm_forward(x, *weights)
    if quiet.i[0, 0, 0] < 0.5:
        return checks.wrong(
            f"Never written: even with the write signal the write gate opens to {quiet.i[0, 0, 0]:.2g} only, because "
            f"σ(20 + b_i) is all it gets. b_i is too low."
        )
    left = quiet.c[0, :, 0] / quiet.c[0, 0, 0]
    if left[-1] < 0.5:
        t = int(np.argmax(left < 0.5)) + 1
        return checks.wrong(
            f"It leaks: without any noise, less than half of the bit is left at step {t}, because the forget gate "
            f"keeps {quiet.f[0, 0, 0]:.4g} of it a step. b_f is too low."
        )
    x, bits = latch_inputs()
    run = lstm_forward(x, *weights)
    lost = bits[:, None] * run.c[..., 0] < 0.25
    if lost.any():
        t = int(np.argmax(lost.any(axis=0))) + 1
        return checks.wrong(
            f"Overwritten by noise, in one of 200 sequences as early as step {t}: without the write signal the write "
            f"gate still lets {sigmoid(b_i):.2g} of every input through, and 1,000 inputs add up. b_i is too high."
        )
    if run.o[0, -1, 0] < 0.5:
        return checks.wrong(
            f"The bit is kept, but not read: the output gate is open by {run.o[0, -1, 0]:.2g} only. b_o is too low."
        )
    return checks.right(
        f"Correct: after 1,000 steps, {left[-1]:.0%} of the bit is left, and noise has spoilt none of 200 sequences."
    )


def _forget_bias(gap, share):
    return -np.log(share ** (-1 / gap) - 1)


def forget_bias(attempt):
    """Check b_f with σ(b_f)^gap = share, and say what share the learner's bias would leave."""
    mistakes = [
        (lambda gap, share: share ** (1 / gap), "This is f, the gate; the bias b_f is what σ is applied to."),
        (
            lambda gap, share: np.log(share / (1 - share)),
            "This keeps the share for one step; there are `gap` of them.",
        ),
        (lambda gap, share: -_forget_bias(gap, share), "The sign is turned round: σ(b) near 1 needs a large b."),
        (lambda gap, share: np.log(gap - 1), "This leaves about 1/e after `gap` steps, whatever share is asked for."),
        (lambda gap, share: np.log(gap), "This leaves about 1/e after `gap` steps, whatever share is asked for."),
        (lambda gap, share: share / gap, "Keeping is a product over steps, not a sum: share = σ(b)^gap."),
        (lambda gap, share: np.log(1 - share ** (1 / gap)), "Nearly: from f = 1/(1 + exp(−b)), exp(−b) = 1/f − 1."),
    ]
    cases = [(100, 0.5), (20, 0.9), (1000, 0.1)]
    verdict = checks.function(attempt, _forget_bias, cases, mistakes=mistakes, tolerance=1e-3)
    if verdict.status == "right":
        return checks.right(f"Correct: to keep half over 100 steps, b_f = {_forget_bias(100, 0.5):.2f}.")
    try:
        b = float(attempt(100, 0.5))
    except Exception:  # the verdict has said what is wrong
        return verdict
    survives = f"At gap 100, σ({b:.3g})^100 = {sigmoid(b) ** 100:.2g} survives; 0.5 is asked for."
    return verdict._replace(message=f"{verdict.message} {survives}")
