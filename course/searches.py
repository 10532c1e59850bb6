"""Searches by name, so that a notebook, a chief and its workers all run the same: `course.searches:digits_by_row`."""

from course import datasets
from course.hypermodels import build_hypermodel


def digits_by_row():
    """Return the arguments of `tuning.search`, but for the directory, of the search in lesson 12.

    Handwritten digits read row by row, with so few training examples, 96, that a large network learns them by heart.
    """
    return {
        "hypermodel": build_hypermodel(
            (8, 8),
            10,
            cell=["RNN", "LSTM", "GRU"],
            units=(8, 64),
            layers=[1, 2],
            dropout=(0.0, 0.6),
            recurrent_dropout=(0.0, 0.6),
            learning_rate=(1e-3, 3e-2),
        ),
        "data": datasets.digits("row", train=96, validation=100, test=350),
        "max_trials": 100,
        "executions": 2,
        "epochs": 30,
        "patience": 10,
        "batch_size": 16,  # divides 96: a smaller batch at the end would be compiled for itself
    }
