"""The lines of a hit to show, where not all of them are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from code_index.core.lines import lines_of

_MOST_WORDS: Final = 200  # of a query that is a page of text; each is looked for in each line


def snippet(lines: Sequence[str], words: Sequence[str], *, height: int) -> tuple[int, list[str]]:
    """Pick the part of a chunk to show: the window of lines with most of the words.

    Args:
        lines: of a chunk.
        words: lower-case words of the query.
        height: lines to show at most.

    Returns:
        Offset of the first line shown, from 0, and the lines.
    """
    if len(lines) <= height:
        return 0, list(lines)
    hits = [sum(word in line.lower() for word in words[:_MOST_WORDS]) for line in lines]
    best = start = 0
    for offset in range(len(lines) - height + 1):
        score = sum(hits[offset : offset + height])
        if score > best:
            best, start = score, offset
    return start, list(lines[start : start + height])


def snippet_of(content: str, words: Sequence[str], *, height: int) -> tuple[int, list[str], int]:
    """Pick the window of a text as `snippet` does; also the number of all its lines."""
    lines = lines_of(content)
    return *snippet(lines, words, height=height), len(lines)
