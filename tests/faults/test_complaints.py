"""What users of tools of this kind complain about, each as a test that bears the complaint's name."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from code_index.index.contents import failed_chunks, failed_files
from code_index.index.folder import resolve_index_folder
from code_index.search.hybrid import SearchMode, search
from code_index.tables import IndexStore, table_upkeep
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.runs.index_status import read_status
from indexing_assets.upkeep import compaction
from tests.fakes import Faulty, GivenEmbedder, give, refusing
from tests.faults.harness import (
    Durable,
    Work,
    findings,
    fresh_state,
    run_victim,
    small_steps,
    start_victim,
    state,
    write_module,
    write_repository,
)
from tests.waiting import PATIENCE_S

CommandLine = Callable[..., subprocess.CompletedProcess[str]]
_POISON = "function_3_2"


@pytest.fixture(autouse=True)
def steps(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in small_steps({}).items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_repository(tmp_path / "repository")


@pytest.fixture
def poisoned(root: Path) -> Iterator[Pipeline]:
    give(Faulty(refusing(_POISON)))
    with Pipeline(resolve_index_folder(root), embedder=GivenEmbedder()) as opened:
        yield opened


def _index(pipeline: Pipeline) -> list[str | None]:
    return [result.error for result in (pipeline.scan(), pipeline.parse(), pipeline.embed())]


def _found(pipeline: Pipeline, query: str, mode: SearchMode = SearchMode.HYBRID) -> list[str]:
    hits = search(pipeline.store, pipeline.query_encoder(), query, mode=mode, limit=50)
    return [hit.qualified_name for hit in hits]


def test_an_hours_long_job_is_not_lost_to_one_failed_embedding(poisoned: Pipeline) -> None:
    result = [poisoned.scan(), poisoned.parse(), poisoned.embed()][-1]
    assert result.partial
    assert result.error
    assert "1 " in result.error
    counts = poisoned.store.statuses.count(poisoned.model_id)
    assert counts["error"] == 1
    assert counts["complete"] == poisoned.store.chunks.count() - 1 == 59
    [failure] = failed_chunks(poisoned.store, poisoned.model_id)
    assert failure.qualified_name == _POISON
    assert _POISON in failure.reason


def test_failed_items_are_recorded_with_a_way_to_rerun_them_and_only_them(
    poisoned: Pipeline, root: Path, tmp_path: Path
) -> None:
    assert _index(poisoned)[-1]
    assert "code-index resume --failed" in read_status(poisoned.index, poisoned.model_id).next_step
    assert poisoned.embed().partitions == 0, "what failed for good is tried again without being asked for"
    repaired = give(Faulty())
    rerun = poisoned.embed(retry_failed=True)
    assert (rerun.error, rerun.partitions, len(repaired.asked)) == (None, 1, 1)
    assert failed_chunks(poisoned.store, poisoned.model_id) == []
    assert not findings(root, fresh_state(root, tmp_path))


def test_a_file_that_failed_is_recorded_with_a_way_to_rerun_it_and_only_it(
    root: Path, tmp_path: Path, command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Pipeline(resolve_index_folder(root)) as pipeline:
        assert _index(pipeline) == [None] * 3
    (root / "slow.py").write_text("x = 1\n" * 400, encoding="utf-8")
    monkeypatch.setenv("CODE_INDEX_PARSE_TIMEOUT_S", "0.000001")
    with Pipeline(resolve_index_folder(root)) as pipeline:
        pipeline.scan()
        pipeline.parse()
        [failed] = failed_files(pipeline.store)
    monkeypatch.delenv("CODE_INDEX_PARSE_TIMEOUT_S")
    told = command_line("status", root, "--failed")
    assert failed.file_path == "slow.py"
    assert f"slow.py: {failed.reason}" in told.stdout
    assert failed.run_id
    assert failed.run_id in told.stdout
    log, done = run_victim(["resume", str(root), "--failed"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert {path for path, _ in Work.of(log).parsed} == {repr("slow.py")}
    assert not findings(root, fresh_state(root, tmp_path))


@pytest.mark.parametrize(
    "step", ["merge:1:before", "merge:1:after", "store_event_batch:2:before", "merge:4:after", "merge:6:after"]
)
def test_search_never_calls_a_killed_index_not_indexed(root: Path, tmp_path: Path, step: str) -> None:
    log, killed = run_victim(["index", str(root)], tmp_path, kill=step)
    assert killed.returncode == -9, killed.stderr
    assert Work.of(log).last_step != "before the first step"
    folder = resolve_index_folder(root)
    stored = IndexStore(folder.tables_dir).chunks.read(["function_name"])["function_name"].to_pylist()
    done = subprocess.run(
        [sys.executable, "-m", "indexing_assets.cli.main", "search", stored[0] if stored else "x", "--path", str(root)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    if stored:
        assert stored[0] in done.stdout
        assert "`code-index resume` embeds them" in done.stderr
    else:
        assert "Nothing is indexed yet: code-index index" in done.stderr


def test_chunks_are_not_left_pending_for_ever_after_a_crash_because_file_hashes_are_unchanged(
    root: Path, tmp_path: Path
) -> None:
    _, killed = run_victim(["index", str(root)], tmp_path, kill="merge:6:after")
    assert killed.returncode == -9
    before = Durable.of(root)
    pending = IndexStore(resolve_index_folder(root).tables_dir).chunks.count() - len(before.texts)
    assert pending > 0, "the kill came too late to leave anything pending"
    log, done = run_victim(["index", str(root)], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "60 vectors" in done.stdout
    assert before.repeated(Work.of(log)) == []
    assert not findings(root, fresh_state(root, tmp_path))


def test_vectors_of_edited_and_deleted_code_do_not_stay_searchable(root: Path) -> None:
    with Pipeline(resolve_index_folder(root)) as pipeline:
        assert _index(pipeline) == [None] * 3
        assert "function_3_2" in _found(pipeline, "function_3_2")
        write_module(root / "module_03.py", 99)
        (root / "module_04.py").unlink()
        # From the scan on, before anything is parsed or embedded.
        assert pipeline.scan().error is None
        gone = {f"function_{number}_{i}" for number in (3, 4) for i in range(5)}
        for mode in SearchMode:
            assert not gone & set(_found(pipeline, "function_3_2 function_4_2", mode)), mode
        assert [pipeline.parse().error, pipeline.embed().error] == [None, None]
        assert not gone & set(pipeline.store.vectors.read(["function_name"])["function_name"].to_pylist())
        assert "function_99_2" in _found(pipeline, "function_99_2")


def test_two_processes_do_not_corrupt_the_store(root: Path, tmp_path: Path) -> None:
    logs = [tmp_path / f"process_{number}.log" for number in range(3)]
    with ExitStack() as stack:
        processes = [stack.enter_context(start_victim(log, "none", ["index", str(root)])) for log in logs]
        for process in processes:
            output, errors = process.communicate(timeout=PATIENCE_S)
            assert process.returncode == 0, output + errors
    embedded = [digest for log in logs for digest in Work.of(log).embedded]
    assert len(embedded) == len(set(embedded)) == 60, "a text went through the model twice"
    parsed = [entry for log in logs for entry in Work.of(log).parsed]
    assert len(parsed) == len(set(parsed)) == 12, "a file was parsed twice"
    assert not findings(root, fresh_state(root, tmp_path))


def test_a_start_is_not_a_full_index_again(root: Path, tmp_path: Path) -> None:
    with Pipeline(resolve_index_folder(root)) as pipeline:
        assert _index(pipeline) == [None] * 3
        runs = pipeline.instance.get_runs_count()
        versions = pipeline.store.upkeep.versions()
    log, done = run_victim(["index", str(root)], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "nothing changed" in done.stdout
    work = Work.of(log)
    assert (work.parsed, work.embedded) == (set(), set())
    with Pipeline(resolve_index_folder(root)) as pipeline:
        assert pipeline.instance.get_runs_count() == runs + 1, "more than a scan ran"
        assert pipeline.store.upkeep.versions() == versions, "a table was written"


@pytest.mark.long
def test_old_table_versions_do_not_grow_to_gigabytes(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if each edit came long after the one before.
    for module in (table_upkeep, compaction):
        monkeypatch.setattr(module, "MIN_RETENTION", timedelta(milliseconds=1))
    with Pipeline(resolve_index_folder(root)) as pipeline:
        assert _index(pipeline) == [None] * 3
        sizes = []
        for number in range(100, 124):
            write_module(root / f"module_{number % 12:02}.py", number)
            assert _index(pipeline) == [None] * 3
            sizes.append(sum(pipeline.store.upkeep.disk_bytes().values()))
        kept = {
            name: len(pipeline.store.tables.open(name).list_versions()) for name in pipeline.store.upkeep.versions()
        }
        # The phases clean by themselves: no one asked for `cleanup`.
        assert max(kept.values()) <= 8 + 6, kept
        assert max(sizes[12:]) < 2 * max(sizes[:12]), sizes
        assert pipeline.store.tables.count("retired_vectors") > 0
        assert pipeline.cleanup().error is None
        names = pl.DataFrame(pipeline.store.chunks.read(["function_name"]))["function_name"]
        assert names.is_unique().all()
    assert not findings(root, fresh_state(root, tmp_path))
    assert state(root)["vectors"].height == 60
