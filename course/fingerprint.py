"""A short text that changes when the code or the data behind a function changes: the key of stored results.

`joblib.Memory` compares source text, which worker processes cannot read for functions written in a notebook, and
sees neither the helpers nor the constants a function uses. Here bytecode counts, and all it reaches.
"""

import dis
import functools
from importlib import import_module
from importlib.util import find_spec
import inspect
import sys
import sysconfig
from types import CodeType, ModuleType

import joblib

_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_CODE_ONLY = "code only"  # a key of `seen` beside the objects' ids
_STARS = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS
_INSTALLED = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


def fingerprint(thing, data=True):
    """Return 32 hexadecimal digits for a function, class, module or plain value.

    A function counts with its bytecode, constants, defaults, closure and the global names it uses, followed through
    your own modules and this package: of a module, what is used (`tasks.recall`), and all of it where that cannot be
    seen, as for modules imported inside a function. Comments, line numbers and file names do not count. What is
    installed counts by its name. The same in every process of one Python version. A global that is filled while code
    runs, such as a cache, counts with what it holds.

    data: whether lists, dicts, sets and the attributes of instances count, which running code may change.

    Raises TypeError naming the object that cannot be told from another by its content, such as an open file.
    """
    return _digest(thing, {} if data else {_CODE_ONLY: None})


def _digest(thing, seen):
    if isinstance(thing, _PLAIN):
        return joblib.hash((type(thing).__name__, thing))
    if isinstance(thing, (tuple, frozenset, CodeType)):  # the interpreter may share equal ones, or not
        return joblib.hash([type(thing).__name__, *_parts(thing, seen)])
    if id(thing) in seen:  # recursion, or used twice: its place in the walk stands for it
        return seen[id(thing)][0]
    seen[id(thing)] = (f"#{len(seen)}", thing)  # keeps `thing` alive, so that no other object gets its id
    return joblib.hash([type(thing).__name__, *_parts(thing, seen)])


def _parts(thing, seen):
    """Return digests of everything that decides what `thing` does."""

    def each(things):
        return [_digest(part, seen) for part in things]

    def named(items):
        return [text for name, part in items for text in (str(name), _digest(part, seen))]

    if isinstance(thing, CodeType):
        takes = (thing.co_argcount, thing.co_posonlyargcount, thing.co_kwonlyargcount, thing.co_flags & _STARS)
        names = thing.co_varnames[: takes[0] + takes[2]]
        how = joblib.hash((thing.co_code, thing.co_exceptiontable, takes, names))
        return [how, *thing.co_names, *each(thing.co_consts)]
    if _CODE_ONLY in seen and isinstance(thing, (list, dict, set)):
        return []
    if isinstance(thing, (list, tuple)):
        return each(thing)
    if isinstance(thing, (set, frozenset)):
        return sorted(fingerprint(part) for part in thing)  # their order differs between processes
    if isinstance(thing, dict):
        return named(sorted(thing.items(), key=lambda item: str(item[0])))
    if isinstance(thing, functools.partial):
        return each((thing.func, thing.args, thing.keywords))
    if inspect.ismethod(thing):
        return each((thing.__func__, thing.__self__))
    if isinstance(thing, (staticmethod, classmethod)):
        return each((thing.__func__,))
    if isinstance(thing, property):
        return each((thing.fget, thing.fset, thing.fdel))
    if isinstance(thing, ModuleType):
        return [thing.__name__] if _installed(thing) else named(_own(thing, seen))
    if inspect.isroutine(thing) or isinstance(thing, type):
        if _installed(sys.modules.get(thing.__module__)) or not hasattr(thing, "__dict__"):
            return [f"{thing.__module__}.{thing.__qualname__}"]
        if isinstance(thing, type):
            return [thing.__qualname__, *each(thing.__bases__), *named(_members(thing))]
        if hasattr(thing, "__wrapped__") and not hasattr(thing, "__code__"):  # such as functools.lru_cache
            return each((thing.__wrapped__,))
        cells = tuple(cell.cell_contents for cell in thing.__closure__ or ())
        return [*each((thing.__code__, thing.__defaults__, thing.__kwdefaults__, cells)), *named(_used(thing))]
    if not _installed(sys.modules.get(type(thing).__module__)) and hasattr(thing, "__dict__"):
        return [*each((type(thing),)), *(() if _CODE_ONLY in seen else named(sorted(vars(thing).items())))]
    try:
        return [joblib.hash(thing)]
    except Exception as error:
        raise TypeError(
            f"results cannot be stored by the content of {thing!r:.80}: make it inside the run ({error})"
        ) from error


def _installed(module):
    """Return whether a module came with Python or a package, so that its name stands for its code."""
    if module is None or module.__name__ == "__main__":
        return False
    if module.__name__.split(".")[0] == "course":  # the course is read, wherever it lies, but for what only repeats
        return module.__name__ in ("course.experiments", "course.fresh", "course.runs")
    file = getattr(module, "__file__", None)
    return file is None or file.startswith(_INSTALLED)


def _own(module, seen):
    """Yield what makes a module: functions and classes that are not installed, and data that can be compared."""
    for name, value in sorted(vars(module).items()):
        if name.startswith("__") or isinstance(value, ModuleType):
            continue
        if inspect.isroutine(value) or isinstance(value, type):
            if not _installed(sys.modules.get(value.__module__)):
                yield name, value
        elif isinstance(value, (*_PLAIN, tuple, list, dict, set, frozenset)):
            try:
                _digest(value, dict(seen))
            except TypeError:  # holds what has no content, such as a cache of models
                continue
            yield name, value


def _members(cls):
    """Yield what is written in the body of a class."""
    for name, value in sorted(vars(cls).items()):
        if name not in (
            "__dict__",
            "__weakref__",
            "__doc__",
            "__module__",
            "__dataclass_fields__",  # what they say is in the annotations and in the code of __init__
            "__dataclass_params__",
            "__firstlineno__",
            "__static_attributes__",
            "__slotnames__",  # Python's own notes, made when an instance is pickled
            "_abc_impl",
        ):
            yield name, value


def _used(function):
    """Yield what a function and the functions inside it use of the world: (dotted name, value)."""
    used, codes = {}, [function.__code__]
    while codes:
        code = codes.pop()
        codes += [const for const in code.co_consts if isinstance(const, CodeType)]
        steps = [step for step in dis.get_instructions(code) if step.opname != "PUSH_NULL"]
        for k, step in enumerate(steps):
            if step.opname in ("LOAD_GLOBAL", "LOAD_NAME") and step.argval in function.__globals__:
                name, value = step.argval, function.__globals__[step.argval]
                for later in steps[k + 1 :]:  # module.part, package.module.part
                    reads = later.opname in ("LOAD_ATTR", "LOAD_METHOD")
                    if not reads or not isinstance(value, ModuleType) or _installed(value):
                        break
                    if not hasattr(value, later.argval):
                        break
                    name, value = f"{name}.{later.argval}", getattr(value, later.argval)
                used[name] = value
            elif step.opname == "IMPORT_NAME" and (module := _imported(step.argval)):
                for part in steps[k - 1].argval or (None,):  # what stands after `from … import`
                    name = step.argval if part is None else f"{step.argval}.{part}"
                    used[name] = module if part is None else getattr(module, part, None) or _imported(name)
    return sorted(used.items(), key=lambda item: item[0])


def _imported(name):
    """Return a module of your own or of this package that a function imports, or None for what is installed."""
    top = sys.modules.get(name.split(".")[0]) or find_spec(name.split(".")[0])
    if isinstance(top, ModuleType):
        installed = top.__name__ != "course" and _installed(top)
    else:
        installed = top is None or not top.origin or top.origin in ("built-in", "frozen")
        installed = installed or top.origin.startswith(_INSTALLED)
    return None if installed else import_module(name)
