"""Ranking: one well ordered list of chunks from two.

Two steps, both pure: `fuse` makes one score of a chunk's similarity and its words, `rerank` also counts
the files that the candidates come from. Both need only what the two lists
hold anyway, so neither costs a read or a model call.

Source of all constants: docs/decisions/0003-hybrid-search.md, which also says what was tried and rejected.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

SEMANTIC_WEIGHT = 0.7
LEXICAL_WEIGHT = 0.3
FUSED_DEPTH = 100
"""Length of the part of each list that is fused."""

FILE_SHARE = 0.3
"""Share of a hit's score that its file earns: a file with many candidates is what the query is about."""
SECONDARY_FACTOR = 0.5
"""Factor on tests and prose, unless the query asks for them: they describe the code in the query's words."""
REPEAT_FACTOR = 0.5
"""Factor on each further hit of one file: ten hits show more of a repository when they are of several files."""

# fmt: off
STOP_WORDS = frozenset({
    "a", "an", "and", "are", "as", "at", "be", "by", "can", "do", "does", "for", "from", "how", "in", "into", "is",
    "it", "its", "of", "on", "or", "that", "the", "their", "this", "to", "via", "what", "when", "where", "which",
    "who", "why", "with",
})
# fmt: on
"""Words of questions, not of code; they match comments and long chunks."""

_PROSE_LANGUAGES = frozenset({"markdown", "rst", "asciidoc", "text"})
_TEST_PATH = re.compile(
    r"(?:^|/)(?:tests?|__tests__|specs?|testing|testdata|fixtures|mocks?|examples?|benchmarks?)/"
    r"|(?:^|/)test_[^/]*$|[._-](?:test|spec)\.[^/.]+$|(?:Test|Tests|Spec)\.[^/.]+$"
)
# fmt: off
_TEST_WORDS = frozenset({
    "test", "tests", "testing", "tested", "spec", "specs", "fixture", "fixtures", "mock", "mocks", "example",
    "examples", "benchmark", "benchmarks",
})
# fmt: on
_PROSE_WORDS = frozenset({"doc", "docs", "documentation", "readme", "changelog", "guide", "tutorial", "markdown"})


@dataclass(frozen=True, slots=True)
class Place:
    """File of a candidate."""

    file_path: str
    language: str


def fuse(
    semantic: Mapping[str, float],
    lexical: Mapping[str, float],
    *,
    limit: int,
    without_vector: Collection[str] = (),
) -> list[tuple[str, float]]:
    """Fuse two lists into the best ids with a score in [0, 1], best first, ties by id.

    An id that one list lacks counts as that list's worst, unless it has no vector yet: then its
    lexical score counts for both, so that code that is not embedded is not buried. With one list
    empty, only the other's normalized scores count.

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
    """Scale scores to [0, 1]; equal scores all become 1."""
    if not scores:
        return {}
    low, high = min(scores.values()), max(scores.values())
    if high == low:
        return dict.fromkeys(scores, 1.0)
    return {key: (score - low) / (high - low) for key, score in scores.items()}


def rerank(
    fused: Sequence[tuple[str, float]], places: Mapping[str, Place], words: Sequence[str]
) -> list[tuple[str, float]]:
    """Score the same ids in [0, 1] by their files as well, best first, ties by id.

    Candidates of one file keep their order among themselves.

    Args:
        fused: id and score in [0, 1], as `fuse` gives them.
        places: file of each id.
        words: lower-case words of the query.
    """
    asked = set(words)
    factors = {
        path: _secondary_factor(path, language, asked)
        for path, language in {(place.file_path, place.language) for place in places.values()}
    }
    own = {key: score * factors[places[key].file_path] for key, score in fused}
    earned: defaultdict[str, float] = defaultdict(float)
    for key, score in own.items():
        earned[places[key].file_path] += score
    most = max(earned.values(), default=0.0) or 1.0
    scores = {
        key: (1 - FILE_SHARE) * score + FILE_SHARE * earned[places[key].file_path] / most for key, score in own.items()
    }
    seen: Counter[str] = Counter()
    for key, score in _best(scores, len(scores)):
        path = places[key].file_path
        scores[key] = score * REPEAT_FACTOR ** seen[path]
        seen[path] += 1
    return _best(scores, len(scores))


def content_words(words: Sequence[str]) -> list[str]:
    """Drop words of questions; keep all when nothing else is left."""
    return [word for word in words if word not in STOP_WORDS] or list(words)


def is_test(file_path: str) -> bool:
    """Tell whether the path is that of a test, a fixture, an example or a benchmark."""
    return _TEST_PATH.search(file_path) is not None


def _secondary_factor(file_path: str, language: str, asked: Collection[str]) -> float:
    secondary = (is_test(file_path) and _TEST_WORDS.isdisjoint(asked)) or (
        language in _PROSE_LANGUAGES and _PROSE_WORDS.isdisjoint(asked)
    )
    return SECONDARY_FACTOR if secondary else 1.0


def _best(scores: Mapping[str, float], limit: int) -> list[tuple[str, float]]:
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:limit]


def snippet_lines(content: str, words: Sequence[str], *, height: int) -> tuple[int, list[str]]:
    """Pick the part of a chunk to show: the window of lines with most of the words.

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
