"""Rows of a published index, checked against the files of this repository.

A published index may come from a stranger. What it says of a file is used only where the file is here with the same hash, its
rows have the form that our own have, and the text of each chunk stands in the lines that the chunk names: no text gets into an
index that is not in its repository. Names, docstrings and vectors cannot be told from the file without parsing and embedding it; a
sample of them is (`indexing_assets.operations.publishing.sample`).

Belongs here: checks that need the rows and the file. Does not belong here: the bytes of parts (`published_parts`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from code_index.chunking import masked_source
from code_index.chunking.registry import FORMATS
from code_index.core.errors import RepositoryError, StoreError
from code_index.core.hashing import chunk_id
from code_index.core.lines import lines_of
from code_index.core.model import ChunkType, Evidence, NameKind
from code_index.core.unit_vectors import off_unit, vector_lengths
from code_index.repository.source_repository import FileContent
from code_index.sharing.published_parts import vectors_from_bytes

_NEVER_NULL: Final = {
    "files": ("language", "chunk_count", "reference_count", "encoding_guessed"),
    "chunks": (
        *("start_line", "end_line", "content", "search_text", "language", "chunk_type", "qualified_name"),
        *("imports", "child_chunk_ids", "chunk_depth", "lines_of_code", "decorators", "parameters", "type_annotations"),
    ),
    "references": (
        *("language", "name", "kind", "receiver", "qualified_name", "module", "evidence", "lines", "enclosing"),
    ),
}
_WORDS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "chunks": {"chunk_type": tuple(ChunkType)},
    "references": {"kind": tuple(NameKind), "evidence": tuple(Evidence)},
}
_LANGUAGE: Final = r"^[a-z0-9_+#.-]{1,40}$"
_OF_CHUNKS: Final = ("chunk_id", "file_hash", "start_line", "end_line", "content", "chunk_type", "qualified_name")


@dataclass(frozen=True, slots=True)
class PublishedRows:
    """Rows of some files, by table: with the columns of `published_parts.part_schema`."""

    files: pa.Table
    chunks: pa.Table
    references: pa.Table

    def of(self, file_paths: Sequence[str]) -> PublishedRows:
        """Select the rows of these files."""
        wanted = pa.array(file_paths, pa.string())

        def selected(rows: pa.Table) -> pa.Table:
            return rows.filter(pc.is_in(rows.column("file_path"), value_set=wanted))

        return PublishedRows(selected(self.files), selected(self.chunks), selected(self.references))


def refuse_unfit(rows: PublishedRows) -> None:
    """Refuse rows that no program of ours wrote.

    Raises:
        StoreError: it names the column.
    """
    for table, columns in _NEVER_NULL.items():
        found: pa.Table = getattr(rows, table)
        for column in columns:
            if found.column(column).null_count:
                raise StoreError(f"The published {table} have rows without {column}.")
        for column, words in _WORDS.get(table, {}).items():
            known = pc.is_in(found.column(column), value_set=pa.array([str(word) for word in words]))
            if not pc.all(known, min_count=0).as_py():
                raise StoreError(f"The published {table} have a {column} that is none of {', '.join(words)}.")
        fit = pc.match_substring_regex(found.column("language"), _LANGUAGE)
        if not pc.all(fit, min_count=0).as_py():
            raise StoreError(f"The published {table} have a language that is the name of none.")
    if (bad := off_unit(vector_lengths(vectors_from_bytes(rows.chunks.column("vector"))))).size:
        first = rows.chunks.column("chunk_id")[int(bad[0])].as_py()
        raise StoreError(f"The published vector of chunk {first!r} is not of length 1.")


def untrue(rows: PublishedRows, read: Callable[[str], FileContent]) -> dict[str, str]:
    """Find the files of which the rows say what is not so; returns the reason by path.

    Args:
        rows: of files that are here with the same hash, as far as the last scan tells.
        read: reads a file of the repository by path.
    """
    chunks = _by_file(rows.chunks, _OF_CHUNKS)
    places = _by_file(rows.references, ("file_hash", "position"))
    reasons: dict[str, str] = {}
    for row in rows.files.to_pylist():
        path = row["file_path"]
        try:
            reason = _reason(row, chunks.get(path, []), places.get(path, []), read(path))
        except RepositoryError as error:
            reason = str(error)
        if reason is not None:
            reasons[path] = reason
    return reasons


def _by_file(rows: pa.Table, columns: Sequence[str]) -> Mapping[str, list[tuple[Any, ...]]]:
    found: defaultdict[str, list[tuple[Any, ...]]] = defaultdict(list)
    values = zip(*(rows.column(name).to_pylist() for name in columns), strict=True)
    for path, row in zip(rows.column("file_path").to_pylist(), values, strict=True):
        found[path].append(row)
    return found


def _reason(
    file: Mapping[str, Any], chunks: Sequence[tuple[Any, ...]], references: Sequence[tuple[Any, ...]], now: FileContent
) -> str | None:
    """The reason why the rows of a file are not used; None for what is true of it."""
    if now.file_hash != file["file_hash"]:
        return "was edited meanwhile"
    if (len(chunks), len(references)) != (file["chunk_count"], file["reference_count"]):
        return "has not as many rows as it says"
    if any(row[0] != now.file_hash for row in references) or len({row[1] for row in references}) != len(references):
        return "has references of another version, or one twice"
    numbers, lines = _lines(file, now.content)
    seen: Counter[tuple[str, str, str]] = Counter()
    ids, expected = set(), set()
    for own_id, file_hash, first, last, content, chunk_type, name in chunks:
        if file_hash != now.file_hash or not 1 <= first <= last:
            return "has chunks of other lines"
        if not stands_in(content, lines[bisect_left(numbers, first) : bisect_right(numbers, last)]):
            return "has chunks of other text"
        key = (chunk_type, name, content)
        expected.add(
            chunk_id(
                file_path=file["file_path"],
                chunk_type=chunk_type,
                qualified_name=name,
                content=content,
                occurrence=seen[key],
            )
        )
        seen[key] += 1
        ids.add(own_id)
    return None if ids == expected else "has chunks with ids of others"


def _lines(file: Mapping[str, Any], content: bytes) -> tuple[Sequence[int], list[str]]:
    """The lines of a file as its chunks hold them, with masks in place of keys, and the number of each, in order."""
    declared, kind = file["working_tree_encoding"], FORMATS.get(file["language"])
    render = None if kind is None else kind.render
    if not (file["masked_keys"] or declared or render):
        with suppress(UnicodeDecodeError):
            lines = lines_of(content.decode().removeprefix("\ufeff"))
            return range(1, len(lines) + 1), lines
    text = masked_source(content, declared_encoding=declared).text
    if render is not None and (rendered := render(text)) is not None:
        return rendered.lines, rendered.text.decode().split("\n")
    lines = lines_of(text.decode())
    return range(1, len(lines) + 1), lines


def stands_in(content: str, lines: Sequence[str]) -> bool:
    """Tell whether a text stands in these lines: each of its lines in one of them, in this order.

    The text of a chunk leaves out that of the definitions within it, and may begin and end within a line.
    """
    if content in "\n".join(lines):
        return True
    at = 0
    for line in lines_of(content):
        while at < len(lines) and line not in lines[at]:
            at += 1
        if at == len(lines):
            return False
    return True
