"""Rows of a single-table index as chunks: the meaning of each of its columns.

Belongs here: one file's rows, without reading or writing anything. Does not belong here: the table
(`indexing_assets.operations.migration.old_index.table`) and which file a row is of
(`indexing_assets.operations.migration.carrier`).

Such a table has one row a chunk: an id, the vector of `content` (nothing else was embedded), absolute paths, empty
strings for what is unknown, and lists as text, joined by commas or as JSON.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from code_index.core.hashing import chunk_id
from code_index.core.model import ChunkType
from code_index.core.secret_masks import mask_string

REQUIRED: Final = ("content", "file_path", "start_line", "end_line", "language", "chunk_type", "vector")
"""Columns without which a row says too little; the id is `chunk_id` or `id`."""
IDS: Final = ("chunk_id", "id")
OPTIONAL: Final = (
    "function_name",
    "class_name",
    "docstring",
    "imports",
    "complexity_score",
    "parent_chunk_id",
    "child_chunk_ids",
    "chunk_depth",
    "decorators",
    "return_type",
    "subproject_name",
    "subproject_path",
    "cognitive_complexity",
    "cyclomatic_complexity",
    "max_nesting_depth",
    "parameter_count",
    "lines_of_code",
)
INTEGERS: Final = frozenset(
    {
        "start_line",
        "end_line",
        "chunk_depth",
        "cognitive_complexity",
        "cyclomatic_complexity",
        "max_nesting_depth",
        "parameter_count",
        "lines_of_code",
    }
)
FLOATS: Final = frozenset({"complexity_score"})
_LARGEST: Final = 2**31 - 1  # as the new tables hold it
_LONGEST_PATH: Final = 4_096  # bytes, as the system allows

_TYPES: Final = {
    "function": ChunkType.FUNCTION,
    "method": ChunkType.METHOD,
    "constructor": ChunkType.METHOD,
    "class": ChunkType.CLASS,
    "interface": ChunkType.CLASS,
    "struct": ChunkType.CLASS,
    "enum": ChunkType.CLASS,
    "trait": ChunkType.CLASS,
    "impl": ChunkType.CLASS,
    "module": ChunkType.MODULE,
    "imports": ChunkType.MODULE,
    "code": ChunkType.MODULE,
    "section": ChunkType.SECTION,
    "heading": ChunkType.SECTION,
    "rule": ChunkType.RULE,
    "statement": ChunkType.STATEMENT,
}
_TEXTS: Final = ("content", "function_name", "class_name", "docstring", "imports", "decorators", "return_type")
_PAIRS: Final = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True, slots=True)
class FileOfRows:
    """The file that some rows are of, as its own content and the scan describe it."""

    file_path: str
    file_hash: str
    language: str
    subproject_name: str | None = None
    subproject_path: str | None = None


@dataclass(frozen=True, slots=True)
class CarriedRow:
    """A chunk made of the row at `position` among its file's rows: values of the columns of a parsed chunk.

    `masked` counts the keys that were masked in it, by kind: the row's vector was made from them.
    """

    position: int
    values: Mapping[str, Any]
    masked: Mapping[str, int]


def relative_path(path: str, roots: Iterable[str]) -> str | None:
    """Make the row's path relative to the first root that holds it (POSIX); None for one from elsewhere.

    A path that is relative already is taken as it is, unless it leads out.
    """
    plain = path.replace("\\", "/")
    if not plain or "\x00" in plain or len(plain.encode()) > _LONGEST_PATH:
        return None
    for root in roots:
        base = root.replace("\\", "/").rstrip("/") + "/"
        if plain.startswith(base):
            plain = plain[len(base) :]
            break
    else:
        if plain.startswith("/") or plain[1:3] == ":/":
            return None
    parts = PurePosixPath(plain).parts
    return None if ".." in parts or not parts else "/".join(parts)


def carried_rows(rows: Sequence[Mapping[str, Any]], file: FileOfRows) -> list[CarriedRow]:
    """Make chunks of the rows of one file, in the order of their lines, without rows that repeat another one.

    Ids are made as the chunker makes them, so that a chunk that it cuts alike keeps its vector. Parents and
    children follow; what a row names that is not among the file's rows is dropped. Keys are masked, in all texts.
    """
    without_keys = [_without_keys(row) for row in rows]
    rows = [row for row, _ in without_keys]
    order = sorted(
        range(len(rows)),
        key=lambda at: (_whole(rows[at], "start_line"), -_whole(rows[at], "end_line"), _depth(rows[at]), at),
    )
    occurrences: Counter[tuple[str, str, str]] = Counter()
    seen: set[tuple[Any, ...]] = set()
    ids: dict[str, str] = {}
    kept: list[tuple[int, str, ChunkType, str]] = []
    for at in order:
        row = rows[at]
        chunk_type = _type(row)
        name = _qualified_name(row)
        content = row["content"]
        same = (chunk_type, name, content)
        whole = (*same, row["start_line"], row["end_line"])
        identity = chunk_id(
            file_path=file.file_path,
            chunk_type=chunk_type.value,
            qualified_name=name,
            content=content,
            occurrence=occurrences[same],
        )
        if whole in seen:
            continue
        seen.add(whole)
        occurrences[same] += 1
        if old_id := _old_id(row):
            ids.setdefault(old_id, identity)
        kept.append((at, identity, chunk_type, name))
    return [
        CarriedRow(at, _values(rows[at], file, identity, chunk_type, name, ids), without_keys[at][1])
        for at, identity, chunk_type, name in kept
    ]


def stand_in_hash(rows: Sequence[Mapping[str, Any]]) -> str:
    """Make a file hash for rows whose file has changed: no file has it, so the next scan sees a change."""
    digest = hashlib.sha256(b"rows of a single-table index")
    for row in sorted((row["start_line"], row["end_line"], row["content"]) for row in rows):
        digest.update(repr(row).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def covers(text: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether the rows hold every line of the text that is not blank, word for word.

    Only then does the text prove that the file is the one that the rows were made of: such a table leaves
    out parts of files, and shortens classes.
    """
    lines = text.splitlines()
    covered: set[int] = set()
    for row in rows:
        start, end = row["start_line"] - 1, row["end_line"]
        if "\n".join(lines[start:end]).strip() == row["content"].strip():
            covered.update(range(start, end))
    return all(at in covered for at, line in enumerate(lines) if line.strip())


def split_list(text: str | None) -> list[str]:
    """Split a list that is stored as text: JSON, or joined by commas outside brackets and quotes."""
    if not text:
        return []
    if text.startswith("["):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            pass
        else:
            return [str(item) for item in found] if isinstance(found, list) else []
    return [item for item in _split_at_commas(text) if item]


def _split_at_commas(text: str) -> Iterator[str]:
    """Split at the commas that are outside brackets and quotes."""
    start = 0
    closing: list[str] = []
    quote = ""
    for at, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character in _PAIRS:
            closing.append(_PAIRS[character])
        elif closing and character == closing[-1]:
            closing.pop()
        elif character == "," and not closing:
            yield text[start:at].strip()
            start = at + 1
    yield text[start:].strip()


def _without_keys(row: Mapping[str, Any]) -> tuple[dict[str, Any], Counter[str]]:
    """The row with masks in place of keys, and how many of each kind."""
    masked: Counter[str] = Counter()
    texts = {}
    for name in _TEXTS:
        if isinstance(text := row.get(name), str):
            texts[name], counts = mask_string(text)
            masked.update(counts)
    return {**row, **texts}, masked


def _values(
    row: Mapping[str, Any], file: FileOfRows, identity: str, chunk_type: ChunkType, name: str, ids: Mapping[str, str]
) -> dict[str, Any]:
    children = [ids[child] for child in split_list(row.get("child_chunk_ids")) if child in ids]
    own_subproject = row.get("subproject_name") or None
    return {
        "chunk_id": identity,
        "file_path": file.file_path,
        "file_hash": file.file_hash,
        "start_line": int(row["start_line"]),
        "end_line": int(row["end_line"]),
        "content": row["content"],
        "language": file.language,
        "chunk_type": chunk_type.value,
        "qualified_name": name,
        "function_name": row.get("function_name") or None,
        "class_name": row.get("class_name") or None,
        "docstring": row.get("docstring") or None,
        "imports": split_list(row.get("imports")),
        "parent_chunk_id": ids.get(row.get("parent_chunk_id") or ""),
        "child_chunk_ids": [child for child in children if child != identity],
        "chunk_depth": _depth(row),
        "complexity_score": _finite(row, "complexity_score"),
        "cyclomatic_complexity": _count(row, "cyclomatic_complexity"),
        "cognitive_complexity": _count(row, "cognitive_complexity"),
        "max_nesting_depth": _count(row, "max_nesting_depth"),
        "parameter_count": _count(row, "parameter_count"),
        "lines_of_code": _count(row, "lines_of_code"),
        "decorators": split_list(row.get("decorators")),
        "parameters": [],
        "return_type": row.get("return_type") or None,
        "type_annotations": [],
        "subproject_name": own_subproject or file.subproject_name,
        "subproject_path": (row.get("subproject_path") or None) if own_subproject else file.subproject_path,
    }


def _type(row: Mapping[str, Any]) -> ChunkType:
    found = _TYPES.get((row["chunk_type"] or "").lower(), ChunkType.TEXT)
    # Such a table has no word for methods.
    return ChunkType.METHOD if found is ChunkType.FUNCTION and row.get("class_name") else found


def _qualified_name(row: Mapping[str, Any]) -> str:
    return ".".join(filter(None, (row.get("class_name"), row.get("function_name"))))


def _old_id(row: Mapping[str, Any]) -> str:
    return next((str(row[name]) for name in IDS if row.get(name)), "")


def _depth(row: Mapping[str, Any]) -> int:
    return _whole(row, "chunk_depth")


def _whole(row: Mapping[str, Any], name: str) -> int:
    return _count(row, name) or 0


def _count(row: Mapping[str, Any], name: str) -> int | None:
    """Return a number of things; None for one that can be none."""
    value = row.get(name)
    return value if value is not None and 0 <= value <= _LARGEST else None


def _finite(row: Mapping[str, Any], name: str) -> float | None:
    value = row.get(name)
    return value if value is not None and math.isfinite(value) else None
