"""Text that is hidden from a grammar: blanks in its place, so that all offsets stay.

Belongs here: blanking, the choice of what lies near a fault, and scanners that several languages share.
Does not belong here: the words that mislead one grammar (`languages`), parsing again (`recovery`).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate
from typing import Final, NamedTuple

Span = tuple[int, int]

REACH: Final = 300
"""Bytes before a fault in which its cause is sought."""

_MORE: Final = 2_000
"""Bytes after a fault that are searched, too, so that whole matches are found."""

_KEPT: Final = re.compile(rb"[^\r\n]")
# Each alternative starts with a literal: twice as fast as one that starts with `^`.
_C_TOKEN: Final = re.compile(
    rb"//[^\n]*|/\*(?s:.*?)(?:\*/|\Z)|\"(?:[^\"\\\n]|\\.)*+\"?|'(?:[^'\\\n]|\\.)*+'?|(?P<brace>[{}])"
    rb"|\#(?:(?<=\s\#)|(?<=\A\#))[ \t]*(?P<directive>if|ifdef|ifndef|elif|elifdef|elseif|else|endif)\b(?:[^\n\\]|\\(?s:.))*+"
)


class Hidden(NamedTuple):
    """A span that a grammar does not see; with the role `attribute` it belongs to the definition below it.

    The grammar sees `instead`, which is not longer than the span, and then blanks.
    """

    start: int
    end: int
    role: str = ""
    instead: bytes = b""


def blanked(text: bytes, spans: Iterable[tuple[int, int] | Hidden]) -> bytes:
    """The text with blanks instead of the spans; line ends stay. Spans may be in any order."""
    changed = bytearray(text)
    for span in spans:
        start, end = span[:2]
        changed[start:end] = _KEPT.sub(b" ", text[start:end])
        if isinstance(span, Hidden) and span.instead:
            changed[start : start + len(span.instead)] = span.instead
    return bytes(changed)


def near(patterns: Iterable[re.Pattern[bytes]], text: bytes, faults: Sequence[Span], group: str) -> list[Hidden]:
    """The spans of a group in the patterns' matches that lie in a fault or shortly before one; `faults` are in order."""
    reach = Reach(faults)
    stretches = list(_around(text, faults))
    spans = (
        found.span(group) for pattern in patterns for stretch in stretches for found in pattern.finditer(text, *stretch)
    )
    return [Hidden(start, end) for start, end in spans if start < end and start in reach]


def _around(text: bytes, faults: Sequence[Span]) -> Iterator[Span]:
    """The lines around the faults, in order and apart."""
    first = last = 0
    for start, end in faults:
        if start - 2 * REACH > last:
            if last:
                yield first, last
            first = text.rfind(b"\n", last, start - 2 * REACH) + 1 or last
        if end + _MORE > last:
            line_end = text.find(b"\n", end + _MORE)
            last = line_end if line_end >= 0 else len(text)
    yield first, last


class Reach:
    """The offsets that lie in a fault or shortly before one."""

    def __init__(self, faults: Sequence[Span]) -> None:
        self._starts = [start - REACH for start, _ in faults]
        self._ends = list(accumulate((end for _, end in faults), max))  # the furthest end of the faults up to each

    def __contains__(self, offset: int) -> bool:
        index = bisect_right(self._starts, offset) - 1
        return index >= 0 and offset <= self._ends[index]


def conditional_text(text: bytes, always: Sequence[Span] = ()) -> list[Hidden]:
    """Directives of conditional compilation and all branches but the first, where a branch leaves a brace open.

    Of the other conditionals the directives, where one of them lies near the faults `always`; their branches all stay.
    """
    reach = Reach(always)
    return [hidden for conditional in _conditionals(text) for hidden in conditional.hidden(reach)]


@lru_cache(maxsize=1)
def _conditionals(text: bytes) -> tuple[_Conditional, ...]:
    """The conditionals in the order of their ends; one text is asked several times in turn."""
    found: list[_Conditional] = []
    open_conditionals: list[_Conditional] = []
    balance = 0  # of braces
    for match in _C_TOKEN.finditer(text):
        directive = match["directive"]
        if match["brace"]:
            balance += 1 if match["brace"] == b"{" else -1
        elif directive is None:
            continue
        elif directive.startswith(b"if"):
            open_conditionals.append(_Conditional(balance, [match.span()]))
        elif open_conditionals:
            conditional = open_conditionals[-1]
            conditional.branches.append(balance)
            conditional.directives.append(match.span())
            balance = conditional.balance
            if directive == b"endif":
                balance = conditional.branches[0]
                found.append(open_conditionals.pop())
    return tuple(found)


@dataclass(slots=True)
class _Conditional:
    """One `#if`: the braces open before it, its directives, and the braces open at the end of each branch."""

    balance: int
    directives: list[Span]
    branches: list[int] = field(default_factory=list)

    def hidden(self, reach: Reach) -> list[Hidden]:
        is_uneven = any(branch != self.balance for branch in self.branches)
        if is_uneven and len(self.branches) > 1:
            return [Hidden(*self.directives[0]), Hidden(self.directives[1][0], self.directives[-1][1])]
        is_near = is_uneven or any(start in reach for start, _ in self.directives)
        return [Hidden(*directive) for directive in self.directives] if is_near else []
