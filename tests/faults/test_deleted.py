"""An index, or Dagster's part of it, that somebody deletes: a sentence, and the next `index` makes what is missing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from code_index.tables.lance_tables import LanceTables
from indexing_assets.cli import index as index_command
from resources.event_log import BatchingSqliteEventLogStorage
from tests.fakes import texts_asked
from tests.faults.harness import Said, small_steps, write_repository

_ALL_DONE = "12 files, 60 chunks, 60 vectors"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in small_steps({}).items():
        monkeypatch.setenv(name, value)
    return write_repository(tmp_path / "repository")


_STEPS = {
    "while files are scanned": (LanceTables, "merge", 1),
    "while vectors are recorded": (BatchingSqliteEventLogStorage, "store_event_batch", 4),
    "at the end": (index_command, "print_outcome", 1),
}


@pytest.mark.parametrize("moment", list(_STEPS))
def test_an_index_that_is_deleted_while_a_run_is_under_way_ends_it_in_a_sentence_and_the_next_makes_it_again(
    root: Path, said: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    place, name, occurrence = _STEPS[moment]
    real = getattr(place, name)
    calls: list[int] = []

    def delete_first(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == occurrence:
            shutil.rmtree(root / ".code-index")
        return real(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(place, name, delete_first)
        told = said("index", root)
    assert len(calls) >= occurrence
    assert told.status == 1
    assert "was deleted while it was in use. Index again" in told.err
    assert "Traceback" not in told.err
    assert not (root / ".code-index").exists(), "no part of an index is left that the next run would refuse"
    done = said("index", root)
    assert done.status == 0, done.err
    assert _ALL_DONE in done.out


def test_without_dagsters_records_search_goes_on_and_the_next_index_writes_them_again(
    root: Path, said: Callable[..., Said]
) -> None:
    assert said("index", root).status == 0
    shutil.rmtree(root / ".code-index" / "dagster")
    assert "module_03.py" in said("search", "function_3_2", "--path", root).out
    told = said("status", root)
    assert told.status == 2
    assert "Dagster's records are missing" in told.err
    with texts_asked() as asked:
        assert _ALL_DONE in said("index", root).out
    assert not asked
    assert "All is well" in said("doctor", root).out
