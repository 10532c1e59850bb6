"""The README is true: its six lines run on a stranger's model, its links lead somewhere, its picture is the lesson's."""

from pathlib import Path
import re

import keras
import make_notebooks
import nbformat
import own_model
import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("layer", [keras.layers.LSTM(5), keras.layers.Bidirectional(keras.layers.GRU(3))])
def test_the_lines_for_your_own_model_run(layer, capsys):
    names = own_model.names_after(layer)
    assert len(names["history"].history["grad_norm/global"]) == 3
    frame = names["flow"].to_frame()
    assert set(frame.columns) == {"epoch", "layer", "state", "step", "norm"}
    assert frame.norm.gt(0).any()


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_the_picture_is_the_one_in_the_lesson():
    for picture in (ROOT / "docs" / "pictures").glob("*.png"):
        notebook = nbformat.read(ROOT / "notebooks" / f"{picture.stem}.ipynb", as_version=4)
        assert make_notebooks.pictures(notebook) == [picture.read_bytes()]


def test_every_lesson_that_exists_is_linked_and_no_other():
    linked = set(re.findall(r"\(notebooks/([^)]+)\.ipynb\)", README))
    assert linked == {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}


def test_every_make_target_the_readme_names_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"`?make ([a-z]+)", README):
        assert re.search(rf"^{target}:", makefile, re.M), target


def test_the_minutes_of_a_lesson_are_the_same_wherever_they_stand():
    sources = sorted((ROOT / "notebooks" / "source").glob("*.py"))
    tables = [README, sources[0].read_text(encoding="utf-8")]
    for source in sources:
        minutes = re.search(r"\*\*(\d+) minutes\*\*", source.read_text(encoding="utf-8"))[1]
        for table in tables:
            rows = [line for line in table.splitlines() if f"{source.stem}.ipynb) | " in line]
            assert all(row.endswith(f"| {minutes} |") for row in rows), (source.stem, minutes, rows)
