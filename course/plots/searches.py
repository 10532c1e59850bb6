"""Pictures of a search for hyperparameters: score against each of them, all at once, learning curves, best so far.

As in `plots`: `ax=None` in, `ax` out, the alternative text attached; titles are the caller's. `table` is what
`tuning.search` returned: a row per execution, with columns trial, score (NaN: the execution failed) and one per
hyperparameter. A trial's score is the mean over its executions; if one of these failed, the trial has failed.
`maximize` says whether a larger score is better.
"""

from course import arguments
from course.plots import basics
from course.plots.scales import Scale, ends, frame, legend, panels, ranked, scaled, show, span, strip, winners
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
import matplotlib.pyplot as plt
from matplotlib.ticker import MaxNLocator
import numpy as np
import pandas as pd

MARKERS, CROSS = "osD^vPX", {"color": "#882255", "linestyle": "none", "marker": "x", "markeredgewidth": 1.5}
LINEAR = ("dropout", "recurrent_dropout")
COSTS = {"epochs": "epochs trained", "seconds": "seconds of training", "trials": "trials"}


def scores(table, choices, axes=None, maximize=True, linear=LINEAR):
    """Draw the score against each hyperparameter in `choices`, a panel each; return the panels.

    table: needs trial, score and the columns in `choices`. Positive numbers that span more than a factor of 10 get a
    log axis, if not in `linear`; words and a few integers stand evenly spaced, trials of equal value side by side.
    axes: as many as `choices`, or None. The legend stands below the figure, or the subfigure, of the axes.
    """
    table = frame("table", table, "score")
    trials = ranked(table, maximize)
    scales = scaled(table, choices, trials, linear)
    axes = np.ravel(panels(len(scales)) if axes is None else axes)
    if len(axes) != len(scales):
        raise ValueError(f"axes must be {len(scales)}, one for each of choices, got {len(axes)}.")
    done, failed, scored = table.dropna(subset="score"), table[table["score"].isna()], trials.dropna()
    low, high = ends(table["score"])
    floor, top = low - 0.06 * (high - low), high + 0.12 * (high - low)
    bare = {"linestyle": "none", "color": "black"}
    for ax, (name, scale) in zip(axes, scales.items(), strict=True):
        x = 10**scale.at if scale.kind == "log" else scale.at
        ax.vlines(x[scored.index], scored["low"], scored["high"], color="0.5", linewidth=1, zorder=2)
        ax.plot(x[scored.index], scored["score"], "o", **bare | {"color": "#56B4E9"}, label="trial, mean")
        ax.plot(x[done["trial"]], done["score"], ".", **bare, markersize=3.5, zorder=4, label="execution")
        for best, score in scored["score"][:1].items():
            star = bare | {"color": "#E69F00", "markeredgecolor": "black", "markersize": 14, "zorder": 3}
            ax.plot(x[[best]], [score], "*", **star, label=f"best, trial {best}")
        first = getattr(ax.get_subplotspec(), "is_first_col", lambda: True)()
        ax.set(xlabel=name, ylabel="score" if first else "", ylim=(floor, top))
        scale.mark(ax)
        if len(failed):  # below what the axis measures, those of one trial above each other
            rows = failed.groupby("trial").cumcount()
            heights = strip(ax, floor, rows.max() + 1, 0.14)
            ax.plot(x[failed["trial"]], heights[rows], **CROSS, label="failed, no score")
        if not len(scored):
            ax.text(0.5, 0.5, "every\ntrial\nfailed", ha="center", va="center", transform=ax.transAxes)
    legend(axes[0], axes[0].figure, loc="outside lower center", ncols=4, fontsize=9)
    said = f"trials: {len(trials)}, executions: {len(table)}, of which failed: {len(failed)}"
    parts = "; ".join(span(name, scale, trials["score"]) for name, scale in scales.items())
    best = winners(table, trials, choices, 1)
    return basics.describe(axes, f"Score by hyperparameter; {said}. {best} Panels: {parts}.")


def parallel(table, choices, ax=None, maximize=True, linear=LINEAR):
    """Draw a line per trial through an axis per hyperparameter to its mean score; the best five are thick.

    table: needs trial, score and the columns in `choices`. Scales are those of `scores`, with their ends written at
    them; that of the score is linear. Trials that failed are grey dashes that end in a cross.
    """
    table = frame("table", table, "score")
    trials = ranked(table, maximize)
    scales = scaled(table, choices, trials, linear)
    ax = basics.axes(plt.subplots(figsize=(7.6, 4))[1] if ax is None else ax, ylim=(-0.07, 1.1))
    mean, failed = trials["score"], trials["score"].isna()
    ticks = sorted(set(mean.agg(["min", "max"]).dropna()))
    columns = scales | {"mean_score": Scale("linear", mean, ends(mean), ticks, [show(tick) for tick in ticks])}
    heights = pd.DataFrame({name: scale.height(scale.at) for name, scale in columns.items()}).fillna(-0.13)
    shades = plt.get_cmap("viridis")(np.linspace(0, 0.9, 256))  # without the yellow that white paper swallows
    colours = ScalarMappable(Normalize(*ends(mean)), ListedColormap(shades[:: -1 if maximize else 1]))
    for rank, (trial, line) in enumerate(heights.iterrows()):
        style = {"color": colours.to_rgba(mean[trial]), "linestyle": "-", "linewidth": 2.8 if rank < 5 else 1}
        label = "one of the best five" if rank < 5 else "trial"
        if failed[trial]:
            style, label = {"color": "0.6", "linestyle": (0, (4, 2)), "linewidth": 1}, "failed, no score"
        ax.plot(range(len(columns)), line, **style, zorder=3 - rank / len(trials), label=label)
    if failed.any():
        ax.set_ylim(-0.2, 1.1)
        ax.plot(len(scales), -0.13, **CROSS, zorder=4)
        ax.annotate("failed", (len(scales), -0.13), xytext=(6, 0), textcoords="offset points", va="center", size=9)
    for k, scale in enumerate(columns.values()):
        ax.plot([k, k], [0, 1], color="0.2", linewidth=1, linestyle="-", zorder=1.5)
        for y, text in zip(map(scale.height, scale.ticks), scale.text, strict=True):
            shift, va = {0: (-3, "top"), 1: (3, "bottom")}.get(y, (0, "center"))
            box = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 0.8}
            place = {"xytext": (0, shift), "textcoords": "offset points", "ha": "center", "va": va}
            ax.annotate(text, (k, y), **place, size=9, bbox=box, zorder=5)
    names = [name.replace("_", "\n") + "\n(log)" * (scale.kind == "log") for name, scale in columns.items()]
    ax.set_xticks(range(len(columns)), names)
    ax.tick_params(length=0)
    ax.set_yticks([])
    ax.grid(False)
    ax.spines[["left", "bottom"]].set_visible(False)
    if not failed.all():
        ax.figure.colorbar(colours, ax=ax, label="mean score", pad=0.01)
    for handle in legend(ax, ax.figure, loc="outside lower center", ncols=3, fontsize=9).legend_handles:
        handle.set_color("0.4")
    said = f"trials: {len(trials)}, of which failed: {failed.sum()}"
    axes = "; ".join(span(name, scale, mean) for name, scale in scales.items())
    return basics.describe(ax, f"Parallel coordinates; {said}. {winners(table, trials, choices, 5)} Axes: {axes}.")


def learning_curves(curves, table, metric="val_loss", best=5, ax=None, maximize=True):
    """Draw `metric` over the epochs of the `best` best trials: median and range over executions, training dashed.

    curves: needs trial, execution, epoch, `metric` and, where that begins with val_, the same without.
    table: needs trial, execution, score and best_epoch. An execution that stopped early counts as long as it trained.
    The best epoch of each execution is marked at its own value.
    """
    table = frame("table", table, "score", "execution", "best_epoch")
    curves = frame("curves", curves, "execution", "epoch")
    numbers = [name for name in curves.select_dtypes("number") if name not in ("trial", "execution", "epoch")]
    training = arguments.one_of("metric", metric, numbers).removeprefix("val_")
    if training not in numbers:
        raise ValueError(f"curves must have numbers in a column {training}, beside {metric}, got {list(curves)}.")
    shown = ranked(table, maximize).dropna()[: arguments.integer("best", best, at_least=1)]
    ax, said = basics.axes(ax, xlabel="epoch", ylabel=metric), []
    runs = curves.merge(table[["trial", "execution", "best_epoch"]], on=["trial", "execution"])
    for rank, (trial, score) in enumerate(shown["score"].items()):
        own = runs[runs["trial"] == trial]
        if missing := {*table["execution"][table["trial"] == trial]} - {*own["execution"]}:
            raise ValueError(f"curves must have all executions of trial {trial}, got none of {sorted(missing)}.")
        epochs = own.groupby("epoch")[metric].agg(["median", "min", "max"])
        at = own[own["epoch"] == own["best_epoch"]]
        every = max(1, len(epochs) // 6)
        style = {"marker": MARKERS[rank % 7], "markevery": (rank * every // 5 % len(epochs), every), "linestyle": "-"}
        (line,) = ax.plot(epochs["median"], **style, label=f"trial {trial}: {show(score)}")
        ax.fill_between(epochs.index, epochs["min"], epochs["max"], color=line.get_color(), alpha=0.15, linewidth=0)
        if training != metric:
            thin = style | {"linestyle": "--", "linewidth": 1.1, "markersize": 4, "markerfacecolor": "white"}
            ax.plot(own.groupby("epoch")[training].median(), **thin, color=line.get_color())
        big = {"marker": MARKERS[rank % 7], "markersize": 9, "markeredgecolor": "black", "linestyle": "none"}
        ax.plot(at["epoch"], at[metric], **big, color=line.get_color(), zorder=4)
        way = (
            f"from {show(epochs['median'].iloc[0])} to {show(epochs['median'].iloc[-1])} in {epochs.index[-1]} epochs"
        )
        stops = ", ".join(map(str, sorted(at["epoch"])))
        said.append(f"trial {trial}, score {show(score)}: {way}, best at {stops}")
    if not said:
        ax.set(xticks=[], yticks=[])
        ax.text(0.5, 0.5, "every trial failed", ha="center", transform=ax.transAxes)
        return basics.describe(ax, f"No learning curves of {metric}: every trial failed.")
    ax.plot([], [], color="0.3", linestyle="-", label=f"{metric}, median\nand range")
    if training != metric:
        ax.plot([], [], color="0.3", linestyle="--", linewidth=1.1, label=f"{training}, median")
    ax.plot([], [], **big | {"marker": "o", "color": "white"}, label="best epoch")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=9)
    return basics.describe(ax, f"Learning curves of {metric}, median over executions: {'; '.join(said)}.")


def best_so_far(tables, cost="epochs", ax=None, maximize=True):
    """Draw the best mean score of the trials so far, in the order of their numbers, against what they cost.

    tables: {label: table}, each with trial, score and, unless `cost` is "trials", a column "epochs" or "seconds", summed
    over executions. A failed trial costs what it spent and is a cross on the line; before the first score it stands
    at the lower edge, beside its label.
    """
    arguments.one_of("cost", cost, COSTS)
    if not isinstance(tables, dict) or not tables:
        raise ValueError(f"tables must be a dict with a table for each label, got {tables!r}.")
    ax, said, early = basics.axes(ax, xlabel=COSTS[cost], ylabel="best mean score so far"), [], {}
    for (label, table), marker in zip(tables.items(), MARKERS * len(tables), strict=False):
        table = frame(f"tables[{label!r}]", table, "score", *({cost} - {"trials"}))
        score = ranked(table, maximize)["score"].sort_index()
        spent = (table.groupby("trial")[cost].sum() if cost != "trials" else score.notna() | True).cumsum()
        level = (score.cummax() if maximize else score.cummin()).ffill()
        done, failed = level.notna(), score.isna()
        better = np.flatnonzero(level[done] != level[done].shift())
        name = label if done.any() else f"{label}: every trial failed"
        ax.step(spent[done], level[done], where="post", marker=marker, markevery=list(better), label=name)
        if (failed & done).any():
            ax.plot(spent[failed & done], level[failed & done], **CROSS, zorder=4, label="failed trial")
        early |= {} if done.all() else {label: spent[~done]}
        steps = ", ".join(f"{show(level[done].iloc[k])} after {show(spent[done].iloc[k])}" for k in better)
        counts = f"trials: {len(score)}, of which failed: {failed.sum()}, in all {spent.iloc[-1]:.4g}"
        said.append(f"{name}: {steps or 'no score'}; {counts}")
    heights = strip(ax, ax.get_ylim()[0], len(early), 0.07 * len(early)) if early else []
    for y, (label, x) in zip(heights, early.items(), strict=True):
        ax.plot(x, [y] * len(x), **CROSS, label="failed trial")
        ax.annotate(label, (x.iloc[-1], y), xytext=(7, 0), textcoords="offset points", va="center", size=9)
    ax.set_xlim(left=0)
    legend(ax, handlelength=3)
    return basics.describe(ax, f"Best mean score so far against {COSTS[cost]}. {'. '.join(said)}.")
