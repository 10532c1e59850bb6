"""What `tuning_plots` draws with: a search's table checked, its trials ranked and placed on scales, axes, words."""

from numbers import Integral, Real
from typing import NamedTuple

from course import arguments
import matplotlib.pyplot as plt
from matplotlib.ticker import MaxNLocator
import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_integer_dtype, is_numeric_dtype


class Scale(NamedTuple):
    """Where the trials stand on the axis of one hyperparameter; on a log scale everything is a power of ten."""

    kind: str  # "even", "log" or "linear"
    at: pd.Series  # trial -> place; trials of equal value stand side by side
    ends: tuple
    ticks: list  # every value where evenly spaced, otherwise lowest and highest
    text: list  # what is written at the ticks

    def height(self, place):
        """Return `place` as a share of the way from the lower to the upper end."""
        return (place - self.ends[0]) / (self.ends[1] - self.ends[0])

    def mark(self, ax):
        """Give the x axis of `ax` this scale and its labels."""
        if self.kind == "even":
            ax.set_xlim(self.ends[0] - 0.1, self.ends[1] + 0.1)
            ax.set_xticks(self.ticks, self.text, rotation=30 if sum(map(len, self.text)) > 16 else 0)
        elif self.kind == "log":
            ax.set_xscale("log")
            low, high = ax.get_xlim()
            decades = 10.0 ** np.arange(np.ceil(np.log10(low)), np.log10(high))
            near = np.multiply.outer(decades, [0.3, 1, 3]).ravel()
            near = np.unique(near[(near >= low) & (near <= high)])
            ticks = near if len(near) <= 4 else decades[:: -(-len(decades) // 4)]
            ax.set_xticks(ticks, map(show, ticks))
            ax.set_xticks([], minor=True)
        else:
            ax.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))


def frame(name, table, *columns):
    """Return a copy of `table`, a frame with trial and `columns`, its scores NaN unless finite; or raise.

    name: what the errors call it.
    """
    if not isinstance(table, pd.DataFrame):
        raise TypeError(f"{name} must be a pandas.DataFrame, got {table!r}.")
    columns = ("trial", *columns)
    if missing := [column for column in columns if column not in table]:
        raise ValueError(f"{name} must have columns {', '.join(columns)}, got {list(table)}: {missing} are missing.")
    if table.empty:
        raise ValueError(f"{name} must have at least one row, got none.")
    table = table.reset_index(drop=True)
    if table["trial"].isna().any():
        raise ValueError(f"{name} must have a trial in every row, got {list(table['trial'])}.")
    for column in {"score", "epochs", "seconds"} & {*columns}:
        try:
            table[column] = table[column].astype(float)
        except (TypeError, ValueError):
            raise ValueError(f"{name} must have numbers in column {column}, got {list(table[column])}.") from None
        table[column] = table[column].where(np.isfinite(table[column]))
        if column != "score" and table[column].isna().any():
            raise ValueError(f"{name} must have a number in every row of {column}, got {list(table[column])}.")
    return table


def ranked(table, maximize):
    """Return per trial the mean score, low and high, NaN where an execution failed; the best first, failed last."""
    arguments.one_of("maximize", maximize, (True, False))
    scores = table.groupby("trial")["score"]
    trials = scores.agg(score="mean", low="min", high="max")[scores.count() == scores.size()]
    trials = trials.reindex(scores.size().index)
    return trials.sort_values("score", ascending=not maximize, kind="stable")


def scaled(table, choices, trials, linear):
    """Return {hyperparameter: Scale} for the columns `choices` of `table`, or raise."""
    if np.ndim(choices) != 1 or not len(choices):
        raise ValueError(f"choices must be a list of at least one hyperparameter, got {choices!r}.")
    known = [column for column in table if column not in ("trial", "score")]
    for name in choices:
        arguments.one_of("choices", name, known)
        if table[name].isna().any():
            raise ValueError(f"table must have a value in every row of column {name}, got {list(table[name])}.")
        if table.groupby("trial")[name].nunique().max() > 1:
            raise ValueError(f"choices must be the same in all executions of a trial, got {name!r}, which is not.")
    if len(set(choices)) < len(choices):
        raise ValueError(f"choices must name each hyperparameter once, got {choices!r}.")
    values = table.groupby("trial")[[*choices]].first().loc[trials.index]
    return {name: place(values[name], name not in linear) for name in choices}


def place(values, log=True):
    """Return the Scale of `values`, one per trial; a single value, words and a few integers stand evenly spaced.

    log: whether positive numbers that span more than a factor of 10 get a log scale.
    """
    values = pd.Series(values.tolist(), values.index)  # a column of objects may hold numbers
    number = is_numeric_dtype(values) and not is_bool_dtype(values)
    values = values if number else values.astype(str)
    found = sorted(set(values))
    few = is_integer_dtype(values) and len(found) <= 6 and (len(found) < len(values) or found[-1] - found[0] < 6)
    if few or not number or len(found) == 1:
        kind, at, ticks = "even", values.map(found.index), list(range(len(found)))
        low, high = -0.5, len(found) - 0.5
    else:
        kind = "log" if log and found[0] > 0 and found[-1] > 10 * found[0] else "linear"
        at = np.log10(values) if kind == "log" else values
        found = [found[0], found[-1]]
        ticks = low, high = at.min(), at.max()
    equal = values.groupby(values)
    most = equal.size().max()
    step = min(0.15, 0.7 / most) if kind == "even" else min(0.015, 0.12 / most) * (high - low)
    turns = (
        values.sort_index().groupby(values).cumcount() * 0.618 % 1
    )  # so that places do not follow trials or scores
    turns = turns.groupby(values).rank().loc[values.index]
    at = at + step * (turns - (equal.transform("size") + 1) / 2)
    return Scale(kind, at, (low, high), ticks, [show(value) for value in found])


def ends(values):
    """Return the lowest and the highest of `values`, or limits around a single one; 0 and 1 where there is none."""
    low, high = values.min(), values.max()
    if low == high:
        return low - (0.02 * abs(low) or 0.02), high + (0.02 * abs(high) or 0.02)
    return (low, high) if low < high else (0.0, 1.0)


def panels(count):
    """Return `count` axes of one figure, in rows of at most four, that share their y axis."""
    rows = -(-count // 4)
    columns = -(-count // rows)
    axes = plt.subplots(rows, columns, sharey=True, squeeze=False, figsize=(7.6, 2.3 * rows + 0.5))[1].ravel()
    for spare in axes[count:]:
        spare.remove()
    return axes[:count]


def strip(ax, floor, rows, share):
    """Add to `ax`, below `floor`, a grey strip that measures nothing, a `share` of its height; return y of its rows."""
    top = ax.get_ylim()[1]
    bottom = floor - share * (top - floor)
    ax.set_yticks([tick for tick in ax.get_yticks() if floor <= tick <= top and ax.dataLim.height >= 0])
    ax.axhspan(bottom, floor, color="0.93", zorder=0)
    ax.set_ylim(bottom, top)
    return bottom + (np.arange(rows) + 0.5) / rows * (floor - bottom)


def legend(ax, owner=None, **style):
    """Give `ax`, or its `owner`, a legend of what `ax` shows, each label once, what failed last; return it."""
    named = dict(zip(*ax.get_legend_handles_labels()[::-1], strict=True))
    named = dict(sorted(named.items(), key=lambda item: item[0].startswith("failed")))
    return (owner or ax).legend(named.values(), named, **style)


def show(value):
    """Return `value` as it is written into a figure."""
    return f"{value:.3g}" if isinstance(value, Real) and not isinstance(value, Integral) else str(value)


def winners(table, trials, choices, count):
    """Say which are the `count` best of the ranked `trials`, for an alternative text."""
    values = table.groupby("trial")[[*choices]].first()
    said = []
    for trial, score in trials["score"].dropna()[:count].items():
        chosen = ", ".join(f"{name} {show(values[name][trial])}" for name in choices)
        said.append(f"trial {trial} with mean score {show(score)} ({chosen})")
    return f"Best: {'; '.join(said)}." if said else "Every trial failed."


def span(name, scale, score):
    """Say from where to where a hyperparameter reaches, or the mean scores at each of a few values."""
    if scale.kind != "even":
        return f"{name} from {scale.text[0]} to {scale.text[1]} on a {scale.kind} scale"
    parts = []
    for tick, text in zip(scale.ticks, scale.text, strict=True):
        here = score[scale.at.round() == tick].dropna()
        reach = dict.fromkeys(show(value) for value in here.agg(["min", "max"]).dropna())
        parts.append(f"{text} {' to '.join(reach) or 'none'}")
    return f"mean scores by {name}: {', '.join(parts)}"
