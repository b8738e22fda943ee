"""Evidence of what a query asks for: its own shape, and what the list by words puts first.

Belongs here: evidence, as numbers. Does not belong here: what a hit gains or loses by it (`code_index.search.weights`).

No list of words says what is asked for: a query is a name if it is nothing but one, it describes a place rather than a
topic if it is long, and it asks for documentation as far as its words find a page first, and clearly so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

_NAME: Final = re.compile(r"[^\W\d][\w$?!]*(?:(?:\.|::|#|->|/)[^\W\d][\w$?!]*)*(?:\(\))?")
_SEPARATOR: Final = re.compile(r"\.|::|#|->|/")
_FIRST: Final = 10  # hits whose scores say whether a list has a clear winner
_UNCLEAR: Final = 0.8  # mean of the scores after the first, of the first's, where there is none
_CLEAR: Final = 0.3
_TOPIC_WORDS: Final = 5  # words of a query that names a topic, at most
_PLACE_WORDS: Final = 8  # of one that describes a place, at least


@dataclass(frozen=True, slots=True)
class Name:
    """A name that a query consists of: `Router.get` is `get`, qualified by `Router`."""

    own: str
    qualifier: str | None


def asked_name(text: str) -> Name | None:
    """The name that a query consists of; `None` for anything else."""
    if not _NAME.fullmatch(text):
        return None
    parts = _SEPARATOR.split(text.removesuffix("()"))
    return Name(parts[-1], parts[-2] if len(parts) > 1 else None)


def clear_winner(scores: Iterable[float]) -> float:
    """Measure how far the best of a list stands apart, in [0, 1], by the scores after it; each score is in [0, 1]."""
    following = sorted(scores, reverse=True)[1:_FIRST]
    if not following:
        return 0.0
    mean = sum(following) / len(following)
    return min(1.0, max(0.0, (_UNCLEAR - mean) / (_UNCLEAR - _CLEAR)))


def detail(words: Sequence[str]) -> float:
    """Measure how far a query describes one place rather than a topic, in [0, 1], by the number of its words."""
    return min(1.0, max(0.0, (len(words) - _TOPIC_WORDS) / (_PLACE_WORDS - _TOPIC_WORDS)))
