"""Many trainings on any `concurrent.futures.Executor`: here one by one, on this machine's cores, or on a cluster.

Processes()                            as many processes as cores, one thread each, by loky
distributed.Client(...).get_executor() the workers of a Dask cluster
"""

from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
import os
import threading
import time

from course import arguments

ONE_THREAD = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}


class Processes(Executor):
    """Processes on this machine with one thread each, as an executor.

    workers: how many; by default one per core. They start with the first task, are shared by everything in this
    process that asks for as many, and end after five idle minutes, or when this process has ended. loky replaces one
    that has died, or that has grown by 300 MB, as TensorFlow makes it grow with every model it compiles.
    """

    def __init__(self, workers=None):
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        self.workers = cores if workers is None else arguments.integer("workers", workers, at_least=1)

    def submit(self, function, /, *args, **kwargs):
        from loky import get_reusable_executor

        pool = get_reusable_executor(
            self.workers,
            timeout=300,
            env={name: os.environ.get(name, one) for name, one in ONE_THREAD.items()},
            initializer=_end_with,
            initargs=(os.getpid(),),
        )
        return pool.submit(function, *args, **kwargs)


class Here(Executor):
    """Computes at once, in this process."""

    workers = 1

    def submit(self, function, /, *args, **kwargs):
        future = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def checked(executor):
    """Return an executor for `executor`, None meaning here; raise TypeError for anything else."""
    if executor is None:
        return Here()
    if not isinstance(executor, Executor):
        raise TypeError(
            f"executor must be a concurrent.futures.Executor, such as Processes() or a Dask client's get_executor(), "
            f"or None, got {executor!r}."
        )
    return executor


def workers(executor):
    """Return how many tasks an executor works on at once. Python has no public way to ask."""
    if client := getattr(executor, "_client", None):  # Dask's
        return max(1, sum(client.nthreads().values()))
    return getattr(executor, "workers", None) or getattr(executor, "_max_workers", None) or 1


def carry_out(function, ask, executor):
    """Yield (task, outcome, error) for every task that `ask` hands out, one at a time as they come.

    ask(last): returns the next task, a tuple of arguments for `function`, or None if there is none for now. `last` is
        the task that came back before, None at the start: as many are under way as there are workers, so what it
        hands out next goes, as a rule, to the worker that did `last`.
    outcome is what `function` returned, error the exception that kept it from returning, each None without the other.

    When a process dies, an executor gives up all that was under way. Each of these tasks is tried once more, by
    itself: the one that kills its process again is the culprit, and that is its error.
    """
    running, suspects, free = {}, [], [None] * workers(executor)
    try:
        while True:
            waiting = []
            while free and not suspects:
                last = free.pop()
                if (task := ask(last)) is None:
                    waiting.append(last)
                else:
                    running[executor.submit(function, *task)] = task, False
            free = waiting + free
            if suspects and not running:
                task = suspects.pop()
                running[executor.submit(function, *task)] = task, True
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                task, alone = running.pop(future)
                error = future.exception()
                if isinstance(error, BrokenExecutor) and not alone:
                    suspects.append(task)
                    continue
                free.append(task)
                yield task, None if error else future.result(), error
    finally:
        for future in running:
            future.cancel()


def _end_with(parent):
    """End this process when `parent` has ended: nobody waits for what it computes."""

    def watch():
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
