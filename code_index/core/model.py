"""The records that the phases exchange.

Belongs here: plain records and the closed sets of words their fields may hold.
Does not belong here: Arrow schemas (`code_index.tables.schemas`) and behaviour.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class ChunkType(StrEnum):
    """Kinds of chunks. The first four are code, the others come from structured formats."""

    FUNCTION = "function"
    CLASS = "class"
    METHOD = "method"
    MODULE = "module"
    SECTION = "section"  # Markdown heading, HTML section, TOML table, Dockerfile stage
    RULE = "rule"  # CSS rule
    STATEMENT = "statement"  # SQL statement
    ENTRY = "entry"  # JSON or YAML top-level member
    TEXT = "text"  # prose, unknown formats


class FileStatus(StrEnum):
    """State of a file in phase 1."""

    PENDING = "pending"
    PARSED = "parsed"
    ERROR = "error"
    SKIPPED = "skipped"


class EmbeddingStatus(StrEnum):
    """State of a chunk in phase 2; derived from the tables, never stored."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETE = "complete"
    ERROR = "error"


class NameKind(StrEnum):
    """Kinds of places of a name: six of definitions, four of references."""

    CLASS = "class"  # and interface, struct, trait, enum, type
    FUNCTION = "function"
    METHOD = "method"
    VARIABLE = "variable"  # and constant, of a module
    FIELD = "field"  # and property, enumerator, of a class
    MODULE = "module"  # namespace, package
    CALL = "call"
    IMPORT = "import"
    INHERITANCE = "inheritance"
    USE = "use"


class Evidence(StrEnum):
    """Evidence of a file for a name at a place: of a definition, how much is there; of a reference, what it means."""

    DEFINITION = "definition"
    DECLARATION = "declaration"  # a prototype, an overload, a further part of a class
    SAME_SCOPE = "same scope"  # the file defines it, where the reference sees it
    IMPORTED = "imported"
    NAME_ONLY = "name only"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a function as the source spells it; empty strings are `None`."""

    name: str
    type: str | None = None
    default: str | None = None


@dataclass(frozen=True, slots=True)
class TypeAnnotation:
    """A name and the type that the source gives it (parameter, field, variable, `return`)."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file as the scan saw it.

    `file_path` is POSIX and relative to the root; `file_hash` is the SHA-256 (64 hex digits)
    of the bytes, empty for a skipped file; `reason` says why a file is skipped or failed. `working_tree_encoding` is what
    the repository declares of the file in `.gitattributes`.
    """

    file_path: str
    file_hash: str
    size_bytes: int
    mtime_ns: int
    language: str
    subproject_name: str | None = None
    subproject_path: str | None = None
    status: FileStatus = FileStatus.PENDING
    reason: str | None = None
    working_tree_encoding: str | None = None


@dataclass(frozen=True, slots=True)
class MaskedText:
    """A text without keys, in UTF-8, and how many of each kind were masked (`code_index.core.secret_masks`).

    `encoding` is the one that the file was read in, and `encoding_guess` the remark where it was guessed
    (`code_index.chunking.encoding`).
    """

    text: bytes
    masked: Mapping[str, int]
    encoding: str = "utf-8"
    encoding_guess: str | None = None


class Chunk(NamedTuple):
    """A piece of a file that a search finds on its own.

    Lines are 1-based and inclusive. `content` is the chunk's own text: its span without the
    spans of its children, so the contents of a file's chunks do not overlap.
    `chunk_id` is 32 hex digits and stable: the same code at another line of the same file
    keeps it (see `code_index.core.hashing.chunk_id`). `qualified_name` joins the names of
    the enclosing definitions and its own with `.`, of headings with ` > `; empty for module code.

    A tuple: a frozen dataclass of so many fields takes several times as long to construct.
    """

    chunk_id: str
    file_path: str
    file_hash: str
    start_line: int
    end_line: int
    content: str
    language: str
    chunk_type: ChunkType
    qualified_name: str = ""
    function_name: str | None = None
    class_name: str | None = None
    docstring: str | None = None
    imports: tuple[str, ...] = ()
    parent_chunk_id: str | None = None
    child_chunk_ids: tuple[str, ...] = ()
    chunk_depth: int = 0
    complexity_score: float | None = None
    cyclomatic_complexity: int | None = None
    cognitive_complexity: int | None = None
    max_nesting_depth: int | None = None
    parameter_count: int | None = None
    lines_of_code: int = 0
    decorators: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    return_type: str | None = None
    type_annotations: tuple[TypeAnnotation, ...] = ()
    subproject_name: str | None = None
    subproject_path: str | None = None


class FileName(NamedTuple):
    """A name in a file: a definition of it, or its references of one kind and meaning within one definition.

    `position` counts the names of a file. `receiver` is what stands before the name, as `a.b` does in `a.b.name`, and
    `...` where that is no name. `qualified_name` is that of the definition, or of what a reference is known to mean, in
    this file, or in `module` as the file's imports spell it. `lines` are those of the name, 1-based, at least one;
    `start_line` and `end_line` are the definition's. `enclosing` is the qualified name of the innermost definition (function,
    class, method, test, section of a document) that holds the first, with a chunk of its own or without; itself, of one.
    """

    file_path: str
    position: int
    file_hash: str
    language: str
    name: str
    kind: NameKind
    receiver: str
    qualified_name: str
    module: str
    evidence: Evidence
    lines: tuple[int, ...]
    start_line: int | None
    end_line: int | None
    enclosing: str


@dataclass(frozen=True, slots=True)
class ChunkingOptions:
    """Limits of the chunker, in characters.

    What is longer than `max_characters` is split at syntax boundaries; a piece of the text between two
    definitions that is shorter than `min_characters` is joined to the next one.
    """

    max_characters: int = 2_000
    min_characters: int = 200
