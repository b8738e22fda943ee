"""Definitions, outlines and references of an index, by name.

Belongs here: which definitions and references answer a question, their order, and what is known of a reference's target.
Does not belong here: finding names in source (`code_index.chunking.references`), rows (`code_index.tables.references`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from code_index.tables import IndexStore


class SymbolKind(StrEnum):
    """Kinds of definitions."""

    CLASS = "class"  # and interface, struct, trait, enum, type
    FUNCTION = "function"
    METHOD = "method"
    VARIABLE = "variable"  # and constant, of a module
    FIELD = "field"  # and property, enumerator, of a class
    MODULE = "module"  # namespace, package


class ReferenceKind(StrEnum):
    """Ways in which a name is used."""

    CALL = "call"
    IMPORT = "import"
    INHERITANCE = "inheritance"
    USE = "use"


class Confidence(StrEnum):
    """Evidence that a name means a definition, from the strongest to the weakest."""

    SAME_SCOPE = "same scope"
    IMPORTED = "imported"
    NAME_ONLY = "name only"


@dataclass(frozen=True, slots=True)
class Symbol:
    """A definition; lines are 1-based and inclusive, `line` is that of its name, `depth` its nesting in its file.

    `chunk_id` is that of its own chunk, or of the one that it is read with.
    """

    name: str
    qualified_name: str
    kind: SymbolKind
    file_path: str
    line: int
    start_line: int
    end_line: int
    language: str
    depth: int
    chunk_id: str


@dataclass(frozen=True, slots=True)
class Reference:
    """A place that uses a name: `lines` (1-based) within one definition, `enclosing`, empty for the code of a module.

    `target` is the place (`path:line`) of the definition that is meant; empty where only the name fits.
    """

    name: str
    receiver: str
    kind: ReferenceKind
    file_path: str
    lines: tuple[int, ...]
    language: str
    enclosing: str
    chunk_id: str
    confidence: Confidence
    target: str


def symbol(store: IndexStore, name: str, *, kind: SymbolKind | None = None, limit: int = 20) -> list[Symbol]:
    """Find definitions of a name, best first: exactly it, then where it is a part of the name.

    `name` may be qualified, `A.b` or `A::b`.

    Raises:
        UsageError: the name is empty, or `limit` is below 1.
        StoreError: a table cannot be read.
    """
    raise NotImplementedError


def outline(store: IndexStore, target: str) -> list[Symbol]:
    """List the definitions in a file (by its path) or in a class (by its name), in the order of the source.

    Raises:
        UsageError: no file and no class of the index is called so.
        StoreError: a table cannot be read.
    """
    raise NotImplementedError


def references(
    store: IndexStore, name: str, *, kind: ReferenceKind | None = None, limit: int = 100
) -> list[Reference]:
    """Find the places that use a name, the surest first; `kind=ReferenceKind.CALL` gives its callers.

    `name` may be qualified, `A.b` or `A::b`: then other definitions' places are left out.

    Raises:
        UsageError: the name is empty, or `limit` is below 1.
        StoreError: a table cannot be read.
    """
    raise NotImplementedError
