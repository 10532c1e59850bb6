"""Checks of lesson 08. Reading on spoils the exercises."""

import itertools

from course.by_hand.forward import lstm_forward, sigmoid
from course.classroom import checks
import numpy as np

T_LATCH = 1000


def _steps():
    cases = []
    for seed, (B, D, H) in enumerate(((4, 2, 3), (3, 2, 4), (5, 3, 2))):
        rng = np.random.default_rng(seed)
        x_t, h, c = rng.normal(size=(B, D)), rng.normal(size=(B, H)), rng.normal(size=(B, H))
        cases.append((x_t, h, c, rng.normal(size=(D, 4 * H)), rng.normal(size=(H, 4 * H)), rng.normal(size=4 * H)))
    return cases


def _memory(i, f, g, c):
    return f * c + i * g


def _read(o, c):
    return o * np.tanh(c)


def _same(a):
    return a


def _step(x_t, h, c, W, U, b, order="ifgo", i=sigmoid, f=sigmoid, g=np.tanh, o=sigmoid, keep=_memory, read=_read):
    """One step of the LSTM; the options make the usual mistakes."""
    a = dict(zip(order, np.split(x_t @ W + h @ U + b, 4, axis=1), strict=True))
    c = keep(i(a["i"]), f(a["f"]), g(a["g"]), c)
    return read(o(a["o"]), c), c


def _with(**options):
    return lambda *case: _step(*case, **options)


def _reads_the_old(*case):
    h, _ = _step(*case, keep=lambda i, f, g, c: c)
    return h, _step(*case)[1]


def _reads_the_candidate(x_t, h, c, W, U, b):
    _, _, g, o = np.split(x_t @ W + h @ U + b, 4, axis=1)
    return sigmoid(o) * np.tanh(g), _step(x_t, h, c, W, U, b)[1]


def _reshaped(x_t, h, c, W, U, b):
    a = (x_t @ W + h @ U + b).reshape(4, *h.shape)
    c = sigmoid(a[1]) * c + sigmoid(a[0]) * np.tanh(a[2])
    return sigmoid(a[3]) * np.tanh(c), c


def _split_between_units(x_t, h, c, W, U, b):
    def sorted_by_layer(a):
        return np.concatenate([a[..., layer::4] for layer in range(4)], axis=-1)

    return _step(x_t, h, c, *(sorted_by_layer(weights) for weights in (W, U, b)))


def _blocks_transposed(U):
    return np.concatenate([block.T for block in np.split(U, 4, axis=1)], axis=1)


ORDER = "The gates are taken apart in the wrong order: Keras lays them side by side as i, f, g, o."
ONE_GATE = "Every gate goes through the sigmoid; here one does not:"


@checks.function(
    _steps,
    mistakes=[
        (lambda *a: _step(*a)[::-1], "h and c are swapped: return h_t first, then c_t."),
        (lambda *a: _step(*a)[0], "This is h_t only. The cell hands on two states: return h_t and c_t."),
        (lambda *a: _step(*a)[1], "This is c_t only. The cell hands on two states: return h_t and c_t."),
        (_with(order="figo"), "f and i are swapped: f multiplies the old c, i what is written."),
        *(
            (_with(order="".join(o)), ORDER)
            for o in itertools.permutations("ifgo")
            if "".join(o) not in ("ifgo", "figo")
        ),
        (_split_between_units, "The four layers lie side by side, H columns each: np.split(a, 4, axis=1)."),
        (lambda x, h, c, W, U, b: np.split(x @ W + h @ U + b, 4), "np.split cuts along the batch: it needs axis=1."),
        (_with(read=lambda o, c: o * c), "The tanh on c_t is missing: h_t = o_t tanh(c_t)."),
        (_with(read=lambda o, c: np.tanh(o * c)), "The tanh is on c_t alone: h_t = o_t tanh(c_t)."),
        (_with(read=lambda o, c: np.tanh(c)), "The output gate is missing: h_t = o_t tanh(c_t)."),
        (_with(read=lambda o, c: o * sigmoid(c)), "What is read goes through tanh, not σ: h_t = o_t tanh(c_t)."),
        (_with(read=lambda o, c: o + np.tanh(c)), "The output gate multiplies: h_t = o_t tanh(c_t)."),
        (_with(g=sigmoid), "g is no gate: it can be negative, so it goes through tanh, not σ."),
        (_with(g=_same), "The tanh on g_t is missing."),
        (_with(i=np.tanh, f=np.tanh, o=np.tanh), "Gates go through the sigmoid: tanh would let f be negative."),
        (_with(i=_same, f=_same, o=_same), "The sigmoid on i, f and o is missing."),
        (_with(i=_same), f"{ONE_GATE} i."),
        (_with(f=_same), f"{ONE_GATE} f."),
        (_with(o=_same), f"{ONE_GATE} o."),
        (lambda x, h, c, W, U, b: _step(x, h, c, W, U, 0 * b), "The bias b is missing."),
        (lambda x, h, c, W, U, b: _step(x, 0 * h, c, W, U, b), "The gates do not see the state: where is h U?"),
        (lambda x, h, c, W, U, b: _step(0 * x, h, c, W, U, b), "The gates do not see the input: where is x_t W?"),
        (
            lambda x, h, c, W, U, b: _step(x, h, c, W, _blocks_transposed(U), b),
            "U is transposed: states are rows here, so every block is used as h @ U.",
        ),
        (lambda x, h, c, W, U, b: _step(x, c, c, W, U, b), "The gates look at c; they see x_t and h_{t-1} only."),
        (_with(i=np.ones_like), "The write gate is missing: c_t = f_t c_{t-1} + i_t g_t."),
        (_with(f=np.ones_like), "The forget gate is missing: c_t = f_t c_{t-1} + i_t g_t."),
        (_with(keep=lambda i, f, g, c: (1 - f) * c + i * g), "f is upside down: f = 1 keeps and f = 0 forgets."),
        (_with(keep=lambda i, f, g, c: f * c + (1 - f) * g), "i is a gate of its own: it is not 1 - f."),
        (_with(keep=lambda i, f, g, c: f * c - i * g), "What is written is added, not taken off."),
        (_with(g=lambda a: np.maximum(a, 0)), "g goes through tanh, not ReLU."),
        (_reads_the_candidate, "h_t reads the memory, not the candidate: h_t = o_t tanh(c_t)."),
        (lambda x, h, c, W, U, b: _step(x, h, c, W, U, 2 * b), "The bias b is added once, not twice."),
        (_reshaped, "reshape mixes sequences and layers: np.split(a, 4, axis=1)."),
        (_with(keep=lambda i, f, g, c: (1 - i) * c + i * g), "f is a gate of its own: it is not 1 - i."),
        (_with(keep=lambda i, f, g, c: i * g), "The old memory is missing: c_t = f_t c_{t-1} + i_t g_t."),
        (_with(keep=lambda i, f, g, c: f * c * i * g), "What is written is added: c_t = f_t c_{t-1} + i_t g_t."),
        (
            _with(keep=lambda i, f, g, c: np.tanh(f * c + i * g)),
            "No tanh on the memory line: it is for reading only.",
        ),
        (_reads_the_old, "h_t reads the old memory: compute c_t first, then h_t = o_t tanh(c_t)."),
    ],
    parts={"h_t": [], "c_t": []},
    hints=[
        "First a = x_t @ W + h @ U + b, (B, 4H), all four layers at once; np.split(a, 4, axis=1) takes them apart.",
        "i, f and o go through sigmoid, g through np.tanh.",
        "Then c = f * c + i * g, and with this new c, h = o * np.tanh(c). Return h, c.",
    ],
    praise="Correct: three gates, one candidate, one memory that is added to.",
)
def lstm_step(x_t, h, c, W, U, b):
    return _step(x_t, h, c, W, U, b)


def latch_weights(b_i, b_f, b_o):
    """W (2, 4), U (1, 4) and b (4,) of the one-unit LSTM of exercise 2: x_t is (value, write signal), U is 0."""
    W = np.array([[0.0, 0.0, 2.0, 0.0], [20.0, 0.0, 0.0, 0.0]])
    return W, np.zeros((1, 4)), np.array([b_i, b_f, 0.0, b_o], dtype=float)


def latch_inputs(n=1000, noise=1.0, seed=0):
    """x (2n, T, 2) and the bits (2n,): at step 1 the bit, +1 or −1, and the write signal; then noise alone."""
    x = np.zeros((2 * n, T_LATCH, 2))
    x[..., 0] = noise * np.random.default_rng(seed).normal(size=(2 * n, T_LATCH))
    bits = np.repeat([1.0, -1.0], n)
    x[:, 0] = np.stack([bits, np.ones(2 * n)], axis=1)
    return x, bits


@checks.judged(
    hints=[
        "b_i: with the write signal σ(20 + b_i) is to be near 1, without it σ(b_i) near 0. What lies half way?",
        "b_f: σ(b_f) to the power of 1,000 is to be well above one half; about 1 - exp(-b_f) is kept a step.",
        "b_o: nothing pulls at the output gate, so any b_o above 0 does.",
    ]
)
def gate_biases(answer):
    """Check (b_i, b_f, b_o) by running the cell for 1,000 steps, without and with noise."""
    biases = checks.numbers(answer)
    if biases is None or biases.shape != (3,):
        return checks.wrong("Three numbers are expected, in the order b_i, b_f, b_o.")
    if not np.all(np.isfinite(biases)):
        return checks.wrong("The biases have to be finite numbers.")
    weights = latch_weights(*np.clip(biases, -1e3, 1e3))
    quiet = lstm_forward(latch_inputs(n=1, noise=0.0)[0], *weights)
    held = quiet.c[0, :, 0]  # of a bit of 1
    if held[0] < 0.5:
        return checks.wrong(
            f"Hardly written: at step 1 only {held[0]:.2g} of the bit goes in, because the write gate opens to "
            f"{quiet.i[0, 0, 0]:.2g}: σ(20 + b_i) is all it gets. b_i is too low."
        )
    if held[-1] < 0.5:
        return checks.wrong(
            f"It leaks: without any noise, less than half of the bit is left at step {np.argmax(held < 0.5) + 1}, "
            f"because the forget gate keeps {quiet.f[0, 0, 0]:.4g} of it a step. b_f is too low."
        )
    x, bits = latch_inputs()
    run = lstm_forward(x, *weights)
    kept = bits[:, None] * run.c[..., 0]
    if spoilt := int(np.sum(kept[:, -1] < 0.5)):
        why = (
            f"without the write signal the write gate still lets {quiet.i[0, -1, 0]:.2g} of every input through, and "
            "1,000 inputs add up. b_i is too high."
            if held[-1] > 0.7
            else f"without noise {held[-1]:.3f} of the bit is left, so a little noise is enough. Hold it more firmly."
        )
        return checks.wrong(f"Overwritten by noise, in {spoilt:,} of {len(bits):,} sequences: {why}")
    if run.o[0, -1, 0] < 0.5:
        return checks.wrong(
            f"The bit is kept, but not read: the output gate is open by {run.o[0, -1, 0]:.4g} only. b_o is too low."
        )
    return checks.right(
        f"Correct: after 1,000 steps {held[-1]:.0%} of the bit is left; noise has spoilt none of {len(bits):,} sequences."
    )


def _bias(gap, share):
    return -np.log(share ** (-1 / gap) - 1)


def _survives(answer, gap, share):
    b = checks.number(answer)
    return "" if b is None else f"σ({b:.4g})^{gap} = {sigmoid(b) ** gap:.2g} survives; {share:g} is asked for."


LONG_GAPS = "Right for long gaps only: from σ(b)^gap = share, σ(b) is share^(1/gap), exactly. Which b gives that?"
CHRONO = "This leaves about 1/e after `gap` steps, whatever share is asked for."


@checks.function(
    lambda: [(100, 0.5), (20, 0.9), (1000, 0.1), (2, 0.1), (200_000, 0.5)],
    mistakes=[
        (lambda gap, share: share ** (1 / gap), "This is f, the gate; the bias b_f is what σ is applied to."),
        (lambda gap, share: 1 - share ** (1 / gap), "This is 1 − f; the bias b_f is what σ is applied to."),
        (lambda gap, share: sigmoid(share ** (1 / gap)), "σ takes you from b_f to f; you need the way back."),
        (lambda gap, share: np.log(share) / gap, "This is ln f; the bias is ln(f / (1 − f)), the inverse of σ."),
        (lambda gap, share: share ** (1 / gap) / (1 - share ** (1 / gap)), "Nearly: the bias is ln of this."),
        (
            lambda gap, share: _bias(gap, share) / np.log(10),
            "σ is made with e, so it is the natural logarithm, np.log.",
        ),
        (lambda gap, share: _bias(1, share), "This keeps the share for one step; there are `gap` of them."),
        (lambda gap, share: -_bias(gap, share), "The sign is turned round: σ(b) near 1 needs a large b."),
        (lambda gap, share: _bias(gap, 0.5), "`share` is not used: this leaves one half, whatever is asked for."),
        (lambda gap, share: _bias(100, share), "`gap` is not used: this is right for gap 100 alone."),
        (lambda gap, share: _bias(100, 0.5), "This number is right for one gap and one share: compute it from both."),
        (lambda gap, share: _bias(gap, 1 - share), "`share` is what is kept, not what is lost."),
        (lambda gap, share: _bias(gap + 1, share), "There are `gap` factors, not one more."),
        (lambda gap, share: _bias(gap - 1, share), "There are `gap` factors, not one less."),
        (lambda gap, share: np.log(gap / np.log(1 / share)), LONG_GAPS),
        (lambda gap, share: -np.log(1 - share ** (1 / gap)), LONG_GAPS),
        (lambda gap, share: np.log(gap - 1), CHRONO),
        (lambda gap, share: np.log(gap), CHRONO),
        (
            lambda gap, share: max(0.0, np.ceil(_bias(gap, share))),
            "Only whole numbers are tried: solve σ(b)^gap = share for b.",
        ),
        (
            lambda gap, share: np.log(gap / np.log(2)),
            "`share` is not used, and for short gaps it is not exact: solve σ(b)^gap = share.",
        ),
        (lambda gap, share: np.abs(_bias(gap, share)), "The sign: for short gaps and small shares b is negative."),
        (lambda gap, share: share / gap, "Keeping is a product over steps, not a sum: share = σ(b)^gap."),
        (lambda gap, share: np.log(1 - share ** (1 / gap)), "Nearly: from f = 1/(1 + exp(−b)), exp(−b) = 1/f − 1."),
    ],
    hints=[
        "First the gate: which f, to the power of gap, is share?",
        "Then the bias: f = 1 / (1 + exp(−b)). Solve it for b: exp(−b) = 1/f − 1.",
        "So f = share ** (1 / gap) and b = ln(f / (1 − f)).",
    ],
    tolerance=1e-3,
    praise=f"Correct: to keep half over 100 steps, b_f = {_bias(100, 0.5):.2f}.",
    remark=_survives,
)
def forget_bias(gap, share):
    return _bias(gap, share)


def _writings():
    cases = []
    for seed, (k, B, T, H) in enumerate(((2, 2, 5, 3), (1, 3, 4, 2), (4, 2, 4, 3), (3, 2, 6, 4))):
        rng = np.random.default_rng(seed)
        i, f = rng.uniform(0.2, 0.9, (2, B, T, H))
        cases.append((k, i, f, rng.uniform(-1, 1, (B, T, H))))
    return cases


def _left(k, i, f, g, after=0, until=None, written=lambda i, g: i * g, kept=_same, over=np.prod):
    """What is left of what step k wrote; the options make the usual mistakes."""
    return written(i[:, k - 1], g[:, k - 1]) * over(kept(f[:, k + after : until]), axis=1)


def _left_with(**options):
    return lambda k, i, f, g: _left(k, i, f, g, **options)


@checks.function(
    _writings,
    mistakes=[
        (_left_with(after=-1), "f_k has acted before step k writes: the first factor is f_{k+1}, which is f[:, k]."),
        (_left_with(after=1), "One factor is missing: f_{k+1} is f[:, k], as Python counts from 0."),
        (_left_with(until=-1), "The last factor, f_T, is missing."),
        (_left_with(over=np.sum), "The forget gates multiply: np.prod, not a sum."),
        (
            lambda k, i, f, g: i[:, k] * g[:, k] * f[:, k:].prod(axis=1),
            "Step k is i[:, k - 1] and g[:, k - 1], as Python counts from 0.",
        ),
        (
            _left_with(over=lambda a, axis: np.prod(a)),
            "np.prod without axis=1 multiplies over sequences and units as well.",
        ),
        (
            lambda k, i, f, g: i[:, k - 1] * g[:, k - 1] * f[:, :k].prod(axis=1),
            "These are the gates up to step k; those after it act on what it wrote: f[:, k:].",
        ),
        (
            lambda k, i, f, g: i[:, k - 1] * g[:, k - 1] * f[:, -1],
            "Only the last step's gate is here: all steps after k multiply.",
        ),
        (
            lambda k, i, f, g: i[:, k - 1] * g[:, k - 1] * f[:, k - 1] ** (f.shape[1] - k),
            "Every step has a forget gate of its own: f_{k+1}, …, f_T, not f_k many times.",
        ),
        (_left_with(over=np.mean), "The forget gates multiply: np.prod, not a mean."),
        (_left_with(kept=lambda f: 1 - f), "f is upside down: f = 1 keeps."),
        (_left_with(written=lambda i, g: i), "What is written is i_k g_k; g is missing."),
        (_left_with(written=lambda i, g: g), "What is written is i_k g_k; the write gate is missing."),
        (_left_with(written=lambda i, g: 1.0), "This is the share that is kept; times what was written, i_k g_k."),
        (_left_with(written=lambda i, g: i + g), "The write gate multiplies the candidate: i_k g_k."),
        (
            _left_with(kept=np.ones_like),
            "This is what step k wrote; the forget gates of the steps after it are missing.",
        ),
        (lambda k, i, f, g: _left(k + 1, i, f, g), "Step k is i[:, k - 1], as Python counts from 0."),
        (
            lambda k, i, f, g: i[:, k - 1] * g[:, k - 1] * f.prod(axis=1),
            "Only the forget gates after step k act on what it wrote.",
        ),
        (lambda k, i, f, g: _memories(i, f, g)[:, -1], "This is all of c_T; what step k wrote is one term of it."),
        (
            lambda k, i, f, g: _memories(i, f, g)[:, k - 1],
            "This is the memory after step k, older writings included.",
        ),
    ],
    hints=[
        "Step k adds i_k g_k; in the arrays that is i[:, k - 1] * g[:, k - 1].",
        "Every step after k multiplies it by its forget gate: f_{k+1}, …, f_T.",
        "f[:, k:] holds these gates, (B, T - k, H); multiply them over axis 1.",
    ],
    praise="Correct: the sum of these over k is c_T.",
)
def left_at_the_end(k, i, f, g):
    return _left(k, i, f, g)


def _memories(i, f, g):
    c, states = 0.0, []
    for t in range(i.shape[1]):
        c = f[:, t] * c + i[:, t] * g[:, t]
        states.append(c)
    return np.stack(states, axis=1)
