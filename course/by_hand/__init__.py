"""Forward and backward passes in NumPy, term by term, without Keras."""

from course.by_hand.backward import finite_differences, rnn_backward, terms_by_distance, truncated_backward
from course.by_hand.forward import ACTIVATIONS, gru_forward, lstm_forward, rnn_forward, sigmoid

__all__ = [
    "ACTIVATIONS",
    "finite_differences",
    "gru_forward",
    "lstm_forward",
    "rnn_backward",
    "rnn_forward",
    "sigmoid",
    "terms_by_distance",
    "truncated_backward",
]
