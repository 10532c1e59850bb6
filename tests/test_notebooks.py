"""The notebooks as files: in step with their sources, and exercises, outputs and figures as the course promises.

That the notebooks run is tested by nbval (`make notebook-tests`), which also compares the stored output of every
measured cell, check and solution with a new run.
"""

import ast
from pathlib import Path
import re

from course.classroom import quizzes
import make_notebooks
import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
READ = {path.stem: nbformat.read(path, as_version=4) for path in NOTEBOOKS}
every_lesson = pytest.mark.parametrize("name", READ)


def tagged(notebook, tag):
    return [place for place, cell in enumerate(notebook.cells) if tag in cell.metadata.get("tags", [])]


def printed(cell):
    """What a code cell shows as text."""
    return "".join(output.get("text", "") + output.get("data", {}).get("text/plain", "") for output in cell.outputs)


def test_every_source_has_its_notebook_and_the_other_way_round():
    assert [source.stem for source in make_notebooks.sources()] == list(READ)


@every_lesson
def test_notebook_has_the_cells_of_its_source(name):
    source = ROOT / "notebooks" / "source" / f"{name}.py"
    assert make_notebooks.same_cells(make_notebooks.from_source(source), READ[name])


def test_building_twice_gives_the_same_cells():
    source = make_notebooks.sources()[0]
    assert make_notebooks.from_source(source) == make_notebooks.from_source(source)


@every_lesson
def test_cell_ids_are_unique(name):
    ids = [cell.id for cell in READ[name].cells]
    assert len(set(ids)) == len(ids)


@every_lesson
def test_an_exercise_is_stub_check_and_hidden_solution(name):
    cells = READ[name].cells
    stubs = tagged(READ[name], "exercise")
    assert len(stubs) >= 3
    assert tagged(READ[name], "check") == [place + 1 for place in stubs]
    assert tagged(READ[name], "solution") == [place + 2 for place in stubs]
    for place in stubs:
        assert "..." in cells[place].source
        assert cells[place + 2].metadata["jupyter"] == {"source_hidden": True}


@every_lesson
def test_every_stub_is_not_attempted_and_every_solution_is_right(name):
    cells = READ[name].cells
    for place in tagged(READ[name], "check"):
        assert "not attempted yet" in printed(cells[place])
        assert printed(cells[place + 1]).startswith("✓")
        asked, solved = (re.findall(r"check\.(\w+)\(", cells[at].source) for at in (place, place + 1))
        assert asked == solved  # the same check


@every_lesson
def test_the_lesson_does_not_need_its_solutions(name):
    """What a solution defines is used by nothing but itself and its check: the workshop copy runs without it."""
    notebook = READ[name]
    exercise = {*tagged(notebook, "exercise"), *tagged(notebook, "check"), *tagged(notebook, "solution")}
    inside, outside = set(), set()
    for place, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        for node in ast.walk(ast.parse(cell.source)):
            if place not in exercise and isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                outside.add(node.id)
        if place in tagged(notebook, "solution"):
            for node in ast.parse(cell.source).body:
                if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                    inside.add(node.name)
                elif isinstance(node, ast.Assign):
                    inside |= {n.id for target in node.targets for n in ast.walk(target) if isinstance(n, ast.Name)}
    defined_outside = {
        n.id
        for place, cell in enumerate(notebook.cells)
        if cell.cell_type == "code" and place not in exercise
        for n in ast.walk(ast.parse(cell.source))
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }
    assert not inside & outside
    assert not inside & defined_outside, "a solution overwrites a name that the lesson uses"


@every_lesson
def test_outputs_are_complete_and_free_of_chatter(name):
    for cell in READ[name].cells:
        if cell.cell_type != "code":
            continue
        assert cell.execution_count
        for output in cell.outputs:
            assert output.get("name") != "stderr"
            assert output.output_type != "error"
            assert not make_notebooks.CHATTER.search(output.get("text", ""))


@every_lesson
def test_every_figure_has_an_alternative_text(name):
    for cell in READ[name].cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                assert len(output.metadata["image/png"]["alt"]) > 40


@every_lesson
def test_the_measured_cell_is_compared_and_holds(name):
    measured = [cell for cell in READ[name].cells if cell.source.startswith("# NBVAL_CHECK_OUTPUT")]
    assert measured
    assert all("assert" in cell.source and "FAILS" not in printed(cell) for cell in measured)


@every_lesson
def test_cells_are_short(name):
    lengths = sorted(len(cell.source.splitlines()) for cell in READ[name].cells if cell.cell_type == "code")
    assert lengths[-1] <= 25
    assert lengths[len(lengths) // 2] <= 10


@every_lesson
def test_a_lesson_has_all_its_parts(name):
    text = "\n".join(cell.source for cell in READ[name].cells)
    for part in ("**You will be able to**", "minutes**", "Predict, then run", "## Measured", "## Quiz"):
        assert part in text
    for part in ("## Three things to take away", "**References.**"):
        assert part in text
    assert f"quizzes/{name}.json" in text


@every_lesson
def test_links_lead_somewhere(name):
    text = "\n".join(cell.source for cell in READ[name].cells if cell.cell_type == "markdown")
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        assert target.startswith("https://") or (ROOT / "notebooks" / target).exists(), target


@pytest.fixture(scope="module")
def copies(tmp_path_factory):
    folder = make_notebooks.workshop(tmp_path_factory.mktemp("workshop"))
    return {path.stem: nbformat.read(path, as_version=4) for path in folder.glob("*.ipynb")}


@every_lesson
def test_workshop_copies_hold_no_solution_and_no_output(copies, name):
    solutions = [READ[name].cells[place].source for place in tagged(READ[name], "solution")]
    copy = copies[name]
    assert not tagged(copy, "solution")
    assert not any(cell.get("outputs") for cell in copy.cells)
    text = "\n".join(cell.source for cell in copy.cells)
    for solution in solutions:
        for line in solution.splitlines():
            novel = len(line.strip()) > 20 and line not in "\n".join(
                cell.source
                for place, cell in enumerate(READ[name].cells)
                if place not in tagged(READ[name], "solution")
            )
            assert not novel or line not in text


@every_lesson
def test_the_quiz_is_valid(name):
    assert len(quizzes.load(ROOT / "notebooks" / "quizzes" / f"{name}.json")) >= 5
