"""Text without known structure: only its break points.

Belongs here: paragraphs of prose and of languages without a grammar, records of logs.
"""

from __future__ import annotations

import re
from typing import Final

from code_index.chunking.blocks import Extraction
from code_index.chunking.file_type import TEXT
from code_index.chunking.format_spec import FormatSpec
from code_index.core.model import ChunkType

_PARAGRAPH: Final = re.compile(rb"\n[ \t\r]*\n(?=[^\r\n])")
_RECORD: Final = re.compile(rb"\n(?=[^ \t\r\n])")
_MIN_PARAGRAPHS_PER_BYTE: Final = 1 / 4_000


def paragraph_starts(source: bytes, start: int = 0, end: int | None = None) -> list[int]:
    """Offsets in [start, end), in order, of the lines that follow a blank line."""
    return [match.end() for match in _PARAGRAPH.finditer(source, start, len(source) if end is None else end)]


def extract_text(source: bytes) -> Extraction:
    """No blocks; break points at paragraphs, or at records where paragraphs are rare (logs, tables).

    A record starts at a line that is not indented, so a stack trace stays with its message.
    """
    points = paragraph_starts(source)
    if len(points) < len(source) * _MIN_PARAGRAPHS_PER_BYTE:
        points = [match.end() for match in _RECORD.finditer(source)]
    return Extraction(break_points=points, remainder_type=ChunkType.TEXT)


FORMAT: Final = FormatSpec(name=TEXT, title="text", extensions="txt log text", extract=extract_text)
