"""How `course.experiments.sweep` carries out its runs: in which order, with one thread each, and stored at once."""

from collections.abc import Mapping
from contextlib import nullcontext
from math import ceil
import os
import pickle
import platform
import sys
import threading
import time

import cloudpickle
from course.fingerprint import fingerprint
import joblib
import numpy as np

RESERVED = ("seed", "error", "seconds")  # columns that sweep fills
ONE_THREAD = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")  # TensorFlow ignores the first
_PARENT = os.getppid()  # on joblib's workers the process that called sweep; on Dask's not
_TURN = threading.Lock()  # random seeds are global: runs on threads of one process take turns
_HERE = threading.local()  # whether this thread is at a run
_CHECKED = set()  # the code that this process has been found to have


def tasks(missing, workers):
    """Yield (place of the setting, some of its seeds): whole settings, the last ones split for an even finish."""
    last = min(len(missing), workers)
    for number, (place, seeds) in enumerate(missing.items()):
        parts = ceil(2 * workers / last) if workers > 1 and number >= len(missing) - last else 1
        for some in np.array_split(seeds, min(parts, len(seeds))):
            yield place, some.tolist()


def work(task):
    """Run some seeds of one setting; return {(place of the setting, seed): outcome}."""
    home, content = task
    if home != (platform.node(), os.getpid()):
        for variable in ONE_THREAD:  # before the run's own code is read, which may start TensorFlow
            os.environ.setdefault(variable, "1")
    run, code, copied, place, setting, seeds, directory = cloudpickle.loads(content)
    if home != (platform.node(), os.getpid()) and copied is not None and copied not in _CHECKED:
        if copied != fingerprint(run, data=directory is not None):
            raise RuntimeError("run has other code in this worker, from a module changed since: restart the kernel.")
        _CHECKED.add(copied)  # before a run changes what it reaches
    store, outcomes = stored(directory), {}
    for seed in seeds:
        if _PARENT == home[1] != os.getppid():
            os._exit(1)  # the sweep was killed; started again, it must not find us at the same runs
        try:
            with _TURN:
                _HERE.running, key = True, key_of(code, setting, seed)
                outcomes[place, seed] = store(key, lambda s=seed: timed(run, setting, s))
            if directory is not None and not store.check_call_in_cache(key, None):
                raise OSError(f"finished, but could not be stored in {directory}")
        except Exception as error:  # an outcome like any other: the sweep goes on
            outcomes[place, seed] = f"{type(error).__name__}: {error}"[:500]
        finally:
            _HERE.running = False
    return outcomes


def inside():
    """Return whether this is called by a run of a sweep."""
    return getattr(_HERE, "running", False)


class Missing(Exception):
    """Says that a run is not stored."""


def missing_now():
    """Stand in for a run where none is to be made."""
    raise Missing


def backend():
    """Return the name of Keras' backend, without starting Keras."""
    keras = sys.modules.get("keras")
    return keras.config.backend() if keras else os.environ.get("KERAS_BACKEND", "tensorflow")


def one_thread():
    """Return a context in which joblib's own processes get one thread each, NumPy's included."""
    loky = isinstance(joblib.parallel.get_active_backend()[0], joblib.parallel.LokyBackend)
    return joblib.parallel_config("loky", inner_max_num_threads=1) if loky else nullcontext()


def stored(directory):
    """Return `_once` with a memory in this directory, or without one."""
    return joblib.Memory(directory, verbose=0).cache(_once, ignore=["work"])


def _once(key, work):
    """Return work(): joblib.Memory keeps it under `key` and, seeing only this code, never takes it for changed."""
    return work()  # a test holds this function to the letter: changed, it would empty every directory


def key_of(code, setting, seed):
    """Return what a run is found again by, the same in every process."""
    return None if code is None else joblib.hash((code, fingerprint(setting), seed))


def timed(run, setting, seed):
    """Return the results of one run and its seconds."""
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
