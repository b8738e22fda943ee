r"""LaTeX by section, environment and definition.

Belongs here: `\section` and the like, environments with a title or label, long definitions of commands, and the
languages of listings. Does not belong here: what a command prints.
"""

from __future__ import annotations

import re
from typing import Final

from code_index.chunking.blocks import Block, Extraction, Part
from code_index.chunking.format_spec import FormatSpec
from code_index.chunking.formats._headings import Heading, nested
from code_index.chunking.formats.text import paragraph_starts
from code_index.chunking.spans import finish, label, line_start
from code_index.core.model import ChunkType

_LEVELS: Final = {
    name: level
    for level, name in enumerate((b"part", b"chapter", b"section", b"subsection", b"subsubsection", b"paragraph"), 1)
}
_GROUPS: Final = {b"newenvironment": 2, b"renewenvironment": 2}
_DOCUMENT_COMMAND: Final = b"Document"
_VERBATIM: Final = rb"verbatim\*?|Verbatim|lstlisting\*?|minted|comment|alltt|filecontents\*?"
_TOKEN: Final = re.compile(
    rb"%[^\n]*|(?P<brace>[{}])"
    rb"|\\(?:(?P<heading>part|chapter|section|subsection|subsubsection|paragraph)\*?[ \t]*(?:\[[^\]\n]{0,300}\])?[ \t]*\{(?P<title>[^\n]{0,500})"
    rb"|begin\{(?P<verbatim>" + _VERBATIM + rb")\}(?P<options>[^\n]{0,300})"
    rb"|begin\{(?P<begin>[A-Za-z@*]{1,40})\}(?:[ \t]*\[(?P<note>[^\]\n]{1,200})\])?"
    rb"|end\{(?P<end>[A-Za-z@*]{1,40})\}|(?:label|caption)\{(?P<mark>[^{}\n]{1,200})"
    rb"|(?P<define>(?:re|provide)?newcommand|providecommand|(?:re)?newenvironment|DeclareRobustCommand|(?:New|Renew|Provide|Declare)(?:Expandable)?Document(?:Command|Environment)|[gex]?def)\*?"
    rb"[ \t]*\{?[ \t]*(?P<defined>\\?[A-Za-z@:_]{1,80})(?P<close>[ \t]*\})?|.)",
    re.DOTALL,
)
_LANGUAGE: Final = re.compile(rb"\{([\w+#-]{1,30})\}[ \t\r]*\Z|language=\{?(?:\[[^\]]*\])?([\w+#]{1,30})")
_MARKUP: Final = re.compile(rb"\\[A-Za-z@]+\*?|[{}$~]")
_PLAIN: Final = frozenset(
    {b"document", b"itemize", b"enumerate", b"description", b"center", b"quote", b"tabular", b"array"}
)
_MAX_OPEN: Final = 32
_MAX_DEFINITION_BYTES: Final = 20_000


def extract_tex(source: bytes) -> Extraction:
    """Sections nested by level, with environments and definitions that are long enough in them."""
    reader = _Reader(source)
    reader.read()
    found = finish(
        nested(reader.headings, len(source), reader.blocks()),
        paragraph_starts(source),
        remainder_type=ChunkType.TEXT,
        name_separator=" > ",
        whole_bytes=0,
    )
    found.parts = reader.parts
    return found


class _Reader:
    """One pass over commands and braces."""

    def __init__(self, source: bytes) -> None:
        self.source = source
        self.headings: list[Heading] = []
        self.parts: list[Part] = []
        self.found: list[Block] = []
        self.open: list[tuple[bytes, int, list[bytes]]] = []  # environments: name, start, what names them
        self.depth = 0
        self.definition: Block | None = None
        self.definition_depth = 0
        self.groups_left = 0
        self.without_end: set[bytes] = set()  # names of listings of which none ends

    def read(self) -> None:
        position = 0
        while (match := _TOKEN.search(self.source, position)) is not None:
            position = match.end()
            if self.definition is not None and position - self.definition.start > _MAX_DEFINITION_BYTES:
                self.definition = None
            if match["brace"] is not None:
                self._brace(match)
            elif match["heading"] is not None:
                position = match.start("title")
                self._heading(match)
            elif match["verbatim"] is not None:
                position = self._listing(match)
            elif match["define"] is not None:
                self._define(match)
            else:
                self._environment(match)

    def _heading(self, match: re.Match[bytes]) -> None:
        self.depth += 1  # its brace was read with it
        if self.definition is None:
            start = line_start(self.source, match.start())
            self.headings.append(Heading(start, _LEVELS[match["heading"]], _title(match["title"])))

    def _listing(self, match: re.Match[bytes]) -> int:
        """Note the code of a listing; return the offset after what is read as it is."""
        name = match["verbatim"]
        close = -1 if name in self.without_end else self.source.find(b"\\end{" + name + b"}", match.end())
        if close < 0:
            self.without_end.add(name)
            return match.end()
        if (word := _LANGUAGE.search(match["options"])) is not None and close > match.end():
            self.parts.append(Part((word[1] or word[2]).decode(), ((match.end(), close),), only_code=True))
        return close

    def _brace(self, match: re.Match[bytes]) -> None:
        if match["brace"] == b"{":
            self.depth += 1
            return
        self.depth = max(self.depth - 1, 0)
        if self.definition is not None and self.depth <= self.definition_depth:
            self.groups_left -= 1
            if self.groups_left <= 0:
                self.definition.end = match.end()
                self.found.append(self.definition)
                self.definition = None

    def _define(self, match: re.Match[bytes]) -> None:
        inner = self.source[match.start("define") : match.start("defined")].count(b"{")
        if self.definition is None and not self.open:
            command = match["define"]
            self.groups_left = _GROUPS.get(command, 2 if _DOCUMENT_COMMAND in command else 1)
            self.definition_depth = self.depth
            self.definition = Block(
                line_start(self.source, match.start()), 0, ChunkType.FUNCTION, label(match["defined"].lstrip(b"\\"))
            )
        self.depth += inner - (match["close"] is not None)
        self.depth = max(self.depth, 0)

    def _environment(self, match: re.Match[bytes]) -> None:
        if match["mark"] is not None:
            self.depth += 1  # its brace was read with it
        if self.definition is not None:
            return
        if (name := match["begin"]) is not None:
            if name not in _PLAIN and len(self.open) < _MAX_OPEN:
                note = match["note"]
                titled = [note] if note is not None and b"=" not in note and len(note.strip()) > len(b"htbp!") else []
                self.open.append((name, match.start(), titled))
        elif match["mark"] is not None:
            if self.open:
                self.open[-1][2].append(match["mark"])
        elif (name := match["end"]) is not None and self.open and self.open[-1][0] == name:
            _, start, marks = self.open.pop()
            if marks and not self.open:
                self.found.append(
                    Block(
                        line_start(self.source, start), match.end(), ChunkType.SECTION, _title(name + b" " + marks[0])
                    )
                )

    def blocks(self) -> list[Block]:
        """The finds in order, without what has a heading in it or overlaps what stands before."""
        kept: list[Block] = []
        heads = iter(sorted(heading.start for heading in self.headings))
        following = next(heads, None)
        for block in sorted(self.found, key=lambda block: block.start):
            while following is not None and following < block.start:
                following = next(heads, None)
            if (following is None or following >= block.end) and (not kept or kept[-1].end <= block.start):
                kept.append(block)
        return kept


def _title(text: bytes) -> str:
    """A title up to its closing brace, without commands."""
    depth = 1
    for found in re.finditer(rb"\\.|[{}]", text):
        depth += (found[0] == b"{") - (found[0] == b"}")
        if not depth:
            text = text[: found.start()]
            break
    return label(_MARKUP.sub(b"", text))


FORMAT: Final = FormatSpec(
    name="tex",
    title="LaTeX",
    revision=1,
    extensions="tex sty ltx dtx",
    modes="latex",
    has_parts=True,
    extract=extract_tex,
)
