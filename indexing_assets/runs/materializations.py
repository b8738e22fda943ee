"""Materialization events that are written as work becomes durable, not when a step returns.

When an asset returns normally, Dagster writes a materialization for every partition of the run's
range. The assets here return nothing (`output_required=False`) and log their own events after
each commit, so that a run that fails or dies leaves exactly the durable partitions materialized.
See docs/decisions/0001-events-as-work-becomes-durable.md.

`DagsterEvent` is not public, but it is the only way to a batch of events in one transaction:
`context.log_event` writes them one at a time. Materializations, of which there is one for each file and asset, are handed to
the instance as the step's log would hand them over: the log writes each to every logger first, for a fifth of the whole cost.
tests/upstream holds what is relied on.
"""

import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from code_index.core.quoting import code_span
from resources.dagster_internals import (
    CODE_VERSION_TAG,
    DATA_VERSION_TAG,
    NULL_EVENT_POINTER,
    RUNLESS_JOB_NAME,
    RUNLESS_RUN_ID,
    DagsterEventBatchMetadata,
    StepMaterializationData,
    generate_event_batch_id,
    get_input_data_version_tag,
    get_input_event_pointer_tag,
)

_EVENTS_AT_ONCE = 5_000
_CELL_CHARACTERS = 80


def log_materializations(
    context: dg.AssetExecutionContext,
    metadata_by_partition: Mapping[str, Mapping[str, Any]],
    *,
    code_version: str,
    data_versions: Mapping[str, str] | None = None,
    parent: dg.AssetKey | None = None,
    asset_key: dg.AssetKey | None = None,
) -> None:
    """Write one materialization of an asset of the running step per partition key, as one batch.

    Args:
        context: of the running step.
        metadata_by_partition: partition key to the event's metadata.
        code_version: recorded so that Dagster can tell partitions made by an older version.
        data_versions: partition key to data version.
        parent: asset without partitions that these were made from; without its data version in each
            event, Dagster shows every partition as stale, for a new dependency.
        asset_key: of the asset, where the step has several.
    """
    if not metadata_by_partition:
        return
    step = context.get_step_execution_context()
    made_from = {} if parent is None else _input_version(context.instance, parent)
    made = asset_key or context.asset_key
    now, message = time.time(), f"Materialized value {' '.join(made.path)}."
    for partition_key, metadata, place in _in_one_batch(metadata_by_partition):
        tags = {CODE_VERSION_TAG: code_version, **made_from}
        if data_versions is not None:
            tags[DATA_VERSION_TAG] = data_versions[partition_key]
        materialization = dg.AssetMaterialization(
            asset_key=made, partition=partition_key, metadata=dict(metadata), tags=tags
        )
        event = dg.DagsterEvent(
            event_type_value=dg.DagsterEventType.ASSET_MATERIALIZATION.value,
            job_name=step.job_name,
            step_handle=step.step.handle,
            node_handle=step.step.node_handle,
            step_kind_value=step.step.kind.value,
            event_specific_data=StepMaterializationData(materialization),
            message=message,
            pid=os.getpid(),
        )
        context.instance.handle_new_event(
            dg.EventLogEntry(  # type: ignore[no-untyped-call]
                error_info=None,
                level=logging.DEBUG,
                user_message=message,
                run_id=step.run_id,
                timestamp=now,
                step_key=step.step.key,
                job_name=step.job_name,
                dagster_event=event,
            ),
            batch_metadata=place,
        )


def log_observations(
    context: dg.AssetExecutionContext,
    metadata_by_partition: Mapping[str, Mapping[str, Any]],
    *,
    asset_key: dg.AssetKey,
    data_version: str | None = None,
) -> None:
    """Write one observation of an asset per partition key, as one batch: what is known of it without rows.

    Args:
        context: of the running step.
        metadata_by_partition: partition key to the event's metadata.
        asset_key: of the asset.
        data_version: of what was observed, where it has one.
    """
    tags = None if data_version is None else {DATA_VERSION_TAG: data_version}
    step = context.get_step_execution_context()
    for partition_key, metadata, place in _in_one_batch(metadata_by_partition):
        dg.DagsterEvent.asset_observation(
            step,
            dg.AssetObservation(asset_key=asset_key, partition=partition_key, metadata=dict(metadata), tags=tags),
            place,
        )


def _in_one_batch(
    metadata_by_partition: Mapping[str, Mapping[str, Any]],
) -> Iterator[tuple[str, Mapping[str, Any], DagsterEventBatchMetadata]]:
    """Partition keys with their metadata, and the place of each one's event in a batch of all."""
    batch_id: str = generate_event_batch_id()  # type: ignore[no-untyped-call]
    last = len(metadata_by_partition) - 1
    for position, (partition_key, metadata) in enumerate(metadata_by_partition.items()):
        yield partition_key, metadata, DagsterEventBatchMetadata(batch_id, is_end=position == last)


def record_outside_runs(
    instance: dg.DagsterInstance,
    asset_key: dg.AssetKey,
    metadata_by_partition: Mapping[str | None, Mapping[str, Any]],
    *,
    code_version: str,
    data_versions: Mapping[str | None, str] | None = None,
    parent: dg.AssetKey | None = None,
) -> None:
    """Write materializations that no run made, such as those of rows that a migration brought.

    Args:
        instance: where to record them.
        asset_key: of the asset.
        metadata_by_partition: partition key (None: no partitions) to the event's metadata.
        code_version: as in `log_materializations`.
        data_versions: partition key to data version.
        parent: as in `log_materializations`.
    """
    made_from = {} if parent is None else _input_version(instance, parent)
    entries = []
    for partition_key, metadata in metadata_by_partition.items():
        tags = {CODE_VERSION_TAG: code_version, **made_from}
        if data_versions is not None:
            tags[DATA_VERSION_TAG] = data_versions[partition_key]
        materialization = dg.AssetMaterialization(
            asset_key=asset_key, partition=partition_key, metadata=dict(metadata), tags=tags
        )
        event = dg.DagsterEvent(
            event_type_value=dg.DagsterEventType.ASSET_MATERIALIZATION.value,
            event_specific_data=StepMaterializationData(materialization),
            job_name=RUNLESS_JOB_NAME,
        )
        entries.append(
            dg.EventLogEntry(  # type: ignore[no-untyped-call]
                error_info=None,
                level=logging.INFO,
                user_message="",
                run_id=RUNLESS_RUN_ID,
                timestamp=time.time(),
                job_name=RUNLESS_JOB_NAME,
                dagster_event=event,
            )
        )
    for start in range(0, len(entries), _EVENTS_AT_ONCE):
        instance.event_log_storage.store_event_batch(entries[start : start + _EVENTS_AT_ONCE])


def _input_version(instance: dg.DagsterInstance, parent: dg.AssetKey) -> dict[str, str]:
    event = instance.get_latest_materialization_event(parent)
    tags = event.asset_materialization.tags if event is not None and event.asset_materialization is not None else {}
    version = (tags or {}).get(DATA_VERSION_TAG)
    if version is None:
        return {}
    return {get_input_data_version_tag(parent): version, get_input_event_pointer_tag(parent): NULL_EVENT_POINTER}


def markdown_table(rows: Sequence[Mapping[str, Any]]) -> dg.MarkdownMetadataValue:
    """Rows as a Markdown table, texts in it as code; columns are the keys of the first row."""
    if not rows:
        return dg.MetadataValue.md("(no rows)")
    columns = list(rows[0])
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    lines += ["| " + " | ".join(_cell(row[column]) for column in columns) + " |" for row in rows]
    return dg.MetadataValue.md("\n".join(lines))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, int | float) else code_span(str(value), longest=_CELL_CHARACTERS)
