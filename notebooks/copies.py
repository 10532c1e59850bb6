"""Writes the copies of the lessons that people work in, and never writes over anybody's work.

    python notebooks/copies.py lab                  the learner's: no outputs, in work/
    python notebooks/copies.py workshop [FOLDER]    for a class: no solutions either, in build/workshop/

A copy that nobody has edited follows the course. One that somebody has edited stays, and the course's newer version is
put beside it, once. To tell the two apart the folder holds a note of what was written, `.copies.json`; running cells is
no edit. Files that were not written from here are never touched.
"""

import argparse
import contextlib
import hashlib
import json
import os
from pathlib import Path
import re

import nbformat

ROOT = Path(__file__).resolve().parent.parent
NOTE = ".copies.json"
LINK = re.compile(r"\]\((\.\./[^)#]+)")  # to a file outside notebooks/
NOTICE = re.compile(r"^\*\*What to notice\.\*\* *(.+?)(?=\n*^#|\n*^<details|\n*^\*\*Predict|\n*\Z)", re.S | re.M)


def copied(path, without=()):
    """Return the notebook at `path` without outputs and without the cells that have one of the tags `without`.

    What is to be noticed is folded: it would tell the outcome to somebody who has yet to guess it.
    """
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if not set(without) & set(cell.metadata.get("tags", []))]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        else:
            fold = r"<details><summary><b>What to notice</b>, once the cells above have run</summary>\n\n\1\n\n</details>"
            cell.source = NOTICE.sub(fold, cell.source)
    return notebook


def lessons(without=()):
    """Return what a learner opens, {path: content in bytes}: the lessons as `copied`, and their quizzes."""
    files = {
        path.name: nbformat.writes(copied(path, without)).encode() for path in (ROOT / "notebooks").glob("*.ipynb")
    }
    quizzes = (ROOT / "notebooks" / "quizzes").glob("*.json")
    return files | {f"quizzes/{path.name}": path.read_bytes() for path in quizzes}


def workshop():
    """Return what a class gets, {path: content in bytes}: lessons without solutions, and what they read and link to."""
    files = {f"notebooks/{name}": content for name, content in lessons(("solution", "with-solutions")).items()}
    parts = {path for folder in ("data", "docs") for path in (ROOT / folder).rglob("*.*")}
    for name, content in files.items():
        links = LINK.findall(content.decode()) if name.endswith(".ipynb") else ()
        parts |= {(ROOT / "notebooks" / link).resolve() for link in links}
    for path in sorted(parts):
        name = path.relative_to(ROOT).as_posix()
        if path.is_file() and "/." not in name and "__pycache__" not in name:
            files[name] = path.read_bytes()
    return files


def mark(name, content):
    """Return a short mark that tells versions of a file apart; of a notebook it reads what its cells say and no more."""
    if name.endswith(".ipynb"):
        with contextlib.suppress(Exception):  # what cannot be read as a notebook is not what was written
            cells = nbformat.reads(content.decode(), as_version=4).cells
            # JupyterLab adds an empty cell when the last one has been run.
            content = repr([(cell.cell_type, cell.source) for cell in cells if cell.source.strip()]).encode()
    return hashlib.sha256(content).hexdigest()[:12]


def bring(folder, files):
    """Bring `files`, {path: content in bytes}, into `folder`, and return one sentence for each that somebody has edited.

    Each file is written whole or not at all, and the note after all of them: when this is cut short, a second call
    does the rest.
    """
    folder, told = Path(folder), []
    written = _noted(folder / NOTE)  # {path: the mark of what was written}
    for name, content in files.items():
        path, new = folder / name, mark(name, content)
        there = mark(name, path.read_bytes()) if path.exists() else None
        if there in (None, new, written.get(name)):
            if there != new:
                _write(path, content)
            written[name] = new
            continue
        beside = path.with_name(f"{path.stem}.newer-{new[:6]}{path.suffix}")
        offered = beside.relative_to(folder).as_posix()
        if new != written.get(name) and offered not in written:
            if not beside.exists():
                _write(beside, content)
            written[offered] = new
            told.append(f"{path} has been edited and stays; the course's newer version is beside it: {beside.name}.")
    _write(folder / NOTE, json.dumps(written, indent=0).encode())
    return told


def _noted(path):
    try:
        noted = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # then everything that differs counts as edited
        noted = {}
    return noted if isinstance(noted, dict) else {}


def _write(path, content):
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    os.replace(part, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=["lab", "workshop"])
    parser.add_argument("folder", nargs="?", help="work/ for the lab, build/workshop/ for a class, if not given")
    options = parser.parse_args()
    folder = Path(options.folder or ROOT / {"lab": "work", "workshop": "build/workshop"}[options.kind])
    told = bring(folder, lessons() if options.kind == "lab" else workshop())
    print(*told, f"The lessons are in {folder}.", sep="\n")


if __name__ == "__main__":
    main()
