"""Draws what it is given: `ax=None` in, `ax` out; `show` puts a figure with its alternative text into the notebook."""

from course.plots.basics import axes, describe, level, lines, rates, show
from course.plots.diagrams import BLUE, GREEN, ORANGE, arrow, box, canvas, unrolled
from course.plots.dials import dial
from course.plots.gates import gates_over_words, lstm_cell
from course.plots.gradients import (
    gradient_flow,
    gradient_heatmap,
    jacobian_spectrum,
    norm_by_distance,
    saturation,
    weight_norms,
)
from course.plots.kinds import SEQUENCE_KINDS, sequence_kind
from course.plots.searches import best_so_far, learning_curves, parallel, scores

__all__ = [
    "BLUE",
    "GREEN",
    "ORANGE",
    "SEQUENCE_KINDS",
    "arrow",
    "axes",
    "best_so_far",
    "box",
    "canvas",
    "describe",
    "dial",
    "gates_over_words",
    "gradient_flow",
    "gradient_heatmap",
    "jacobian_spectrum",
    "learning_curves",
    "level",
    "lines",
    "lstm_cell",
    "norm_by_distance",
    "parallel",
    "rates",
    "saturation",
    "scores",
    "sequence_kind",
    "show",
    "unrolled",
    "weight_norms",
]
