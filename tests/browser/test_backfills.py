"""Backfills through the web server's GraphQL: few runs, cancelled in the middle, gone on with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.dagster_run import FINISHED_STATUSES

from code_index.index.folder import resolve_index_folder
from indexing_assets.operations.pipeline import Pipeline

_PARSED = dg.AssetKey("parsed_chunks")
_FILES = 3_000
_LAUNCH = """
mutation Launch($parameters: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $parameters) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""
_CANCEL = "mutation Cancel($id: String!) { terminateRun(runId: $id) { __typename } }"

pytestmark = pytest.mark.slow


def _launch(ui: Any, keys: list[str], asset: str = "parsed_chunks") -> str:
    parameters = {"partitionNames": keys, "assetSelection": [{"path": [asset]}]}
    return str(ui.graphql(_LAUNCH, {"parameters": parameters})["launchPartitionBackfill"]["backfillId"])


def _status(ui: Any, backfill: str) -> str:
    return str(ui.ask(lambda instance: instance.get_backfill(backfill)).status.value)


def _run_status(ui: Any, run_id: str) -> dg.DagsterRunStatus:
    return ui.ask(lambda instance: instance.get_run_by_id(run_id)).status  # type: ignore[no-any-return]


def _materialized(ui: Any) -> set[str]:
    return set(ui.ask(lambda instance: instance.get_materialized_partitions(_PARSED)))


@pytest.mark.long
def test_a_backfill_of_3000_partitions_is_one_run_and_loses_nothing_when_it_is_cancelled(
    tmp_path: Path, dagster_ui: Callable[[Path], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")
    monkeypatch.setenv("CODE_INDEX_PARSE_CHECKPOINT_FILES", "20")
    root = tmp_path / "repository"
    for number in range(_FILES):
        path = root / f"part_{number // 100:02}/module_{number:04}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"def function_{number}(x):\n    return x + {number}\n", encoding="utf-8")
    with Pipeline(resolve_index_folder(root)) as pipeline:
        assert pipeline.scan().error is None
        keys = list(pipeline.instance.get_dynamic_partitions("file_hash"))
    ui = dagster_ui(root)

    first = _launch(ui, keys)
    ui.wait_for(lambda: len(_materialized(ui)) >= 20, "some of it is durable")
    (run,) = ui.ask(lambda instance: instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": first})))
    ui.graphql(_CANCEL, {"id": run.run_id})
    ui.wait_for(lambda: _run_status(ui, run.run_id) in FINISHED_STATUSES, "the run has ended")
    assert _run_status(ui, run.run_id) is dg.DagsterRunStatus.CANCELED
    durable = _materialized(ui)
    assert 20 <= len(durable) < _FILES, "it was cancelled in the middle"

    second = _launch(ui, [key for key in keys if key not in durable])
    ui.wait_for(lambda: _status(ui, second) == "COMPLETED_SUCCESS", "the rest is backfilled")
    assert _materialized(ui) == set(keys)
    records = ui.ask(lambda instance: instance.fetch_materializations(_PARSED, limit=2 * _FILES).records)
    parsed = Counter(record.partition_key for record in records if "parse_ms" in record.asset_materialization.metadata)
    assert set(parsed.values()) == {1}, "what was durable was not parsed again"
    runs = ui.ask(lambda instance: instance.get_runs())
    assert len([run for run in runs if run.tags.get("dagster/backfill") == first]) == 1
    # Commits follow the order of files nearly, so what is left lies in a few ranges.
    assert len([run for run in runs if run.tags.get("dagster/backfill") == second]) <= 5


def test_embedding_runs_queue_up_rather_than_share_a_device(
    tmp_path: Path, dagster_ui: Callable[[Path], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")
    monkeypatch.setenv("CODE_INDEX_EMBEDDING_BATCH_CHUNKS", "1")
    root = tmp_path / "repository"
    root.mkdir()
    for number in range(5):
        (root / f"module_{number}.py").write_text(f"def function_{number}():\n    return {number}\n", encoding="utf-8")
    with Pipeline(resolve_index_folder(root)) as pipeline:
        assert [result.error for result in (pipeline.scan(), pipeline.parse())] == [None, None]
        keys = list(pipeline.instance.get_dynamic_partitions("embedding_batch"))
    assert len(keys) == 5
    ui = dagster_ui(root)

    apart = _launch(ui, keys[::2], "chunk_vectors")
    ui.wait_for(lambda: _status(ui, apart) == "COMPLETED_SUCCESS", "three runs embed a batch each")
    records = ui.ask(lambda instance: instance.get_run_records(dg.RunsFilter(tags={"dagster/backfill": apart})))
    spans = sorted((record.start_time, record.end_time) for record in records)
    assert len(spans) == 3
    for (_, ended), (started, _) in pairwise(spans):
        assert started >= ended, f"one run started while another had the device: {spans}"
