"""The nine kinds of sequence model as pictures: whole, or with data flowing as far as one step."""

from typing import NamedTuple

from course import arguments
from course.plots import basics
from course.plots.diagrams import BLUE, GREEN, ORANGE, arrow, box, canvas

GREY, APART = "#bbbbbb", 1.35


class Kind(NamedTuple):
    """What stands below and above each step, how many rows of states lie between, and what is to be said of it."""

    below: tuple
    above: tuple
    says: str
    rows: int = 1


_X, _Y = (
    ("$x_1$", "$x_2$", "$x_3$", "$x_4$"),
    (r"$\hat y_1$", r"$\hat y_2$", r"$\hat y_3$", r"$\hat y_4$"),
)
_LAST, _READ = ("", "", "", r"$\hat y$"), "one answer, after all steps are read"
SEQUENCE_KINDS = {
    "one to one": Kind(("$x$",), (r"$\hat y$",), "one input, one answer, no state"),
    "one to many": Kind(("$x$",) * 4, _Y, "one input, given again at each step; an answer at each"),
    "many to one": Kind(_X, _LAST, _READ),
    "many to many, in step": Kind(_X, _Y, "an answer at each step, from what has been read so far"),
    "encoder and decoder": Kind(
        (*_X[:3], "start", *_Y[:2]),
        ("", "", "", *_Y[:3]),
        "first all is read; then a second network writes, and each answer is its next input",
    ),
    "stacked": Kind(_X, _LAST, "the states of one layer are the inputs of the next", rows=2),
    "bidirectional": Kind(_X, _Y, "a second layer reads from the end, and an answer waits for both", rows=2),
    "masked": Kind((*_X[:2], "pad", "pad"), _LAST, "at padding the state is handed on as it is"),
    "stateful": Kind(_X, _Y, "two batches of two steps: the second starts from the state of the first"),
}


def sequence_kind(kind, step=None, ax=None):
    """Draw one of `SEQUENCE_KINDS`, unrolled over time: what is known after `step` steps in colour, the rest grey.

    step: from 0 to the number of steps, which it is by default.
    """
    drawn = SEQUENCE_KINDS[arguments.one_of("kind", kind, SEQUENCE_KINDS)]
    T, both = len(drawn.below), kind == "bidirectional"
    step = T if step is None else arguments.integer("step", step, at_least=0, at_most=T)
    top = drawn.rows + 1.15
    ax = canvas(ax, 8.1, top + 0.3)
    known = [[t < step for t in range(T)] for _ in range(drawn.rows)]
    if both:
        known[1].reverse()
    for t in range(T):
        x, done = 0.6 + APART * t, all(row[t] for row in known)
        read = known[0][t] or done or (both and known[1][t])
        _text(ax, x, 0.12, drawn.below[t], "k" if read else "0.7")
        for row in range(drawn.rows):
            place, seen = (x + (0.44 * row - 0.22) * both, 1.05 + row), known[row][t]
            padding = drawn.below[t] == "pad"
            start = (place[0], 0.34 + (1 if row and not both else 0) * 0.98)
            if not padding:
                arrow(ax, start, (place[0], place[1] - 0.27), colour=GREEN if seen else GREY)
            shade = GREEN if kind == "encoder and decoder" and t >= 3 else BLUE  # the decoder is another network
            name = _state(kind, t, row) if seen else ""
            box(ax, *place, name, GREY if padding or not seen else shade, width=0.5)
            if drawn.above[t] and (both or row == drawn.rows - 1):
                up = (place[0], place[1] + 0.27), (place[0], top - 0.2)
                arrow(ax, *up, colour=GREEN if done else GREY)
            _hand_on(ax, place, t, T, backwards=both and row == 1, seen=seen)
        _text(ax, x, top, drawn.above[t] if done else "")
    if kind == "stateful":
        x = 0.6 + 1.5 * APART
        ax.plot([x, x], [0, top - 0.75], color="0.4", linestyle=":", linewidth=1)
        _text(ax, x, top - 0.45, "next\nbatch", "0.3", size=8)
    answers = [t for t in range(T) if drawn.above[t]]
    given = sum(all(row[t] for row in known) for t in answers)
    said = f"{kind}, after {step} of {T} steps: {drawn.says}. Answers given: {given} of {len(answers)}."
    return basics.describe(ax, said)


def _text(ax, x, y, said, colour="k", size=12):
    ax.text(x, y, said, ha="center", va="center", size=size, color=colour)


def _state(kind, t, row):
    """The name of a state."""
    if kind == "one to one":
        return "$h$"
    if kind == "masked":
        return f"$h_{min(t + 1, 2)}$"
    return f"$h_{t + 1}$" + "'" * row


def _hand_on(ax, place, t, T, backwards, seen):
    """The arrow on which a state goes to the next step of its row."""
    if t == (0 if backwards else T - 1):
        return
    way, (x, y) = (-1 if backwards else 1), place
    arrow(ax, (x + 0.27 * way, y), (x + (APART - 0.27) * way, y), colour=ORANGE if seen else GREY)
