"""Fusing two ranked lists into one.

Source: measured on 3,500 functions and 600 queries (docs/decisions/0003-hybrid-search.md):
min-max normalized scores of each list's first 100, weighted 0.7 semantic and 0.3 lexical, beat
equal-weight reciprocal rank fusion, which lost against the semantic list alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

SEMANTIC_WEIGHT = 0.7
LEXICAL_WEIGHT = 0.3
# How much of each list takes part.
FUSED_DEPTH = 100


def fuse(
    semantic: Mapping[str, float],
    lexical: Mapping[str, float],
    *,
    limit: int,
    without_vector: Collection[str] = (),
) -> list[tuple[str, float]]:
    """Best ids of both lists with their fused score in [0, 1], best first, ties by id.

    An id that one list lacks counts as that list's worst, unless it has no vector yet: then its
    lexical score stands for both, so that code that is not embedded is not buried. With one list
    empty, the other's normalized scores stand alone.

    Args:
        semantic: id to similarity, higher is better.
        lexical: id to score, higher is better.
        limit: length of the result.
        without_vector: ids of `lexical` that the semantic list could not hold.
    """
    if not lexical or not semantic:
        return _best(normalized(semantic or lexical), limit)
    semantic_scores, lexical_scores = normalized(semantic), normalized(lexical)
    semantic_scores |= {key: lexical_scores[key] for key in without_vector if key in lexical_scores}
    fused = {
        key: SEMANTIC_WEIGHT * semantic_scores.get(key, 0.0) + LEXICAL_WEIGHT * lexical_scores.get(key, 0.0)
        for key in semantic_scores.keys() | lexical_scores.keys()
    }
    return _best(fused, limit)


def normalized(scores: Mapping[str, float]) -> dict[str, float]:
    """Scores moved and scaled to [0, 1]; equal scores all become 1."""
    if not scores:
        return {}
    low, high = min(scores.values()), max(scores.values())
    if high == low:
        return dict.fromkeys(scores, 1.0)
    return {key: (score - low) / (high - low) for key, score in scores.items()}


def _best(scores: Mapping[str, float], limit: int) -> list[tuple[str, float]]:
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:limit]


def snippet_lines(content: str, words: Sequence[str], *, height: int) -> tuple[int, list[str]]:
    """The part of a chunk to show: the window of lines in which most of the words appear.

    Args:
        content: text of the chunk.
        words: lower-case words of the query.
        height: lines to show at most.

    Returns:
        Offset of the first line shown, from 0, and the lines.
    """
    lines = content.splitlines()
    if len(lines) <= height:
        return 0, lines
    hits = [sum(word in line.lower() for word in words) for line in lines]
    best = start = 0
    for offset in range(len(lines) - height + 1):
        score = sum(hits[offset : offset + height])
        if score > best:
            best, start = score, offset
    return start, lines[start : start + height]
