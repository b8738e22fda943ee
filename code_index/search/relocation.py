"""Finding the lines of a chunk again in a file that was edited since.

Belongs here: comparing lines, pure and in time linear in the file, for all chunks of it together. Does not belong here:
reading files.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

MOST_LINES: Final = 400
MOST_CHARACTERS: Final = 20_000
"""Of what was read again: a chunk as indexed is shorter, but a file may be one line now."""
_WORD: Final = re.compile(r"\w+")
_MOST_PLACES: Final = 64  # at which a chunk is looked for, the nearest first


@dataclass(frozen=True, slots=True)
class Relocation:
    """Lines of a chunk in the present file, 1-based and inclusive; `lines` are their text where that differs, else None.

    Of a long text `lines` are only the first, `MOST_LINES` and `MOST_CHARACTERS` at most.
    """

    start_line: int
    end_line: int
    lines: tuple[str, ...] | None


class PresentLines:
    """The lines of a file as it is now, and the places of each; blanks at their ends count for nothing."""

    def __init__(self, lines: Sequence[str]) -> None:
        """Number the lines of a file, from 0."""
        self.lines = lines
        self.stripped = [line.rstrip() for line in lines]
        self._places: defaultdict[str, list[int]] = defaultdict(list)
        for place, line in enumerate(self.stripped):
            self._places[line].append(place)

    def count(self, line: str) -> int:
        """Number of times that a line stands here."""
        return len(self._places.get(line, ()))

    def nearest_with(self, name: str, line: int) -> int | None:
        """The line (1-based) nearest to one that has a name; None where no line has it.

        Of a name that is more than a word, such as an operator, its first word counts; without any it is taken to be where it was.
        """
        word = _WORD.search(name)
        if word is None:
            return min(max(line, 1), len(self.lines)) if self.lines else None
        places = self._by_word.get(word[0], [])
        at = bisect_left(places, line)
        return min(places[max(at - 1, 0) : at + 1], key=lambda place: (abs(place - line), place), default=None)

    @cached_property
    def _by_word(self) -> dict[str, list[int]]:
        found: defaultdict[str, list[int]] = defaultdict(list)
        for at, text in enumerate(self.lines, start=1):
            for word in set(_WORD.findall(text)):
                found[word].append(at)
        return found

    def nearest(self, line: str, near: int, *, after: int = 0, most: int = 1) -> list[int]:
        """The places of a line nearest to one, from `after` on, the nearest first, and of two as near the earlier one."""
        places = self._places.get(line, [])
        first = bisect_left(places, after)
        middle = bisect_left(places, near, lo=first)
        around = places[max(first, middle - most) : middle + most]
        return sorted(around, key=lambda place: (abs(place - near), place))[:most]


def relocated(content: Sequence[str], start_line: int, end_line: int, now: PresentLines) -> Relocation | None:
    """Find a chunk in the lines of the present file, the nearest place first; None where the file has no lines.

    A text that stands there as a whole is found, unless its rarest line stands at many nearer places. Else the chunk begins
    where its first line that is not blank stands now, nearest to where it was, and ends likewise; a line that is gone is taken
    to be where it was.

    Args:
        content: lines of the chunk as indexed; those of its children are left out.
        start_line: first line, 1-based.
        end_line: last line, inclusive.
        now: all lines of the file.
    """
    if not now.lines:
        return None
    wanted = [line.rstrip() for line in content]
    height = end_line - start_line
    if wanted and (place := _nearest_block(wanted, now, start_line - 1)) is not None:
        return Relocation(place + 1, place + 1 + max(height, len(wanted) - 1), None)
    if (place := _nearest_parts(wanted, now, start_line - 1, height)) is not None:
        return Relocation(place + 1, place + 1 + height, None)
    first = next((line for line in wanted if line), "")
    last = next((line for line in reversed(wanted) if line), "")
    begin = next(iter(now.nearest(first, start_line - 1) if first else ()), None)
    if begin is None:
        begin = min(start_line - 1, len(now.lines) - 1)
    expected = begin + height
    end = next(iter(now.nearest(last, expected, after=begin) if last != first else ()), None)
    if end is None or end - begin > 2 * height + len(wanted):
        end = min(expected, len(now.lines) - 1)
    return Relocation(begin + 1, end + 1, _first_of(now.lines[begin : end + 1]))


def _first_of(lines: Sequence[str]) -> tuple[str, ...]:
    left = MOST_CHARACTERS
    kept = []
    for line in lines[:MOST_LINES]:
        kept.append(line[:left])
        left -= len(line) + 1
        if left <= 0:
            break
    return tuple(kept)


def _nearest_block(wanted: Sequence[str], now: PresentLines, near: int) -> int | None:
    """Index at which all `wanted` lines stand in a row, nearest to `near`."""
    offset = min(range(len(wanted)), key=lambda at: now.count(wanted[at]))
    for place in now.nearest(wanted[offset], near + offset, most=_MOST_PLACES):
        begin = place - offset
        if begin >= 0 and now.stripped[begin : begin + len(wanted)] == wanted:
            return begin
    return None


def _nearest_parts(wanted: Sequence[str], now: PresentLines, near: int, height: int) -> int | None:
    """Index at which the lines of a chunk stand in order, with those of its children between them."""
    if len(wanted) > height or not wanted or not wanted[0]:
        return None
    begin = next(iter(now.nearest(wanted[0], near)), None)
    if begin is None or now.stripped[begin + height : begin + height + 1] != [wanted[-1]]:
        return None
    span = iter(now.stripped[begin : begin + height + 1])
    return begin if all(line in span for line in wanted) else None
