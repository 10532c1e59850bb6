"""Repeats a run over settings and seeds: here, on this machine's cores, or on a cluster."""

from collections import Counter
from collections.abc import Iterable, Mapping
import hashlib
from inspect import signature
from itertools import product
import pickle
import sys
import time
import warnings

from course import arguments
from course.experiments import executors, store
import numpy as np
import pandas as pd
from tqdm import tqdm

RESERVED = ("seed", "error", "seconds")  # columns that sweep fills


def sweep(run, grid, seeds, *, executor=None, directory=None, progress=True):
    """Return a table with one row for every run: every setting of `grid` with every seed.

    run: a function called as `run(seed=..., **setting)` that returns a dict of results. It may live in a notebook.
    grid: a dict of lists, `{"units": [8, 16], "gap": [10, 50]}`, of which every combination is run; or a list of
        dicts with the same names, each one setting. Values must be hashable: a tuple, not a list.
    seeds: different integers, 0 to 2**32 - 1.
    executor: any `concurrent.futures.Executor`. None runs one by one, here; `experiments.Processes()` on all cores
        of this machine; `distributed.Client(...).get_executor(pure=False)` on a Dask cluster.
    directory: where every finished run is stored at once, by this process alone. Started again, killed or not, a
        sweep computes only what is missing, more settings and seeds included; values must then be numbers, text,
        None or tuples of these. What made the results is noted there: the sources of `course` and of the file that
        holds `run` (in a notebook its cell: what that uses from other cells is not seen). If they have changed, the
        call is refused with ValueError. None stores nothing.
    progress: show a bar on standard output, gone when done; setting `TQDM_DISABLE=1` turns all bars off.

    Columns: the setting, `seed`, the results, `error` (missing if all is well), `seconds`. A run that raises, or takes
    its process down, is a row with the error, tried again by the next sweep, because the cause may be gone, and a
    warning counts them. A run that returns NaN is a row with its results and an error too, but it has an outcome,
    and is not tried again.

    Seeds of one setting run one after the other in one process, so that `fresh` compiles once, until workers would
    have nothing to do. Raises TypeError or ValueError naming the argument.
    """
    settings, seeds = _settings(grid), _seeds(seeds)
    _check(run, settings[0])
    executor = executors.checked(executor)
    directory = None if directory is None else store.claimed(directory, store.made_by(run))
    runs, left = {}, {}
    for place, setting in enumerate(settings):
        for seed in seeds:
            path = None if directory is None else directory / f"{_name(setting, seed)}.pickle"
            if path is not None and path.exists():
                runs[place, seed] = *pickle.loads(path.read_bytes()), None
            else:
                left.setdefault(place, []).append((seed, path))
    busy = Counter()

    def ask(last):
        """Return the next run: of the last one's setting, or of one nobody is at, or of the one with most left."""
        place = None if last is None else last[-1][0]
        busy[place] -= 1
        if not left:
            return None
        place = min(left, key=lambda other: (other != place, busy[other], -len(left[other])))
        busy[place] += 1
        seed, path = left[place].pop(0)
        if not left[place]:
            del left[place]
        return run, settings[place], seed, (place, seed, path)

    show = {} if progress else {"disable": True}  # not disable=False, which would overrule TQDM_DISABLE
    with tqdm(total=len(settings) * len(seeds), initial=len(runs), file=sys.stdout, leave=False, **show) as bar:
        for task, outcome, error in executors.carry_out(_timed, ask, executor):
            place, seed, path = task[-1]
            if error is None:
                runs[place, seed] = *outcome, None
                if path is not None:
                    store.write(path, pickle.dumps(outcome))
            else:
                runs[place, seed] = {}, np.nan, f"{type(error).__name__}: {error}"[:500]
            bar.update()
    return _table(settings, seeds, runs)


def _timed(run, setting, seed, ticket):
    """Return the results of one run and its seconds. ticket: for who asked."""
    start = time.perf_counter()
    results = run(seed=seed, **setting)
    seconds = time.perf_counter() - start
    if not isinstance(results, Mapping) or not all(isinstance(name, str) for name in results):
        raise TypeError(f"run must return a dict of results, got {results!r:.200}")
    if taken := [name for name in results if name in RESERVED or name in setting]:
        raise ValueError(f"run must not call a result {taken[0]!r}: the table has that column already")
    plain = _plain(dict(results))
    pickle.dumps(plain)  # what cannot be sent back or stored is this run's error
    return plain, seconds


def _plain(value):
    """Return a number for NumPy's, TensorFlow's and JAX's scalars, and a NumPy array for their arrays, at any depth."""
    if type(value) is dict:
        return {name: _plain(part) for name, part in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_plain, value))
    if not hasattr(value, "__array__"):
        return value
    return np.asarray(value).item() if np.ndim(value) == 0 else np.asarray(value)


def _name(setting, seed):
    """Return what the file of a run is called, the same in every process."""

    def text(value):
        value = value.item() if isinstance(value, np.generic) else value
        if type(value) is tuple:
            return f"({','.join(map(text, value))})"
        if type(value) not in (bool, int, float, str, type(None)):
            raise TypeError(
                f"grid must hold numbers, text, None or tuples of these where runs are stored, got {value!r}."
            )
        return repr(value)

    words = [f"{name}={text(value)}" for name, value in sorted(setting.items())]
    return f"{hashlib.sha256(' '.join(words).encode()).hexdigest()[:16]}_{seed}"


def _settings(grid):
    """Return the settings of a grid, a list of dicts, or raise naming what is wrong with it."""
    if isinstance(grid, Mapping):
        for name, values in grid.items():
            if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
                raise TypeError(f"grid[{name!r}] must be a list of values, got {values!r}.")
        grid = {name: list(values) for name, values in grid.items()}
        settings = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    elif isinstance(grid, (list, tuple)) and all(isinstance(setting, Mapping) for setting in grid):
        settings = [dict(setting) for setting in grid]
    else:
        raise TypeError(f"grid must be a dict of lists or a list of dicts, got {grid!r}.")
    if not settings:
        raise ValueError(f"grid must hold at least one value for every name, got {grid!r}.")
    for name in settings[0]:
        if not isinstance(name, str) or name in RESERVED:
            raise ValueError(f"grid must have names that are text and none of {', '.join(RESERVED)}, got {name!r}.")
    if any(list(setting) != list(settings[0]) for setting in settings):
        raise ValueError(f"grid must have the same names in every setting, got {grid!r}.")
    try:
        different = len({tuple(setting.items()) for setting in settings})
    except TypeError as error:
        raise TypeError(f"grid must have hashable values, such as tuples instead of lists: {error}.") from error
    if different < len(settings):
        raise ValueError(f"grid must not hold a setting twice, got {grid!r}.")
    return settings


def _seeds(seeds):
    """Return the seeds as a list of int, or raise naming what is wrong with them."""
    if isinstance(seeds, (str, bytes)) or not isinstance(seeds, Iterable):
        raise TypeError(f"seeds must be a list of integers, such as range(5), got {seeds!r}.")
    seeds = [arguments.integer("seeds", seed, at_least=0, at_most=2**32 - 1) for seed in seeds]
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds must hold at least one integer and none twice, got {seeds!r}.")
    return seeds


def _check(run, setting):
    """Raise if `run` cannot be called with a setting and a seed."""
    if not callable(run):
        raise TypeError(f"run must be a function, got {run!r}.")
    try:
        signature(run).bind(seed=0, **setting)
    except TypeError as error:
        names = ", ".join(["seed", *setting])
        raise TypeError(f"run must accept {names} as keyword arguments: {error}.") from error


def _table(settings, seeds, outcomes):
    """Return one row per run, in the order of the grid and the seeds."""
    rows, raised = [], []
    for place, setting in enumerate(settings):
        for seed in seeds:
            results, seconds, error = outcomes[place, seed]
            if error is not None:
                raised.append(f"{setting | {'seed': seed}}: {error}")
            elif bad := [name for name, value in results.items() if _has_nan(value)]:
                error = "NaN in " + ", ".join(bad)
            rows.append({**setting, "seed": seed, **results, "error": error, "seconds": seconds})
    if raised:
        warnings.warn(f"{len(raised)} of {len(rows)} runs raised; the first: {raised[0]}", stacklevel=3)
    frame = pd.DataFrame(rows)
    frame["error"] = pd.Series([row["error"] for row in rows], dtype=object)  # None, not NaN, where all is well
    last = ["error", "seconds"]
    return frame[[name for name in frame if name not in last] + last]


def _has_nan(value):
    if isinstance(value, (Mapping, list, tuple)):
        return any(map(_has_nan, value.values() if isinstance(value, Mapping) else value))
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "fc" and bool(np.isnan(value).any())
    return isinstance(value, (float, np.floating)) and bool(value != value)
