"""A library of vectors: those of one model by text, in a folder or at a store, beside all indexes.

Belongs here: the table of one place. Does not belong here: which libraries a run asks (`libraries`).

A library is a cache. What it gives is checked before it is used, and its loss costs time only. Processes append to it without
a lock and without a look at what is there: a text that is there twice does no harm, and of two vectors the newer counts.
"""

from __future__ import annotations

import stat
import threading
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from code_index.core.addresses import Bucket
from code_index.core.errors import StoreError
from code_index.core.hashing import text_hash
from code_index.core.object_stores import ObjectFiles
from code_index.core.unit_vectors import Vectors, off_unit, vector_lengths
from code_index.tables.lance_tables import LanceTables
from code_index.tables.row_checks import timestamp
from code_index.tables.sql import sql_literal
from code_index.tables.table_upkeep import MIN_RETENTION, TableUpkeep

TABLE: Final = "texts"
REFRESHED_AFTER: Final = timedelta(days=7)
"""The time of use of a text is written again when it is older than that: trimming needs no better one."""

_KEYS: Final = ("text_hash",)
_MODEL: Final = b"code_index.model"
_SCAN_ROWS: Final = 65_536
_FOR_OTHERS: Final = 0o055
_READABLE: Final = 0o044
_BESIDE_BYTES: Final = 48  # of a hash, a length, a time


class VectorLibrary:
    """Vectors of one model at one place; safe in several threads, and in several processes, each with its own object."""

    def __init__(self, place: Path | Bucket, model_id: str) -> None:
        """Set the library's place, in which each model has one of its own; nothing is opened or made."""
        self.place = place
        self.model_id = model_id
        self.folder = place / text_hash(model_id)
        self._tables = LanceTables(self.folder)
        self._lock = threading.Lock()  # a question looks at one version, which no commit of the same object may move
        self._texts: tuple[int, pa.Table] | None = None  # hash and row of each text, of one version

    @classmethod
    def stored(cls, place: Path | Bucket) -> list[VectorLibrary]:
        """The libraries of all models that have vectors at a place, by the names in their tables.

        Raises:
            StoreError: a table cannot be read.
        """
        if isinstance(place, Bucket):
            names = sorted(ObjectFiles(place).folders())
        else:
            names = sorted(path.parent.name for path in place.glob(f"*/{TABLE}.lance"))
        found = []
        for name in names:
            schema = LanceTables(place / name).schema(TABLE)
            library = cls(place, _model_of(schema))
            if schema is not None and library.folder == place / name:
                found.append(library)
        return found

    def ask(self, wanted: Mapping[str, int], *, dimension: int, now: datetime | None = None) -> dict[str, Vectors]:
        """Find vectors, each (dimension,) float32 of length 1, by text hash.

        Args:
            wanted: characters of each text, by hash: a vector that was given for another length is not used.
            dimension: components that a vector must have.
            now: where given, what was found is noted as used then, which keeps it from expiring.

        Raises:
            StoreError: the library cannot be read, or is of another model.
        """
        schema = self._tables.schema(TABLE)
        if schema is None or not wanted:
            return {}
        self._refuse_other(schema, dimension)
        with self._lock:
            rows = self._tables.run(TABLE, lambda table: self._rows_of(table, pa.array(wanted, pa.string())))
        found = usable(rows, wanted)
        if now is not None:
            old = pc.less(found.column("used_at"), timestamp(now - REFRESHED_AFTER))
            self._note_use(found.filter(old), now)
        return dict(zip(found.column("text_hash").to_pylist(), _matrix(found), strict=True))

    def give(
        self, vectors: Mapping[str, Vectors], characters: Mapping[str, int], *, now: datetime, replace: bool = False
    ) -> None:
        """Add vectors in one commit.

        Args:
            vectors: of each text, by hash; (dimension,) float32 of length 1.
            characters: of each text.
            now: the time of their use.
            replace: overwrite those that are there, which takes a look at all of them.

        Raises:
            StoreError: the library cannot be written, or is of another model.
        """
        if not vectors:
            return
        matrix = np.stack(list(vectors.values())).astype(np.float32, copy=False)
        schema = _schema(matrix.shape[1], self.model_id)
        if (stored := self._tables.schema(TABLE)) is not None:
            self._refuse_other(stored, matrix.shape[1])
        rows = pa.table(
            {
                "text_hash": list(vectors),
                "characters": pa.array([characters[key] for key in vectors], pa.int32()),
                "used_at": pa.repeat(timestamp(now), len(vectors)),
                "vector": pa.FixedSizeListArray.from_arrays(pa.array(matrix.reshape(-1)), matrix.shape[1]),
            }
        )
        with self._lock:
            if replace:
                self._tables.merge(TABLE, schema, rows, keys=_KEYS)
            else:
                self._tables.append(TABLE, schema, rows, keys=_KEYS)
        self._open_to_readers()

    def count(self) -> int:
        """Count the vectors."""
        return self._tables.count(TABLE)

    def row_bytes(self) -> int:
        """Bytes of one vector and what stands beside it."""
        schema = self._tables.schema(TABLE)
        return 0 if schema is None else _BESIDE_BYTES + 4 * schema.field("vector").type.list_size

    def times_of_use(self) -> npt.NDArray[np.int64]:
        """Read when each vector was used last, (count,) microseconds since 1970, in no order."""
        rows = self._tables.read(TABLE, _schema(1, self.model_id), columns=["used_at"])
        times: npt.NDArray[np.int64] = rows.column("used_at").cast(pa.int64()).to_numpy()
        return times

    def expire(self, *, before: datetime) -> int:
        """Remove vectors that nobody used since then; returns how many. Their bytes go with `compact`."""
        literal = sql_literal(before.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
        return self._tables.delete(TABLE, f"used_at < to_timestamp_micros({literal})")

    def compact(self) -> None:
        """Join small files and remove versions that nobody reads any more, where that is due."""
        upkeep = TableUpkeep(self._tables)
        if upkeep.due_for_optimize([TABLE]) or upkeep.holding_copies([TABLE]):
            upkeep.optimize(MIN_RETENTION, tables=[TABLE])
            self._open_to_readers()

    def _open_to_readers(self) -> None:
        """Let those read the files who may read the library's folder: commands write files for their user only."""
        if isinstance(self.place, Bucket) or isinstance(
            self.folder, Bucket
        ):  # the store's own rights are for all of it
            return
        readers = self.place.stat().st_mode & _FOR_OTHERS
        for path in (self.folder, *self.folder.rglob("*")) if readers else ():
            with suppress(FileNotFoundError, PermissionError):  # compacted meanwhile, or of another user
                mode = path.stat().st_mode
                path.chmod(mode | (readers if stat.S_ISDIR(mode) else readers & _READABLE))

    def _note_use(self, rows: pa.Table, now: datetime) -> None:
        if rows.num_rows:
            used = pa.repeat(timestamp(now), rows.num_rows)
            noted = rows.select(["text_hash", "used_at"]).set_column(1, rows.schema.field("used_at"), used)
            with self._lock:
                self._tables.update_matched(TABLE, noted, keys=_KEYS)
            self._open_to_readers()

    def _rows_of(self, table: Any, asked: pa.Array) -> pa.Table:
        """Rows of the texts, of one version: another process may move rows meanwhile."""
        version = table.version
        table.checkout(version)
        try:
            if self._texts is None or self._texts[0] != version:
                query = table.search().select(["text_hash"]).with_row_id(True)
                self._texts = version, query.to_batches(_SCAN_ROWS).read_all()
            texts = self._texts[1]
            places = texts.column("_rowid").filter(pc.is_in(texts.column("text_hash"), value_set=asked)).to_pylist()
            columns = ["text_hash", "characters", "used_at", "vector"]
            if not places:
                return table.schema.empty_table().select(columns)
            return table.take_row_ids(places).select(columns).to_arrow().select(columns)
        finally:
            table.checkout_latest()

    def _refuse_other(self, schema: pa.Schema, dimension: int) -> None:
        if (named := _model_of(schema)) != self.model_id:
            raise StoreError(f"{self.folder} holds vectors of {named or 'no model'}, not of {self.model_id}.")
        expected = _schema(dimension, self.model_id)
        for field in expected:
            if field.name not in schema.names or schema.field(field.name).type != field.type:
                raise StoreError(f"{self.folder} has no column {field.name!r} of type {field.type}.")


def _model_of(schema: pa.Schema | None) -> str:
    metadata: Mapping[bytes, bytes] = (schema.metadata if schema is not None else None) or {}
    return metadata.get(_MODEL, b"").decode(errors="replace")


def _schema(dimension: int, model_id: str) -> pa.Schema:
    return pa.schema(
        [
            pa.field("text_hash", pa.string(), nullable=False),
            pa.field("characters", pa.int32()),
            pa.field("used_at", pa.timestamp("us", tz="UTC")),
            pa.field("vector", pa.list_(pa.float32(), dimension)),
        ],
        metadata={_MODEL: model_id.encode()},
    )


def usable(rows: pa.Table, wanted: Mapping[str, int]) -> pa.Table:
    """Of each text the newest row, if its vector is a direction and was given for a text of that length."""
    if not rows.num_rows:
        return rows
    rows = rows.filter(
        pc.and_(pc.is_valid(rows.column("vector")), pc.is_in(rows.column("text_hash"), pa.array(wanted)))
    )
    rows = rows.sort_by([("used_at", "descending")]).combine_chunks()
    first: dict[str, int] = {}
    for place, key in enumerate(rows.column("text_hash").to_pylist()):
        first.setdefault(key, place)
    characters = rows.column("characters").to_pylist()
    bad = set(off_unit(vector_lengths(_matrix(rows))).tolist())
    places = [place for key, place in first.items() if characters[place] == wanted[key] and place not in bad]
    return rows.take(pa.array(places, pa.int64()))


def _matrix(rows: pa.Table) -> Vectors:
    """Vectors of rows, (rows, dimension) float32; a component that is null is NaN."""
    column = rows.column("vector").combine_chunks()
    matrix: Vectors = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, column.type.list_size)
    return matrix
