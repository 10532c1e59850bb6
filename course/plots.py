"""Draws what it is given: `ax=None` in, `ax` out; `show` puts a figure with its alternative text into the notebook.

Importing this module sets the course's style (`course/course.mplstyle`): colours that colour-blind readers can tell
apart, and a dash of its own for every line.
"""

import importlib.resources

import matplotlib.pyplot as plt
import numpy as np

with importlib.resources.as_file(importlib.resources.files("course") / "course.mplstyle") as _style:
    plt.style.use(_style)


def show(ax, alt):
    """Display the figure of `ax` (or of an array of axes) once, with `alt` as its alternative text, and close it.

    alt: a sentence or two that state what is to be seen, numbers included. Raises ValueError if it is empty.
    """
    from IPython.display import display

    if not isinstance(alt, str) or not alt.strip():
        raise ValueError(f"alt must say what is to be seen in the figure, got {alt!r}.")
    figure = np.ravel(ax)[0].figure
    display(figure, metadata={"image/png": {"alt": alt}})
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
    """Draw a chance level, a floor or a prediction into `ax`: a grey line at `value` with `text` beside it."""
    if axis == "y":
        ax.axhline(value, color="0.35", linewidth=1, linestyle=(0, (2, 2)), zorder=1)
        place = {"xy": (1, value), "xycoords": ax.get_yaxis_transform(), "ha": "right", "va": "bottom"}
    else:
        ax.axvline(value, color="0.35", linewidth=1, linestyle=(0, (2, 2)), zorder=1)
        place = {"xy": (value, 1), "xycoords": ax.get_xaxis_transform(), "ha": "left", "va": "top"}
    ax.annotate(
        text, xytext=(2, 2) if axis == "y" else (3, -2), textcoords="offset points", color="0.3", size=9, **place
    )
    return ax
