"""Real text: Python's own manual, in every installation, and Shakespeare, for those who are online."""

import hashlib
from http.client import HTTPException
import os
from pathlib import Path
from pydoc_data.topics import topics
import re
from typing import NamedTuple
from urllib.request import urlopen

from course import arguments

# One fixed revision of the file (1,115,394 bytes), so that address and checksum belong together.
SHAKESPEARE_URL = (
    "https://raw.githubusercontent.com/karpathy/char-rnn/6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e"
    "/data/tinyshakespeare/input.txt"
)
SHAKESPEARE_SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"


class Text(NamedTuple):
    """A text in three parts that follow each other in this order."""

    train: str
    validation: str
    test: str


def manual(validation=0.1, test=0.1):
    """Return Python's reference manual, the text behind `help("topics")`, as a `Text`, split by position.

    The topics follow each other in the order of their names. A passage that stands in several topics (the
    "if" statement is also in "compound") is kept only where it comes first: otherwise a fifth of the text
    would be there twice, and parts of the test text in the training text.
    About 370,000 characters. The text changes with the version of Python: compare results within one version.
    Raises ValueError or TypeError naming `validation` or `test`.
    """
    passages = [passage for name in sorted(topics) for passage in topics[name].strip().split("\n\n")]
    return split("\n\n".join(dict.fromkeys(passages)) + "\n", validation, test)


def shakespeare(validation=0.1, test=0.1, folder=None, url=SHAKESPEARE_URL, sha256=SHAKESPEARE_SHA256, timeout=30):
    """Return a million characters of Shakespeare's plays ("tiny Shakespeare", Karpathy 2015) as a `Text`.

    The file is fetched from `url` once and kept as `shakespeare.txt` in `folder`, `~/.cache/rnn-course` unless
    given; a kept file with another checksum is fetched again. `folder` holds the whole, checked file or none.
    Raises ConnectionError when `url` cannot be fetched (`timeout`: seconds to wait for an answer), ValueError
    naming `sha256` when something else was sent, and ValueError or TypeError naming any other bad argument.
    """
    if not re.match("https?://", str(url)):
        raise ValueError(f"url must start with http:// or https://, got {url!r}.")
    if not re.fullmatch("[0-9a-f]{64}", str(sha256)):
        raise ValueError(f"sha256 must be 64 lower-case hexadecimal digits, got {sha256!r}.")
    arguments.number("timeout", timeout, above=0)
    split("", validation, test)  # a bad share is refused before anything is fetched
    path = Path(folder or Path.home() / ".cache" / "rnn-course") / "shakespeare.txt"
    content = path.read_bytes() if path.exists() else b""
    if hashlib.sha256(content).hexdigest() != sha256:
        content = _fetch(url, sha256, timeout)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.{os.getpid()}.part")
        try:
            partial.write_bytes(content)
            os.replace(partial, path)  # in one step: nobody ever sees half a file
        finally:
            partial.unlink(missing_ok=True)
    return split(content.decode("utf-8"), validation, test)


def _fetch(url, sha256, timeout):
    try:
        with urlopen(url, timeout=timeout) as response:
            content = response.read()
    except (OSError, HTTPException) as error:
        raise ConnectionError(
            f"Could not fetch {url}: {error}. Are you online? Everything in the course also works with "
            "course.sequences.manual(), which needs no network."
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ValueError(
            f"sha256 must be {sha256}, got {found}: {url} sent {len(content):,} bytes that are not the expected "
            "file (a login page of the network, perhaps). Nothing was kept."
        )
    return content


def split(text, validation=0.1, test=0.1):
    """Return `text` as a `Text`: the last share `test` held out, before it the share `validation`.

    Raises ValueError or TypeError naming the argument.
    """
    if not isinstance(text, str):
        raise TypeError(f"text must be a string, got {type(text).__name__}.")
    arguments.number("validation", validation, at_least=0, below=1)
    arguments.number("test", test, at_least=0, below=1 - validation)
    first, second = round(len(text) * (1 - validation - test)), round(len(text) * (1 - test))
    return Text(text[:first], text[first:second], text[second:])
