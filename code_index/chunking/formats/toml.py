"""TOML by table.

Belongs here: tables, arrays of tables and long keys.
Does not belong here: values, which are only skipped.
"""

from __future__ import annotations

import re
from typing import Final

from code_index.chunking.blocks import Block, Extraction
from code_index.chunking.format_spec import FormatSpec
from code_index.chunking.spans import WHOLE_BLOCK_BYTES, finish, label
from code_index.core.model import ChunkType

_TOKEN: Final = re.compile(
    rb'"""(?:[^"\\]+|\\(?s:.)|"(?!""))*+(?:"{3,5}|\Z)|\'\'\'(?s:.*?)(?:\'{3,5}|\Z)|"(?:[^"\\\n]+|\\.)*+"?|\'[^\'\n]*\'?'
    rb"|\#[^\n]*|[\[\]{}]|\n"
)
_LINE: Final = re.compile(
    rb"""[ \t]*+(?:
      (?P<brackets>\[{1,2}+)(?P<table>(?:[^\[\]\n"']|"[^"\n]*"|'[^'\n]*')++)\]{1,2}[ \t\r]*+(?:\#[^\n]*)?(?=\n|\Z)
    | (?P<key>(?:[\w.\-\ \t]|"[^"\n]*"|'[^'\n]*')++)=
    | (?P<comment>\#)
    | (?P<blank>\r*(?=\n|\Z)))""",
    re.VERBOSE,
)
_QUOTES: Final = "\"'"
_NAME_KEYS: Final = frozenset({b"name", b"id"})


def extract_toml(source: bytes) -> Extraction:
    """Tables by their full name, arrays of tables with their `name`; long tables by their long keys."""
    if len(source) <= WHOLE_BLOCK_BYTES:
        return finish([], [], remainder_type=ChunkType.SECTION)
    reader = _Reader(source)
    reader.read()
    return finish(reader.blocks, reader.points, remainder_type=ChunkType.SECTION)


class _Reader:
    """One pass over the lines that begin a table or a key."""

    def __init__(self, source: bytes) -> None:
        self.source = source
        self.blocks: list[Block] = []
        self.points: list[int] = []
        self.table: Block | None = None
        self.is_array = False
        self.key: Block | None = None

    def read(self) -> None:
        comment = -1  # start of the comment lines directly above
        for at in _statement_lines(self.source):
            line = _LINE.match(self.source, at)
            if line is None or line["blank"] is not None:
                comment = -1
            elif line["comment"] is not None:
                comment = comment if comment >= 0 else at
            else:
                self._begin(line, comment if comment >= 0 else at)
                comment = -1
        self._end(len(self.source), table_too=True)

    def _begin(self, line: re.Match[bytes], start: int) -> None:
        self.points.append(start)
        if line["table"] is not None:
            self._end(start, table_too=True)
            self.is_array = line["brackets"] == b"[["
            self.table = Block(start=start, end=start, chunk_type=ChunkType.SECTION, name=label(line["table"]))
            self.blocks.append(self.table)
            return
        self._end(start, table_too=False)
        self.key = Block(start=start, end=start, chunk_type=ChunkType.ENTRY, name=label(line["key"]))
        if self.table is None:
            self.blocks.append(self.key)
            return
        self.table.children.append(self.key)
        if self.is_array and len(self.table.children) == 1 and line["key"].strip() in _NAME_KEYS:
            value = label(self.source[line.end() : _line_end(self.source, line.end())])
            self.table.name = f"{self.table.name}.{value.strip(_QUOTES)}"

    def _end(self, end: int, *, table_too: bool) -> None:
        if self.key is not None:
            self.key.end = end
        self.key = None
        if table_too and self.table is not None:
            self.table.end = end


def _line_end(source: bytes, offset: int) -> int:
    end = source.find(b"\n", offset)
    return len(source) if end < 0 else end


def _statement_lines(source: bytes) -> list[int]:
    """Starts of the lines that no multi-line value covers."""
    starts = [0]
    depth = 0
    for match in _TOKEN.finditer(source):
        token = match[0]
        if token == b"\n":
            if not depth:
                starts.append(match.end())
        elif token in {b"[", b"{"}:
            depth += 1
        elif token in {b"]", b"}"} and depth:
            depth -= 1
    return [start for start in starts if start < len(source)]


FORMAT: Final = FormatSpec(
    name="toml",
    title="TOML",
    extensions="toml",
    file_names="cargo.lock poetry.lock uv.lock pdm.lock pipfile gopkg.lock pylock.toml",
    extract=extract_toml,
)
