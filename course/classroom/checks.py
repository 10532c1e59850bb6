"""Tells a learner whether an answer is right and, if not, what to look at.

    check.typical_factor()         # the verdict on what the notebook calls typical_factor
    check.typical_factor.hint(1)   # the first hint

An exercise in `course/classroom/exercises` gives the right answer, the usual mistakes and the hints; what is compared,
and how it is said, is here. Whatever an answer does, raise or never come back, it gets a verdict. (One thing cannot be
stopped: a single call into C that never returns, such as sum(itertools.count()), holds the interpreter itself.)
"""

import ctypes
import dis
import inspect
import math
import reprlib
import sys
import threading
from typing import NamedTuple

import numpy as np

HARMLESS = {"RESUME", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST", "NOP", "MAKE_CELL", "COPY_FREE_VARS"}
NEARLY = 3e-4  # a usual mistake is recognised though the learner has rounded it


class Verdict(NamedTuple):
    """What a check found. status: 'right', 'wrong' or 'not attempted'; message: one or two sentences."""

    status: str
    message: str

    def __repr__(self):
        return f"{ {'right': '✓', 'wrong': '✗', 'not attempted': '…'}[self.status] } {self.message}"


class Hint(str):
    """A sentence that a notebook shows without quotation marks."""

    __repr__ = str.__str__


class Check:
    """The check of one exercise: called, it gives a Verdict.

    name: the exercise's, under which the notebook holds the learner's answer.
    judge: a function from an answer to a Verdict.
    hints: sentences, each of which says more than the one before.
    mistakes: pairs (wrong answer, what the verdict on it says); the tests feed each to the check.
    """

    def __init__(self, name, judge, hints, mistakes=()):
        self.name, self.judge, self.hints, self.mistakes = name, judge, hints, mistakes

    def __call__(self, *answer):
        """The verdict on `answer`; without one, on what the notebook that calls has under the exercise's name."""
        if not answer:
            notebook = sys._getframe(1).f_globals
            if self.name not in notebook:
                return Verdict("not attempted", f"there is no {self.name} yet: run the cell above first")
            answer = (notebook[self.name],)
        if not is_attempt(*answer):
            return Verdict("not attempted", f"not attempted yet (a hint: check.{self.name}.hint(1))")
        try:
            return self.judge(*answer)
        except Exception as error:  # an object with a will of its own: one whose length raises, say
            return wrong(f"This is {_kind(*answer)} that cannot be compared: {_first_line(error)}")

    def hint(self, number=1):
        """Hint 1, 2, …"""
        if number not in range(1, len(self.hints) + 1):
            return Hint(f"There are {len(self.hints)} hints: check.{self.name}.hint(1) to .hint({len(self.hints)}).")
        return Hint(f"Hint {number} of {len(self.hints)}: {self.hints[number - 1]}")


def right(message="Correct."):
    """The verdict on a right answer."""
    return Verdict("right", message)


def wrong(message):
    """The verdict on a wrong answer; `message` says what to look at."""
    return Verdict("wrong", message)


def judged(hints):
    """Make a function from an answer to a Verdict the check of the exercise with its name."""
    return lambda judge: Check(judge.__name__, judge, hints)


def value(name, expected, *, hints, mistakes=(), tolerance=1e-9, praise="Correct.", otherwise=""):
    """The check of an exercise whose answer is one number or word.

    mistakes: pairs (wrong answer, what to look at).
    tolerance: how far off counts as right, relative to the number expected.
    otherwise: what is said to a wrong answer that is no usual mistake.
    """

    def judge(answer):
        if _agree(answer, expected, tolerance):
            return right(praise)
        for usual, advice in mistakes:
            if _agree(answer, usual, NEARLY):
                return wrong(advice)
        difference = _difference(answer, expected)
        return wrong(f"{difference[0].upper()}{difference[1:]} {otherwise}".strip())

    return Check(name, judge, hints, mistakes)


def function(
    cases, *, hints, mistakes=(), parts=None, time=None, tolerance=1e-5, seconds=5, praise="Correct.", remark=None
):
    """Make a function that gives the right answer the check of the exercise with its name and its arguments.

    cases: a function that returns a list of tuples of arguments, the same each time. A right answer that has written
        into them, or changed the weights of a model among them, is told so.
    mistakes: pairs (function that makes a usual mistake, what to look at); said when the attempt gives, or raises, the
        same on every case. So on some case each must differ from the right answer and from every other mistake.
    parts: where several results are returned, {name: mistakes in this one}, in their order.
    time: 'forwards' or 'backwards' where axis 1 of the (first) result is time, in the order in which it is worked out.
    seconds: how long one call may take.
    remark: a function of the attempt's result, or Raised, and the case on which it is wrong; returns a sentence to
        add, or "".
    """

    def decorate(reference):
        names = list(inspect.signature(reference).parameters)

        def judge(attempt):
            if not callable(attempt):
                return wrong(f"This is {_kind(attempt)}; a function is expected.")
            ours, answers = cases(), []
            expected = [_trusted(reference, case) for case in ours]

            def told(case, difference, answer=None):
                added = remark(answer, *case) if remark else ""
                return wrong(f"For {_shown(names, case)}: {difference} {added}".strip())

            given = cases()
            for case, want in zip(given, expected, strict=True):
                answers.append(call(attempt, *case, seconds=seconds))
                if isinstance(answers[-1], Raised) and isinstance(answers[-1].error, _Late):
                    return told(case, f"{came_of(answers[-1])}{_wanted(want)}.")
            if all(answer is None for answer in answers):
                return wrong("Your function returns nothing: is a `return` missing?")
            stages = [("", answers, expected, mistakes)]  # the whole result, and the first part of it that is wrong
            if parts and all(_count(answer) == len(parts) for answer in answers):
                of_parts = zip(parts, zip(*answers, strict=True), zip(*expected, strict=True), strict=True)
                stages += [(name, got, want, parts[name]) for name, got, want in of_parts]
            stages = [stage for stage in stages if not _all_agree(*stage[1:3], tolerance)][:2]
            if not stages and (changed := _changed(names, given, ours)):
                return wrong(f"Right, but your function has changed its argument {changed}: work on a copy of it.")
            if not stages:
                return right(praise)
            for name, got, want, usual in stages:
                for mistake, advice in usual:
                    if _all_agree(got, (_trusted(mistake, case) for case in ours), tolerance, want):
                        return wrong(f"{name}: {advice}" if name else advice)
            name, got, want, _ = stages[-1]
            differing = [not _agree(*pair, tolerance) for pair in zip(got, want, strict=True)].index(True)
            in_time = time if name in ("", *list(parts or ())[:1]) else None
            difference = _difference(got[differing], want[differing], tolerance, in_time, of_function=True)
            return told(ours[differing], f"{name}: {difference}" if name else difference, got[differing])

        replaced = [
            (_with_part(reference, place, f), f"{name}: {say}")
            for place, name in enumerate(parts or {})
            for f, say in parts[name]
        ]
        return Check(reference.__name__, judge, hints, [*mistakes, *replaced])

    return decorate


def _with_part(reference, place, mistake):
    """The right answer with one of its results replaced."""
    return lambda *case: [
        mistake(*case) if place == number else result for number, result in enumerate(reference(*case))
    ]


class Raised(NamedTuple):
    """What came of a function instead of a result."""

    error: BaseException


class _Stopped(SystemExit):
    """Thrown into an attempt that takes too long. (A thread that ends by SystemExit says nothing.)"""


class _Late(Exception):
    """Stands for a result that did not come."""


def call(function, *arguments, seconds=5):
    """What a learner's function returns, or Raised(error), whatever it raises: also when it is late.

    It runs in a thread of its own, which works in a notebook and on every system; one that takes too long is stopped
    by an exception thrown into it, or left behind.
    """
    found = []

    def run():
        try:
            found.append(function(*arguments))
        except BaseException as error:
            found.append(Raised(error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        thread.join(seconds)
        late = thread.is_alive()
    finally:  # also when the learner interrupts the notebook
        for _ in range(20):
            if thread.is_alive():
                throw, here = ctypes.pythonapi.PyThreadState_SetAsyncExc, ctypes.c_ulong(thread.ident)
                throw(here, ctypes.py_object(_Stopped))
                thread.join(0.05)
    if late:
        left = " and cannot be stopped: wait, or restart the kernel" if thread.is_alive() else ""
        return Raised(_Late(f"had not come back after {seconds} seconds{left} (does a loop never end?)"))
    return found[0]


def _trusted(function, case):
    """As `call`, of a function of ours: at once and without a word."""
    try:
        with np.errstate(all="ignore"):
            return function(*case)
    except Exception as error:
        return Raised(error)


def _all_agree(answers, expected, tolerance, right=None):
    three = zip(answers, expected, right or expected, strict=True)
    return all(_agree(answer, want, tolerance, true) for answer, want, true in three)


def _agree(answer, expected, tolerance, right=None):
    if isinstance(expected, Raised):
        return isinstance(answer, Raised) and _first_line(answer.error) == _first_line(expected.error)
    if expected is None:
        return answer is None
    if isinstance(expected, str):
        return isinstance(answer, str) and answer.strip(" \n.!'\"").lower() == expected.lower()
    if isinstance(expected, (tuple, list)):
        rights = right if isinstance(right, (tuple, list)) and len(right) == len(expected) else expected
        return _count(answer) == len(expected) and _all_agree(answer, expected, tolerance, rights)
    found, expected = numbers(answer), np.asarray(expected, dtype=float)
    if found is None or found.shape != expected.shape:
        return False
    # Relative to the largest number: the rounding of a sum is that of its largest term.
    scale = max(
        np.max(np.abs(part), initial=0) for part in (expected, 0 if numbers(right) is None else numbers(right))
    )
    if not np.isfinite(scale):
        return np.array_equal(found, expected, equal_nan=True)
    return bool(np.allclose(found, expected, rtol=0, atol=tolerance * scale))


def _difference(answer, expected, tolerance=0, time=None, of_function=False):
    if isinstance(answer, Raised):
        return f"{came_of(answer)}{_wanted(expected)}."
    if expected is None or answer is None:
        return f"your function returns {reprlib.repr(answer)}{_wanted(expected)}."
    if isinstance(expected, str):
        return (
            f"{answer!r} is not the answer." if isinstance(answer, str) else f"this is {_kind(answer)}, not a word."
        )
    if isinstance(expected, (tuple, list)):
        if _count(answer) == len(expected):
            return "not all of the results are right."
        return f"{len(expected)} results are expected, together in a tuple; got {_kind(answer)}."
    found, expected = numbers(answer), np.asarray(expected, dtype=float)
    if found is None:
        return f"this is {_kind(answer)}; {'a number is' if expected.ndim == 0 else 'numbers are'} expected."
    if found.shape != expected.shape:
        return f"the shape is {found.shape}, expected is {expected.shape or 'a single number'}."
    if expected.ndim == 0:
        said = reprlib.repr(answer) if isinstance(answer, int) else f"{found:.9g}"
        return f"the answer {said} is not it{_wanted(expected) if of_function else ''}."
    if not np.all(np.isfinite(found)):
        return "the result holds NaN or infinite numbers."
    gap = np.abs(found - expected)
    if time:
        by_step = gap.max(axis=tuple(axis for axis in range(gap.ndim) if axis != 1))
        steps = np.flatnonzero(by_step > tolerance * np.max(np.abs(expected))) + 1
        first = steps[0] if time == "forwards" else steps[-1]
        return f"{len(steps)} of {len(by_step)} time steps differ; going {time}, the first is t = {first}."
    return f"the shape is right, the numbers are not: the largest difference is {gap.max():.2g}."


def numbers(answer):
    """The answer as an array of floats, or None: words, truth values and complex numbers are no numbers."""
    try:
        array = np.asarray(answer)
        if array.dtype == object:  # fractions, say, or whole numbers of any length
            array = np.array([_float(entry) for entry in array.flat]).reshape(array.shape)
        return array.astype(float) if array.dtype.kind in "iuf" else None
    except Exception:
        return None


def _float(entry):
    if isinstance(entry, (str, bytes, bool, complex)):
        raise TypeError
    try:
        return float(entry)
    except OverflowError:
        return math.inf


def number(answer):
    """A single finite number as a float, or None."""
    found = numbers(answer)
    return float(found) if found is not None and found.ndim == 0 and np.isfinite(found) else None


def _count(answer):
    """How many results an answer holds, or None."""
    several = isinstance(answer, (tuple, list)) or (isinstance(answer, np.ndarray) and answer.ndim > 0)
    return len(answer) if several else None


def _wanted(expected):
    """What to add about the right result, if it is short."""
    if expected is None or isinstance(expected, str):
        return f"; {expected!r} is expected"
    return f"; {float(expected):.6g} is expected" if number(expected) is not None else ""


def _shown(names, case):
    """The arguments of a case: small ones in full, others by shape."""
    in_full = sum(np.size(argument) for argument in case if isinstance(argument, np.ndarray)) <= 8
    shown = []
    for name, argument in zip(names, case, strict=False):
        if isinstance(argument, np.ndarray) and in_full:
            shown.append(f"{name} = {np.array2string(argument, separator=', ')}")
        elif hasattr(argument, "shape"):
            shown.append(f"{name} {argument.shape}")
        elif hasattr(argument, "layers"):
            shown.append(f"{name} {argument.name!r}")
        elif isinstance(argument, (int, float)):
            shown.append(f"{name} = {argument}")
    return ", ".join(shown)


def _kind(answer):
    if isinstance(answer, np.ndarray):
        what = {"U": "words", "S": "bytes", "b": "truth values", "c": "complex numbers"}
        return f"an array of {what.get(answer.dtype.kind, answer.dtype)}"
    name = type(answer).__name__
    many = f" of {len(answer)}" if isinstance(answer, (tuple, list)) else ""
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}{many}"


def came_of(raised):
    """What to say of a function that raised, or did not come back."""
    late = isinstance(raised.error, _Late)
    return f"your function {raised.error}" if late else f"your function raised {_first_line(raised.error)}"


def _first_line(error):
    try:
        text = str(error)
    except Exception:  # of the learner's own class, say
        text = ""
    return f"{type(error).__name__}: {(text.splitlines() or [''])[0][:300]}".removesuffix(": ")


def _changed(names, given, before):
    """The name of an argument that is no longer what it was, or None."""
    for case, old in zip(given, before, strict=True):
        for name, now, was in zip(names, case, old, strict=False):
            arrays = [
                [a] if isinstance(a, np.ndarray) else a.get_weights() if hasattr(a, "layers") else []
                for a in (now, was)
            ]
            if not all(
                np.allclose(*pair, rtol=1e-9, atol=1e-12, equal_nan=True) for pair in zip(*arrays, strict=True)
            ):
                return name
    return None


def is_attempt(answer):
    """Whether an answer is more than the stub: not `...`, and not a function that does nothing but return None."""
    if answer is None or answer is ...:
        return False
    if not inspect.isfunction(answer):
        return True
    steps = list(dis.get_instructions(answer))
    constants = [step.argval for step in steps if step.opname in ("LOAD_CONST", "RETURN_CONST")]
    return not (all(step.opname in HARMLESS for step in steps) and constants == [None])
