"""The options of `python -m course.tuning`, the command line of a search on several machines."""

import argparse

from course import arguments
from course.tuning_alive import BEAT


def parser():
    """Return the parser of the command line."""
    both = argparse.ArgumentParser(
        prog="python -m course.tuning", description="One search on several machines that share a directory."
    )
    roles = both.add_subparsers(dest="role", required=True)
    for role, text in (
        ("chief", "chooses the trials: start one"),
        ("worker", "trains them: start as many as you like"),
    ):
        sub = roles.add_parser(
            role, help=text, description=text, formatter_class=argparse.ArgumentDefaultsHelpFormatter
        )
        sub.add_argument("target", help="module:function or file.py:function; returns search's arguments as a dict")
        sub.add_argument("--directory", required=True, help="of this search, the same for all")
        sub.add_argument("--host", default="127.0.0.1", help="address of the chief; the channel is not encrypted")
        sub.add_argument("--port", type=int, default=8765, help="of the chief")
        sub.add_argument(
            "--wait", type=float, default=600, help="seconds to wait for the other side before giving up"
        )
        if role == "chief":
            sub.add_argument("--silence", type=float, default=60, help="seconds after which a silent worker is lost")
        else:
            sub.add_argument("--id", required=True, help="a name that no other worker has; the same after a restart")
            sub.add_argument("--threads", type=int, default=1, help="of TensorFlow in this worker")
    return both


def check(options):
    """Raise ValueError naming the option that cannot be."""
    arguments.integer("--port", options.port, at_least=1, at_most=65_535)
    arguments.number("--wait", options.wait, above=0)
    if options.role == "chief":
        arguments.number("--silence", options.silence, at_least=3 * BEAT)
        return
    arguments.integer("--threads", options.threads, at_least=1)
    if "chief" in options.id or not options.id.replace("-", "").replace("_", "").replace(".", "").isalnum():
        raise ValueError(f"--id must be letters, digits, '-', '_' or '.', and not hold 'chief', got {options.id!r}.")
