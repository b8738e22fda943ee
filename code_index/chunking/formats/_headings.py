"""Sections by headings of levels, with other named parts in them.

Belongs here: nesting. Does not belong here: what a heading is in a format.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from code_index.chunking.blocks import Block
from code_index.core.model import ChunkType


class Heading(NamedTuple):
    """Start of a section, its level from 1 for the outermost, and its name."""

    start: int
    level: int
    name: str


def nested(headings: Iterable[Heading], size: int, parts: Iterable[Block] = ()) -> list[Block]:
    """Sections that last until the next heading of their level or above; each part in the innermost one around it.

    Both are in order, and no part has a heading in it. `size` is the length of the text in bytes.
    """
    top: list[Block] = []
    opened: list[tuple[int, Block]] = []
    waiting = [*parts][::-1]

    def siblings() -> list[Block]:
        return opened[-1][1].children if opened else top

    for heading in headings:
        while waiting and waiting[-1].start < heading.start:
            siblings().append(waiting.pop())
        while opened and opened[-1][0] >= heading.level:
            opened.pop()[1].end = heading.start
        section = Block(heading.start, size, ChunkType.SECTION, heading.name)
        siblings().append(section)
        opened.append((heading.level, section))
    siblings().extend(waiting[::-1])
    return top
