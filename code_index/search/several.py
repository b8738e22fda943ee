"""Several indexes in one ranking.

The best candidates of all indexes are ranked in one pass, as if they were of one index whose top folders are the repositories,
so that their scores are comparable. Similarities are comparable where the vectors are of one model; where they are not,
each model's are scaled to [0, 1] first. Scores by words depend on how rare a word is in its index; they are compared as they are.

Source: 202 questions over eleven repositories, NDCG@10 of hits in the repository that a question was written for
(`python -m benchmarks.together`). Alone 0.830; among three indexes 0.811; among eleven 0.748: such questions fit several web
frameworks. Rejected under an earlier ranking, which had 0.782 and 0.736: scores by words as shares of each index's best
(0.771 and 0.685), or times the logarithm of the indexes' sizes (0.780 and 0.713).

Belongs here: gathering and ranking candidates of several indexes. Does not belong here: the ranking itself
(`code_index.search.ranking`), and which indexes there are (`code_index.api`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from code_index.core.errors import UsageError
from code_index.search.features import Candidate
from code_index.search.hybrid import (
    Lists,
    QueryEncoder,
    SearchHit,
    SearchMode,
    current_hits,
    explained,
    folded,
    gather,
    make_question,
    refuse_model,
    said_of_left_out,
)
from code_index.search.ranking import normalized, rank
from code_index.tables.filters import SearchFilter
from code_index.tables.store import IndexStore

MERGED_DEPTH: Final = 300
"""Length of the part of each merged list that is ranked. Source: the same earlier ranking; with 100 the figures are 0.773 and
0.726, with all 0.782 and 0.718."""
_THREADS: Final = 8
_SPARE: Final = 20


@dataclass(frozen=True, slots=True)
class AskedIndex:
    """One of the indexes that are asked: its repository, an absolute path, its tables, the model of its vectors, its filters."""

    repository: str
    store: IndexStore
    encoder: QueryEncoder | None
    filters: SearchFilter | None = None


def search_several(
    indexes: Sequence[AskedIndex],
    query: str,
    *,
    mode: SearchMode = SearchMode.HYBRID,
    limit: int = 10,
    per_file: int = 1,
    explain: bool = False,
    notes: list[str] | None = None,
) -> list[SearchHit]:
    """Find the chunks of all indexes that fit the query best, best first; each names its repository.

    Arguments are as in `code_index.search.hybrid.search`.

    Raises:
        UsageError: as in `search`; and for a semantic search of vectors of different models, which cannot be compared.
        StoreError: a table cannot be read.
    """
    models = {index.encoder.model_id for index in indexes if index.encoder is not None}
    if mode is SearchMode.SEMANTIC and len(models) > 1:
        raise UsageError(
            f"The vectors of these indexes are of different models ({', '.join(sorted(models))}), and similarities of one "
            "cannot be compared with those of another. Use --mode hybrid, which ranks by places in the lists as well."
        )
    for index in indexes:
        refuse_model(index.store, index.encoder, mode)
    questions = [
        make_question(query, mode=mode, limit=limit, filters=index.filters, per_file=per_file) for index in indexes
    ]
    with ThreadPoolExecutor(min(_THREADS, len(indexes)), thread_name_prefix="code-index-asking") as pool:
        found = list(
            pool.map(
                lambda asked: gather(asked[0].store, asked[0].encoder, asked[1]), zip(indexes, questions, strict=True)
            )
        )
    if notes is not None:
        notes += [
            f"{index.repository}: {said_of_left_out(lists.left_out)}"
            for index, lists in zip(indexes, found, strict=True)
            if lists.left_out
        ]
    if len(models) > 1:
        found = _scaled_by_model(indexes, found)
    merged = _merged(_labels(indexes), found, max(MERGED_DEPTH, questions[0].depth))
    if mode is not SearchMode.HYBRID:
        order = sorted((merged.semantic or merged.lexical).items(), key=lambda item: (-item[1], item[0]))
        return _read(indexes, order, merged, limit)
    ranked = rank(
        merged.candidates,
        merged.semantic,
        merged.lexical,
        query=questions[0].words.split(),
        name=questions[0].name,
        without_vector=merged.without_vector,
        per_file=per_file,
    )
    hits = folded(_read(indexes, ranked.order, merged, limit + _SPARE))[:limit]
    if not explain:
        return hits
    at = {index.repository: number for number, index in enumerate(indexes)}
    keys = [_key(at[str(hit.repository)], hit.chunk_id) for hit in hits]
    return [explained(hit, ranked, key, merged.candidates[key].file_path) for hit, key in zip(hits, keys, strict=True)]


def _key(at: int, chunk_id: str) -> str:
    """Key of a candidate: two checkouts of one repository have chunks of the same ids."""
    return f"{at}:{chunk_id}"


def _labels(indexes: Sequence[AskedIndex]) -> list[str]:
    """The folders that stand for the repositories in the paths that are ranked: their names, each once."""
    names = [Path(index.repository).name for index in indexes]
    labels: list[str] = []
    for at, name in enumerate(names):
        label = name if names.count(name) == 1 else f"{name}-{at}"
        while label in labels or (label != name and label in names):
            label += "-"
        labels.append(label)
    return labels


def _merged(labels: Sequence[str], found: Sequence[Lists], depth: int) -> Lists:
    """The lists of all indexes as one, each cut to `depth`."""
    candidates: dict[str, Candidate] = {}
    semantic: dict[str, float] = {}
    lexical: dict[str, float] = {}
    without: set[str] = set()
    for at, (label, lists) in enumerate(zip(labels, found, strict=True)):
        for chunk_id, one in lists.candidates.items():
            candidates[_key(at, chunk_id)] = one._replace(file_path=f"{label}/{one.file_path}")
        semantic |= {_key(at, chunk_id): score for chunk_id, score in lists.semantic.items()}
        lexical |= {_key(at, chunk_id): score for chunk_id, score in lists.lexical.items()}
        without |= {_key(at, chunk_id) for chunk_id in lists.without_vector}
        if not lists.semantic:
            # An index without vectors yet: what it has by words counts for both.
            without |= {_key(at, chunk_id) for chunk_id in lists.lexical}
    in_lists = semantic.keys() | lexical.keys()
    semantic, lexical = _best(semantic, depth), _best(lexical, depth)
    # Definitions of a name are in neither list.
    dropped = in_lists - semantic.keys() - lexical.keys()
    kept = {key: one for key, one in candidates.items() if key not in dropped}
    return Lists(kept, semantic, lexical, frozenset(without))


def _best(scores: Mapping[str, float], depth: int) -> dict[str, float]:
    return dict(sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:depth])


def _scaled_by_model(indexes: Sequence[AskedIndex], found: Sequence[Lists]) -> list[Lists]:
    """Scale the similarities of each model to [0, 1]: an angle means another thing in another space."""
    scaled = list(found)
    models = [None if index.encoder is None else index.encoder.model_id for index in indexes]
    for model in set(models):
        places = [at for at, of in enumerate(models) if of == model]
        together = {_key(at, chunk_id): score for at in places for chunk_id, score in found[at].semantic.items()}
        scores = normalized(together)
        for at in places:
            scaled[at] = replace(
                found[at], semantic={chunk_id: scores[_key(at, chunk_id)] for chunk_id in found[at].semantic}
            )
    return scaled


def _read(
    indexes: Sequence[AskedIndex], order: Sequence[tuple[str, float]], merged: Lists, limit: int
) -> list[SearchHit]:
    """Read the best that are current, in their order."""
    first = order[: limit + _SPARE]
    hits: dict[str, SearchHit] = {}
    for at, index in enumerate(indexes):
        begin = _key(at, "")
        part = [(key.removeprefix(begin), score) for key, score in first if key.startswith(begin)]
        candidates = {}
        for chunk_id, _ in part:
            one = merged.candidates[_key(at, chunk_id)]
            candidates[chunk_id] = one._replace(file_path=one.file_path.partition("/")[2])
        for hit in current_hits(index.store, part, candidates):
            hits[_key(at, hit.chunk_id)] = replace(hit, repository=index.repository)
    return [hits[key] for key, _ in first if key in hits][:limit]
