"""Definitions, outlines and references of an index, by name.

Belongs here: which definitions and references answer a question, their order, and what a reference means among the files
of the index. Does not belong here: finding names in source (`code_index.chunking.references`), rows
(`code_index.tables.references`), what a module means (`code_index.search.modules`).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any, Final

from code_index.core.content_kinds import ContentKind, content_kind
from code_index.core.errors import UsageError
from code_index.core.model import Evidence, NameKind
from code_index.search.modules import Modules
from code_index.tables import IndexStore
from code_index.tables.filters import refuse_broken_text
from code_index.tables.sql import all_of, any_of, equals, is_in, sql_literal

_JOINT: Final = re.compile(r"\.|::|#|->")
_DECLARING: Final = re.compile(r"\.(?:pyi|d\.ts|d\.mts|d\.cts|h|hh|hpp|hxx|mli)$")
_GO_MODULE: Final = re.compile(r"^module\s+(\S+)", re.MULTILINE)
_BEHIND: Final = {ContentKind.TESTS: 1, ContentKind.DOCS: 2}
_MOST_ROWS: Final = 50_000
_MOST_STEPS: Final = 5  # of re-exports from one module to another
_PACKAGES_ARE_FOLDERS: Final = frozenset({"go", "java"})
_MODULE_JOINTS: Final = {"rust": "::", "go": "/"}
_SHOWN: Final = 80
_ALL: Final = "*"  # name of an import that binds all names of a module
_COLUMNS: Final = (
    *("file_path", "file_hash", "language", "name", "kind", "receiver", "qualified_name", "module", "evidence"),
    *("lines", "start_line", "end_line", "enclosing"),
)


class SymbolKind(StrEnum):
    """Kinds of definitions."""

    CLASS = NameKind.CLASS.value
    FUNCTION = NameKind.FUNCTION.value
    METHOD = NameKind.METHOD.value
    VARIABLE = NameKind.VARIABLE.value
    FIELD = NameKind.FIELD.value
    MODULE = NameKind.MODULE.value


class ReferenceKind(StrEnum):
    """Ways in which a name is used."""

    CALL = NameKind.CALL.value
    INHERITANCE = NameKind.INHERITANCE.value
    IMPORT = NameKind.IMPORT.value
    USE = NameKind.USE.value


class Confidence(StrEnum):
    """Evidence that a name means a definition, from the strongest to the weakest."""

    SAME_SCOPE = Evidence.SAME_SCOPE.value
    IMPORTED = Evidence.IMPORTED.value
    NAME_ONLY = Evidence.NAME_ONLY.value


_DEFINITIONS: Final = is_in("kind", [kind.value for kind in SymbolKind])
_KINDS: Final = list(SymbolKind)
_REFERENCE_KINDS: Final = list(ReferenceKind)
_CONFIDENCES: Final = list(Confidence)


@dataclass(frozen=True, slots=True)
class Symbol:
    """A definition; lines are 1-based and inclusive, `line` is that of its name, `depth` its nesting among those listed.

    `chunk_id` is that of its own chunk, or of the one that it is read with; empty where the file changed since.

    Example:
        >>> from code_index import Index
        >>> found = Index.open("repository").symbol("Counter.increment")[0]
        >>> str(found.kind), found.file_path, found.line, found.qualified_name
        ('method', 'app/greeting.py', 15, 'Counter.increment')
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

    `target` is the place (`path:line`) of the definition that is meant, or the module where that is outside of the
    index; empty where only the name fits.

    Example:
        >>> from code_index import Index
        >>> place = Index.open("repository").references("lookup", kind="call")[0]
        >>> place.file_path, place.lines, place.enclosing, str(place.confidence), place.target
        ('web/getUserName.ts', (3,), 'getUserName', 'same scope', 'web/getUserName.ts:8')
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

    Bodies come before stubs and tests, classes before members. `name` may be qualified, `A.b` or `A::b`. An index of
    an earlier version has only functions, methods and classes.

    Raises:
        UsageError: the name is empty, or `limit` is below 1.
        StoreError: a table cannot be read.
    """
    own, qualifier = _asked(name, limit)
    of_kind = _DEFINITIONS if kind is None else equals("kind", kind.value)
    rows = _current(store, _rows(store, all_of(equals("name", own), of_kind)))
    if not store.references.exists():
        rows = [row for row in _current(store, _rows_of_chunks(store, own)) if kind in {None, row["kind"]}]
    if qualifier:
        rows = [row for row in rows if _is_qualified(row["qualified_name"], own, qualifier)]
    if len(rows) < limit:
        part = f"contains(lower(name), {sql_literal(own.lower())})"
        others = _current(store, _rows(store, all_of(of_kind, part)))
        known = {_place(row) for row in rows}
        rows += [
            row
            for row in others
            if _place(row) not in known and (not qualifier or qualifier.lower() in row["qualified_name"].lower())
        ]
    rows.sort(key=lambda row: _rank(row, own))
    best = rows[:limit]
    chunks = _Chunks(store, [row["file_path"] for row in best])
    return [_symbol(row, 0, chunks) for row in best]


def outline(store: IndexStore, target: str) -> list[Symbol]:
    """List the definitions in a file (by its path) or in a class (by its name), in the order of the source.

    Raises:
        UsageError: no file and no class of the index is called so.
        StoreError: a table cannot be read.
    """
    _asked(target, 1)
    path = target.removeprefix("./")
    rows = _current(store, _rows(store, all_of(equals("file_path", path), _DEFINITIONS)))
    if not rows and not store.files.read(["file_path"], equals("file_path", path)).num_rows:
        found = symbol(store, target, kind=SymbolKind.CLASS, limit=1)
        if not found or found[0].name != _JOINT.split(target)[-1]:
            raise UsageError(
                f"No file and no class of this index is called {target[:_SHOWN]!r}. Paths are relative to the root of "
                "the repository."
            )
        rows = _of_class(store, found[0])
    rows.sort(key=lambda row: (row["file_path"], row["lines"][0], -row["end_line"]))
    chunks = _Chunks(store, [row["file_path"] for row in rows])
    listed: list[Symbol] = []
    around: list[Symbol] = []
    for row in rows:
        while around and (around[-1].file_path != row["file_path"] or around[-1].end_line < row["lines"][0]):
            around.pop()
        listed.append(_symbol(row, len(around), chunks))
        if (
            row["kind"] in {SymbolKind.CLASS, SymbolKind.FUNCTION, SymbolKind.METHOD}
            or row["end_line"] > row["lines"][0]
        ):
            around.append(listed[-1])
    return listed


def references(store: IndexStore, name: str, *, kind: ReferenceKind | None = None, limit: int = 100) -> list[Reference]:
    """Find the places that use a name, the surest first; `kind=ReferenceKind.CALL` gives its callers.

    `name` may be qualified, `A.b` or `A::b`: then places that are known to mean another definition are left out. An
    index of an earlier version has none.

    Raises:
        UsageError: the name is empty, or `limit` is below 1.
        StoreError: a table cannot be read.
    """
    own, qualifier = _asked(name, limit)
    rows = _current(store, _rows(store, any_of(equals("name", own), equals("name", _ALL))))
    meanings = _Meanings(store, rows)
    found = []
    for row in rows:
        if row["name"] != own or row["kind"] in _KINDS or (kind is not None and row["kind"] != kind):
            continue
        confidence, definition = meanings.of(row)
        if qualifier and definition is not None and not _is_qualified(definition["qualified_name"], own, qualifier):
            continue
        found.append((row, confidence, definition))
    found.sort(key=lambda item: (_CONFIDENCES.index(item[1]), *_reference_rank(item[0])))
    best = found[:limit]
    chunks = _Chunks(store, [row["file_path"] for row, _, _ in best])
    return [
        Reference(
            name=row["name"],
            receiver=row["receiver"],
            kind=ReferenceKind(row["kind"]),
            file_path=row["file_path"],
            lines=tuple(row["lines"]),
            language=row["language"],
            enclosing=row["enclosing"],
            chunk_id=chunks.around(row),
            confidence=confidence,
            target="".join(_place(definition))
            if definition is not None
            else row["module"]
            if confidence is Confidence.IMPORTED
            else "",
        )
        for row, confidence, definition in best
    ]


class _Meanings:
    """The meanings of references among the definitions of one name."""

    def __init__(self, store: IndexStore, rows: Sequence[Mapping[str, Any]]) -> None:
        self._by_file: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
        self._imports: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
        self._stars: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for row in rows:
            if row["kind"] in _KINDS:
                self._by_file[row["file_path"]].append(row)
            elif row["kind"] == ReferenceKind.IMPORT:
                of = self._stars if row["name"] == _ALL else self._imports
                of[row["file_path"]].append(row)
        self._modules = Modules(lambda: _go_modules(store))
        self._known: dict[tuple[str, str, str], Mapping[str, Any] | None] = {}

    def of(self, row: Mapping[str, Any]) -> tuple[Confidence, Mapping[str, Any] | None]:
        """The confidence, and the definition that is meant, if it is in the index."""
        path = row["file_path"]
        if row["evidence"] == Evidence.SAME_SCOPE:
            return Confidence.SAME_SCOPE, _named(self._by_file[path], row["qualified_name"])
        if row["evidence"] == Evidence.IMPORTED:
            definition = self._imported(row, path, _MOST_STEPS)
            # A module outside of the index may be meant; but then not where the name has definitions here.
            is_known = definition is not None or not self._by_file
            return Confidence.IMPORTED if is_known else Confidence.NAME_ONLY, definition
        if (definition := self._in_package(row)) is not None:
            return Confidence.SAME_SCOPE, definition
        for star in self._stars.get(path, ()) if not row["receiver"] else ():
            definition = self._imported({**star, "qualified_name": row["name"]}, path, _MOST_STEPS)
            if definition is not None:
                return Confidence.IMPORTED, definition
        return Confidence.NAME_ONLY, None

    def _in_package(self, row: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The definition in another file of the folder, where a folder is a package whose files see each other."""
        if row["language"] not in _PACKAGES_ARE_FOLDERS or row["receiver"] == "...":
            return None
        wanted = f"{row['receiver']}.{row['name']}" if row["receiver"] else row["name"]
        folder = PurePosixPath(row["file_path"]).parent
        for path, definitions in self._by_file.items():
            if PurePosixPath(path).parent == folder and definitions[0]["language"] == row["language"]:
                definition = _named(definitions, wanted)
                if definition is not None:
                    return definition
        return None

    def _imported(self, row: Mapping[str, Any], importer: str, steps: int) -> Mapping[str, Any] | None:
        """The definition of a name of a module: `import a` and then `a.b.f()` may mean `f` in `a.b`, or `b.f` in `a`."""
        key = importer, row["module"], row["qualified_name"]
        if key in self._known:
            return self._known[key]
        self._known[key] = None  # while it is looked for: imports may go round
        parts = row["qualified_name"].split(".")
        joint = _MODULE_JOINTS.get(row["language"], ".")
        for count in range(len(parts)):
            module = joint.join([row["module"].removesuffix("."), *parts[:count]]) if count else row["module"]
            definition = self._in_module(module, ".".join(parts[count:]), row["language"], importer, steps)
            if definition is not None:
                self._known[key] = definition
                break
        return self._known[key]

    def _in_module(self, module: str, name: str, language: str, importer: str, steps: int) -> Mapping[str, Any] | None:
        """The definition of a name in a module, or in one that this imports it from."""
        means = self._modules.means
        files = [module, f"{module}.{name.partition('.')[0]}"] if language == "java" else [module]
        for path, definitions in self._by_file.items():
            if any(means(file, language, importer, path) for file in files):
                definition = _named(definitions, name)
                if definition is not None:
                    return definition
        for path in self._imports.keys() | self._stars.keys() if steps else ():
            if path == importer or not means(module, language, importer, path):
                continue
            stars = [{**star, "qualified_name": name} for star in self._stars.get(path, ())]
            for row in (*self._imports.get(path, ()), *stars):
                definition = self._imported(row, path, steps - 1)
                if definition is not None and definition["qualified_name"].endswith(name):
                    return definition
        return None


class _Chunks:
    """The chunks of some files, by the lines in them."""

    def __init__(self, store: IndexStore, file_paths: Iterable[str]) -> None:
        self._by_file: defaultdict[str, list[tuple[int, int, str, str]]] = defaultdict(list)
        paths = sorted(set(file_paths))
        columns = ["file_path", "start_line", "end_line", "qualified_name", "chunk_id"]
        for row in store.chunks.read(columns, is_in("file_path", paths)).to_pylist() if paths else ():
            path, *values = (row[name] for name in columns)
            self._by_file[path].append(tuple(values))

    def around(self, row: Mapping[str, Any]) -> str:
        """The id of the innermost chunk around a name: its own, where it is a definition that has one."""
        line = row["lines"][0]
        found = [chunk for chunk in self._by_file[row["file_path"]] if chunk[0] <= line <= chunk[1]]
        name = row["qualified_name"] if row["kind"] in _KINDS else row["enclosing"]
        best = min(found, key=lambda chunk: (chunk[2] != name, chunk[1] - chunk[0]), default=None)
        return best[3] if best is not None else ""


def _asked(name: str, limit: int) -> tuple[str, str]:
    """The last part of a name, and what stands before it, joined by dots."""
    if limit < 1:
        raise UsageError(f"limit is {limit}, but must be at least 1.")
    refuse_broken_text(name)
    parts = [part for part in _JOINT.split(name.strip().removesuffix("()")) if part]
    if not parts:
        raise UsageError("The name is empty. Say which name to look for, such as parse_date or Counter.increment.")
    return parts[-1], ".".join(parts[:-1])


def _rows(store: IndexStore, where: str | None) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = store.references.read(list(_COLUMNS), where, _MOST_ROWS).to_pylist()
    return rows


def _rows_of_chunks(store: IndexStore, own: str) -> list[dict[str, Any]]:
    """Rows of the definitions that own chunks, in an index without references."""
    columns = ["file_path", "file_hash", "language", "chunk_type", "qualified_name", "start_line", "end_line"]
    of_class = all_of(equals("class_name", own), equals("chunk_type", SymbolKind.CLASS.value))
    rows = store.chunks.read(columns, any_of(equals("function_name", own), of_class)).to_pylist()
    return [
        {**row, "name": own, "kind": row["chunk_type"], "evidence": Evidence.DEFINITION, "lines": [row["start_line"]]}
        for row in rows
    ]


def _current(store: IndexStore, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those whose file is unchanged since they were parsed, as of the newest scan."""
    paths = sorted({row["file_path"] for row in rows})
    files = store.files.read(["file_path", "file_hash"], is_in("file_path", paths)) if paths else None
    hashes = {} if files is None else dict(zip(*(column.to_pylist() for column in files.columns), strict=True))
    return [row for row in rows if hashes.get(row["file_path"]) == row["file_hash"]]


def _of_class(store: IndexStore, found: Symbol) -> list[dict[str, Any]]:
    """Rows of a class and of its members, those in other files of its folder among them."""
    folder = found.file_path.rpartition("/")[0]
    inside = f"starts_with(qualified_name, {sql_literal(found.qualified_name + '.')})"
    near = f"starts_with(file_path, {sql_literal(folder + '/')})" if folder else None
    rows = _rows(store, all_of(any_of(equals("qualified_name", found.qualified_name), inside), near, _DEFINITIONS))
    rows = [row for row in _current(store, rows) if row["file_path"].rpartition("/")[0] == folder]
    # Another file of the folder may have members of it, or a class of its own.
    others = {
        row["file_path"]
        for row in rows
        if row["qualified_name"] == found.qualified_name and row["evidence"] == Evidence.DEFINITION
    } - {found.file_path}
    return [row for row in rows if row["file_path"] not in others]


def _rank(row: Mapping[str, Any], own: str) -> tuple[Any, ...]:
    name, path = row["name"], row["file_path"]
    return (
        name != own,
        name.lower() != own.lower(),
        not name.lower().startswith(own.lower()),
        _BEHIND.get(content_kind(path, row["language"]), 0),
        row["evidence"] == Evidence.DECLARATION or _DECLARING.search(path) is not None,
        _KINDS.index(SymbolKind(row["kind"])),
        len(name),
        path,
        row["lines"][0],
    )


def _reference_rank(row: Mapping[str, Any]) -> tuple[Any, ...]:
    behind = _BEHIND.get(content_kind(row["file_path"], row["language"]), 0)
    return behind, _REFERENCE_KINDS.index(ReferenceKind(row["kind"])), row["file_path"], row["lines"][0]


def _is_qualified(qualified_name: str, own: str, qualifier: str) -> bool:
    return f".{qualified_name}".endswith(f".{qualifier}.{own}")


def _named(definitions: Iterable[Mapping[str, Any]], qualified_name: str) -> Mapping[str, Any] | None:
    """The definition of a qualified name, one with a body before others."""
    found = [row for row in definitions if row["qualified_name"] == qualified_name]
    return min(found, key=lambda row: (row["evidence"] != Evidence.DEFINITION, row["lines"][0]), default=None)


def _place(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["file_path"], f":{row['lines'][0]}"


def _symbol(row: Mapping[str, Any], depth: int, chunks: _Chunks) -> Symbol:
    return Symbol(
        name=row["name"],
        qualified_name=row["qualified_name"],
        kind=SymbolKind(row["kind"]),
        file_path=row["file_path"],
        line=row["lines"][0],
        start_line=row["start_line"],
        end_line=row["end_line"],
        language=row["language"],
        depth=depth,
        chunk_id=chunks.around(row),
    )


def _go_modules(store: IndexStore) -> dict[str, str]:
    """The module of each folder with a `go.mod`."""
    where = any_of(equals("file_path", "go.mod"), "ends_with(file_path, '/go.mod')")
    rows = store.chunks.read(["file_path", "content"], where).to_pylist()
    found = {str(PurePosixPath(row["file_path"]).parent): _GO_MODULE.search(row["content"]) for row in rows}
    return {folder: match[1] for folder, match in found.items() if match is not None}
