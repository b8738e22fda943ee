"""Structured files to blocks."""

from __future__ import annotations

from typing import Final

from code_index.chunking.blocks import Extraction
from code_index.chunking.file_type import TEXT
from code_index.chunking.registry import FORMATS

_BOM: Final = b"\xef\xbb\xbf"


def extract_structured(source: bytes, language: str) -> Extraction:
    """The named parts of a file; any other language is read as plain text.

    `source` is valid UTF-8.
    """
    if source.startswith(_BOM):
        source = b"\n" * len(_BOM) + source[len(_BOM) :]  # keeps offsets, and the first line starts without the mark
    return FORMATS.get(language, FORMATS[TEXT]).extract(source)
