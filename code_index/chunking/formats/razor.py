"""Razor pages and Blazor components: HTML around blocks of C#.

Belongs here: where `@code` and `@functions` begin and end, and what a page uses. Does not belong here: the languages in it.
"""

from __future__ import annotations

import re
from typing import Final

from code_index.chunking.blocks import Extraction, Part
from code_index.chunking.format_spec import FormatSpec
from code_index.chunking.formats.html import extract_html
from code_index.chunking.hidden_text import Span, blanked

_TAG: Final = re.compile(
    rb"@\*(?s:.*?)(?:\*@|\Z)|^[ \t]*(?P<using>@(?:using|inherits|implements|addTagHelper)[ \t][^\n\r]*)"
    rb"|(?<![\w@])@(?:code|functions)\s*+(?P<opens>\{)",
    re.MULTILINE,
)
_TOKEN: Final = re.compile(
    rb"//[^\n]*|/\*(?s:.*?)(?:\*/|\Z)|\$?@\$?\"(?:[^\"]|\"\")*+\"?|\"(?:[^\"\\\n]|\\.)*+\"?|'(?:[^'\\\n]|\\.)*+'?|[{}]"
)


def extract_razor(source: bytes) -> Extraction:
    """The sections of the page, and each block of code as a part in C#."""
    hidden: list[Span] = []
    code: list[Span] = []
    used: list[re.Match[bytes]] = []
    position = 0
    while (match := _TAG.search(source, position)) is not None:
        position = match.end()
        if match["opens"]:
            end = _block_end(source, position)
            code.append((position, end))
            position = end
        elif match["using"]:
            used.append(match)
        hidden.append((match.start(), position))
    found = extract_html(blanked(source, hidden))
    found.parts += [Part("csharp", (span,), only_code=True) for span in code]
    found.imports = tuple(match["using"].decode("utf-8", "replace").strip() for match in used)
    found.import_offsets = tuple(match.start("using") for match in used)
    found.break_points = sorted({*found.break_points, *(start for start, _ in hidden)})
    return found


def _block_end(source: bytes, position: int) -> int:
    """The offset of the brace that ends the block which begins before `position`, or the end of the file."""
    depth = 1
    for token in _TOKEN.finditer(source, position):
        depth += (token[0] == b"{") - (token[0] == b"}")
        if not depth:
            return token.start()
    return len(source)


FORMAT: Final = FormatSpec(name="razor", title="Razor", revision=1, extensions="razor cshtml", extract=extract_razor)
