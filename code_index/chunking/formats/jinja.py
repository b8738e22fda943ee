"""Jinja templates: macros and blocks.

Belongs here: what a template names. Does not belong here: the language around it, which may be any.
"""

from __future__ import annotations

import re
from typing import Final

from code_index.chunking.blocks import Block, Extraction
from code_index.chunking.format_spec import FormatSpec
from code_index.chunking.formats.text import paragraph_starts
from code_index.chunking.spans import line_rest, line_start
from code_index.core.model import ChunkType, Parameter

_TAG: Final = re.compile(
    rb"\{#(?s:.*?)(?:#\}|\Z)|\{%[-+]?\s*+(?:raw|verbatim)\b(?s:.*?)(?:\bend(?:raw|verbatim)\b|\Z)"
    rb"|\{%[-+]?\s*+(?:(?P<opens>macro|block)\s++(?P<name>\w++)\s*+(?P<values>\([^)%]*+\))?|end(?P<closes>macro|block)\b)"
)
_MAX_OPEN: Final = 32
_MAX_TAG_REST: Final = 200  # the name of what ends


def extract_jinja(source: bytes) -> Extraction:
    """Macros as functions and blocks as sections, nested."""
    top: list[Block] = []
    opened: list[tuple[bytes, Block]] = []
    position = 0
    while (match := _TAG.search(source, position)) is not None:
        position = match.end()
        if match["opens"] and len(opened) < _MAX_OPEN:
            kind = ChunkType.FUNCTION if match["opens"] == b"macro" else ChunkType.SECTION
            block = Block(line_start(source, match.start()), len(source), kind, match["name"].decode())
            values = (match["values"] or b"").decode("utf-8", "replace").strip("()").split(",")
            if kind is ChunkType.FUNCTION:
                block.parameters = tuple(_parameter(value) for value in values if value.strip())
            (opened[-1][1].children if opened else top).append(block)
            opened.append((match["opens"], block))
        elif match["closes"] and opened and opened[-1][0] == match["closes"]:
            end = source.find(b"%}", position, position + _MAX_TAG_REST)
            opened.pop()[1].end = line_rest(source, position if end < 0 else end + 2)
    # What is never closed ends with the block around it.
    return Extraction(blocks=top, break_points=paragraph_starts(source), remainder_type=ChunkType.TEXT)


def _parameter(value: str) -> Parameter:
    name, _, default = value.partition("=")
    return Parameter(name.strip(), default=default.strip() or None)


FORMAT: Final = FormatSpec(name="jinja", title="Jinja", revision=1, extensions="j2 jinja jinja2", extract=extract_jinja)
