"""Kills searches at random moments, starts them again, and counts what was lost: `python tests/faults.py --kills 20`.

Three kinds: a search in one process is killed; of a chief with two workers, a worker is; or the chief is. What is
killed gets SIGKILL and is started again with the same command. A search that finishes before all kills are done is
followed by another one.
"""

import argparse
import os
from pathlib import Path
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np

KINDS = ("single process", "worker", "chief")
ROOT = Path(__file__).parent.parent
SINGLE = (
    "from course import tuning; import search_target as t; tuning.search(**t.{}(), directory={!r}, progress=False)"
)


class Search:
    """The processes of one search in `directory`."""

    def __init__(self, kind, directory, port, silence=60.0, target="define"):
        self.directory, self.port, self.silence, self.target = directory, port, silence, target
        names = ["single"] if kind == "single process" else ["chief", "1", "2"]
        self.processes = {name: self.start(name) for name in names}

    def start(self, name):
        """Start a process of this search: "single", "chief", or the id of a worker."""
        if name == "single":
            command = ["-c", SINGLE.format(self.target, str(self.directory))]
        else:
            role = ["chief", "--silence", str(self.silence)] if name == "chief" else ["worker", "--id", name]
            target = [f"{ROOT / 'tests' / 'search_target.py'}:{self.target}", "--directory", str(self.directory)]
            command = ["-m", "course.tuning", role[0], *target, "--port", str(self.port), "--wait", "120", *role[1:]]
        with (self.directory.parent / f"{self.directory.name}_{name}.log").open("a") as log:
            cores = {} if name == "single" else {"LOKY_MAX_CPU_COUNT": "1"}  # as many trainings at once as workers
            environment = {**os.environ, **cores}
            return subprocess.Popen(
                [sys.executable, *command], cwd=ROOT / "tests", env=environment, stdout=log, stderr=log
            )

    def kill(self, name):
        """Kill a process as the power button would."""
        self.processes[name].send_signal(signal.SIGKILL)
        self.processes[name].wait()

    def finished(self, timeout):
        """Return whether all processes end within so many seconds, with status 0."""
        ends = time.monotonic() + timeout
        while any(process.poll() is None for process in self.processes.values()):
            if time.monotonic() > ends:
                return False
            time.sleep(0.05)
        return all(process.returncode == 0 for process in self.processes.values())

    def finished_after_one(self, seconds):
        """Wait for a training to end and so many seconds longer; return whether the search finished meanwhile."""
        before = self.outcomes().keys()
        while self.outcomes().keys() == before:
            if self.finished(0.2):
                return True
        return self.finished(seconds)

    def close(self):
        """End what still runs."""
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
                process.wait()

    def outcomes(self):
        """Return {(trial, execution): content} of the recorded executions."""
        return {
            path.relative_to(self.directory): path.read_text() for path in self.directory.glob("trial_*/*_?.json")
        }

    def starts(self):
        """Return {(trial, execution): how often it was started}."""
        paths = self.directory.glob("trial_*/*.started")
        return {p.relative_to(self.directory).with_suffix(".json"): len(p.read_text().splitlines()) for p in paths}


def faults(kinds, kills, seed, folder, target="define", trials=20):
    """Return the counts for kinds of faults in turn, over searches of `target`, which has so many trials of two each."""
    rng, port = np.random.default_rng(seed), 20_000 + 7 * seed + 1000 * KINDS.index(kinds[0])
    counts = {"kills": 0, "recorded": 0, "lost": 0, "trained anew": 0, "trials repeated": 0, "unfinished": 0}
    number = 0
    while counts["kills"] < kills:
        number += 1
        search = Search(
            kinds[0], Path(folder) / f"{kinds[0].replace(' ', '_')}_{number}", port + number, target=target
        )
        seen, here = {}, 0
        try:
            while counts["kills"] < kills and not search.finished_after_one(rng.uniform(0, 8)):
                kind = kinds[counts["kills"] % len(kinds)]
                victim = {"single process": "single", "chief": "chief"}.get(kind) or rng.choice(["1", "2"])
                if search.processes[victim].poll() is not None:  # has done its part
                    continue
                search.kill(victim)
                counts["kills"], here = counts["kills"] + 1, here + 1
                new = {name: (text, search.starts()[name]) for name, text in search.outcomes().items()}
                seen = new | seen  # what an earlier kill has found recorded counts
                search.processes[victim] = search.start(victim)
            counts["unfinished"] += not search.finished(600)
        finally:
            search.close()
        outcomes, starts = search.outcomes(), search.starts()
        counts["recorded"] += len(seen)
        counts["lost"] += sum(outcomes.get(name) != text for name, (text, _) in seen.items())
        counts["trained anew"] += sum(starts[name] != number for name, (_, number) in seen.items())
        again = {name.parent for name, times in starts.items() if times > 1}
        counts["trials repeated"] += len(again)
        counts["lost"] += 2 * trials - len(outcomes)
        assert len(again) <= here, f"{len(again)} trials were begun again after {here} kills"
    return counts


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=KINDS, action="append")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for kind in options.kind or KINDS:
            begun = time.monotonic()
            counts = faults([kind], options.kills, options.seed, folder)
            told = ", ".join(f"{name} {count}" for name, count in counts.items())
            print(f"{kind}: {told} ({time.monotonic() - begun:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
