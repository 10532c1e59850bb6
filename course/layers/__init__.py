"""The recurrent cells, what wraps them, and how they start: used as `keras.layers.RNN(LSTMCell(32))`."""

from course.layers.cells import GRUCell, LSTMCell, MinGRUCell, PeepholeLSTMCell, RNNCell
from course.layers.initializers import Chrono, ForgetBias, SparseRadius
from course.layers.regularizers import OmegaCell, Orthogonality
from course.layers.skip import DilatedRNN, ResidualCell, SkipCell, SkipRNN

__all__ = [
    "Chrono",
    "DilatedRNN",
    "ForgetBias",
    "GRUCell",
    "LSTMCell",
    "MinGRUCell",
    "OmegaCell",
    "Orthogonality",
    "PeepholeLSTMCell",
    "RNNCell",
    "ResidualCell",
    "SkipCell",
    "SkipRNN",
    "SparseRadius",
]
