"""What failed is rerun by a job and a schedule: exactly that, as one range, and not while it is under way."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest
from dagster._core.definitions.job_base import RepoBackedJob
from dagster._core.execution.api import execute_run
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from code_index.index.folder import resolve_index_folder
from code_index.tables.schemas import EMBEDDING_ERRORS
from indexing_assets.automation import reruns
from indexing_assets.automation.jobs import build_asset_jobs
from indexing_assets.automation.reruns import build_partition_jobs, executed_here, keys_to_rerun, request_backfill
from indexing_assets.automation.schedules import ScheduleTimes, build_schedules
from indexing_assets.definitions import build_defs
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.runs.index_names import CHUNK_VECTORS, PARSED_CHUNKS, UNNAMED
from indexing_assets.runs.partitions import keys_of_run, range_tags
from indexing_assets.runs.planning import transient_failures_due
from resources.embedder_resource import EmbedderResource
from resources.index_resource import IndexResource
from tests.fakes import obstruct

_EMBEDDER = EmbedderResource(model="deterministic")


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    """Six files, of which the second and the fifth were links when they were to be parsed."""
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")
    root = tmp_path / "repository"
    root.mkdir()
    for number in range(6):
        (root / f"module_{number}.py").write_text(f"def function_{number}():\n    return {number}\n", encoding="utf-8")
    with Pipeline(resolve_index_folder(root)) as opened:
        assert opened.scan().error is None
        contents = {path: path.read_bytes() for path in (root / "module_1.py", root / "module_4.py")}
        for path in contents:
            obstruct(path)
        assert opened.parse().partial
        assert opened.embed().error is None
        for path, content in contents.items():
            path.unlink()
            path.write_bytes(content)
        yield opened


def _resources(pipeline: Pipeline) -> dict[str, dg.ConfigurableResource]:
    folder = pipeline.folder
    index = IndexResource(repository_root=str(folder.repository_root), index_dir=str(folder.path))
    return {"index": index, "embedder": _EMBEDDER}


def _names(keys: Mapping[str, list[str]]) -> dict[str, list[str]]:
    return {asset: [key.rpartition(":")[2] for key in some] for asset, some in keys.items()}


def _due(pipeline: Pipeline, later: timedelta) -> dict[str, list[str]]:
    return transient_failures_due(pipeline.store, pipeline.model_id, datetime.now(UTC) + later)


def test_a_rerun_is_a_backfill_of_exactly_what_failed(pipeline: Pipeline) -> None:
    resources = _resources(pipeline)
    index = resources["index"]
    assert isinstance(index, IndexResource)
    graph = build_defs(resources, indexes=[UNNAMED]).get_repository_def().asset_graph
    keys = keys_to_rerun(pipeline.instance, index, _EMBEDDER, UNNAMED)
    backfill_id = request_backfill(pipeline.index, graph, keys, title="a test")
    (backfill,) = pipeline.instance.get_backfills()
    assert backfill.backfill_id == backfill_id
    data = backfill.asset_backfill_data
    assert data is not None
    target = data.target_subset.get_partitions_subset(dg.AssetKey("parsed_chunks"))
    assert {key.rpartition(":")[2] for key in target.get_partition_keys()} == {"module_1.py", "module_4.py"}
    ordered = list(pipeline.instance.get_dynamic_partitions("file_hash"))
    assert [key.rpartition(":")[2] for key in ordered[-2:]] == ["module_1.py", "module_4.py"], "side by side: one run"
    assert backfill.asset_selection == [dg.AssetKey("parsed_chunks")]


def test_a_scan_puts_what_failed_side_by_side(pipeline: Pipeline) -> None:
    assert pipeline.scan().error is None
    ordered = [key.rpartition(":")[2] for key in pipeline.instance.get_dynamic_partitions("file_hash")]
    assert abs(ordered.index("module_1.py") - ordered.index("module_4.py")) == 1
    assert len(ordered) == 6


def _run_job(pipeline: Pipeline, name: str, config: Mapping[str, object] | None = None) -> bool:
    """Run a job as a job of its repository, which it asks for; tell whether it succeeded."""
    repository = build_defs(_resources(pipeline), indexes=[UNNAMED]).get_repository_def()
    run = pipeline.instance.create_run_for_job(
        repository.get_job(name), run_config={"ops": {"partitions": {"config": dict(config)}} if config else {}}
    )
    return execute_run(RepoBackedJob(name, repository), run, pipeline.instance).success


def _runs(pipeline: Pipeline) -> list[list[str]]:
    """Partitions of each run over a range, the oldest first."""
    found = []
    for run in reversed(pipeline.instance.get_runs()):
        asset = {"parse_chunks_job": PARSED_CHUNKS, "embed_chunks_job": CHUNK_VECTORS}.get(run.job_name)
        if asset:
            found.append(
                [key.rpartition(":")[2] for key in keys_of_run(run.tags, pipeline.index.partition_keys(asset))]
            )
    return found


def test_executed_from_a_shell_the_job_runs_what_failed_itself_and_ends_as_it_did(pipeline: Pipeline) -> None:
    before = len(_runs(pipeline))
    assert _run_job(pipeline, "rerun_failed_partitions")
    assert _runs(pipeline)[before:] == [["module_1.py", "module_4.py"]]
    assert pipeline.instance.get_backfills() == []
    assert _run_job(pipeline, "rerun_failed_partitions")
    assert len(_runs(pipeline)) == before + 1, "nothing failed: no run"
    obstruct(pipeline.folder.repository_root / "module_2.py")
    assert not _run_job(pipeline, "materialize_partitions", {"wanted": "all", "asset": "parsed_chunks"})
    assert _runs(pipeline)[-1] == [f"module_{number}.py" for number in (0, 2, 3, 5, 1, 4)], "in the order of their keys"


def test_a_job_runs_what_its_config_says_of_which_asset(pipeline: Pipeline) -> None:
    before = len(_runs(pipeline))
    assert _run_job(pipeline, "materialize_partitions", {"asset": "chunk_vectors"})
    assert len(_runs(pipeline)) == before, "no batch lacks a vector"
    assert _run_job(pipeline, "materialize_partitions")
    assert [len(keys) for keys in _runs(pipeline)[before:]] == [2, 1], (
        "what was missing, and then the batch of its chunks"
    )
    assert pipeline.store.vectors.count() == pipeline.store.chunks.count() == 6
    assert _run_job(pipeline, "materialize_partitions", {"wanted": "all", "asset": "chunk_vectors"})
    [step] = pipeline.instance.get_runs(dg.RunsFilter(job_name="embed_chunks_job"), limit=1)
    assert "6 chunks to embed" in str([e.user_message for e in pipeline.instance.all_logs(step.run_id)])
    for refused in ({"wanted": "some"}, {"asset": "source_files"}):
        with pytest.raises(dg.DagsterInvalidConfigError, match="not in enum"):
            _run_job(pipeline, "materialize_partitions", refused)


def test_a_run_that_dagsters_processes_started_asks_for_a_backfill_and_one_of_a_shell_does_not() -> None:
    target = LoadableTargetOrigin(executable_path=sys.executable, module_name="indexing_assets.definitions")
    location = ManagedGrpcPythonEnvCodeLocationOrigin(target, location_name="indexing_assets.definitions")
    origin = RemoteJobOrigin(RemoteRepositoryOrigin(location, "__repository__"), "rerun_failed_partitions")
    assert executed_here(dg.DagsterRun(job_name="rerun_failed_partitions"))
    assert not executed_here(dg.DagsterRun(job_name="rerun_failed_partitions", remote_job_origin=origin))


def test_launched_from_a_page_the_job_asks_for_a_backfill_with_what_its_config_says(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reruns, "executed_here", lambda _run: False)
    before = len(_runs(pipeline))
    assert _run_job(pipeline, "materialize_partitions", {"wanted": "all"})
    (backfill,) = pipeline.instance.get_backfills()
    assert backfill.run_config == {
        "ops": {asset: {"config": {"force": True}} for asset in (PARSED_CHUNKS, CHUNK_VECTORS)}
    }
    assert backfill.asset_backfill_data is not None
    assert backfill.asset_backfill_data.target_subset.num_partitions_and_non_partitioned_assets == 7
    assert len(_runs(pipeline)) == before
    assert pipeline.parse(retry_failed=True).error is None
    assert _run_job(pipeline, "rerun_failed_partitions")
    assert len(pipeline.instance.get_backfills()) == 1, "nothing failed: nothing is asked for"


def test_what_a_run_already_works_on_is_left_out(pipeline: Pipeline) -> None:
    resources = _resources(pipeline)
    index = resources["index"]
    assert isinstance(index, IndexResource)
    before = keys_to_rerun(pipeline.instance, index, _EMBEDDER, UNNAMED)
    assert _names(before) == {PARSED_CHUNKS: ["module_1.py", "module_4.py"], CHUNK_VECTORS: []}
    parse = build_defs(resources, indexes=[UNNAMED]).resolve_job_def("parse_chunks_job")
    pipeline.instance.create_run_for_job(parse, tags=range_tags([before[PARSED_CHUNKS][0]]))
    after = keys_to_rerun(pipeline.instance, index, _EMBEDDER, UNNAMED)
    assert _names(after)[PARSED_CHUNKS] == ["module_4.py"]


def test_a_failure_that_may_pass_is_due_after_its_back_off_which_grows(pipeline: Pipeline) -> None:
    assert _due(pipeline, timedelta(minutes=4))[PARSED_CHUNKS] == []
    assert len(_due(pipeline, timedelta(minutes=6))[PARSED_CHUNKS]) == 2
    for name in ("module_1.py", "module_4.py"):
        obstruct(pipeline.folder.repository_root / name)
    assert pipeline.parse().partial  # a second failure
    assert _due(pipeline, timedelta(minutes=19))[PARSED_CHUNKS] == []
    assert len(_due(pipeline, timedelta(minutes=21))[PARSED_CHUNKS]) == 2


def test_a_chunk_that_failed_for_good_is_never_due_and_one_that_may_pass_is(pipeline: Pipeline) -> None:
    chunks = pipeline.store.chunks.read(["chunk_id", "embedding_batch_id"]).to_pylist()[:2]
    pipeline.store.errors.record(
        pa.Table.from_pylist(
            [
                {
                    "chunk_id": chunk["chunk_id"],
                    "embedding_model": pipeline.model_id,
                    "error_message": "for a test",
                    "attempts": 1,
                    "transient": transient,
                    "failed_at": datetime.now(UTC) - timedelta(hours=1),
                }
                for chunk, transient in zip(chunks, (True, False), strict=True)
            ],
            schema=EMBEDDING_ERRORS,
        )
    )
    assert _due(pipeline, timedelta(0))[CHUNK_VECTORS] == [f"{chunks[0]['embedding_batch_id']:08d}"]


@pytest.mark.parametrize("due", [True, False])
def test_the_schedule_asks_for_a_rerun_only_when_something_is_due(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, due: bool
) -> None:
    _, rerun_job = build_partition_jobs(UNNAMED)
    _, schedule = build_schedules(UNNAMED, build_asset_jobs(UNNAMED), rerun_job, ScheduleTimes())
    if due:
        _age_failures(pipeline)
    with dg.build_schedule_context(
        instance=pipeline.instance, scheduled_execution_time=datetime.now(UTC), resources=_resources(pipeline)
    ) as context:
        data = schedule.evaluate_tick(context)
    if due:
        (request,) = data.run_requests or []
        ops = request.run_config["ops"]
        assert ops == {"rerun_partitions": {"config": {"transient_only": True}}}
    else:
        assert data.run_requests == []
        assert "due" in (data.skip_message or "")


def _age_failures(pipeline: Pipeline) -> None:
    files = pipeline.store.files.read()
    earlier = [
        None if parsed is None else parsed - timedelta(hours=1) for parsed in files.column("parsed_at").to_pylist()
    ]
    place = files.schema.get_field_index("parsed_at")
    pipeline.store.files.upsert(
        files.set_column(place, files.schema.field(place), pa.array(earlier, files.schema.field(place).type))
    )


def test_schedules_ship_stopped_and_run_where_the_environment_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)

    def running() -> set[bool]:
        repository = build_defs().get_repository_def()
        states = [sensor.default_status is dg.DefaultSensorStatus.RUNNING for sensor in repository.sensor_defs]
        states += [s.default_status is dg.DefaultScheduleStatus.RUNNING for s in repository.schedule_defs]
        assert len(states) == 4
        return set(states)

    assert running() == {False}
    monkeypatch.setenv("CODE_INDEX_WATCH", "1")
    assert running() == {True}
    monkeypatch.setenv("CODE_INDEX_WATCH", "0")
    assert running() == {False}
