"""Commits that this process made, and the files whose rows they changed.

Belongs here: what allows a second look to be at what changed since the first. A look at all rows is made once in a
process; the next one is at the rows of files that this process changed since, as long as every version in between is one of
its own commits. Any other version (another process, a compaction, a restored table) makes the next look one at all
rows again. Does not belong here: what is looked for.

Rejected: to keep such knowledge on disk, which would have to be believed after a crash.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

# Beyond, a condition that names the files costs more than a look at all rows.
MANY_FILES: Final = 2_000
_KEPT_COMMITS = 64  # of a table: an edit makes one or two of each between two looks

Versions: TypeAlias = Mapping[str, tuple[str, int]]
"""Identity of a table's folder and number of its latest commit, by the folder's path; a table made again is another one."""


@dataclass(frozen=True, slots=True)
class _Commit:
    identity: str
    version: int
    file_paths: frozenset[str]


@dataclass(frozen=True, slots=True)
class Look:
    """A look at all rows, at these versions of the tables, and what was found."""

    versions: Versions
    found: Any


class OwnCommits:
    """The commits of one process to all its tables; usable from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._commits: dict[str, list[_Commit]] = {}
        self._looks: dict[tuple[str, ...], Look] = {}

    def add(self, table: str, identity: str, version: int, file_paths: Collection[str]) -> None:
        """Note that a commit made `version` of a table, the next one after that before it, and changed rows of these files."""
        with self._lock:
            commits = self._commits.setdefault(table, [])
            commits.append(_Commit(identity, version, frozenset(file_paths)))
            del commits[:-_KEPT_COMMITS]

    def note(self, fact: tuple[str, ...], versions: Versions, found: Any = None) -> None:
        """Note what a look found. The versions are those from before its reads: what came after them is looked at again."""
        with self._lock:
            self._looks[fact] = Look(versions, found)

    def last(self, fact: tuple[str, ...]) -> Look | None:
        """Return the last look, whatever happened since."""
        with self._lock:
            return self._looks.get(fact)

    def changed(self, fact: tuple[str, ...], versions: Versions) -> set[str] | None:
        """List the files whose rows changed since the last look; None where all rows have to be looked at."""
        with self._lock:
            look = self._looks.get(fact)
            if look is None or look.versions.keys() != versions.keys():
                return None
            changed: set[str] = set()
            for table, (identity, version) in versions.items():
                identity_then, seen = look.versions[table]
                commits = self._commits.get(table, ())
                later = {commit.version: commit for commit in commits if commit.identity == identity}
                between = range(seen + 1, version + 1)
                if identity_then != identity or seen > version or not later.keys() >= set(between):
                    return None
                changed.update(*(later[number].file_paths for number in between))
        return changed if len(changed) <= MANY_FILES else None


OF_THIS_PROCESS: Final = OwnCommits()
