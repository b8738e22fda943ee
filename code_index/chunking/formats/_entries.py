"""Files of one entry a line, which may go on in the next.

Belongs here: what properties and requirements share. Does not belong here: what an entry is called.
"""

from __future__ import annotations

import re

from code_index.chunking.blocks import Block, Extraction
from code_index.chunking.spans import finish, label
from code_index.core.model import ChunkType


def extract_entries(source: bytes, line: re.Pattern[bytes]) -> Extraction:
    """Entries from the comments directly above them; `line` matches one with its groups `name`, `comment` and `blank`."""
    blocks: list[Block] = []
    points: list[int] = []
    comment = -1
    for match in line.finditer(source):
        if match["comment"] is not None:
            comment = comment if comment >= 0 else match.start()
            continue
        start = comment if comment >= 0 else match.start()
        comment = -1
        if match["blank"] is not None:
            continue
        points.append(start)
        if match["name"] is not None and match.end() > start:
            end = match.end() + source.startswith(b"\n", match.end())
            blocks.append(Block(start, end, ChunkType.ENTRY, label(match["name"])))
    return finish(blocks, points, remainder_type=ChunkType.ENTRY)
