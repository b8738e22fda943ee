"""What fails, fails alone, is on record with its reason, and runs again alone: one bad file among thousands."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import psutil
import pytest
from dagster._core.definitions.reconstruct import ReconstructableRepository

from code_index.index.contents import failed_files
from code_index.index.folder import resolve_index_folder
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.runs.index_names import UNNAMED
from indexing_assets.runs.partitions import keys_of_run, partitions_definition
from tests.faults.harness import findings, fresh_state, small_steps, write_repository
from tests.waiting import PATIENCE_S, busy_parser, started

PARSED = dg.AssetKey("parsed_chunks")
_FILES = 5_000
_BAD = "src/17/Bad.java"
# A grammar that takes more memory than a parser process may have.
_BOMB = "a<" * 12_000
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """4,999 tiny files and one that cannot be parsed."""
    root = tmp_path_factory.mktemp("thousands") / "repository"
    for number in range(_FILES):
        path = root / "src" / str(number % 50) / f"f{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"F{number} = {number}\n", encoding="utf-8")
    (root / "src/17/f17.py").unlink()
    (root / _BAD).write_text(_BOMB, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CODE_INDEX_MODEL", "deterministic")
        patch.setenv("CODE_INDEX_PARSE_MEMORY_BYTES", str(256 << 20))
        with Pipeline(resolve_index_folder(root)) as pipeline:
            assert pipeline.scan().error is None
            result = pipeline.parse()
            assert result.partial
            assert result.partitions == _FILES
            yield pipeline


@pytest.fixture(autouse=True)
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")
    monkeypatch.setenv("CODE_INDEX_PARSE_MEMORY_BYTES", str(256 << 20))


def _keys(pipeline: Pipeline) -> list[str]:
    return list(pipeline.instance.get_dynamic_partitions("file_hash"))


def _keys_of_newest_run(pipeline: Pipeline) -> list[str]:
    [run] = pipeline.instance.get_runs(dg.RunsFilter(job_name="parse_chunks_job"), limit=1)
    return keys_of_run(run.tags, _keys(pipeline))


@pytest.mark.slow
def test_one_bad_file_among_5000_is_the_only_failed_partition(indexed: Pipeline) -> None:
    statuses = (
        indexed.instance.get_status_by_partition(
            PARSED, _keys(indexed), partitions_definition(UNNAMED, "parsed_chunks")
        )
        or {}
    )
    assert Counter(status.value if status else None for status in statuses.values()) == {
        "MATERIALIZED": 4_999,
        "FAILED": 1,
    }
    [failed] = [key for key, status in statuses.items() if status is not None and status.value == "FAILED"]
    assert failed.endswith(":src/17/Bad.java")
    assert len(set(indexed.instance.get_materialized_partitions(PARSED)) & set(_keys(indexed))) == 4_999


@pytest.mark.slow
def test_one_bad_file_among_5000_is_listed_with_path_reason_and_run_and_reruns_alone(
    indexed: Pipeline, command_line: Run
) -> None:
    root = indexed.folder.repository_root
    [run] = indexed.instance.get_runs(dg.RunsFilter(job_name="parse_chunks_job"))
    listed = json.loads(command_line("status", root, "--failed", "--json").stdout)
    [file] = listed["files"]
    assert (file["file_path"], file["run_id"], file["transient"]) == (_BAD, run.run_id, False)
    assert "parse_memory_bytes" in file["reason"]
    told = command_line("status", root, "--failed").stdout
    assert told.count("\n") == 1
    assert all(part in told for part in (_BAD, "parse_memory_bytes", run.run_id))

    command_line("resume", root, "--failed", check=1)
    assert _keys_of_newest_run(indexed) == [key for key in _keys(indexed) if key.endswith("Bad.java")]
    assert len(indexed.instance.get_runs(dg.RunsFilter(job_name="parse_chunks_job"))) == 2
    assert indexed.store.vectors.count() == indexed.store.chunks.count(), "the others are embedded all the same"


@pytest.mark.slow
def test_the_job_for_failed_partitions_runs_exactly_the_one_of_5000(
    indexed: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in indexed.folder.environment().items():
        monkeypatch.setenv(name, value)
    # As Dagster starts a job: by the module that it is told, since the job asks for the repository it is of.
    repository = ReconstructableRepository.for_module("indexing_assets.definitions", "defs")
    with dg.execute_job(repository.get_reconstructable_job("rerun_failed_partitions"), indexed.instance) as result:
        assert not result.success, "it fails again"
    assert _keys_of_newest_run(indexed) == [key for key in _keys(indexed) if key.endswith("Bad.java")]


# --- a parser process that dies

# More than a parser process takes before it is in the middle of the one large file.
_BOMB_BYTES = 400 << 20


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in small_steps({}).items():
        monkeypatch.setenv(name, value)
    # Room for the bomb: it is large, slow, and parsed in the end.
    monkeypatch.setenv("CODE_INDEX_PARSE_MEMORY_BYTES", str(8 << 30))
    monkeypatch.setenv("CODE_INDEX_PARSE_TIMEOUT_S", "120")
    root = write_repository(tmp_path / "repository")
    (root / "module_05_Slow.java").write_text(_BOMB, encoding="utf-8")
    return root


def test_a_parser_process_that_is_killed_costs_its_file_one_attempt_and_the_run_goes_on(
    repository: Path, tmp_path: Path
) -> None:
    with Pipeline(resolve_index_folder(repository)) as pipeline:
        assert pipeline.scan().error is None
        killer = threading.Thread(target=lambda: busy_parser(psutil.Process(), bytes_at_least=_BOMB_BYTES).kill())
        killer.start()
        result = pipeline.parse()
        killer.join()
        assert result.partial
        [failed] = failed_files(pipeline.store)
        assert (failed.file_path, failed.transient) == ("module_05_Slow.java", True)
        assert "was killed" in failed.reason
        assert pipeline.store.files.counts() == {"parsed": 12, "error": 1, "skipped": 1}
        missing = set(_keys(pipeline)) - set(pipeline.instance.get_materialized_partitions(PARSED))
        assert [key.partition(":")[2] for key in missing] == ["module_05_Slow.java"]

        again = pipeline.parse()
        assert (again.error, again.partitions) == (None, 1)
        assert pipeline.embed().error is None
    assert not findings(repository, fresh_state(repository, tmp_path))


def test_a_command_whose_parser_process_is_killed_tries_the_file_again_and_ends_well(repository: Path) -> None:
    with started(
        *(sys.executable, "-m", "indexing_assets.cli.main", "index", repository),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        busy_parser(psutil.Process(process.pid), bytes_at_least=_BOMB_BYTES).kill()
        output, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, errors
    assert "13 files" in output
    with Pipeline(resolve_index_folder(repository)) as pipeline:
        parsing = pipeline.instance.get_runs(dg.RunsFilter(job_name="parse_chunks_job"))
        assert [run.status.value for run in parsing] == ["SUCCESS", "FAILURE"], "newest first"
        assert [key.partition(":")[2] for key in keys_of_run(parsing[0].tags, _keys(pipeline))] == [
            "module_05_Slow.java"
        ]
