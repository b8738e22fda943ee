"""HTML by heading, landmark, script and style; Vue and Svelte components with it.

Belongs here: tags, and those that begin a section.
Does not belong here: the languages inside `script` and `style`, which have extractors of their own.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from dataclasses import dataclass
from typing import Final

from code_index.chunking.blocks import Block, Extraction, Part
from code_index.chunking.format_spec import FormatSpec
from code_index.chunking.formats.text import paragraph_starts
from code_index.chunking.spans import (
    MIN_BLOCK_BYTES,
    finish,
    label,
    line_rest,
    line_start,
)
from code_index.core.model import ChunkType

LANDMARKS: Final = frozenset(
    {b"header", b"nav", b"main", b"section", b"article", b"aside", b"footer", b"form", b"dialog", b"template", b"head"}
)
_LEVELS: Final = {b"h%d" % level: level for level in range(1, 7)}
_RAW: Final = frozenset({b"script", b"style", b"textarea"})
_EMBEDDED: Final = frozenset({"script", "style"})
_CUTS: Final = frozenset(
    {b"p", b"div", b"ul", b"ol", b"dl", b"li", b"dt", b"table", b"tr", b"pre", b"figure", b"svg", b"blockquote"}
)
_MAX_OPEN: Final = 32
"""Maximum of open sections; deeper ones are part of their parent."""

_TAG: Final = re.compile(rb"<(?:!--|(?P<close>/?)(?P<name>[a-zA-Z][\w:.-]*))")
_ATTRIBUTES: Final = re.compile(rb"(?:[^\"'>]++|\"[^\"]*+\"|'[^']*+')*+>")
_LABEL: Final = re.compile(rb"\s(?:aria-label|id)\s*=\s*(?:\"([^\"]{1,200})\"|'([^']{1,200})')", re.IGNORECASE)
_LANGUAGE: Final = re.compile(rb"\s(lang|type)\s*=\s*[\"']?([\w/+.-]{1,60})", re.IGNORECASE)
_HEADING_END: Final = re.compile(rb"</h[1-6]\s*>", re.IGNORECASE)
_MARKUP: Final = re.compile(rb"<[^<>]*>")
_RAW_END: Final = {name: re.compile(rb"</" + name + rb"\s*>", re.IGNORECASE) for name in _RAW}
_MAX_HEADING_BYTES: Final = 2_000
_MAX_UNCLOSED_QUOTES: Final = 20


@dataclass(slots=True)
class _Open:
    """An open section: `tag` of a landmark, or `level` of a heading."""

    block: Block
    tag: bytes = b""
    level: int = 0


def extract_html(source: bytes) -> Extraction:
    """Landmarks and headings nested; a heading's section ends at the next one of its level in its landmark."""
    reader = _Reader(source)
    found = finish(reader.read(), reader.points, remainder_type=ChunkType.TEXT, name_separator=" > ", whole_bytes=0)
    found.parts = reader.parts
    return found


class _Reader:
    """One pass over the tags; `open` holds the open sections, outermost first."""

    def __init__(self, source: bytes) -> None:
        self.source = source
        self.top: list[Block] = []
        self.points: list[int] = []
        self.parts: list[Part] = []
        self.open: list[_Open] = []
        self.open_tags: Counter[bytes] = Counter()
        self.unclosed_quotes = 0

    def read(self) -> list[Block]:
        position = 0
        while (match := _TAG.search(self.source, position)) is not None:
            position = self._take(match)
        self._end_down_to(0, len(self.source))
        return self.top

    def _take(self, match: re.Match[bytes]) -> int:
        """Process one tag or comment; return the offset after it."""
        if match["name"] is None:
            close = self.source.find(b"-->", match.end())
            return len(self.source) if close < 0 else close + 3
        name = match["name"].lower()
        end = self._tag_end(match.end())
        if match["close"]:
            if self.open_tags[name]:
                depth = max(index for index, section in enumerate(self.open) if section.tag == name)
                self._end_down_to(depth, line_rest(self.source, end))
            return end
        if name in _RAW:
            return self._raw_element(match, name, end)
        attributes = self.source[match.end() : end]
        if name in LANDMARKS and not attributes.endswith(b"/>"):
            self._begin(
                match.start(), _Open(self._block(match.start(), self._landmark_name(name, attributes)), tag=name)
            )
        elif name in _LEVELS:
            return self._heading(match.start(), _LEVELS[name], end)
        elif name in _CUTS:
            self.points.append(line_start(self.source, match.start()))
        return end

    def _tag_end(self, position: int) -> int:
        # A failed match reads the rest of the file, so they are counted.
        if self.unclosed_quotes < _MAX_UNCLOSED_QUOTES:
            match = _ATTRIBUTES.match(self.source, position)
            if match is not None:
                return match.end()
            self.unclosed_quotes += 1
        end = self.source.find(b">", position)
        return len(self.source) if end < 0 else end + 1

    def _block(self, start: int, name: str) -> Block:
        start = line_start(self.source, start)
        return Block(start=start, end=start, chunk_type=ChunkType.SECTION, name=name)

    def _raw_element(self, match: re.Match[bytes], name: bytes, content: int) -> int:
        found = _RAW_END[name].search(self.source, content)
        end = found.end() if found else len(self.source)
        if name != b"textarea":
            block = self._block(match.start(), name.decode())
            block.end = line_rest(self.source, end)
            self._siblings().append(block)
            self.points += paragraph_starts(self.source, content, end)
            last = found.start() if found else end
            word = _embedded_language(name, self.source[match.end() : content])
            if word and content < last:
                self.parts.append(Part(word, ((content, last),)))
        return end

    def _heading(self, start: int, level: int, content: int) -> int:
        close = _HEADING_END.search(self.source, content, content + _MAX_HEADING_BYTES)
        text = self.source[content : close.start()] if close else b""
        depth = len(self.open)
        while depth and not self.open[depth - 1].tag and self.open[depth - 1].level >= level:
            depth -= 1
        block = self._block(start, label(html.unescape(_MARKUP.sub(b" ", text).decode("utf-8", "ignore")).encode()))
        self._end_down_to(depth, block.start)
        self._begin(start, _Open(block, level=level))
        return close.end() if close else content

    def _begin(self, start: int, section: _Open) -> None:
        if len(self.open) >= _MAX_OPEN:
            self.points.append(line_start(self.source, start))
            return
        self._siblings().append(section.block)
        self.open.append(section)
        self.open_tags[section.tag] += 1

    def _siblings(self) -> list[Block]:
        return self.open[-1].block.children if self.open else self.top

    def _end_down_to(self, depth: int, end: int) -> None:
        """End the innermost sections until `depth` remain."""
        while len(self.open) > depth:
            section = self.open.pop()
            self.open_tags[section.tag] -= 1
            section.block.end = end
            if section.tag:
                _merge_with_only_heading(section.block)

    @staticmethod
    def _landmark_name(tag: bytes, attributes: bytes) -> str:
        found = _LABEL.search(attributes)
        return label(found[1] or found[2]) if found else tag.decode()


def _embedded_language(name: bytes, attributes: bytes) -> str:
    """The language of a script or style by `lang`, else by `type`; empty for one that a browser does not run."""
    found = {match[1].lower(): match[2].decode() for match in _LANGUAGE.finditer(attributes)}
    if word := found.get(b"lang"):
        return word
    kind = found.get(b"type", "").partition(";")[0].rpartition("/")[2].removeprefix("x-")
    if kind in {"", "module", "babel", "ecmascript"}:
        return "css" if name == b"style" else "javascript"
    return kind


def _merge_with_only_heading(block: Block) -> None:
    """Merge a landmark with the one heading that fills it but for its tags: one section, not two."""
    if len(block.children) == 1 and block.children[0].name not in _EMBEDDED:
        child = block.children[0]
        if (block.end - block.start) - (child.end - child.start) < MIN_BLOCK_BYTES:
            block.name, block.children = child.name, child.children


FORMAT: Final = FormatSpec(
    name="html", title="HTML", extensions="html htm xhtml shtml", has_parts=True, extract=extract_html
)
