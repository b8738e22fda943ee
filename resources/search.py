"""Search over an index: by meaning, by words, or both fused.

Reads `vectors` for what is near and `chunks` for words and contents; never writes, so any number
of readers work beside an index that grows. Imports neither Dagster nor torch.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from indexing_assets.core.errors import UsageError
from indexing_assets.core.identifiers import search_tokens
from indexing_assets.core.ranking import FUSED_DEPTH, Place, content_words, fuse, rerank
from resources.lancedb_store import IndexStore
from resources.lancedb_store.filters import SearchFilter
from resources.lancedb_store.sql import all_of, equals, is_in

_WORD = re.compile(r"\w+")
# Longer queries hold no more meaning for a model that reads 128 tokens, and cost time.
_MAX_QUERY_CHARACTERS = 10_000
# Rows that a scan left behind (a file was edited, its new version is not parsed yet) are dropped
# from the results; so many more are asked for.
_SPARE = 20
_CONTENT_COLUMNS = (
    "chunk_id",
    "file_path",
    "file_hash",
    "start_line",
    "end_line",
    "content",
    "language",
    "chunk_type",
    "qualified_name",
    "function_name",
    "class_name",
    "docstring",
    "subproject_name",
)


class SearchMode(StrEnum):
    """How to search."""

    HYBRID = "hybrid"
    SEMANTIC = "semantic"
    LEXICAL = "lexical"


class QueryEncoder(Protocol):
    """What search needs of an embedder."""

    @property
    def model_id(self) -> str:
        """Identity of the model, as stored with each vector."""

    def embed_query(self, text: str) -> np.ndarray:
        """Vector of a query, (dim,) float32, unit norm."""


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A chunk that was found; lines are 1-based and inclusive, `score` is in [0, 1] for hybrid search.

    For semantic search `score` is the cosine similarity, for lexical search the BM25 score.
    """

    score: float
    chunk_id: str
    file_path: str
    start_line: int
    end_line: int
    content: str
    language: str
    chunk_type: str
    qualified_name: str
    function_name: str | None
    class_name: str | None
    docstring: str | None
    subproject_name: str | None


def search(
    store: IndexStore,
    encoder: QueryEncoder | None,
    query: str,
    *,
    mode: SearchMode = SearchMode.HYBRID,
    limit: int = 10,
    filters: SearchFilter | None = None,
) -> list[SearchHit]:
    """Chunks that fit the query best, best first.

    Hybrid search is lexical alone as long as there is no vector. Chunks of a file version that
    is not current any more are never returned.

    Args:
        store: tables of the index.
        encoder: the index's model; may be `None` for lexical search.
        query: words or code, in any form.
        mode: what to compare.
        limit: how many hits at most, at least 1.
        filters: what a hit must be.

    Raises:
        UsageError: the query is empty, the limit is below 1, or the vectors in use are of another model.
        StoreError: a table cannot be read.
    """
    text = query.replace("\x00", " ").strip()[:_MAX_QUERY_CHARACTERS]
    if not text:
        raise UsageError("The query is empty. Say what to look for, in words or code.")
    if limit < 1:
        raise UsageError(f"limit is {limit}, but must be at least 1.")
    where = filters.where() if filters else None
    semantic: dict[str, float] = {}
    lexical: dict[str, float] = {}
    vector_count = 0
    words = query_words(text)
    places: dict[str, Place] = {}
    depth = max(FUSED_DEPTH if mode is SearchMode.HYBRID else 0, limit + _SPARE)
    if mode is not SearchMode.LEXICAL:
        if encoder is None:
            raise UsageError(f"{mode} search needs the embedding model.")
        store.refuse_other_model(encoder.model_id)
        vector_count = store.vector_count(encoder.model_id)
        if vector_count:
            rows = store.vector_search(encoder.embed_query(text), model=encoder.model_id, limit=depth, where=where)
            semantic = _scores(rows, places)
    if mode is not SearchMode.SEMANTIC:
        rows = store.text_search(words, limit=depth, where=where)
        lexical = _scores(rows, places)
    if mode is SearchMode.HYBRID:
        # Reading vectors' ids costs as much as a search; with as many vectors as chunks none can lack one.
        without_vector: set[str] = set()
        if encoder is not None and 0 < vector_count < store.chunk_count():
            without_vector = _without_vector(store, lexical.keys() - semantic.keys(), encoder.model_id)
        fused = fuse(semantic, lexical, limit=len(places), without_vector=without_vector)
        ranked = rerank(fused, places, words.split())
    else:
        ranked = sorted((semantic or lexical).items(), key=lambda item: (-item[1], item[0]))
    return _hits(store, ranked, limit)


def query_words(text: str) -> str:
    """The words of a query as the full-text column holds them, lower case, each once, by spaces.

    Identifiers are there joined and split (`getUserName` gives `getusername`, `get`, `user`, `name`);
    words like `how` and `the` are left out unless there is nothing else.
    """
    words: dict[str, None] = {}
    for token in _WORD.findall(text):
        words |= dict.fromkeys(search_tokens(token).split())
    return " ".join(content_words(list(words)))


def _scores(rows: pa.Table, places: dict[str, Place]) -> dict[str, float]:
    """Id to score of a list of hits; where they stand is added to `places`."""
    ids = rows["chunk_id"].to_pylist()
    places |= {
        chunk_id: Place(file_path=path, language=language)
        for chunk_id, path, language in zip(
            ids, rows["file_path"].to_pylist(), rows["language"].to_pylist(), strict=True
        )
    }
    return dict(zip(ids, rows["score"].to_pylist(), strict=True))


def _hits(store: IndexStore, ranked: list[tuple[str, float]], limit: int) -> list[SearchHit]:
    candidates = ranked[: limit + _SPARE]
    rows: dict[str, dict[str, Any]] = {
        row["chunk_id"]: row
        for row in store.chunks_by_ids([chunk_id for chunk_id, _ in candidates], columns=_CONTENT_COLUMNS).to_pylist()
    }
    current = _current_hashes(store, sorted({row["file_path"] for row in rows.values()}))
    hits = []
    for chunk_id, score in candidates:
        row = rows.get(chunk_id)
        if row is not None and current.get(row["file_path"]) == row.pop("file_hash"):
            hits.append(SearchHit(score=score, **row))
    return hits[:limit]


def _without_vector(store: IndexStore, chunk_ids: Collection[str], model: str) -> set[str]:
    """Those of the chunks that the model has not embedded yet."""
    where = all_of(is_in("chunk_id", sorted(chunk_ids)), equals("embedding_model", model))
    return set(chunk_ids) - set(store.vectors(columns=["chunk_id"], where=where)["chunk_id"].to_pylist())


def _current_hashes(store: IndexStore, file_paths: list[str]) -> dict[str, str]:
    """Path to the hash of the file's current version, as the newest scan saw it."""
    rows = store.files(columns=["file_path", "file_hash"], where=is_in("file_path", file_paths))
    return dict(zip(rows["file_path"].to_pylist(), rows["file_hash"].to_pylist(), strict=True))
