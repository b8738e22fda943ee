"""The tree of spans that an extractor hands to the assembly.

An extractor (one per family of formats) only lists the named things of a file, with their spans and
descriptions. `assembly.assemble` does the rest for all formats alike: it gives uncovered text to
module or text chunks, splits long texts, and computes lines, identities and the
hierarchy.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from code_index.core.model import ChunkType, Evidence, NameKind, Parameter, TypeAnnotation

OWNER: Final = re.compile(r"(?:[^.\[\s]+\.)+(?=.)")
"""The owner in the name of a method outside its class, not the dot in `[Symbol.iterator]` or in the title of a test."""


@dataclass(slots=True)
class Block:
    """A named span of a file, bytes half-open; children lie inside, ordered, without overlap.

    Its qualified name begins with the names of the enclosing blocks, unless it is `absolute`, then comes the `scope` that
    is written with its name; `name_separator` joins
    the names of the blocks inside to its own, where it is not that of the file.
    One that `is_overload` is completed by the next one of its name.
    `start` includes what belongs to the definition (decorators, attributes, the doc comment above).
    `break_points` are byte offsets, in order, at which the assembly may cut the block when it is too long
    (starts of statements, rows, list items); it falls back to line starts, then to any character.
    """

    start: int
    end: int
    chunk_type: ChunkType
    name: str = ""
    scope: str = ""
    absolute: bool = False
    name_separator: str = ""
    is_overload: bool = False
    children: list[Block] = field(default_factory=list)
    break_points: list[int] = field(default_factory=list)
    docstring: str | None = None
    decorators: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    return_type: str | None = None
    type_annotations: tuple[TypeAnnotation, ...] = ()
    cyclomatic_complexity: int | None = None
    cognitive_complexity: int | None = None
    max_nesting_depth: int | None = None


class Part(NamedTuple):
    """Spans of a file, in order, that are one text of another language, named by a `word` that people use for it.

    With `only_code` it is read only if that is a programming language, and only its functions and classes count.
    `joint` stands between the spans where blanks do not separate statements.
    """

    word: str
    spans: tuple[tuple[int, int], ...]
    only_code: bool = False
    joint: bytes = b""


class NameSaid(NamedTuple):
    """The meaning of a name at some places of one file. The fields are those of `code_index.core.model.FileName`."""

    name: str
    kind: NameKind
    receiver: str
    qualified_name: str
    module: str
    evidence: Evidence


class NameDefinition(NamedTuple):
    """A definition of a name, whose byte is `offset`; `start` and `end` are its span."""

    offset: int
    said: NameSaid
    start: int
    end: int


NameUses = dict[NameSaid, list[int]]
"""Bytes at which names stand, by what is said of them there."""


@dataclass(slots=True)
class Extraction:
    """The result of an extractor for one file: top-level blocks in order, and the file's imports.

    `import_offsets` has the first byte of each of `imports` (same length), so that the chunk around an import
    carries it. `docstring` is the file's own; the first module chunk carries it.
    A block of type `MODULE` (namespace, Rust `mod`) only qualifies the names inside: its own text is module code.
    `misread_lines` counts the lines of which the grammar made nothing that can be trusted, `unread_lines` those of texts, parts
    among them, that take too long to parse or to ask.
    `parts` are still to be read by other extractors (`code_index.chunking.embedded`).
    The name of a `METHOD` outside a class block is `Owner.name` (Go receivers, C++ `Owner::name`).
    `definitions` and `uses` of names are in no order.
    """

    blocks: list[Block] = field(default_factory=list)
    imports: tuple[str, ...] = ()
    import_offsets: tuple[int, ...] = ()
    docstring: str | None = None
    break_points: list[int] = field(default_factory=list)
    remainder_type: ChunkType = ChunkType.MODULE  # type of the text that no block covers
    name_separator: str = "."
    parts: list[Part] = field(default_factory=list)
    misread_lines: int = 0
    unread_lines: int = 0
    definitions: list[NameDefinition] = field(default_factory=list)
    uses: NameUses = field(default_factory=dict)
