"""Pages with code between `<%` and `%>`: HTML around it, and the code as one text.

Belongs here: the delimiters that ERB, EJS, HEEx and JSP share. Does not belong here: the languages in them.
"""

from __future__ import annotations

from collections.abc import Callable

from code_index.chunking.blocks import Extraction, Part
from code_index.chunking.formats.html import extract_html
from code_index.chunking.hidden_text import Span, blanked


def template(word: str) -> Callable[[bytes], Extraction]:
    """The extractor of a template whose code is in the language of that name."""

    def extract(source: bytes) -> Extraction:
        tags, code = _tags(source)
        extraction = extract_html(blanked(source, tags))
        if code:
            extraction.parts.append(Part(word, tuple(code), only_code=True, joint=b";"))
        return extraction

    return extract


def _tags(source: bytes) -> tuple[list[Span], list[Span]]:
    """The spans of all tags, and of the code in those that are neither comments nor directives."""
    tags: list[Span] = []
    code: list[Span] = []
    position = 0
    while (start := source.find(b"<%", position)) >= 0:
        mark = source[start + 2 : start + 4]
        if mark[:1] == b"%":  # stands for the two characters
            position = start + 3
            continue
        close = b"--%>" if mark == b"--" else b"%>"
        found = source.find(close, start + 2)
        if found < 0:
            break
        position = found + len(close)
        tags.append((start, position))
        if mark != b"--" and mark[:1] not in {b"#", b"@"}:
            first, last = start + 2, found
            while first < last and source[first] in b"=!-_":
                first += 1
            while last > first and source[last - 1] in b"-_":
                last -= 1
            if source[first:last].strip():
                code.append((first, last))
    return tags, code
