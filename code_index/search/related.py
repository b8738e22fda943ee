"""Code like that at a line: the nearest vectors to a stored one, so that no model is needed.

Belongs here: choosing the chunk at a line, and telling copies from what is only similar. Does not belong here: searching by a
query (`code_index.search.hybrid`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from code_index.core.errors import UsageError
from code_index.search.hybrid import (
    CANDIDATE_COLUMNS,
    SearchHit,
    candidates_of,
    current_hits,
    query_words,
    said_of_left_out,
)
from code_index.search.limits import refuse_limit
from code_index.tables.filters import SearchFilter, refuse_broken_text
from code_index.tables.sql import all_of, equals
from code_index.tables.store import IndexStore

_NEAR_DUPLICATE: Final = 0.75
"""Share of words in common, each as often as it occurs, from which on two chunks are near-duplicates. Source: chosen; a function
of five lines that was copied and got another name for one thing has 0.8."""
_WORD: Final = re.compile(r"\w+")
_WORDS: Final = 48  # of a chunk without a vector
_SHOWN: Final = 80

UpToDate = Callable[[Sequence[SearchHit]], Sequence[SearchHit]]


class Relation(StrEnum):
    """Relation of a hit to the chunk that was named."""

    COPY = "copy"
    NEAR_DUPLICATE = "near-duplicate"
    SIMILAR = "similar"


@dataclass(frozen=True, slots=True)
class Related:
    """Related chunks, nearest first, and sentences on what a reader should know of them."""

    hits: list[SearchHit]
    notes: tuple[str, ...] = ()


def related(
    store: IndexStore,
    file_path: str,
    line: int,
    *,
    limit: int = 10,
    filters: SearchFilter | None = None,
    up_to_date: UpToDate = lambda hits: hits,
) -> Related:
    """Find the chunks that mean most nearly the same as the innermost one at a line, nearest first.

    `score` is the cosine similarity, `relation` a `Relation`. What encloses the chunk,
    lies in it or is of the same definition is left out. A chunk
    that has no vector yet is compared by its words; `score` is then relative to its own.

    Args:
        store: tables of the index.
        file_path: of the chunk, as the index has it.
        line: 1-based.
        limit: number of hits at most, at least 1.
        filters: conditions that every hit meets.
        up_to_date: gives chunks the lines that they have in the present file.

    Raises:
        UsageError: the index has no chunk there, or a number is out of bounds.
        StoreError: a table cannot be read.
    """
    refuse_limit("limit", limit)
    refuse_broken_text(file_path)
    chunks = up_to_date(_chunks_of(store, file_path))
    own = _innermost(chunks, file_path, line)
    around = {chunk.chunk_id for chunk in chunks if _is_part(chunk, own) or _is_part(own, chunk)}
    where = filters.where() if filters else None
    notes = () if own.start_line <= line <= own.end_line else (_elsewhere(line, own),)
    if (stored := store.search.vector_of(own.chunk_id)) is not None:
        vector, model = stored
        rows = store.search.near(
            vector, model=model, limit=limit + len(around) + limit, where=where, columns=CANDIDATE_COLUMNS
        )
        scale = 1.0
    else:
        words = " ".join(query_words(f"{own.qualified_name} {own.content}").split()[:_WORDS])
        asked = all_of(where, f"NOT ({equals('chunk_id', own.chunk_id)})")
        found = store.search.start_words(
            words, limit=limit + len(around) + limit, where=asked, columns=CANDIDATE_COLUMNS
        ).result()
        rows = found.rows
        scale = max([1e-9, *rows["score"].to_pylist()])
        notes = (*notes, f"The chunk at {file_path}:{own.start_line} has no vector yet: it is compared by its words.")
        if found.left_out:
            notes = (*notes, said_of_left_out(found.left_out))
    order = [
        (chunk_id, score / scale)
        for chunk_id, score in zip(rows["chunk_id"].to_pylist(), rows["score"].to_pylist(), strict=True)
        if chunk_id not in around
    ]
    hits = list(current_hits(store, order, candidates_of(rows)))[:limit]
    return Related([replace(hit, relation=_relation(own, hit)) for hit in hits], notes)


def _chunks_of(store: IndexStore, file_path: str) -> list[SearchHit]:
    rows = store.search.chunks_of(file_path, CANDIDATE_COLUMNS)
    order = [(chunk_id, 0.0) for chunk_id in rows["chunk_id"].to_pylist()]
    return list(current_hits(store, order, candidates_of(rows)))


def _innermost(chunks: Sequence[SearchHit], file_path: str, line: int) -> SearchHit:
    """The smallest chunk at a line; at a line between two, the nearest one."""
    if not chunks:
        raise UsageError(
            f"{file_path[:_SHOWN]!r} has no chunk in the index. `code-index status --skipped` lists what is left out."
        )
    last = max(chunk.end_line for chunk in chunks)
    if line < 1:
        raise UsageError(f"line is {line}, but the first one is 1.")
    if line > last:
        raise UsageError(f"{file_path[:_SHOWN]}:{line}: what is indexed of the file ends at line {last}.")

    def distance(chunk: SearchHit) -> tuple[int, int, int]:
        off = max(chunk.start_line - line, line - chunk.end_line, 0)
        return off, chunk.end_line - chunk.start_line, -chunk.start_line

    return min(chunks, key=distance)


def _elsewhere(line: int, own: SearchHit) -> str:
    return f"Line {line} is in no chunk; the nearest one is at lines {own.start_line}-{own.end_line}."


def _is_part(inner: SearchHit, outer: SearchHit) -> bool:
    """Tell whether a chunk lies in another one, or is a piece of the same long definition."""
    encloses = outer.start_line <= inner.start_line and inner.end_line <= outer.end_line
    return encloses or bool(inner.qualified_name and inner.qualified_name == outer.qualified_name)


def _relation(own: SearchHit, hit: SearchHit) -> Relation:
    if own.content.split() == hit.content.split():
        return Relation.COPY
    words, others = (Counter(_WORD.findall(text)) for text in (own.content, hit.content))
    return (
        Relation.NEAR_DUPLICATE
        if (words & others).total() >= _NEAR_DUPLICATE * (words | others).total()
        else Relation.SIMILAR
    )
