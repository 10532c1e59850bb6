"""Signs of life: a worker of a search shows them, and the chief takes the trial of one that has ceased to."""

from contextlib import suppress
import os
import platform
import threading
import time

from course.tuning_store import read_json, write_json
from tqdm import tqdm

BEAT = 2.0  # seconds between two signs of life


class Alive:
    """Shows, by a file that changes, that a worker is alive; refuses a second one of the same name."""

    def __init__(self, store, name):
        self.path, self.name = store.directory / "workers" / f"{name}.json", name
        self.done = threading.Event()

    def __enter__(self):
        before = read_json(self.path)
        if before is not None and not gone(before):
            time.sleep(3 * BEAT)
            if read_json(self.path) != before:
                raise ValueError(f"--id must be of this worker alone, got {self.name!r}, which is at work already.")
        self.beat(0)
        threading.Thread(target=self._run, daemon=True).start()
        return self

    def __exit__(self, *error):
        self.done.set()

    def beat(self, count):
        write_json(self.path, {"host": platform.node(), "pid": os.getpid(), "beat": count})

    def _run(self):
        count = 0
        while not self.done.wait(BEAT):
            with suppress(OSError):  # a network drive that is away for a moment: again at the next beat
                self.beat(count := count + 1)


def gone(sign):
    """Return whether the process that left this sign of life has ended on this machine."""
    if sign["host"] != platform.node() or os.name != "posix":
        return False
    try:
        os.kill(sign["pid"], 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def supervise(oracle, store, options):
    """Wait for the end; take the trials of workers that stay silent; give up when there are none for too long."""
    from course.tuning_engine import show_progress

    seen, alone_since = {}, time.monotonic()
    bar = tqdm(total=oracle.max_trials, unit="trial", disable=None, leave=False)  # in a terminal only
    while not oracle.finished or oracle.workers():
        time.sleep(0.5)
        show_progress(bar, oracle)
        now = time.monotonic()
        if oracle.failure is not None:
            raise oracle.failure
        for name in oracle.workers():
            sign = seen.get(name, [None])[0]
            with suppress(OSError):  # on a network drive also that the file was replaced just now
                sign = read_json(store.directory / "workers" / f"{name}.json")
            if name not in seen or seen[name][0] != sign:
                seen[name] = sign, now
            elif now - seen[name][1] > options.silence:
                trial = oracle.forget(name)
                del seen[name]
                lost = "" if trial is None else f"; trial {trial} goes to another"
                print(f"chief: worker {name} has been silent for {options.silence:g} s{lost}", flush=True)
        if oracle.workers():
            alone_since = now
        elif now - alone_since > options.wait:
            raise TimeoutError(f"no worker for {options.wait:g} s. Nothing is lost: start chief and workers again.")
