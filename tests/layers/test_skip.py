"""The wrappers against hand-written loops, slices and finite differences, and Skip RNN's cost and log in plain `fit`."""

from course.gradients import time_step_norms
from course.layers import (
    DilatedRNN,
    GRUCell,
    LSTMCell,
    MinGRUCell,
    PeepholeLSTMCell,
    ResidualCell,
    RNNCell,
    SkipCell,
    SkipRNN,
)
from course.layers.skip import DilatedCell
import keras
from keras import ops
import numpy as np
import pytest
from test_cells import (
    CELLS,
    MODES,
    TENSORFLOW,
    assert_all_close,
    differentiate,
    draw,
    finite_differences,
    numpy_loop,
    randomize,
)

B, T, D, H = 2, 7, 4, 5
ALL = {"return_sequences": True, "return_state": True}
WRAPPABLE = (*CELLS, keras.layers.SimpleRNNCell, keras.layers.LSTMCell, keras.layers.GRUCell)
each_cell = pytest.mark.parametrize("cell", WRAPPABLE, ids=lambda cell: f"{cell.__module__[:5]}-{cell.__name__}")


def built(layer, seed=1):
    if not layer.built:
        layer.build((B, T, D))
    randomize(layer, seed)
    return layer


def states_of(cell):
    sizes = cell.state_size if isinstance(cell.state_size, list) else [cell.state_size]
    return draw(*((B, size) for size in sizes), seed=3)


class ByHand(keras.layers.Layer):
    """Runs a built cell as `run(cell, x, states)` says: a Python function of ordinary tensors."""

    def __init__(self, cell, run):
        super().__init__()
        self.cell, self.run, self.built = cell, run, True

    def call(self, x, initial_state):
        return self.run(self.cell, x, list(initial_state))


# residual and dilated


def residual_by_hand(cell, x, states):
    outputs = []
    for t in range(T):
        _, (h, *others) = cell(x[:, t], states)
        states = [states[0] + h, *others]
        outputs.append(states[0])
    return [ops.stack(outputs, axis=1), *states]


@pytest.mark.parametrize(
    ("cell", "mode"),
    [*((cell, "eager") for cell in WRAPPABLE), *((LSTMCell, mode) for mode in MODES[1:])],
    ids=lambda given: given if isinstance(given, str) else f"{given.__module__[:6]}-{given.__name__}",
)
def test_residual_adds_the_state_to_what_the_cell_makes_of_it(cell, mode):
    layer = built(keras.layers.RNN(ResidualCell(cell(H)), **ALL))
    (x,), states = draw((B, T, D)), states_of(layer.cell)
    wanted = differentiate(ByHand(layer.cell.cell, residual_by_hand), x, states, "eager")
    for given, by_hand in zip(differentiate(layer, x, states, mode), wanted, strict=True):
        assert_all_close(given, by_hand, atol=2e-6)


@pytest.mark.parametrize(
    ("dilation", "mode"), [(1, "eager"), (3, "eager"), (T + 1, "eager"), *((3, mode) for mode in MODES[1:])]
)
def test_dilated_is_the_cell_on_every_dth_step(dilation, mode):
    """d = 1 is the plain RNN, d > T reads nothing but the initial states."""
    layer = built(DilatedRNN(LSTMCell(H), dilation, **ALL))
    n = 2 * dilation  # the states are (h, c) of the last step, of the one before, …

    def slices(cell, x, states):
        outputs, ends = [None] * T, [None] * dilation
        for first in range(dilation):  # steps first, first + d, …, after the state of step first - d
            state = states[n - 2 * first - 2 : n - 2 * first]
            for t in range(first, T, dilation):
                outputs[t], state = cell(x[:, t], state)
            ends[first] = state
        latest_first = [ends[t % dilation] for t in range(T - 1 + dilation, T - 1, -1)]
        return [ops.stack(outputs, axis=1), *(s for pair in latest_first for s in pair)]

    (x,), states = draw((B, T, D)), states_of(layer.cell)
    wanted = differentiate(ByHand(layer.cell.cell, slices), x, states, "eager")
    for given, by_hand in zip(differentiate(layer, x, states, mode), wanted, strict=True):
        assert_all_close(given, by_hand)


@pytest.mark.parametrize("make", [lambda: DilatedRNN(GRUCell(H), 3), lambda: SkipRNN(SkipCell(LSTMCell(H), 0.1))])
def test_masked_steps_are_left_out(make):
    layer = built(make())
    (x,) = draw((B, T, D))
    mask = np.array([True, True, False, True, False, False, True])
    assert_all_close([layer(x, mask=np.tile(mask, (B, 1)))], [layer(x[:, mask])])


@pytest.mark.parametrize("wrap", [ResidualCell, lambda cell: DilatedCell(cell, 2), SkipCell])
def test_stateful_continues_and_starts_afresh_when_reset(wrap):
    whole = built(keras.layers.RNN(wrap(GRUCell(H))))
    parts = built(keras.layers.RNN(wrap(GRUCell(H)), stateful=True))
    (x,) = draw((B, T, D))
    for _ in range(2):
        parts(x[:, :3])
        assert_all_close([parts(x[:, 3:])], [whole(x)])
        parts.reset_state()


@keras.saving.register_keras_serializable(package="tests")
class StartsAtOne(keras.layers.Layer):
    """A cell that begins with ones: h_t = tanh h_{t-1}."""

    state_size = output_size = H

    def call(self, x, states):
        h = ops.tanh(states[0])
        return h, [h]

    def get_initial_state(self, batch_size=None):
        return [ops.ones((batch_size, H))]


@pytest.mark.parametrize(
    ("make", "first"),
    [
        (lambda cell: SkipRNN(SkipCell(cell)), np.tanh(1)),
        (lambda cell: DilatedRNN(cell, 2), np.tanh(1)),
        (lambda cell: keras.layers.RNN(ResidualCell(cell)), 1 + np.tanh(1)),
    ],
)
def test_the_wrapped_cells_own_start_is_kept(make, first):
    np.testing.assert_allclose(make(StartsAtOne())(np.zeros((B, 1, D), "float32")), np.full((B, H), first), rtol=1e-6)


def test_stateful_skip_pays_for_the_updates_of_each_call_alone():
    layer = built(SkipRNN(SkipCell(GRUCell(H), cost=0.5), stateful=True))
    layer.cell.update_bias.assign([50.0])  # the gate is always open
    layer.share.reset_state()  # it reads a weight, which is random here
    (x,) = draw((B, T, D))
    for steps in (3, 4):
        layer(x[:, :steps])
        np.testing.assert_allclose(layer.losses[-1], 0.5 * steps)
    assert layer.share.result() == 1


# Skip RNN


def skip_by_hand(cell, x, states, weights, base=None):
    """Run Skip RNN in float64 NumPy: [h_1 … h_T, last states], and the ũ_t.

    base: the ũ_t of another run. Then u_t = round(base_t) + ũ_t - base_t, the function whose derivative at the
    base is what the straight-through estimator takes for that of round.
    """
    (*s, rest, n), (W_p, b_p, *cell_weights) = states, weights
    p, outputs, seen = 1 - rest, [], []
    for t in range(x.shape[1]):
        u = np.round(p) if base is None else np.round(base[t]) + p - base[t]
        seen.append(p)
        _, *new = numpy_loop(cell, x[:, t : t + 1], s, cell_weights)
        s = [u * one + (1 - u) * other for one, other in zip(new, s, strict=True)]
        delta = 1 / (1 + np.exp(-(s[-1] @ W_p + b_p)))
        p = u * delta + (1 - u) * (p + np.minimum(delta, 1 - p))
        n = n + u
        outputs.append(s[0])
    return [np.stack(outputs, axis=1), *s, 1 - p, n], seen


def skipping(layer, b_p=-0.6):
    """Give the layer random weights, with b_p so low that some steps are skipped."""
    built(layer)
    layer.cell.update_bias.assign([b_p])
    return layer


def start_of(cell):
    *s, rest, n = states_of(cell)
    return [*s, np.full_like(rest, 0.2), n]


@pytest.mark.parametrize(
    ("cell", "mode"),
    [
        *((cell, "eager") for cell in (RNNCell, LSTMCell, PeepholeLSTMCell, MinGRUCell)),
        *((LSTMCell, mode) for mode in MODES[1:]),
    ],
)
def test_skip_follows_the_equations_with_a_straight_through_gradient(cell, mode):
    layer = skipping(keras.layers.RNN(SkipCell(cell(H)), **ALL))
    (x,), states = draw((B, T, D)), start_of(layer.cell)
    arrays = [a.astype("float64") for a in (x, *states, *layer.get_weights())]
    k = len(states) + 1
    wanted, base = skip_by_hand(cell, arrays[0], arrays[1:k], arrays[k:])
    assert {0, 1} == set(np.unique(np.round(base)))  # or the test would show little
    noise = draw(*(o.shape for o in wanted), seed=2)

    def surrogate(x, *rest):
        outputs, _ = skip_by_hand(cell, x, rest[: k - 1], rest[k - 1 :], base)
        return sum(np.sum(o * r) for o, r in zip(outputs, noise, strict=True))

    given, gradients = differentiate(layer, x, states, mode)
    assert_all_close(given, wanted)
    assert_all_close(gradients, finite_differences(surrogate, arrays), rtol=1e-4, atol=1e-5)  # float32


@each_cell
def test_skip_with_the_gate_forced_open_is_the_wrapped_cell(cell):
    """b_p = 50 makes Δ = 1 and σ' = 0 in float32: nothing of the gate is left, in values or gradients."""
    layer, plain = built(keras.layers.RNN(SkipCell(cell(H)), **ALL)), keras.layers.RNN(cell(H), **ALL)
    layer.cell.update_bias.assign([50.0])
    plain.build((B, T, D))
    plain.set_weights(layer.cell.cell.get_weights())
    (x,), (*states, rest, n) = draw((B, T, D)), states_of(layer.cell)
    outputs, (dx, *gradients) = differentiate(layer, x, [*states, 0 * rest, 0 * n], "eager")
    k = len(states)
    np.testing.assert_array_equal(outputs[-1], np.full((B, 1), T))
    wanted = differentiate(plain, x, states, "eager")
    assert_all_close(outputs[: k + 1], wanted[0])
    assert_all_close([dx, *gradients[:k], *gradients[k + 4 :]], wanted[1], atol=2e-6)


def hand_logs(layer, dense, x, y, mask, cost):
    """Return loss and share of updates, with every sequence run by itself over its unmasked steps."""
    weights = [w.astype("float64") for w in layer.get_weights()[1:]]  # without `counts`
    losses, updates = [], []
    for sequence, target, keep in zip(x, y, mask, strict=True):
        start = [np.zeros((1, size)) for size in layer.cell.state_size]
        (h, *_, n), _ = skip_by_hand(RNNCell, sequence[None, keep], start, weights)
        prediction = h[0, -1] @ dense.get_weights()[0] + dense.get_weights()[1]
        losses.append((prediction - target).item() ** 2 + cost * n.item())
        updates.append(n.item())
    return np.mean(losses), np.sum(updates) / np.sum(mask)


@pytest.mark.parametrize(("jit", "n"), [(False, 5), (True, 4)] if TENSORFLOW else [(True, 5)])
def test_fit_logs_the_cost_and_the_share_of_updates(jit, n):
    """Batches of 2, 2 and 1 (of 2 and 2), padded sequences, validation data: against sums over single sequences."""
    cost, layer, dense = 0.3, SkipRNN(SkipCell(RNNCell(H), cost=0.3), name="skip"), keras.layers.Dense(1)
    model = keras.Sequential([keras.Input((T, D)), keras.layers.Masking(), layer, dense])
    model.compile(keras.optimizers.SGD(0.0), "mse", jit_compile=jit)
    skipping(layer, -1.5)
    x, y = draw((8, T, D), (8, 1))
    mask = np.arange(T) < np.array([7, 5, 6, 7, 4, 7, 3, 7])[:, None]
    x *= mask[..., None]
    end = 2 * n - 2  # three sequences to validate, or two
    logs = model.fit(
        x[:n], y[:n], batch_size=2, epochs=2, validation_data=(x[n:end], y[n:end]), shuffle=False, verbose=0
    ).history
    loss, share = hand_logs(layer, dense, x[:n], y[:n], mask[:n], cost)
    assert 0.2 < share < 0.9
    np.testing.assert_allclose(logs["loss"], [loss] * 2, rtol=1e-5)
    np.testing.assert_allclose(logs["skip_updates"], [share] * 2, rtol=1e-6)
    loss, share = hand_logs(layer, dense, x[n:end], y[n:end], mask[n:end], cost)
    np.testing.assert_allclose(logs["val_loss"], [loss] * 2, rtol=1e-5)
    np.testing.assert_allclose(logs["val_skip_updates"], [share] * 2, rtol=1e-6)


def test_fit_descends_the_cost():
    """With the task's loss weighted 0, one step of gradient descent moves the gate by the gradient of the cost."""
    layer = SkipRNN(SkipCell(GRUCell(H), cost=0.3))
    model = keras.Sequential([keras.Input((T, D)), layer])
    model.compile(keras.optimizers.SGD(1.0), "mse", jit_compile=not TENSORFLOW)
    skipping(layer)
    (x,) = draw((B, T, D))
    before = [w.astype("float64") for w in layer.get_weights()[1:]]
    start = [np.zeros((B, size)) for size in layer.cell.state_size]
    _, base = skip_by_hand(GRUCell, x, start, before)
    wanted = finite_differences(lambda *w: 0.3 * skip_by_hand(GRUCell, x, start, w, base)[0][-1].mean(), before)
    model.fit(x, np.zeros((B, H)), sample_weight=np.zeros(B), verbose=0)
    moved = [w - old for w, old in zip(layer.get_weights()[1:], before, strict=True)]
    assert np.abs(wanted[1]) > 0.01
    assert_all_close(moved, [-g for g in wanted], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("wrap", [ResidualCell, lambda cell: DilatedCell(cell, 2), SkipCell])
def test_dropout_masks_of_the_wrapped_cell_are_drawn_once_per_sequence(wrap):
    """The same seed gives the same masks as one step by itself does, at every step; and it trains, compiled."""
    cell = GRUCell(H, dropout=0.5, recurrent_dropout=0.5, seed=8)
    layer = built(keras.layers.RNN(wrap(cell), return_sequences=True))
    twin = GRUCell(H, dropout=0.5, recurrent_dropout=0.5, seed=8)
    twin.build((B, D))
    twin.set_weights(cell.get_weights())
    (x,) = draw((B, T, D))
    outer = type(layer.cell).from_config(
        {**layer.cell.get_config(), "cell": keras.saving.serialize_keras_object(twin)}
    )
    outer.build((B, D))
    outer.set_weights(layer.cell.get_weights())
    states, outputs = outer.get_initial_state(B), []
    for t in range(T):  # the masks, once drawn, stay until they are reset
        h, states = outer(x[:, t], states, training=True)
        outputs.append(h)
    assert_all_close([layer(x, training=True)], [ops.stack(outputs, axis=1)])
    model = keras.Sequential([layer, keras.layers.Dense(1)])
    model.compile("sgd", "mse", jit_compile=not TENSORFLOW)
    losses = model.fit(x, np.ones((B, T, 1)), batch_size=1, epochs=2, verbose=0).history["loss"]
    assert np.all(np.isfinite(losses))


def test_everything_survives_saving_and_cloning(tmp_path):
    layers = [
        keras.layers.RNN(ResidualCell(keras.layers.LSTMCell(H)), return_sequences=True),
        DilatedRNN(PeepholeLSTMCell(H), 2, return_sequences=True, name="dilated"),
        keras.layers.RNN([SkipCell(RNNCell(H)), DilatedCell(ResidualCell(GRUCell(H)), 3)], return_sequences=True),
        keras.layers.Bidirectional(SkipRNN(SkipCell(MinGRUCell(H), cost=0.25), name="skip")),
    ]
    model = keras.Sequential([keras.Input((T, D)), *layers])
    randomize(model)
    model.save(tmp_path / "model.keras")
    again, clone = keras.saving.load_model(tmp_path / "model.keras"), keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    (x,) = draw((B, T, D))
    for other in (again, clone):
        np.testing.assert_array_equal(other(x), model(x))
        dilated = other.get_layer("dilated").cell
        assert (dilated.dilation, type(dilated.cell), dilated.cell.units) == (2, PeepholeLSTMCell, H)
        skip = other.layers[-1].forward_layer
        assert (skip.cell.cost, skip.cost, skip.name) == (0.25, 0.25, "forward_skip")
        assert len(other.losses) == 2  # one for each direction


@pytest.mark.parametrize("wrap", [ResidualCell, lambda cell: DilatedRNN(cell, 2), SkipCell])
@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: 5, "cell must be a recurrent cell such as GRUCell"),
        (lambda: GRUCell, "cell must be a recurrent cell"),
        (lambda: keras.layers.Dense(3), "cell must be a recurrent cell"),
        (lambda: keras.layers.StackedRNNCells([GRUCell(3), GRUCell(3)]), "wrap each cell of a stack"),
    ],
)
def test_what_is_no_cell_is_refused(wrap, make, error):
    with pytest.raises((ValueError, TypeError), match=error):
        wrap(make())


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: DilatedRNN(GRUCell(H), 0), "dilation must be at least 1, got 0"),
        (lambda: DilatedRNN(GRUCell(H), 2.0), "dilation must be an integer, got 2.0"),
        (lambda: SkipCell(GRUCell(H), -1), "cost must be at least 0, got -1"),
        (lambda: SkipCell(GRUCell(H), "high"), "cost must be a number, got 'high'"),
        (lambda: SkipRNN(GRUCell(H)), "cell must be a SkipCell"),
        (
            lambda: keras.layers.RNN(SkipCell(GRUCell(H), 0.1))(np.zeros((B, T, D))),
            "cost must be 0 outside of SkipRNN",
        ),
        (
            lambda: SkipRNN(SkipCell(GRUCell(H), dtype="mixed_bfloat16"))(np.zeros((B, T, D))),
            "dtype must be float32 or float64, to count the updates, got bfloat16",
        ),
    ],
)
def test_bad_options_are_refused(make, error):
    with pytest.raises((ValueError, TypeError), match=error):
        make()


@pytest.mark.parametrize(
    ("layer", "states"),
    [
        (lambda: keras.layers.RNN(ResidualCell(LSTMCell(H)), name="r"), {"h", "c"}),
        (lambda: DilatedRNN(LSTMCell(H), 2, name="r"), {"h", "c"}),
        (lambda: SkipRNN(SkipCell(GRUCell(H)), name="r"), {"h"}),
        (lambda: SkipRNN(SkipCell(LSTMCell(H)), name="r"), {"h", "c"}),
    ],
)
def test_gradient_instrument_reports_the_wrapped_cells_states_and_not_the_helpers(layer, states):
    model = keras.Sequential([keras.Input((T, D)), layer(), keras.layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=TENSORFLOW, jit_compile=not TENSORFLOW)
    rng = np.random.default_rng(0)
    norms = time_step_norms(model, rng.normal(size=(B, T, D)).astype("float32"), np.ones((B, 1), "float32"))["r"]
    assert set(norms) == states
    assert all(values.shape == (T,) for values in norms.values())
    assert norms["h"][-1] > 0
