"""AsciiDoc by section.

Belongs here: titles, blocks between delimiters, and the languages of source blocks. Does not belong here: other markup.
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

_LINE: Final = re.compile(
    rb"^(?:(?P<level>={1,6}|\#{1,6})[ \t]+(?P<title>[^\n]+)"
    rb"|(?P<verbatim>(?P<sign>[-.+/])(?P=sign){3,}|```)(?P<word>[ \t]*\w*)[ \t\r]*$"
    rb"|\[(?:source)?(?:%[\w%-]+)?[ \t]*,[ \t]*(?:language[ \t]*=[ \t]*)?\"?(?P<language>[\w+#-]{1,30})[^\n]*\][ \t\r]*$"
    rb"|(?P<underline>(?P<mark>[=~^+-])(?P=mark)+)[ \t\r]*$)",
    re.MULTILINE,
)
_LEVELS: Final = {b"=": 1, b"-": 2, b"~": 3, b"^": 4, b"+": 5}
_MARKUP: Final = re.compile(rb"\[\[[^\]\n]*\]\]|[`*]+|(?<!\w)_|_(?!\w)|\{[\w-]+\}")
_NO_TITLE: Final = re.compile(rb"[.\[|=#*\s:]|//")


def extract_asciidoc(source: bytes) -> Extraction:
    """Sections nested by level; what stands between delimiters of text as it is has none."""
    headings: list[Heading] = []
    parts: list[Part] = []
    points = paragraph_starts(source)
    position = 0
    language, language_end = b"", -1
    unclosed: set[bytes] = set()
    while (match := _LINE.search(source, position)) is not None:
        position = match.end()
        if match["title"] is not None:
            headings.append(Heading(match.start(), len(match["level"]), _name(match["title"])))
        elif match["language"] is not None:
            language, language_end = match["language"], match.end()
        elif (title := _underlined(source, match)) is not None:
            if not headings or title.start > headings[-1].start:
                headings.append(title)
        elif (mark := match["verbatim"]) is not None and mark not in unclosed:
            close = source.find(b"\n" + mark, position)
            if close < 0:
                unclosed.add(mark)
                continue
            follows = language_end >= 0 and not source[language_end : match.start()].strip()
            word = match["word"].strip() or (language if follows and mark[:1] in b"-." else b"")
            if word and close > position:
                parts.append(Part(word.decode(), ((position, close),), only_code=True))
            position = close + 1 + len(mark)
    found = finish(
        nested(headings, len(source)), points, remainder_type=ChunkType.TEXT, name_separator=" > ", whole_bytes=0
    )
    found.parts = parts
    return found


def _underlined(source: bytes, match: re.Match[bytes]) -> Heading | None:
    """The title that is underlined by as many signs as it has, give or take one."""
    line = match[0].rstrip()
    level = _LEVELS.get(line[:1])
    end = max(match.start() - 1, 0)
    start = source.rfind(b"\n", 0, end) + 1
    title = source[start:end].rstrip()
    if (
        level is None
        or not title
        or _NO_TITLE.match(title)
        or abs(len(title.decode("utf-8", "ignore")) - len(line)) > 1
    ):
        return None
    above = source[source.rfind(b"\n", 0, start - 1) + 1 : start] if start else b""
    return None if above.strip() and not above.startswith((b"[", b"//", b".")) else Heading(start, level, _name(title))


def _name(title: bytes) -> str:
    return label(_MARKUP.sub(b"", title[:2_000].rstrip(b" \t\r=#")))


FORMAT: Final = FormatSpec(
    name="asciidoc",
    title="AsciiDoc",
    revision=1,
    extensions="adoc asciidoc asc",
    has_parts=True,
    extract=extract_asciidoc,
)
