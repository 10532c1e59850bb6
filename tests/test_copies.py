"""The copies that people work in: complete, true without solutions, and nobody's work is lost."""

import ast
from pathlib import Path
import re
import subprocess
import sys

import copies
from nbclient import NotebookClient
import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
NAMES = [path.stem for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]
every_lesson = pytest.mark.parametrize("name", NAMES)


def notebook(*sources):
    cells = [nbformat.v4.new_code_cell(source, id=f"cell-{place}") for place, source in enumerate(sources)]
    return nbformat.writes(nbformat.v4.new_notebook(cells=cells)).encode()


def edited(path, change):
    read = nbformat.read(path, as_version=4)
    change(read)
    nbformat.write(read, path)
    return path.read_bytes()


FIRST = {"00.ipynb": notebook("a = 1"), "01.ipynb": notebook("b = 1"), "quizzes/00.json": b"[1]"}
SECOND = {"00.ipynb": notebook("a = 2"), "01.ipynb": notebook("b = 2"), "quizzes/00.json": b"[2]"}


def test_a_copy_that_nobody_edited_follows_the_course(tmp_path):
    assert copies.bring(tmp_path, FIRST) == []
    assert copies.bring(tmp_path, SECOND) == []
    assert {name: (tmp_path / name).read_bytes() for name in SECOND} == SECOND


def test_running_a_copy_is_no_edit_and_keeps_its_outputs(tmp_path):
    copies.bring(tmp_path, FIRST)

    def run(read):
        read.cells[0].outputs = [nbformat.v4.new_output("stream", text="1")]
        read.cells[0].execution_count = 1
        read.cells.append(nbformat.v4.new_code_cell(""))  # as JupyterLab does after the last cell
        read.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}

    ran = edited(tmp_path / "00.ipynb", run)
    copies.bring(tmp_path, FIRST)
    assert (tmp_path / "00.ipynb").read_bytes() == ran
    assert copies.bring(tmp_path, SECOND) == []
    assert (tmp_path / "00.ipynb").read_bytes() == SECOND["00.ipynb"]


def test_an_edited_copy_stays_and_the_newer_version_is_put_beside_it_once(tmp_path):
    copies.bring(tmp_path, FIRST)
    mine = edited(tmp_path / "00.ipynb", lambda read: read.cells[0].update(source="a = 1  # mine"))
    assert copies.bring(tmp_path, FIRST) == []
    (told,) = copies.bring(tmp_path, SECOND)
    (newer,) = tmp_path.glob("00.newer-*.ipynb")
    assert newer.name in told
    assert newer.read_bytes() == SECOND["00.ipynb"]
    assert (tmp_path / "00.ipynb").read_bytes() == mine
    newer.unlink()  # not wanted
    assert copies.bring(tmp_path, SECOND) == []
    assert not newer.exists()


def test_the_newer_version_is_not_written_over_either(tmp_path):
    copies.bring(tmp_path, FIRST)
    edited(tmp_path / "00.ipynb", lambda read: read.cells[0].update(source="mine"))
    copies.bring(tmp_path, SECOND)
    (newer,) = tmp_path.glob("00.newer-*.ipynb")
    mine = edited(newer, lambda read: read.cells[0].update(source="mine, too"))
    (tmp_path / copies.NOTE).unlink()
    copies.bring(tmp_path, SECOND)
    assert newer.read_bytes() == mine


@pytest.mark.parametrize("spoiled", [b"{half", b"[]", b"\xff"])
def test_without_its_note_everything_that_differs_counts_as_edited(spoiled, tmp_path):
    copies.bring(tmp_path, FIRST)
    (tmp_path / copies.NOTE).write_bytes(spoiled)
    assert len(copies.bring(tmp_path, SECOND)) == 3
    assert (tmp_path / "00.ipynb").read_bytes() == FIRST["00.ipynb"]


@pytest.mark.parametrize("content", [b"", b"{half a notebook", b"\xff\xfe", notebook("their own")])
def test_a_file_of_somebodys_own_is_never_touched(content, tmp_path):
    (tmp_path / "00.ipynb").write_bytes(content)
    (tmp_path / "notes.txt").write_bytes(content)
    copies.bring(tmp_path, FIRST)
    copies.bring(tmp_path, SECOND)
    assert (tmp_path / "00.ipynb").read_bytes() == (tmp_path / "notes.txt").read_bytes() == content


def test_a_deleted_copy_comes_back(tmp_path):
    copies.bring(tmp_path, FIRST)
    (tmp_path / "00.ipynb").unlink()
    copies.bring(tmp_path, FIRST)
    assert (tmp_path / "00.ipynb").read_bytes() == FIRST["00.ipynb"]


@pytest.mark.parametrize(
    "survives", range(4)
)  # writes until the end: a copy, one beside an edited one, a quiz, the note
def test_cut_short_at_any_write_nothing_is_lost_and_the_next_call_does_the_rest(survives, tmp_path, monkeypatch):
    copies.bring(tmp_path, FIRST)
    mine = edited(tmp_path / "00.ipynb", lambda read: read.cells[0].update(source="mine"))
    done, replace = [], copies.os.replace

    def killed(part, path):
        if len(done) == survives:
            raise KeyboardInterrupt
        done.append(path)
        replace(part, path)

    with monkeypatch.context() as patch:
        patch.setattr(copies.os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            copies.bring(tmp_path, SECOND)
    for name in ("01.ipynb", "quizzes/00.json"):
        assert (tmp_path / name).read_bytes() in (FIRST[name], SECOND[name])
    assert len(copies.bring(tmp_path, SECOND)) == 1
    assert (tmp_path / "00.ipynb").read_bytes() == mine
    (newer,) = tmp_path.glob("00.newer-*.ipynb")
    assert newer.read_bytes() == SECOND["00.ipynb"]
    for name in ("01.ipynb", "quizzes/00.json"):
        assert (tmp_path / name).read_bytes() == SECOND[name]
    assert copies.bring(tmp_path, SECOND) == []


@pytest.fixture(scope="module")
def handed_out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workshop")
    assert copies.bring(folder, copies.workshop()) == []
    return folder / "notebooks"


def test_a_learners_copies_are_the_lessons_without_outputs(tmp_path):
    copies.bring(tmp_path, copies.lessons())
    assert [path.stem for path in sorted(tmp_path.glob("*.ipynb"))] == NAMES
    for name in NAMES:
        original = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
        copy = nbformat.read(tmp_path / f"{name}.ipynb", as_version=4)
        code = [[cell.source for cell in book.cells if cell.cell_type == "code"] for book in (original, copy)]
        assert code[0] == code[1]
        assert not any(cell.get("outputs") or cell.get("execution_count") for cell in copy.cells)
        assert (tmp_path / "quizzes" / f"{name}.json").exists()


def test_what_is_to_be_noticed_is_folded_in_a_copy(tmp_path):
    told = "**What to notice.** It falls.\n\nTwice.\n\n"
    cells = [
        nbformat.v4.new_markdown_cell(f"Run.\n\n{told}{rest}")
        for rest in ("", "## 2 · Next", "**Predict, then** run.")
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "a.ipynb")
    fold = (
        "<details><summary><b>What to notice</b>, once the cells above have run</summary>\n\nIt falls.\n\nTwice.\n\n"
    )
    for cell, rest in zip(copies.copied(tmp_path / "a.ipynb").cells, ("", "\n\n## 2", "\n\n**Predict"), strict=True):
        assert cell.source.startswith(f"Run.\n\n{fold}</details>{rest}")


@every_lesson
def test_nothing_to_be_noticed_is_left_unfolded_in_a_copy(name):
    original = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    copy = copies.copied(ROOT / "notebooks" / f"{name}.ipynb")
    before, after = ("\n".join(cell.source for cell in book.cells) for book in (original, copy))
    assert "**What to notice.**" not in after
    assert after.count("<b>What to notice</b>") == before.count("**What to notice.**")


@every_lesson
def test_a_workshop_copy_holds_no_solution_and_does_not_speak_of_one(handed_out, name):
    copy = nbformat.read(handed_out / f"{name}.ipynb", as_version=4)
    original = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in copy.cells)
    assert "solution is" not in (text := "\n".join(cell.source for cell in copy.cells))
    assert "**solution**" not in text
    solutions = [cell.source for cell in original.cells if "solution" in cell.metadata.get("tags", [])]
    others = "\n".join(cell.source for cell in original.cells if cell.source not in solutions)
    telling = {line for source in solutions for line in source.splitlines() if len(line.strip()) > 20}
    assert not any(line in text for line in telling if line not in others)


@every_lesson
def test_links_of_a_workshop_copy_lead_somewhere(handed_out, name):
    copy = nbformat.read(handed_out / f"{name}.ipynb", as_version=4)
    text = "\n".join(cell.source for cell in copy.cells if cell.cell_type == "markdown")
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        assert target.startswith("https://") or (handed_out / target).exists(), target


@every_lesson
def test_a_workshop_copy_uses_no_name_that_only_a_solution_defines(handed_out, name):
    copy = nbformat.read(handed_out / f"{name}.ipynb", as_version=4)
    code = "\n".join(cell.source for cell in copy.cells if cell.cell_type == "code")
    ast.parse(code)
    ruff = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F821", "--quiet", "-"]
    found = subprocess.run(ruff, input=code, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout


def test_the_first_workshop_copy_runs(handed_out):
    lesson = nbformat.read(handed_out / "00_start_here.ipynb", as_version=4)
    (doctors,) = [cell for cell in lesson.cells if cell.source == "failures = doctor.main()"]
    lesson.cells.remove(doctors)  # who has tests of his own, and takes long
    ran = NotebookClient(lesson, timeout=300, resources={"metadata": {"path": str(handed_out)}}).execute()
    told = "".join(output.get("text", "") for cell in ran.cells for output in cell.get("outputs", []))
    assert "No guess this time." in told
    assert not (handed_out / "guesses.json").exists()
