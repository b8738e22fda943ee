"""Several processes on one index: nothing is lost, done twice, or shown half done.

`python -m tests.faults.rounds --rounds 50` is the long form. Locks by themselves are in
`tests/integration/test_locks.py`.
"""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest

from code_index.embedding.embedder import EmbeddingResult
from code_index.index.folder import resolve_index_folder
from code_index.index.locks import Phase, hold
from indexing_assets.definitions import build_defs
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.runs.index_names import UNNAMED
from indexing_assets.runs.partitions import as_one_range, keys_of_run, range_tags
from indexing_assets.runs.planning import files_to_parse
from indexing_assets.upkeep.expiry import expire_records
from tests.fakes import Faulty, GivenEmbedder, give
from tests.faults.harness import findings, fresh_state, small_steps, write_module, write_repository
from tests.faults.rounds import Plan, Rounds, Tally
from tests.integration.test_sensors import _Watched
from tests.waiting import PATIENCE_S

_PLANS = [
    Plan(("index", "index", "index --no-wait")),
    Plan(("index", "daemon-run", "cleanup --keep-runs 3", "doctor"), edits_before=3),
]


@pytest.mark.long
@pytest.mark.slow
def test_commands_a_daemons_runs_and_searches_at_once_leave_the_index_of_a_fresh_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in small_steps({}).items():
        monkeypatch.setenv(name, value)
    seed = int(os.environ.get("CODE_INDEX_FAULT_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
    tally = Tally()
    rounds = Rounds(tmp_path, random.Random(seed), tally)
    for plan in _PLANS:
        rounds.round(plan)
    assert not tally.wrong, f"seed {seed}\n{tally}"
    assert tally.searches > 20, f"seed {seed}\n{tally}"


@pytest.fixture
def embedder() -> Faulty:
    return give(Faulty())


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in small_steps({}).items():
        monkeypatch.setenv(name, value)
    return write_repository(tmp_path / "repository")


@pytest.fixture
def pipeline(root: Path, embedder: Faulty) -> Iterator[Pipeline]:
    with Pipeline(resolve_index_folder(root), embedder=GivenEmbedder()) as opened:
        yield opened


def _index(pipeline: Pipeline) -> None:
    assert [r.error for r in (pipeline.scan(), pipeline.parse(), pipeline.embed())] == [None] * 3


def _keys(pipeline: Pipeline, definition: str) -> list[str]:
    return list(pipeline.instance.get_dynamic_partitions(definition))


def _other_process(*arguments: object) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "indexing_assets.cli.main", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_edit_that_is_parsed_beside_an_embedding_run_takes_no_partition_from_under_it(
    pipeline: Pipeline, embedder: Faulty, root: Path, tmp_path: Path
) -> None:
    assert [r.error for r in (pipeline.scan(), pipeline.parse())] == [None] * 2

    def edit_meanwhile(texts: Sequence[str], result: EmbeddingResult) -> EmbeddingResult:
        embedder.fault = None
        # All chunks of the run's first and last batches.
        for name in ("module_00.py", "module_01.py", "module_10.py", "module_11.py"):
            (root / name).unlink()
        write_module(root / "module_05.py", 77)
        _other_process("index", root, "--phase", "parse")
        return result

    embedder.fault = edit_meanwhile
    result = pipeline.embed()
    assert result.error is None
    living = {f"{batch:08d}" for batch in pipeline.store.statuses.batches()["embedding_batch_id"].to_pylist()}
    assert set(_keys(pipeline, "embedding_batch")) == living, "batches that became empty are partitions no more"
    assert pipeline.embed().error is None  # the batch of the edit
    assert not findings(root, fresh_state(root, tmp_path))


def test_two_embedding_commands_never_give_one_batch_to_the_model_twice(
    pipeline: Pipeline, embedder: Faulty, root: Path
) -> None:
    assert [r.error for r in (pipeline.scan(), pipeline.parse())] == [None] * 2
    results = []

    def second() -> None:
        # Another process, as far as locks and tables are concerned; it began while the first was at work.
        with Pipeline(resolve_index_folder(root), embedder=GivenEmbedder()) as other:
            results.append(other.embed())

    thread = threading.Thread(target=second)

    def begin(texts: Sequence[str], result: EmbeddingResult) -> EmbeddingResult:
        embedder.fault = None
        thread.start()
        return result

    embedder.fault = begin
    assert pipeline.embed().error is None
    thread.join()
    assert [(r.error, r.partitions) for r in results] == [(None, 0)]
    assert len(embedder.asked) == len(set(embedder.asked)) == 60


def test_a_command_leaves_the_ranges_of_runs_that_wait_as_they_are(pipeline: Pipeline, root: Path) -> None:
    _index(pipeline)
    for at in (1, 4, 7, 9):
        write_module(root / f"module_{at:02}.py", 100 + at)
    pipeline.store.chunks.delete_by_file(["module_00.py"])  # to be parsed too: its key lies far from the others
    assert pipeline.scan().error is None
    new = {key.partition(":")[2]: key for key in _keys(pipeline, "file_hash")}
    # As the daemon asked for it: not in the order of paths, and not side by side with the rest.
    asked = as_one_range(pipeline.instance, "file_hash", [new["module_09.py"], new["module_01.py"]])
    tags = range_tags(asked)
    job = build_defs(indexes=[UNNAMED]).resolve_job_def("parse_chunks_job")
    waiting = pipeline.instance.create_run_for_job(job, tags=tags)
    wanted = files_to_parse(pipeline.index)
    assert len(wanted) == 5

    result = pipeline.parse()
    assert (result.error, result.partitions) == (None, 5)
    assert keys_of_run(waiting.tags, _keys(pipeline, "file_hash")) == asked
    assert files_to_parse(pipeline.index) == []


def test_a_sensor_moves_no_keys_while_a_command_is_at_work(
    small_repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")
    watched = _Watched(resolve_index_folder(small_repository))
    with watched.pipeline as pipeline:
        assert [r.error for r in (pipeline.scan(), pipeline.parse())] == [None] * 2
        before = _keys(pipeline, "embedding_batch")
        busy, free = threading.Event(), threading.Event()

        def command() -> None:
            with hold(pipeline.folder.locks_dir, Phase.EMBED):
                busy.set()
                free.wait(PATIENCE_S)

        thread = threading.Thread(target=command)
        thread.start()
        busy.wait(PATIENCE_S)
        requests, reason = watched.pending()
        free.set()
        thread.join()
        assert requests == []
        assert f"process {os.getpid()} on" in reason
        assert _keys(pipeline, "embedding_batch") == before
        assert len(watched.pending()[0]) == 1, "asked for at once, and not after a back-off"


def test_keys_that_move_are_never_missing_for_another_process(pipeline: Pipeline) -> None:
    assert pipeline.scan().error is None
    ordered = sorted(_keys(pipeline, "file_hash"))
    database = pipeline.folder.dagster_home / "history" / "runs" / "index.db"
    over = threading.Event()
    seen: set[int] = set()

    def look() -> None:
        # As another process does, without Dagster, so that it looks often enough.
        with closing(sqlite3.connect(database)) as connection:
            while not over.is_set():
                [(count,)] = connection.execute("SELECT count(*) FROM dynamic_partitions")
                seen.add(count)

    looker = threading.Thread(target=look)
    looker.start()
    for turn in range(200):
        as_one_range(pipeline.instance, "file_hash", ordered[turn % 3 :: 3])
    over.set()
    looker.join()
    assert seen == {len(ordered)}


def test_the_same_keys_may_be_added_by_two_at_once(pipeline: Pipeline) -> None:
    errors: list[Exception] = []
    together = threading.Barrier(3, timeout=PATIENCE_S)

    def add() -> None:
        try:
            with dg.DagsterInstance.get() as instance:
                for turn in range(40):
                    together.wait()
                    instance.add_dynamic_partitions("file_hash", [f"{turn}-{at}" for at in range(50)])
        except Exception as error:  # noqa: BLE001 - the claim is that there is none
            errors.append(error)

    threads = [threading.Thread(target=add) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(_keys(pipeline, "file_hash")) == 2_000


def test_vectors_that_a_killed_run_left_behind_an_edit_are_dropped_though_nothing_is_to_be_embedded(
    pipeline: Pipeline, embedder: Faulty, root: Path, tmp_path: Path
) -> None:
    _index(pipeline)
    stored = pipeline.store.vectors.read(where="file_path = 'module_03.py'")
    (root / "module_03.py").unlink()
    assert pipeline.scan().error is None
    # What it embedded before the edit, stored after it; killed before it could look again.
    pipeline.store.vectors.add(stored)
    _index(pipeline)
    assert not findings(root, fresh_state(root, tmp_path))


def test_cleaning_keeps_records_of_partitions_that_another_process_makes_meanwhile(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    _index(pipeline)
    read_runs = dg.DagsterInstance.get_run_records

    def read_while_another_works(instance: dg.DagsterInstance, *args: object, **options: object) -> object:
        instance.add_dynamic_partitions("file_hash", ["0123456789ab:new.py"])
        instance.report_runless_asset_event(dg.AssetMaterialization("parsed_chunks", partition="0123456789ab:new.py"))
        return read_runs(instance, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(dg.DagsterInstance, "get_run_records", read_while_another_works)
    expire_records(pipeline.index, keep_runs=1)
    materialized = pipeline.instance.get_materialized_partitions(dg.AssetKey("parsed_chunks"))
    assert "0123456789ab:new.py" in materialized
