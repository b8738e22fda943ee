"""Programming languages into blocks: one engine for all, driven by the specifications.

Belongs here: running a language's query and turning its captures into the tree of blocks.
Does not belong here: any one language (`specs_*`), chunks (`assembly`).

Broken code needs no special path: tree-sitter puts error nodes between the good ones, definitions are found
where they are whole, and assembly gives all other text to module chunks.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from tree_sitter import Node, Parser, Query, QueryCursor
from tree_sitter_language_pack import get_language

from indexing_assets.core.chunking.blocks import Block, Extraction
from indexing_assets.core.chunking.comments import clean_comments, clean_string
from indexing_assets.core.chunking.definitions import (
    carrier_of,
    field_of,
    first_field,
    name_node_of,
    name_of,
    parameters_of,
    result_of_signature,
    return_type_of,
    squeezed,
    text_of,
)
from indexing_assets.core.chunking.language_spec import COMPLEXITY_ROLES, DEFINITION_ROLES, ROLES, LanguageSpec
from indexing_assets.core.chunking.languages import SPECS
from indexing_assets.core.complexity import Complexity, Construct, measure
from indexing_assets.core.errors import ParseError
from indexing_assets.core.model import ChunkType

MIN_NESTED_BYTES: Final = 400
"""A function inside a function owns a chunk from this length on; shorter ones are read with their surroundings."""

_CONSTRUCTS: Final = {role: Construct[role.upper()] for role in COMPLEXITY_ROLES}
_CALLABLES: Final = frozenset({"function", "member"})
_WRAPPER_FIELDS: Final = ("definition", "declaration", "type")
_GAP: Final = re.compile(rb"[ \t\f\v]*(?:\r\n|\n|\r)?[ \t\f\v]*")

Span = tuple[int, int]
Captures = dict[str, list[Node]]


def extract_code(source: bytes, language: str) -> Extraction:
    """The definitions of one file of `language`, nested as they are in the source.

    Raises:
        ParseError: the language has no specification, its grammar is missing, or the parser gave no tree.
    """
    spec, parser, query = _tools(language)
    tree = parser.parse(source)
    if tree is None:
        raise ParseError(f"the {language} parser gave no tree; exclude the file or report it")
    captures: Captures = QueryCursor(query).captures(tree.root_node)
    found = _File(source, spec, captures)
    blocks = found.blocks()
    imports = _outermost(captures.get("import", []))
    return Extraction(
        blocks=blocks,
        imports=tuple(text_of(node, source) for node in imports),
        import_offsets=tuple(node.start_byte for node in imports),
        docstring=found.file_docstring(),
        break_points=sorted({node.start_byte for node in captures.get("statement", [])}),
    )


@cache
def _tools(language: str) -> tuple[LanguageSpec, Parser, Query]:
    """Parser and compiled query, once a process."""
    spec = SPECS.get(language)
    if spec is None:
        raise ParseError(f"no specification for the language {language!r}; known are {', '.join(sorted(SPECS))}")
    try:
        grammar = get_language(spec.grammar or spec.name)
    except LookupError as error:
        raise ParseError(
            f"no grammar for {language}: reinstall tree-sitter-language-pack 0.13.0, which carries it"
        ) from error
    query = Query(grammar, spec.query)
    names = (query.capture_name(index) for index in range(query.capture_count))
    unknown = {name for name in names if not name.startswith("_")} - ROLES
    if unknown:
        raise ParseError(f"the specification of {language} has unknown roles: {', '.join(sorted(unknown))}")
    return spec, Parser(grammar), query


def text_of_lines(node: Node, source: bytes) -> str:
    """The node's source text as it stands."""
    return source[node.start_byte : node.end_byte].decode("utf-8", "replace")


@dataclass(slots=True)
class _Definition:
    """A captured definition: its node, own span, span with wrappers, and the block it becomes (if any)."""

    role: str
    node: Node
    own: Span
    start: int
    end: int
    carrier: Node
    block: Block | None = None


@dataclass(slots=True)
class _Leading:
    """Comments, attributes and signatures in order: what may stand above a definition and belong to it."""

    starts: list[int] = field(default_factory=list)
    items: list[tuple[int, int, str]] = field(default_factory=list)  # start, end, role


class _File:
    """One file's captures on their way to blocks."""

    def __init__(self, source: bytes, spec: LanguageSpec, captures: Captures) -> None:
        self.source = source
        self.spec = spec
        self.captures = captures
        self.definitions = self._definitions()
        self.leading = self._leading()
        self.decorators = sorted(
            (node.start_byte, node.end_byte) for role in ("decorator", "attribute") for node in captures.get(role, [])
        )
        self.docstrings = {node.start_byte: node for node in captures.get("docstring", [])}

    def blocks(self) -> list[Block]:
        """Top-level blocks in order, complete with their descriptions."""
        roots = self._nest()
        figures = self._complexity()
        floors: dict[int, int] = {}
        for definition, parent in self._placed:
            block = definition.block
            if block is None:
                continue
            floor = floors.get(id(parent), parent.start if parent else 0)
            leading = self._take_leading(block, floor)
            floors[id(parent)] = block.end
            self._describe(definition, leading, figures)
        return self._with_clauses_joined(roots) if self.spec.clauses else roots

    def file_docstring(self) -> str | None:
        """A string, or the comments that document the file."""
        nodes = sorted(self.captures.get("file_docstring", []), key=lambda node: node.start_byte)
        texts = [text_of_lines(node, self.source).strip() for node in nodes]
        if texts and texts[0].endswith(('"', "'")):
            return clean_string(texts[0])
        for head in self.captures.get("file_head", [])[:1]:
            above = self._take_leading(Block(head.start_byte, head.end_byte, ChunkType.MODULE), 0)
            texts = [self.source[start:end].decode("utf-8", "replace").strip() for start, end, _ in above]
        return clean_comments(texts)

    def _with_clauses_joined(self, roots: list[Block]) -> list[Block]:
        """Neighbouring functions of one name as one block; the first one's description stands for all."""
        stack = [roots]
        while stack:
            siblings = stack.pop()
            kept: list[Block] = []
            for block in siblings:
                last = kept[-1] if kept else None
                if last is not None and self._are_clauses(last, block):
                    _join(last, block)
                else:
                    kept.append(block)
            siblings[:] = kept
            stack += [block.children for block in kept if block.children]
        return roots

    def _are_clauses(self, first: Block, second: Block) -> bool:
        same = first.name == second.name and first.chunk_type is second.chunk_type and first.name != ""
        is_function = second.chunk_type in {ChunkType.FUNCTION, ChunkType.METHOD}
        return same and is_function and not self.source[first.end : second.start].strip()

    def _definitions(self) -> list[_Definition]:
        """All definitions with the spans of their wrappers, in document order, outer before inner."""
        wrappers = self._wrappers()
        bodies = {node.start_byte: node.end_byte for node in self.captures.get("body", [])}
        found: dict[Span, _Definition] = {}
        for role in DEFINITION_ROLES:
            for node in self.captures.get(role, []):
                own = span = self._own_span(node, bodies)
                if own in found:
                    continue
                while span in wrappers:
                    span = wrappers.pop(span)
                found[own] = _Definition(role, node, own, *span, carrier_of(node, self.spec))
        return sorted(found.values(), key=lambda item: (item.start, -item.end, item.node.start_byte))

    def _own_span(self, node: Node, bodies: dict[int, int]) -> Span:
        """The node's span, with a body beside it and a prefix before it where the grammar has such."""
        start, end = node.start_byte, node.end_byte
        if bodies:
            gap = _GAP.match(self.source, end)
            end = bodies.get(gap.end() if gap else end, end)
        prefix = self.spec.prefix
        if prefix and self.source[start - len(prefix) : start] == prefix:
            start -= len(prefix)
        return start, end

    def _wrappers(self) -> dict[Span, Span]:
        wrappers: dict[Span, Span] = {}
        for node in self.captures.get("wrapper", []):
            inner = first_field(node, _WRAPPER_FIELDS)
            if inner is None and node.named_child_count:
                inner = node.named_child(node.named_child_count - 1)
            if inner is not None:
                span, own = (inner.start_byte, inner.end_byte), (node.start_byte, node.end_byte)
                if span != own:
                    wrappers[span] = own
        return wrappers

    def _nest(self) -> list[Block]:
        """Places every definition that owns a chunk under the one that encloses it."""
        roots: list[Block] = []
        self._placed: list[tuple[_Definition, Block | None]] = []
        bound = {(item.carrier.start_byte, item.carrier.end_byte) for item in self.definitions}
        closures = [
            span for node in self.captures.get("closure", []) if (span := (node.start_byte, node.end_byte)) not in bound
        ]
        items: list[tuple[int, int, _Definition | Node | None]] = [
            (item.start, -item.end, item) for item in self.definitions
        ]
        items += [(start, -end, None) for start, end in closures]
        members = self.captures.get("field", []) + self.captures.get("inner_doc", [])
        items += [(node.start_byte, -node.end_byte, node) for node in members]
        items.sort(key=lambda item: item[:2])
        # What is open: its end, the block that takes children, whether a function is open, whether it is a class.
        stack: list[tuple[int, Block | None, bool, bool]] = []
        for start, negative_end, definition in items:
            end = -negative_end
            while stack and stack[-1][0] <= start:
                stack.pop()
            _, parent, in_function, in_class = stack[-1] if stack else (0, None, False, False)
            if definition is None:
                stack.append((end, parent, True, False))
                continue
            if isinstance(definition, Node):
                if in_class and parent is not None:
                    self._annotate(parent, definition)
                continue
            is_callable = definition.role in _CALLABLES
            nested = in_function or (definition.role == "member" and not in_class)
            if is_callable and nested and end - start < MIN_NESTED_BYTES:
                stack.append((end, parent, True, False))
                continue
            chunk_type = ChunkType.CLASS if definition.role == "class" else ChunkType.MODULE
            if is_callable:
                chunk_type = ChunkType.METHOD if in_class else ChunkType.FUNCTION
            block = definition.block = Block(start, end, chunk_type)
            (parent.children if parent else roots).append(block)
            self._placed.append((definition, parent))
            stack.append((end, block, is_callable, definition.role == "class"))
        return roots

    def _annotate(self, block: Block, member: Node) -> None:
        """Gives a class the type of a field, or its documentation, whichever `member` is."""
        if member.type in {"string", "sigil"}:
            block.docstring = block.docstring or clean_string(text_of_lines(member, self.source))
        else:
            block.type_annotations += tuple(field_of(member, self.source))

    def _leading(self) -> _Leading:
        leading = _Leading()
        items = sorted(
            (node.start_byte, node.end_byte, role)
            for role in ("comment", "attribute", "signature")
            for node in self.captures.get(role, [])
        )
        last = -1
        for item in items:
            if item[0] >= last:  # a comment inside a comment's node is that comment
                leading.starts.append(item[0])
                leading.items.append(item)
                last = item[1]
        return leading

    def _take_leading(self, block: Block, floor: int) -> list[tuple[int, int, str]]:
        """Moves the block's start up over what stands directly above it, not before `floor`; returns it in order."""
        leading = self.leading
        taken: list[tuple[int, int, str]] = []
        index = bisect_left(leading.starts, block.start) - 1
        column = self._column(block.start)
        while index >= 0:
            item = leading.items[index]
            start, end, role = item
            if start < floor or end > block.start or not self._adjacent(end, block.start):
                break
            if role == "comment" and not self._starts_line(start):
                break
            if self.spec.indentation_binds and self._column(start) != column:
                break
            taken.append(item)
            block.start = start
            index -= 1
        return taken[::-1]

    def _adjacent(self, end: int, start: int) -> bool:
        """Whether at most one line end stands between, so that no blank line separates the two."""
        end -= self.source[end - 1 : end] in (b"\n", b"\r")  # some grammars count the line end to the comment
        return _GAP.fullmatch(self.source, end, start) is not None

    def _starts_line(self, offset: int) -> bool:
        return not self.source[self.source.rfind(b"\n", 0, offset) + 1 : offset].strip()

    def _column(self, offset: int) -> int:
        return offset - (self.source.rfind(b"\n", 0, offset) + 1)

    def _complexity(self) -> dict[Span, Complexity]:
        constructs: dict[tuple[int, int, str], Construct] = {}
        bound: set[Span] = set()
        for item in self.definitions:
            if item.role != "scope":
                construct = Construct.CLASS if item.role == "class" else Construct.FUNCTION
                constructs[*item.own, "definition"] = construct
                bound.add((item.carrier.start_byte, item.carrier.end_byte))
        for role, construct in _CONSTRUCTS.items():
            for node in self.captures.get(role, []):
                span = node.start_byte, node.end_byte
                if construct is not Construct.CLOSURE or span not in bound:
                    constructs[*span, role] = construct
        for role, cancelled in (("else_if", "branch"), ("not_path", "path")):
            for node in self.captures.get(role, []):
                constructs.pop((node.start_byte, node.end_byte, cancelled), None)
        return measure((start, end, construct) for (start, end, _), construct in constructs.items())

    def _describe(
        self, definition: _Definition, leading: list[tuple[int, int, str]], figures: dict[Span, Complexity]
    ) -> None:
        block, node, spec, source = definition.block, definition.node, self.spec, self.source
        if block is None:
            return
        block.name = name_of(node, source, spec)
        if definition.role == "scope":
            return
        head_end = self._head_end(definition)
        first = bisect_left(self.decorators, (block.start, 0))
        last = bisect_right(self.decorators, (head_end, 0))
        block.decorators = tuple(
            squeezed(source[start:end].decode("utf-8", "replace")) for start, end in self.decorators[first:last]
        )
        block.docstring = self._docstring(definition, leading) or block.docstring
        figure = figures.get(definition.own)
        if figure is not None:
            block.cyclomatic_complexity = figure.cyclomatic
            block.cognitive_complexity = figure.cognitive
            block.max_nesting_depth = figure.max_nesting_depth
        if definition.role == "class":
            return
        if spec.dotted_methods and block.chunk_type is ChunkType.FUNCTION and "." in block.name:
            block.chunk_type = ChunkType.METHOD
        block.parameters = parameters_of(definition.carrier, source, spec)
        block.return_type = return_type_of(definition.carrier, source, spec)
        for start, end, role in leading:
            if role == "signature":
                block.return_type = result_of_signature(source[start:end].decode("utf-8", "replace"))

    def _head_end(self, definition: _Definition) -> int:
        """Where the name starts: decorators stand before it, a parameter's annotations after it."""
        name = name_node_of(definition.node, self.spec)
        return definition.node.start_byte if name is None else name.start_byte

    def _docstring(self, definition: _Definition, leading: list[tuple[int, int, str]]) -> str | None:
        if self.docstrings:
            body = first_field(definition.carrier, self.spec.body_fields)
            inside = self.docstrings.get(body.start_byte) if body is not None else None
            if inside is not None:
                return clean_string(text_of_lines(inside, self.source))
        comments = [
            self.source[start:end].decode("utf-8", "replace").strip()
            for start, end, role in leading
            if role == "comment"
        ]
        marked = [comment for comment in comments if comment.startswith(self.spec.doc_prefixes)]
        if marked:
            return clean_comments(marked)
        return clean_comments(comments) if comments and self.spec.plain_docs else None


def _join(first: Block, second: Block) -> None:
    """Adds a clause: each is one more way through the function."""
    first.end = second.end
    first.children += second.children
    first.docstring = first.docstring or second.docstring
    first.return_type = first.return_type or second.return_type
    first.decorators += second.decorators
    first.cyclomatic_complexity = (first.cyclomatic_complexity or 0) + (second.cyclomatic_complexity or 0)
    first.cognitive_complexity = (first.cognitive_complexity or 0) + (second.cognitive_complexity or 0)
    first.max_nesting_depth = max(first.max_nesting_depth or 0, second.max_nesting_depth or 0)


def _outermost(nodes: list[Node]) -> list[Node]:
    """The nodes in document order without those inside another."""
    kept: list[Node] = []
    for node in sorted(nodes, key=lambda node: (node.start_byte, -node.end_byte)):
        if not kept or node.start_byte >= kept[-1].end_byte:
            kept.append(node)
    return kept
