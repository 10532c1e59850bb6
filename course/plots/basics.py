"""Axes, lines, levels and rates, and how a figure gets into the notebook with its alternative text."""

import importlib.resources
import textwrap
from weakref import WeakKeyDictionary

import matplotlib.pyplot as plt
import numpy as np

_ALT = WeakKeyDictionary()  # the alternative texts of the figures


def use_style():
    """Set the course's style: colours that colour-blind readers can tell apart, a dash of its own for every line."""
    with importlib.resources.as_file(importlib.resources.files("course.plots") / "course.mplstyle") as style:
        plt.style.use(style)


def describe(ax, alt):
    """Attach `alt`, sentences that state what is to be seen, to the figure of `ax`; return `ax`."""
    if not isinstance(alt, str) or not alt.strip():
        raise ValueError(f"alt must say what is to be seen in the figure, got {alt!r}.")
    figure = np.ravel(ax)[0].figure
    _ALT[figure] = f"{_ALT[figure]} {alt}" if figure in _ALT else alt
    return ax


def described(ax):
    """Return the alternative text of the figure of `ax`, None if nothing described it."""
    return _ALT.get(np.ravel(ax)[0].figure)


def show(ax, alt=None):
    """Display the figure of `ax` (or of an array of axes) once, with its alternative text, and close it.

    alt: says what is to be seen, numbers included; by default what the functions that drew the figure said of it.
    Raises ValueError if there is no alternative text.
    """
    from IPython.display import display

    figure = np.ravel(ax)[0].figure
    if alt is not None:
        _ALT.pop(figure, None)
        describe(ax, alt)
    elif figure not in _ALT:
        raise ValueError("alt must say what is to be seen in the figure, got None, and nothing described it before.")
    display(figure, metadata={"image/png": {"alt": _ALT[figure]}})
    plt.close(figure)


def axes(ax=None, **labels):
    """Return `ax`, or new axes; `labels` are what `Axes.set` takes: title, xlabel, ylabel, xscale, yscale, …"""
    ax = plt.subplots()[1] if ax is None else ax
    ax.set(**labels)
    return ax


def lines(x, curves, ax=None, markers=True, **labels):
    """Draw several curves over one x, each with a colour, a dash and a marker of its own.

    curves: {label: values (len(x),)}, or {label: values (seeds, len(x))}, drawn as median and range over seeds.
    labels: as for `axes`. Raises ValueError when a curve's length differs from that of x.
    """
    ax = axes(ax, **labels)
    for (label, values), marker in zip(curves.items(), "osD^vPX*" * len(curves), strict=False):
        values = np.asarray(values, dtype=float)
        if values.shape[-1] != len(x):
            raise ValueError(f"curves[{label!r}] must have {len(x)} values, as x has, got {values.shape[-1]}.")
        marks = {"marker": marker, "markevery": max(1, len(x) // 12)} if markers else {}
        middle = values if values.ndim == 1 else np.median(values, axis=0)
        (line,) = ax.plot(x, middle, label=label, **marks)
        if values.ndim == 2:
            ax.fill_between(x, values.min(0), values.max(0), color=line.get_color(), alpha=0.18, linewidth=0)
    ax.legend()
    return ax


def level(ax, value, text, axis="y"):
    """Draw a chance level, a floor or a prediction into `ax`: a grey line at `value`, `text` outside the axes at its end.

    The text of a level on the x axis stands above the axes, and moves the title up: set the title first.
    """
    look = {"color": "0.35", "linewidth": 1, "linestyle": (0, (2, 2)), "zorder": 1}
    if axis == "y":
        ax.axhline(value, **look)
        place = {
            "xy": (1, value),
            "xycoords": ax.get_yaxis_transform(),
            "xytext": (4, 0),
            "ha": "left",
            "va": "center",
        }
        text = textwrap.fill(text, 14)
    else:
        ax.axvline(value, **look)
        place = {
            "xy": (value, 1),
            "xycoords": ax.get_xaxis_transform(),
            "xytext": (0, 2),
            "ha": "center",
            "va": "bottom",
        }
        ax.set_title(ax.get_title(plt.rcParams["axes.titlelocation"]), pad=18)
    ax.annotate(text, textcoords="offset points", color="0.3", size=9, annotation_clip=False, **place)
    return ax


def rates(table, x, by, ax=None, chance=None, **labels):
    """Draw success rates against `x`, one line per value of `by`, with their intervals as bars.

    table: what `experiments.success_rate` returned: columns `x`, `by`, rate, low, high, n.
    chance: the rate that guessing reaches, drawn in as a level.
    """
    ax = axes(ax, ylabel="share of seeds that solve it", ylim=(-0.03, 1.03), **labels)
    said = []
    for number, (name, group) in enumerate(table.groupby(by, sort=False)):
        group = group.sort_values(x)
        bars = [group["rate"] - group["low"], group["high"] - group["rate"]]
        ax.errorbar(group[x] * 1.02**number, group["rate"], bars, label=name, marker="osD^vP"[number % 6], capsize=3)
        points = (f"{rate:.0%} at {place:g}" for place, rate in zip(group[x], group["rate"], strict=True))
        said.append(f"{name}: {', '.join(points)}")
    if chance is not None:
        level(ax, chance, "chance")
    ax.legend()
    return describe(ax, f"Share of seeds that solve the task, with intervals. {'; '.join(said)}.")
