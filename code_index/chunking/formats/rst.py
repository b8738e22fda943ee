"""reStructuredText by section.

Belongs here: titles, and the languages of code in directives. Does not belong here: other markup.
"""

from __future__ import annotations

import re
from typing import Final

from code_index.chunking.blocks import Extraction, Part
from code_index.chunking.format_spec import FormatSpec
from code_index.chunking.formats._headings import Heading, nested
from code_index.chunking.formats.text import paragraph_starts
from code_index.chunking.spans import finish, label
from code_index.core.model import ChunkType

_LINE: Final = re.compile(rb"([^\n]*)(?:\n|\Z)")
_ADORNMENT: Final = re.compile(rb"([!-/:-@\[-`{-~])\1++[ \t\r]*+\Z")
_CODE: Final = re.compile(
    rb"(?P<indent>[ \t]*)\.\. (?:code-block|code|sourcecode|testcode|ipython|jupyter-execute)::[ \t]*(?P<word>[\w+#.-]*)"
)
_OPTION: Final = re.compile(rb"[ \t]+:[\w-]+:")
_MARKUP: Final = re.compile(rb":[\w:.-]+:(?=`)|[`*|]|(?<=\w)_\b(?!\w)")
_MIN_SHORT: Final = 4  # an underline of so many signs may be shorter than its title
_WITHOUT_WORD: Final = {b"ipython": b"python", b"jupyter-execute": b"python", b"testcode": b"python"}


def extract_rst(source: bytes) -> Extraction:
    """Sections nested by the order in which their kinds of underline first appear."""
    headings: list[Heading] = []
    styles: list[tuple[bytes, bool]] = []
    parts: list[Part] = []
    lines = [(found.start(), found[1].rstrip()) for found in _LINE.finditer(source)]
    index = 0
    while index < len(lines):
        text = lines[index][1]
        index += 1
        if b"::" in text and (code := _CODE.match(text)) is not None:
            index = _code(lines, index, code, parts)
        elif text and text[0] == text[-1] and _is_underline(lines, index - 1):
            title_start, title = lines[index - 2]
            above = lines[index - 3][1] if index > 2 else b""  # noqa: PLR2004 - the line above the title
            has_overline = _ADORNMENT.match(above) is not None and above[:1] == text[:1]
            if not (has_overline or (not above.strip() and title[:1] not in b" \t")):
                continue
            style = text[:1], has_overline
            if style not in styles:
                styles.append(style)
            at = lines[index - 3][0] if has_overline else title_start
            headings.append(Heading(at, styles.index(style) + 1, label(_MARKUP.sub(b"", title))))
    found = finish(
        nested(headings, len(source)),
        paragraph_starts(source),
        remainder_type=ChunkType.TEXT,
        name_separator=" > ",
        whole_bytes=0,
    )
    found.parts = parts
    return found


def _is_underline(lines: list[tuple[int, bytes]], index: int) -> bool:
    """Tell whether a line only of signs stands below a title."""
    text = lines[index][1]
    if not index or not _ADORNMENT.match(text):
        return False
    title = lines[index - 1][1]
    is_text = bool(title.strip()) and not _ADORNMENT.match(title) and not title.startswith(b".. ")
    return is_text and len(text) >= min(len(title.strip().decode("utf-8", "ignore")), _MIN_SHORT)


def _code(lines: list[tuple[int, bytes]], index: int, code: re.Match[bytes], parts: list[Part]) -> int:
    """Note the code of a directive; return the index of the line after it."""
    indent = len(code["indent"])
    while index < len(lines) and _OPTION.match(lines[index][1]):
        index += 1
    first = index
    last = index
    while index < len(lines):
        text = lines[index][1]
        if text and len(text) - len(text.lstrip(b" \t")) <= indent:
            break
        index += 1
        last = index if text else last
    directive = code[0].partition(b".. ")[2].partition(b"::")[0]
    word = code["word"] or _WITHOUT_WORD.get(directive, b"")
    if word and last > first:
        parts.append(
            Part(word.decode(), ((lines[first][0], lines[last - 1][0] + len(lines[last - 1][1])),), only_code=True)
        )
    return index


FORMAT: Final = FormatSpec(
    name="rst", title="reStructuredText", revision=1, extensions="rst rest", has_parts=True, extract=extract_rst
)
