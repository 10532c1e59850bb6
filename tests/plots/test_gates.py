"""The pictures of the LSTM show the numbers they were given, at the step and in the panel where these belong."""

from course import plots
from course.by_hand.forward import LSTMStates, lstm_forward
import matplotlib.pyplot as plt
import numpy as np
import pytest

WORDS = ["iPhone", "is", "a"]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def states():
    rng = np.random.default_rng(0)
    B, T, D, H = 2, 3, 4, 5
    W, U, b = rng.normal(size=(D, 4 * H)), rng.normal(size=(H, 4 * H)), rng.normal(size=4 * H)
    return lstm_forward(rng.normal(size=(B, T, D)), W, U, b)


def test_every_panel_shows_its_gate_of_the_chosen_units(states):
    axes = plots.gates_over_words(states, WORDS, [4, 1])
    for panel, letter in zip(axes, "ifoc", strict=True):
        shown = panel.images[0].get_array()
        np.testing.assert_array_equal(shown, getattr(states, letter)[0][:, [4, 1]].T)
        assert letter in panel.get_title(loc="left")
        assert [label.get_text() for label in panel.get_yticklabels()] == ["unit 4", "unit 1"]
    assert [label.get_text() for label in axes[-1].get_xticklabels()] == WORDS


def test_every_value_is_written_where_it_is_coloured(states):
    axes = plots.gates_over_words(states, WORDS, [3])
    written = {text.get_position(): text.get_text() for text in axes[1].texts}
    assert {t: float(written[t, 0]) for t in range(3)} == pytest.approx(dict(enumerate(states.f[0, :, 3])), abs=0.005)


def test_gates_share_one_scale_and_the_memory_is_centred(states):
    limits = [panel.images[0].get_clim() for panel in plots.gates_over_words(states, WORDS, [0, 2])]
    assert limits[:3] == [(0, 1)] * 3
    assert limits[3][0] == -limits[3][1]


def test_a_memory_of_zeros_can_be_drawn():
    zeros = np.zeros((1, 3, 2))
    axes = plots.gates_over_words(LSTMStates(*[zeros] * 6), WORDS, [0])
    axes[0].figure.canvas.draw()


def test_the_alternative_text_says_words_and_values(states, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda *args, **kwargs: shown.append(kwargs))
    plots.show(plots.gates_over_words(states, WORDS, [2]))
    alt = shown[0]["metadata"]["image/png"]["alt"]
    assert "iPhone is a" in alt
    assert f"f at the first word {states.f[0, 0, 2]:.2f}, at the last {states.f[0, -1, 2]:.2f}" in alt


def test_the_cell_names_every_gate_and_both_states():
    ax = plots.lstm_cell()
    texts = {text.get_text().strip("$") for text in ax.texts}
    assert {"f_t", "i_t", "g_t", "o_t", "c_{t-1}", "c_t", "h_t", "×", "+", "tanh"} <= texts


@pytest.mark.parametrize(
    ("words", "units", "ax", "argument"),
    [
        (["one", "two"], [0], None, "words must be 3"),
        (WORDS, [5], None, "units must be at most 4"),
        (WORDS, [-1], None, "units must be at least 0"),
        (WORDS, [0.5], None, "units"),
        (WORDS, [], None, "units must name at least one"),
        (WORDS, [0], "one", "ax must be four axes"),
    ],
)
def test_bad_input_names_the_argument(states, words, units, ax, argument):
    ax = plt.subplots()[1] if ax else None
    with pytest.raises((ValueError, TypeError), match=argument):
        plots.gates_over_words(states, words, units, ax)
