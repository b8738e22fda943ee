"""Search over an index: by meaning, by words, or both fused.

Reads `vectors` for what is near and `chunks` for words and contents; never writes, so any number
of readers work beside an index that grows. Imports neither Dagster nor torch.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

import numpy as np
import pyarrow as pa

from code_index.core.errors import UsageError
from code_index.core.identifiers import search_tokens
from code_index.search.features import Candidate
from code_index.search.freshness import FileState
from code_index.search.limits import refuse_limit
from code_index.search.query_kind import Name, asked_name
from code_index.search.ranking import Ranked, content_words, rank
from code_index.search.weights import FUSED_DEPTH
from code_index.tables import IndexStore
from code_index.tables.filters import SearchFilter

_WORD = re.compile(r"\w+")
# Longer queries hold no more meaning for a model that reads 128 tokens, and cost time.
_MAX_QUERY_CHARACTERS = 10_000
# NUL, and what bytes of the command line that are no UTF-8 become: neither model nor table takes them.
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")
# Rows that a scan left behind (a file was edited, its new version is not parsed yet) are dropped
# from the results; so many more are asked for.
_SPARE = 20
CANDIDATE_COLUMNS = (
    "chunk_id",
    "file_path",
    "language",
    "chunk_type",
    "function_name",
    "class_name",
    "start_line",
    "end_line",
)
# Words that two definitions of one name share, of all that either has, for them to count as copies.
_COPY = 0.9
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
    """Kind of search."""

    HYBRID = "hybrid"
    SEMANTIC = "semantic"
    LEXICAL = "lexical"


class QueryEncoder(Protocol):
    """The part of an embedder that search needs."""

    @property
    def model_id(self) -> str:
        """Identity of the model, as stored with each vector."""

    def embed_query(self, text: str) -> np.ndarray:
        """Vector of a query, (dim,) float32, unit norm."""


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A chunk that was found; lines are 1-based and inclusive, `score` is in [0, 1] for hybrid search.

    For semantic search `score` is the cosine similarity, for lexical search the BM25 score. `copies` are the places
    (`path:line`) of hits that a hybrid search left out because they say nearly the same as this one; `explanation` has the
    parts of a hybrid search's score, by name, where they were asked for. `repository`, an absolute path, and `state` are there
    where the answer says how fresh it is: lines and content are then those of the file as it is now. `relation` says of
    related code what it is: `copy`, `near-duplicate` or `similar`.

    Example:
        >>> from code_index import Index
        >>> hit = Index.open("repository").search("increment", mode="lexical", language="python")[0]
        >>> hit.file_path, hit.start_line, hit.end_line, hit.chunk_type, hit.qualified_name
        ('app/greeting.py', 15, 17, 'method', 'Counter.increment')
        >>> hit.content.splitlines()[0].strip()
        'def increment(self, step: int = 1) -> int:'
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
    copies: tuple[str, ...] = ()
    explanation: dict[str, float] | None = None
    repository: str | None = None
    state: FileState | None = None
    relation: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """A query as both lists are asked for it.

    `words` are those of the query as the full-text column holds them, by spaces; `name` is the name that it consists of.
    `depth` is the length of each list.
    """

    text: str
    words: str
    name: Name | None
    mode: SearchMode
    depth: int
    where: str | None


@dataclass(frozen=True, slots=True)
class Lists:
    """Both lists that one index has for a question: candidates by id, and scores.

    `without_vector` are ids of `lexical` that the other list could not hold, `left_out` is the number of chunks that `lexical`
    could not hold, for they are not in the word index yet.
    """

    candidates: dict[str, Candidate]
    semantic: dict[str, float]
    lexical: dict[str, float]
    without_vector: frozenset[str]
    left_out: int = 0


def search(
    store: IndexStore,
    encoder: QueryEncoder | None,
    query: str,
    *,
    mode: SearchMode = SearchMode.HYBRID,
    limit: int = 10,
    filters: SearchFilter | None = None,
    per_file: int = 1,
    explain: bool = False,
    notes: list[str] | None = None,
) -> list[SearchHit]:
    """Find the chunks that fit the query best, best first.

    Hybrid search is only lexical as long as there is no vector. Chunks of outdated file
    versions are never returned.

    Args:
        store: tables of the index.
        encoder: the index's model; may be `None` for lexical search.
        query: words or code, in any form.
        mode: kind of search.
        limit: number of hits at most, at least 1.
        filters: conditions that every hit meets.
        per_file: hits of one file that a hybrid search counts in full, at least 1; further ones stand back.
        explain: whether hits of a hybrid search say what their score is made of.
        notes: gets a sentence where chunks had to be left out.

    Raises:
        UsageError: the query is empty or no text, a filter is no text, a number is out of bounds, or the vectors in use
            are of another model.
        StoreError: a table cannot be read.
    """
    question = make_question(query, mode=mode, limit=limit, filters=filters, per_file=per_file)
    refuse_model(store, encoder, mode)
    lists = gather(store, encoder, question)
    if notes is not None and lists.left_out:
        notes.append(said_of_left_out(lists.left_out))
    if mode is not SearchMode.HYBRID:
        order = sorted((lists.semantic or lists.lexical).items(), key=lambda item: (-item[1], item[0]))
        return _hits(store, order, lists.candidates, limit)
    ranked = rank(
        lists.candidates,
        lists.semantic,
        lists.lexical,
        query=question.words.split(),
        name=question.name,
        without_vector=lists.without_vector,
        per_file=per_file,
    )
    hits = _hits(store, ranked.order, lists.candidates, limit, fold=True)
    return [explained(hit, ranked, hit.chunk_id, hit.file_path) for hit in hits] if explain else hits


def make_question(
    query: str, *, mode: SearchMode, limit: int, filters: SearchFilter | None = None, per_file: int = 1
) -> Question:
    """Make a question of a query; arguments and errors as those of `search`."""
    text = _asked(query, limit=limit, per_file=per_file)
    hybrid = mode is SearchMode.HYBRID
    return Question(
        text=text,
        words=query_words(text),
        name=asked_name(text) if hybrid else None,
        mode=mode,
        depth=max(FUSED_DEPTH if hybrid else 0, limit + _SPARE),
        where=filters.where() if filters else None,
    )


def gather(store: IndexStore, encoder: QueryEncoder | None, question: Question) -> Lists:
    """Ask one index for both lists, and for definitions of a name.

    Raises:
        StoreError: a table cannot be read.
        UsageError: the vectors in use are of another model.
    """
    semantic: dict[str, float] = {}
    lexical: dict[str, float] = {}
    candidates: dict[str, Candidate] = {}
    left_out = 0
    # Words and definitions are looked up while the query is embedded and compared.
    by_words = (
        None
        if question.mode is SearchMode.SEMANTIC
        else store.search.start_words(
            question.words, limit=question.depth, where=question.where, columns=CANDIDATE_COLUMNS
        )
    )
    by_name = (
        None
        if question.name is None
        else store.search.start_definitions(question.name.own, where=question.where, columns=CANDIDATE_COLUMNS)
    )
    try:
        if (
            encoder is not None
            and question.mode is not SearchMode.LEXICAL
            and (there := store.search.available()).vectors
        ):
            vector = encoder.embed_query(question.text)
            if vector.size == there.dimension:  # else no vector is of this model
                rows = store.search.near(
                    vector,
                    model=encoder.model_id,
                    limit=question.depth,
                    where=question.where,
                    columns=CANDIDATE_COLUMNS,
                )
                semantic = _scores(rows, candidates)
        if by_words is not None:
            found = by_words.result()
            lexical, left_out = _scores(found.rows, candidates), found.left_out
        if by_name is not None:
            candidates |= candidates_of(by_name.result())
    finally:
        for pending in (by_words, by_name):
            if pending is not None:
                pending.cancel()
    unknown = sorted(lexical.keys() - semantic.keys()) if semantic and encoder is not None else []
    without = store.search.without_vector(unknown, encoder.model_id) if encoder is not None else set()
    return Lists(candidates, semantic, lexical, frozenset(without), left_out)


def said_of_left_out(count: int) -> str:
    """Say in a sentence that a search by words left chunks out."""
    return (
        f"{count:,} new chunks cannot be found by their words yet, for they are not in the word index: the run that stored "
        "them adds them, or the next `code-index index`."
    )


def _asked(query: str, *, limit: int, per_file: int) -> str:
    """The text of a query; refuses what cannot be searched for."""
    text = _NO_TEXT.sub(" ", query).strip()[:_MAX_QUERY_CHARACTERS]
    if not text:
        if query.strip():
            raise UsageError("The query is not valid UTF-8. Say what to look for, in words or code.")
        raise UsageError("The query is empty. Say what to look for, in words or code.")
    refuse_limit("limit", limit)
    refuse_limit("per_file", per_file)
    return text


def refuse_model(store: IndexStore, encoder: QueryEncoder | None, mode: SearchMode) -> None:
    """Refuse to search by meaning without the model that made the vectors in use."""
    if mode is SearchMode.LEXICAL:
        return
    if encoder is None:
        raise UsageError(f"{mode} search needs the embedding model.")
    store.search.refuse_other_model(encoder.model_id)


def query_words(text: str) -> str:
    """Split a query into words as the full-text column holds them, lower case, each once, by spaces.

    That column holds identifiers joined and split (`getUserName` gives `getusername`, `get`, `user`, `name`);
    words like `how` and `the` are left out unless there is nothing else.
    """
    words: dict[str, None] = {}
    for token in _WORD.findall(text):
        words |= dict.fromkeys(search_tokens(token).split())
    return " ".join(content_words(list(words)))


def _scores(rows: pa.Table, candidates: dict[str, Candidate]) -> dict[str, float]:
    """Map the ids of a list of hits to their scores, and add them to `candidates`."""
    candidates |= candidates_of(rows)
    return dict(zip(rows["chunk_id"].to_pylist(), rows["score"].to_pylist(), strict=True))


def candidates_of(rows: pa.Table) -> dict[str, Candidate]:
    """Candidates by id, of rows with `CANDIDATE_COLUMNS`."""
    chunk_ids, *columns = (rows[name].to_pylist() for name in CANDIDATE_COLUMNS)
    return dict(zip(chunk_ids, map(Candidate, *columns), strict=True))


def explained(hit: SearchHit, ranked: Ranked, key: str, file_path: str) -> SearchHit:
    """The hit with the parts of its score; key and path as the ranking has them."""
    return replace(hit, explanation=ranked.explanation(key, file_path))


def _hits(
    store: IndexStore,
    ranked: list[tuple[str, float]],
    candidates: Mapping[str, Candidate],
    limit: int,
    *,
    fold: bool = False,
) -> list[SearchHit]:
    """Read the best that are current; spare ones only if needed, as each read costs a good part of a search.

    With `fold`, a hit that says nearly the same as one before is left out, and named there.
    """
    hits: list[SearchHit] = []
    likely = _until_different(ranked, candidates, limit) if fold else limit
    for part in (ranked[:likely], ranked[likely : limit + _SPARE]):
        if part and len(hits) < limit:
            hits += current_hits(store, part, candidates)
            if fold:
                hits = folded(hits)
    return hits[:limit]


def _until_different(ranked: Sequence[tuple[str, float]], candidates: Mapping[str, Candidate], limit: int) -> int:
    """Count the chunks until `limit` of them are no copies by their names, of as many as may be read."""
    most = ranked[: limit + _SPARE]
    seen: set[tuple[str | None, str | None]] = set()
    different = 0
    for place, (chunk_id, _) in enumerate(most, start=1):
        name = candidates[chunk_id].function_name, candidates[chunk_id].class_name
        different += name == (None, None) or name not in seen
        if different == limit:
            return place
        seen.add(name)
    return len(most)


def folded(hits: list[SearchHit]) -> list[SearchHit]:
    """Leave out copies: chunks of one name in different files that share nearly all of their words."""
    kept: list[SearchHit] = []
    for hit in hits:
        place = next((place for place, other in enumerate(kept) if _is_copy(hit, other)), None)
        if place is None:
            kept.append(hit)
        else:
            where = hit.file_path if hit.repository == kept[place].repository else f"{hit.repository}/{hit.file_path}"
            copies = (*kept[place].copies, f"{where}:{hit.start_line}", *hit.copies)
            kept[place] = replace(kept[place], copies=copies)
    return kept


def _is_copy(hit: SearchHit, other: SearchHit) -> bool:
    same_file = (hit.repository, hit.file_path) == (other.repository, other.file_path)
    if same_file or hit.qualified_name != other.qualified_name:
        return False
    words, others = set(_WORD.findall(hit.content)), set(_WORD.findall(other.content))
    return len(words & others) >= _COPY * len(words | others)


def current_hits(
    store: IndexStore, ranked: list[tuple[str, float]], candidates: Mapping[str, Candidate]
) -> Iterator[SearchHit]:
    """Yield those whose file is unchanged since they were parsed, as of the newest scan."""
    ids = [chunk_id for chunk_id, _ in ranked]
    paths = sorted({candidates[chunk_id].file_path for chunk_id in ids})
    rows, hashes = store.search.details(ids, paths, _CONTENT_COLUMNS)
    for chunk_id, score in ranked:
        row = rows.get(chunk_id)
        if row is not None and hashes.get(row["file_path"]) == row.pop("file_hash"):
            yield SearchHit(score=score, **row)
