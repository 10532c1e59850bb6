"""The time of one search with one worker and with two, and the memory of its processes over the trials."""

from pathlib import Path
import subprocess
import sys
import tempfile
import time

from course.searches import digits_by_row
import psutil

from benchmarks.tables import show

TRIALS = 24
COMMAND = [sys.executable, "-m", "course.tuning"]


def define():
    """Return the search of lesson 12 with fewer trials of one execution each."""
    return {**digits_by_row(), "max_trials": TRIALS, "executions": 1}


def megabytes(processes):
    """Return the resident memory of each process and the processes it started."""
    found = []
    for process in processes:
        try:
            family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
            found += [member.memory_info().rss / 2**20 for member in family]
        except psutil.NoSuchProcess:
            pass
    return found


def searched(workers, directory, port):
    """Return the seconds of a search, those between its first and its last trial, and the largest process in MB."""
    common = ["benchmarks.tuning_times:define", "--directory", str(directory), "--port", str(port)]
    begun = time.monotonic()
    processes = [subprocess.Popen([*COMMAND, "chief", *common], stdout=subprocess.DEVNULL)]
    for name in range(workers):
        command = [*COMMAND, "worker", *common, "--id", str(name)]
        processes.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))
    largest = {}
    while any(process.poll() is None for process in processes):
        time.sleep(0.5)
        done = len([*directory.glob("trial_*/*_0.json")])
        largest[done] = max([largest.get(done, 0), *megabytes(processes)])
    seconds = time.monotonic() - begun
    first, *_, last = sorted(path.stat().st_mtime for path in directory.glob("trial_*/*_0.json"))
    return seconds, last - first, largest


def main():
    """Print both tables."""
    with tempfile.TemporaryDirectory() as folder:
        one, two = (searched(n, Path(folder) / str(n), 18_700 + n) for n in (1, 2))
    rows = [
        {"seconds": name, "one worker": one[k], "two workers": two[k], "ratio": one[k] / two[k]}
        for k, name in enumerate(("from start to end", "from first to last trial"))
    ]
    show(f"A search of {TRIALS} trials: what two workers save", rows)
    rows = [{"trials done": done, "MB": mb} for done, mb in sorted(one[2].items()) if done % 6 == 0]
    show("The largest process of the search with one worker", rows)


if __name__ == "__main__":
    main()
