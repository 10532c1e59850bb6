"""Is this machine ready for the course, and if not, what to do: `python -m course.doctor`.

Prints a line per check and, for each that fails, a sentence saying what to do. Exit status 1 if any fails.
"""

from importlib.metadata import PackageNotFoundError, requires, version
import os
from pathlib import Path
import platform
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

NAME = "measured-rnn-course"
MEMORY_GB = 2.0  # a kernel needs up to 1.0 GB after a lesson; the browser and JupyterLab need the rest
STEP_SECONDS = 1.0  # a step of the smallest lesson model takes milliseconds; more than this and lessons crawl


class Finding(NamedTuple):
    """One check. advice: what to do when not ok."""

    name: str
    ok: bool
    found: str
    advice: str = ""


def python():
    """Whether the Python version is one the course is tested on."""
    found = platform.python_version()
    return Finding("Python", (3, 11) <= sys.version_info < (3, 14), found, "Install Python 3.11, 3.12 or 3.13.")


def packages():
    """Whether everything the course needs is installed, in a version it accepts."""
    from packaging.requirements import Requirement

    missing, extras = [], ("lessons", "tuning", os.environ.get("KERAS_BACKEND", "tensorflow"))
    for text in requires(NAME) or ():
        requirement = Requirement(text)
        needed = requirement.marker is None or any(requirement.marker.evaluate({"extra": e}) for e in extras)
        if not needed or requirement.name == NAME:  # which says what an extra holds
            continue
        try:
            if not requirement.specifier.contains(version(requirement.name), prereleases=True):
                missing.append(f"{requirement.name} is {version(requirement.name)}, needs {requirement.specifier}")
        except PackageNotFoundError:
            missing.append(f"{requirement.name} is missing")
    advice = "Run `make lab`, which repairs the environment, or `pip install -r requirements.lock`."
    return Finding("Packages", not missing, "; ".join(missing) or "complete", advice)


def memory():
    """Whether enough memory is free for a lesson."""
    import psutil

    free = psutil.virtual_memory().available / 1e9
    advice = f"Close other programs: a lesson needs {MEMORY_GB:.0f} GB free."
    return Finding("Free memory", free >= MEMORY_GB, f"{free:.1f} GB", advice)


def folder(path="."):
    """Whether the folder `path`, where notebooks are saved, can be written to."""
    try:
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        advice = "Copy the course to a folder that is yours and open it there: your work could not be saved here."
        return Finding("Folder", False, error.strerror or str(error), advice)
    return Finding("Folder", True, "can be written to")


def kernel():
    """Whether notebooks run on the Python that holds the course."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    advice = "Start JupyterLab with `make lab`, or choose the kernel 'Python 3' of this environment."
    try:
        command = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except NoSuchKernel:
        return Finding("Kernel", False, "there is no kernel named python3", advice)
    # A bare "python" is replaced by the interpreter that starts the kernel; a path is taken as it is.
    same = Path(command).name == command or Path(command).absolute() == Path(sys.executable).absolute()
    return Finding("Kernel", same, "this environment's Python" if same else f"another Python: {command}", advice)


def training():
    """Which backend Keras runs on, and how long one training step of a small RNN takes once compiled.

    In a process of its own: TensorFlow that crashes on an old processor must not take the doctor along.
    """
    script = (
        "import course.classroom, keras, numpy as np, time\n"
        "model = keras.Sequential([keras.layers.SimpleRNN(32), keras.layers.Dense(1)])\n"
        "model.compile('adam', 'mse', jit_compile=True)\n"
        "x, y = np.zeros((32, 20, 1), 'float32'), np.zeros((32, 1), 'float32')\n"
        "model.train_on_batch(x, y)\n"
        "start = time.perf_counter()\n"
        "for _ in range(10): model.train_on_batch(x, y)\n"
        "print(keras.backend.backend(), keras.__version__, (time.perf_counter() - start) / 10)\n"
    )
    start = time.perf_counter()
    try:
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300)
    except subprocess.TimeoutExpired:
        advice = "Close other programs and try again; this machine may be too slow for the course."
        return Finding("Training", False, "no step within 300 s", advice)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        advice = "Keras does not run here. Try `make clean lab`; on a processor without AVX, use KERAS_BACKEND=jax."
        return Finding("Training", False, reason, advice)
    backend, keras_version, seconds = done.stdout.split()[-3:]
    found = (
        f"Keras {keras_version} on {backend}, {float(seconds) * 1e3:.0f} ms a step, "
        f"{time.perf_counter() - start:.0f} s to start and compile"
    )
    advice = "Training is very slow: close other programs, or expect the lessons to take several times as long."
    return Finding("Training", float(seconds) < STEP_SECONDS, found, advice)


CHECKS = (python, packages, memory, folder, kernel, training)


def main():
    """Run every check, print what was found, and return the number of failures."""
    failures = 0
    for check in CHECKS:
        try:
            finding = check()
        except Exception as error:  # the doctor reports, whatever happens
            found = f"{type(error).__name__}: {error}"
            finding = Finding(
                check.__name__.capitalize(), False, found, "Run `make lab`, which repairs the environment."
            )
        print(f"{'✓' if finding.ok else '✗'} {finding.name}: {finding.found}")
        if not finding.ok:
            failures += 1
            print(f"  → {finding.advice}")
    print("This machine is ready for the course." if not failures else f"{failures} to mend before you start.")
    return failures


if __name__ == "__main__":
    sys.exit(min(main(), 1))
