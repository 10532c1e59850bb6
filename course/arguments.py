"""Refuses bad arguments: every error names the argument, what was given and what is expected."""

from numbers import Integral, Real

import numpy as np


def integer(name, value, *, at_least=None, at_most=None):
    """Return `value` as an int, or raise TypeError (no integer) or ValueError (out of range)."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer, got {value!r}.")
    _in_range(name, value, at_least, at_most)
    return int(value)


def number(name, value, *, at_least=None, at_most=None, above=None, below=None):
    """Return `value` as a float, or raise TypeError (no number) or ValueError (out of range, NaN, infinite)."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}.")
    if not np.isfinite(value):
        raise ValueError(f"{name} must be finite, got {value!r}.")
    _in_range(name, value, at_least, at_most, above, below)
    return float(value)


def one_of(name, value, choices):
    """Return `value`, or raise ValueError listing the choices."""
    if value not in tuple(choices):
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}.")
    return value


def generator(name, value):
    """Return `value`, a `numpy.random.Generator`, or raise TypeError saying how to make one."""
    if not isinstance(value, np.random.Generator):
        raise TypeError(f"{name} must be a numpy.random.Generator, such as np.random.default_rng(0), got {value!r}.")
    return value


def array(name, value, shape):
    """Return `value` as an array, or raise ValueError.

    shape: what is expected, a tuple of sizes; a string or None in a place accepts any size there, and the
    string is the size's letter in the message: `array("x", x, ("B", "T", 2))`.
    """
    value = np.asarray(value)
    fits = value.ndim == len(shape) and all(
        given == wanted for given, wanted in zip(value.shape, shape, strict=True) if isinstance(wanted, int)
    )
    if not fits:
        wanted = (
            "(" + ", ".join("any" if s is None else str(s) for s in shape) + ("," if len(shape) == 1 else "") + ")"
        )
        raise ValueError(f"{name} must have shape {wanted}, got {value.shape}.")
    return value


def _in_range(name, value, at_least=None, at_most=None, above=None, below=None):
    wanted = [
        f"{word} {limit}"
        for word, limit, holds in (
            ("at least", at_least, at_least is None or value >= at_least),
            ("at most", at_most, at_most is None or value <= at_most),
            ("above", above, above is None or value > above),
            ("below", below, below is None or value < below),
        )
        if not holds
    ]
    if wanted:
        raise ValueError(f"{name} must be {' and '.join(wanted)}, got {value!r}.")
