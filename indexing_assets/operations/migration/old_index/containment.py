"""Proof that an old index consists of its own files: nothing of it leads to a file elsewhere.

Such an index lies in the repository, and may have come with it. A link in it, or a manifest that names another folder
(Lance's base paths, which a shallow clone of a table has), would make a migration read whatever files of the user it
names, and copy them into the index.

Belongs here: the refusal, before LanceDB opens anything. Does not belong here: what the files hold.
"""

from __future__ import annotations

import stat
import struct
from pathlib import Path
from typing import Final

from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from code_index.core.errors import MigrationError
from code_index.core.regular_files import read_regular_file
from code_index.index.trust import first_special

MAX_MANIFEST_BYTES: Final = 64 << 20
# Source: lance, protos/table.proto, message Manifest; and its file format: the last 16 bytes are the position of the
# manifest, two version numbers and this word; at the position stand its length and itself.
_BASE_PATHS: Final = 18
_MAGIC: Final = b"LANC"
_FOOTER: Final = struct.Struct("<QHH4s")
_LENGTH: Final = struct.Struct("<I")


def refuse_leading_out(folder: Path, table: Path) -> None:
    """Refuse an old index whose files are not all its own.

    Args:
        folder: the folder of its small files.
        table: the folder of the table, in it.

    Raises:
        MigrationError: a part is a link or a special file, or a manifest cannot be read or names another folder.
    """
    for place in (folder, *(parent for parent in table.parents if folder in parent.parents), table):
        if not stat.S_ISDIR(place.lstat().st_mode):
            raise _leading_out(place, "is a link")
    if (part := first_special(table)) is not None:
        raise _leading_out(part, "is a link or a special file")
    for path in sorted((table / "_versions").glob("*.manifest")):
        try:
            fields = _fields_of(read_regular_file(path, max_bytes=MAX_MANIFEST_BYTES))
        except (OSError, ValueError, struct.error, DecodeError) as error:
            raise MigrationError(
                f"{path} cannot be read: {error}. The table is damaged or half written. Restore it from a backup, or "
                "index the repository from scratch with `code-index index`; nothing was touched."
            ) from error
        if _BASE_PATHS in fields:
            raise _leading_out(path, "names files of another folder")


def _fields_of(content: bytes) -> set[int]:
    """Return the numbers of the fields that a manifest file's message has."""
    position, _, _, magic = _FOOTER.unpack(content[-_FOOTER.size :])
    if magic != _MAGIC:
        raise ValueError("it is no manifest")
    start = position + _LENGTH.size
    (length,) = _LENGTH.unpack(content[position:start])
    # A message of no fields keeps what it does not know.
    message = Empty.FromString(content[start : start + length])
    return {field.field_number for field in UnknownFieldSet(message)}


def _leading_out(place: Path, what: str) -> MigrationError:
    return MigrationError(
        f"{place} {what}: an old index is imported only where all of its files are its own. Index the repository from "
        "scratch with `code-index index`; nothing was touched."
    )
