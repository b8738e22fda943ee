"""Indexes, compaction and sizes of the tables.

Belongs here: work that makes reads fast and disk use small, and that no right answer needs.
One process does it at a time; writers go on meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from code_index.core.addresses import Bucket
from code_index.core.errors import StoreError
from code_index.tables.lance_tables import LanceTables
from code_index.tables.lancedb_import import load_lancedb
from code_index.tables.search_rows import METRIC, MOST_OUTSIDE_WORD_INDEX
from code_index.tables.table_names import CHUNKS_TABLE, FILES_TABLE, INDEX_TABLES, REFERENCES_TABLE, VECTORS_TABLE

MIN_RETENTION = timedelta(minutes=10)  # younger versions may be in use by a writer or a long read
VECTOR_INDEX_ROWS = 20_000  # below, comparing all vectors takes about 10 ms and misses nothing
# Rows outside an index are compared one by one, for each query: 1,000 texts cost 28 ms of processor time,
# 1,000 vectors 1 ms. Source: docs/performance.md, rows outside the indexes.
_ROWS_OUTSIDE_INDEX = 10_000
_TEXTS_OUTSIDE_INDEX = 500
# Share of the vectors outside of an index, if they are so many, from which on it is built again: `optimize` would join files
# for it, and leave a copy of all vectors each time. While a phase goes on, an index lacks a quarter at most.
_LAGGING = 0.125
_LAGGING_UNDER_WAY = 0.25
# Versions that nobody reads any more before a table is optimized: more in a large table, where optimizing takes
# longer, so that its share of an edit's time stays the same. The files that it replaces stay as long as a version
# does, so versions cause it once in that time at most.
_UNREAD = 8
_ROWS_PER_UNREAD = 2_000
_UNREAD_MAX = 100
# Each small file costs a query its opening. Source: `python -m benchmarks.edits`.
_SMALL_FILES = 32
_ROWS_PER_SMALL_FILE = 10_000
_SMALL_FILES_MAX = 100
# Times the bytes of the rows and indexes that are read: above, the rest is copies that compaction replaced.
_COPIES = 1.5
_MANY_COPIES = 3.0
_AFTER_COMPACTION = 2
_ROWS_PER_PARTITION = 4_096
_PARTITIONS_MAX = 1_024
_BITS_OF_BYTE = 8  # IvfRq takes vectors whose number of components is a multiple of it
# Beginning of a vector index's name: the number of partitions follows, which LanceDB does not tell. Indexes of another kind,
# as earlier versions built them, are built again.
_VECTOR_INDEX = "vector_rq"
_VECTOR_INDEX_OF_ODD = "vector_p"


class TableUpkeep:
    """Keep the tables fast and small."""

    def __init__(self, tables: LanceTables) -> None:
        self._tables = tables

    def ensure_indexes(self, *, under_way: bool = False) -> list[str]:
        """Build the indexes that are worth it and not there yet, and again those that lack many of the vectors.

        Rows written later are found without being in an index; `optimize` adds them to it. `under_way` says that
        a phase goes on to write: then an index may lack more.

        Returns:
            `table.column` of those built.
        """
        with ThreadPoolExecutor(2) as pool:  # the word index takes one processor, and so do parts of the vector index
            of_vectors = pool.submit(self._ensure_vector_index, under_way=under_way)
            built = []
            for name, column, kind in _WANTED:
                if self._tables.open(name) is None or not self._tables.count(name):
                    continue
                present = [index for index in self._indexes(name) if column in index.columns]
                if present and not (name == VECTORS_TABLE and self._lags(present, under_way=under_way)):
                    continue
                self._build(name, column, kind())
                built.append(f"{name}.{column}")
            if of_vectors.result():
                built.append(f"{VECTORS_TABLE}.vector")
        return built

    def _ensure_vector_index(self, *, under_way: bool) -> bool:
        """Build the vector index where there is none, or again where it lags or twice as many partitions are due; say if so.

        Vectors that are added later go into the existing partitions: with 13 of them, made for 55,000 vectors,
        a query compares all of 576,000. With a rebuild at each doubling, all builds together cost two of the last.
        """
        rows = 0 if self._tables.open(VECTORS_TABLE) is None else self._tables.count(VECTORS_TABLE)
        if rows <= VECTOR_INDEX_ROWS:
            return False
        indexes = [index for index in self._indexes(VECTORS_TABLE) if list(index.columns) == ["vector"]]
        present = [str(index.name) for index in indexes]
        wanted = max(1, min(_PARTITIONS_MAX, rows // _ROWS_PER_PARTITION))
        dimension = self._tables.run(VECTORS_TABLE, lambda table: table.schema.field("vector").type.list_size)
        kind = _VECTOR_INDEX_OF_ODD if dimension % _BITS_OF_BYTE else _VECTOR_INDEX
        if (
            present
            and wanted < 2 * max(_partitions_in(name, kind) for name in present)
            and not self._lags(indexes, under_way=under_way)
        ):
            return False
        name = f"{kind}{wanted}"
        self._build(VECTORS_TABLE, "vector", _vector(kind, wanted), name=name)
        for old in present:
            if old != name:
                self._tables.run(VECTORS_TABLE, partial(_drop_index, name=old))
        return True

    def _lags(self, indexes: Sequence[Any], *, under_way: bool) -> bool:
        """Tell whether indexes of one column of vectors lack so many rows that they are built again."""
        outside = min(int(index.num_unindexed_rows) for index in indexes)
        share = _LAGGING_UNDER_WAY if under_way else _LAGGING
        return outside > max(_ROWS_OUTSIDE_INDEX, share * self._tables.count(VECTORS_TABLE))

    def due_for_optimize(self, among: Collection[str] | None = None, *, under_way: bool = False) -> list[str]:
        """List the tables (of those that `among` names, or of all) that slow a query down or take needless space.

        That is: many rows outside an index (but for vectors while their phase is `under_way`: see `ensure_indexes`), many small
        files, or many versions older than `MIN_RETENTION`.
        """
        due = []
        for name in self._existing(among):
            indexes = [] if under_way and name == VECTORS_TABLE else self._indexes(name)
            stats = self._tables.run(name, lambda table: table.stats())
            outside = any(
                int(index.num_unindexed_rows)
                > (_TEXTS_OUTSIDE_INDEX if list(index.columns) == ["search_text"] else _ROWS_OUTSIDE_INDEX)
                for index in indexes
            )
            rows = int(stats["num_rows"])
            if (
                outside
                or _has_many_small_files(stats)
                or self._unread_versions_pile_up(name, min(_UNREAD_MAX, _UNREAD + rows // _ROWS_PER_UNREAD))
            ):
                due.append(name)
        return due

    def due_before_indexes(self, among: Collection[str]) -> list[str]:
        """List the tables (of those that `among` names) that have many small files and no index yet.

        With its indexes, optimizing a table of 1.5 million chunks takes three times as long, and leaves a copy of each.
        """
        return [
            name
            for name in self._existing(among)
            if not self._indexes(name) and _has_many_small_files(self._tables.run(name, lambda table: table.stats()))
        ]

    def words_are_left_out(self) -> bool:
        """Tell whether more chunks are outside of the word index than a search compares."""
        if self._tables.open(CHUNKS_TABLE) is None:
            return False
        outside = self.unindexed_rows(CHUNKS_TABLE, "search_text")
        return (self._tables.count(CHUNKS_TABLE) if outside is None else outside) > MOST_OUTSIDE_WORD_INDEX

    def holding_copies(self, among: Collection[str] | None = None) -> list[str]:
        """List the tables (of those that `among` names, or of all) that keep whole copies of themselves for no reader.

        They are named if `optimize` leaves no new copy. Each compaction leaves a copy, for readers. It joins indexed files
        and, apart from them, files that are not indexed yet: so it leaves two, joins those the next time, and finds nothing to
        join after that.
        A table with more files than two waits until `due_for_optimize` names it, unless it keeps several copies, as
        the upkeep of a long phase leaves them.
        """
        return [
            name
            for name in self._existing(among)
            if self._unread_versions_pile_up(name, 0) and self._holds_copies(name)
        ]

    def copies_on_disk(self) -> bool:
        """Tell whether `holding_copies` will name one of the index's own tables once its versions are old enough."""
        return any(self._tables.open(name) is not None and self._holds_copies(name) for name in INDEX_TABLES)

    def asset_tables(self) -> list[str]:
        """List the tables beside the index's own: those of assets that use the IO manager, whose writers hold no lock."""
        return [name for name in self._tables.names() if name not in INDEX_TABLES]

    def optimize(
        self,
        retention: timedelta = timedelta(hours=1),
        *,
        exclusive: bool = False,
        tables: Sequence[str] | None = None,
    ) -> None:
        """Compact files, bring indexes up to date, and remove versions older than `retention`, of `tables` or all.

        `exclusive` also removes data files that no version refers to (left by killed writers), which is only
        safe while no process writes. At a store that cannot be known, since a holder of the locks that was cut off may still
        write: there LanceDB removes such files once they are a week old.

        Raises:
            StoreError: `retention` is under 10 minutes, which would break readers and writers at work.
        """
        if retention < MIN_RETENTION:
            raise StoreError(f"Keep versions for {MIN_RETENTION} or more, not {retention}: they may be in use.")
        unverified = exclusive and not isinstance(self._tables.where, Bucket)
        for name in self._tables.names() if tables is None else tables:
            if self._tables.open(name) is not None:
                self._tables.run(
                    name, lambda table: table.optimize(cleanup_older_than=retention, delete_unverified=unverified)
                )

    def sweep_leftovers(self, older_than: timedelta, *, clock: Callable[[], float] = time.time) -> int:
        """Remove temporary files of killed writers that are older than that; returns how many. No writer may run."""
        swept = 0
        for path in self.leftovers(older_than, clock=clock):
            path.unlink(missing_ok=True)
            swept += 1
        return swept

    def leftovers(self, older_than: timedelta, *, clock: Callable[[], float] = time.time) -> dict[Path, int]:
        """List temporary files of writers that are older than that, and their bytes."""
        limit = clock() - older_than.total_seconds()
        found = {}
        for path in self._tables.leftovers():
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            if path.is_file() and status.st_mtime < limit:
                found[path] = status.st_size
        return found

    def old_versions(self, retention: timedelta) -> dict[str, int]:
        """Count the versions of each table that `optimize` with this retention would remove."""
        limit = datetime.now(UTC) - retention
        counts = {}
        for name in self._tables.names():
            if self._tables.open(name) is not None:
                listed = self._tables.run(name, lambda table: table.list_versions())
                counts[name] = sum(_utc(version["timestamp"]) < limit for version in listed[:-1])
        return counts

    def restore_readable(self, name: str) -> int | None:
        """Restore the newest version whose rows can all be read; returns its number, `None` for none."""
        try:
            if (handle := self._tables.open(name)) is None:
                return None
            listed = [int(version["version"]) for version in handle.list_versions()]
        except (StoreError, RuntimeError, ValueError, OSError):
            return None
        for version in sorted(listed, reverse=True):
            try:
                handle.checkout(version)
                handle.to_arrow()
                handle.restore()
            except (RuntimeError, ValueError, OSError):
                continue
            finally:
                handle.checkout_latest()
            return version
        return None

    def live_bytes(self) -> dict[str, int]:
        """Return the bytes of each table's rows and indexes in its latest version, without old versions."""
        return {
            name: int(self._tables.run(name, lambda table: table.stats())["total_bytes"])
            for name in self._tables.names()
            if self._tables.open(name) is not None
        }

    def versions(self) -> dict[str, int]:
        """Return the number of the latest commit of each table that exists."""
        return {name: self._tables.version(name) for name in self._tables.names()}

    def disk_bytes(self) -> dict[str, int]:
        """Return the bytes on disk of each table, old versions and indexes included."""
        return {name: self._tables.disk_bytes(name) for name in self._tables.names()}

    def unindexed_rows(self, name: str, column: str) -> int | None:
        """Count the rows that `optimize` would add to the column's index; `None` when there is no index."""
        for index in self._indexes(name):
            if list(index.columns) == [column]:
                return int(index.num_unindexed_rows)
        return None

    def _existing(self, among: Collection[str] | None) -> list[str]:
        # A table that is not asked for may be damaged, such as one of a user's asset.
        names = [name for name in self._tables.names() if among is None or name in among]
        return [name for name in names if self._tables.open(name) is not None]

    def _holds_copies(self, name: str) -> bool:
        stats = self._tables.run(name, lambda table: table.stats())
        files = int(stats["fragment_stats"]["num_fragments"])
        bound = _COPIES if files <= _AFTER_COMPACTION else _MANY_COPIES
        return self._tables.disk_bytes(name) > bound * int(stats["total_bytes"])

    def _unread_versions_pile_up(self, name: str, bound: int) -> bool:
        """Tell whether more versions than that are old enough to remove, and none was removed just before."""
        ages = self._tables.ages_of_versions_s(name)
        retention = MIN_RETENTION.total_seconds()
        return max(ages, default=0) > 2 * retention and sum(age > retention for age in ages) > bound

    def _build(self, table: str, column: str, config: Any, *, name: str | None = None) -> None:
        self._tables.run(table, lambda handle: handle.create_index(column, config=config, name=name))

    def _indexes(self, name: str) -> list[Any]:
        return self._tables.run(name, lambda table: list(table.list_indices()))


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)  # LanceDB gives local times without a zone


def _has_many_small_files(stats: Any) -> bool:
    small_files, rows = int(stats["fragment_stats"]["num_small_fragments"]), int(stats["num_rows"])
    return small_files > min(_SMALL_FILES_MAX, _SMALL_FILES + rows // _ROWS_PER_SMALL_FILE)


def _drop_index(table: Any, *, name: str) -> None:
    table.drop_index(name)


def _partitions_in(index: str, kind: str) -> int:
    """Partitions of a vector index, from its name; 0 where it is of another kind, or made before names told it."""
    number = index.removeprefix(kind)
    return int(number) if number != index and number.isdecimal() else 0


def _btree() -> Any:
    return load_lancedb().index.BTree()


def _bitmap() -> Any:
    # Halves the time of a filtered query on 576,000 vectors (115 to 50 ms), built in 0.1 s.
    return load_lancedb().index.Bitmap()


def _full_text() -> Any:
    return load_lancedb().index.FTS(
        base_tokenizer="simple", lower_case=True, stem=False, remove_stop_words=False, with_position=False
    )


def _vector(kind: str, partitions: int) -> Any:
    # Two bits for a component: 576,000 vectors are searched in two thirds of the time that bytes take, with a higher recall.
    # HNSW was not built in 14 minutes. Source: docs/performance.md, search at 576,000 chunks.
    index = load_lancedb().index
    if kind == _VECTOR_INDEX:
        return index.IvfRq(distance_type=METRIC, num_partitions=partitions, num_bits=2)
    return index.IvfSq(distance_type=METRIC, num_partitions=partitions)


_WANTED: tuple[tuple[str, str, Callable[[], Any]], ...] = (
    (FILES_TABLE, "file_path", _btree),
    (CHUNKS_TABLE, "chunk_id", _btree),
    (CHUNKS_TABLE, "file_path", _btree),
    (CHUNKS_TABLE, "function_name", _btree),
    (CHUNKS_TABLE, "class_name", _btree),
    (CHUNKS_TABLE, "chunk_type", _bitmap),  # a definition's lookup at 576,000 chunks: 54 ms without it, 2.3 ms with
    (CHUNKS_TABLE, "search_text", _full_text),
    (REFERENCES_TABLE, "file_path", _btree),
    (REFERENCES_TABLE, "name", _btree),
    (REFERENCES_TABLE, "kind", _bitmap),
    (VECTORS_TABLE, "chunk_id", _btree),
    (VECTORS_TABLE, "file_path", _btree),
    (VECTORS_TABLE, "language", _bitmap),
    (VECTORS_TABLE, "chunk_type", _bitmap),
    (VECTORS_TABLE, "subproject_name", _bitmap),
    (VECTORS_TABLE, "embedding_model", _bitmap),
)
