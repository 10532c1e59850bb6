"""Tells a learner whether an answer is right and, if not, what to look at.

An exercise in `course/exercises` gives the right answer and the usual mistakes; what is compared, and how it is said,
is here. Nothing here raises because of a learner's answer: a wrong one, or one that crashes, gets a verdict.
"""

import dis
from typing import NamedTuple

import numpy as np

HARMLESS = {"RESUME", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST", "NOP", "MAKE_CELL", "COPY_FREE_VARS"}


class Verdict(NamedTuple):
    """What a check found. status: 'right', 'wrong' or 'not attempted'; message: one or two sentences."""

    status: str
    message: str

    def __repr__(self):
        return f"{ {'right': '✓', 'wrong': '✗', 'not attempted': '…'}[self.status] } {self.message}"


NOT_ATTEMPTED = Verdict("not attempted", "not attempted yet")


def right(message="Correct."):
    """The verdict on a right answer."""
    return Verdict("right", message)


def wrong(message):
    """The verdict on a wrong answer; `message` says what to look at."""
    return Verdict("wrong", message)


def value(answer, expected, *, mistakes=(), tolerance=1e-6, praise="Correct."):
    """Compare one answer (number, array or word) with the expected one.

    mistakes: pairs (wrong answer, what to look at); the first that fits is said.
    tolerance: how far off counts as right, relative to the largest number expected.
    """
    if answer is None or answer is ...:
        return NOT_ATTEMPTED
    if _agree(answer, expected, tolerance):
        return right(praise)
    for usual, advice in mistakes:
        if _agree(answer, usual, tolerance):
            return wrong(advice)
    return wrong(_difference(answer, expected))


def function(attempt, reference, cases, *, mistakes=(), time_axis=None, tolerance=1e-6, praise="Correct."):
    """Compare a learner's function with `reference` on every case, a tuple of arguments.

    mistakes: pairs (function that makes a usual mistake, what to look at); said when the attempt equals it on
        every case.
    time_axis: the axis of the result that is time; a difference is then placed at the first wrong time step.
    """
    if not is_attempt(attempt):
        return NOT_ATTEMPTED
    if not callable(attempt):
        return wrong(f"This is {_kind(attempt)}; a function is expected.")
    answers = []
    for case in cases:
        try:
            answers.append(attempt(*_copies(case)))
        except Exception as error:
            shapes = ", ".join(str(np.shape(argument)) for argument in case)
            return wrong(f"Your function raised {type(error).__name__}: {error} (called with shapes {shapes}).")
    if any(answer is None or answer is ... for answer in answers):
        return wrong("Your function returns nothing: is a `return` missing?")
    expected = [reference(*_copies(case)) for case in cases]
    pairs = list(zip(answers, expected, strict=True))
    if all(_agree(*pair, tolerance) for pair in pairs):
        return right(praise)
    for usual, advice in mistakes:
        try:
            results = [usual(*_copies(case)) for case in cases]
        except ValueError:  # a mistake that does not fit these shapes cannot be the learner's
            continue
        if all(_agree(answer, result, tolerance) for answer, result in zip(answers, results, strict=True)):
            return wrong(advice)
    answer, want = next(pair for pair in pairs if not _agree(*pair, tolerance))
    return wrong(_difference(answer, want, time_axis, tolerance))


def _agree(answer, expected, tolerance):
    if isinstance(expected, str):
        return isinstance(answer, str) and answer.strip().lower() == expected.lower()
    if isinstance(expected, (tuple, list)):
        same_length = isinstance(answer, (tuple, list)) and len(answer) == len(expected)
        return same_length and all(_agree(a, e, tolerance) for a, e in zip(answer, expected, strict=True))
    numbers, expected = _numbers(answer), np.asarray(expected, dtype=float)
    if numbers is None or numbers.shape != expected.shape:
        return False
    # Relative to the largest number: the rounding of a sum is that of its largest term.
    scale = np.max(np.abs(expected), initial=np.finfo(float).tiny)
    return bool(np.allclose(numbers, expected, rtol=0, atol=tolerance * scale))


def _difference(answer, expected, time_axis=None, tolerance=1e-6):
    if isinstance(expected, str):
        return (
            f"{answer!r} is not the answer." if isinstance(answer, str) else f"This is {_kind(answer)}, not a word."
        )
    if isinstance(expected, (tuple, list)):
        if not isinstance(answer, (tuple, list)) or len(answer) != len(expected):
            return f"{len(expected)} results are expected, together in a tuple; got {_kind(answer)}."
        for place, (a, e) in enumerate(zip(answer, expected, strict=True), 1):
            if not _agree(a, e, tolerance):
                return f"Result {place} of {len(expected)}: {_difference(a, e, time_axis, tolerance)}"
    numbers, expected = _numbers(answer), np.asarray(expected, dtype=float)
    if numbers is None:
        return f"This is {_kind(answer)}; numbers are expected."
    if numbers.shape != expected.shape:
        return f"The shape is {numbers.shape}, expected is {expected.shape}."
    if not np.all(np.isfinite(numbers)):
        return "The result holds NaN or infinite numbers."
    gap = np.abs(numbers - expected)
    if time_axis is not None:
        scale = np.max(np.abs(expected), initial=np.finfo(float).tiny)
        by_step = gap.max(axis=tuple(axis for axis in range(gap.ndim) if axis != time_axis))
        wrong_steps = np.flatnonzero(by_step > tolerance * scale) + 1
        return (
            f"{len(wrong_steps)} of {len(by_step)} time steps differ, the first in your order of work to look at: "
            f"t = {wrong_steps[0]} going forwards, t = {wrong_steps[-1]} going backwards."
        )
    if expected.ndim == 0:
        return f"{float(numbers):.6g} is not it."
    return f"The shape is right, the numbers are not: the largest difference is {gap.max():.2g}."


def _numbers(answer):
    try:
        numbers = np.asarray(answer, dtype=float)
    except (TypeError, ValueError):
        return None
    return numbers


def _kind(answer):
    return f"a {type(answer).__name__}" + (f" of {len(answer)}" if isinstance(answer, (tuple, list)) else "")


def _copies(case):
    """An attempt that writes into its arguments must not spoil them for the next one."""
    return [argument.copy() if isinstance(argument, np.ndarray) else argument for argument in case]


def is_attempt(answer):
    """Whether an answer is more than the stub: not `...`, and not a function that does nothing but return None."""
    if answer is None or answer is ...:
        return False
    if not hasattr(answer, "__code__"):
        return True
    steps = list(dis.get_instructions(answer.__code__))
    constants = [step.argval for step in steps if step.opname in ("LOAD_CONST", "RETURN_CONST")]
    return not (all(step.opname in HARMLESS for step in steps) and constants == [None])
