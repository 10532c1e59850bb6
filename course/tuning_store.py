"""What a search leaves on disk, so that it can be killed at any moment and go on: every file is replaced at once.

In the directory of a search:

    search.json                     what is searched for, which must be the same when the search goes on
    oracle.json                     the state of Keras Tuner's oracle and of all trials
    table.csv                       the table, written when a search returns
    trial_003/execution_0.json      the outcome and the learning curve of a finished training
    trial_003/execution_0.weights.h5    its best weights
    trial_003/execution_0.started   one line for every time it was started
    workers/ID.json                 changes every two seconds while the worker ID is alive
    lock                            held by the process that leads the search
"""

from contextlib import contextmanager
import json
import os
from pathlib import Path
import warnings

from course.fingerprint import fingerprint
from filelock import FileLock, Timeout
import joblib
import pandas as pd

_FORMAT = 1
_PLAN = ("strategy", "executions", "epochs", "patience", "batch_size", "seed")


class Store:
    """The files of the search in `directory`. Raises TypeError if that is no path."""

    def __init__(self, directory):
        if not isinstance(directory, str | os.PathLike):
            raise TypeError(f"directory must be a path, got {directory!r}.")
        self.directory = Path(directory).resolve()
        self.oracle = self.directory / "oracle.json"

    @contextmanager
    def opened(self, plan):
        """Hold the directory for the search `plan` describes; raise ValueError if it is not for us to use."""
        self.check(plan)
        self.directory.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.directory / "lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise ValueError(
                f"directory is in use by a search that is running, got {str(self.directory)!r}."
            ) from None
        with lock:
            self.check(plan)  # it may have been made just now
            write_json(self.directory / "search.json", _identity(plan))
            yield self

    def check(self, plan):
        """Raise ValueError if the directory holds something else than what this search has left there."""
        place = f"got {str(self.directory)!r}"
        if self.directory.exists() and not self.directory.is_dir():
            raise ValueError(f"directory must be a folder, {place}, which is a file.")
        ours, theirs = _identity(plan), read_json(self.directory / "search.json")
        if theirs is None:
            if self.directory.is_dir() and any(
                p.name != "lock" and not p.name.startswith(".") for p in self.directory.iterdir()
            ):
                raise ValueError(f"directory must be new, empty or of this search, {place}, which holds other files.")
        elif different := sorted(name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name)):
            told = ", ".join(
                f"{name} ({theirs.get(name)!r} there, {ours.get(name)!r} now)" if name in _PLAN else name
                for name in different
            )
            raise ValueError(
                f"directory holds the results of another search, {place}: {told} differ. Name another directory."
            )

    def known(self):
        """Return whether a search has been begun in the directory."""
        return (self.directory / "search.json").is_file()

    def done(self, max_trials):
        """Return whether a search for so many trials is finished."""
        state = read_json(self.oracle)
        return (
            state is not None
            and state["stopped_at"] == max_trials
            and len(state["end_order"]) == len(state["trials"])
        )

    def file(self, trial, execution, ending):
        """Return the path of a file of an execution, in a folder that exists."""
        folder = self.directory / f"trial_{trial}"
        folder.mkdir(exist_ok=True)
        return folder / f"execution_{execution}.{ending}"

    def outcome(self, trial, execution):
        """Return what is recorded of an execution, or None if it has not finished."""
        return read_json(self.file(trial, execution, "json"))

    def started(self, trial, execution):
        """Note that an execution begins; return how often it has."""
        path = self.file(trial, execution, "started")
        with path.open("a") as file:
            file.write(f"{os.getpid()}\n")
        return len(path.read_text().splitlines())

    def finished(self, trial, execution, outcome):
        """Record the outcome of an execution for good, unless another worker has."""
        if self.outcome(trial, execution) is None:
            write_json(self.file(trial, execution, "json"), outcome)

    def tables(self):
        """Return the table of executions, that of epochs, and the names of the hyperparameters."""
        oracle = read_json(self.oracle) or {"trials": {}, "hyperparameters": {"space": []}}
        space = oracle["hyperparameters"]["space"]
        choices = [*dict.fromkeys(hp["config"]["name"] for hp in space if hp["class_name"] != "Fixed")]
        rows, epochs = [], []
        for name, trial in sorted(oracle["trials"].items(), key=lambda item: int(item[0])):
            values = trial["hyperparameters"]["values"]
            found = {int(p.stem.split("_")[1]): p for p in self.directory.glob(f"trial_{name}/execution_*.json")}
            if name in oracle.get("end_order", []) and not found:
                warnings.warn(f"what trial {name} has left is not in {self.directory}", stacklevel=4)
            for execution, path in sorted(found.items()):
                outcome = read_json(path)
                curve = outcome.pop("curve")
                place = {"trial": int(name), "execution": execution, "seed": outcome.pop("seed")}
                rows.append({**place, **{n: values.get(n) for n in choices}, **outcome})
                epochs += [{"trial": int(name), "execution": execution, **epoch} for epoch in curve]
        if not rows:
            raise ValueError(f"directory holds no finished execution, got {str(self.directory)!r}.")
        table = pd.DataFrame(rows)
        table["error"] = table.pop("error").astype(object)  # last
        return table, pd.DataFrame(epochs), choices

    def chosen(self, trial):
        """Return the hyperparameters of a trial as they were drawn, and those only that it has."""
        values = {
            int(name): trial["hyperparameters"]["values"] for name, trial in read_json(self.oracle)["trials"].items()
        }
        return values[trial]


def write_json(path, content):
    """Write `content` as `write_text` does; NaN stays NaN."""
    write_text(path, json.dumps(content))


def write_text(path, text):
    """Write a file that is there as a whole or, when the process or the machine dies meanwhile, as it was before."""
    path.parent.mkdir(exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}")
    with new.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)


def read_json(path):
    """Return the content of a file that `write_json` wrote, or None if there is none."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None


def _identity(plan):
    """Return what makes two searches the same: all but how many trials."""
    data = plan["data"]
    arrays = [getattr(data, name) for name in ("x_train", "y_train", "x_validation", "y_validation")]
    return {
        "format": _FORMAT,
        **{name: plan[name] for name in _PLAN},
        "objective": [plan["objective"].name, plan["objective"].direction],
        "hypermodel": fingerprint(plan["hypermodel"]),
        "data": joblib.hash(arrays),
    }
