"""YAML by document and key.

Belongs here: documents, keys and named list items, found by their indentation.
Does not belong here: anchors, tags and values; flow collections count as values.

Indentation is enough to cut well, also in Helm and Jinja templates, which no YAML parser reads.
"""

from __future__ import annotations

import re
from typing import Final

from code_index.chunking.blocks import Block, Extraction
from code_index.chunking.format_spec import FormatSpec
from code_index.chunking.spans import WHOLE_BLOCK_BYTES, finish, label
from code_index.core.model import ChunkType

_LINE: Final = re.compile(
    rb"""^(?P<indent>[ ]*+)(?:
      (?P<document>---(?=[ \t\r\n]|\Z)[^\n]*)
    | (?P<comment>\#[^\n]*)
    | (?P<blank>[ \t\r]*$)
    | (?P<dashes>(?:-[ ]++)*+)
      (?:
        (?P<key>"[^"\n]+"[ \t]*+|'[^'\n]+'[ \t]*+
          |(?:[^\s\-\[\]{},\#&*!|>'"%@`:?]|-[^\s:\#])(?:[^\n:\#]|:(?=\S)|(?<=\S)\#)*+)
        :(?=\s|\Z)(?P<value>[^\n]*)
      | (?P<other>[^\n]+)
      )?)""",
    re.MULTILINE | re.VERBOSE,
)
_BLOCK_SCALAR: Final = re.compile(rb"(?:[&!]\S+[ \t]+)*[|>][+-]?[0-9]?[+-]?[ \t]*(?:#.*)?\r?\Z")
_KIND: Final = re.compile(rb"^kind:[ \t]*([^\s#]+)", re.MULTILINE)
_METADATA_NAME: Final = re.compile(rb"^metadata:[ \t]*\r?\n(?:[ ][^\n]*\n)*?[ ]+name:[ \t]*([^\n#]+)", re.MULTILINE)
_CONTENT: Final = re.compile(rb"[^-\s]")
_MAX_ITEM_NAME_BYTES: Final = 80
_SYNTAX: Final = frozenset({b"|", b">", b"{", b"[", b"&", b"*", b"!", b"#"})


def extract_yaml(source: bytes) -> Extraction:
    """Top-level keys, or documents when there are several; long ones by their nested keys and named items."""
    if len(source) <= WHOLE_BLOCK_BYTES:
        return finish([], [], remainder_type=ChunkType.ENTRY)
    reader = _Reader(source)
    documents = reader.read()
    if len(documents) == 1:
        return finish(documents[0].children, reader.points, remainder_type=ChunkType.ENTRY)
    for document in documents:
        document.name = _document_name(source[document.start : document.end])
    return finish(documents, reader.points, remainder_type=ChunkType.ENTRY)


class _Reader:
    """One pass over the lines.

    `stack` holds the open document, keys and items with their levels: twice the column for a key, one more
    for a list item, since an item may share the column of its key.
    """

    def __init__(self, source: bytes) -> None:
        self.source = source
        self.documents = [Block(start=0, end=0, chunk_type=ChunkType.ENTRY)]
        self.stack: list[tuple[int, Block]] = [(-1, self.documents[0])]
        self.points: list[int] = []
        self.scalar_column = -1  # of the key whose block scalar is being read

    def read(self) -> list[Block]:
        """The documents that have content, with their keys as a tree."""
        comment = -1  # start of the comment lines directly above
        for match in _LINE.finditer(self.source):
            if match["blank"] is not None:
                comment = -1
                continue
            if 0 <= self.scalar_column < len(match["indent"]):
                continue
            self.scalar_column = -1
            if match["comment"] is not None:
                comment = comment if comment >= 0 else match.start()
                continue
            if match["document"] is not None and not match["indent"]:
                self._begin_document(match.start())
            else:
                self._begin_line(match, comment if comment >= 0 else match.start())
            comment = -1
        self._end(0, len(self.source))
        self.documents[-1].end = len(self.source)
        return [document for document in self.documents if _CONTENT.search(self.source, document.start, document.end)]

    def _begin_document(self, start: int) -> None:
        self._end(0, start)
        self.documents[-1].end = start
        self.documents.append(Block(start=start, end=start, chunk_type=ChunkType.ENTRY))
        self.stack = [(-1, self.documents[-1])]

    def _begin_line(self, match: re.Match[bytes], start: int) -> None:
        indent, dashes, key = len(match["indent"]), match["dashes"] or b"", match["key"]
        column = indent + len(dashes)
        if dashes:
            self._end(2 * indent + 1, start)
            self.points.append(start)
            self._begin(2 * indent + 1, start, _item_name(key, match["value"]))
        if key is not None:
            if not dashes:
                self._end(2 * column, start)
            self._begin(2 * column, start, key)
        value = match["value"] if key is not None else match["other"]
        if value is not None and _BLOCK_SCALAR.match(value.strip()):
            self.scalar_column = column if key is not None else indent

    def _begin(self, level: int, start: int, name: bytes) -> None:
        block = Block(start=start, end=start, chunk_type=ChunkType.ENTRY, name=label(name.strip().strip(b"\"'")))
        self.stack[-1][1].children.append(block)
        self.stack.append((level, block))

    def _end(self, level: int, end: int) -> None:
        """End keys and items at or below `level`; an item without a name is no entry, only a break point."""
        while self.stack[-1][0] >= level:
            closed = self.stack.pop()[1]
            closed.end = end
            if not closed.name:
                self.stack[-1][1].children.pop()


def _item_name(key: bytes | None, value: bytes | None) -> bytes:
    """Value of the first key of a list item, if short and plain, else the key; empty without one."""
    text = (value or b"").strip()
    plain = 0 < len(text) <= _MAX_ITEM_NAME_BYTES and text[:1] not in _SYNTAX
    return text if plain else (key or b"")


def _document_name(text: bytes) -> str:
    """`Deployment web` for a Kubernetes manifest, else empty."""
    kind, name = _KIND.search(text), _METADATA_NAME.search(text)
    words = [label(found[1].strip().strip(b"\"'")) for found in (kind, name) if found]
    return " ".join(words)


FORMAT: Final = FormatSpec(
    name="yaml",
    title="YAML",
    extensions="yaml yml eyaml cff sublime-syntax",
    file_names=".clang-format .clang-tidy .clangd .prettierrc .yamllint pubspec.lock podfile.lock",
    extract=extract_yaml,
)
