"""Definitions, outlines and references of an index, by name.

Belongs here: which definitions and references answer a question, their order, and what a reference means among the files
of the index. Does not belong here: finding names in source (`code_index.chunking.references`), rows
(`code_index.tables.references`), what a module means (`code_index.search.modules`).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice, pairwise
from pathlib import PurePosixPath
from typing import Any, Final, NamedTuple, TypeVar

from code_index.core.content_kinds import ContentKind, content_kind
from code_index.core.errors import UsageError
from code_index.core.model import Evidence, NameKind
from code_index.search.freshness import FileState
from code_index.search.limits import refuse_limit
from code_index.search.modules import ModuleFiles, Modules
from code_index.search.relocation import PresentLines
from code_index.tables import IndexStore
from code_index.tables.filters import refuse_broken_text
from code_index.tables.sql import all_of, any_of, equals, is_in, sql_literal

_Key = TypeVar("_Key")
_JOINT: Final = re.compile(r"\.|::|#|->")
_DECLARING: Final = re.compile(r"\.(?:pyi|d\.ts|d\.mts|d\.cts|h|hh|hpp|hxx|mli)$")
_GO_MODULE: Final = re.compile(r"^module\s+(\S+)", re.MULTILINE)
_BEHIND: Final = {ContentKind.TESTS: 1, ContentKind.DOCS: 2}
_MOST_ROWS: Final = 20_000  # of one question; a common name has them in a million rows
_MOST_STEPS: Final = 5  # of re-exports from one module to another
_PACKAGES_ARE_FOLDERS: Final = frozenset({"go", "java"})
_MODULE_JOINTS: Final = {"rust": "::", "go": "/"}
_SHOWN: Final = 80
_ALL: Final = "*"  # name of an import that binds all names of a module
_MOST_PATHS: Final = 2_000  # looked up by name; of more, all files are read


class _Row(NamedTuple):
    """A row of `references`."""

    file_path: str
    file_hash: str
    language: str
    name: str
    kind: str
    receiver: str
    qualified_name: str
    module: str
    evidence: str
    enclosing: str
    start_line: int
    end_line: int
    lines: tuple[int, ...]


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
_REFERENCES: Final = is_in("kind", [kind.value for kind in ReferenceKind])
_KINDS: Final[Mapping[str, int]] = {kind: place for place, kind in enumerate(SymbolKind)}
_REFERENCE_KINDS: Final[Mapping[str, int]] = {kind: place for place, kind in enumerate(ReferenceKind)}


@dataclass(frozen=True, slots=True)
class Symbol:
    """A definition; lines are 1-based and inclusive, `line` is that of its name, `depth` its nesting among those listed.

    `chunk_id` is that of its own chunk, or of the one that it is read with; empty where the file changed since. With `state`
    lines are those of the file as it is now.

    Example:
        >>> from code_index import Index
        >>> found = Index.open("repository").symbol("Counter.increment").hits[0]
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
    state: FileState | None = None

    def at_present(self, now: PresentLines | FileState, shift: int) -> Symbol:
        """The definition in the present file, whose text here moved by `shift` lines."""
        if isinstance(now, FileState):
            return replace(self, state=now)
        if (line := now.nearest_with(self.name, self.line + shift)) is None:
            return replace(self, state=FileState.GONE)
        moved, last = line - self.line, len(now.lines)
        return replace(
            self,
            line=line,
            start_line=max(self.start_line + moved, 1),
            end_line=min(self.end_line + moved, last),
            state=FileState.MOVED if moved else FileState.CURRENT,
        )


@dataclass(frozen=True, slots=True)
class Reference:
    """A place that uses a name: `lines` (1-based) within one definition, `enclosing`, empty for the code of a module.

    That is the innermost one, though a short function inside another has no chunk: `chunk_id` is that of the chunk around it.

    `target` is the place (`path:line`) of the definition that is meant, or the module where that is outside of the
    index; empty where only the name fits. With `state` lines are those of the file as it is now; the target's are as indexed.

    Example:
        >>> from code_index import Index
        >>> place = Index.open("repository").references("lookup", kind="call").hits[0]
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
    state: FileState | None = None

    def at_present(self, now: PresentLines | FileState, shift: int) -> Reference:
        """The places in the present file, whose text here moved by `shift` lines."""
        if isinstance(now, FileState):
            return replace(self, state=now)
        found = (now.nearest_with(self.name, line + shift) for line in self.lines)
        lines = tuple(dict.fromkeys(line for line in found if line is not None))
        if not lines:
            return replace(self, state=FileState.GONE)
        return replace(self, lines=lines, state=FileState.CURRENT if lines == self.lines else FileState.MOVED)


def symbol(store: IndexStore, name: str, *, kind: SymbolKind | None = None, limit: int = 20) -> list[Symbol]:
    """Find definitions of a name, best first: exactly it, then where it is a part of the name.

    Bodies come before stubs and tests, classes before members. `name` may be qualified, `A.b` or `A::b`. Of files that an
    earlier version or another program parsed there are only functions, methods and classes, by their exact name.

    Raises:
        UsageError: the name is empty, or `limit` is out of bounds.
        StoreError: a table cannot be read.
    """
    own, qualifier = _asked(name, limit)
    of_kind = _DEFINITIONS if kind is None else equals("kind", kind.value)
    rows = _rows(store, all_of(equals("name", own), of_kind))
    of_class = all_of(equals("class_name", own), equals("chunk_type", SymbolKind.CLASS.value))
    others = _rows_of_chunks(store, any_of(equals("function_name", own), of_class))
    rows += [row for row in others if kind in {None, row.kind}]
    if qualifier:
        rows = [row for row in rows if _is_qualified(row.qualified_name, own, qualifier)]
    best = _best(store, rows, own, limit)
    known = set(best)
    lower, around = sql_literal(own.lower()), sql_literal(qualifier.lower())
    within = f"contains(lower(qualified_name), {around})" if qualifier else None
    for part in (f"starts_with(lower(name), {lower})", f"contains(lower(name), {lower})"):
        if len(best) < limit:
            others = [row for row in _rows(store, all_of(of_kind, part, within)) if row not in known]
            best += _best(store, others, own, limit - len(best))
            known.update(best)
    chunks = _Chunks(store, [row.file_path for row in best])
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
    rows = rows or _current(store, _rows_of_chunks(store, equals("file_path", path)))
    if not rows and not store.files.read(["file_path"], equals("file_path", path)).num_rows:
        found = symbol(store, target, kind=SymbolKind.CLASS, limit=1)
        if not found or found[0].name != _JOINT.split(target)[-1]:
            raise UsageError(
                f"No file and no class of this index is called {target[:_SHOWN]!r}. Paths are relative to the root of "
                "the repository."
            )
        rows = _of_class(store, found[0])
    rows.sort(key=lambda row: (row.file_path, row.lines[0], -row.end_line))
    chunks = _Chunks(store, [row.file_path for row in rows])
    listed: list[Symbol] = []
    around: list[Symbol] = []
    for row in rows:
        while around and (around[-1].file_path != row.file_path or around[-1].end_line < row.lines[0]):
            around.pop()
        listed.append(_symbol(row, len(around), chunks))
        if row.kind in {SymbolKind.CLASS, SymbolKind.FUNCTION, SymbolKind.METHOD} or row.end_line > row.lines[0]:
            around.append(listed[-1])
    return listed


def references(store: IndexStore, name: str, *, kind: ReferenceKind | None = None, limit: int = 100) -> list[Reference]:
    """Find the places that use a name, the surest first; `kind=ReferenceKind.CALL` gives its callers.

    `name` may be qualified, `A.b` or `A::b`: then places that are known to mean another definition are left out. An
    index of an earlier version has none.

    Raises:
        UsageError: the name is empty, or `limit` is out of bounds.
        StoreError: a table cannot be read.
    """
    own, qualifier = _asked(name, limit)
    asked = _REFERENCES if kind is None else equals("kind", kind.value)
    meant = any_of(_DEFINITIONS, equals("kind", ReferenceKind.IMPORT.value))
    stars = _rows(store, equals("name", _ALL))
    meanings = _Meanings(store, _current(store, [*_rows(store, all_of(equals("name", own), meant)), *stars]))
    rows = _rows(store, all_of(equals("name", own), asked))

    def fits(definition: _Row) -> bool:
        return not qualifier or _is_qualified(definition.qualified_name, own, qualifier)

    best = list(_surest(store, rows, meanings, limit, fits))
    chunks = _Chunks(store, [row.file_path for row, _, _ in best])
    return [
        Reference(
            name=row.name,
            receiver=row.receiver,
            kind=ReferenceKind(row.kind),
            file_path=row.file_path,
            lines=row.lines,
            language=row.language,
            enclosing=row.enclosing,
            chunk_id=chunks.around(row),
            confidence=confidence,
            target=_target(row, confidence, definition),
        )
        for row, confidence, definition in best
    ]


def _surest(
    store: IndexStore, rows: Iterable[_Row], meanings: _Meanings, limit: int, fits: Callable[[_Row], bool]
) -> Iterator[tuple[_Row, Confidence, _Row | None]]:
    """The rows with the surest meaning, of files that are unchanged; `fits` tells of a definition that it may be meant.

    Most of a common name's rows are only looked at: the modules of imports are resolved until there are enough.
    """
    by_hope: defaultdict[Confidence, list[_Row]] = defaultdict(list)
    for row in rows:
        by_hope[meanings.at_best(row)].append(row)
    count = 0
    for confidence in Confidence:
        pending = sorted(by_hope[confidence], key=_reference_rank)
        for row in _current_ones(store, pending, limit):
            found, definition = meanings.of(row)
            if definition is not None and not fits(definition):
                continue
            if found is not confidence:
                by_hope[found].append(row)
                continue
            yield row, found, definition
            count += 1
            if count == limit:
                return


class _Meanings:
    """The meanings of references among the definitions of one name."""

    def __init__(self, store: IndexStore, rows: Iterable[_Row]) -> None:
        self._definitions: dict[tuple[str, str], _Row] = {}  # by file and qualified name
        self._packages: dict[tuple[str, str, str], _Row] = {}  # by folder, language and qualified name
        self._imports: defaultdict[str, list[_Row]] = defaultdict(list)
        self._stars: defaultdict[str, list[_Row]] = defaultdict(list)
        paths: dict[str, None] = {}
        for row in rows:
            if row.kind in _KINDS:
                _keep_better(self._definitions, (row.file_path, row.qualified_name), row)
                if row.language in _PACKAGES_ARE_FOLDERS:
                    _keep_better(self._packages, (_folder(row.file_path), row.language, row.qualified_name), row)
            else:
                (self._stars if row.name == _ALL else self._imports)[row.file_path].append(row)
            if content_kind(row.file_path, row.language) is not ContentKind.DOCS:  # no module, whatever code is in it
                paths[row.file_path] = None
        self._files = ModuleFiles(Modules(lambda: _go_modules(store)), paths)
        self._known: dict[tuple[str, str, str], _Row | None] = {}
        self._of_stars: dict[tuple[str, str], _Row | None] = {}  # by file and name

    def at_best(self, row: _Row) -> Confidence:
        """The confidence that a row may have, without a look at modules."""
        if row.evidence == Evidence.SAME_SCOPE or self._in_package(row) is not None:
            return Confidence.SAME_SCOPE
        may_be_imported = row.evidence == Evidence.IMPORTED or (row.file_path in self._stars and not row.receiver)
        return Confidence.IMPORTED if may_be_imported else Confidence.NAME_ONLY

    def of(self, row: _Row) -> tuple[Confidence, _Row | None]:
        """The confidence, and the definition that is meant, if it is in the index."""
        path = row.file_path
        if row.evidence == Evidence.SAME_SCOPE:
            return Confidence.SAME_SCOPE, self._definitions.get((path, row.qualified_name))
        if row.evidence == Evidence.IMPORTED:
            definition = self._imported(row, path, _MOST_STEPS)
            # A module outside of the index may be meant; but then not where the name has definitions here.
            is_known = definition is not None or not self._definitions
            return Confidence.IMPORTED if is_known else Confidence.NAME_ONLY, definition
        if (definition := self._in_package(row)) is not None:
            return Confidence.SAME_SCOPE, definition
        if not row.receiver and (definition := self._of_all_names(path, row.name)) is not None:
            return Confidence.IMPORTED, definition
        return Confidence.NAME_ONLY, None

    def _of_all_names(self, path: str, name: str) -> _Row | None:
        """The definition of a name in a module that a file imports all names of; looked for once a file."""
        if (path, name) not in self._of_stars:
            found = (
                self._imported(star._replace(qualified_name=name), path, _MOST_STEPS)
                for star in self._stars.get(path, ())
            )
            self._of_stars[path, name] = next((definition for definition in found if definition is not None), None)
        return self._of_stars[path, name]

    def _in_package(self, row: _Row) -> _Row | None:
        """The definition in another file of the folder, where a folder is a package whose files see each other."""
        if row.evidence != Evidence.NAME_ONLY or row.language not in _PACKAGES_ARE_FOLDERS or row.receiver == "...":
            return None
        wanted = f"{row.receiver}.{row.name}" if row.receiver else row.name
        return self._packages.get((_folder(row.file_path), row.language, wanted))

    def _imported(self, row: _Row, importer: str, steps: int) -> _Row | None:
        """The definition of a name of a module: `import a` and then `a.b.f()` may mean `f` in `a.b`, or `b.f` in `a`."""
        key = importer, row.module, row.qualified_name
        if key in self._known:
            return self._known[key]
        self._known[key] = None  # while it is looked for: imports may go round
        parts = row.qualified_name.split(".")
        joint = _MODULE_JOINTS.get(row.language, ".")
        for count in range(len(parts)):
            module = joint.join([row.module.removesuffix("."), *parts[:count]]) if count else row.module
            definition = self._in_module(module, ".".join(parts[count:]), row.language, importer, steps)
            if definition is not None:
                self._known[key] = definition
                break
        return self._known[key]

    def _in_module(self, module: str, name: str, language: str, importer: str, steps: int) -> _Row | None:
        """The definition of a name in a module, or in one that this imports it from."""
        own = self._files.of(module, language, importer)
        classes = self._files.of(f"{module}.{name.partition('.')[0]}", language, importer) if language == "java" else []
        for path in (*own, *classes):
            if (definition := self._definitions.get((path, name))) is not None:
                return definition
        for path in own if steps else ():
            if path == importer:
                continue
            stars = [star._replace(qualified_name=name) for star in self._stars.get(path, ())]
            for row in (*self._imports.get(path, ()), *stars):
                definition = self._imported(row, path, steps - 1)
                if definition is not None and definition.qualified_name.endswith(name):
                    return definition
        return None


class _Chunk(NamedTuple):
    start_line: int
    end_line: int
    qualified_name: str
    chunk_id: str


class _Nested:
    """Chunks of one file, which lie in each other or apart."""

    def __init__(self, chunks: Iterable[_Chunk]) -> None:
        self._chunks = sorted(chunks, key=lambda chunk: (chunk.start_line, -chunk.end_line))
        self._starts = [chunk.start_line for chunk in self._chunks]
        self._around: list[int] = []  # place of the one around each, or -1
        open_ones = [-1]
        for at, chunk in enumerate(self._chunks):
            while open_ones[-1] >= 0 and self._chunks[open_ones[-1]].end_line < chunk.end_line:
                open_ones.pop()
            self._around.append(open_ones[-1])
            open_ones.append(at)

    def innermost(self, line: int) -> _Chunk | None:
        """The innermost chunk at a line."""
        at = bisect_right(self._starts, line) - 1
        while at >= 0 and self._chunks[at].end_line < line:
            at = self._around[at]
        return self._chunks[at] if at >= 0 else None


class _Chunks:
    """The chunks of some files, by the lines in them."""

    def __init__(self, store: IndexStore, file_paths: Iterable[str]) -> None:
        by_file: defaultdict[str, list[_Chunk]] = defaultdict(list)
        by_name: defaultdict[tuple[str, str], list[_Chunk]] = defaultdict(list)
        paths = sorted(set(file_paths))
        columns = ["file_path", *_Chunk._fields]
        for row in store.chunks.read(columns, is_in("file_path", paths)).to_pylist() if paths else ():
            chunk = _Chunk(*(row[name] for name in _Chunk._fields))
            by_file[row["file_path"]].append(chunk)
            by_name[row["file_path"], chunk.qualified_name].append(chunk)
        self._by_file = {path: _Nested(chunks) for path, chunks in by_file.items()}
        self._by_name = {key: _Nested(chunks) for key, chunks in by_name.items()}

    def around(self, row: _Row) -> str:
        """The id of the innermost chunk around a name: its own, where it is a definition that has one."""
        name = row.qualified_name if row.kind in _KINDS else row.enclosing
        for nested in (self._by_name.get((row.file_path, name)), self._by_file.get(row.file_path)):
            if nested is not None and (found := nested.innermost(row.lines[0])) is not None:
                return found.chunk_id
        return ""


def _asked(name: str, limit: int) -> tuple[str, str]:
    """The last part of a name, and what stands before it, joined by dots."""
    refuse_limit("limit", limit)
    refuse_broken_text(name)
    parts = [part for part in _JOINT.split(name.strip().removesuffix("()")) if part]
    if not parts:
        raise UsageError("The name is empty. Say which name to look for, such as parse_date or Counter.increment.")
    return parts[-1], ".".join(parts[:-1])


def _rows(store: IndexStore, where: str | None) -> list[_Row]:
    found = store.references.read(_Row._fields, where, _MOST_ROWS)
    lists = found.column("lines").combine_chunks()
    # Two arrays instead of as many small ones as there are rows.
    values, ends = lists.flatten().to_pylist(), lists.offsets.to_pylist()
    lines = [tuple(values[first - ends[0] : last - ends[0]]) for first, last in pairwise(ends)]
    columns = [found.column(name).to_pylist() for name in _Row._fields if name != "lines"]
    return list(map(_Row._make, zip(*columns, lines, strict=True)))


def _rows_of_chunks(store: IndexStore, where: str | None) -> list[_Row]:
    """Rows of the definitions that own chunks, for files whose names are not kept: parsed by something else than this."""
    columns = ["file_path", "file_hash", "language", "chunk_type", "qualified_name", "start_line", "end_line"]
    kinds = is_in("chunk_type", [SymbolKind.CLASS.value, SymbolKind.FUNCTION.value, SymbolKind.METHOD.value])
    chunks = store.chunks.read(columns, all_of(where, kinds), _MOST_ROWS).sort_by("start_line")
    names = _of_files(store, set(chunks.column("file_path").to_pylist()), "reference_count")
    found: dict[tuple[str, str, str], _Row] = {}
    for path, digest, language, kind, qualified, start, end in zip(
        *(chunks.column(name).to_pylist() for name in columns), strict=True
    ):
        if names.get(path):
            continue
        own = _JOINT.split(qualified)[-1]
        # A long definition has several chunks.
        if (first := found.get((path, kind, qualified))) is not None:
            found[path, kind, qualified] = first._replace(end_line=end)
            continue
        found[path, kind, qualified] = _Row(
            path, digest, language, own, kind, "", qualified, "", Evidence.DEFINITION, "", start, end, (start,)
        )
    return list(found.values())


def _current(store: IndexStore, rows: Sequence[_Row]) -> list[_Row]:
    """Those whose file is unchanged since they were parsed, as of the newest scan."""
    hashes = _of_files(store, {row.file_path for row in rows}, "file_hash")
    return [row for row in rows if hashes.get(row.file_path) == row.file_hash]


def _of_files(store: IndexStore, paths: Collection[str], column: str) -> dict[str, Any]:
    """A column of the manifest by path, for these files at least."""
    if not paths:
        return {}
    where = is_in("file_path", sorted(paths)) if len(paths) <= _MOST_PATHS else None
    files = store.files.read(["file_path", column], where)
    return dict(zip(*(values.to_pylist() for values in files.columns), strict=True))


def _current_ones(store: IndexStore, rows: Sequence[_Row], count: int) -> Iterator[_Row]:
    """Those of unchanged files, looked up in groups: about `count` of them are asked for."""
    first, size = 0, count
    while first < len(rows):
        yield from _current(store, rows[first : first + size])
        first, size = first + size, size * 2


def _best(store: IndexStore, rows: Sequence[_Row], own: str, count: int) -> list[_Row]:
    """The best definitions of unchanged files, in order."""
    ranked = sorted(rows, key=lambda row: _rank(row, own))
    return list(islice(_current_ones(store, ranked, count), count))


def _of_class(store: IndexStore, found: Symbol) -> list[_Row]:
    """Rows of a class and of its members, those in other files of its folder among them."""
    folder = _folder(found.file_path)
    inside = f"starts_with(qualified_name, {sql_literal(found.qualified_name + '.')})"
    near = f"starts_with(file_path, {sql_literal(folder + '/')})" if folder else None
    where = all_of(any_of(equals("qualified_name", found.qualified_name), inside), near)
    rows = _rows(store, all_of(where, _DEFINITIONS)) or _rows_of_chunks(store, where)
    rows = [row for row in _current(store, rows) if _folder(row.file_path) == folder]
    # Another file of the folder may have members of it, or a class of its own.
    others = {
        row.file_path
        for row in rows
        if row.qualified_name == found.qualified_name and row.evidence == Evidence.DEFINITION
    } - {found.file_path}
    return [row for row in rows if row.file_path not in others]


def _rank(row: _Row, own: str) -> tuple[Any, ...]:
    name, path = row.name, row.file_path
    return (
        name != own,
        name.lower() != own.lower(),
        not name.lower().startswith(own.lower()),
        _BEHIND.get(content_kind(path, row.language), 0),
        row.evidence == Evidence.DECLARATION or _DECLARING.search(path) is not None,
        _KINDS[row.kind],
        len(name),
        path,
        row.lines[0],
    )


def _reference_rank(row: _Row) -> tuple[Any, ...]:
    behind = _BEHIND.get(content_kind(row.file_path, row.language), 0)
    return behind, _REFERENCE_KINDS[row.kind], row.file_path, row.lines[0]


def _is_qualified(qualified_name: str, own: str, qualifier: str) -> bool:
    return f".{qualified_name}".endswith(f".{qualifier}.{own}")


def _keep_better(definitions: dict[_Key, _Row], key: _Key, row: _Row) -> None:
    """Keep the definition, one with a body before others, then the first."""
    known = definitions.get(key)
    if known is None or _body_first(row) < _body_first(known):
        definitions[key] = row


def _body_first(row: _Row) -> tuple[bool, int]:
    return row.evidence != Evidence.DEFINITION, row.lines[0]


def _folder(file_path: str) -> str:
    return file_path.rpartition("/")[0]


def _place(row: _Row) -> tuple[str, str]:
    return row.file_path, f":{row.lines[0]}"


def _target(row: _Row, confidence: Confidence, definition: _Row | None) -> str:
    if definition is not None:
        return "".join(_place(definition))
    return row.module if confidence is Confidence.IMPORTED else ""


def _symbol(row: _Row, depth: int, chunks: _Chunks) -> Symbol:
    return Symbol(
        name=row.name,
        qualified_name=row.qualified_name,
        kind=SymbolKind(row.kind),
        file_path=row.file_path,
        line=row.lines[0],
        start_line=row.start_line,
        end_line=row.end_line,
        language=row.language,
        depth=depth,
        chunk_id=chunks.around(row),
    )


def _go_modules(store: IndexStore) -> dict[str, str]:
    """The module of each folder with a `go.mod`."""
    where = any_of(equals("file_path", "go.mod"), "ends_with(file_path, '/go.mod')")
    rows = store.chunks.read(["file_path", "content"], where).to_pylist()
    found = {str(PurePosixPath(row["file_path"]).parent): _GO_MODULE.search(row["content"]) for row in rows}
    return {folder: match[1] for folder, match in found.items() if match is not None}
