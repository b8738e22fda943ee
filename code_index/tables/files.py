"""Rows of `files`: the manifest of the repository."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from code_index.core.model import FileStatus
from code_index.tables.lance_tables import LanceTables
from code_index.tables.schemas import FILES
from code_index.tables.sql import all_of, equals, is_in
from code_index.tables.table_names import FILES_TABLE

_KEYS = ("file_path",)


def masked_rows(masked: Mapping[str, int]) -> list[dict[str, str | int]] | None:
    """Value of `masked_keys` for counts by kind."""
    return [{"kind": kind, "count": count} for kind, count in masked.items()] or None


class FileRows:
    """Read and write `files`; key: file_path."""

    def __init__(self, tables: LanceTables) -> None:
        self._tables = tables

    def read(self, columns: Sequence[str] | None = None, where: str | None = None) -> pa.Table:
        """Read rows of the manifest, in no order; `where` is an SQL condition (see `sql`)."""
        return self._tables.read(FILES_TABLE, FILES, columns=columns, where=where)

    def upsert(self, rows: pa.Table) -> None:
        """Insert or overwrite files by path, whole rows, in one commit.

        Raises:
            StoreError: a path twice in `rows`, or columns that do not fit.
        """
        paths = rows.column("file_path").to_pylist()
        self._tables.merge(FILES_TABLE, FILES, rows, keys=_KEYS, file_paths=paths)

    def delete(self, file_paths: Sequence[str]) -> int:
        """Remove files from the manifest; returns how many were there."""
        return self._tables.delete(FILES_TABLE, is_in("file_path", file_paths), file_paths=file_paths)

    def counts(self) -> dict[str, int]:
        """Count the files per status that occurs."""
        status = self.read(columns=["status"]).column("status")
        return {str(entry["values"]): int(entry["counts"]) for entry in status.value_counts().to_pylist()}

    def masked_keys(self) -> dict[str, dict[str, int]]:
        """Keys that are masked in what is stored, by path and by kind; files without any are left out."""
        # No condition: a table from before there was the column has none to compare.
        rows = self.read(columns=["file_path", "masked_keys"])
        rows = rows.filter(pc.is_valid(rows.column("masked_keys"))).sort_by("file_path")
        return {
            row["file_path"]: {count["kind"]: count["count"] for count in row["masked_keys"]}
            for row in rows.to_pylist()
        }

    def without_references(self) -> int:
        """Count the files that were parsed before names were kept."""
        if (stored := self._tables.schema(FILES_TABLE)) is None:
            return 0
        unknown = "reference_count IS NULL" if "reference_count" in stored.names else None
        return self._tables.count(FILES_TABLE, all_of(equals("status", FileStatus.PARSED.value), unknown))

    def guessed_encodings(self) -> dict[str, int]:
        """Count the files whose encoding was guessed, by that encoding, most first."""
        # No condition: a table from before there was the column has none to compare.
        rows = self.read(columns=["encoding", "encoding_guessed"])
        found = rows.filter(pc.fill_null(rows.column("encoding_guessed"), False)).column("encoding").to_pylist()
        return dict(Counter(str(name) for name in found).most_common())
