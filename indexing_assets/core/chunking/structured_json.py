"""JSON by member: plain, with comments, JSON lines, and notebooks.

Belongs here: one linear pass over the tokens, and what of it becomes an entry.
Does not belong here: the values' meaning; nothing is decoded but names.

Containers that are too small to matter are forgotten as soon as they close, so memory follows the large
ones. Broken input gives fewer entries, never an error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from indexing_assets.core.chunking.blocks import Block, Extraction
from indexing_assets.core.chunking.structured_spans import (
    MAX_DEPTH,
    MIN_BLOCK_BYTES,
    WHOLE_BLOCK_BYTES,
    finish,
    label,
    line_rest,
    line_start,
)
from indexing_assets.core.model import ChunkType

# An unclosed string ends with its line. What matters not (numbers, white space) is passed over in one step.
_TOKEN: Final = re.compile(
    rb"\"(?:[^\"\\\n]+|\\.)*+\"?|'(?:[^'\\\n]+|\\.)*+'?|//[^\n]*|/\*(?s:.*?)(?:\*/|\Z)|[\[{\]},]"
)
_COLON: Final = re.compile(rb"\s*:")
_SPACE: Final = re.compile(rb"\s*")
_OPEN: Final = frozenset(b"[{")
_CLOSE: Final = frozenset(b"]}")
_BRACE: Final = ord("{")
_COMMA: Final = ord(",")
_WHITE: Final = frozenset(b" \t\r\n")
_QUOTES: Final = frozenset(b"\"'")


@dataclass(slots=True)
class _Container:
    """An open `{` or `[`, its finished members, and the member that is being read."""

    is_object: bool
    name: str = ""
    start: int = 0
    item_start: int = 0
    item_name: str = ""
    count: int = 0
    first_point: int = 0  # how many break points there were when it opened
    members: list[Block] = field(default_factory=list)
    inner: list[Block] = field(default_factory=list)  # what the value of the member being read left


@dataclass(slots=True)
class _Reader:
    """One pass over the tokens; `stack` holds the open containers under a root for the whole file."""

    source: bytes
    cells: bool
    stack: list[_Container] = field(default_factory=lambda: [_Container(is_object=False)])
    points: list[int] = field(default_factory=list)

    def read(self) -> list[Block]:
        source = self.source
        for match in _TOKEN.finditer(source):
            token = source[match.start()]
            here = self.stack[-1]
            if token in _OPEN:
                self.stack.append(
                    _Container(
                        is_object=token == _BRACE,
                        name=here.item_name,
                        start=match.start(),
                        item_start=match.end(),
                        first_point=len(self.points),
                    )
                )
            elif token in _CLOSE:
                if len(self.stack) > 1:
                    self._end_item(match.start())
                    self._leave(match.end())
            elif token == _COMMA:
                self._end_item(match.end())
                here.item_start = match.end()
            elif token in _QUOTES and here.is_object and not here.item_name and _COLON.match(source, match.end()):
                here.item_name = label(match[0][1:-1])
        while len(self.stack) > 1:  # the text is cut off
            self._end_item(len(source))
            self._leave(len(source))
        return self.stack[0].members + self.stack[0].inner

    def _end_item(self, end: int) -> None:
        """Record the member of the innermost container that ends at `end`, its comma included."""
        here, source = self.stack[-1], self.source
        here.count += 1
        found = _SPACE.match(source, here.item_start, end)
        first = found.end() if found else here.item_start
        while end > first and source[end - 1] in _WHITE:
            end -= 1
        if first < end:
            start = line_start(source, first)
            self.points.append(start)
            is_cell = self.cells and not here.is_object and here.name == "cells"
            name = f"cell {here.count}" if is_cell else here.item_name if here.is_object else ""
            if name and end - first >= MIN_BLOCK_BYTES:
                stop = line_rest(source, end)
                here.members.append(Block(start, stop, ChunkType.ENTRY, name=name, children=here.inner))
            else:
                here.members += here.inner  # an item has no name: its members stand for it
        here.inner = []
        here.item_name = ""

    def _leave(self, end: int) -> None:
        """Close the innermost container; a small one is forgotten, and so are the members of a very deep one."""
        closed = self.stack.pop()
        if end - closed.start <= WHOLE_BLOCK_BYTES:
            del self.points[closed.first_point :]
        elif len(self.stack) <= 2 * MAX_DEPTH:
            self.stack[-1].inner += closed.members
        if len(self.stack) == 1:  # the next value of JSON lines
            self.points.append(line_rest(self.source, end))


def extract_json(source: bytes, language: str) -> Extraction:
    """Members of at least `MIN_BLOCK_BYTES`, nested where they are long; array items are places to cut.

    In a notebook the items of `cells` are entries too.
    """
    reader = _Reader(source, cells=language == "jupyter")
    return finish(reader.read(), reader.points, remainder_type=ChunkType.ENTRY)
