"""The two dynamic partitions definitions; keys are made in `core.partition_keys`."""

from __future__ import annotations

import warnings

import dagster as dg

# One run for many partitions needs a backfill policy; Dagster still calls the parameter beta.
warnings.filterwarnings("ignore", message="Parameter `backfill_policy`", category=dg.BetaWarning)

FILE_HASH = "file_hash"
EMBEDDING_BATCH = "embedding_batch"

file_partitions = dg.DynamicPartitionsDefinition(name=FILE_HASH)
batch_partitions = dg.DynamicPartitionsDefinition(name=EMBEDDING_BATCH)
