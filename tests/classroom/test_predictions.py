import json

from course.classroom import predictions
from course.classroom.predictions import guess, tally
import pytest

CHOICES = ["about 1", "above 100", "below 0.01"]


@pytest.fixture(autouse=True)
def lesson_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(predictions, "_GUESSES", {})


@pytest.mark.parametrize("answer", [None, ...])
def test_a_lesson_runs_without_a_guess(answer, tmp_path, capsys):
    guess("What is left?", CHOICES, answer=answer).outcome("below 0.01")
    tally()
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("Your guess? In place of the dots write")
    assert '"b" for above 100' in told[0]
    assert told[1:] == [
        "No guess this time. It is: below 0.01.",
        "No prediction written down, of 1 that you were asked for.",
    ]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("answer", ["a", " A ", "about 1", "About 1"])
def test_a_choice_is_made_by_its_letter_or_its_words(answer, capsys):
    assert guess("What is left?", CHOICES, answer=answer).made == "about 1"
    assert capsys.readouterr().out == "Your guess: about 1. Now run on.\n"


def test_the_guess_stands_beside_the_outcome_and_is_counted(capsys):
    first, second = guess("one", CHOICES, answer="a"), guess("two", CHOICES, answer="c")
    guess("three", CHOICES, answer=...).outcome("about 1")
    capsys.readouterr()
    first.outcome("below 0.01")
    second.outcome("below 0.01")
    tally()
    assert capsys.readouterr().out.splitlines() == [
        "You guessed: about 1; it is: below 0.01.",
        "You guessed: below 0.01; and so it is.",
        "1 of 2 predictions right, of 3 that you were asked for.",
    ]


@pytest.mark.parametrize(("answer", "right"), [(9, True), (8, True), (7, False), (9.0, True), (20, False)])
def test_a_number_may_be_off_by_the_margin(answer, right, capsys):
    guessed = guess("Which window?", unit="steps", answer=answer)
    guessed.outcome(9, margin=1)
    assert guessed.right is right
    assert "steps" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("how", "answer", "word"),
    [
        ({"choices": CHOICES}, "d", "about 1"),
        ({"choices": CHOICES}, "all of it", "about 1"),
        ({"choices": CHOICES}, 0.5, "about 1"),
        ({"choices": CHOICES}, ["a"], "about 1"),
        ({"unit": "steps"}, "nine", "a number of steps"),
        ({"unit": "steps"}, True, "a number of steps"),
        ({"unit": "steps"}, float("nan"), "a number of steps"),
        ({"unit": "steps"}, 2j, "a number of steps"),
    ],
)
def test_what_cannot_be_a_guess_gets_a_sentence(how, answer, word, capsys):
    assert guess("What?", **how, answer=answer).made is None
    told = capsys.readouterr().out
    assert told.startswith(f"{answer!r} is not a guess")
    assert word in told


def test_guesses_are_kept_in_the_folder_with_their_outcomes(tmp_path):
    guess("one", CHOICES, answer="b").outcome("below 0.01")
    guess("two", unit="steps", answer=9)
    assert json.loads((tmp_path / "guesses.json").read_text()) == {
        "one": {"guess": "above 100", "outcome": "below 0.01", "right": False},
        "two": {"guess": 9, "outcome": None, "right": None},
    }
    assert [path.name for path in tmp_path.iterdir()] == ["guesses.json"]


def test_a_second_run_with_another_guess_replaces_the_first(tmp_path):
    guess("one", CHOICES, answer="a").outcome("below 0.01")
    guess("one", CHOICES, answer="c").outcome("below 0.01")
    assert json.loads((tmp_path / "guesses.json").read_text())["one"]["right"] is True
    assert len(predictions._GUESSES) == 1


@pytest.mark.parametrize("spoiled", ["{half", "[1]"])
def test_a_spoiled_file_is_said_and_left_alone(spoiled, tmp_path, capsys):
    (tmp_path / "guesses.json").write_text(spoiled)
    guess("one", CHOICES, answer="c").outcome("below 0.01")
    told = capsys.readouterr().out
    assert "in this session only" in told
    assert "and so it is" in told
    assert (tmp_path / "guesses.json").read_text() == spoiled


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: guess("one"), "either choices or a unit"),
        (lambda: guess("one", CHOICES, unit="steps"), "either choices or a unit"),
        (lambda: guess("one", ["yes"]), "two to six"),
        (lambda: guess("one", ["yes", "yes"]), "different"),
        (lambda: guess("one", CHOICES).outcome("all"), "value must be one of"),
        (lambda: guess("one", unit="steps").outcome("nine"), "value must be a number"),
    ],
)
def test_a_lesson_that_asks_wrongly_is_told(call, message):
    with pytest.raises(ValueError, match=message):
        call()
