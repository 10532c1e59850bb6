"""Chief and workers: what is killed is taken up, what stays away is not waited for, and bad commands are refused."""

from inspect import signature
import json
import os
import re
import shlex
import socket
import subprocess
import sys
import time
from types import SimpleNamespace

from course import tuning, tuning_alive, tuning_cluster
from course.tuning_alive import BEAT, Alive, gone
from course.tuning_cluster import main
from course.tuning_options import parser
from course.tuning_store import Store, read_json, write_json
from faults import ROOT, Search, faults
from joblib.externals.loky import ProcessPoolExecutor
import pytest
import yaml

TARGET = str(ROOT / "tests" / "search_target.py")


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Leave no trace of what a chief or worker sets for Keras Tuner."""
    for name in ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.mark.alone
@pytest.mark.parametrize("kinds", [["single process"], ["worker", "chief"]])
def test_killed_and_started_again_nothing_is_lost(tmp_path, kinds):
    """`python tests/faults.py --kills 20` does it more often."""
    counts = faults(kinds, kills=len(kinds), seed=1, folder=tmp_path, target="define_short", trials=4)
    assert (counts["kills"], counts["lost"], counts["trained anew"], counts["unfinished"]) == (len(kinds), 0, 0, 0)
    assert counts["trials repeated"] <= len(kinds)


@pytest.mark.alone
def test_a_worker_that_never_comes_back_does_not_hold_up_the_search(tmp_path):
    search = Search("worker", tmp_path / "search", port=free_port(), silence=3 * BEAT, target="define_short")
    try:
        while not search.starts():
            assert not search.finished(0.2)
        at_it = next((search.directory).glob("trial_*/*.started")).read_text().splitlines()[0]
        victim = next(name for name in "12" if str(search.processes[name].pid) == at_it)
        search.kill(victim)
        del search.processes[victim]
        assert search.finished(240)
    finally:
        search.close()
    assert len(search.outcomes()) == 2 * 4
    assert f"worker {victim} has been silent" in (tmp_path / "search_chief.log").read_text()


@pytest.mark.parametrize(
    ("role", "more", "message"), [("worker", ["--id", "1"], "no chief at"), ("chief", [], "no worker for 0.2 s")]
)
def test_workers_and_chief_give_up_when_the_other_side_stays_away(tmp_path, capsys, role, more, message):
    options = ["--directory", str(tmp_path / "s"), "--port", str(free_port()), "--wait", "0.2", *more]
    assert main([role, f"{TARGET}:define_short", *options]) == 1
    assert message in capsys.readouterr().err


def test_a_worker_for_a_finished_search_ends_without_a_chief(tmp_path, capsys):
    store = Store(tmp_path)
    write_json(store.oracle, {"stopped_at": 4, "end_order": ["0"], "trials": {"0": {}}})
    options = ["--directory", str(tmp_path), "--id", "1", "--port", str(free_port()), "--wait", "9"]
    assert main(["worker", f"{TARGET}:define_short", *options]) == 0
    assert "nothing more to do" in capsys.readouterr().out


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run(capsys, *arguments):
    """Return what the command says when it refuses."""
    assert main([*arguments]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    return said.err


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("search_target", "target must be module:function or file.py:function, got 'search_target'"),
        ("no_such_module:define", "ModuleNotFoundError"),
        (f"{TARGET}:no_such", "AttributeError"),
        (f"{TARGET}_:define", "ModuleNotFoundError"),
        ("no_such_file.py:define", "FileNotFoundError"),
        (f"{TARGET}:data", "target must name a function that returns the arguments of course.tuning.search"),
    ],
)
def test_bad_targets_are_refused(tmp_path, capsys, target, message):
    assert message in run(capsys, "chief", target, "--directory", str(tmp_path / "s"))
    assert not (tmp_path / "s").exists()


def test_a_port_in_use_is_refused_and_nothing_written(tmp_path, capsys):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        said = run(capsys, "chief", f"{TARGET}:define", "--directory", str(tmp_path / "s"), "--port", str(port))
    assert f"--host and --port must be an address of this machine that is free, got 127.0.0.1:{port}" in said
    assert not (tmp_path / "s").exists()


def test_another_searchs_directory_is_refused(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("all of it")
    options = ["--directory", str(tmp_path), "--port", str(free_port())]
    assert "directory must be new, empty or of this search" in run(capsys, "chief", f"{TARGET}:define", *options)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("there", "message"),
    [({"executions": 3}, "directory holds the results of another search"), (None, "--directory must be the chief's")],
)
def test_a_worker_with_another_search_or_directory_than_the_chief_is_refused(tmp_path, capsys, there, message):
    if there is not None:
        write_json(tmp_path / "search.json", there)
    files = [*tmp_path.iterdir()]
    options = ["--directory", str(tmp_path), "--id", "1", "--wait", "9"]
    with socket.socket() as chief:
        chief.bind(("127.0.0.1", 0))
        chief.listen()
        assert main(["worker", f"{TARGET}:define", *options, "--port", str(chief.getsockname()[1])]) == 1
    assert message in capsys.readouterr().err
    assert [*tmp_path.iterdir()] == files


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["worker", "--id", "1", "--port", "99999"], "--port must be at most 65535, got 99999"),
        (["worker", "--id", "1", "--threads", "0"], "--threads must be at least 1, got 0"),
        (["worker", "--id", "1", "--wait", "nan"], "--wait must be finite, got nan"),
        (["chief", "--port", "0"], "--port must be at least 1, got 0"),
        (["chief", "--wait", "0"], "--wait must be above 0, got 0.0"),
        (["chief", "--silence", "1"], "--silence must be at least 6.0, got 1.0"),
    ],
)
def test_bad_numbers_are_refused(tmp_path, capsys, options, message):
    role, *others = options
    assert message in run(capsys, role, f"{TARGET}:define", "--directory", str(tmp_path / "s"), *others)


def test_a_target_in_another_folder_can_be_imported_by_the_processes_that_train(tmp_path, monkeypatch):
    (tmp_path / "elsewhere.py").write_text(
        "def build(hp):\n    return 7\n\n\ndef define():\n    raise TypeError(build)\n"
    )
    monkeypatch.setattr(sys, "path", [*sys.path])
    main(["chief", f"{tmp_path / 'elsewhere.py'}:define", "--directory", str(tmp_path / "s")])
    with ProcessPoolExecutor(1) as pool:
        assert pool.submit(sys.modules.pop("elsewhere").build, None).result(timeout=60) == 7


@pytest.mark.parametrize("name", ["", "chief-2", "a b", "../1"])
def test_bad_worker_names_are_refused(tmp_path, capsys, name):
    said = run(capsys, "worker", f"{TARGET}:define", "--directory", str(tmp_path), "--id", name)
    assert "--id must be letters, digits" in said


def test_an_open_address_is_warned_about(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("all of it")  # ends it before it listens
    options = ["--directory", str(tmp_path), "--host", "0.0.0.0", "--port", str(free_port())]
    said = run(capsys, "chief", f"{TARGET}:define", *options)
    assert "without encryption or password: private networks only" in said


def test_a_worker_shows_signs_of_life_under_its_name_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("course.tuning_alive.BEAT", 0.05)
    store = Store(tmp_path)
    with Alive(store, "1"):
        first = read_json(tmp_path / "workers" / "1.json")
        time.sleep(0.3)
        assert read_json(tmp_path / "workers" / "1.json")["beat"] > first["beat"]
        with pytest.raises(ValueError, match="--id must be of this worker alone, got '1'"), Alive(store, "1"):
            pass
    ended = json.loads((tmp_path / "workers" / "1.json").read_text())
    time.sleep(0.2)
    assert read_json(tmp_path / "workers" / "1.json") == ended
    with Alive(store, "1"):  # the name is free again
        pass


def test_a_drive_that_is_away_for_a_moment_ends_neither_side(tmp_path, monkeypatch):
    def away_at_first(path, content):
        if content["beat"] in (1, 2):
            raise OSError("stale file handle")
        write_json(path, content)

    def away(path):
        raise OSError("stale file handle")

    monkeypatch.setattr(tuning_alive, "BEAT", 0.05)
    monkeypatch.setattr(tuning_alive, "write_json", away_at_first)
    with Alive(Store(tmp_path), "1"):
        wait_for_beat(tmp_path / "workers" / "1.json", 3)
    asked = iter([{"1"}] * 6 + [set()] * 6)
    oracle = SimpleNamespace(finished=True, failure=None, max_trials=1, workers=lambda: next(asked))
    oracle.progress = lambda: (0, None)
    monkeypatch.setattr(tuning_alive, "read_json", away)
    tuning_alive.supervise(oracle, Store(tmp_path), SimpleNamespace(silence=60, wait=60))


def wait_for_beat(path, beat):
    ends = time.monotonic() + 30
    while read_json(path)["beat"] < beat:
        assert time.monotonic() < ends
        time.sleep(0.02)


@pytest.mark.skipif(not socket.has_ipv6, reason="needs IPv6")
def test_addresses_of_ipv6_stand_in_brackets(tmp_path, monkeypatch):
    monkeypatch.setattr(tuning_cluster, "supervise", lambda oracle, store, options: None)
    monkeypatch.setattr(tuning_cluster.tuning, "result", lambda *args: SimpleNamespace(best=dict))
    options = ["--directory", str(tmp_path / "s"), "--port", str(free_port()), "--host", "::1"]
    assert main(["chief", f"{TARGET}:define_short", *options]) == 0
    assert os.environ["KERASTUNER_ORACLE_IP"] == "[::1]"


def test_a_process_that_has_ended_on_this_machine_is_known_to_be_gone():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    here = os.uname().nodename
    assert gone({"host": here, "pid": ended.pid})
    assert not gone({"host": here, "pid": os.getpid()})
    assert not gone({"host": "elsewhere", "pid": ended.pid})  # who knows


def test_documented_commands_and_searches_are_those_of_the_program():
    text = (ROOT / "docs" / "several_machines.md").read_text(encoding="utf-8")
    lines = re.findall(r"-m course\.tuning ((?:chief|worker) .*)", text.replace("\\\n", " "))
    documents = [*yaml.safe_load_all(re.search(r"```yaml\n(.*?)```", text, re.S)[1])]
    jobs = [document["spec"]["template"]["spec"] for document in documents if document["kind"] == "Job"]
    chief, worker = (job["containers"][0]["command"] for job in jobs)
    given = [*map(shlex.split, lines), chief[3:], shlex.split(worker[2])[3:]]
    options = [parser().parse_args(command) for command in given]
    assert len(options) >= 7
    assert {option.target for option in options} == {"my_search.py:define"}
    names = {}
    exec(re.findall(r"```python\n(.*?)```", text, re.S)[0], names)
    arguments = signature(tuning.search).bind(**names["define"](), directory="runs")
    arguments.apply_defaults()
    assert tuning.planned(arguments.arguments)["max_trials"] == 40
