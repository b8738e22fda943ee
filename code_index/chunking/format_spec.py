"""The specification of a structured format.

Belongs here: `FormatSpec`. Does not belong here: any one format (`formats`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from code_index.chunking.blocks import Extraction
from code_index.chunking.file_type import FileType


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatSpec(FileType):
    """A format and its extractor.

    `extract` gets valid UTF-8 without a byte order mark and gives blocks in order, nested, without overlap. It
    accepts every text (malformed parts only give fewer blocks) in time linear in its length.
    """

    extract: Callable[[bytes], Extraction]
