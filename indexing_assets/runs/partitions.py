"""The two dynamic partitions definitions; keys are made in `code_index.core.partition_keys`.

A run takes a range of keys in the order in which they were added; there is no tag for a list of
keys (docs/decisions/0002-one-run-for-keys-that-lie-apart.md).
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

import dagster as dg

from indexing_assets.runs.index_names import IndexNames
from resources.dagster_internals import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
)


@contextmanager
def accepting_beta_parameters() -> Iterator[None]:
    """Define assets with `backfill_policy`, without which each partition is a run; Dagster still calls it beta."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Parameter `backfill_policy`", category=dg.BetaWarning)
        yield


def partitions_definition(names: IndexNames, asset: str) -> dg.DynamicPartitionsDefinition:
    """Partitions of `parsed_chunks`, one per file version, or of `chunk_vectors` and `library_vectors`, one per embedding batch."""
    return dg.DynamicPartitionsDefinition(name=names.partitions(asset))


def delete_partitions(instance: dg.DagsterInstance, definition: str, keys: Sequence[str]) -> None:
    """Delete dynamic partition keys: at once where the event log can, else one by one.

    Args:
        instance: that has the keys.
        definition: name of the partitions definition.
        keys: partition keys; those that are gone already do no harm.
    """
    at_once = getattr(instance.event_log_storage, "delete_dynamic_partitions", None)
    if at_once is not None:
        at_once(definition, keys)
        return
    for key in keys:
        instance.delete_dynamic_partition(definition, key)


def as_one_range(instance: dg.DagsterInstance, definition: str, wanted: Sequence[str]) -> list[str]:
    """Order the wanted keys so that they are neighbours, which makes them one run.

    Keys that lie apart are added again, at the end; their events stay theirs. No run over these
    keys may be queued or under way: its range would change.

    Returns:
        the wanted keys in the order in which they are now.
    """
    if not wanted:
        return []
    existing = list(instance.get_dynamic_partitions(definition))
    chosen = set(wanted)
    positions = [position for position, key in enumerate(existing) if key in chosen]
    if len(positions) == len(chosen) and positions[-1] - positions[0] + 1 == len(positions):
        return existing[positions[0] : positions[-1] + 1]
    ordered = list(dict.fromkeys(wanted))
    at_once = getattr(instance.event_log_storage, "move_dynamic_partitions_to_end", None)
    if at_once is not None:
        at_once(definition, ordered)
    else:
        delete_partitions(instance, definition, [existing[position] for position in positions])
        instance.add_dynamic_partitions(definition, ordered)
    return ordered


def as_ranges(
    instance: dg.DagsterInstance, definition: str, wanted: Sequence[str], *, fixed: Collection[str]
) -> list[list[str]]:
    """The wanted keys in as few ranges as can be without moving the `fixed` ones, each range in its present order.

    Fixed are keys of runs that are queued or under way: moved, such a run would be one over other keys.
    """
    ranges = []
    if free := [key for key in wanted if key not in fixed]:
        ranges.append(as_one_range(instance, definition, free))
    kept = set(wanted).intersection(fixed)
    range_: list[str] = []
    for key in instance.get_dynamic_partitions(definition) if kept else ():
        if key in kept:
            range_.append(key)
        elif range_:
            ranges.append(range_)
            range_ = []
    return [*ranges, range_] if range_ else ranges


def range_tags(keys: Sequence[str]) -> dict[str, str]:
    """Tags of a run over neighbouring keys."""
    return {ASSET_PARTITION_RANGE_START_TAG: keys[0], ASSET_PARTITION_RANGE_END_TAG: keys[-1]}


def keys_of_run(tags: Mapping[str, str], existing: Sequence[str]) -> list[str]:
    """Partition keys that a run with these tags is for, of all `existing` ones in their order."""
    first, last = tags.get(ASSET_PARTITION_RANGE_START_TAG), tags.get(ASSET_PARTITION_RANGE_END_TAG)
    if first is None or last is None:
        key = tags.get(PARTITION_NAME_TAG)
        return [key] if key is not None else []
    positions = {key: position for position, key in enumerate(existing) if key in {first, last}}
    if len(positions) < len({first, last}):
        return []
    return list(existing[positions[first] : positions[last] + 1])
