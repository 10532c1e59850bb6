"""One search on several machines: a chief, which chooses, and workers, which train, all with one shared directory.

    python -m course.tuning chief  course.searches:digits_by_row --directory runs/digits
    python -m course.tuning worker course.searches:digits_by_row --directory runs/digits --id 1

This is Keras Tuner's own mode with what it lacks: a worker shows that it is alive (a file in the shared directory), so
that the trial of one that stays silent goes to another; a chief that was killed goes on where it was; and both end.
The channel is not encrypted, and whoever reaches the port can take part: loopback or a private network only.
"""

from concurrent import futures
import importlib
import importlib.util
from inspect import signature
import os
from pathlib import Path
import socket
import sys
import time

from course import tuning
from course.runs import ONE_THREAD
from course.tuning_alive import Alive, supervise
from course.tuning_options import check, parser
from course.tuning_store import Store


def main(given=None):
    """Run the command line; return the exit status: 0 when the search is finished, 1 with a message if not."""
    options = parser().parse_args(given)
    try:
        check(options)
        {"chief": chief, "worker": worker}[options.role](options)
    except (ValueError, TypeError, OSError, TimeoutError) as error:
        print(f"{options.role}: {error}", file=sys.stderr)
        return 1
    return 0


def chief(options):
    """Choose trials for the workers that ask, until there is nothing more to do; write the table."""
    if options.host not in ("127.0.0.1", "localhost", "::1"):
        print(
            f"chief: listens on {options.host}, without encryption or password: private networks only",
            file=sys.stderr,
        )
    given, plan = _definition(options)
    _check_port(options)
    _environment(options, "chief")
    from course.tuning_engine import CourseTuner
    from course.tuning_oracle import make_oracle

    with Store(options.directory).opened(plan) as store:
        oracle = make_oracle(plan)
        CourseTuner(oracle, given["hypermodel"], store, plan)
        server = _serve(oracle, options)
        print(f"chief: at {options.host}:{options.port}, {len(oracle.end_order)} trials done", flush=True)
        try:
            supervise(oracle, store, options)
        finally:
            server.stop(grace=1).wait()
        found, ended = tuning.result(store, plan["objective"]), f"chief: finished, {len(oracle.end_order)} trials; "
        try:
            print(f"{ended}best {found.best()}", flush=True)
        except ValueError as error:
            print(f"{ended}{error}", flush=True)


def worker(options):
    """Train the trials that the chief hands out, until there are no more."""
    for variable in ONE_THREAD:  # before TensorFlow starts
        os.environ.setdefault(variable, str(options.threads))
    given, plan = _definition(options)
    _environment(options, options.id)
    store = Store(options.directory)
    if _wait_for_chief(options, store, plan):
        from course.tuning_client import Client
        from course.tuning_engine import CourseTuner
        from course.tuning_oracle import make_oracle
        import grpc

        store.check(plan)
        if not store.known():
            raise ValueError(
                f"--directory must be the chief's, got {str(store.directory)!r}, where it has left no file."
            )
        with Alive(store, options.id):
            tuner = CourseTuner(make_oracle(plan), given["hypermodel"], store, plan)
            tuner.oracle = Client(tuner.oracle, store, options.wait)
            try:
                tuner.run(progress=False)
            except grpc.RpcError as error:
                if error.code() == grpc.StatusCode.UNKNOWN:  # it raised
                    raise ConnectionError(f"the chief has failed: {error.details()}") from error
                raise ConnectionError(
                    f"the chief has not answered for {options.wait:g} s: {error.code()}."
                ) from error
    print(f"worker {options.id}: nothing more to do", flush=True)


def _serve(oracle, options):
    """Return the started server through which workers reach `oracle`."""
    import grpc
    from keras_tuner.src import protos  # not public
    from keras_tuner.src.distribute.oracle_chief import OracleServicer  # not public

    server = grpc.server(futures.ThreadPoolExecutor(max_workers=1), options=[("grpc.so_reuseport", 0)])
    protos.get_service_grpc().add_OracleServicer_to_server(OracleServicer(oracle), server)
    server.add_insecure_port(f"{_bracketed(options.host)}:{options.port}")
    server.start()
    return server


def _bracketed(host):
    """Return the host as it stands before a colon and a port."""
    return f"[{host}]" if ":" in host else host


def _check_port(options):
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((options.host, options.port))
        except OSError as error:
            raise OSError(
                f"--host and --port must be an address of this machine that is free, got "
                f"{options.host}:{options.port}: {error.strerror}."
            ) from None


def _wait_for_chief(options, store, plan):
    """Return True when the chief answers, False if all is done; raise TimeoutError if neither comes in time."""
    ends = time.monotonic() + options.wait
    print(f"worker {options.id}: waiting for the chief at {options.host}:{options.port}", flush=True)
    while True:
        try:
            socket.create_connection((options.host, options.port), timeout=2).close()
            return True
        except OSError as error:
            if store.done(plan["max_trials"]):
                return False
            if time.monotonic() > ends:
                raise TimeoutError(
                    f"no chief at {options.host}:{options.port} for {options.wait:g} s: {error}"
                ) from None
            time.sleep(0.5)


def _definition(options):
    """Return what the target function returned, arguments of `tuning.search`, and the plan of the search."""
    place, _, name = options.target.rpartition(":")
    if not place or not name:
        raise ValueError(f"target must be module:function or file.py:function, got {options.target!r}.")
    try:
        if place.endswith(".py"):
            spec = importlib.util.spec_from_file_location(Path(place).stem, place)
            module = importlib.util.module_from_spec(spec)
            sys.modules[spec.name] = module
            sys.path.insert(0, str(Path(place).resolve().parent))  # where the processes that train find it, too
            spec.loader.exec_module(module)
        else:
            module = importlib.import_module(place)
        given = getattr(module, name)()
        bound = signature(tuning.search).bind(**given, directory=options.directory)
    except (ImportError, AttributeError, FileNotFoundError, TypeError) as error:
        raise ValueError(
            f"target must name a function that returns the arguments of course.tuning.search but for directory, as a "
            f"dict, got {options.target!r}: {type(error).__name__}: {error}"
        ) from error
    bound.apply_defaults()
    return given, tuning.planned(bound.arguments)


def _environment(options, name):
    """Set what Keras Tuner reads: who this is and where the chief is."""
    os.environ["KERASTUNER_TUNER_ID"] = name
    os.environ["KERASTUNER_ORACLE_IP"] = _bracketed(options.host)
    os.environ["KERASTUNER_ORACLE_PORT"] = str(options.port)
