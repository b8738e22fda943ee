"""Each kind of damage is found by `code-index doctor`, and fixed by `--repair` without loss."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from code_index.index.folder import resolve_index_folder
from code_index.tables import IndexStore
from code_index.tables.schemas import REFERENCES
from indexing_assets.operations.examination import examine
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.operations.repair import repair
from indexing_assets.runs.live_runs import HOST_TAG, PROCESS_STARTED_TAG, PROCESS_TAG
from tests.faults.harness import findings, small_steps, state, write_repository
from tests.indexed_copies import copy_indexed


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_repository(tmp_path_factory.mktemp("indexed") / "repository")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in small_steps({}).items():
            patch.setenv(name, value)
        with Pipeline(resolve_index_folder(root)) as pipeline:
            assert [r.error for r in (pipeline.scan(), pipeline.parse(), pipeline.embed())] == [None] * 3
    return root


@pytest.fixture
def root(indexed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in small_steps({}).items():
        monkeypatch.setenv(name, value)
    return copy_indexed(indexed, tmp_path / "repository")


def _tables(root: Path) -> IndexStore:
    return IndexStore(resolve_index_folder(root).tables_dir)


def _a_broken_event_log(root: Path) -> None:
    path = resolve_index_folder(root).dagster_home / "history" / "runs" / "index.db"
    path.write_bytes(b"not a database" * 1_000)


def _a_schedule_database_made_twice(root: Path) -> None:
    path = resolve_index_folder(root).dagster_home / "schedules" / "schedules.db"
    with sqlite3.connect(path) as database:
        database.execute("INSERT INTO alembic_version VALUES ('another')")


def _no_history(root: Path) -> None:
    shutil.rmtree(resolve_index_folder(root).dagster_home / "history")


def _no_chunks(root: Path) -> None:
    shutil.rmtree(_tables(root).tables.path("chunks"))


def _no_references(root: Path) -> None:
    shutil.rmtree(_tables(root).tables.path("references"))


def _references_of_a_file_that_is_gone(root: Path) -> None:
    rows = _tables(root).references.read().slice(0, 1).to_pylist()
    _tables(root).references.replace(
        ["gone.py"], pa.Table.from_pylist([{**rows[0], "file_path": "gone.py"}], REFERENCES)
    )


def _no_vectors(root: Path) -> None:
    shutil.rmtree(_tables(root).tables.path("vectors"))


def _chunks_that_lost_a_file(root: Path) -> None:
    max(_tables(root).tables.path("chunks").glob("data/*"), key=lambda path: path.stat().st_mtime).unlink()


def _vectors_cut_short(root: Path) -> None:
    for path in _tables(root).tables.path("vectors").glob("data/*"):
        path.write_bytes(path.read_bytes()[:100])


def _manifests_of_nothing(root: Path) -> None:
    for path in _tables(root).tables.path("files").glob("_versions/*"):
        path.write_bytes(b"")


def _doubled(root: Path, table: str) -> None:
    handle = _tables(root).tables.open(table)
    assert handle is not None
    handle.add(handle.to_arrow().slice(0, 3))


def _vectors_of_another_length(root: Path) -> None:
    store = _tables(root)
    rows = store.vectors.read().slice(0, 2)
    size = rows.schema.field("vector").type.list_size
    broken = pa.FixedSizeListArray.from_arrays(pa.array([2.0] * (2 * size), pa.float32()), size)
    place = rows.schema.get_field_index("vector")
    store.tables.update_matched(
        "vectors", rows.set_column(place, rows.schema.field("vector"), broken), keys=("chunk_id",)
    )


def _orphaned_vectors(root: Path) -> None:
    store = _tables(root)
    rows = store.vectors.read().slice(0, 2)
    other = pc.binary_join_element_wise(rows.column("chunk_id"), "ff", "")
    handle = store.tables.open("vectors")
    assert handle is not None
    handle.add(rows.set_column(0, rows.schema.field(0), other))


def _rows_of_a_file_that_is_gone(root: Path) -> None:
    _tables(root).files.delete(["module_03.py"])


def _lost_partitions(root: Path) -> None:
    with Pipeline(resolve_index_folder(root)) as pipeline:
        for name in ("file_hash", "embedding_batch"):
            for key in list(pipeline.instance.get_dynamic_partitions(name))[:2]:
                pipeline.instance.delete_dynamic_partition(name, key)


def _a_run_without_a_process(root: Path) -> None:
    import socket

    tags = {HOST_TAG: socket.gethostname(), PROCESS_TAG: "999999999", PROCESS_STARTED_TAG: "1.00"}
    with Pipeline(resolve_index_folder(root)) as pipeline:
        pipeline.instance.create_run_for_job(_job, tags=tags, status=dg.DagsterRunStatus.STARTED)


@dg.job
def _job() -> None:
    """Nothing."""


_DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "a broken event log": (_a_broken_event_log, "dagster_records_can_be_read"),
    "a schedule database made twice": (_a_schedule_database_made_twice, "dagster_records_can_be_read"),
    "no history": (_no_history, "records_agree_with_the_tables"),
    "no chunks": (_no_chunks, "stored_chunks_match_the_manifest"),
    "no references": (_no_references, "stored_references_match_the_manifest"),
    "references of a file that is gone": (_references_of_a_file_that_is_gone, "stored_references_match_the_manifest"),
    "no vectors": (_no_vectors, "every_chunk_has_its_vector"),
    "chunks that lost a file": (_chunks_that_lost_a_file, "tables_can_be_read"),
    "vectors cut short": (_vectors_cut_short, "tables_can_be_read"),
    "manifests of nothing": (_manifests_of_nothing, "tables_can_be_read"),
    "doubled chunks": (lambda root: _doubled(root, "chunks"), "chunk_ids_are_unique"),
    "doubled vectors": (lambda root: _doubled(root, "vectors"), "no_chunk_has_two_vectors"),
    "vectors of another length": (_vectors_of_another_length, "vectors_are_finite_and_of_unit_length"),
    "orphaned vectors": (_orphaned_vectors, "every_vector_has_its_chunk"),
    "rows of a file that is gone": (_rows_of_a_file_that_is_gone, "no_rows_of_files_that_are_gone"),
    "lost partitions": (_lost_partitions, "every_indexed_file_has_its_partition"),
    "a run without a process": (_a_run_without_a_process, "runs_have_a_living_process"),
}


@pytest.mark.parametrize("name", _DAMAGES)
def test_damage_is_found_and_fixed_without_loss(root: Path, name: str) -> None:
    undisturbed = state(root)
    damage, check = _DAMAGES[name]
    damage(root)
    folder = resolve_index_folder(root)

    found = {item.name: item for item in examine(folder)}
    assert not found[check].passed, found[check].description
    assert found[check].repair, "the doctor does not say what the repair would do"

    said: list[str] = []
    repair(folder, {key for key, item in found.items() if not item.passed}, tell=said.append)
    assert said
    left = [item.description for item in examine(folder) if not item.passed]
    assert not left
    assert not findings(root, undisturbed)


def test_a_sound_index_is_called_sound_and_left_alone(root: Path) -> None:
    before = _tables(root).upkeep.versions()
    found = list(examine(resolve_index_folder(root), every_file=True))
    assert all(item.passed for item in found), [i.description for i in found if not i.passed]
    assert _tables(root).upkeep.versions() == before


def test_the_command_names_what_is_wrong_and_mends_it(
    root: Path, command_line: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    _doubled(root, "vectors")
    told = command_line("doctor", root, check=1)
    assert "WRONG    no chunk has two vectors" in told.stdout
    assert "--repair would: keep one vector each" in told.stdout
    repaired = command_line("doctor", root, "--repair", "--json")
    assert all(item["passed"] for item in json.loads(repaired.stdout))
    assert pl.DataFrame(_tables(root).vectors.read(["chunk_id"]))["chunk_id"].is_unique().all()


def test_a_folder_without_an_index_is_no_patient(
    tmp_path: Path, command_line: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    told = command_line("doctor", tmp_path, check=2)
    assert "There is no index" in told.stderr
