"""XML by element.

Belongs here: elements with what names them, nested. Does not belong here: schemas, and the code in strings.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from dataclasses import dataclass
from typing import Final

from code_index.chunking.blocks import Block, Extraction
from code_index.chunking.format_spec import FormatSpec
from code_index.chunking.spans import MAX_DEPTH, MIN_BLOCK_BYTES, finish, label, line_rest, line_start
from code_index.core.model import ChunkType

_TAG: Final = re.compile(
    rb"<(?:!--(?P<comment>)|!\[CDATA\[(?P<data>)|\?(?P<instruction>)|!(?P<declaration>)|(?P<close>/)?(?P<name>[A-Za-z_\x80-\xff][\w:.\x80-\xff-]*+))"
)
_ATTRIBUTES: Final = re.compile(rb"(?:[^\"'<>]++|\"[^\"<]*+\"|'[^'<]*+')*+>?")
_LABEL: Final = re.compile(
    rb"\s(?:[\w.]+:)?(?:id|name|key|title|label)\s*=\s*(?:\"([^\"]{1,200})\"|'([^']{1,200})')", re.IGNORECASE
)
_ENDS: Final = {"comment": b"-->", "data": b"]]>", "instruction": b"?>"}
_NAMING: Final = frozenset({b"name", b"id", b"artifactId", b"title", b"key"})
_MAX_NAMING_BYTES: Final = 200
_MAX_OPEN: Final = 4 * MAX_DEPTH
"""Maximum of open elements; deeper ones are part of their parent's text."""


@dataclass(slots=True)
class _Open:
    block: Block
    tag: bytes
    content: int
    is_named: bool


def extract_xml(source: bytes) -> Extraction:
    """Elements below the root, called by their `id`, `name` or the like, in an attribute or an element, else by their tag."""
    reader = _Reader(source)
    return finish(reader.read(), reader.points, remainder_type=ChunkType.ENTRY)


class _Reader:
    """One pass over the tags; `open` holds the open elements, outermost first."""

    def __init__(self, source: bytes) -> None:
        self.source = source
        self.points: list[int] = []
        self.root = Block(0, len(source), ChunkType.ENTRY)
        self.open: list[_Open] = []
        self.open_tags: Counter[bytes] = Counter()
        self.skipped = 0  # elements that are open beyond the deepest one that counts

    def read(self) -> list[Block]:
        """The elements below the only root, or all at the top where there are several."""
        position = 0
        without_end: set[str] = set()
        while (match := _TAG.search(self.source, position)) is not None:
            position = match.end()
            kind = match.lastgroup or ""
            if match["name"] is None:
                end = _ENDS.get(kind, b">")
                close = -1 if kind in without_end else self.source.find(end, position)
                if close < 0:
                    without_end.add(kind)
                else:
                    position = close + len(end)
            elif match["close"] is not None:
                position = self._closed(match["name"], position)
            else:
                found = _ATTRIBUTES.match(self.source, position)
                position = found.end() if found else position
                self._opened(match, self.source[match.end() : position], position)
        while self.open:
            self._end(len(self.source))
        roots = self.root.children
        return roots[0].children if len(roots) == 1 else roots

    def _opened(self, match: re.Match[bytes], attributes: bytes, content: int) -> None:
        start = line_start(self.source, match.start())
        if attributes.endswith(b"/>"):
            self.points.append(start)
        elif self.skipped or len(self.open) >= _MAX_OPEN:
            self.skipped += 1
        else:
            found = _LABEL.search(attributes)
            name = (found[1] or found[2]) if found else match["name"]
            block = Block(start, start, ChunkType.ENTRY, _plain(name))
            self.open.append(_Open(block, match["name"], content, found is not None))
            self.open_tags[match["name"]] += 1

    def _closed(self, tag: bytes, position: int) -> int:
        end = self.source.find(b">", position, position + _MAX_NAMING_BYTES) + 1 or position
        if self.skipped:
            self.skipped -= 1
        elif self.open_tags[tag]:
            while self.open[-1].tag != tag:
                self._end(position)
            self._end(line_rest(self.source, end))
        return end

    def _end(self, end: int) -> None:
        """End the innermost element; a small one is a place to cut, and may name the one around it."""
        closed = self.open.pop()
        self.open_tags[closed.tag] -= 1
        block = closed.block
        block.end = end
        outer = self.open[-1] if self.open else None
        if (
            outer is not None
            and not outer.is_named
            and closed.tag in _NAMING
            and end - closed.content <= _MAX_NAMING_BYTES
        ):
            text = self.source[closed.content : end].partition(b"<")[0].strip()
            if text:
                outer.block.name, outer.is_named = _plain(text), True
        if outer is None or block.end - block.start >= MIN_BLOCK_BYTES:
            siblings = (outer.block if outer else self.root).children
            if siblings and siblings[-1].end > block.start:  # on one line with the one before
                block.start = siblings[-1].end
            if block.end > block.start:
                siblings.append(block)
        else:
            self.points.append(block.start)


def _plain(text: bytes) -> str:
    return label(html.unescape(text.decode("utf-8", "ignore")).encode())


FORMAT: Final = FormatSpec(
    name="xml",
    title="XML",
    revision=1,
    extensions="xml xsd xsl xslt svg wsdl plist resx csproj vbproj fsproj vcxproj props targets xaml axaml pom storyboard xib ui "
    "qrc xlf xliff tmx nuspec rng kml gpx rss atom dita ditamap jelly iml xacro urdf gir glade wxs wxl owl rdf csl slnx",
    extract=extract_xml,
)
