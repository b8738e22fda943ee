"""The one envelope that every way of asking returns.

Belongs here: what stands around the hits, and its form as JSON. Does not belong here: words for a reader (the command line
and the servers have their own).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Generic, TypeVar

from code_index.core.distribution import distribution_version
from code_index.search.freshness import Freshness

ANSWER_FORMAT: Final = 1
"""Version of the form of `Answer.envelope`; raised when a field changes its meaning or goes."""

HitT = TypeVar("HitT")


@dataclass(frozen=True, slots=True)
class Answer(Generic[HitT]):
    """Hits, best first, with the freshness of each index that was asked and what else a reader should know.

    `freshness` has an entry for each index, in the order in which they were named. `notes` are sentences: why nothing was
    found, or in what way the answer is less than what was asked for.

    Example:
        >>> from code_index import Index
        >>> answer = Index.open("repository").ask("greet a person by name", limit=1)
        >>> answer.hits[0].qualified_name, answer.hits[0].state.value, answer.freshness[0].vectors_share
        ('greet', 'current', 1.0)
    """

    freshness: tuple[Freshness, ...]
    hits: tuple[HitT, ...]
    notes: tuple[str, ...] = ()

    def envelope(self) -> dict[str, Any]:
        """The answer as JSON has it: plain values, names as in the classes.

        Beside `indexes` (a list of `Freshness`) the figures of a single index stand at the top: `repository`, `commit`,
        `age_s`, `vectors_share` and `newer_files`; with several indexes they are null there.
        """
        single = asdict(self.freshness[0]) if len(self.freshness) == 1 else {}
        return {
            "format": ANSWER_FORMAT,
            "version": distribution_version(),
            **{name: single.get(name) for name in ("repository", "commit", "age_s", "vectors_share", "newer_files")},
            "indexes": [asdict(one) for one in self.freshness],
            "notes": list(self.notes),
            "hits": [_plain(hit) for hit in self.hits],
        }


def _plain(hit: Any) -> Mapping[str, Any]:
    return asdict(hit)
