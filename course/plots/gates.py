"""Pictures of the LSTM: its cell with the memory line, and its gates over the words of a sentence.

As in `plots`: `ax=None` in, `ax` out. `gates_over_words` says in its alternative text what it drew, for `basics.show(ax)`.
"""

from course import arguments
from course.plots import basics
from course.plots.diagrams import BLUE, GREEN, ORANGE, arrow, box, canvas
from matplotlib.patches import Circle
import matplotlib.pyplot as plt
import numpy as np

ROWS = {"i": "write $i_t$", "f": "keep $f_t$", "o": "read $o_t$", "c": "memory $c_t$"}


def lstm_cell(ax=None):
    """Draw one step of the LSTM: the memory line c along the top, and where the gates f, i and o act on it."""
    ax = canvas(ax, 8.4, 4.3)
    ax.set_title("The memory line: multiplied by $f_t$, added to, read through $o_t$")
    top, gates = 3.55, 1.75
    ax.text(0.3, top, "$c_{t-1}$", ha="center", va="center", size=13)
    ax.text(8.05, top, "$c_t$", ha="center", va="center", size=13)
    arrow(ax, (0.65, top), (1.63, top), colour=ORANGE)
    arrow(ax, (1.97, top), (3.73, top), colour=ORANGE)
    arrow(ax, (4.07, top), (7.75, top), colour=ORANGE)
    _operation(ax, 1.8, top, "×")
    _operation(ax, 3.9, top, "+")
    _operation(ax, 3.9, 2.75, "×")
    _operation(ax, 6.6, 2.4, "×")
    places = {1.8: ("f_t", "σ keep", BLUE), 3.3: ("i_t", "σ write", BLUE), 4.5: ("g_t", "tanh what", GREEN)}
    for x, (letter, text, colour) in (places | {5.8: ("o_t", "σ read", BLUE)}).items():
        box(ax, x, gates, f"${letter}$", colour)
        ax.text(x, gates - 0.5, text, ha="center", va="center", size=9, color="0.3")
        arrow(ax, (x, 0.62), (x, gates - 0.65))
    arrow(ax, (1.8, gates + 0.27), (1.8, top - 0.17))
    arrow(ax, (3.3, gates + 0.27), (3.76, 2.65))
    arrow(ax, (4.5, gates + 0.27), (4.04, 2.65))
    arrow(ax, (3.9, 2.92), (3.9, top - 0.17))
    box(ax, 6.6, 3.02, "tanh", GREEN, height=0.34)
    arrow(ax, (6.6, top), (6.6, 3.22))
    arrow(ax, (6.6, 2.83), (6.6, 2.57))
    arrow(ax, (6.02, gates + 0.27), (6.46, 2.3))
    arrow(ax, (6.77, 2.4), (7.75, 2.4))
    ax.text(8.05, 2.4, "$h_t$", ha="center", va="center", size=13)
    ax.plot([1.2, 6.4], [0.6, 0.6], color="0.25", lw=1.5, linestyle="-")
    ax.text(0.75, 0.6, "$x_t,\\ h_{t-1}$", ha="center", va="center", size=12)
    return ax


def _operation(ax, x, y, sign):
    """Draw a small circle around (x, y) with the sign of what is done there."""
    ax.add_patch(Circle((x, y), 0.17, facecolor="white", edgecolor=ORANGE, lw=1.5, zorder=3))
    ax.text(x, y, sign, ha="center", va="center", size=13, zorder=4)


def gates_over_words(states, words, units, ax=None, title=""):
    """Draw gates i, f, o and the memory c of some units over the words that were read, every value written in.

    states: what `numpy_rnn.lstm_forward` returned; its first sequence is drawn.
    words: the T words. units: the numbers of the units, one row each in every panel.
    ax: four axes, one above the other, or None. Gates share one scale from 0 to 1, c one centred at 0.
    Raises ValueError if there are not T words, no unit, or one that the states do not have.
    """
    words, T, H = list(words), *np.shape(states.c)[1:]
    if len(words) != T:
        raise ValueError(f"words must be {T}, one for every step of the states, got {len(words)}.")
    units = [arguments.integer("units", unit, at_least=0, at_most=H - 1) for unit in units]
    if not units:
        raise ValueError("units must name at least one unit, got none.")
    if ax is None:
        size = (max(6, 0.66 * T + 1.6), 4 * (0.28 * len(units) + 0.34) + 0.7)
        ax = plt.subplots(4, 1, sharex=True, figsize=size)[1]
    if np.size(ax) != 4:
        raise ValueError(f"ax must be four axes, one for each of i, f, o, c, got {np.size(ax)}.")
    said = []
    for panel, (letter, name) in zip(np.ravel(ax), ROWS.items(), strict=True):
        values = getattr(states, letter)[0][:, units].T  # (units, T)
        reach = max(1e-9, np.abs(values).max())
        scale = {"cmap": "PuOr", "vmin": -reach, "vmax": reach} if letter == "c" else {"vmin": 0, "vmax": 1}
        panel.imshow(values, aspect="auto", **scale)
        for (row, t), value in np.ndenumerate(values):
            dark = abs(value) > 0.6 * reach if letter == "c" else value < 0.6
            text = f"{value:.1f}" if letter == "c" else f"{value:.2f}".replace("0.", ".")
            panel.text(t, row, text, ha="center", va="center", size=8, color="white" if dark else "black")
        panel.grid(False)
        panel.set_yticks(range(len(units)), [f"unit {unit}" for unit in units], size=8)
        panel.set_title(name, size=10, weight="normal", pad=3)
        last = ", ".join(f"{value:.2f}" for value in values[:, -1])
        said.append(f"{letter} at the first word {', '.join(f'{v:.2f}' for v in values[:, 0])}, at the last {last}")
    np.ravel(ax)[-1].set_xticks(range(T), words, rotation=30, ha="right", size=9)
    np.ravel(ax)[0].figure.suptitle(title, x=0.01, ha="left", size=11.5, weight="bold")
    which = ", ".join(map(str, units))
    return basics.describe(ax, f"Gates and memory of units {which} over “{' '.join(words)}”: {'; '.join(said)}.")
