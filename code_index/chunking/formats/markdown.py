"""Markdown by heading.

Belongs here: headings, their look-alikes, front matter, and the languages of fenced code.
Does not belong here: inline markup beyond what a heading's name needs.
"""

from __future__ import annotations

import re
from typing import Final

from code_index.chunking.blocks import Extraction, Part
from code_index.chunking.format_spec import FormatSpec
from code_index.chunking.formats._headings import Heading, nested
from code_index.chunking.spans import finish, label
from code_index.core.model import ChunkType

# One alternative per kind of line; a list may indent the fences in it.
_LINE: Final = re.compile(
    rb"^(?:[ \t]*(?P<fence>`{3,}|~{3,})(?P<info>[^\n]*)"
    rb"|[ ]{0,3}(?P<marks>\#{1,6})(?:[ \t]+(?P<title>[^\n]*)|\r?$)"
    rb"|[ ]{0,3}(?P<underline>=+|-{2,})[ \t\r]*$"
    rb"|[ \t]*(?P<comment><!--)"
    rb"|(?P<item>[ \t]*(?:[-*+]|[0-9]{1,9}[.)])[ \t])"
    rb"|(?P<blank>[ \t\r]*\n(?=[^\r\n])))",
    re.MULTILINE,
)
_WORD: Final = re.compile(rb"[ \t]*\{?[ \t]*\.?([\w+#-]{1,30})")
"""The language after a fence, as in `python title="x"`, `{r, echo=FALSE}` and `{.rust}`."""

_FRONT_MATTER: Final = re.compile(
    rb"\A\s*(?P<mark>---|\+\+\+)[ \t]*\r?\n(?:[\"'\w][^\n]*[:=].*?)?^(?P=mark)[ \t]*\r?(?:\n|\Z)",
    re.MULTILINE | re.DOTALL,
)
_NO_PARAGRAPH: Final = re.compile(rb"[ ]{4}|\t|[ ]{0,3}(?:[-*+>|#]|[0-9]{1,9}[.)][ \t]|```|~~~|</?\w|<!--)|[ \t\r]*$")
_CLOSING_MARKS: Final = re.compile(rb"(?:\A|[ \t]+)#+[ \t\r]*\Z")
_ANCHOR: Final = re.compile(rb"[ \t]*\{#[^}\n]*\}[ \t\r]*\Z")
_IMAGE: Final = re.compile(rb"!\[[^\]\n]{0,500}\]\([^)\n]{0,500}\)")
_LINK: Final = re.compile(rb"\[([^\]\n]{1,500})\](?:\([^)\n]{0,500}\)|\[[^\]\n]{0,100}\])")
_MARKUP: Final = re.compile(rb"[`*]+|</?\w[^>\n]{0,200}>")


def extract_markdown(source: bytes) -> Extraction:
    """Sections nested by heading level; a section lasts until the next heading of its level or above."""
    front = _FRONT_MATTER.match(source)
    position = front.end() if front else 0
    headings: list[Heading] = []
    points: list[int] = [position] if position else []
    parts: list[Part] = []
    while (match := _LINE.search(source, position)) is not None:
        position = max(match.end(), position + 1)
        kind = match.lastgroup
        if kind == "info":
            position = _after_fence(source, match)
            points.append(match.start())
            if word := _WORD.match(match["info"]):
                last = source.rfind(b"\n", match.end(), position)
                if last > match.end():
                    parts.append(Part(word[1].decode(), ((match.end(), last),), only_code=True))
        elif kind == "comment":
            close = source.find(b"-->", match.end())
            position = len(source) if close < 0 else close
        elif kind in {"marks", "title"}:
            headings.append(Heading(match.start(), len(match["marks"]), _heading_name(match["title"] or b"")))
        elif kind == "underline":
            heading = _setext(source, match)
            if heading is not None and (not headings or heading.start > headings[-1].start):
                headings.append(heading)
        else:
            points.append(match.start() if kind == "item" else match.end())
    found = finish(
        nested(headings, len(source)), points, remainder_type=ChunkType.TEXT, name_separator=" > ", whole_bytes=0
    )
    found.parts = parts
    return found


def _after_fence(source: bytes, opening: re.Match[bytes]) -> int:
    """End of the code block: after the closing fence, at the end of the file, or at once for `` ```x``` ``."""
    fence = opening["fence"]
    if fence[:1] == b"`" and b"`" in opening["info"]:
        return opening.end()
    mark = re.escape(fence[:1])
    closing = re.compile(rb"^[ \t>]*" + mark + rb"{%d,}[ \t\r]*$" % len(fence), re.MULTILINE).search(
        source, opening.end()
    )
    return closing.end() if closing else len(source)


def _setext(source: bytes, underline: re.Match[bytes]) -> Heading | None:
    """The heading that is underlined here, if a paragraph of one line is above."""
    end = underline.start() - 1
    start = source.rfind(b"\n", 0, max(end, 0)) + 1
    title = source[start : max(end, 0)]
    if not title or _NO_PARAGRAPH.match(title):
        return None
    above = source[source.rfind(b"\n", 0, start - 1) + 1 : start] if start else b""
    if above.strip() and not _NO_PARAGRAPH.match(above):
        return None  # a longer paragraph: the line is meant as a rule
    return Heading(start, 1 if underline["underline"][:1] == b"=" else 2, _heading_name(title))


def _heading_name(title: bytes) -> str:
    title = _ANCHOR.sub(b"", _CLOSING_MARKS.sub(b"", title[:2_000]))
    return label(_MARKUP.sub(b"", _LINK.sub(rb"\1", _IMAGE.sub(b"", title))))


FORMAT: Final = FormatSpec(
    name="markdown",
    title="Markdown",
    extensions="md markdown mdown mkd mdx qmd rmd",
    has_parts=True,
    extract=extract_markdown,
)
