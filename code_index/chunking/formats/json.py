"""JSON by member: plain, with comments, and JSON lines.

Belongs here: one linear pass over the tokens, and the choice of entries.
Does not belong here: the meaning of values; only names are decoded.

Containers that are too small to matter are dropped as soon as they close, so memory grows only with the large
ones. Broken input gives fewer entries, never an error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from code_index.chunking.blocks import Block, Extraction
from code_index.chunking.format_spec import FormatSpec
from code_index.chunking.spans import (
    MAX_DEPTH,
    MIN_BLOCK_BYTES,
    WHOLE_BLOCK_BYTES,
    finish,
    label,
    line_rest,
    line_start,
)
from code_index.core.model import ChunkType

# An unclosed string ends with its line. Irrelevant text (numbers, white space) is skipped in one step.
_TOKEN: Final = re.compile(
    rb"\"(?:[^\"\\\n]+|\\.)*+\"?|'(?:[^'\\\n]+|\\.)*+'?|//[^\n]*|/\*(?s:.*?)(?:\*/|\Z)|[\[{\]},]"
)
_COLON: Final = re.compile(rb"\s*:")
_SPACE: Final = re.compile(rb"\s*")
_OPEN: Final = frozenset(b"[{")
_CLOSE: Final = frozenset(b"]}")
_TITLES: Final = frozenset({"name", "id", "title", "key", "label", "slug", "operationId"})
_MAX_OPEN: Final = 4 * MAX_DEPTH
"""Maximum of open containers; deeper ones are part of their parent's text."""
_BRACE: Final = ord("{")
_COMMA: Final = ord(",")
_WHITE: Final = frozenset(b" \t\r\n")
_QUOTES: Final = frozenset(b"\"'")


@dataclass(slots=True)
class _Container:
    """An open `{` or `[`, its finished members, and the member being read."""

    is_object: bool
    start: int = 0
    item_start: int = 0
    item_name: str = ""
    first_point: int = 0  # number of break points when it opened
    members: list[Block] = field(default_factory=list)
    title: str = ""  # value of the first member that names the object
    item_title: str = ""  # title of the item being read
    inner: list[Block] = field(default_factory=list)  # entries in the value of the member being read


@dataclass(slots=True)
class _Reader:
    """One pass over the tokens; `stack` holds the open containers under a root for the whole file."""

    source: bytes
    stack: list[_Container] = field(default_factory=lambda: [_Container(is_object=False)])
    points: list[int] = field(default_factory=list)
    values: int = 0  # at the top: more than one in JSON lines
    skipped: int = 0  # containers that are open beyond the deepest one that counts

    def read(self) -> list[Block]:
        source = self.source
        for match in _TOKEN.finditer(source):
            token = source[match.start()]
            here = self.stack[-1]
            if self.skipped or (token in _OPEN and len(self.stack) > _MAX_OPEN):
                self.skipped += (token in _OPEN) - (token in _CLOSE)
            elif token in _OPEN:
                self.stack.append(
                    _Container(
                        is_object=token == _BRACE,
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
            elif token in _QUOTES and here.is_object:
                self._take_string(match)
        while len(self.stack) > 1:  # the text is cut off
            self._end_item(len(source))
            self._leave(len(source))
        return self.stack[0].inner if self.values == 1 else []

    def _take_string(self, match: re.Match[bytes]) -> None:
        """A member's name, or a value that names the object."""
        here = self.stack[-1]
        if not here.item_name:
            here.item_name = label(match[0][1:-1]) if _COLON.match(self.source, match.end()) else ""
        elif not here.title and here.item_name in _TITLES:
            here.title = label(match[0][1:-1])

    def _end_item(self, end: int) -> None:
        """Record the member of the innermost container that ends at `end`, its comma included."""
        here, source = self.stack[-1], self.source
        found = _SPACE.match(source, here.item_start, end)
        first = found.end() if found else here.item_start
        while end > first and source[end - 1] in _WHITE:
            end -= 1
        if first < end:
            start = line_start(source, first)
            self.points.append(start)
            name = here.item_name if here.is_object else here.item_title
            if name and end - first >= MIN_BLOCK_BYTES:
                stop = line_rest(source, end)
                here.members.append(Block(start, stop, ChunkType.ENTRY, name=name, children=here.inner))
        here.inner = []
        here.item_name = here.item_title = ""

    def _leave(self, end: int) -> None:
        """Close the innermost container; drop a small one."""
        closed = self.stack.pop()
        outer = self.stack[-1]
        outer.item_title = closed.title
        if end - closed.start > WHOLE_BLOCK_BYTES:
            outer.inner = closed.members
        else:
            del self.points[closed.first_point :]
        if len(self.stack) == 1:
            self.values += 1
            self.points.append(line_rest(self.source, end))  # the next value of JSON lines


def extract_json(source: bytes) -> Extraction:
    """Members of at least `MIN_BLOCK_BYTES`, nested where they are long.

    Array items are entries when a member names them (`name`, `id`, ...); other items, and the values of JSON lines, are
    break points.
    """
    reader = _Reader(source)
    return finish(reader.read(), reader.points, remainder_type=ChunkType.ENTRY)


FORMAT: Final = FormatSpec(
    name="json",
    title="JSON",
    extensions="json jsonc json5 jsonl ndjson geojson topojson webmanifest avsc har code-workspace jsonld",
    file_names=".babelrc .eslintrc .jshintrc .jscsrc .watchmanconfig composer.lock pipfile.lock flake.lock deno.lock "
    "package.resolved",
    extract=extract_json,
)
