"""Blade templates: the sections that a page fills in, or the HTML where there are none, and scripts in both."""

from __future__ import annotations

import re
from typing import Final

from code_index.chunking.blocks import Block, Extraction
from code_index.chunking.format_spec import FormatSpec
from code_index.chunking.formats.html import extract_html
from code_index.chunking.formats.text import paragraph_starts
from code_index.chunking.spans import label, line_rest, line_start
from code_index.core.model import ChunkType

_NAME: Final = rb"\(\s*+(?P<quote>['\"])(?P<name>[^'\"\n]{1,200}+)(?P=quote)"
_TAG: Final = re.compile(
    rb"\{\{--(?s:.*?)(?:--\}\}|\Z)|@verbatim\b(?s:.*?)(?:@endverbatim\b|\Z)"
    rb"|(?<![\w@])@(?:(?P<uses>extends|include\w*|each|livewire|use|inject)(?=\()"
    rb"|(?P<opens>section|push|pushOnce|prepend|component|slot|fragment)(?=\()"
    rb"|(?P<ends>show|stop|append|overwrite|endsection|endpush|endPushOnce|endprepend|endcomponent|endslot|endfragment)\b)"
    rb"(?:" + _NAME + rb"\s*+(?P<alone>,)?)?"
)
_MAX_OPEN: Final = 32


def extract_blade(source: bytes) -> Extraction:
    """Sections by their names, nested; those that are written in one call (`@section('title', 'Orders')`) are text."""
    top: list[Block] = []
    opened: list[Block] = []
    uses: list[tuple[int, str]] = []
    for match in _TAG.finditer(source):
        if match["uses"] and match["name"]:
            uses.append((match.start(), f"@{match['uses'].decode()}('{label(match['name'])}')"))
        elif match["opens"] and len(opened) < _MAX_OPEN:
            if match["opens"] in {b"section", b"slot"} and match["alone"]:
                continue
            name = label(match["name"] or match["opens"])
            block = Block(line_start(source, match.start()), len(source), ChunkType.SECTION, name)
            (opened[-1].children if opened else top).append(block)
            opened.append(block)
        elif match["ends"] and opened:
            opened.pop().end = line_rest(source, match.end("ends"))
    found = extract_html(source)
    if top:
        points = paragraph_starts(source)
        found = Extraction(blocks=top, break_points=points, remainder_type=ChunkType.TEXT, parts=found.parts)
    found.import_offsets = tuple(offset for offset, _ in uses)
    found.imports = tuple(name for _, name in uses)
    return found


FORMAT: Final = FormatSpec(name="blade", title="Blade", revision=1, extensions="blade.php", extract=extract_blade)
