from collections import Counter
import json
from pathlib import Path
import random

from course.classroom import quizzes
import pytest

ANSWERS = [
    {"answer": "yes", "correct": True, "feedback": "right"},
    {"answer": "no", "correct": False, "feedback": "look again"},
]
QUESTION = {"question": "Is it?", "type": "multiple_choice", "answers": ANSWERS}


ROOT = Path(__file__).resolve().parent.parent.parent
SINGLE = [  # the answers to each question with one right answer, over all quizzes
    question["answers"]
    for path in sorted((ROOT / "notebooks" / "quizzes").glob("*.json"))
    for question in quizzes.load(path)
    if question["type"] == "multiple_choice"
]


def write(path, questions):
    path.write_text(json.dumps(questions), encoding="utf-8")
    return path


def test_a_quiz_that_keeps_the_rules_is_loaded(tmp_path):
    assert quizzes.load(write(tmp_path / "q.json", [QUESTION] * 5)) == [QUESTION] * 5


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        ([QUESTION] * 4, "too short"),
        ([{**QUESTION, "question": "Is $a$ large?"}] * 5, "does not match"),
        ([{**QUESTION, "answers": [ANSWERS[0], {"answer": "no", "correct": False}]}] * 5, "feedback"),
        ([{**QUESTION, "answers": [ANSWERS[0], ANSWERS[0]]}] * 5, "one correct answer, got 2"),
        ([{**QUESTION, "answers": [ANSWERS[1], ANSWERS[1]]}] * 5, "one correct answer, got 0"),
        ([{**QUESTION, "type": "essay"}] * 5, "essay"),
    ],
)
def test_a_quiz_that_breaks_a_rule_is_refused_with_the_rule(tmp_path, broken, rule):
    with pytest.raises(ValueError, match=rule):
        quizzes.load(write(tmp_path / "q.json", broken))


def test_a_missing_or_unreadable_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"path .*absent\.json"):
        quizzes.load(tmp_path / "absent.json")
    (tmp_path / "half.json").write_text("[{", encoding="utf-8")
    with pytest.raises(ValueError, match=r"path .*half\.json"):
        quizzes.load(tmp_path / "half.json")


def test_showing_a_quiz_gives_the_same_output_and_leaves_random_alone(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr("jupyterquiz.dynamic.display.display", lambda what: shown.append(what.data))
    path = write(tmp_path / "q.json", [QUESTION] * 5)
    random.seed(3)
    expected = random.Random(3).random()
    quizzes.quiz(path)
    assert random.random() == expected
    quizzes.quiz(path)
    assert shown[:2] == shown[2:]


def test_the_place_of_the_right_answer_tells_nothing():
    places = Counter([answer["correct"] for answer in answers].index(True) for answers in SINGLE)
    expected = len(SINGLE) / 3
    assert len(places) == 3
    assert all(abs(count - expected) < 2 * (expected * 2 / 3) ** 0.5 for count in places.values()), places


def test_the_length_of_the_right_answer_tells_nothing():
    """Neither is the longest mostly right, nor mostly wrong."""
    longest = sum(max(answers, key=lambda answer: len(answer["answer"]))["correct"] for answers in SINGLE)
    assert len(SINGLE) / 6 <= longest <= len(SINGLE) / 2


def test_the_page_shuffles_the_answers(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr("jupyterquiz.dynamic.display.display", lambda what: shown.append(what.data))
    quizzes.quiz(write(tmp_path / "q.json", [QUESTION] * 5))
    assert 'data-shuffleanswers="True"' in "".join(shown)
