"""Real text: split by position with no passage in two parts; the download, against a server on this machine."""

import contextlib
import hashlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pydoc_data.topics import topics
import threading

from course.sequences import text as texts
from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

PLAY = ("First Citizen:\nBefore we proceed any further, hear me speak.\n" * 40).encode()
DIGEST = hashlib.sha256(PLAY).hexdigest()


@contextlib.contextmanager
def server(body=PLAY, announced=None, status=200):
    """Serve `body` on this machine, announcing `announced` bytes; yield the address and the requests seen."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body) if announced is None else announced))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}/input.txt", seen
        http.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def fetch(folder, url, **changes):
    return texts.shakespeare(**{"folder": folder, "url": url, "sha256": DIGEST, "timeout": 5} | changes)


@settings(max_examples=50, deadline=None)
@given(text=st.text(max_size=60), validation=st.floats(0, 0.5), test=st.floats(0, 0.49))
def test_a_split_text_is_the_text_in_order_in_the_shares_asked_for(text, validation, test):
    parts = texts.split(text, validation, test)
    assert "".join(parts) == text
    assert abs(len(parts.validation) - validation * len(text)) <= 1
    assert abs(len(parts.test) - test * len(text)) <= 1


def test_the_manual_is_every_passage_of_every_topic_once_in_the_order_of_their_names():
    text = "".join(texts.manual())
    position = -1
    kept = set()
    for name in sorted(topics):
        for passage in topics[name].strip().split("\n\n"):
            if passage not in kept:
                kept.add(passage)
                position = text.index(passage, position + 1)
    assert len(text) == sum(map(len, kept)) + 2 * (len(kept) - 1) + 1
    assert len(text) > 300_000


def test_no_long_stretch_of_the_manuals_test_part_is_in_its_training_part():
    parts = texts.manual()
    stretches = {parts.train[k : k + 200] for k in range(len(parts.train) - 199)}
    for held_out in (parts.validation, parts.test):
        assert not any(held_out[k : k + 200] in stretches for k in range(len(held_out) - 199))


def test_shakespeare_is_fetched_once_and_then_read_from_the_folder(tmp_path):
    with server() as (url, seen):
        first = fetch(tmp_path / "new" / "folder", url)
        again = fetch(tmp_path / "new" / "folder", url)
    assert "".join(first).encode() == PLAY
    assert first == again
    assert seen == ["/input.txt"]
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == ["shakespeare.txt"]


def test_a_damaged_copy_is_fetched_again(tmp_path):
    (tmp_path / "shakespeare.txt").write_bytes(PLAY[:-1])
    with server() as (url, _):
        assert "".join(fetch(tmp_path, url)).encode() == PLAY
    assert (tmp_path / "shakespeare.txt").read_bytes() == PLAY


def test_another_file_than_expected_is_refused_and_leaves_nothing_behind(tmp_path):
    with (
        server(b"<html>Please log in</html>") as (url, _),
        pytest.raises(ValueError, match=f"^sha256 must be {DIGEST}"),
    ):
        fetch(tmp_path, url)
    assert not list(tmp_path.iterdir())


def test_an_interrupted_transfer_is_refused_and_leaves_nothing_behind(tmp_path):
    with (
        server(PLAY[:100], announced=len(PLAY)) as (url, _),
        pytest.raises(ConnectionError, match=r"Could not fetch http.*100 bytes read.*Are you online\?.*manual\(\)"),
    ):
        fetch(tmp_path, url)
    assert not list(tmp_path.iterdir())


def test_offline_says_what_to_do_and_keeps_nothing(tmp_path):
    with server() as (url, _):
        pass  # by now nobody listens at this address
    with pytest.raises(ConnectionError, match=r"Could not fetch http.*Are you online\?.*sequences\.manual\(\)"):
        fetch(tmp_path, url)
    assert not list(tmp_path.iterdir())


def test_a_missing_page_is_a_connection_error(tmp_path):
    with server(b"no such file", status=404) as (url, _), pytest.raises(ConnectionError, match="404"):
        fetch(tmp_path, url)


def test_a_failed_write_leaves_the_old_copy_and_no_partial_file(tmp_path, monkeypatch):
    (tmp_path / "shakespeare.txt").write_bytes(b"old")

    def full(*args):
        raise OSError("No space left on device")

    monkeypatch.setattr(texts.os, "replace", full)
    with server() as (url, _), pytest.raises(OSError, match="No space left"):
        fetch(tmp_path, url)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"shakespeare.txt": b"old"}


@pytest.mark.parametrize(
    ("error", "name", "call"),
    [
        (TypeError, "text", lambda: texts.split(b"bytes")),
        (ValueError, "validation", lambda: texts.split("text", validation=-0.1)),
        (ValueError, "validation", lambda: texts.manual(validation=1.0)),
        (ValueError, "test", lambda: texts.manual(validation=0.5, test=0.5)),
        (TypeError, "test", lambda: texts.manual(test="0.1")),
        (ValueError, "test", lambda: texts.shakespeare(test=1.5)),
        (ValueError, "url", lambda: texts.shakespeare(url="file:///etc/passwd")),
        (ValueError, "url", lambda: texts.shakespeare(url=None)),
        (ValueError, "sha256", lambda: texts.shakespeare(sha256="86c4")),
        (ValueError, "timeout", lambda: texts.shakespeare(timeout=0)),
    ],
)
def test_bad_arguments_are_named(error, name, call):
    with pytest.raises(error, match=rf"^{name} must"):
        call()
