"""Writes notebooks/NN_name.ipynb from notebooks/source/NN_name.py and executes what has changed.

    python notebooks/make_notebooks.py                 write all, execute the lessons whose code has changed
    python notebooks/make_notebooks.py --force 01      execute lesson 01 again, changed or not
    python notebooks/make_notebooks.py --check         exit status 1 if a notebook is not in step with its source

A notebook is a function of its source and of what its cells print: cell ids come from the cells' text, and no times
or versions are stored beside them. A lesson that raises, writes to stderr or passes on a library's chatter is refused.
The copies that people work in are written by copies.py.
"""

import argparse
import base64
from collections import Counter
import hashlib
from pathlib import Path
import re
import sys
import time

import jupytext
from nbclient import NotebookClient
import nbformat

FOLDER = Path(__file__).resolve().parent
PICTURES = FOLDER.parent / "docs" / "pictures"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
CHATTER = re.compile(r"WARNING:|Warning:|absl::|oneDNN|retracing")
# Cells that print a verdict: nbval compares their output to the stored one.
VERDICT_TAGS = {"check", "solution"}


def sources(names=()):
    """The lessons' sources in order, or those whose file name starts with one of `names`."""
    paths = sorted((FOLDER / "source").glob("[0-9][0-9]_*.py"))
    chosen = [path for path in paths if not names or path.name.startswith(tuple(names))]
    if names and not chosen:
        raise SystemExit(f"No lesson starts with {', '.join(names)}; there are {', '.join(p.stem for p in paths)}.")
    return chosen


def notebook_of(source):
    """The path of the notebook that belongs to a source."""
    return FOLDER / f"{source.stem}.ipynb"


def from_source(source):
    """Return the notebook, without outputs, that a source describes."""
    read = jupytext.read(source, fmt="py:percent")
    metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    notebook = nbformat.v4.new_notebook(metadata=metadata)
    seen = Counter()
    for cell in read.cells:
        digest = hashlib.sha1(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:8]
        seen[digest] += 1
        cell["id"] = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
        tags = cell.metadata.get("tags", [])
        if VERDICT_TAGS & set(tags):
            cell.metadata["tags"] = [*tags, "nbval-check-output"]
        notebook.cells.append(cell)
    return notebook


def same_cells(left, right):
    """Whether two notebooks have the same cells, outputs aside."""

    def essence(notebook):
        return [(cell.cell_type, cell.id, cell.source, dict(cell.metadata)) for cell in notebook.cells]

    return essence(left) == essence(right) and left.metadata == right.metadata


def write(source, force=False):
    """Bring the notebook of `source` in step and say what was done: 'unchanged', 'text' or seconds of executing."""
    notebook, path = from_source(source), notebook_of(source)
    stored = nbformat.read(path, as_version=4) if path.exists() else None
    if stored and not force:
        if same_cells(notebook, stored):
            return "unchanged"
        if _code(notebook) == _code(stored):  # only words have changed: the outputs stay true
            for new, old in zip(_code_cells(notebook), _code_cells(stored), strict=True):
                new.outputs, new.execution_count = old.outputs, old.execution_count
            _store(notebook, path)
            return "text only"
    start = time.perf_counter()
    NotebookClient(
        notebook, timeout=600, record_timing=False, coalesce_streams=True, resources={"metadata": {"path": FOLDER}}
    ).execute()
    seconds = time.perf_counter() - start
    notebook.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    for number, cell in enumerate(_code_cells(notebook), 1):
        for output in cell.outputs:
            if output.get("name") == "stderr" or CHATTER.search(output.get("text", "")):
                raise SystemExit(f"{source.name}, code cell {number} prints chatter:\n{output.text}")
        cell.outputs = [
            output for output in cell.outputs if output.get("text", "-").strip()
        ]  # a finished progress bar
    _store(notebook, path)
    return f"executed in {seconds:.0f} s"


def pictures(notebook):
    """The PNG pictures of the cells tagged `picture`, which the README shows, as bytes."""
    cells = [cell for cell in notebook.cells if "picture" in cell.metadata.get("tags", [])]
    found = [
        output.data["image/png"] for cell in cells for output in cell.outputs if "image/png" in output.get("data", {})
    ]
    return [base64.b64decode(picture) for picture in found]


def _code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _code(notebook):
    return [(cell.source, cell.metadata) for cell in _code_cells(notebook)]


def _store(notebook, path):
    nbformat.validate(notebook)
    nbformat.write(notebook, path)
    for picture in pictures(notebook):
        (PICTURES / f"{path.stem}.png").write_bytes(picture)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="lessons to look at, such as 01; all by default")
    parser.add_argument("--force", action="store_true", help="execute even what has not changed")
    parser.add_argument("--check", action="store_true", help="write nothing; exit status 1 if out of step")
    options = parser.parse_args()
    if options.check:
        behind = [
            source.name
            for source in sources(options.names)
            if not notebook_of(source).exists()
            or not same_cells(from_source(source), nbformat.read(notebook_of(source), as_version=4))
        ]
        if behind:
            sys.exit(f"Not in step with their notebooks (run `make notebooks`): {', '.join(behind)}.")
        return
    for source in sources(options.names):
        print(f"{source.stem}: {write(source, options.force)}", flush=True)


if __name__ == "__main__":
    main()
