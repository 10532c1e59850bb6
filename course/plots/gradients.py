"""Pictures of gradients: against distance, over epochs and time steps, per weight, and the Jacobian's spectrum.

As in `plots`: `ax=None` in, `ax` out. Each says in its alternative text what it drew, for `basics.show(ax)`.
"""

from course.plots import basics
from matplotlib.colors import LogNorm
import matplotlib.pyplot as plt
from matplotlib.ticker import MaxNLocator
import numpy as np


def norm_by_distance(norms, ax=None, predicted=None, fit=True, **labels):
    """Draw gradient norms against the distance to the last step, on a log axis, with fitted and predicted slopes.

    norms: {label: ‖dL/dh_t‖ for t = 1 … T, (T,)}; the distance of step t is T − t.
    predicted: {label: factor per step}; drawn in black dots, from the norm at distance 0.
    fit: whether the fitted factor per step (least squares on the logarithms) is added to the label.
    """
    ax = basics.axes(ax, yscale="log", xlabel="distance to the last step, T − t", ylabel=r"$\Vert dL/dh_t \Vert$")
    ax.set(**labels)
    said = []
    for (label, values), marker in zip(norms.items(), "osD^vPX*" * len(norms), strict=False):
        values = np.asarray(values, dtype=float)[::-1]
        distance = np.arange(len(values))
        drawn = np.isfinite(values) & (values > 0)
        if fit and drawn.sum() > 1:
            factor = np.exp(np.polyfit(distance[drawn], np.log(values[drawn]), 1)[0])
            label_drawn, text = f"{label}: ×{factor:.2f} a step", f"{label}: by a factor of {factor:.3g} per step"
        else:
            label_drawn, text = label, label
        step = max(1, len(values) // 12)
        ax.plot(distance[drawn], values[drawn], marker=marker, markevery=step, label=label_drawn)
        if drawn.any():
            text += f", from {values[drawn][0]:.1e} to {values[drawn][-1]:.1e} at distance {distance[drawn][-1]}"
        said.append(text)
        if predicted and label in predicted:
            line = values[0] * float(predicted[label]) ** distance
            ax.plot(distance, line, color="black", linestyle=":", linewidth=1.1, zorder=3)
    if predicted:
        ax.plot([], [], color="black", linestyle=":", linewidth=1.1, label="predicted")
    ax.legend(fontsize=9)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    return basics.describe(ax, "Gradient norm against distance to the last step, log scale. " + "; ".join(said) + ".")


def gradient_heatmap(norms, ax=None, epochs=None, limits=None, **labels):
    """Draw gradient norms (epochs, T) as a heat map: epochs down, time steps across, log colour.

    Zeros and values that are not finite have no logarithm: they are drawn in grey.
    epochs: the number of the first row, or of every row, rising; 0, 1, 2 … by default. A row reaches halfway to the next.
    limits: (lowest, highest) norm of the colour scale, for maps to be compared; by default those of `norms`.
    """
    norms = np.asarray(norms, dtype=float)
    ax, image = _map(norms, ax, epochs, limits, **labels)
    ax.figure.colorbar(image, ax=ax, label=r"$\Vert dL/dh_t \Vert$")
    first, last = (f"{row[0]:.1e} at step 1 and {row[-1]:.1e} at step {norms.shape[1]}" for row in norms[[0, -1]])
    return basics.describe(
        ax, f"Heat map of gradient norms over epochs and time steps. First row: {first}; last row: {last}."
    )


def gradient_flow(history, epochs=None, width=3.4, **labels):
    """Draw what `GradientFlow` measured: a heat map for each layer and state, in a grid, under one colour scale.

    history: {layer: {state: norms (epochs, T)}}, as `GradientFlow.history`; epochs: as for `gradient_heatmap`.
    width: of a panel, in inches. Returns the array of the axes that hold a map.
    """
    maps = {
        f"{layer}: {state}": np.asarray(norms, float) for layer in history for state, norms in history[layer].items()
    }
    if not maps:
        raise ValueError("history must hold at least one layer, got none: nothing was measured yet.")
    limits = _limits(np.concatenate([norms.ravel() for norms in maps.values()]))
    columns = min(len(maps), 1 if len(maps) == 1 else 2 if len(maps) < 5 else 4)
    rows = -(-len(maps) // columns)
    size = (width * (columns + 0.3 if columns > 1 else 2), 1.9 * rows + 0.6)
    figure, grid = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    for ax, (title, norms) in zip(grid.flat, maps.items(), strict=False):
        _, image = _map(norms, ax, epochs, limits, **labels)
        ax.set_title(title, fontsize=8)
        ax.set(xlabel="", ylabel="")
    for ax in grid.flat[len(maps) :]:
        ax.remove()
    figure.supxlabel("time step t")
    figure.supylabel("epoch")
    axes = grid.ravel()[: len(maps)]
    figure.colorbar(image, ax=list(axes), label=r"$\Vert dL/ds_t \Vert$")
    number = next(iter(maps.values())).shape[0] - 1 if epochs is None else np.ravel(epochs)[-1]
    last = "; ".join(
        f"{title} {v[-1][0]:.1e} at the first and {v[-1][-1]:.1e} at the last" for title, v in maps.items()
    )
    basics.describe(
        axes, f"Heat maps of gradient norms, epochs down, time steps across. After epoch {number}: {last} step."
    )
    return axes


def _limits(norms):
    """The lowest and the highest norm that a log scale of at most twelve decades shows."""
    shown = norms[np.isfinite(norms) & (norms > 0)]
    high = shown.max() if shown.size else 1.0
    low = max(shown.min(), high * 1e-12) if shown.size else 0.1
    return (low if low < high else high / 10), high


def _map(norms, ax, epochs, limits, **labels):
    if norms.ndim != 2 or not norms.size:
        raise ValueError(f"norms must have shape (epochs, T), got {norms.shape}.")
    ax = basics.axes(ax, xlabel="time step t", ylabel="epoch", **labels)
    E, T = norms.shape
    numbers = np.ravel(0 if epochs is None else epochs)
    numbers = numbers[0] + np.arange(E) if len(numbers) == 1 else numbers
    if len(numbers) != E or np.any(np.diff(numbers) <= 0):
        raise ValueError(f"epochs must be one number, or {E} rising ones, one for each row, got {epochs!r}.")
    low, high = limits or _limits(norms)
    shown = np.ma.clip(np.ma.masked_where(~(np.isfinite(norms) & (norms > 0)), norms), low, None)
    ax.set_facecolor("0.7")
    ax.grid(False)
    gaps, scale = np.diff(numbers), LogNorm(low if low < high else high / 10, high)
    if np.all(gaps == gaps[:1]):
        half = gaps[0] / 2 if E > 1 else 0.5
        extent = (0.5, T + 0.5, numbers[-1] + half, numbers[0] - half)
        image = ax.imshow(shown, aspect="auto", extent=extent, norm=scale, interpolation="nearest")
    else:
        middle = (numbers[1:] + numbers[:-1]) / 2
        edges = [numbers[0] - gaps[0] / 2, *middle, numbers[-1] + gaps[-1] / 2]
        image = ax.pcolormesh(np.arange(T + 1) + 0.5, edges, shown, norm=scale)
        ax.set_ylim(edges[-1], edges[0])
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    ax.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6, min_n_ticks=1))
    return ax, image


def saturation(shares, width=3.4):
    """Draw how often units and gates are saturated: a point per unit, share at the high end against share at the low.

    shares: {layer: {name: (H, 2)}}, what `course.gradients.saturation` returned; a panel for each layer. A unit at the
    corner 0, 0 always works in its steep part, one on the diagonal never does (Karpathy, Johnson & Fei-Fei 2015).
    width: of a panel, in inches. Returns the array of axes.
    """
    if not shares:
        raise ValueError("shares must hold at least one layer, got none.")
    size = (width * len(shares) + 1, width + 0.6)
    _, grid = plt.subplots(1, len(shares), figsize=size, squeeze=False, layout="constrained")
    said = []
    for ax, (layer, of_layer) in zip(grid[0], shares.items(), strict=True):
        basics.axes(ax, xlabel="share at the low end", ylabel="share at the high end", xlim=(-0.04, 1.04))
        ax.set(ylim=(-0.04, 1.04), aspect="equal")
        ax.set_title(layer, fontsize=9)
        ax.plot([0, 1], [1, 0], color="0.35", linewidth=1, linestyle=(0, (2, 2)), zorder=1)
        for (name, values), marker in zip(of_layer.items(), "osD^vPX*", strict=False):
            ax.plot(*np.transpose(values), marker, linestyle="", alpha=0.6, markersize=5, label=name)
            low, high = np.mean(values, axis=0)
            said.append(f"{layer} {name} {low:.0%} low and {high:.0%} high")
        ax.legend(fontsize=8)
    alt = "Share of steps at which each unit is saturated, low against high; the dashed line is always. Means: "
    return basics.describe(grid[0], f"{alt}{'; '.join(said)}.")


def weight_norms(norms, ax=None, threshold=None, **labels):
    """Draw gradient norms per weight over training, with the threshold at which gradients are clipped.

    norms: {weight: values (epochs,)}, such as the `grad_norm/…` entries of `History.history`.
    """
    ax = basics.axes(ax, yscale="log", xlabel="epoch", ylabel="gradient norm")
    length = len(next(iter(norms.values())))
    basics.lines(np.arange(1, length + 1), norms, ax, **labels)
    if threshold is not None:
        basics.level(ax, threshold, f"clipped above {threshold:g}")
    said = [f"{name} from {values[0]:.1e} to {values[-1]:.1e}" for name, values in norms.items()]
    clip = "" if threshold is None else f" Gradients are clipped above {threshold:g}."
    return basics.describe(ax, f"Gradient norms over {length} epochs, log scale: {'; '.join(said)}.{clip}")


def jacobian_spectrum(J, ax=None, **labels):
    """Draw the singular values of the Jacobians J (T, H, H) over time: largest, median and smallest, beside 1."""
    J = np.asarray(J, dtype=float)
    if J.ndim != 3 or J.shape[1] != J.shape[2]:
        raise ValueError(f"J must have shape (T, H, H), got {J.shape}.")
    values = np.linalg.svd(J, compute_uv=False)  # (T, H), the largest first
    largest, middle, smallest = values[:, 0], np.median(values, axis=1), values[:, -1]
    steps = np.arange(1, len(J) + 1)
    ax = basics.axes(ax, xlabel="time step t", ylabel="singular values of $J_t$")
    basics.lines(steps, {"largest": largest, "median": middle, "smallest": smallest}, ax, **labels)
    ax.fill_between(steps, smallest, largest, color="0.9", zorder=0)
    basics.level(ax, 1.0, "keeps the length")
    means = (
        f"{name} {np.mean(v):.2f}" for name, v in (("largest", largest), ("median", middle), ("smallest", smallest))
    )
    return basics.describe(
        ax, f"Singular values of the Jacobian at each of {len(J)} steps; means: {', '.join(means)}."
    )
