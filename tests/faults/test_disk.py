"""A disk that is full or read-only: a message that says so, nothing lost, and all is done once there is room."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from code_index.index.folder import resolve_index_folder
from indexing_assets.cli.os_errors import disk_trouble
from tests.faults.harness import small_steps, write_module, write_repository

Run = Callable[..., subprocess.CompletedProcess[str]]


class _Disk:
    """A small file system of its own."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def mount(self, options: str) -> None:
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", self.place], check=True, capture_output=True)

    def remount(self, options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", self.place], check=True, capture_output=True)


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Disk]:
    for name, value in small_steps({}).items():
        monkeypatch.setenv(name, value)
    disk = _Disk(tmp_path / "disk")
    disk.place.mkdir()
    try:
        disk.mount("size=4k")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a small file system needs root and the right to mount")
    subprocess.run(["umount", disk.place], check=True)
    yield disk
    subprocess.run(["umount", "--lazy", disk.place], check=False, capture_output=True)


@pytest.mark.parametrize("size", [pytest.param("900k", marks=pytest.mark.long), "1700k"])
def test_a_full_disk_is_named_and_all_is_done_once_there_is_room(
    disk: _Disk, tmp_path: Path, command_line: Run, size: str
) -> None:
    root = write_repository(tmp_path / "repository")
    index = disk.place / "index"
    disk.mount(f"size={size}")
    told = command_line("index", root, "--index-dir", index, check=1)
    assert "full" in told.stderr, told.stderr
    assert "Free space" in told.stderr, told.stderr
    assert "Traceback" not in told.stderr, told.stderr

    disk.remount("size=2g")
    done = command_line("index", root, "--index-dir", index)
    assert "12 files, 60 chunks, 60 vectors" in done.stdout
    checked = command_line("doctor", root, "--index-dir", index)
    assert "All is well" in checked.stdout


def test_a_read_only_index_can_be_searched_and_says_what_it_refuses(
    disk: _Disk, tmp_path: Path, command_line: Run
) -> None:
    root = write_repository(tmp_path / "repository")
    index = disk.place / "index"
    disk.mount("size=200m")
    command_line("index", root, "--index-dir", index)
    disk.remount("ro")
    found = command_line("search", "function_3_2", "--path", root, "--index-dir", index)
    assert "module_03.py" in found.stdout
    assert "nothing changed" in command_line("index", root, "--index-dir", index).stdout
    write_module(root / "module_03.py", 300)
    for command in ("index", "cleanup", "resume"):
        told = command_line(command, root, "--index-dir", index, check=1)
        assert "cannot be written" in told.stderr or "read-only" in told.stderr.lower(), told.stderr
        assert "Traceback" not in told.stderr
    examined = command_line("doctor", root, "--index-dir", index, check=1)
    assert "WRONG    index folder can be written" in examined.stdout
    assert "ok       dagster records can be read" in examined.stdout
    disk.remount("rw")
    assert "Parsing: 1 file." in command_line("index", root, "--index-dir", index).stdout
    assert resolve_index_folder(root, index).exists


def test_trouble_is_found_at_the_root_of_an_error_and_nothing_else_is_called_trouble() -> None:
    full = OSError(28, os.strerror(28), "/index/log")
    wrapped = ValueError("the step failed")
    wrapped.__cause__ = full
    assert disk_trouble(wrapped) == "is full (/index/log)"
    assert disk_trouble(ValueError("disk is full of ideas")) is None
