"""Rows of `references`: definitions and references by name, which phase 1 makes beside the chunks."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from code_index.tables.lance_tables import LanceTables
from code_index.tables.schemas import REFERENCES
from code_index.tables.sql import is_in
from code_index.tables.table_names import REFERENCES_TABLE

_KEYS = ("file_path", "position")


class ReferenceRows:
    """Read and write `references`; key: file_path and position."""

    def __init__(self, tables: LanceTables) -> None:
        self._tables = tables

    def read(
        self, columns: Sequence[str] | None = None, where: str | None = None, limit: int | None = None
    ) -> pa.Table:
        """Read rows, in no order; `where` is an SQL condition."""
        return self._tables.read(REFERENCES_TABLE, REFERENCES, columns=columns, where=where, limit=limit)

    def count(self, where: str | None = None) -> int:
        """Count the rows; without a condition none is read."""
        return self._tables.count(REFERENCES_TABLE, where)

    def exists(self) -> bool:
        """Tell whether a row was ever written: an index of an earlier version has no table, and one without names neither."""
        return self._tables.open(REFERENCES_TABLE) is not None

    def replace(self, file_paths: Sequence[str], rows: pa.Table, *, are_first: bool = False) -> None:
        """Make the rows of `file_paths` exactly `rows`; repeatable, but with `are_first`: these files have none yet.

        Two commits: an upsert would compare each row with all of the table, and there are twenty rows a chunk. A
        reader in between finds no references of these files.

        Raises:
            StoreError: a key twice, or columns that do not fit.
        """
        if not are_first:
            self.delete_by_file(file_paths)
        if rows.num_rows:
            self._tables.append(REFERENCES_TABLE, REFERENCES, rows, keys=_KEYS, file_paths=file_paths)

    def delete_by_file(self, file_paths: Sequence[str]) -> int:
        """Remove the rows of these files; returns how many there were."""
        return self._tables.delete(REFERENCES_TABLE, is_in("file_path", file_paths), file_paths=file_paths)
