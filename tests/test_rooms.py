"""The structure of the package: rooms import downwards only, faces list what is public, few modules stand beside them."""

import ast
from pathlib import Path
import subprocess
import sys

import pytest

COURSE = Path(__file__).resolve().parent.parent / "course"
# Every room may use those before it; the rooms of one line do not use each other.
FLOORS = [
    ["arguments"],
    ["layers", "by_hand", "sequences", "plots", "experiments"],
    ["gradients"],
    ["tuning", "classroom"],
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
ROOMS = [room for room in FLOOR if (COURSE / room).is_dir()]


def imported(path):
    """Return the modules of `course` that a file imports, anywhere in it."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "course":
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            found += inside if node.module in ("course", *(f"course.{room}" for room in ROOMS)) else [node.module]
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] == "course"]
    return found


def test_there_are_eight_rooms_and_at_most_three_modules_beside_them():
    folders = sorted(path.parent.name for path in COURSE.glob("*/__init__.py"))
    assert folders == sorted(ROOMS)
    assert len(ROOMS) == 8
    assert sorted(path.name for path in COURSE.glob("*.py")) == ["__init__.py", "arguments.py", "doctor.py"]


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_downwards_only(room):
    for path in (COURSE / room).rglob("*.py"):
        for name in imported(path):
            other = name.split(".")[1]
            assert other == room or FLOOR[other] < FLOOR[room], f"{path.relative_to(COURSE)} imports {name}"


def test_no_circle_between_modules():
    files = {".".join(p.relative_to(COURSE.parent).with_suffix("").parts): p for p in COURSE.rglob("*.py")}
    files = {name.removesuffix(".__init__"): path for name, path in files.items()}
    uses = {
        name: {m if m in files else m.rpartition(".")[0] for m in imported(path)} - {name}
        for name, path in files.items()
    }
    done = set()
    while len(done) < len(uses):
        free = {name for name in uses if name not in done and uses[name] <= done}
        assert free, f"a circle among {sorted(set(uses) - done)}"
        done |= free


@pytest.mark.parametrize("room", ROOMS)
def test_a_face_lists_what_is_public_and_holds_nothing_else(room):
    tree = ast.parse((COURSE / room / "__init__.py").read_text(encoding="utf-8"))
    assert not [node for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    names = [alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    (listed,) = [node.value for node in tree.body if isinstance(node, ast.Assign)]
    listed = ast.literal_eval(listed)
    assert sorted(listed) == listed
    assert set(listed) <= set(names)


def test_what_needs_no_keras_loads_without_it():
    code = (
        "import importlib, sys\n"
        "for room in ('by_hand', 'sequences', 'plots', 'experiments', 'classroom'):\n"
        "    importlib.import_module(f'course.{room}')\n"
        "    assert 'keras' not in sys.modules, room"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=COURSE.parent).returncode == 0


def test_importing_the_instrument_changes_nothing_in_the_process():
    code = (
        "import os, sys, keras, matplotlib; before = dict(os.environ), dict(matplotlib.rcParams)\n"
        "import course.gradients, course.plots, course.layers\n"
        "sys.exit((dict(os.environ), dict(matplotlib.rcParams)) != before)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=COURSE.parent).returncode == 0
