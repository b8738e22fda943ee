"""The order in which phase 1 makes the chunks of some files durable, for all that store chunks.

Belongs here: the steps and their order. Does not belong here: what the rows and the events say. A migration has
another order, because it fills tables that nobody reads yet and switches over at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

import pyarrow as pa

from code_index.core.batching import BatchAllocator
from code_index.core.partition_keys import batch_partition_key
from indexing_assets.runs.index_names import CHUNK_VECTORS
from indexing_assets.runs.open_index import OpenIndex
from indexing_assets.runs.planning import next_batch_id


class PhaseOneCommits:
    """The commits of one run, whose chunks fill embedding batches one after the other.

    The caller holds phase 1's lock.
    """

    def __init__(self, index: OpenIndex) -> None:
        self._index = index
        # Of an index without any, a file has none but those of this run: to look for them takes longer with each commit.
        self._has_references = bool(index.store.references.count())
        self._written: set[str] = set()
        self._allocator = BatchAllocator(
            first_id=next_batch_id(index), batch_chunks=index.settings.embedding_batch_chunks
        )

    def commit(
        self,
        file_paths: Sequence[str],
        chunks: pa.Table,
        references: pa.Table,
        *,
        files: pa.Table,
        record: Callable[[], None],
        now: datetime,
        with_chunks: Callable[[], None] | None = None,
    ) -> None:
        """Store files with their chunks, in an order in which a kill at any line loses or repeats nothing.

        References first, since stored chunks say that a file is done; then chunks, then what `vectors` copies of them, then
        the partition keys of full batches, then the files' states, then the events.

        Args:
            file_paths: all chunks of these files are replaced.
            chunks: the new ones; a file without any loses those that it had.
            references: the same for references.
            files: the manifest's rows of these files, with what became of them.
            record: writes the events.
            now: UTC.
            with_chunks: stores vectors that came along with the chunks; the caller holds the lock of phase 2 as well.
        """
        store = self._index.store
        are_first = not self._has_references and self._written.isdisjoint(file_paths)
        self._written.update(file_paths)
        store.references.replace(file_paths, references, are_first=are_first)
        store.chunks.replace(
            file_paths, chunks, assign_batch=self._allocator.take, now=now, is_only_writer=with_chunks is not None
        )
        store.sync.vectors(file_paths, now=now)
        if with_chunks is not None:
            with_chunks()
        add_batches(self._index, self._allocator.drain())
        store.files.upsert(files)
        record()

    def finish(self) -> None:
        """Add the partition key of the last batch, which need not be full."""
        add_batches(self._index, self._allocator.drain(final=True))


def add_batches(index: OpenIndex, batch_ids: Collection[int]) -> None:
    """Add the partition keys of embedding batches."""
    if batch_ids:
        index.instance.add_dynamic_partitions(
            index.names.partitions(CHUNK_VECTORS), [batch_partition_key(batch_id) for batch_id in batch_ids]
        )
