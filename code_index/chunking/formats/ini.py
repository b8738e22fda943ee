"""INI and its relatives by section: settings of editors, of git, of systemd units.

Belongs here: sections with the comments above them, and keys as places to cut. Does not belong here: values.
"""

from __future__ import annotations

import re
from typing import Final

from code_index.chunking.blocks import Block, Extraction
from code_index.chunking.format_spec import FormatSpec
from code_index.chunking.formats._entries import lines_with_comments
from code_index.chunking.spans import finish, label
from code_index.core.model import ChunkType

_LINE: Final = re.compile(
    rb"^(?:[ \t]{0,3}\[(?P<section>[^\]\n]++)\]|(?P<comment>[ \t]*[;#])|(?P<blank>[ \t\r]*$)|(?P<key>[^\s\[;#]))[^\n]*",
    re.MULTILINE,
)


def extract_ini(source: bytes) -> Extraction:
    """Sections, each from the comments directly above it to the next."""
    blocks: list[Block] = []
    points: list[int] = []
    for start, match in lines_with_comments(source, _LINE):
        points.append(start)
        if match["section"] is not None:
            if blocks:
                blocks[-1].end = start
            name = label(match["section"].replace(b'"', b""))
            blocks.append(Block(start, len(source), ChunkType.SECTION, name))
    return finish(blocks, points, remainder_type=ChunkType.SECTION)


FORMAT: Final = FormatSpec(
    name="ini",
    title="INI",
    revision=1,
    extensions="ini cfg conf config cnf desktop service timer socket mount target editorconfig tscn tres",
    file_names=".editorconfig .gitconfig .gitmodules .npmrc .flake8 .pylintrc .coveragerc",
    extract=extract_ini,
)
