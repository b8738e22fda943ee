"""Reading one file: what is hashed is what was read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from code_index.core.errors import (
    CodeIndexError,
    FileTooLargeError,
    FileUnreadableError,
    FileUnstableError,
    FileVanishedError,
    NotRegularFileError,
)
from code_index.core.hashing import content_hash
from code_index.repository import source_repository
from code_index.repository.source_repository import SourceRepository


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_repository, "_RETRY_WAIT_S", 0)


def during_reads(monkeypatch: pytest.MonkeyPatch, change: Callable[[int], None]) -> None:
    """Call `change` with the number of the read after the content was read and before it is checked."""
    real, reads = source_repository._read_all, iter(range(100))

    def read_and_change(*arguments: Any) -> bytes:
        content = real(*arguments)
        change(next(reads))
        return content

    monkeypatch.setattr(source_repository, "_read_all", read_and_change)


def test_a_file_is_read_with_its_hash_size_and_mtime(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a b.py").write_bytes(b"\xff\r\n")
    os.utime(tmp_path / "d" / "a b.py", ns=(5, 123_456_789))
    read = SourceRepository(tmp_path).read("d/a b.py")
    assert (read.content, read.size_bytes, read.mtime_ns) == (b"\xff\r\n", 3, 123_456_789)
    assert read.file_hash == content_hash(b"\xff\r\n")


def test_a_file_that_changes_while_it_is_read_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.py"
    file.write_text("old")
    during_reads(monkeypatch, lambda read: file.write_text("newer") and None if read == 0 else None)
    read = SourceRepository(tmp_path).read("a.py")
    assert (read.content, read.file_hash) == (b"newer", content_hash(b"newer"))
    assert read.mtime_ns == file.stat().st_mtime_ns


def test_a_file_that_is_replaced_by_one_of_equal_size_and_mtime_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_text(name[0])
        os.utime(tmp_path / name, ns=(1, 1))
    during_reads(monkeypatch, lambda read: (tmp_path / "b.py").replace(tmp_path / "a.py") if read == 0 else None)
    assert SourceRepository(tmp_path).read("a.py").content == b"b"


def test_a_file_that_never_rests_is_an_error_in_read_and_keeps_its_record_in_a_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.log.py"
    file.write_text("x")
    repository = SourceRepository(tmp_path)
    known = {record.file_path: record for record in repository.scan({}).files}
    during_reads(monkeypatch, lambda read: file.write_text("x" * (read + 2)) and None)
    with pytest.raises(FileUnstableError, match=r"a\.log\.py: kept changing"):
        repository.read("a.log.py")
    result = repository.scan(known)
    assert result.files == tuple(known.values())
    assert "kept changing" in result.unreadable["a.log.py"]


def test_short_reads_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Halting(source_repository.io.FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(size or 0, 7)) or b""

    monkeypatch.setattr(source_repository.io, "FileIO", Halting)
    (tmp_path / "a.py").write_bytes(bytes(range(100)))
    assert SourceRepository(tmp_path).read("a.py").content == bytes(range(100))


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("gone.py", FileVanishedError),
        ("gone/a.py", FileVanishedError),
        ("a.py/below", FileVanishedError),
        ("folder", NotRegularFileError),
        ("pipe", NotRegularFileError),
        ("link.py", NotRegularFileError),
        ("out/secret.py", NotRegularFileError),
        ("../outside/secret.py", NotRegularFileError),
        ("big.py", FileTooLargeError),
    ],
)
def test_each_obstacle_has_its_own_error_that_names_the_file(
    tmp_path: Path, path: str, error: type[CodeIndexError]
) -> None:
    root = tmp_path / "root"
    (root / "folder").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.py").write_text("x")
    (root / "a.py").write_text("x")
    (root / "big.py").write_text("x" * 11)
    (root / "link.py").symlink_to("a.py")
    (root / "out").symlink_to(tmp_path / "outside")
    os.mkfifo(root / "pipe")
    with pytest.raises(error, match=path) as refusal:
        SourceRepository(root, max_file_bytes=10).read(path)
    assert path not in source_repository.reason_of(refusal.value, path)


def test_a_refused_file_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> int:
        raise OSError(5, "Input/output error")

    (tmp_path / "a.py").write_text("x")
    monkeypatch.setattr(source_repository.os, "open", refuse)
    with pytest.raises(FileUnreadableError, match=r"a\.py: Input/output error"):
        SourceRepository(tmp_path).read("a.py")


@pytest.mark.parametrize("becomes", ["pipe", "large", "gone"])
def test_a_file_that_is_replaced_between_walk_and_read_is_listed_or_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, becomes: str
) -> None:
    (tmp_path / "a.py").write_text("x")
    real_walk = source_repository.walk

    def then_replace(*arguments: Any) -> Any:
        found = real_walk(*arguments)
        (tmp_path / "a.py").unlink()
        if becomes == "pipe":
            os.mkfifo(tmp_path / "a.py")
        elif becomes == "large":
            (tmp_path / "a.py").write_text("x" * 20)
        return found

    monkeypatch.setattr(source_repository, "walk", then_replace)
    files = SourceRepository(tmp_path, max_file_bytes=10).scan({}).files
    expected = {
        "pipe": ["changed during the scan: not a regular file"],
        "large": ["changed during the scan: 20 bytes, the limit is 10 (max_file_bytes)"],
        "gone": [],
    }
    assert [file.reason for file in files] == expected[becomes]
