"""Files of lines with comments above them: an entry a line, or sections of such.

Belongs here: what INI, properties and requirements share. Does not belong here: what an entry is called.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from code_index.chunking.blocks import Block, Extraction
from code_index.chunking.spans import finish, label
from code_index.core.model import ChunkType


def lines_with_comments(source: bytes, line: re.Pattern[bytes]) -> Iterator[tuple[int, re.Match[bytes]]]:
    """Each line that is neither blank nor a comment, with the offset at which the comments directly above it begin.

    `line` matches one line, or an entry of several, with the groups `comment` and `blank`.
    """
    comment = -1
    for match in line.finditer(source):
        if match["comment"] is not None:
            comment = comment if comment >= 0 else match.start()
            continue
        start = comment if comment >= 0 else match.start()
        comment = -1
        if match["blank"] is None:
            yield start, match


def extract_entries(source: bytes, line: re.Pattern[bytes]) -> Extraction:
    """Entries from the comments directly above them; `line` has the group `name` as well."""
    blocks: list[Block] = []
    points: list[int] = []
    for start, match in lines_with_comments(source, line):
        points.append(start)
        if match["name"] is not None and match.end() > start:
            end = match.end() + source.startswith(b"\n", match.end())
            blocks.append(Block(start, end, ChunkType.ENTRY, label(match["name"])))
    return finish(blocks, points, remainder_type=ChunkType.ENTRY)
