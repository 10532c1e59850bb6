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
SOURCES = {source.stem: make_notebooks.from_source(source) for source in make_notebooks.sources()}
every_source = pytest.mark.parametrize("name", SOURCES)


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


def calls(cell, name):
    """The calls of a function or method `name` in a code cell."""
    nodes = ast.walk(ast.parse(cell.source)) if cell.cell_type == "code" else ()
    return [node for node in nodes if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == name]


def titles(cell):
    """The texts that a code cell writes over its figures."""
    found = [argument for call in calls(cell, "set_title") for argument in call.args]
    nodes = list(ast.walk(ast.parse(cell.source)))
    found += [node.value for node in nodes if isinstance(node, ast.keyword) and node.arg == "title"]
    return {node.value for node in found if isinstance(node, ast.Constant)}


def guessed(notebook):
    """For each prediction: the places of its cell and of the cell with its outcome, its name and its choices."""
    for place, cell in enumerate(notebook.cells):
        for node in ast.parse(cell.source).body if "guess" in cell.metadata.get("tags", []) else ():
            said = [call.func.value.id for later in notebook.cells for call in calls(later, "outcome")]
            (name,) = (target.id for target in node.targets)
            assert said.count(name) == 1, f"{name} has {said.count(name)} outcomes"
            (end,) = (
                n for n, c in enumerate(notebook.cells) if name in [o.func.value.id for o in calls(c, "outcome")]
            )
            options = node.value.args[1] if len(node.value.args) > 1 else ast.List([])
            yield place, end, name, [o.value for o in getattr(options, "elts", []) if isinstance(o, ast.Constant)]


@every_source
def test_every_prediction_has_a_cell_for_it(name):
    cells = SOURCES[name].cells
    asked = [place for place, cell in enumerate(cells) if "Predict, then run" in cell.source]
    assert [place + 1 for place in asked] == tagged(SOURCES[name], "guess")
    for place in tagged(SOURCES[name], "guess"):
        for call in calls(cells[place], "guess"):
            (answer,) = (keyword.value for keyword in call.keywords if keyword.arg == "answer")
            assert answer.value is ...
    assert any("classroom.tally()" in cell.source for cell in cells)


@every_source
def test_nothing_in_view_tells_the_outcome_of_a_prediction(name):
    """Between a guess and its outcome nothing is shown but folded; no choice and no title stands in view before."""
    cells, folded = SOURCES[name].cells, tagged(SOURCES[name], "outcome")
    for place in folded:
        assert cells[place].metadata.get("jupyter") == {"source_hidden": True}
        assert cells[place].source.startswith("# The outcome\n")  # JupyterLab shows the first line of what is folded
    for place, end, _, choices in guessed(SOURCES[name]):
        assert end in folded
        between = [cells[n] for n in range(place + 1, end) if n not in folded]
        assert not any(calls(cell, shows) for cell in between for shows in ("print", "show", "set_title", "display"))
        assert "What to notice" not in "".join(cell.source for cell in between)
        drawn = set().union(*(titles(cells[n]) for n in folded if place < n <= end))
        in_view = " ".join(
            cell.source
            for n, cell in enumerate(cells[:end])
            if n not in folded and n not in tagged(SOURCES[name], "guess")
        )
        for told in drawn | {choice for choice in choices if len(choice.split()) > 2}:
            assert told not in in_view, told


@pytest.mark.parametrize("name", [name for name in SOURCES if name != "12_tuning"])  # which has a search to turn
def test_a_lesson_has_a_dial(name):
    dials = [cell for cell in SOURCES[name].cells if calls(cell, "dial")]
    assert dials
    assert all(cell.metadata.get("jupyter") == {"source_hidden": True} for cell in dials)


@every_source
def test_no_stored_output_before_an_outcome_tells_it(name):
    cells, hidden = READ[name].cells, tagged(READ[name], "outcome") + tagged(READ[name], "guess")
    for _, end, _, choices in guessed(READ[name]):
        before = " ".join(
            printed(cell) for n, cell in enumerate(cells[:end]) if n not in hidden and "outputs" in cell
        )
        assert not [choice for choice in choices if len(choice.split()) > 2 and choice in before]


def test_predictions_are_told_apart_in_a_file_for_all_lessons():
    questions = [
        call.args[0].value
        for notebook in SOURCES.values()
        for cell in notebook.cells
        for call in calls(cell, "guess")
    ]
    assert len(set(questions)) == len(questions)
    for name, notebook in SOURCES.items():
        assert all(
            call.args[0].value.startswith(name[:2]) for cell in notebook.cells for call in calls(cell, "guess")
        )


@every_lesson
def test_the_quiz_is_valid(name):
    assert len(quizzes.load(ROOT / "notebooks" / "quizzes" / f"{name}.json")) >= 5
