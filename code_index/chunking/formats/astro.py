"""Astro components: TypeScript between two lines of dashes, then HTML."""

from __future__ import annotations

import re
from typing import Final

from code_index.chunking.blocks import Extraction, Part
from code_index.chunking.format_spec import FormatSpec
from code_index.chunking.formats.html import extract_html
from code_index.chunking.hidden_text import blanked

_FRONT_MATTER: Final = re.compile(rb"\A\s*---[ \t]*\r?\n(?P<code>.*?)^---", re.MULTILINE | re.DOTALL)


def extract_astro(source: bytes) -> Extraction:
    """The sections of the page; the code above them is a part in TypeScript."""
    front = _FRONT_MATTER.match(source)
    if front is None:
        return extract_html(source)
    found = extract_html(blanked(source, [front.span()]))
    found.parts.insert(0, Part("typescript", (front.span("code"),)))
    found.break_points = sorted({front.end(), *found.break_points})
    return found


FORMAT: Final = FormatSpec(
    name="astro", title="Astro", revision=1, extensions="astro", has_parts=True, extract=extract_astro
)
