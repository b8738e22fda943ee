"""Evidence of what a query asks for: its own shape, and what the list by words puts first.

Belongs here: evidence, as numbers. Does not belong here: what a hit gains or loses by it (`code_index.search.weights`).

No list of words says what is asked for: a query is a name if it is nothing but one, and it asks for documentation as far
as its words find a page before code, and one page clearly before others.
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
    """Signs in the list by words of what is asked for.

    `docs_by_words` is the lead of the best documentation over the best code, in [-1, 1]; `clear_words` tells, in [0, 1],
    how far the list has a clear winner.
    """

    docs_by_words: float
    clear_words: float


def asked_name(text: str) -> Name | None:
    """The name that a query consists of; `None` for anything else."""
    if not _NAME.fullmatch(text):
        return None
    parts = _SEPARATOR.split(text.removesuffix("()"))
    return Name(parts[-1], parts[-2] if len(parts) > 1 else None)


def evidence(words: Mapping[str, float], kinds: Mapping[str, ContentKind]) -> Evidence:
    """Weigh documentation against code in the list by words.

    Args:
        words: id to BM25 score in [0, 1] of the list.
        kinds: kind of each id's file.
    """
    best: dict[ContentKind, float] = {}
    for key, score in words.items():
        best[kinds[key]] = max(score, best.get(kinds[key], 0.0))
    return Evidence(
        docs_by_words=best.get(ContentKind.DOCS, 0.0) - best.get(ContentKind.CODE, 0.0),
        clear_words=_clear(words.values()),
    )


def _clear(scores: Iterable[float]) -> float:
    following = sorted(scores, reverse=True)[1:_FIRST]
    if not following:
        return 0.0
    mean = sum(following) / len(following)
    return min(1.0, max(0.0, (_UNCLEAR - mean) / (_UNCLEAR - _CLEAR)))
