"""Names and contents as file systems keep them, with file systems that Linux does not have taken by what they answer."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest

from code_index.system import files
from code_index.system.files import composed_name, flush, is_same_folder

COMPOSED = unicodedata.normalize("NFC", "café.py")
DECOMPOSED = unicodedata.normalize("NFD", "café.py")


def _entry(folder: Path, name: str) -> os.DirEntry[str]:
    with os.scandir(folder) as entries:
        return next(entry for entry in entries if entry.name == name)


@pytest.fixture
def finds_either_form(monkeypatch: pytest.MonkeyPatch) -> None:
    """`lstat` as on APFS: a name is found in either normal form of Unicode."""
    lstat = os.lstat

    def find(path: str, **options: object) -> os.stat_result:
        place = Path(path)
        alike = unicodedata.normalize("NFC", place.name)
        return lstat(
            next(
                (there for there in place.parent.iterdir() if unicodedata.normalize("NFC", there.name) == alike), place
            ),
            **options,
        )

    monkeypatch.setattr(files.os, "lstat", find)


def test_on_linux_two_forms_of_a_name_are_two_files(tmp_path: Path) -> None:
    (tmp_path / DECOMPOSED).touch()
    assert composed_name(str(tmp_path), _entry(tmp_path, DECOMPOSED), {DECOMPOSED}) == DECOMPOSED
    (tmp_path / COMPOSED).touch()
    assert composed_name(str(tmp_path), _entry(tmp_path, DECOMPOSED), {DECOMPOSED, COMPOSED}) == DECOMPOSED
    assert composed_name(str(tmp_path), _entry(tmp_path, COMPOSED), {DECOMPOSED, COMPOSED}) == COMPOSED


def test_a_second_name_of_one_file_stays_its_own(tmp_path: Path) -> None:
    (tmp_path / DECOMPOSED).touch()
    (tmp_path / COMPOSED).hardlink_to(tmp_path / DECOMPOSED)
    assert composed_name(str(tmp_path), _entry(tmp_path, DECOMPOSED), {DECOMPOSED, COMPOSED}) == DECOMPOSED


@pytest.mark.usefixtures("finds_either_form")
@pytest.mark.parametrize("name", [DECOMPOSED, COMPOSED, "plain.py"])
def test_on_macos_a_name_is_the_one_that_git_writes(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    found = composed_name(str(tmp_path), _entry(tmp_path, name), {name})
    assert found == unicodedata.normalize("NFC", name)


def test_a_folder_is_the_same_in_another_case_only_where_the_disk_finds_it_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Proj").mkdir()
    (tmp_path / "other").symlink_to("Proj")
    upper, lower = str(tmp_path / "Proj"), str(tmp_path / "proj")
    assert is_same_folder(upper, upper)
    assert not is_same_folder(upper, lower), "nothing is there"
    assert not is_same_folder(upper, str(tmp_path / "other")), "a link is no spelling"
    (tmp_path / "proj").mkdir()
    assert not is_same_folder(upper, lower), "Linux: two folders"
    (tmp_path / "proj").rmdir()
    (tmp_path / "proj").symlink_to("Proj")  # as macOS finds it
    assert is_same_folder(upper, lower)


@pytest.mark.parametrize(
    ("platform", "refused", "calls"),
    [("linux", False, ["fsync"]), ("darwin", False, ["full"]), ("darwin", True, ["full", "fsync"])],
)
def test_bytes_reach_the_disk_itself(
    monkeypatch: pytest.MonkeyPatch, platform: str, refused: bool, calls: list[str]
) -> None:
    made: list[str] = []

    def full(descriptor: int, call: int) -> None:
        assert (descriptor, call) == (7, 51)
        made.append("full")
        if refused:
            raise OSError(45, "Operation not supported")

    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setattr(files.fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(files.fcntl, "fcntl", full)
    monkeypatch.setattr(os, "fsync", lambda descriptor: made.append("fsync"))
    flush(7)
    assert made == calls
