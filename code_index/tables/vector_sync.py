"""Keep `vectors` in step with `chunks`.

Search filters read the metadata that `vectors` copies from a chunk, so it follows every edit
without a model call. The difference is derived from the two tables each time, so that the next run
fixes a crash between their commits.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from code_index.core.lazy_imports import importing
from code_index.tables.chunks import ChunkRows
from code_index.tables.embedding_errors import ErrorRows
from code_index.tables.lance_tables import LanceTables
from code_index.tables.own_commits import OF_THIS_PROCESS
from code_index.tables.sql import is_in
from code_index.tables.table_names import CHUNKS_TABLE, VECTORS_TABLE
from code_index.tables.vectors import COPIED_COLUMNS, VectorRows

_COLUMNS = ["chunk_id", *COPIED_COLUMNS]
_GROUP = 20_000  # ids in one condition
_MANY_FILES = 5_000  # 57,600 files by condition 5.4 s, the whole table 0.5 s
_BATCH = 65_536  # rows hashed at once
_IN_STEP = "vectors follow chunks"


class VectorSync:
    """Carry changes of `chunks` over to `vectors` and `embedding_errors`."""

    def __init__(self, tables: LanceTables, chunks: ChunkRows, vectors: VectorRows, errors: ErrorRows) -> None:
        self._tables = tables
        self._chunks = chunks
        self._vectors = vectors
        self._errors = errors

    def vectors(self, file_paths: Sequence[str] | None = None, *, now: datetime) -> int:
        """Make `vectors` follow `chunks`: update copied metadata, retire vectors whose chunk is gone. Idempotent.

        With `file_paths`, only chunks and vectors of these files are compared; `None` (and more than 5,000
        files, for which it is quicker) compares the whole tables, or what this process changed since it compared them.
        Writes nothing when nothing differs.

        Returns:
            Number of vectors that were retired.
        """
        if self._tables.open(VECTORS_TABLE) is None or (file_paths is not None and not file_paths):
            return 0
        if file_paths is not None and len(file_paths) <= _MANY_FILES:
            return self._follow(is_in("file_path", file_paths), now)
        versions = self._tables.versions(CHUNKS_TABLE, VECTORS_TABLE)
        fact = (_IN_STEP, *versions)
        changed = OF_THIS_PROCESS.changed(fact, versions)
        if changed is None:
            suspects = self._suspects()
            conditions = [
                is_in("chunk_id", suspects[start : start + _GROUP]) for start in range(0, len(suspects), _GROUP)
            ]
        else:
            conditions = [is_in("file_path", changed)] if changed else []
        retired = sum(self._follow(condition, now) for condition in conditions)
        self._forget_orphaned_errors()
        OF_THIS_PROCESS.note(fact, versions)
        return retired

    def _follow(self, where: str, now: datetime) -> int:
        # Vectors first: a chunk that a writer adds in between has no vector here and is left as it is.
        copies = self._vectors.read(_COLUMNS, where)
        chunks = self._chunks.read(_COLUMNS, where)
        stale = _stale(copies, chunks)
        gone = _without_chunk(copies, chunks)
        if len(stale):
            paths = stale.column("file_path").to_pylist()
            self._tables.update_matched(VECTORS_TABLE, stale, keys=("chunk_id",), file_paths=paths)
        retired = 0
        for start in range(0, len(gone), _GROUP):
            group = gone.slice(start, _GROUP)
            paths = group.column("file_path").unique().to_pylist()
            retired += self._vectors.retire(now=now, chunk_ids=group.column("chunk_id").to_pylist(), file_paths=paths)
        return retired

    def _suspects(self) -> list[str]:
        """List the chunk_ids of vectors whose copied columns no chunk has; only those are compared in full.

        Compared by 64-bit row hashes, batch by batch: 576,000 rows need 5 MB instead of 700 MB. A stale
        row is overlooked with a probability of 3e-14 (576,000 / 2**64).
        """
        with importing:
            import polars as pl

        batches = self._vectors.iter_read(_COLUMNS, batch_size=_BATCH)
        copies = [(pl.DataFrame(batch).hash_rows(), pl.Series(batch.column("chunk_id"))) for batch in batches]
        hashes = [pl.DataFrame(batch).hash_rows() for batch in self._chunks.iter_read(_COLUMNS, batch_size=_BATCH)]
        known = (pl.concat(hashes) if hashes else pl.Series(dtype=pl.UInt64)).unique().implode()
        return [chunk_id for rows, ids in copies for chunk_id in ids.filter(~rows.is_in(known))]

    def _forget_orphaned_errors(self) -> None:
        failed = self._errors.read().column("chunk_id").unique()
        if len(failed):
            known = self._chunks.read(["chunk_id"], is_in("chunk_id", failed.to_pylist())).column("chunk_id")
            self._errors.clear(failed.filter(pc.invert(pc.is_in(failed, known))).to_pylist())


def _stale(copies: pa.Table, chunks: pa.Table) -> pa.Table:
    """Pick the rows of `chunks` (chunk_id and the copied columns) whose copy differs."""
    with importing:
        import polars as pl

    joined = pl.DataFrame(chunks).lazy().join(pl.DataFrame(copies).lazy(), on="chunk_id", suffix="_copy")
    differs = pl.any_horizontal(pl.col(name).ne_missing(pl.col(f"{name}_copy")) for name in COPIED_COLUMNS)
    stale = joined.filter(differs).select(_COLUMNS).collect()
    return stale.to_arrow().cast(chunks.schema)


def _without_chunk(copies: pa.Table, chunks: pa.Table) -> pa.Table:
    return copies.filter(pc.invert(pc.is_in(copies.column("chunk_id"), chunks.column("chunk_id"))))
