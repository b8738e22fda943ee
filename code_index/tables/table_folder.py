"""The place where the tables of one index or library lie: a folder of this machine, or a prefix in a bucket of a store.

Belongs here: what is asked about tables, and about the records beside them, without LanceDB, and how LanceDB is led there. Does
not belong here: rows (`lance_tables`), and how either place answers (`folder_on_disk`, `folder_at_store`).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from code_index.core.addresses import Bucket
from code_index.tables.folder_at_store import FolderAtStore
from code_index.tables.folder_on_disk import FolderOnDisk


class TableFolder(Protocol):
    """The needs of tables at the place where they lie; names of tables are those in the folder.

    Records are small texts beside the tables, such as which models there are.
    """

    def record(self, name: str, *, recent: bool = False) -> bytes | None:
        """Read a record; None where there is none. `recent`: what others wrote within `STALE_S` may be missing."""

    def stamp(self, name: str) -> Hashable:
        """Return what changes with a record, at once in this process and within `STALE_S` in others; None for no record."""

    def write_record(self, name: str, content: str) -> None:
        """Write a record whole, whatever there is."""

    def replace_record(self, name: str, content: str, *, instead_of: bytes | None) -> None:
        """Write a record whole in the place of the one that was read (None: of none).

        Raises:
            StoreError: another machine wrote it meanwhile.
        """

    def connect(self) -> Any:
        """Connect LanceDB, whose handles look for a newer version at each call."""

    async def connect_reader(self) -> Any:
        """Connect LanceDB's asynchronous interface, whose handles stay at their version."""

    def state(self, table: str) -> tuple[Hashable, ...] | None:
        """Fingerprint of a table, from before it is read; None where it was never written.

        The first part is another one where a table was made again, the whole where there may be a newer version, within
        `STALE_S` at a store.

        Raises:
            TableUnreadableError: there is data, and no version.
        """

    def identity(self, table: str) -> str:
        """Tell a table from one that is made in its place; never the same twice where that cannot be told."""

    def leftovers(self, patterns: Sequence[str]) -> Iterator[Path]:
        """List the files that match; a store keeps no unfinished file of a writer that was killed."""

    def has_data(self, table: str) -> bool:
        """Tell whether there is a version or a data file of a table."""

    def is_there(self, table: str) -> bool:
        """Tell whether a table that was opened may still be used: quick, and wrong only where its use fails plainly."""

    def names(self) -> set[str]:
        """Name the tables."""

    def disk_bytes(self, table: str) -> int:
        """Add up the bytes of a table, old versions and indexes included."""

    def ages_s(self, table: str) -> list[float]:
        """Seconds since each version of a table was written."""

    def refuse_unfit(self) -> None:
        """Refuse a place where commits of several writers may get lost, before its first table is made."""


def table_folder(where: Path | Bucket) -> TableFolder:
    """Tables in a folder or a bucket; nothing is opened."""
    return FolderAtStore(where) if isinstance(where, Bucket) else FolderOnDisk(where)
