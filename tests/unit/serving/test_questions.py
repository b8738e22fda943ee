"""A question gets its answer, or none, and then the work is done without it; never a wrong one."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from code_index.core.errors import CodeIndexError, IndexMissingError, ModelError, SettingsError, UsageError
from code_index.index.folder import IndexFolder
from code_index.serving import questions
from code_index.serving.local_socket import listen
from code_index.serving.questions import addressee, ask, error_line


@pytest.fixture
def folder(tmp_path: Path) -> IndexFolder:
    (tmp_path / "repository" / ".code-index" / "locks").mkdir(parents=True)
    return IndexFolder(tmp_path / "repository" / ".code-index", tmp_path / "repository")


@contextmanager
def _answering(folder: IndexFolder, *lines: bytes) -> Iterator[list[dict[str, Any]]]:
    """One who hears a question, says these lines and hangs up; gives what was heard."""
    heard: list[dict[str, Any]] = []

    def answer() -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as received:
            heard.append(json.loads(received.readline()))
            for line in lines:
                connection.sendall(line)

    with listen(folder.locks_dir) as listener:
        thread = threading.Thread(target=answer)
        thread.start()
        yield heard
        thread.join()


_HEARD = b'{"heard": true}\n'


def test_an_answer_is_what_the_other_end_said(folder: IndexFolder) -> None:
    with _answering(folder, _HEARD, b'{"answer": {"hits": [1, "\\u00e9"]}}\n') as heard:
        assert ask(folder, "search", {"query": "é", "limit": 3}) == {"hits": [1, "é"]}
    assert heard == [{"to": addressee(folder), "question": "search", "arguments": {"query": "é", "limit": 3}}]


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [_HEARD],
        [b'{"heard": false}\n'],
        [_HEARD, b'{"failed": true}\n'],
        [_HEARD, b'{"answer": {"hits"'],
        [_HEARD, b"not JSON\n"],
        [_HEARD, b'["a list"]\n'],
        [_HEARD, b"[" * 100_000 + b"\n"],
        [b"\x00\xff\n"],
        [b"HTTP/1.1 400 Bad Request\r\n\r\n"],
    ],
    ids=["silence", "hung up", "not for it", "failed", "cut off", "no JSON", "no object", "nested", "bytes", "HTTP"],
)
def test_without_a_whole_answer_there_is_none(folder: IndexFolder, lines: list[bytes]) -> None:
    with _answering(folder, *lines):
        assert ask(folder, "search", {}) is None


def test_one_who_is_stopped_is_not_waited_for(folder: IndexFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "_HEARD_S", 0.05)
    with listen(folder.locks_dir):
        assert ask(folder, "search", {}) is None


def test_nobody_there_is_no_answer(folder: IndexFolder) -> None:
    assert ask(folder, "search", {}) is None
    assert ask(IndexFolder(folder.path / "missing", folder.path), "search", {}) is None


@pytest.mark.parametrize("kind", [UsageError, SettingsError, IndexMissingError, ModelError, CodeIndexError])
def test_an_error_is_raised_as_what_it_was(folder: IndexFolder, kind: type[CodeIndexError]) -> None:
    with (
        _answering(folder, _HEARD, json.dumps(error_line(kind("the culprit"))).encode() + b"\n"),
        pytest.raises(kind, match="the culprit") as raised,
    ):
        ask(folder, "search", {})
    assert type(raised.value) is kind


@pytest.mark.parametrize("name", ["SystemExit", "Sequence", "annotations", "__doc__", "NoSuchError"])
def test_only_errors_of_this_program_are_raised(folder: IndexFolder, name: str) -> None:
    said = {"error": {"kind": name, "message": "something"}}
    with _answering(folder, _HEARD, json.dumps(said).encode() + b"\n"), pytest.raises(CodeIndexError) as raised:
        ask(folder, "search", {})
    assert type(raised.value) is CodeIndexError


@pytest.mark.parametrize(
    "change",
    [
        lambda patch: patch.setenv("CODE_INDEX_MODEL", "fast"),
        lambda patch: patch.setenv("CODE_INDEX_CACHE_DIR", "/elsewhere"),
        lambda patch: patch.setenv("XDG_STATE_HOME", "/elsewhere"),
        lambda patch: patch.setattr(questions, "PROTOCOL", -1),
        lambda patch: patch.setattr(questions.code_index, "__file__", "/elsewhere/code_index/__init__.py"),
    ],
    ids=["settings", "cache", "state", "protocol", "program"],
)
def test_what_would_change_an_answer_changes_the_addressee(
    folder: IndexFolder, monkeypatch: pytest.MonkeyPatch, change: Callable[[pytest.MonkeyPatch], None]
) -> None:
    before = addressee(folder)
    change(monkeypatch)
    assert addressee(folder) != before


def test_variables_that_name_the_place_or_nothing_of_ours_change_no_addressee(
    folder: IndexFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = addressee(folder)
    for name in ("CODE_INDEX_REPOSITORY", "CODE_INDEX_DIR", "TERM", "SECRET_TOKEN"):
        monkeypatch.setenv(name, "elsewhere")
    assert addressee(folder) == before
    assert "SECRET_TOKEN" not in json.dumps(before)
    assert addressee(IndexFolder(folder.path, folder.path.parent / "other")) != before
    assert os.environ["TERM"] == "elsewhere"
