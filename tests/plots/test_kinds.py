"""The pictures of the nine kinds show as answered, at each step, what can be known then."""

from course import plots
from course.plots.basics import described
import matplotlib.pyplot as plt
import pytest

ANSWERS = {  # how many answers are there after 0, 1, 2, … steps
    "one to one": [0, 1],
    "one to many": [0, 1, 2, 3, 4],
    "many to one": [0, 0, 0, 0, 1],
    "many to many, in step": [0, 1, 2, 3, 4],
    "encoder and decoder": [0, 0, 0, 0, 1, 2, 3],
    "stacked": [0, 0, 0, 0, 1],
    "bidirectional": [
        0,
        0,
        0,
        2,
        4,
    ],  # after three of four steps the two directions have crossed in the middle
    "masked": [0, 0, 0, 0, 1],
    "stateful": [0, 1, 2, 3, 4],
}


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def answers(ax):
    """The answers that are written above the states."""
    top = max(text.get_position()[1] for text in ax.texts)
    return [text.get_text() for text in ax.texts if text.get_position()[1] == top and text.get_text()]


@pytest.mark.parametrize("kind", plots.SEQUENCE_KINDS)
def test_an_answer_stands_there_as_soon_as_it_can_be_known(kind):
    for step, count in enumerate(ANSWERS[kind]):
        ax = plots.sequence_kind(kind, step)
        assert len(answers(ax)) == count
        assert f"after {step} of {len(ANSWERS[kind]) - 1} steps" in described(ax)
        assert f"Answers given: {count} of {max(ANSWERS[kind])}" in described(ax)


def test_a_masked_state_is_handed_on_as_it_is():
    states = [text.get_text() for text in plots.sequence_kind("masked").texts if text.get_text().startswith("$h")]
    assert states == ["$h_1$", "$h_2$", "$h_2$", "$h_2$"]


def test_each_answer_of_the_decoder_is_its_next_input():
    drawn = plots.SEQUENCE_KINDS["encoder and decoder"]
    assert drawn.below[4:] == tuple(answer for answer in drawn.above if answer)[:2]


@pytest.mark.parametrize(
    ("given", "named"),
    [({"kind": "many"}, "kind must"), ({"kind": "stacked", "step": 5}, "step must")],
)
def test_a_bad_argument_is_named(given, named):
    with pytest.raises(ValueError, match=named):
        plots.sequence_kind(**given)
