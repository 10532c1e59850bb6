"""What counts as changed code, and what does not."""

import abc
from dataclasses import dataclass
import functools
import os
import subprocess
import sys
import threading
import types

from course import fingerprint as module
from course.datasets import digits
from course.fingerprint import fingerprint
import pytest


def defined(code, **names):
    """Return the function `f` that `code` defines, as a notebook cell would."""
    space = {"__name__": "__main__", **names}
    exec(compile(code, "<cell>", "exec"), space)
    return space["f"]


BASE = "K = 2\ndef g(x):\n    return K * x\ndef f(x):\n    return g(x) + 1\n"


@pytest.mark.parametrize(
    "same", [BASE, "\n\n# moved\n" + BASE, BASE.replace("K * x", "K  *  x  # why"), BASE + "M = 3\n"]
)
def test_comments_places_and_unused_names_do_not_count(same):
    assert fingerprint(defined(same)) == fingerprint(defined(BASE))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("K = 2", "K = 3"),
        ("K * x", "K + x"),
        ("+ 1", "+ 1.0"),
        ("def f(x)", "def f(x, y=1)"),
        ("return g(x) + 1", "return [g(y) for y in [x]][0] + 1"),
        ("return g(x) + 1", "return g(x) + 1 if x in {'a'} else 1"),
        ("def g(x):\n    return K * x", "class g(int):\n    pass"),
        ("def g(x):\n    return K * x", "from math import sqrt as g"),
        ("return g(x) + 1", "return g(*x) + 1"),
    ],
)
def test_a_change_in_the_code_or_in_what_it_uses_counts(old, new):
    assert old in BASE
    assert fingerprint(defined(BASE.replace(old, new))) != fingerprint(defined(BASE))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "def f(seed, units, gap):\n    return units",
            "def f(seed, gap, units):\n    return gap",
        ),  # given by keyword
        ("def f(*a):\n    return a", "def f(a):\n    return a"),
        ("def f(a, /):\n    return a", "def f(a):\n    return a"),
        (
            "def f(a, b):\n    try:\n        a()\n        b()\n    except OSError:\n        pass",
            "def f(a, b):\n    try:\n        a()\n    except OSError:\n        pass\n    else:\n        b()",
        ),
    ],
)
def test_functions_that_differ_in_how_they_are_called_or_where_they_catch_differ(one, other):
    assert fingerprint(defined(one)) != fingerprint(defined(other))


def test_closures_defaults_partials_methods_and_instances_count_with_their_values():
    def adder(n):
        return lambda x: x + n

    class Adder:
        def __init__(self, n):
            self.n = n

        def __call__(self, x):
            return x + self.n

    def pair(make):
        return fingerprint(make(1)), fingerprint(make(1)), fingerprint(make(2))

    for make in (
        adder,
        Adder,
        lambda n: Adder(n).__call__,
        lambda n: functools.partial(adder, n),
        lambda n: {"n": [n]},
    ):
        one, again, two = pair(make)
        assert one == again != two


def test_your_own_modules_count_with_their_content_and_installed_ones_by_name(monkeypatch):
    own = types.ModuleType("own")
    own.__file__ = os.path.abspath("own.py")
    exec("RATE = 1\ndef step(x):\n    return x * RATE", vars(own))
    monkeypatch.setitem(sys.modules, "own", own)
    f = defined("def f(x):\n    return own.step(x)", own=own)
    before = fingerprint(f)
    own.RATE = 2
    assert fingerprint(f) != before
    installed = types.ModuleType("threading")
    installed.__file__ = threading.__file__
    assert fingerprint(installed) == fingerprint(threading)


OWN = "SIZES = {'a': 1}\nLIST = [1]\nOTHER = 5\ndef step(x):\n    return x\n"


def own_module(monkeypatch, name, code, **names):
    own = types.ModuleType(name)
    own.__file__ = os.path.abspath(f"{name}.py")
    vars(own).update(names)
    exec(code, vars(own))
    monkeypatch.setitem(sys.modules, name, own)
    return own


@pytest.mark.parametrize(
    ("use", "change"),
    [
        ("return own.SIZES['a']", "SIZES['a'] = 2"),
        ("return [own.LIST[0] for _ in 'a']", "LIST.append(2)"),
        ("return own.deep.step(1)", "deep.step = lambda x: 2 * x"),
        ("return own.elsewhere(1)", "deep.K = 2"),  # defined in another module
        ("import own\n    return own.LIST", "LIST.append(2)"),
        ("from own import step, LIST\n    return LIST", "LIST.append(2)"),
        ("import own.deep as d\n    return d.K", "deep.K = 2"),
        ("m = own\n    return m.SIZES", "SIZES['a'] = 2"),
    ],
)
def test_what_is_used_of_your_own_modules_counts_however_it_is_reached(monkeypatch, use, change):
    deep = own_module(monkeypatch, "own.deep", "K = 1\ndef step(x):\n    return x * K\n")
    own = own_module(monkeypatch, "own", OWN, deep=deep, elsewhere=deep.step)
    f = defined(f"def f():\n    {use}", own=own)
    before = fingerprint(f)
    if "own." in use and "import own\n" not in use:  # what is not used does not count, where that can be seen
        monkeypatch.setattr(own, "OTHER", 6)
        assert fingerprint(f) == before
    exec(change, vars(own))
    assert fingerprint(f) != before


def test_what_is_imported_inside_and_installed_counts_by_name_and_is_not_started():
    f = defined("def f():\n    import antigravity, no_such_module\n    return antigravity")
    assert fingerprint(f) == fingerprint(
        defined("def f():\n    import antigravity, no_such_module\n    return antigravity")
    )
    assert "antigravity" not in sys.modules


def test_an_instance_counts_alike_before_and_after_it_was_pickled():
    class Config:
        rate = 0.1

    class Abstract(abc.ABC):
        @abc.abstractmethod
        def act(self): ...

    config = Config()
    before = fingerprint(config)
    Config.__slotnames__ = []  # what pickle leaves there
    assert fingerprint(config) == before
    assert fingerprint(Abstract) == fingerprint(Abstract)


def test_without_data_what_running_code_may_change_does_not_count(monkeypatch):
    own = own_module(monkeypatch, "own", OWN)
    f = defined("def f():\n    return own.SIZES", own=own)
    before, with_data = fingerprint(f, data=False), fingerprint(f)
    own.SIZES["b"] = 2
    assert fingerprint(f, data=False) == before
    assert fingerprint(f) != with_data


def test_without_data_the_code_that_a_closure_holds_counts(monkeypatch):
    own = own_module(monkeypatch, "own", OWN)

    def calling(step):
        return lambda x: step(x)

    def both():
        return {fingerprint(f, data=False) for f in (calling(own.step), defined("def f():\n    own.step", own=own))}

    before = both()
    exec("def step(x):\n    return 2 * x", vars(own))
    assert not before & both()


def test_recursion_ends():
    assert fingerprint(defined("def f(n):\n    return n and f(n - 1)")) != fingerprint(defined(BASE))


def test_the_same_in_another_process_with_other_hashes():
    code = f"from course.fingerprint import fingerprint as p; s = {{}}; exec({BASE!r}, s)\n"
    code += "print(p((s['f'], {'b', 'a', 'c'}, lambda x: x in {'u', 'v', 'w'})))"
    path = os.path.dirname(os.path.dirname(module.__file__))
    prints = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(prints) == 1


@pytest.mark.parametrize(
    "thing", [threading.Lock(), {"lock": threading.Lock()}, defined("def f():\n    L", L=threading.Lock())]
)
def test_what_has_no_content_to_compare_is_named(thing):
    with pytest.raises(TypeError, match=r"results cannot be stored by the content of <unlocked _thread.lock"):
        fingerprint(thing)


def test_data_classes_count_with_their_fields_and_defaults():
    def made(default):
        @dataclass(frozen=True)
        class Point:
            x: float = default

        return Point

    assert fingerprint(made(1.0)) == fingerprint(made(1.0))
    assert fingerprint(made(1.0)) != fingerprint(made(2.0))
    assert fingerprint(digits) == fingerprint(digits)
