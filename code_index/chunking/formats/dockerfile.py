"""Dockerfiles by build stage.

Belongs here: stages, and instructions as places to cut.
Does not belong here: the shell inside `RUN`.
"""

from __future__ import annotations

import re
from typing import Final

from code_index.chunking.blocks import Block, Extraction
from code_index.chunking.format_spec import FormatSpec
from code_index.chunking.spans import finish, label
from code_index.core.model import ChunkType

_LINE: Final = re.compile(rb"[^\n]*\n|[^\n]+")
_INSTRUCTION: Final = re.compile(rb"^[ \t]*(?P<word>[A-Za-z]+)[ \t]+(?P<rest>[^\n]*)")
_COMMENT_OR_BLANK: Final = re.compile(rb"[ \t]*(?:#|\r?$)")
_FROM: Final = re.compile(rb"(?:--\S+[ \t]+)*(?P<image>\S+)(?:[ \t]+[Aa][Ss][ \t]+(?P<stage>\S+))?")
_HEREDOC: Final = re.compile(rb"<<-?[ \t]*[\"']?(\w+)[\"']?")


def extract_dockerfile(source: bytes) -> Extraction:
    """Each stage from its `FROM` (with the comment above) to the next; named by its alias, else its image.

    Text before the first stage (`ARG`, parser directives) belongs to the remainder.
    """
    stages: list[Block] = []
    points: list[int] = []
    comment = -1  # start of the comment lines directly above
    continued = False
    heredocs: list[bytes] = []
    for found in _LINE.finditer(source):
        start, line = found.start(), found[0]
        text = line.rstrip()
        if heredocs:
            if text.lstrip(b"\t") == heredocs[0]:
                heredocs.pop(0)
        elif _COMMENT_OR_BLANK.match(line):
            if not continued:
                comment = (comment if comment >= 0 else start) if text else -1
        else:
            if not continued and (match := _INSTRUCTION.match(line)) is not None:
                begin = comment if comment >= 0 else start
                points.append(begin)
                if match["word"].upper() == b"FROM":
                    _open_stage(stages, begin, match["rest"])
            heredocs = _HEREDOC.findall(line)
            continued = text.endswith((b"\\", b"`")) and not heredocs
            comment = -1
    if stages:
        stages[-1].end = len(source)
    return finish(stages, points, remainder_type=ChunkType.SECTION)


def _open_stage(stages: list[Block], start: int, arguments: bytes) -> None:
    match = _FROM.match(arguments)
    if stages:
        stages[-1].end = start
    name = label(match["stage"] or match["image"]) if match else ""
    stages.append(Block(start=start, end=start, chunk_type=ChunkType.SECTION, name=name))


FORMAT: Final = FormatSpec(
    name="dockerfile",
    title="Dockerfiles",
    extensions="dockerfile containerfile",
    file_names="dockerfile containerfile",
    file_name_prefixes="dockerfile. containerfile.",
    extract=extract_dockerfile,
)
