"""Pictures of gradients: against distance, over epochs and time steps, per weight, and the Jacobian's spectrum.

As in `plots`: `ax=None` in, `ax` out. Each says in its alternative text what it drew, for `basics.show(ax)`.
"""

from course.plots import basics
from matplotlib.colors import LogNorm
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
    epochs: the number of the first row, or of every row; 0, 1, 2 … by default.
    limits: (lowest, highest) norm of the colour scale, for maps to be compared; by default those of `norms`.
    """
    norms = np.asarray(norms, dtype=float)
    if norms.ndim != 2 or not norms.size:
        raise ValueError(f"norms must have shape (epochs, T), got {norms.shape}.")
    ax = basics.axes(ax, xlabel="time step t", ylabel="epoch", **labels)
    drawable = np.isfinite(norms) & (norms > 0)
    shown = np.ma.masked_where(~drawable, norms)
    high = shown.max() if drawable.any() else 1.0
    low = max(shown.min(), high * 1e-12) if drawable.any() else 0.1
    low, high = limits or (low, high)
    E, T = norms.shape
    start = 0 if epochs is None else np.ravel(epochs)[0]
    extent = (0.5, T + 0.5, start + E - 0.5, start - 0.5)
    ax.set_facecolor("0.7")
    ax.grid(False)
    scale = LogNorm(low if low < high else high / 10, high)
    image = ax.imshow(np.ma.clip(shown, low, None), aspect="auto", extent=extent, norm=scale, interpolation="nearest")
    ax.figure.colorbar(image, ax=ax, label=r"$\Vert dL/dh_t \Vert$")
    first, last = (f"{row[0]:.1e} at step 1 and {row[-1]:.1e} at step {T}" for row in norms[[0, -1]])
    return basics.describe(
        ax, f"Heat map of gradient norms over epochs and time steps. First row: {first}; last row: {last}."
    )


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
