"""A published index: versions of the index of one repository at a place that others read.

    versions/<name>.json    the record of a version, written last: a version is there as a whole or not at all
    parts/<sha256>          a part, stored once for all versions that hold it
    withdrawn/<name>        a version that is not fetched any more

Belongs here: the names of files, and what of them may be trusted. Does not belong here: what a part holds (`published_parts`).
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Final

from code_index.core.errors import StoreError, UsageError
from code_index.sharing.places import Place
from code_index.sharing.published_version import (
    MOST_PART_BYTES,
    MOST_RECORD_BYTES,
    NAME,
    Part,
    Version,
    read_version,
)

_LOG = logging.getLogger(__name__)
_READ_AT_ONCE: Final = 8
_RECORD_ENDING: Final = ".json"
_UNNAMED_FOR: Final = timedelta(days=1)
"""A part that no version names stays as long: another process may be about to publish it."""


class PublishedIndex:
    """Versions at a place; nothing is opened or made before it is asked for."""

    def __init__(self, place: Place) -> None:
        self.place = place

    def names(self) -> list[str]:
        """List the versions that may be fetched by name, the newest first."""
        gone = self.withdrawn()
        return [name for name in self._all() if name not in gone]

    def withdrawn(self) -> set[str]:
        """Names of the versions that may not be fetched any more."""
        return {_last(stored.name) for stored in self.place.names("withdrawn")}

    def version(self, name: str) -> Version:
        """Read a version.

        Raises:
            UsageError: there is none of that name.
            StoreError: it was changed, or cannot be read.
        """
        missing = UsageError(
            f"{self.place.address} has no version {name[:80]!r}. `code-index fetch --list {self.place.address}` lists them."
        )
        if NAME.fullmatch(name) is None:
            raise missing
        try:
            content = self.place.read(f"versions/{name}{_RECORD_ENDING}", max_bytes=MOST_RECORD_BYTES)
        except FileNotFoundError:
            raise missing from None
        return read_version(name, content)

    def readable(self, *, most: int) -> Iterator[tuple[str, Version]]:
        """Read the versions that may be fetched, the newest first; one that was changed is left out, with a warning."""
        names = self.names()[:most]
        with ThreadPoolExecutor(_READ_AT_ONCE) as pool:
            for name, reading in [(name, pool.submit(self.version, name)) for name in names]:
                try:
                    yield name, reading.result()
                except StoreError as error:
                    _LOG.warning("%s", error)

    def part(self, part: Part) -> bytes:
        """Read the bytes of a part.

        Raises:
            StoreError: it is not there, or larger than the version says.
        """
        try:
            return self.place.read(f"parts/{part.sha256}", max_bytes=min(part.size, MOST_PART_BYTES))
        except FileNotFoundError:
            raise StoreError(
                f"The part {part.name} is missing at {self.place.address}. Publish again, or name another version with "
                "--version."
            ) from None

    def stored_parts(self) -> dict[str, int]:
        """Bytes of the parts that are there, by hash."""
        return {_last(stored.name): stored.bytes for stored in self.place.names("parts")}

    def put_part(self, part: Part, content: bytes) -> None:
        """Store a part."""
        self.place.write(f"parts/{part.sha256}", content)

    def put(self, version: Version) -> str:
        """Publish a version whose parts are all there; returns its name."""
        name, content = version.written()
        self.place.write(f"versions/{name}{_RECORD_ENDING}", content)
        return name

    def roll_back(self, name: str) -> list[str]:
        """Withdraw the versions that are newer than this one, and bring it back if it was; returns those withdrawn now.

        Raises:
            UsageError: there is no such version.
            StoreError: it cannot be read, or the place cannot be written.
        """
        self.version(name)
        newer = [other for other in self.names() if other > name]
        for other in newer:
            self.place.write(f"withdrawn/{other}", b"")
        self.place.delete(f"withdrawn/{name}")
        return newer

    def prune(self, *, keep: int) -> int:
        """Remove all but the newest versions, and the parts that none of the rest names; returns the bytes freed.

        A withdrawn version counts as any other. A part of the last day stays in any case, for somebody may be publishing it.
        """
        known = self._all()
        needed = self._parts_of(known[:keep])
        for name in known[keep:]:
            self.place.delete(f"versions/{name}{_RECORD_ENDING}")
            self.place.delete(f"withdrawn/{name}")
        freed, before = 0, datetime.now(UTC) - _UNNAMED_FOR
        for stored in self.place.names("parts"):
            if _last(stored.name) not in needed and stored.modified < before:
                self.place.delete(stored.name)
                freed += stored.bytes
        return freed

    def _all(self) -> list[str]:
        """Names of all versions, the newest first."""
        found = [_last(stored.name).removesuffix(_RECORD_ENDING) for stored in self.place.names("versions")]
        return sorted(filter(NAME.fullmatch, found), reverse=True)

    def _parts_of(self, names: Collection[str]) -> set[str]:
        """Hashes of the parts of these versions; one that cannot be read must not cost the others their parts."""
        return {part.sha256 for name in names for part in self.version(name).parts}


def _last(name: str) -> str:
    return name.rpartition("/")[2]
