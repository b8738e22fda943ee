"""Tables in a folder of this machine: `TableFolder` by the file system."""

from __future__ import annotations

import os
import time
from collections.abc import Hashable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from code_index.core.atomic_writes import write_atomically
from code_index.core.regular_files import read_regular_file
from code_index.tables.lancedb_import import load_lancedb
from code_index.tables.retries import TableUnreadableError

# Of a connection that writes: by default LanceDB keeps up to 6 GiB of indexes and 1 GiB of what describes files, of which each commit
# leaves more. The connection that searches has its own.
_CACHE_BYTES: Final = 64 << 20


class FolderOnDisk:
    """Tables in a folder; records are files, replaced by renaming. The locks of an index keep its writers apart."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def record(self, name: str, *, recent: bool = False) -> bytes | None:
        del recent  # a file is read at once
        with suppress(FileNotFoundError):
            return read_regular_file(self._directory / name)
        return None

    def stamp(self, name: str) -> Hashable:
        with suppress(FileNotFoundError):
            status = (self._directory / name).stat()
            return status.st_ino, status.st_mtime_ns
        return None

    def write_record(self, name: str, content: str) -> None:
        write_atomically(self._directory / name, content)

    def replace_record(self, name: str, content: str, *, instead_of: bytes | None) -> None:  # noqa: ARG002 - as writers hold a lock
        self.write_record(name, content)

    def connect(self) -> Any:
        lancedb = load_lancedb()
        caches = lancedb.Session(index_cache_size_bytes=_CACHE_BYTES, metadata_cache_size_bytes=_CACHE_BYTES)
        return lancedb.connect(str(self._directory), read_consistency_interval=timedelta(0), session=caches)

    async def connect_reader(self) -> Any:
        return await load_lancedb().connect_async(str(self._directory))

    def state(self, table: str) -> tuple[int, int, int, str, str] | None:
        """Fingerprint the folder of versions: each commit adds a name; inode and time change when a table is made again."""
        folder = self._path(table) / "_versions"
        try:
            status = folder.stat()
            names = os.listdir(folder)  # noqa: PTH208 - only names, for every search
        except FileNotFoundError:
            names = []
        if not names:
            # A killed writer leaves a folder without data: no table. Data without a version is a damaged one.
            if any(folder.parent.glob("data/*")):
                raise TableUnreadableError(
                    f"Files of table {table!r} in {self._directory} are missing or damaged (no version). Put the folder "
                    f"{table}.lance back as it was, or remove it and index again to rebuild it."
                )
            return None
        return status.st_ino, status.st_mtime_ns, len(names), min(names), max(names)

    def identity(self, table: str) -> str:
        """Take inode and time: an inode is used again, and versions begin at 1 again."""
        try:
            status = self._path(table).stat()
        except FileNotFoundError:
            return ""
        return (
            f"{status.st_ino} {status.st_ctime_ns}"  # of a folder in which nothing new is made after its first commits
        )

    def leftovers(self, patterns: Sequence[str]) -> Iterator[Path]:
        for pattern in patterns:
            yield from self._directory.glob(pattern)

    def has_data(self, table: str) -> bool:
        path = self._path(table)
        return any(path.glob("_versions/*")) or any(path.glob("data/*"))

    def is_there(self, table: str) -> bool:
        return (self._path(table) / "_versions").is_dir()

    def names(self) -> set[str]:
        return {path.name.removesuffix(".lance") for path in self._directory.glob("*.lance") if path.is_dir()}

    def disk_bytes(self, table: str) -> int:
        total = 0
        for path in self._path(table).rglob("*"):
            try:
                total += path.stat().st_size if path.is_file() else 0
            except FileNotFoundError:  # a writer or `optimize` removed it in between
                continue
        return total

    def ages_s(self, table: str) -> list[float]:
        ages = []
        now = time.time()
        for path in (self._path(table) / "_versions").glob("*.manifest"):
            with suppress(FileNotFoundError):  # `optimize` removed it in between
                ages.append(now - path.stat().st_mtime)
        return ages

    def refuse_unfit(self) -> None:
        """Nothing: a file of a name is made once on each disk."""

    def _path(self, table: str) -> Path:
        return self._directory / f"{table}.lance"
