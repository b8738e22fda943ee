"""Queries of a search: the nearest vectors, the chunks that hold the words, and the contents of hits.

Does not belong here: fusing and ranking (`code_index.search.ranking`).

Decisions: words go to LanceDB as a `MatchQuery`, which has no operators, so any input is safe.
The text index has neither stems nor stop words nor positions: identifiers are not English.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from code_index.core.errors import StoreError, UsageError
from code_index.core.model import FileStatus
from code_index.tables.chunk_locations import (
    COLUMNS,
    ChunkLocations,
    VectorLocations,
    encoded,
    locate_chunks,
    locate_vectors,
)
from code_index.tables.filters import names_paths
from code_index.tables.lance_tables import LanceTables, projected
from code_index.tables.lancedb_import import load_lancedb
from code_index.tables.read_handles import ReadHandle, ReadHandles
from code_index.tables.row_checks import conform
from code_index.tables.schemas import CHUNKS, FILES
from code_index.tables.schemas import vectors as vectors_schema
from code_index.tables.sql import all_of, equals, is_in
from code_index.tables.table_names import CHUNKS_TABLE, FILES_TABLE, VECTORS_TABLE

METRIC = "cosine"  # of the index and of every query: an index of another metric is not used
SCORE = "score"
_COLUMNS = ("chunk_id", "file_path", "start_line", "end_line", "language", "chunk_type")
_MODEL = "embedding_model"
_FEW_ROWS = 10_000  # picking and comparing that many vectors takes 40 ms, as much as asking the index
# Candidates whose exact score is computed from their vectors. Source: docs/performance.md, recall@10.
_RESCORED = 100
# Partitions that are compared: of the 140 that 576,000 vectors have. Source: the same.
_PROBES = 50
_PROBES_OF_FILTERED = 70  # rows that meet a condition lie farther apart
# More definitions of one name than anybody looks at; `get` may have thousands.
_MOST_DEFINITIONS = 50
_ROW_ID = "_rowid"
# Best rows of which those that meet a condition are kept, before the condition is evaluated for every row of the table.
# Source: docs/performance.md, search at 576,000 chunks.
_LOOKED_AT = 1_000
MOST_OUTSIDE_WORD_INDEX = 2_000
"""Chunks outside of the word index that a search by words compares with it, one by one; where there are more, it leaves all of
them out: 1,000 cost each query 28 ms of processor time. Source: docs/performance.md, search at 576,000 chunks."""


@dataclass(frozen=True, slots=True)
class ByWords:
    """The rows that a search by words found, and the number of chunks that it left out, not being in the word index yet."""

    rows: pa.Table
    left_out: int


@dataclass(frozen=True, slots=True)
class Searchable:
    """Number of chunks and of vectors (of all models), and the vectors' dimension; `None` without a table."""

    chunks: int
    vectors: int
    dimension: int | None


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file as the last scan recorded it: hash (empty where it is skipped), size, mtime, language, declared encoding."""

    file_hash: str
    size_bytes: int
    mtime_ns: int
    language: str
    working_tree_encoding: str | None


_RECORD = ("file_path", *FileRecord.__dataclass_fields__)


class SearchRows:
    """Find chunks by vector and by words."""

    def __init__(self, tables: LanceTables, handles: ReadHandles) -> None:
        self._tables = tables
        self.handles = handles

    def refuse_other_model(self, model_id: str) -> None:
        """Refuse a model whose vectors are not in use.

        Raises:
            UsageError: with what to do instead.
        """
        if not self._tables.reads_model(model_id):
            raise UsageError(
                f"The vectors in use are of {self._tables.model()}; those of {model_id} cannot be compared with them. "
                "Search with the model in use (`serving_embedder`), or embed all chunks with the other one: "
                "`code-index index`."
            )

    def near(
        self,
        vector: np.ndarray,
        *,
        model: str,
        limit: int,
        where: str | None = None,
        exact: bool = False,
        columns: Sequence[str] = _COLUMNS,
    ) -> pa.Table:
        """Find the `limit` chunks with the nearest vectors of `model`: `columns` and `score` (cosine, 1 is equal), best first.

        All results meet `where`, and it never shortens the list: when too few of the nearest 1,000 meet it, all rows that do
        are compared one by one if they are few; otherwise the index is asked for more until enough do. `exact` leaves the
        index out.

        Raises:
            StoreError: the vector has another dimension than the table.
            UsageError: the vectors in use are of another model.
        """
        self.refuse_other_model(model)
        query_vector = np.asarray(vector, dtype=np.float32).reshape(-1)
        empty = _scored(projected(vectors_schema(1), columns).empty_table(), pa.array([], pa.float32()))

        async def nearest(handle: ReadHandle) -> pa.Table:
            if query_vector.size != (dimension := _dimension(handle)):
                raise StoreError(
                    f"The query has {query_vector.size} dimensions, table 'vectors' in {self._tables.where} "
                    f"{dimension}: search with the model that the index was made with."
                )
            # A condition that every row meets would still be evaluated for every row.
            condition = where if await handle.holds_only(model) else all_of(where, equals(_MODEL, model))
            if (
                condition is None
                and not exact
                and (locations := await self._vector_locations(handle, columns)) is not None
            ):
                found = await _near(handle, query_vector, (), limit=limit, where=None, exact=False)
                if (known := _positions_of_vectors(*locations, found)) is not None:
                    return locations[1].rows(known, columns).append_column(SCORE, found.column(SCORE))
            return await _near(handle, query_vector, columns, limit=limit, where=condition, exact=exact)

        found = self.handles.run(self.handles.ask(VECTORS_TABLE, nearest)) if limit > 0 else None
        return empty if found is None else found

    def start_words(
        self, query: str, *, limit: int, where: str | None = None, columns: Sequence[str] = _COLUMNS
    ) -> Future[ByWords]:
        """Begin to find the chunks whose search_text fits the words best, while the caller does something else.

        The result has `limit` rows at most: `columns` and `score` (BM25), best first. `query` is words, split the way
        search_text is; quotes and operators mean nothing. Rows that are not indexed yet, as are all before there is an
        index, are found as long as they are no more than `MOST_OUTSIDE_WORD_INDEX`.
        """
        empty = _scored(projected(CHUNKS, columns).empty_table(), pa.array([], pa.float32()))

        async def holding(handle: ReadHandle) -> ByWords:
            words = load_lancedb().query.MatchQuery(query.lower(), "search_text")
            outside = await handle.rows_outside_index("search_text")
            left_out = outside if outside > MOST_OUTSIDE_WORD_INDEX else 0

            def asked(*selected: str) -> Any:
                query = handle.table.query().nearest_to_text(words).select([*selected, "_score"])
                return query.fast_search() if left_out else query

            if (locations := _chunk_locations(handle, columns)) is not None:
                found = await _with_words(lambda: asked().with_row_id(), where, limit)
                if (known := locations.positions_of_rows(_row_ids(found))) is not None:
                    return ByWords(_scored(locations.rows(known, columns), found.column("_score")), left_out)
            found = await _with_words(lambda: asked(*columns), where, limit)
            return ByWords(_scored(found.select(list(columns)), found.column("_score")), left_out)

        async def search() -> ByWords:
            found = await self.handles.ask(CHUNKS_TABLE, holding) if limit > 0 and query.strip() else None
            return ByWords(empty, 0) if found is None else found

        return self.handles.start(search())

    def start_definitions(
        self, name: str, *, where: str | None = None, columns: Sequence[str] = _COLUMNS
    ) -> Future[pa.Table]:
        """Begin to find the chunks that define a function, method or class of exactly this name: `columns`, 50 at most."""
        empty = projected(CHUNKS, columns).empty_table()
        # A method has its class's name as well.
        defines = (
            f"({equals('function_name', name)} OR ({equals('class_name', name)} AND {equals('chunk_type', 'class')}))"
        )

        async def defining(handle: ReadHandle) -> pa.Table:
            asked = handle.table.query().where(all_of(defines, where)).limit(_MOST_DEFINITIONS)
            if (locations := _chunk_locations(handle, columns)) is not None:
                found = await asked.select([]).with_row_id().to_arrow()
                if (known := locations.positions_of_rows(_row_ids(found))) is not None:
                    return locations.rows(known, columns)
            return (await asked.select(list(columns)).to_arrow()).select(list(columns))

        async def search() -> pa.Table:
            found = await self.handles.ask(CHUNKS_TABLE, defining)
            return empty if found is None else found

        return self.handles.start(search())

    def start_opening(self) -> Future[None]:
        """Begin to import LanceDB and open what a search reads; a failure shows in the search itself."""

        async def opening() -> None:
            tables = map(self.handles.current, (CHUNKS_TABLE, VECTORS_TABLE, FILES_TABLE))
            # To the end of all of them, whichever fails: a process that ends while LanceDB is imported crashes.
            for opened in await asyncio.gather(*tables, return_exceptions=True):
                if isinstance(opened, BaseException):
                    raise opened

        return self.handles.start(opening())

    def available(self) -> Searchable:
        """Count what can be searched, in the newest versions of the tables."""

        async def count() -> Searchable:
            handles = await asyncio.gather(self.handles.current(CHUNKS_TABLE), self.handles.current(VECTORS_TABLE))
            chunks, vectors = handles
            return Searchable(
                chunks=0 if chunks is None else chunks.rows,
                vectors=0 if vectors is None else vectors.rows,
                dimension=None if vectors is None else _dimension(vectors),
            )

        return self.handles.run(count())

    def holds_language(self, language: str) -> bool:
        """Tell whether a chunk is of that language, spelled exactly so."""

        async def one(handle: ReadHandle) -> bool:
            asked = handle.table.query().where(equals("language", language)).select(["chunk_id"]).limit(1)
            return bool((await asked.to_arrow()).num_rows)

        return bool(self.handles.run(self.handles.ask(CHUNKS_TABLE, one)))

    def details(
        self, chunk_ids: Sequence[str], file_paths: Sequence[str], columns: Sequence[str]
    ) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
        """Read `columns` of the chunks by id, and the hash of each file's current version by path."""

        async def contents(handle: ReadHandle) -> pa.Table:
            if (locations := _chunk_locations(handle, ())) is not None:
                known = locations.positions_of_ids(encoded(chunk_ids))
                if known is not None and (found := await _picked(handle, locations, known, columns)) is not None:
                    return found
            return await _rows(handle, CHUNKS, columns, is_in("chunk_id", chunk_ids), CHUNKS_TABLE)

        async def both() -> tuple[pa.Table | None, Mapping[str, FileRecord]]:
            rows, current = await asyncio.gather(self.handles.ask(CHUNKS_TABLE, contents), self._records(file_paths))
            return rows, current

        chunks, files = self.handles.run(both())
        hashes = {path: files[path].file_hash for path in file_paths if path in files}
        return {} if chunks is None else {row["chunk_id"]: row for row in chunks.to_pylist()}, hashes

    def vector_of(self, chunk_id: str) -> tuple[npt.NDArray[np.float32], str] | None:
        """Read the vector in use of a chunk, (dim,) float32, and its model; `None` where there is none yet."""

        async def vector(handle: ReadHandle) -> pa.Table:
            # By row id: the condition would be asked of every row with its vector.
            asked = handle.table.query().where(equals("chunk_id", chunk_id)).select([]).with_row_id().limit(1)
            row_ids = (await asked.to_arrow()).column(_ROW_ID).to_pylist()
            return await handle.table.take_row_ids(row_ids).select(["chunk_id", "vector", _MODEL]).to_arrow()

        found = self.handles.run(self.handles.ask(VECTORS_TABLE, vector))
        if found is None or found.column("chunk_id").to_pylist() != [chunk_id]:
            return None
        model = found.column(_MODEL)[0].as_py()
        values = np.asarray(found.column("vector").combine_chunks().flatten(), dtype=np.float32)
        return (values, model) if self._tables.reads_model(model) else None

    def chunks_of(self, file_path: str, columns: Sequence[str]) -> pa.Table:
        """Read `columns` of the chunks of a file, in no order."""

        async def chunks(handle: ReadHandle) -> pa.Table:
            return await _rows(handle, CHUNKS, columns, equals("file_path", file_path), CHUNKS_TABLE)

        found = self.handles.run(self.handles.ask(CHUNKS_TABLE, chunks))
        return projected(CHUNKS, columns).empty_table() if found is None else found

    def file_records(self, file_paths: Sequence[str]) -> dict[str, FileRecord]:
        """Read the records of these files, by path."""
        records = self.handles.run(self._records(file_paths))
        return {path: records[path] for path in file_paths if path in records}

    def all_file_records(self) -> Mapping[str, FileRecord]:
        """Read the records of all files, by path; 20 ms for 10,000."""
        return self.handles.run(self._records(None))

    def waiting_files(self) -> list[str]:
        """Read the paths of files that a scan saw and that are not parsed yet."""

        async def waiting(handle: ReadHandle) -> pa.Table:
            return await _rows(handle, FILES, ["file_path"], equals("status", FileStatus.PENDING.value), FILES_TABLE)

        found = self.handles.run(self.handles.ask(FILES_TABLE, waiting))
        return [] if found is None else [str(path) for path in found.column("file_path").to_pylist()]

    async def _records(self, file_paths: Sequence[str] | None) -> Mapping[str, FileRecord]:
        """Records by path: of all files, where those are loaded or no paths are named."""

        async def records(handle: ReadHandle) -> Mapping[str, FileRecord]:
            if (loaded := handle.kept(_load_records)) is not None:
                return loaded
            where = "true" if file_paths is None else is_in("file_path", file_paths)
            return _by_path(await _rows(handle, FILES, _RECORD, where, FILES_TABLE))

        return await self.handles.ask(FILES_TABLE, records) or {}

    def without_vector(self, chunk_ids: Sequence[str], model: str) -> set[str]:
        """Pick the chunks that the model has not embedded yet; quick where all chunks have a vector."""

        async def missing() -> set[str]:
            handles = await asyncio.gather(self.handles.current(CHUNKS_TABLE), self.handles.current(VECTORS_TABLE))
            chunks, vectors = handles
            # With as many vectors as chunks, none can lack one, and reading their ids costs as much as a search.
            if chunks is None or (vectors is not None and vectors.rows >= chunks.rows and await self._all_of(model)):
                return set()
            found = await self.handles.ask(VECTORS_TABLE, embedded)
            return set(chunk_ids) - (set() if found is None else set(found.column("chunk_id").to_pylist()))

        async def embedded(handle: ReadHandle) -> pa.Table:
            where = all_of(is_in("chunk_id", chunk_ids), equals(_MODEL, model)) or "false"
            return await handle.table.query().where(where).select(["chunk_id"]).to_arrow()

        return self.handles.run(missing()) if chunk_ids else set()

    async def _vector_locations(
        self, vectors: ReadHandle, columns: Sequence[str]
    ) -> tuple[VectorLocations, ChunkLocations] | None:
        """Locations of all vectors and chunks, where they are loaded and hold the columns."""
        chunks = await self.handles.current(CHUNKS_TABLE)
        if chunks is None or (of_chunks := _chunk_locations(chunks, columns)) is None:
            return None
        of_vectors = vectors.kept(_load_vectors)
        return None if of_vectors is None else (of_vectors, of_chunks)

    async def _all_of(self, model: str) -> bool:
        return await self.handles.ask(VECTORS_TABLE, lambda handle: handle.holds_only(model)) is not False


def _dimension(vectors: ReadHandle) -> int:
    return int(vectors.schema.field("vector").type.list_size)


def _chunk_locations(chunks: ReadHandle, columns: Sequence[str]) -> ChunkLocations | None:
    """Locations of all chunks, where they are loaded and hold the columns."""
    return chunks.kept(_load_chunks) if {*columns} <= {"chunk_id", *COLUMNS} else None


def _positions_of_vectors(
    vectors: VectorLocations, chunks: ChunkLocations, found: pa.Table
) -> npt.NDArray[np.intp] | None:
    """Positions of the chunks of found vectors; `None` when one has no chunk in that version."""
    ids = vectors.chunk_ids(_row_ids(found))
    return None if ids is None else chunks.positions_of_ids(ids)


def _row_ids(found: pa.Table) -> npt.NDArray[np.uint64]:
    ids: npt.NDArray[np.uint64] = found.column(_ROW_ID).to_numpy()
    return ids


async def _load_chunks(table: Any) -> ChunkLocations:
    return await asyncio.to_thread(locate_chunks, await _batches(table, ["chunk_id", *COLUMNS]))


async def _load_vectors(table: Any) -> VectorLocations:
    return await asyncio.to_thread(locate_vectors, await _batches(table, ["chunk_id"]))


async def _batches(table: Any, columns: Sequence[str]) -> list[pa.RecordBatch]:
    batches = await table.query().select(list(columns)).with_row_id().to_batches()
    return [batch async for batch in batches] or [pa.RecordBatch.from_pylist([], batches.schema)]


async def _load_records(table: Any) -> dict[str, FileRecord]:
    present = [name for name in _RECORD if name in (await table.schema()).names]
    found = (await table.query().select(present).to_arrow()).select(present)
    return await asyncio.to_thread(_by_path, conform(found, projected(FILES, _RECORD), table=FILES_TABLE))


def _by_path(files: pa.Table) -> dict[str, FileRecord]:
    paths, *columns = (files.column(name).to_pylist() for name in _RECORD)
    return {path: FileRecord(*values) for path, *values in zip(paths, *columns, strict=True)}


async def _picked(
    handle: ReadHandle, locations: ChunkLocations, known: npt.NDArray[np.intp], columns: Sequence[str]
) -> pa.Table | None:
    """Read `columns` of chunks at known positions; only those that are not in memory."""
    read = [name for name in columns if name != "chunk_id" and name not in COLUMNS]
    row_ids = locations.row_ids(known)
    found = await handle.table.take_row_ids(row_ids).select(read).with_row_id().to_arrow()
    order = pc.index_in(pa.array(row_ids, pa.uint64()), found.column(_ROW_ID).combine_chunks())
    if order.null_count:
        return None
    rest = locations.rows(known, [name for name in columns if name not in read])
    for name in read:
        rest = rest.append_column(name, found.column(name).take(order))
    return rest


async def _rows(handle: ReadHandle, schema: pa.Schema, columns: Sequence[str], where: str, table: str) -> pa.Table:
    """Read rows that meet `where`, with the types of `schema`; a column that an older table lacks is null."""
    wanted = projected(schema, columns)
    present = [column for column in columns if column in handle.schema.names]
    found = await handle.table.query().where(where).select(present).to_arrow()
    return conform(found.select(present), wanted, table=table)


async def _near(
    handle: ReadHandle, vector: np.ndarray, columns: Sequence[str], *, limit: int, where: str | None, exact: bool
) -> pa.Table:
    """Find `columns` (row ids, when there are none) and score of the nearest rows that meet `where`, best first."""
    if not exact and where is not None and await handle.has_vector_index():
        rows = None if names_paths(where) else await _fitting_nearest(handle, vector, columns, where, limit)
        if rows is None:
            rows = await _fitting(handle, where, columns)
        if rows is not None:
            return _nearest(rows, vector, limit).select([*columns, SCORE])
    query = _to_vectors(handle, vector).limit(limit).select([*columns, "_distance"])
    if not columns:
        query = query.with_row_id()
    if where is not None:
        query = query.where(where).maximum_nprobes(0)  # 0: as many partitions as it takes
    query = query.bypass_vector_index() if exact else query.refine_factor(_refine_factor(limit))
    if where is None and not exact:
        query = query.nprobes(_PROBES)
    found = await query.to_arrow()
    kept = found.select(list(columns) or [_ROW_ID])
    return _scored(kept, pc.subtract(pa.scalar(1, pa.float32()), found.column("_distance")))


def _to_vectors(handle: ReadHandle, vector: np.ndarray) -> Any:
    return handle.table.query().nearest_to(vector).column("vector").distance_type(METRIC)


async def _with_words(asked: Callable[[], Any], where: str | None, limit: int) -> pa.Table:
    """The best `limit` rows of a query by words that meet `where`; `asked` makes the query, which a condition changes."""
    if where is None:
        return await asked().limit(limit).to_arrow()
    if not names_paths(where):
        found = await asked().limit(_LOOKED_AT).where(where).postfilter().to_arrow()
        if found.num_rows >= limit:
            return found.slice(0, limit)
    return await asked().limit(limit).where(where).to_arrow()


async def _fitting_nearest(
    handle: ReadHandle, vector: np.ndarray, columns: Sequence[str], where: str, limit: int
) -> pa.Table | None:
    """Read `columns`, row id and vector of the nearest rows that meet `where`; `None` when too few of the nearest do."""
    nearest = _to_vectors(handle, vector).nprobes(_PROBES_OF_FILTERED).limit(_LOOKED_AT).where(where).postfilter()
    found = await nearest.select(["_distance"]).with_row_id().to_arrow()
    if found.num_rows < limit:
        return None
    best = found.column(_ROW_ID).to_pylist()[: max(limit, _RESCORED)]
    picked = await handle.table.take_row_ids(best).select([*columns, "vector"]).with_row_id().to_arrow()
    # Row ids hold for one version, from which another search may have moved the table on.
    return picked if await handle.table.version() == handle.version else None


async def _fitting(handle: ReadHandle, condition: str, columns: Sequence[str]) -> pa.Table | None:
    """Read `columns`, chunk_id and vector of the rows that meet the condition; `None` when they are many or moved.

    Rows are picked by row id: with a condition that no scalar index answers, LanceDB would read every vector of
    the table (0.8 s instead of 0.1 s on 576,000). Row ids hold for one version, so the picked rows are
    compared with the wanted ones; a compaction in between leaves the query to the index.
    """
    wanted = list(dict.fromkeys([*columns, "chunk_id", "vector"]))
    asked = handle.table.query().where(condition).select(["chunk_id"]).with_row_id().limit(_FEW_ROWS + 1)
    rows = await asked.to_arrow()
    if rows.num_rows > _FEW_ROWS:
        return None
    if not rows.num_rows:
        return projected(handle.schema, wanted).empty_table()
    picked = await handle.table.take_row_ids(rows.column("_rowid").to_pylist()).select(wanted).to_arrow()
    meant = set(rows.column("chunk_id").to_pylist())
    return picked if set(picked.column("chunk_id").to_pylist()) == meant else None


def _nearest(rows: pa.Table, query_vector: np.ndarray, limit: int) -> pa.Table:
    """Pick the rows with the highest cosine, best first, with `score`."""
    values = np.asarray(rows.column("vector").combine_chunks().flatten()).reshape(-1, query_vector.size)
    lengths = np.linalg.norm(values, axis=1) * np.linalg.norm(query_vector)
    scores = (values @ query_vector) / np.maximum(lengths, np.finfo(np.float32).tiny)
    best = np.argsort(-scores, kind="stable")[:limit]
    return rows.take(pa.array(best)).append_column(SCORE, pa.array(scores[best], pa.float32()))


def _refine_factor(limit: int) -> int:
    return max(1, -(-_RESCORED // limit))


def _scored(rows: pa.Table, scores: pa.Array) -> pa.Table:
    scored = rows.append_column(pa.field(SCORE, pa.float32()), scores)
    return scored.sort_by([(SCORE, "descending")]) if scored.num_rows else scored
