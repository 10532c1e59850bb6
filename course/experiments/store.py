"""Files that hold results: each is there as a whole or not at all, and says what made it."""

import hashlib
import importlib.metadata
import inspect
import json
import linecache
import os
from pathlib import Path
import sys

COURSE = Path(__file__).resolve().parents[1]
ONLY_SHOW = ("plots", "classroom")  # rooms that no result depends on: nothing below them imports them


def write(path, content):
    """Write bytes or text to `path`, which holds all of it or, if this process is killed, what it held before."""
    new = path.with_name(f".{path.name}.new")
    content = content.encode() if isinstance(content, str) else content
    with new.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)


def made_by(function):
    """Return what makes the results of `function`: hashes of the sources, the backend, the version of Keras.

    The sources are those of `course` and of the file that holds the function; in a notebook, of its cell.
    """
    files = sorted(p for p in COURSE.rglob("*.py") if p.relative_to(COURSE).parts[0] not in ONLY_SHOW)
    while hasattr(function, "func"):  # functools.partial
        function = function.func
    where = function if inspect.isroutine(function) or inspect.isclass(function) else type(function)
    try:
        own = "".join(linecache.getlines(inspect.getsourcefile(where)))
    except TypeError:
        own = ""
    if not own:
        raise ValueError(f"{function!r} must come from a file or a notebook: its source is part of what is stored.")
    keras = sys.modules.get("keras")
    return {
        "course": _digest(b"".join(p.read_bytes() for p in files)),
        "function": getattr(where, "__qualname__", repr(where)),
        "file": _digest(own.encode()),
        "backend": keras.config.backend() if keras else os.environ.get("KERAS_BACKEND", "tensorflow"),
        "keras": importlib.metadata.version("keras"),
    }


def claimed(directory, note):
    """Return `directory` as a path that exists and holds what `note` describes; raise if it holds anything else.

    The note, a dict, stands in made_by.json. Raises TypeError if `directory` is no path, ValueError naming what differs.
    """
    if not isinstance(directory, str | os.PathLike):
        raise TypeError(f"directory must be a path, got {directory!r}.")
    directory = Path(directory).resolve()
    if directory.exists() and not directory.is_dir():
        raise ValueError(f"directory must be a folder, got {str(directory)!r}, which is a file.")
    path = directory / "made_by.json"
    if path.exists():
        same_note(json.loads(path.read_text()), note, directory)
    elif directory.exists() and any(not p.name.startswith(".") for p in directory.iterdir()):
        raise ValueError(f"directory must be new, empty or of this run, got {str(directory)!r}, with other files.")
    else:
        directory.mkdir(parents=True, exist_ok=True)
        write(path, json.dumps(note, indent=1))
    return directory


def same_note(there, now, directory):
    """Raise ValueError, saying what to do, if the note in a directory differs from the one now."""
    if different := [name for name in {**there, **now} if there.get(name) != now.get(name)]:
        raise ValueError(
            f"directory holds results that something else has made, {str(directory)!r}: {', '.join(different)} "
            "changed since. Name another directory, or go back to what made them."
        )


def _digest(content):
    return hashlib.sha256(content).hexdigest()[:32]
