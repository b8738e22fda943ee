"""The record of where vectors came from: it adds up, and its loss or damage costs the display only."""

from __future__ import annotations

from pathlib import Path

import pytest

from code_index.core.atomic_writes import write_atomically
from code_index.index import records
from code_index.index.folder import IndexFolder
from code_index.index.vector_sources import MODEL, SOURCES_FILE, THIS_INDEX, note_vectors, vector_sources


@pytest.fixture
def folder(tmp_path: Path) -> IndexFolder:
    return IndexFolder(path=tmp_path / "index", repository_root=tmp_path)


def test_counts_add_up_model_by_model(folder: IndexFolder) -> None:
    assert vector_sources(folder, "m") == {}
    note_vectors(folder, "m", {MODEL: 3, THIS_INDEX: 0})
    note_vectors(folder, "m", {"/srv/team": 5, MODEL: 1})
    note_vectors(folder, "other", {MODEL: 7})
    assert list(vector_sources(folder, "m").items()) == [("/srv/team", 5), (MODEL, 4)], "most first, and no zeros"
    assert vector_sources(folder, "other") == {MODEL: 7}


def test_vectors_that_are_made_again_are_counted_again(folder: IndexFolder) -> None:
    note_vectors(folder, "m", {MODEL: 3})
    note_vectors(folder, "other", {MODEL: 7})
    note_vectors(folder, "m", {"/srv/team": 3}, replace=True)
    assert vector_sources(folder, "m") == {"/srv/team": 3}
    assert vector_sources(folder, "other") == {MODEL: 7}


@pytest.mark.parametrize("content", ["", "[]", "1", '{"m": 1}', '{"m": {"a": "x"}}', '{"m": {"a": Infinity}}', "\0"])
def test_a_damaged_record_says_nothing_and_is_replaced(folder: IndexFolder, content: str) -> None:
    write_atomically(folder.path / SOURCES_FILE, content)
    assert vector_sources(folder, "m") == {}
    note_vectors(folder, "m", {MODEL: 1})
    assert vector_sources(folder, "m") == {MODEL: 1}


def test_a_full_disk_costs_the_record_only(folder: IndexFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(records, "write_atomically", full)
    note_vectors(folder, "m", {MODEL: 1})
    assert vector_sources(folder, "m") == {}
