"""docs/several_machines.md is true: its search runs on two Dask workers started by its two commands."""

import ast
import os
from pathlib import Path
import re
import shlex
import socket
import subprocess
import sys
import time

import pytest

TEXT = (Path(__file__).resolve().parent.parent / "docs" / "several_machines.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", TEXT, re.S)
BASH = re.findall(r"```bash\n(.*?)```", TEXT, re.S)


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


@pytest.mark.skipif(os.name == "nt", reason="the commands are a POSIX shell's")
def test_the_search_runs_on_two_workers_started_by_the_commands(tmp_path):
    port = free_port()
    script = PYTHON[0].replace("8786", port).replace("max_trials=8", "max_trials=1").replace("epochs=10", "epochs=2")
    (tmp_path / "my_search.py").write_text(script)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    processes = []
    try:
        for line in BASH[0].replace("8786", port).strip().splitlines():
            words = shlex.split(line)
            settings = dict(word.split("=", 1) for word in words if re.match("[A-Z_]+=", word))
            command = [sys.executable, "-m", "dask", *[w for w in words if "=" not in w or "://" in w][1:]]
            with (tmp_path / "log").open("a") as log:
                options = {"cwd": tmp_path, "env": environment | settings, "stdout": log, "stderr": log}
                processes.append(subprocess.Popen(command, **options))
        end = time.monotonic() + 60
        while (tmp_path / "log").read_text().count("Registered to") < 2:
            assert time.monotonic() < end, (tmp_path / "log").read_text()
            time.sleep(0.1)
        done = subprocess.run(
            [sys.executable, "my_search.py"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert done.returncode == 0, done.stderr + (tmp_path / "log").read_text()
        assert "Results summary" in done.stdout
        assert re.search(r"^1 +0 +1 +1 ", done.stdout, re.M)  # the second execution, of trial 0 from seed 1
    finally:
        for process in processes:
            process.terminate()
            process.wait(30)


@pytest.mark.parametrize("code", PYTHON)
def test_the_other_lines_are_python(code):
    ast.parse(code)
