"""What networks read: tasks with a dial for difficulty, grammars, real series, digits, text. No Keras."""

from course.sequences.datasets import co2, digits, series, sunspots
from course.sequences.grammars import (
    PRODUCTS,
    REBER_SYMBOLS,
    VOCABULARY,
    embedded_reber,
    reber_best,
    reber_closing,
    sentences,
    words,
)
from course.sequences.tasks import adding, copy_memory, recall, reversal, temporal_order
from course.sequences.text import manual, shakespeare

__all__ = [
    "PRODUCTS",
    "REBER_SYMBOLS",
    "VOCABULARY",
    "adding",
    "co2",
    "copy_memory",
    "digits",
    "embedded_reber",
    "manual",
    "reber_best",
    "reber_closing",
    "recall",
    "reversal",
    "sentences",
    "series",
    "shakespeare",
    "sunspots",
    "temporal_order",
    "words",
]
