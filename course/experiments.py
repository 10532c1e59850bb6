"""Repeats a run over settings and seeds, in parallel, and says how often it succeeded."""

from collections.abc import Iterable, Mapping
from inspect import signature
from itertools import product
import os
from pathlib import Path
import platform
import sys
import warnings

import cloudpickle
from course import arguments
from course.fingerprint import fingerprint
from course.runs import RESERVED, Missing, backend, inside, key_of, missing_now, one_thread, stored, tasks, work
import joblib
import numpy as np
import pandas as pd
from statsmodels.stats.proportion import proportion_confint
from tqdm import tqdm


def sweep(run, grid, seeds, n_jobs=-1, *, directory=None, progress=True):
    """Return a table with one row for every run: every setting of `grid` with every seed.

    run: a function called as `run(seed=..., **setting)` that returns a dict of results. It may live in a notebook.
    grid: a dict of lists, `{"units": [8, 16], "gap": [10, 50]}`, of which every combination is run; or a list of
        dicts with the same names, each one setting. Values must be hashable: a tuple, not a list.
    seeds: different integers, 0 to 2**32 - 1.
    n_jobs: worker processes, -1 for one per core, 1 for none (runs here). A worker uses one thread. Under
        `with joblib.parallel_config("dask"):` the runs go to the workers of the current `dask.distributed` client.
    directory: where every finished run is stored at once; a sweep started again computes only what is missing.
        None stores nothing. Runs are found again by setting, seed and code (see `course.fingerprint`): with changed
        code they run again. Dask workers on other machines must reach the same directory.
    progress: show a bar on standard output, gone when done; setting `TQDM_DISABLE=1` turns all bars off.

    Columns: the setting, `seed`, the results, `error` (missing if all is well), `seconds`. A run that raises is a row
    with the error, tried again by the next sweep, because the cause may be gone, and a warning counts them. A run
    that returns NaN is a row with its results and an error too, but it has an outcome, and is not tried again.

    Seeds of one setting run one after the other in one process, so that `fresh` compiles once.
    """
    if inside():
        raise RuntimeError("sweep cannot be called by a run of another sweep: put all that varies into one grid.")
    settings, seeds = _settings(grid), _seeds(seeds)
    _check(run, settings[0], n_jobs, directory)
    directory = None if directory is None else str(Path(directory).resolve())
    code = None if directory is None else f"{fingerprint(run)} {backend()}"
    try:
        copied = fingerprint(cloudpickle.loads(cloudpickle.dumps(run)), data=code is not None)  # as a worker gets it
    except TypeError:  # cannot be told: nothing is stored, so nothing depends on it
        copied = None
    home = (platform.node(), os.getpid())
    store, outcomes, missing = stored(directory), {}, {}
    for place, setting in enumerate(settings):
        for seed in seeds:
            key = key_of(code, setting, seed)
            try:
                if not store.check_call_in_cache(key, None):
                    raise Missing
                outcomes[place, seed] = store(key, missing_now)  # which it calls if the file cannot be read
            except Missing:
                missing.setdefault(place, []).append(seed)
    sent = [
        (home, cloudpickle.dumps((run, code, copied, place, settings[place], some, directory)))
        for place, some in tasks(missing, joblib.effective_n_jobs(n_jobs) if missing else 1)
    ]
    show = {} if progress else {"disable": True}  # not disable=False, which would overrule TQDM_DISABLE
    with tqdm(total=len(settings) * len(seeds), initial=len(outcomes), file=sys.stdout, leave=False, **show) as bar:
        with one_thread():
            workers = joblib.Parallel(n_jobs, return_as="generator_unordered", batch_size=1, pre_dispatch="all")
        for done in workers(joblib.delayed(work)(task) for task in sent):
            outcomes.update(done)
            bar.update(len(done))
    return _table(settings, seeds, outcomes)


def success_rate(frame, by, solved, confidence=0.95):
    """Return how often the runs of a sweep succeeded: one row per group, with rate, low, high and n.

    low, high: Wilson's interval of the given confidence. It stays sensible for few runs and for rates of 0 and 1.
    frame: what `sweep` returned. A run with an error counts as not solved.
    by: the name of a setting, or a list of names.
    solved: the name of a column of True and False, or a function that makes one from the frame, such as
        `lambda frame: frame.accuracy > 0.95`. A missing value counts as not solved.
    """
    if not isinstance(frame, pd.DataFrame) or frame.empty:
        raise TypeError(f"frame must be a pandas.DataFrame with at least one row, got {frame!r}.")
    by = [by] if isinstance(by, str) else list(by)
    for name in by or [None]:
        if arguments.one_of("by", name, frame.columns) in ("rate", "low", "high", "n", "k", "solved"):
            raise ValueError(
                f"by must not be called as a column of the result, got {name!r}: rename it in the frame."
            )
    confidence = arguments.number("confidence", confidence, above=0, below=1)
    if not callable(solved):
        solved = frame[arguments.one_of("solved", solved, frame.columns)]
    else:
        solved = pd.Series(solved(frame), index=frame.index)
    if not solved.dropna().isin([True, False]).all():
        raise ValueError(f"solved must give True or False for every run, got {solved.dropna().tolist()[:5]}.")
    solved = solved.eq(True)
    if "error" in frame:
        solved &= frame["error"].isna()
    groups = frame[by].assign(solved=solved).groupby(by, sort=False, dropna=False)["solved"]
    table = groups.agg(rate="mean", k="sum", n="count").reset_index()
    k, n = table.pop("k"), table.pop("n")
    low, high = proportion_confint(k, n, alpha=1 - confidence, method="wilson")
    return table.assign(low=np.where(k == 0, 0.0, low), high=np.where(k == n, 1.0, high), n=n)  # without rounding


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


def _check(run, setting, n_jobs, directory):
    """Raise if the other arguments of sweep are wrong."""
    if not callable(run):
        raise TypeError(f"run must be a function, got {run!r}.")
    try:
        signature(run).bind(seed=0, **setting)
    except TypeError as error:
        names = ", ".join(["seed", *setting])
        raise TypeError(f"run must accept {names} as keyword arguments: {error}.") from error
    if arguments.integer("n_jobs", n_jobs) == 0:
        raise ValueError("n_jobs must be a number of workers or -1 for one per core, got 0.")
    if directory is not None and not isinstance(directory, (str, Path)):
        raise TypeError(f"directory must be a path or None, got {directory!r}.")


def _table(settings, seeds, outcomes):
    """Return one row per run, in the order of the grid and the seeds."""
    rows, raised = [], []
    for place, setting in enumerate(settings):
        for seed in seeds:
            outcome, error = outcomes[place, seed], None
            if isinstance(outcome, str):
                error, outcome = outcome, ({}, np.nan)
                raised.append(f"{setting | {'seed': seed}}: {error}")
            elif bad := [name for name, value in outcome[0].items() if _has_nan(value)]:
                error = "NaN in " + ", ".join(bad)
            rows.append({**setting, "seed": seed, **outcome[0], "error": error, "seconds": outcome[1]})
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
