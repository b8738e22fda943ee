"""The record of a published version of an index: its commit, its model, its counts, and the hash of each of its parts.

A version is named by the time when it was made and by the hash of its record, and the record holds the hash of every part: who
knows the name of a version can tell whether anything of it was changed. All of it is data that a stranger may have written.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from code_index.core.errors import StoreError

FORMAT: Final = 1
MOST_RECORD_BYTES: Final = 8 << 20
MOST_PART_BYTES: Final = 512 << 20
_HASH_DIGITS: Final = 24
_FETCHED: Final = "published "
NAME: Final = re.compile(rf"[0-9]{{8}}t[0-9]{{6}}z-[0-9a-f]{{{_HASH_DIGITS}}}")
_SHOWN: Final = 200  # characters of what is wrong with a record

PartTable = Literal["files", "chunks", "references"]
_Text = Annotated[str, StringConstraints(max_length=500)]
_Count = Annotated[int, Field(ge=0)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Part(_Record):
    """A file of a version: rows of one table, of the files in one of the groups that the paths are cut into."""

    table: PartTable
    group: Annotated[int, Field(ge=0, le=99_999)]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    size: Annotated[int, Field(ge=0, le=MOST_PART_BYTES)]
    """Bytes."""
    rows: _Count

    @property
    def name(self) -> str:
        """Name of the part, for people."""
        return f"{self.table}-{self.group:05d}"


class Version(_Record):
    """A published version."""

    format: Literal[1] = FORMAT
    made_at: Annotated[AwareDatetime, Field(strict=False)]
    program: _Text
    """Version of code-index that made it."""
    commit: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40,64}$")] | None
    """The commit whose files it holds; None outside of git."""
    chunker: _Text
    model: _Text
    dimension: Annotated[int, Field(ge=1, le=65_536)]
    files: _Count
    chunks: _Count
    references: _Count
    groups: Annotated[int, Field(ge=1, le=100_000)]
    """Number of groups that paths are cut into; one without files has no parts."""
    parts: Annotated[tuple[Part, ...], Field(strict=False, max_length=50_000)]

    @property
    def size(self) -> int:
        """Bytes of all parts."""
        return sum(part.size for part in self.parts)

    def parts_of(self, group: int) -> dict[PartTable, Part]:
        """Return the parts of a group by table; none of one without files."""
        return {part.table: part for part in self.parts if part.group == group}

    def written(self) -> tuple[str, bytes]:
        """Return the version's name and the bytes of its record."""
        content = self.model_dump_json().encode() + b"\n"
        return f"{self.made_at.astimezone(UTC):%Y%m%dt%H%M%Sz}-{_digits(content)}", content


def read_version(name: str, content: bytes) -> Version:
    """Read the record of a version.

    Raises:
        StoreError: it is not the record that its name stands for, or no record that this program knows.
    """
    if NAME.fullmatch(name) is None or not name.endswith(_digits(content)):
        raise StoreError(
            f"The published version {name} was changed after it was made: its record does not have the hash in its name. "
            "Nothing of it was used. Publish again, or name another version with --version."
        )
    try:
        return Version.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        what = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"[:_SHOWN]
        raise StoreError(
            f"The record of the published version {name} cannot be read ({what}). Upgrade code-index if a newer one "
            "published it; else publish again."
        ) from error


def fetched_by(name: str) -> str:
    """Return what stands in `files.run_id` of a file that came from a version, where a Dagster run would stand."""
    return f"{_FETCHED}{name}"


def fetched_version(run_id: str | None) -> str | None:
    """Return the version that a file came from by its `run_id`; None for one that was parsed here."""
    return run_id.removeprefix(_FETCHED) if run_id is not None and run_id.startswith(_FETCHED) else None


def now_for_a_version() -> datetime:
    """Return the present moment as precisely as a version's name tells it."""
    return datetime.now(UTC).replace(microsecond=0)


def _digits(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_HASH_DIGITS]
