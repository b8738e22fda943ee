"""Names in a file: where they are defined, where they are used, and what a use is known to mean.

Belongs here: what one file says of its names. Does not belong here: the nodes that are names, variables, bases or
imports, which a language's specification captures; what an import means in the repository (`code_index.search.modules`).

The captures come with those of definitions, from the same walk over the tree. Only nodes without children are captured
as names, so that no match waits for another; what stands before and after a name (`a.b` and `(`) is read from the text.
Rejected: a pattern for each form of a call, whose matches wait as long as a chain of calls is, and `Node.parent`, which
searches from the root.

A use of a name that the file neither defines nor imports is kept where it is a call, or begins with a capital letter:
fields and local variables of other objects would be nine of ten rows.
"""

from __future__ import annotations

import re
import sys
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from tree_sitter import Language, Node

from code_index.chunking.blocks import OWNER, NameDefinition, NameSaid, NameUses
from code_index.chunking.definition_tree import Captures, Definition
from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.recovery import NAME_ROLES
from code_index.chunking.signatures import name_node_of, name_of, text_of
from code_index.core.model import Evidence, NameKind

MAX_NAMES: Final = 200_000
"""Names of a file that are looked at, a second's work; generated files have more."""

MAX_DEPTH: Final = 32
"""Definitions around a name that are asked what it means, as many as qualify a chunk's name."""

_NAME_NODES: Final = (
    *("identifier", "type_identifier", "simple_identifier", "namespace_identifier", "package_identifier"),
    *("constant", "name", "value_name", "constructor_name", "type_constructor", "symbol", "sym_lit", "command_name"),
    *("this", "self", "super", "crate"),
)
_KEY_NODES: Final = ("property_identifier", "private_property_identifier", "field_identifier")
_JOINTS: Final = frozenset({b".", b"::", b"->", b"?.", b"!.", b"?->", b"!!."})
_JOINT_ENDS: Final = frozenset(b".:> \t\r\n")
_DOT, _DOLLAR, _BRACKET, _MACRO = b".$(!"
_BEFORE_CALL: Final = frozenset(b"(<[!:?` \t")
_BLANK: Final = frozenset(b" \t")  # one may stand before the bracket of a call
_BRACKETS: Final = frozenset(b"(`")
_BEFORE_KEY: Final = frozenset(b":= \t")
_MAX_NAME: Final = 200
_UNKNOWN: Final = b"..."
"""Receiver that is no name: the result of a call, an element."""


def names_query(grammar: Language) -> str:
    """The patterns for the nodes of a grammar that are names, whose roles are `name` and `key`."""
    patterns = []
    for role, kinds in zip(NAME_ROLES, (_NAME_NODES, _KEY_NODES), strict=True):
        if known := [kind for kind in kinds if grammar.id_for_node_kind(kind, True)]:
            patterns.append(f"[{' '.join(f'({kind})' for kind in known)}] @{role}\n")
    return "".join(patterns)


_Key = tuple[bytes, bytes, str]  # name, receiver, kind; a word, since a member of an enumeration hashes in Python
_CALL: Final = NameKind.CALL.value
_USE: Final = NameKind.USE.value
_INHERITANCE: Final = NameKind.INHERITANCE.value


class _Meaning(NamedTuple):
    """The known meaning of a name: a qualified name in this file, or in a module."""

    qualified_name: str
    module: str = ""


@dataclass(slots=True)
class _Scope:
    """A definition around names; the file is one without a kind."""

    kind: NameKind | None
    qualified_name: str
    start: int
    end: int
    parent: _Scope | None
    depth: int = 0
    owner: str = ""  # qualified name of the class whose member it is, or that it is
    self_name: str = ""
    inner: dict[str, str] = field(default_factory=dict)  # qualified names of what is defined in it, by name
    local: set[bytes] = field(default_factory=set)  # parameters and variables
    known: dict[_Key, list[int] | None] = field(default_factory=dict)  # of names used in it


class FileNames:
    """The names of one file."""

    def __init__(self, source: bytes, captures: Captures, definitions: list[Definition], spec: LanguageSpec) -> None:
        self.source = source
        self.captures = captures
        self.spec = spec
        self.definitions: list[NameDefinition] = []
        self.uses: NameUses = {}
        self.members: defaultdict[str, dict[str, str]] = defaultdict(dict)  # by the class's qualified name
        self.imports: dict[str, tuple[str, str]] = {}
        self._taken: set[int] = set()  # offsets of names that are definitions
        self._root = _Scope(None, "", 0, len(source), None)
        self._scopes = [self._root]
        self._define(definitions)
        self._starts = [scope.start for scope in self._scopes]
        self._bind()
        self._bind_local()
        self._import()

    def _define(self, definitions: list[Definition]) -> None:
        """Make the scopes of the definitions, in document order, and their rows."""
        stack = [self._root]
        for item in definitions:
            while len(stack) > 1 and stack[-1].end <= item.start:
                stack.pop()
            full = item.name if item.block is not None else name_of(item.node, self.source, self.spec)
            if full and stack[-1].depth < MAX_DEPTH:
                stack.append(self._scope(item, full, stack[-1]))
                self._scopes.append(stack[-1])

    def _scope(self, item: Definition, full: str, parent: _Scope) -> _Scope:
        """The scope of one definition, whose name and place are noted."""
        kind = _KINDS.get(item.role, NameKind.FUNCTION)
        owned = OWNER.match(full) if kind is NameKind.FUNCTION and "." in full else None
        if kind is NameKind.FUNCTION and (parent.kind is NameKind.CLASS or owned):
            kind = NameKind.METHOD
        name = full[owned.end() :] if owned else full
        if self.spec.path_separator and item.role in _KINDS:
            full = full.replace(self.spec.path_separator, ".")
            name = full.rpartition(".")[2]
        is_absolute = item.block is not None and item.block.absolute
        qualified = full if is_absolute or not parent.qualified_name else f"{parent.qualified_name}.{full}"
        scope = _Scope(kind, qualified, item.start, item.end, parent, parent.depth + 1, parent.owner)
        if kind is NameKind.CLASS:
            scope.owner = qualified
        elif owned:
            scope.owner = qualified[: -len(name) - 1]
        if self.spec.self_of is not None:
            scope.self_name = self.spec.self_of(item.node, self.source)
        if item.node.type in self.spec.titled:
            return scope
        if parent.qualified_name.rpartition(".")[2] != name:  # a constructor is called by the name of its class
            seen_as = f"{name}!" if item.node.type in self.spec.macros else name
            (self.members[scope.owner] if owned else parent.inner).setdefault(seen_as, qualified)
            if parent.kind is NameKind.CLASS:
                self.members[parent.qualified_name].setdefault(name, qualified)
        named = name_node_of(item.node, self.spec)
        at = self.source.find(name.encode(), named.start_byte if named is not None else item.node.start_byte, item.end)
        at = max(at, item.node.start_byte)
        self._taken.add(at)
        is_body = item.role not in {"prototype", "overload"} and item.node.type not in self.spec.further_parts
        self._add(at, name, kind, qualified, scope.start, item.end, is_body=is_body)
        return scope

    def _bind(self) -> None:
        """Make rows of packages, and of variables and fields that are no definitions; learn the names of local variables."""
        for node in self.captures.get("package", []):
            name = text_of(node, self.source)[:_MAX_NAME]
            self._taken.add(node.start_byte)
            self._add(node.start_byte, name, NameKind.MODULE, name, node.start_byte, node.end_byte)
        bound: set[tuple[str, NameKind]] = set()
        for role, kinds in _BOUND.items():
            for node in self.captures.get(role, []):
                start, end = node.start_byte, node.end_byte
                if start in self._taken:
                    continue
                self._taken.add(start)
                raw = self.source[start : min(end, start + _MAX_NAME)]
                scope = self._scope_of(start)
                if role == "parameter_field":
                    scope.local.add(raw)
                    scope = _nearest(scope, lambda one: one.kind is NameKind.CLASS) or scope
                in_class = scope.kind is NameKind.CLASS
                kind = kinds[in_class]
                if kind is None or (role == "variable" and scope.kind in {NameKind.FUNCTION, NameKind.METHOD}):
                    scope.local.add(raw)
                    continue
                name = raw.decode("utf-8", "replace")
                qualified = f"{scope.qualified_name}.{name}" if scope.qualified_name else name
                if role != "property":
                    scope.inner.setdefault(name, qualified)
                if in_class or role == "property":
                    self.members[scope.qualified_name].setdefault(name, qualified)
                if role == "operation" or (qualified, kind) not in bound:  # each overload; of assignments the first
                    bound.add((qualified, kind))
                    self._add(start, name, kind, qualified, start, end)

    def _bind_local(self) -> None:
        """Learn the names that are local by what they are, such as parameters."""
        for node in self.captures.get("local", []):
            start, end = node.start_byte, node.end_byte
            if start not in self._taken:
                self._taken.add(start)
                self._scope_of(start).local.add(self.source[start : min(end, start + _MAX_NAME)])

    def _import(self) -> None:
        """Learn what the imports bind, and make their rows."""
        read = self.spec.imported
        if read is None:
            return
        for node in self.captures.get("import", []):
            for local, module, original in read(text_of(node, self.source)):
                name = original or re.split(r"[./:\\]+", module.rstrip("/"))[-1]
                self.imports.setdefault(local, (module, original))
                said = NameSaid(name, NameKind.IMPORT, "", original, module, Evidence.IMPORTED)
                self.uses.setdefault(said, []).append(node.start_byte)

    def _add(
        self, at: int, name: str, kind: NameKind, qualified: str, start: int, end: int, *, is_body: bool = True
    ) -> None:
        evidence = Evidence.DEFINITION if is_body else Evidence.DECLARATION
        self.definitions.append(
            NameDefinition(at, NameSaid(name[:_MAX_NAME], kind, "", qualified, "", evidence), start, end)
        )

    def _scope_of(self, offset: int) -> _Scope:
        scope = self._scopes[bisect_right(self._starts, offset) - 1]
        while scope.end <= offset and scope.parent is not None:
            scope = scope.parent
        return scope

    def find_uses(self) -> NameUses:
        """Read imports and what is known of each use, as offsets by what is said of the name there; in no order."""
        called, keyed, macros = self.spec.called, self.spec.keyed, self.spec.macros
        text = self.source + b"\n\n"  # two bytes after each name
        skipped, bases = _Spans(self.captures.get("import", [])), _Spans(self.captures.get("bases", []))
        words = _Spans(self.captures.get("words", []))
        shared: dict[_Key, list[int] | None] = {}  # of names that mean the same everywhere in the file
        own = frozenset(name.encode() for name in self.spec.self_names)
        by_scope = self._by_scope()
        by_place = by_scope | self._by_owner() | own
        of_owner: defaultdict[str, dict[_Key, list[int] | None]] = defaultdict(dict)
        next_span = min(skipped.start, words.start)
        for start, end, name, first, receiver, scope in self._names():
            following = text[end]
            if start >= next_span:
                is_skipped, is_word = skipped.holds(start), words.holds(start)
                next_span = min(skipped.start, words.start)
                if is_skipped or (is_word and not self._is_value(start, name, receiver)):
                    continue
            if start >= bases.start and bases.holds(start):
                kind = _INHERITANCE
            elif following == _BRACKET or (
                following in _BEFORE_CALL
                and (following not in _BLANK or text[end + 1] in _BRACKETS)
                and called.match(text, end) is not None
            ):
                kind = _CALL
            else:
                kind = _USE
            asked = name + b"!" if macros and following == _MACRO and kind is _CALL else name
            head = first if receiver else asked
            if head not in by_place:
                known, around = shared, self._root
            elif head in by_scope and receiver not in own:
                known, around = scope.known, scope
            else:
                known, around = of_owner[scope.owner], scope
            key = asked, receiver, kind
            offsets = known.get(key, _NOT_ASKED)
            if offsets is _NOT_ASKED:
                said = self._reference(around, *key)
                offsets = known[key] = None if said is None else self.uses.setdefault(said, [])
            if offsets is not None and (
                receiver or keyed is None or following not in _BEFORE_KEY or keyed.match(text, end) is None
            ):
                offsets.append(start)
        return self.uses

    def _is_value(self, start: int, name: bytes, receiver: bytes) -> bool:
        """Tell whether a name among words is one: a type, a path, or what follows `=`."""
        return bool(receiver) or name[:1].isupper() or self.source[start - 2 : start] == b"= "

    def _by_scope(self) -> frozenset[bytes]:
        """The names whose meaning depends on where they stand, without a receiver or as the first of one.

        What the file imports, or defines outside of all definitions, is seen everywhere else; a member only through one.
        """
        found = {name.encode() for name in self.spec.self_names}
        for scope in self._scopes[1:]:
            found.update(scope.local)
            if scope.kind is not NameKind.CLASS:
                found.update([name.encode() for name in scope.inner])
            if scope.self_name:
                found.add(scope.self_name.encode())
        return frozenset(found)

    def _by_owner(self) -> frozenset[bytes]:
        """The names whose meaning depends on the class around them."""
        if not self.spec.implicit_self:
            return frozenset()
        return frozenset([name.encode() for members in self.members.values() for name in members])

    def _names(self) -> Iterator[tuple[int, int, bytes, bytes, bytes, _Scope]]:
        """Span, text, first name of its chain (`a` in `a.b.c`), receiver and scope of each name that may be a reference.

        In document order.
        """
        source, scopes, scope, taken = self.source, self._scopes, self._root, self._taken
        names = [node.byte_range for node in self.captures.get("name", [])]
        keys = [node.byte_range for node in self.captures.get("key", [])]
        only_after_a_joint = set(keys)
        names += keys
        names.sort()
        text = b"\n" + source  # a byte before each name
        starts = [*self._starts, len(text)]
        before, chain, first, following = 0, b"", b"", 1
        next_scope, scope_end = starts[following], scope.end
        for span in names[:MAX_NAMES]:
            start, end = span
            name = source[start:end] if end - start <= _MAX_NAME else source[start : start + _MAX_NAME]
            edge = text[start]
            if before and (
                (edge == _DOT and start - before == 1)
                or (edge in _JOINT_ENDS and source[before:start].strip() in _JOINTS)
            ):
                receiver = chain
            else:
                receiver = _UNKNOWN if edge == _DOT and source[start - 2 : start] != b".." else b""
                first = name
            if receiver and len(receiver) < _MAX_NAME:
                chain = receiver + b"." + name
            else:
                chain = first = name
            before = end
            if next_scope <= start or scope_end <= start:
                while starts[following] <= start:
                    scope = scopes[following]
                    following += 1
                while scope.end <= start and scope.parent is not None:
                    scope = scope.parent
                next_scope, scope_end = starts[following], scope.end
            if start in taken:
                continue
            if receiver or (name not in scope.local and span not in only_after_a_joint and edge != _DOLLAR):
                yield start, end, name, first, receiver, scope

    def _reference(self, scope: _Scope, name_bytes: bytes, receiver_bytes: bytes, word: str) -> NameSaid | None:
        """The meaning of a name in a scope; nothing for what is not kept."""
        name, receiver = name_bytes.decode("utf-8", "replace"), receiver_bytes.decode("utf-8", "replace")
        kind = _REFERENCE_KINDS[word]
        meaning = self._meaning(scope, name, receiver)
        name = self._plain(name)
        if meaning is not None:
            if kind is NameKind.USE and not meaning.qualified_name:  # a module, before a name in it
                return None
            evidence = Evidence.IMPORTED if meaning.module else Evidence.SAME_SCOPE
            if meaning.module and not receiver:  # an alias: what it means is looked for by its own name
                name = meaning.qualified_name.rpartition(".")[2] or name
            return NameSaid(name, kind, receiver, meaning.qualified_name, meaning.module, evidence)
        if kind is NameKind.USE and (receiver or not name[:1].isupper()):
            return None
        if not receiver and _nearest(scope, lambda one: name_bytes in one.local) is not None:
            return None
        return NameSaid(name, kind, receiver, "", "", Evidence.NAME_ONLY)

    def _meaning(self, scope: _Scope, name: str, receiver: str) -> _Meaning | None:
        if not receiver:
            return self._visible(scope, name)
        name = self._plain(name)
        head, _, rest = receiver.partition(".")
        if receiver in self.spec.self_names or (
            self.spec.self_of is not None
            and (named := _nearest(scope, lambda one: bool(one.self_name))) is not None
            and receiver == named.self_name
        ):
            owner = _nearest(scope, lambda one: bool(one.owner))
            found = self.members[owner.owner].get(name) if owner is not None else None
            return _Meaning(found) if found is not None else None
        if head in self.spec.module_roots:
            return _Meaning(name, receiver)
        known = self._visible(scope, head)
        if known is None:
            return None
        if known.module:
            return _Meaning(".".join(filter(None, (known.qualified_name, rest, name))), known.module)
        of_class = f"{known.qualified_name}.{rest}" if rest else known.qualified_name
        member = self.members[of_class].get(name) if of_class in self.members else None
        return _Meaning(member) if member is not None else None

    def _plain(self, name: str) -> str:
        """The name of a macro as it is defined and imported, without the `!` that only its calls have."""
        return name.removesuffix("!") if self.spec.macros else name

    def _visible(self, scope: _Scope, name: str) -> _Meaning | None:
        """The meaning of a name without a receiver in a scope; none for a local variable."""
        around: _Scope | None = scope
        own = name.encode()
        while around is not None:
            if own in around.local:
                return None
            if around.kind is NameKind.CLASS:
                if self.spec.implicit_self and name in self.members[around.owner]:
                    return _Meaning(self.members[around.owner][name])
            elif name in around.inner:
                return _Meaning(around.inner[name])
            around = around.parent
        found = self.imports.get(self._plain(name))
        return None if found is None else _Meaning(found[1], found[0])


def _nearest(scope: _Scope, fits: Callable[[_Scope], bool]) -> _Scope | None:
    around: _Scope | None = scope
    while around is not None and not fits(around):
        around = around.parent
    return around


class _Spans:
    """Spans of nodes, asked in the order of the source; `start` is that of the one at hand."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self._spans = iter([(node.start_byte, node.end_byte) for node in nodes])
        self.start, self._end = next(self._spans, _NO_SPAN)

    def holds(self, offset: int) -> bool:
        """Tell whether one of the spans holds the offset, which is not before the last one asked for."""
        while self._end <= offset:
            self.start, self._end = next(self._spans, _NO_SPAN)
        return self.start <= offset


_NOT_ASKED: Final[list[int]] = []
_BOUND: Final = {  # outside a class, and in one; the first role of a name counts
    "operation": (NameKind.FUNCTION, NameKind.METHOD),
    "variable": (NameKind.VARIABLE, NameKind.FIELD),
    "property": (NameKind.FIELD, NameKind.FIELD),
    "parameter_field": (None, NameKind.FIELD),
}
_KINDS: Final = {"class": NameKind.CLASS, "scope": NameKind.MODULE}
_REFERENCE_KINDS: Final = {kind.value: kind for kind in (NameKind.CALL, NameKind.USE, NameKind.INHERITANCE)}
_NO_SPAN: Final = (sys.maxsize, sys.maxsize)
