"""CSV and similar formats by record.

Belongs here: starts of records; a quoted field may span lines.
"""

from __future__ import annotations

import re
from typing import Final

from code_index.chunking.blocks import Extraction
from code_index.chunking.format_spec import FormatSpec
from code_index.core.model import ChunkType

_PART: Final = re.compile(rb'"[^"]*"?|\n(?=[^\r\n])')


def extract_csv(source: bytes) -> Extraction:
    """No blocks; break points at records."""
    points = [match.end() for match in _PART.finditer(source) if match[0] == b"\n"]
    return Extraction(break_points=points, remainder_type=ChunkType.TEXT)


FORMAT: Final = FormatSpec(name="csv", title="CSV", extensions="csv tsv psv", extract=extract_csv)
