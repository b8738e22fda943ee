"""The record of what was written into files of agents, by which it is taken out again to the byte.

Belongs here: the record's file and form. Does not belong here: deciding what to undo (`indexing_assets.agents.parts`).

Of each file it keeps the difference, not a copy: files of agents hold keys, which nobody expects in a second place. Its
form is one JSON file in the user's state folder; a record that cannot be read is one that is not there, and undoing then
takes out the entries that are recognized as ours.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from code_index.core.atomic_writes import write_atomically
from code_index.core.errors import StoreError
from code_index.core.regular_files import load_json, read_regular_file
from code_index.index.trust import state_folder

_FILE: Final = "agents.json"


@dataclass(frozen=True, slots=True)
class Written:
    """A change of one file.

    Attributes:
        agents: names of the agents that need it.
        before: hash of its content before, None if there was no file.
        after: hash of its content after.
        at: where the two begin to differ, in bytes.
        old: the bytes there before, in Latin-1.
        length: how many bytes there are in their place.
        folders: the folders that were made for it, outermost first.
    """

    agents: tuple[str, ...]
    before: str | None
    after: str
    at: int
    old: str
    length: int
    folders: tuple[str, ...]

    def undone(self, content: bytes | None) -> tuple[bool, bytes | None]:
        """Return whether `content` is as it was left, and then what was there before, None for no file."""
        if content is None or _hash(content) != self.after:
            return False, None
        if self.before is None:
            return True, None
        original = content[: self.at] + self.old.encode("latin-1") + content[self.at + self.length :]
        return _hash(original) == self.before, original


def written(agents: tuple[str, ...], before: bytes | None, after: bytes, folders: tuple[str, ...]) -> Written:
    """Describe a change of a file from `before` to `after`."""
    old = before or b""
    at = 0
    limit = min(len(old), len(after))
    while at < limit and old[at] == after[at]:
        at += 1
    end = 0
    while end < limit - at and old[len(old) - 1 - end] == after[len(after) - 1 - end]:
        end += 1
    return Written(
        agents=agents,
        before=None if before is None else _hash(before),
        after=_hash(after),
        at=at,
        old=old[at : len(old) - end].decode("latin-1"),
        length=len(after) - end - at,
        folders=folders,
    )


def renamed(entry: Written, agents: tuple[str, ...]) -> Written:
    """The same change, for other agents."""
    return replace(entry, agents=agents)


def load() -> dict[str, Written]:
    """Read the record: what was written, by the path of the file."""
    try:
        data = load_json(read_regular_file(_place()))
        return {path: _of(entry) for path, entry in data["files"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def save(files: Mapping[str, Written]) -> None:
    """Write the record.

    Raises:
        StoreError: the state folder cannot be written.
    """
    place = _place()
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(place, json.dumps({"files": {path: asdict(files[path]) for path in sorted(files)}}, indent=1))
    except OSError as error:
        raise StoreError(
            f"Cannot write {place}, where code-index remembers what it wrote for agents: {error.strerror}. Allow "
            f"writing, or name another folder with XDG_STATE_HOME."
        ) from error


def _of(entry: Mapping[str, Any]) -> Written:
    return Written(**{**entry, "agents": tuple(entry["agents"]), "folders": tuple(entry["folders"])})


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _place() -> Path:
    return state_folder() / _FILE
