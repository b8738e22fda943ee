"""The two dynamic partitions definitions; keys are made in `core.partition_keys`."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import dagster as dg

# One run for many partitions needs a backfill policy; Dagster still calls the parameter beta.
warnings.filterwarnings("ignore", message="Parameter `backfill_policy`", category=dg.BetaWarning)

FILE_HASH = "file_hash"
EMBEDDING_BATCH = "embedding_batch"

file_partitions = dg.DynamicPartitionsDefinition(name=FILE_HASH)
batch_partitions = dg.DynamicPartitionsDefinition(name=EMBEDDING_BATCH)


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
