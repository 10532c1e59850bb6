"""Loads and shows a quiz file, `notebooks/quizzes/NN_name.json`.

A quiz is a list of questions for jupyterquiz, in plain text: a formula would make it ask the network for MathJax.
What a file must hold is written down in `course/classroom/quiz.schema.json`.
"""

import importlib.resources
import json
from pathlib import Path
import random

SCHEMA = json.loads(
    importlib.resources.files("course.classroom").joinpath("quiz.schema.json").read_text(encoding="utf-8")
)


def load(path):
    """Return the questions of the quiz at `path`, a list of dicts.

    Raises ValueError if there is no such file, or if it breaks the schema: then with the place and the rule.
    """
    import jsonschema  # here, as loading it takes longer than all else that a lesson's first cell loads before Keras

    path = Path(path)
    if not path.is_file():
        raise ValueError(
            f"path must name a quiz file, got {str(path)!r}: there is no such file in {Path.cwd().name}/."
        )
    try:
        questions = json.loads(path.read_text(encoding="utf-8"))
        jsonschema.validate(questions, SCHEMA)
    except (json.JSONDecodeError, jsonschema.ValidationError) as error:
        place = "/".join(map(str, getattr(error, "absolute_path", ())))
        reason = error.args[0]
        raise ValueError(f"path {str(path)!r} is not a valid quiz: {place or 'file'}: {reason}") from error
    for number, question in enumerate(questions, 1):
        correct = sum(answer["correct"] for answer in question["answers"])
        if question["type"] == "multiple_choice" and correct != 1:
            raise ValueError(f"path {str(path)!r}: question {number} must have one correct answer, got {correct}.")
    return questions


def quiz(path):
    """Show the quiz at `path` in the notebook, answers in a new order each time. Raises ValueError as `load` does."""
    from jupyterquiz import display_quiz

    questions = load(path)
    # jupyterquiz names its HTML element at random; the same name each time keeps the stored notebook the same. The
    # answers are shuffled by the page, when it shows them.
    state = random.getstate()
    try:
        random.seed(Path(path).stem)
        display_quiz(questions, max_width=900, shuffle_answers=True)
    finally:
        random.setstate(state)
