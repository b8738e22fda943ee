"""Ranking: one well ordered list of chunks from two.

Two questions, both answered without a read or a model call: which file is asked for, and which part of it. A file's
score is a sum of weighted features; the scores of all files become shares of 1. A chunk's share of its file is found the
same way. A hit counts what its file counts, times what is left of the file.

Belongs here: scores, shares and the order. Does not belong here: what is known of a candidate
(`code_index.search.features`), and how much each thing counts (`code_index.search.weights`). docs/search.md says what
each is worth, and what was tried.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from code_index.core.content_kinds import ContentKind
from code_index.search.features import Candidate, Features, compute_features
from code_index.search.query_kind import Name, detail
from code_index.search.weights import (
    CHUNK_WEIGHTS,
    EVEN_KINDS,
    FILE_WEIGHTS,
    FIRST_HIT_POWER,
    FURTHER_HITS,
    FURTHER_HITS_OF_DOCS,
)

# fmt: off
STOP_WORDS = frozenset({
    "a", "an", "and", "are", "as", "at", "be", "by", "can", "do", "does", "for", "from", "how", "in", "into", "is",
    "it", "its", "of", "on", "or", "that", "the", "their", "this", "to", "via", "what", "when", "where", "which",
    "who", "why", "with",
})
# fmt: on
"""Words of questions, not of code; they match comments and long chunks."""

_FIRST_PLACES = 3


@dataclass(frozen=True, slots=True)
class Ranked:
    """Chunks with a score in [0, 1], best first, and what they were ranked by."""

    order: list[tuple[str, float]]
    features: Features
    file_shares: Mapping[str, float]
    chunk_shares: Mapping[str, float]

    def explanation(self, key: str, file_path: str) -> dict[str, float]:
        """Parts of a hit's score: the shares, and what each feature added to the logarithm of its share."""
        parts = {"file share": self.file_shares[file_path], "chunk share": self.chunk_shares[key]}
        for prefix, weights, features in (
            ("file", FILE_WEIGHTS, self.features.files[file_path]),
            ("chunk", CHUNK_WEIGHTS, self.features.chunks[key]),
        ):
            parts |= {f"{prefix}: {name}": weight * features[name] for name, weight in weights.items()}
        return {name: round(value, 4) for name, value in parts.items() if value}


def rank(
    candidates: Mapping[str, Candidate],
    semantic: Mapping[str, float],
    lexical: Mapping[str, float],
    *,
    query: Sequence[str],
    name: Name | None = None,
    without_vector: Collection[str] = (),
    per_file: int = 1,
) -> Ranked:
    """Rank the candidates of two lists, ties by id.

    A candidate that one list lacks counts as that list's worst, unless it has no vector yet: then its score by words
    counts for both, so that code that is not embedded is not buried. With one list empty, the other counts for both.

    Args:
        candidates: all ids of both lists, and definitions that neither list has.
        semantic: id to similarity, higher is better.
        lexical: id to score, higher is better.
        query: lower-case words of the query.
        name: the name that the query consists of, if it does.
        without_vector: ids of `lexical` that the semantic list could not hold.
        per_file: hits of one file that count in full; each further one stands back.
    """
    meaning, words = normalized(semantic or lexical), normalized(lexical or semantic)
    meaning |= {key: words[key] for key in without_vector if key in words}
    features = compute_features(candidates, meaning, words, query=query, name=name)
    file_shares = _shares({path: _weighed(FILE_WEIGHTS, of) for path, of in features.files.items()})
    members: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for key, one in candidates.items():
        members[one.file_path][key] = _weighed(CHUNK_WEIGHTS, features.chunks[key])
    chunk_shares = {key: share for of_file in members.values() for key, share in _shares(of_file).items()}
    scores = {}
    short, long = FURTHER_HITS
    further = short + (long - short) * detail(query)
    for path, of_file in members.items():
        later = FURTHER_HITS_OF_DOCS if features.kinds[path] is ContentKind.DOCS else further
        for place, key in enumerate(sorted(of_file, key=lambda key: (-of_file[key], key))):
            share = chunk_shares[key]
            scores[key] = file_shares[path] * (share**FIRST_HIT_POWER if place < per_file else later * share)
    order = _both_kinds_first(_best(scores), candidates, features, file_shares)
    return Ranked(order, features, file_shares, chunk_shares)


def _both_kinds_first(
    order: list[tuple[str, float]],
    candidates: Mapping[str, Candidate],
    features: Features,
    file_shares: Mapping[str, float],
) -> list[tuple[str, float]]:
    """Move the best hit of the other kind to the third place where documentation and the rest are about as likely."""

    def is_docs(key: str) -> bool:
        return features.kinds[candidates[key].file_path] is ContentKind.DOCS

    docs = sum(share for path, share in file_shares.items() if features.kinds[path] is ContentKind.DOCS)
    if not EVEN_KINDS <= docs <= 1 - EVEN_KINDS or len({is_docs(key) for key, _ in order[:_FIRST_PLACES]}) != 1:
        return order
    first = is_docs(order[0][0])
    other = next((place for place, (key, _) in enumerate(order) if is_docs(key) is not first), None)
    if other is None:
        return order
    moved = order[other][0], order[_FIRST_PLACES - 1][1]
    return [*order[: _FIRST_PLACES - 1], moved, *order[_FIRST_PLACES - 1 : other], *order[other + 1 :]]


def _weighed(weights: Mapping[str, float], features: Mapping[str, float]) -> float:
    return sum([weights[name] * value for name, value in features.items() if value])


def _shares(scores: Mapping[str, float]) -> dict[str, float]:
    """Softmax: shares that add up to 1."""
    if len(scores) == 1:
        return dict.fromkeys(scores, 1.0)
    most = max(scores.values(), default=0.0)
    powers = {key: math.exp(score - most) for key, score in scores.items()}
    total = sum(powers.values())
    return {key: power / total for key, power in powers.items()}


def _best(scores: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))


def normalized(scores: Mapping[str, float]) -> dict[str, float]:
    """Scale scores to [0, 1]; equal scores all become 1."""
    if not scores:
        return {}
    low, high = min(scores.values()), max(scores.values())
    if high == low:
        return dict.fromkeys(scores, 1.0)
    return {key: (score - low) / (high - low) for key, score in scores.items()}


def content_words(words: Sequence[str]) -> list[str]:
    """Drop words of questions; keep all when nothing else is left."""
    return [word for word in words if word not in STOP_WORDS] or list(words)
