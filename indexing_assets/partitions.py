"""The two dynamic partitions definitions; keys are made in `core.partition_keys`."""

from __future__ import annotations

import dagster as dg

FILE_HASH = "file_hash"
EMBEDDING_BATCH = "embedding_batch"

file_partitions = dg.DynamicPartitionsDefinition(name=FILE_HASH)
batch_partitions = dg.DynamicPartitionsDefinition(name=EMBEDDING_BATCH)
