"""Prisma schemas by their blocks: models, enums, types, views, data sources and generators.

Belongs here: the lines that begin and end a block, and the fields between them. A grammar was rejected: the one that can
be had knows neither `type` nor `view` nor `Unsupported("...")`, nor attributes in an enum.
"""

from __future__ import annotations

import re
from typing import Final

from code_index.chunking.blocks import Block, Extraction
from code_index.chunking.comments import clean_comments, clean_texts, without_markers
from code_index.chunking.documentation import documenting
from code_index.chunking.format_spec import FormatSpec
from code_index.core.model import ChunkType, TypeAnnotation

_LINE: Final = re.compile(
    rb"""[ \t]*+(?:
      (?P<comment>//[^\n]*)
    | (?P<kind>[a-z]\w*+)[ \t]++(?P<name>\w++)[ \t]*+\{(?P<rest>[^\n]*)
    | (?P<close>\})
    | (?P<field>\w++)[ \t]++(?P<type>\w++(?:\("[^"\n]*"\))?(?:\[\])?\??)
    )?[^\n]*(?:\n|\Z)""",
    re.VERBOSE,
)


def extract_prisma(source: bytes) -> Extraction:
    """Blocks as classes, with the types of their fields; the comments directly above document them."""
    found = Extraction(remainder_type=ChunkType.MODULE)
    block: Block | None = None
    fields: list[TypeAnnotation] = []
    comments: list[re.Match[bytes]] = []  # directly above the line
    for line in _LINE.finditer(source):
        if line["kind"]:
            fields = []
            block = _begun(line, comments)
            found.blocks.append(block)
        elif block is not None:
            block.end = line.end("close") if line["close"] else line.end()
            if line["field"]:
                fields.append(TypeAnnotation(line["field"].decode(), line["type"].decode("utf-8", "replace")))
        if block is not None and (line["close"] or (line["kind"] and b"}" in line["rest"].partition(b"//")[0])):
            block.type_annotations = tuple(fields)
            block = None
        if line["comment"] and block is None:
            comments.append(line)
        else:
            comments.clear()
    if block is not None:
        block.type_annotations = tuple(fields)
    return found


def _begun(line: re.Match[bytes], above: list[re.Match[bytes]]) -> Block:
    texts = [comment["comment"].decode("utf-8", "replace").strip() for comment in above]
    marked = [text for text in texts if text.startswith("///")]
    return Block(
        start=above[0].start("comment") if above else line.start("kind"),
        end=line.end(),
        chunk_type=ChunkType.CLASS,
        name=line["name"].decode(),
        docstring=clean_comments(marked) if marked else clean_texts(documenting(texts, without_markers)),
    )


FORMAT: Final = FormatSpec(name="prisma", title="Prisma", revision=1, extensions="prisma", extract=extract_prisma)
