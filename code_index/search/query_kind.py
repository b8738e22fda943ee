"""What a query asks for, by its own shape and by what the two lists put first.

Belongs here: evidence, as numbers. Does not belong here: what a hit gains or loses by it (`code_index.search.weights`).

No list of words says what is asked for: a query is a name if it is nothing but one, and it asks for documentation or
tests as far as the lists put these before code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from code_index.core.content_kinds import ContentKind

_NAME: Final = re.compile(r"[^\W\d][\w$?!]*(?:(?:\.|::|#|->|/)[^\W\d][\w$?!]*)*(?:\(\))?")
_SEPARATOR: Final = re.compile(r"\.|::|#|->|/")
_FIRST: Final = 10  # hits whose scores say whether a list has a clear winner
_UNCLEAR: Final = 0.8  # mean of the scores after the first, of the first's, where there is none
_CLEAR: Final = 0.3


@dataclass(frozen=True, slots=True)
class Name:
    """A name that a query consists of: `Router.get` is `get`, qualified by `Router`."""

    own: str
    qualifier: str | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is asked for.

    `docs_by_meaning` and the like are the lead of the best chunk of that kind over the best code, in [-1, 1], by either
    list; `clear_words` tells, in [0, 1], how far the list by words has a clear winner.
    """

    docs_by_meaning: float
    docs_by_words: float
    tests_by_meaning: float
    clear_words: float


def asked_name(text: str) -> Name | None:
    """The name that a query consists of; `None` for anything else."""
    if not _NAME.fullmatch(text):
        return None
    parts = _SEPARATOR.split(text.removesuffix("()"))
    return Name(parts[-1], parts[-2] if len(parts) > 1 else None)


def evidence(meaning: Mapping[str, float], words: Mapping[str, float], kinds: Mapping[str, ContentKind]) -> Evidence:
    """Weigh two lists against each other.

    Args:
        meaning: id to similarity in [0, 1] of the list.
        words: id to BM25 score in [0, 1] of the list.
        kinds: kind of each id's file.
    """

    def best(scores: Mapping[str, float], kind: ContentKind) -> float:
        return max((score for key, score in scores.items() if kinds[key] is kind), default=0.0)

    code_by_meaning = best(meaning, ContentKind.CODE)
    return Evidence(
        docs_by_meaning=best(meaning, ContentKind.DOCS) - code_by_meaning,
        docs_by_words=best(words, ContentKind.DOCS) - best(words, ContentKind.CODE),
        tests_by_meaning=best(meaning, ContentKind.TESTS) - code_by_meaning,
        clear_words=_clear(words.values()),
    )


def _clear(scores: Iterable[float]) -> float:
    following = sorted(scores, reverse=True)[1:_FIRST]
    if not following:
        return 0.0
    mean = sum(following) / len(following)
    return min(1.0, max(0.0, (_UNCLEAR - mean) / (_UNCLEAR - _CLEAR)))
