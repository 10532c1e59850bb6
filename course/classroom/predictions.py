"""Takes a learner's guess before a surprise, and shows it beside the outcome.

A guess is an argument in a cell that the learner edits, so that it works wherever a notebook runs, and is never asked
for: `...` is fine. Nothing here raises because of what a learner writes; a guess that cannot be one gets a sentence.
"""

import json
from numbers import Real
import os
from pathlib import Path

FILE = Path("guesses.json")  # in the folder where the learner works; a class can collect these
_GUESSES = {}  # those of this lesson, by question


class Guess:
    """What was asked, what may be answered and what the learner answered: `made`, None where there is no guess."""

    def __init__(self, question, choices, unit, made):
        self.question, self.choices, self.unit, self.made = question, choices, unit, made
        self.right = None  # until the outcome is known

    def outcome(self, value, margin=0):
        """Print the guess beside what came out, `value`: one of the choices, or a number where a unit is given.

        margin: how far off a number may be to count as right. Raises ValueError for an outcome that nobody could
        have guessed.
        """
        possible = value in self.choices if self.choices else _is_number(value)
        if not possible:
            wanted = f"one of {self.choices}" if self.choices else "a number"
            raise ValueError(f"value must be {wanted}, got {value!r}.")
        if self.made is None:
            print(f"No guess this time. It is: {self._told(value)}.")
            return
        self.right = self.made == value if self.choices else bool(abs(self.made - value) <= margin)
        agree = "and so it is" if self.made == value else f"it is: {self._told(value)}"
        close = ", which counts as right" if self.right and self.made != value else ""
        print(f"You guessed: {self._told(self.made)}; {agree}{close}.")
        _keep(self, value)

    def _told(self, answer):
        return answer if self.choices else f"{answer:g} {self.unit}"


def guess(question, choices=None, *, unit=None, answer=None):
    """Take the learner's guess and return it as a `Guess`, whose `outcome` shows it beside what came out.

    question: a phrase, different from the lesson's other ones.
    choices: two to six texts of which the learner picks one, by its letter or in its words; or
    unit: what the number that is to be guessed counts, such as "steps".
    answer: the learner's guess; None or `...` for none.

    Raises ValueError if not exactly one of `choices` and `unit` is given, or if the choices are not different texts.
    """
    if (choices is None) == (unit is None):
        raise ValueError(f"Give either choices or a unit, got choices {choices!r} and unit {unit!r}.")
    if choices is not None and not (2 <= len(set(choices)) == len(choices) <= 6):
        raise ValueError(f"choices must be two to six different texts, got {choices!r}.")
    made = None if answer is None or answer is ... else _understood(answer, choices)
    guessed = _GUESSES[question] = Guess(question, choices, unit, made)
    offered = _offered(choices) if choices else f"a number of {unit}"
    if made is not None:
        print(f"Your guess: {guessed._told(made)}. Now run on.")
        _keep(guessed)
    elif answer is None or answer is ...:
        print(f"Your guess? In place of the dots write {offered}; or run on without.")
    else:
        print(f"{answer!r} is not a guess that can be kept. Write {offered}.")
    return guessed


def tally():
    """Say how many of the lesson's guesses were right."""
    counted = [guessed.right for guessed in _GUESSES.values() if guessed.right is not None]
    if counted:
        print(f"{sum(counted)} of {len(counted)} predictions right, of {len(_GUESSES)} that you were asked for.")
    else:
        print(f"No prediction written down, of {len(_GUESSES)} that you were asked for.")


def _understood(answer, choices):
    """What was guessed, or None if it cannot be told."""
    if choices is None:
        return answer if _is_number(answer) else None
    said = str(answer).strip().lower()
    for letter, choice in zip("abcdef", choices, strict=False):
        if said in (letter, choice.lower()):
            return choice
    return None


def _is_number(value):
    return isinstance(value, Real) and not isinstance(value, bool) and value == value


def _offered(choices):
    return "; ".join(f'"{letter}" for {choice}' for letter, choice in zip("abcdef", choices, strict=False))


def _keep(guessed, value=None):
    """Note a guess, with its outcome once there is one, in the file; a folder that takes no files does no harm."""
    try:
        kept = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
        kept[guessed.question] = {"guess": guessed.made, "outcome": value, "right": guessed.right}
        part = FILE.with_name(f".{FILE.name}.part")
        part.write_text(json.dumps(kept, indent=1, ensure_ascii=False, default=float) + "\n", encoding="utf-8")
        os.replace(part, FILE)
    except (OSError, ValueError, TypeError) as error:
        print(f"(It is kept in this session only, not in {FILE}: {error})")
