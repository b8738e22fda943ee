"""Finding the lines of a chunk again in a file that was edited since.

Belongs here: comparing lines, pure and in time linear in the file. Does not belong here: reading files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Relocation:
    """Lines of a chunk in the present file, 1-based and inclusive; `lines` are their text where that differs, else None."""

    start_line: int
    end_line: int
    lines: tuple[str, ...] | None


def relocated(content: Sequence[str], start_line: int, end_line: int, now: Sequence[str]) -> Relocation | None:
    """Find a chunk in the lines of the present file, the nearest place first; None where the file has no lines.

    A text that stands there as a whole is found wherever it is. Else the chunk begins where its first line that is not blank
    stands now, nearest to where it was, and ends likewise; a line that is gone is taken to be where it was.

    Args:
        content: lines of the chunk as indexed; those of its children are left out.
        start_line: first line, 1-based.
        end_line: last line, inclusive.
        now: all lines of the file.
    """
    if not now:
        return None
    wanted = [line.rstrip() for line in content]
    stripped = [line.rstrip() for line in now]
    height = end_line - start_line
    if wanted and (place := _nearest_block(wanted, stripped, start_line - 1)) is not None:
        return Relocation(place + 1, place + 1 + max(height, len(wanted) - 1), None)
    if (place := _nearest_parts(wanted, stripped, start_line - 1, height)) is not None:
        return Relocation(place + 1, place + 1 + height, None)
    first = next((line for line in wanted if line), "")
    last = next((line for line in reversed(wanted) if line), "")
    begin = _nearest(first, stripped, start_line - 1)
    if begin is None:
        begin = min(start_line - 1, len(now) - 1)
    expected = begin + height
    end = _nearest(last, stripped, expected, after=begin) if last != first else None
    if end is None or end - begin > 2 * height + len(wanted):
        end = min(expected, len(now) - 1)
    return Relocation(begin + 1, end + 1, tuple(now[begin : end + 1]))


def _nearest_block(wanted: Sequence[str], lines: Sequence[str], near: int) -> int | None:
    """Index at which all `wanted` lines stand in a row, nearest to `near`."""
    text, whole = "\n".join(["", *lines, ""]), "\n".join(["", *wanted, ""])
    best: int | None = None
    at, line, counted = text.find(whole), 0, 0
    while at >= 0:
        line += text.count("\n", counted, at)
        counted = at
        if best is None or abs(line - near) < abs(best - near):
            best = line
        if line > near:
            break
        at = text.find(whole, at + 1)
    return best


def _nearest_parts(wanted: Sequence[str], lines: Sequence[str], near: int, height: int) -> int | None:
    """Index at which the lines of a chunk stand in order, with those of its children between them."""
    if len(wanted) > height or not wanted:
        return None
    begin = _nearest(wanted[0], lines, near)
    if begin is None or begin + height >= len(lines) or lines[begin + height] != wanted[-1]:
        return None
    span = iter(lines[begin : begin + height + 1])
    return begin if all(line in span for line in wanted) else None


def _nearest(line: str, lines: Sequence[str], near: int, *, after: int = 0) -> int | None:
    """Index of the line's nearest stand, from `after` on."""
    if not line:
        return None
    places = (place for place in range(after, len(lines)) if lines[place] == line)
    return min(places, key=lambda place: abs(place - near), default=None)
