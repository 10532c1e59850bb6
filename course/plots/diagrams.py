"""Drawn pictures: what a network looks like, from boxes and arrows. `ax=None` in, `ax` out, as in `plots`."""

from course import arguments
from matplotlib.patches import FancyBboxPatch
import matplotlib.pyplot as plt

BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"


def box(ax, x, y, text, colour=BLUE, width=0.62, height=0.5):
    """Draw a rounded box with `text` around (x, y)."""
    style = {"boxstyle": "round,pad=0.02,rounding_size=0.09", "facecolor": colour + "22", "edgecolor": colour}
    patch = FancyBboxPatch((x - width / 2, y - height / 2), width, height, **style)
    ax.add_patch(patch)
    ax.text(x, y, text, ha="center", va="center", size=12)


def arrow(ax, start, end, text="", colour="0.25", curve=0.0):
    """Draw an arrow from `start` to `end`, two points, with `text` beside its middle."""
    style = {"arrowstyle": "-|>", "color": colour, "shrinkA": 0, "shrinkB": 0, "lw": 1.5}
    ax.annotate("", end, start, arrowprops={**style, "connectionstyle": f"arc3,rad={curve}"})
    (x0, y0), (x1, y1) = start, end
    if text:
        vertical = abs(x1 - x0) < abs(y1 - y0)
        offset, ha, va = ((5, 0), "left", "center") if vertical else ((0, 3), "center", "bottom")
        ax.annotate(
            text,
            ((x0 + x1) / 2, (y0 + y1) / 2),
            offset,
            textcoords="offset points",
            ha=ha,
            va=va,
            color=colour,
            size=11,
        )


def canvas(ax, width, height, title=""):
    """Return an axes of equal scales without frame or ticks, from 0 to `width` and 0 to `height`."""
    if ax is None:
        ax = plt.subplots(figsize=(min(9, 1.1 * width), 1.1 * height))[1]
    ax.set(xlim=(0, width), ylim=(0, height), aspect="equal", title=title)
    ax.axis("off")
    return ax


def unrolled(T=4, ax=None):
    """Draw an RNN as a loop, and the same RNN unrolled over `T` steps (2 to 6), with U on every arrow in time."""
    arguments.integer("T", T, at_least=2, at_most=6)
    ax = canvas(ax, 3.6 + 1.6 * T, 3.4)
    ax.set_title("One set of weights, used again at every step")
    _step(ax, 1.0, "x_t", "h_t", r"\hat y_t")
    arrow(ax, (1.34, 1.85), (1.34, 1.55), curve=-2.6, colour=ORANGE)
    ax.text(1.92, 1.7, "$U$", color=ORANGE, ha="left", va="center", size=11)
    ax.text(2.5, 1.7, "=", ha="center", va="center", size=20)
    ax.text(3.1, 1.7, "$h_0$", ha="center", va="center", size=12)
    for t in range(1, T + 1):
        x = 2.65 + 1.6 * t
        _step(ax, x, f"x_{t}", f"h_{t}", rf"\hat y_{t}")
        arrow(ax, (x - 1.25 if t > 1 else 3.32, 1.7), (x - 0.35, 1.7), "$U$", ORANGE)
    return ax


def _step(ax, x, below, middle, above):
    ax.text(x, 0.25, f"${below}$", ha="center", va="center", size=12)
    box(ax, x, 1.7, f"${middle}$")
    ax.text(x, 3.15, f"${above}$", ha="center", va="center", size=12)
    arrow(ax, (x, 0.5), (x, 1.41), "$W$", GREEN)
    arrow(ax, (x, 1.99), (x, 2.9), "$V$", GREEN)
