"""The specification of a structured format.

Belongs here: `FormatSpec`. Does not belong here: any one format (`formats`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from code_index.chunking.blocks import Extraction
from code_index.chunking.file_type import FileType


class Rendered(NamedTuple):
    """The text of a file that holds text only within strings.

    `text` is valid UTF-8, `lines` has the line of the file, from 1, on which each of its lines stands, and `language`
    is that whose extractor reads it.
    """

    text: bytes
    lines: tuple[int, ...]
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatSpec(FileType):
    """A format and its extractor.

    `extract` gets valid UTF-8 without a byte order mark and gives blocks in order, nested, without overlap. It
    accepts every text (malformed parts only give fewer blocks) in time linear in its length.
    `has_parts` says that it may hold other languages, which their own extractors read.
    With `render` the chunks are those of the text that it gives; where it gives none, `extract` reads the file.
    """

    extract: Callable[[bytes], Extraction]
    has_parts: bool = False
    render: Callable[[bytes], Rendered | None] | None = None
