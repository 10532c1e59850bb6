from collections import namedtuple
from importlib.metadata import PackageNotFoundError
import os
import re
import subprocess
import sys

from course import doctor
import pytest


def test_this_machine_passes_and_the_exit_status_is_0():
    done = subprocess.run([sys.executable, "-m", "course.doctor"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("✓") == len(doctor.CHECKS)
    assert done.stderr == ""


def test_the_doctor_loads_without_keras():
    script = "import course.doctor, sys; sys.exit('keras' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


def test_a_folder_that_cannot_be_written_is_found(tmp_path):
    finding = doctor.folder(tmp_path / "absent")
    assert not finding.ok
    assert "Copy the course" in finding.advice


def test_too_little_memory_is_found(monkeypatch):
    monkeypatch.setattr("psutil.virtual_memory", lambda: namedtuple("Memory", "available")(3e8))
    finding = doctor.memory()
    assert (finding.ok, finding.found) == (False, "0.3 GB")


def test_a_missing_and_an_old_package_are_named(monkeypatch):
    def version(name):
        if name == "keras-tuner":
            raise PackageNotFoundError(name)
        return "0.0.1" if name == "pandas" else "99"

    monkeypatch.setattr(doctor, "version", version)
    finding = doctor.packages()
    assert not finding.ok
    assert "keras-tuner is missing" in finding.found
    assert "pandas is 0.0.1, needs" in finding.found
    assert "numpy" not in finding.found


def test_a_kernel_of_another_python_is_found(monkeypatch, tmp_path):
    kernel = tmp_path / "kernels" / "python3"
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text(
        '{"argv": ["/elsewhere/python", "-m", "x"], "display_name": "", "language": ""}'
    )
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    finding = doctor.kernel()
    assert not finding.ok
    assert "/elsewhere/python" in finding.found


@pytest.mark.parametrize("failing", ["raises", "finds"])
def test_each_failure_is_counted_with_its_advice(monkeypatch, capsys, failing):
    def check():
        if failing == "raises":
            raise OSError("broken")
        return doctor.Finding("Check", False, "broken", "Mend it.")

    monkeypatch.setattr(doctor, "CHECKS", (doctor.python, check))
    assert doctor.main() == 1
    out = capsys.readouterr().out
    assert "✗ Check: " in out
    assert "broken" in out
    assert "→ " in out
    assert "1 to mend" in out


def test_a_backend_that_does_not_start_is_reported_with_its_reason_and_the_exit_status_is_1():
    environment = {**os.environ, "KERAS_BACKEND": "nonsense"}
    done = subprocess.run([sys.executable, "-m", "course.doctor"], capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert re.search("^✗ Training: .*nonsense", done.stdout, re.M)
