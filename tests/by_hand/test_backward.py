"""Backpropagation through time in NumPy, held against automatic and finite differences in float64."""

from course.by_hand import (
    ACTIVATIONS,
    finite_differences,
    rnn_backward,
    rnn_forward,
    terms_by_distance,
    truncated_backward,
)
from course.by_hand.backward import Gradients
import numpy as np
import pytest
import tensorflow as tf

B, D, H = 2, 4, 5
TF_ACTIVATIONS = {
    "tanh": tf.tanh,
    "sigmoid": tf.sigmoid,
    "relu": tf.nn.relu,
    "leaky_relu": lambda a: tf.maximum(a, 0.2 * a),  # tf.nn.leaky_relu keeps its slope in float32
    "linear": tf.identity,
}
EXACT = {"rtol": 1e-10, "atol": 1e-12}


def draw(T, activation="tanh", seed=0):
    """Return the arguments x, W, U, b, h, dh, h0 of a backward pass, none of them zero."""
    rng = np.random.default_rng(seed)
    shapes = [(B, T, D), (D, H), (H, H), (H,), (B, T, H), (B, H)]
    x, W, U, b, dh, h0 = (rng.normal(0, 0.6, shape) for shape in shapes)
    return {"x": x, "W": W, "U": U, "b": b, "h": rnn_forward(x, W, U, b, h0, activation), "dh": dh, "h0": h0}


def autodiff(arguments, activation="tanh", starts=None):
    """Return dL/d(x, h0, W, b) and dL/dU_k of every step's own copy of U, for L = Σ_t Σ dh_t h_t.

    `starts` gives, for the loss on each state, the t for which its own rollout starts at stop_gradient(h_t);
    below 0 it starts at h_0 with nothing stopped. Without `starts` one rollout serves all losses.
    """
    φ = TF_ACTIVATIONS[activation]
    x, h0, W, b, dh = (tf.Variable(arguments[k]) for k in ("x", "h0", "W", "b", "dh"))
    T = x.shape[1]
    states = np.concatenate([arguments["h0"][:, None], arguments["h"]], axis=1)  # h_0 … h_T
    copies = [tf.Variable(arguments["U"]) for _ in range(T)]
    with tf.GradientTape() as tape:
        if starts is None:
            h, losses = h0, []
            for t in range(T):
                h = φ(x[:, t] @ W + h @ copies[t] + b)
                losses.append(tf.reduce_sum(dh[:, t] * h))
        else:
            losses = []
            for last, start in enumerate(starts):
                h = h0 if start < 0 else tf.constant(states[:, start])
                for t in range(max(start, 0), last + 1):
                    h = φ(x[:, t] @ W + h @ copies[t] + b)
                losses.append(tf.reduce_sum(dh[:, last] * h))
        loss = tf.add_n(losses)
    gradients = tape.gradient(loss, [x, h0, W, b, *copies], unconnected_gradients="zero")
    x, h0, W, b, *terms = (np.asarray(g) for g in gradients)
    return {"x": x, "h0": h0, "W": W, "b": b, "terms": np.stack(terms), "U": np.sum(terms, axis=0)}


def assert_same(gradients, expected):
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(gradients, name), value, err_msg=name, **EXACT)


@pytest.mark.parametrize("T", [1, 2, 7])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_and_each_term_equal_automatic_differentiation(T, activation):
    a = draw(T, activation)
    assert_same(rnn_backward(**a, activation=activation), autodiff(a, activation))


@pytest.mark.parametrize("T", [1, 6])
def test_delta_is_the_total_derivative_of_every_state(T):
    a = draw(T)
    expected = np.zeros_like(a["h"])
    for t in range(T):  # dL/dh_t by the tape: start a new rollout at h_t, with the losses from t on
        h = start = tf.constant(a["h"][:, t])
        with tf.GradientTape() as tape:
            tape.watch(start)
            loss = tf.reduce_sum(a["dh"][:, t] * h)
            for k in range(t + 1, T):
                h = tf.tanh(a["x"][:, k] @ a["W"] + h @ a["U"] + a["b"])
                loss += tf.reduce_sum(a["dh"][:, k] * h)
        expected[:, t] = tape.gradient(loss, start)
    np.testing.assert_allclose(rnn_backward(**a).delta, expected, **EXACT)


def test_for_a_loss_on_the_last_state_delta_is_the_product_of_jacobians():
    a = draw(T=4)
    last = a["dh"][:, -1]
    delta = rnn_backward(**a | {"dh": last}).delta
    for sample in range(B):
        expected = last[sample]
        for t in reversed(range(4)):
            np.testing.assert_allclose(delta[sample, t], expected, **EXACT)
            jacobian = np.diag(1 - a["h"][sample, t] ** 2) @ a["U"].T  # [i, j] = ∂h_t,i / ∂h_{t−1},j
            expected = expected @ jacobian


def test_a_gradient_for_the_last_state_alone_is_zero_at_all_others():
    a = draw(T=3)
    alone = np.zeros_like(a["dh"])
    alone[:, -1] = a["dh"][:, -1]
    for short, long in zip(rnn_backward(**a | {"dh": alone[:, -1]}), rnn_backward(**a | {"dh": alone}), strict=True):
        np.testing.assert_array_equal(short, long)


@pytest.mark.parametrize("name", ["x", "W", "U", "b", "h0"])
def test_gradients_agree_with_finite_differences(name):
    a = draw(T=4)
    inputs = {k: a[k] for k in ("x", "W", "U", "b", "h0")}

    def loss(value):
        return np.sum(a["dh"] * rnn_forward(**inputs | {name: value}))

    np.testing.assert_allclose(
        getattr(rnn_backward(**a), name), finite_differences(loss, a[name]), rtol=1e-7, atol=1e-9
    )


@pytest.mark.parametrize("window", [1, 2, 3, 5, 6, 20])
def test_truncated_gradients_equal_automatic_differentiation_with_stop_gradient(window):
    a = draw(T=5)
    expected = autodiff(a, starts=[t - window for t in range(1, 6)])
    assert_same(truncated_backward(**a, window=window), expected)


def test_truncation_of_a_loss_on_the_last_state_drops_the_far_terms_and_keeps_the_near_ones():
    a = draw(T=6)
    a["dh"] = a["dh"][:, -1]
    full, cut = rnn_backward(**a), truncated_backward(**a, window=2)
    np.testing.assert_array_equal(cut.terms[:4], 0)
    np.testing.assert_allclose(cut.terms[4:], full.terms[4:], **EXACT)
    assert np.abs(full.terms[:4]).max(axis=(1, 2)).min() > 1e-3  # there was something to cut


def test_block_by_block_equals_stop_gradient_between_the_blocks():
    a = draw(T=6)
    first, second = ({k: v[:, s] if v.ndim == 3 else v for k, v in a.items()} for s in (slice(0, 4), slice(4, 6)))
    second["h0"] = first["h"][:, -1]
    parts = rnn_backward(**first), rnn_backward(**second)
    expected = autodiff(a, starts=[-1, -1, -1, -1, 4, 4])
    for name in ("W", "U", "b"):
        np.testing.assert_allclose(sum(getattr(p, name) for p in parts), expected[name], **EXACT)


def test_terms_by_distance_equal_automatic_differentiation_of_each_loss_alone():
    T, a = 5, draw(T=5)
    expected = np.zeros((T, H, H))
    for t in range(T):
        alone = np.zeros_like(a["dh"])
        alone[:, t] = a["dh"][:, t]
        for k, term in enumerate(autodiff(a | {"dh": alone})["terms"][: t + 1]):
            expected[t - k] += term
    np.testing.assert_allclose(terms_by_distance(**a), expected, **EXACT)


def test_terms_by_distance_sum_to_the_gradient_and_to_the_truncated_one():
    a = draw(T=5)
    terms = terms_by_distance(**a)
    np.testing.assert_allclose(terms.sum(axis=0), rnn_backward(**a).U, **EXACT)
    np.testing.assert_allclose(terms[:3].sum(axis=0), truncated_backward(**a, window=3).U, **EXACT)


def test_finite_differences_of_a_cubic_are_exact_but_for_eps_squared():
    a = np.array([[1.0, -2.0], [0.5, 3.0]])
    # (a + e)³ − (a − e)³ = 6 a² e + 2 e³, so the quotient is 3 a² + e²
    found = finite_differences(lambda v: np.sum(v**3), a, eps=0.01)
    np.testing.assert_allclose(found, 3 * a**2 + 1e-4, rtol=1e-10)


def test_finite_differences_leave_the_array_as_it_was():
    a = np.array([1.0, 2.0])

    def greedy(value):
        value *= 2  # works on its argument, as careless code does
        return value.sum()

    np.testing.assert_allclose(finite_differences(greedy, a), [2, 2], rtol=1e-9)
    np.testing.assert_array_equal(a, [1, 2])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("T", [1, 20])
def test_the_float_type_given_is_the_float_type_returned(dtype, T):
    a = {name: value.astype(dtype) for name, value in draw(T).items()}
    a["h"] = rnn_forward(*(a[k] for k in ("x", "W", "U", "b", "h0")))
    assert {g.dtype for g in rnn_backward(**a)} | {g.dtype for g in truncated_backward(**a, window=2)} == {
        np.dtype(dtype)
    }


def test_states_of_an_exploding_network_are_accepted():
    a = draw(T=30, activation="linear")
    a["U"] = 40 * a["U"]
    a["h"] = rnn_forward(*(a[k] for k in ("x", "W", "U", "b", "h0")), activation="linear")
    gradients = rnn_backward(**a, activation="linear")
    assert np.abs(gradients.delta[:, 0]).max() > 1e30 * np.abs(gradients.delta[:, -1]).max()


def test_wrong_states_are_refused_with_the_first_wrong_time_step():
    a = draw(T=5)
    a["h"][1, 2, 3] += 0.01
    with pytest.raises(ValueError, match=r"^h must be rnn_forward.* first at time step 3 of 5"):
        rnn_backward(**a)


a3 = draw(T=3)
BAD = [
    (ValueError, "x", {"x": a3["x"][0]}),
    (ValueError, "W", {"W": a3["W"].T}),
    (ValueError, "U", {"U": a3["U"][:-1]}),
    (ValueError, "b", {"b": a3["b"][:-1]}),
    (ValueError, "h", {"h": a3["h"][:, 1:]}),
    (ValueError, "h", {"h0": None}),  # h was computed from another initial state
    (ValueError, "h", {"activation": "sigmoid"}),
    (ValueError, "activation", {"activation": "softmax"}),
    (ValueError, "dh", {"dh": a3["dh"][0, 0]}),
    (ValueError, "dh", {"dh": a3["dh"][:, :2]}),
    (ValueError, "dh", {"dh": a3["dh"][:, 0, :2]}),
    (TypeError, "dh", {"dh": np.ones((B, 3, H), int)}),
    (ValueError, "h0", {"h0": a3["h0"][0]}),
]


@pytest.mark.parametrize(("error", "name", "change"), BAD)
@pytest.mark.parametrize("function", [rnn_backward, terms_by_distance])
def test_bad_arguments_are_named(function, error, name, change):
    with pytest.raises(error, match=f"^{name} must"):
        function(**a3 | change)


@pytest.mark.parametrize(
    ("error", "window"), [(ValueError, 0), (ValueError, -1), (TypeError, 2.0), (TypeError, None)]
)
def test_a_bad_window_is_named(error, window):
    with pytest.raises(error, match=r"^window must"):
        truncated_backward(**a3, window=window)


@pytest.mark.parametrize(
    ("error", "name", "call"),
    [
        (TypeError, "loss", lambda: finite_differences(3.0, np.ones(2))),
        (TypeError, "loss", lambda: finite_differences(lambda a: np.float32(a.sum()), np.ones(2))),
        (ValueError, "loss", lambda: finite_differences(lambda a: 2 * a, np.ones(2))),
        (ValueError, "loss", lambda: finite_differences(lambda a: a.sum() * np.nan, np.ones(2))),
        (ValueError, "array", lambda: finite_differences(np.sum, np.array([1.0, np.nan]))),
        (ValueError, "eps", lambda: finite_differences(np.sum, np.ones(2), eps=0.0)),
    ],
)
def test_bad_finite_difference_arguments_are_named(error, name, call):
    with pytest.raises(error, match=f"^{name} must"):
        call()


def test_gradients_have_named_fields_in_the_courses_letters():
    assert Gradients._fields == ("delta", "terms", "x", "h0", "W", "U", "b")
