"""Captured definitions to the tree of blocks.

Belongs here: spans of definitions, their nesting, and the choice of definitions that own a chunk.
Does not belong here: the description of a definition (`signatures`, `code`).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

from tree_sitter import Node

from code_index.chunking.blocks import Block
from code_index.chunking.comments import clean_string
from code_index.chunking.complexity import Construct, Span
from code_index.chunking.language_spec import DEFINITION_ROLES, LanguageSpec
from code_index.chunking.signatures import carrier_of, field_of, first_field, raw_text_of
from code_index.core.model import ChunkType

MIN_NESTED_BYTES: Final = 400
"""Shortest function inside a function that owns a chunk; shorter ones are read with their surroundings."""

MAX_PREFIX_BYTES: Final = 80
"""Longest text before a definition that its language declares to be a part of it."""

MIN_PROTOTYPE_BYTES: Final = 200
"""Shortest prototype in a class that owns a chunk, its comment counted."""

MIN_CLASS_BYTES: Final = 2_000
"""Shortest class whose prototypes may own chunks; a shorter one is read as a whole."""

Captures = dict[str, list[Node]]

_CALLABLES: Final = frozenset({"function", "member", "prototype", "overload"})
_WRAPPER_FIELDS: Final = ("definition", "declaration", "type")
_BETWEEN_OVERLOADS: Final = re.compile(rb"(?:[\s;]|//[^\n]*+|/\*(?s:.*?)\*/)*+")
_BETWEEN_CLAUSES: Final = re.compile(rb"[ \t;]*+(?:(?:%|--|#)[^\n]*+)?[\s;]*+")  # a comment on the first one's line
_GAP: Final = re.compile(rb"\s*")


@dataclass(slots=True)
class Definition:
    """A captured definition: its node, own span, span with wrappers, and the block it becomes (if any).

    `above` counts the bytes of the comments before it, where that was asked for. `name` is given with the description of the
    block.
    """

    role: str
    node: Node
    own: Span
    start: int
    end: int
    carrier: Node
    above: int = 0
    name: str = ""
    block: Block | None = None
    parent: Block | None = None

    @property
    def construct(self) -> Construct:
        """The construct that counts for complexity."""
        return Construct.CLASS if self.role == "class" else Construct.FUNCTION


def find_definitions(captures: Captures, source: bytes, spec: LanguageSpec) -> list[Definition]:
    """All definitions with the spans of their wrappers, in document order, outer before inner."""
    wrappers = _wrappers(captures.get("wrapper", []))
    bodies = {node.start_byte: node.end_byte for node in captures.get("body", [])}
    reaches = _rest_spans(captures.get("rest", []))
    comments = {node.end_byte: node.start_byte for node in captures.get("comment", [])} if spec.sheds_comments else {}
    found: dict[Span, Definition] = {}
    data = [(node.start_byte, node.end_byte) for node in outermost(captures.get("data", []))]
    for role in DEFINITION_ROLES:
        for node in captures.get(role, []):
            if data and _is_inside(node, data):
                continue
            own = _own_span(node, source, spec.prefix, bodies)
            own = span = reaches.get(own, own)
            if own in found:
                continue
            while span in wrappers:
                span = wrappers.pop(span)
            if comments:
                span = span[0], _end_of_code(source, *span, comments)
            found[own] = Definition(role, node, own, *span, carrier_of(node, spec))
    return sorted(found.values(), key=lambda item: (item.start, -item.end, item.node.start_byte))


def unbound_closures(captures: Captures, definitions: list[Definition]) -> list[Span]:
    """Spans of the anonymous functions that no definition binds to a name, and that are not called at once."""
    bound = {(item.carrier.start_byte, item.carrier.end_byte) for item in definitions}
    bound |= {(node.start_byte, node.end_byte) for node in captures.get("passage", [])}
    spans = ((node.start_byte, node.end_byte) for node in captures.get("closure", []))
    return [span for span in spans if span not in bound]


def outermost(nodes: list[Node]) -> list[Node]:
    """The nodes in document order without those inside another."""
    kept: list[Node] = []
    for node in sorted(nodes, key=lambda node: (node.start_byte, -node.end_byte)):
        if not kept or node.start_byte >= kept[-1].end_byte:
            kept.append(node)
    return kept


def _is_inside(node: Node, spans: list[Span]) -> bool:
    """Tell whether the node lies in one of the spans, which are in order and apart."""
    index = bisect_right(spans, node.start_byte, key=lambda span: span[0]) - 1
    return index >= 0 and node.end_byte <= spans[index][1]


def _own_span(node: Node, source: bytes, prefix: re.Pattern[bytes] | None, bodies: dict[int, int]) -> Span:
    """The node's span, with the body beside it and the prefix before it, where the grammar has them."""
    start, end = node.start_byte, node.end_byte
    if bodies:
        gap = _GAP.match(source, end)
        end = bodies.get(gap.end() if gap else end, end)
    before = prefix.search(source, max(start - MAX_PREFIX_BYTES, 0), start) if prefix is not None else None
    if before is not None:
        start = before.start()
    return start, end


def _end_of_code(source: bytes, start: int, end: int, comments: dict[int, int]) -> int:
    """The end of the span without the blanks at its end and the comments there that are indented no deeper than its start.

    `comments` has their starts by their ends.
    """
    while True:
        end = start + len(source[start:end].rstrip())
        comment = comments.get(end, start)
        if comment <= start or _column(source, comment) > _column(source, start):
            return end
        end = comment


def _column(source: bytes, offset: int) -> int:
    """The bytes before `offset` in its line."""
    return offset - (source.rfind(b"\n", 0, offset) + 1)


def _rest_spans(nodes: list[Node]) -> dict[Span, Span]:
    """Spans of definitions without a block, by the spans of their nodes."""
    reaches: dict[Span, Span] = {}
    following: dict[Span, int] = {}  # by enclosing span: the start of the definition found last
    for node in sorted(nodes, key=lambda node: -node.start_byte):
        outer = node.parent
        if outer is not None:
            enclosing = (outer.start_byte, outer.end_byte)
            reaches[node.start_byte, node.end_byte] = node.start_byte, following.get(enclosing, outer.end_byte)
            following[enclosing] = node.start_byte
    return reaches


def _wrappers(nodes: list[Node]) -> dict[Span, Span]:
    """Spans of wrappers by the spans that they wrap."""
    wrappers: dict[Span, Span] = {}
    for node in nodes:
        inner = first_field(node, _WRAPPER_FIELDS)
        if inner is None and node.named_child_count:
            inner = _only_one_of_its_type(node)
        if inner is not None:
            span, own = (inner.start_byte, inner.end_byte), (node.start_byte, node.end_byte)
            if span != own:
                wrappers[span] = own
    return wrappers


def _only_one_of_its_type(node: Node) -> Node | None:
    """The last named child, unless the node has several of its type (`const a = ..., b = ...`)."""
    *others, last = node.named_children
    return None if any(other.type == last.type for other in others) else last


def nest(definitions: list[Definition], closures: list[Span], captures: Captures, source: bytes) -> list[Block]:
    """Give every definition that owns a chunk its block, under the enclosing one; return the outermost blocks."""
    roots: list[Block] = []
    items: list[tuple[int, int, Definition | Node | None]] = [(item.start, -item.end, item) for item in definitions]
    items += [(start, -end, None) for start, end in closures]
    docs = {node.id for node in captures.get("inner_doc", [])}
    members = captures.get("field", []) + captures.get("inner_doc", [])
    items += [(node.start_byte, -node.end_byte, node) for node in members]
    items.sort(key=lambda item: item[:2])
    # Open definitions: end, block that takes children, whether a function is open, whether it is a class.
    stack: list[tuple[int, Block | None, bool, bool]] = []
    for start, negative_end, item in items:
        end = -negative_end
        while stack and stack[-1][0] <= start:
            stack.pop()
        _, parent, in_function, in_class = stack[-1] if stack else (0, None, False, False)
        if isinstance(item, Node):
            if in_class and parent is not None:
                _annotate(parent, item, source, is_doc=item.id in docs)
            continue
        is_callable = item is None or item.role in _CALLABLES
        may_be_short = item is not None and not in_function and (item.role != "member" or in_class)
        if item is None or (is_callable and not may_be_short and end - start < MIN_NESTED_BYTES):
            stack.append((end, parent, True, False))
            continue
        if item.role == "prototype" and in_class and parent is not None and _is_short(item, parent):
            continue
        block_type = _chunk_type(item.role, in_class=in_class)
        item.block = Block(start, end, block_type, is_overload=item.role == "overload")
        item.parent = parent
        (parent.children if parent else roots).append(item.block)
        stack.append((end, item.block, is_callable, item.role == "class"))
    return roots


def _is_short(prototype: Definition, around: Block) -> bool:
    """Tell whether a prototype is read with the class around it."""
    length = prototype.above + prototype.end - prototype.start
    return length < MIN_PROTOTYPE_BYTES or around.end - around.start < MIN_CLASS_BYTES


def _chunk_type(role: str, *, in_class: bool) -> ChunkType:
    if role in _CALLABLES:
        return ChunkType.METHOD if in_class else ChunkType.FUNCTION
    return ChunkType.CLASS if role == "class" else ChunkType.MODULE


def _annotate(block: Block, member: Node, source: bytes, *, is_doc: bool) -> None:
    """Give a class the type of a field, or its documentation."""
    if is_doc:
        block.docstring = block.docstring or clean_string(raw_text_of(member, source))
    else:
        block.type_annotations += tuple(field_of(member, source))


def join_clauses(roots: list[Block], source: bytes, *, clauses: bool) -> None:
    """Join neighbouring functions of one name to one block, clauses with the description of the first.

    Overloads are joined with what completes them, and have its description; else only `clauses` are joined.
    """
    stack = [roots]
    while stack:
        siblings = stack.pop()
        kept: list[Block] = []
        for block in siblings:
            if kept and (clauses or kept[-1].is_overload) and _are_clauses(kept[-1], block, source):
                if kept[-1].is_overload:
                    block.start, block.docstring = kept[-1].start, kept[-1].docstring or block.docstring
                    kept[-1] = block
                else:
                    _join(kept[-1], block)
            else:
                kept.append(block)
        siblings[:] = kept
        stack += [block.children for block in kept if block.children]


def _are_clauses(first: Block, second: Block, source: bytes) -> bool:
    same = first.name == second.name and first.chunk_type is second.chunk_type and first.name != ""
    is_function = second.chunk_type in {ChunkType.FUNCTION, ChunkType.METHOD}
    if not (same and is_function):
        return False
    if first.is_overload:
        return _BETWEEN_OVERLOADS.fullmatch(source, first.end, second.start) is not None
    is_ended = source.endswith(b".", first.start, first.end)  # as the last clause of Erlang is
    return not is_ended and _BETWEEN_CLAUSES.fullmatch(source, first.end, second.start) is not None


def _join(first: Block, second: Block) -> None:
    """Add a clause: each is one more path through the function."""
    first.end = second.end
    first.children += second.children
    first.docstring = first.docstring or second.docstring
    first.return_type = first.return_type or second.return_type
    first.decorators += second.decorators
    first.cyclomatic_complexity = (first.cyclomatic_complexity or 0) + (second.cyclomatic_complexity or 0)
    first.cognitive_complexity = (first.cognitive_complexity or 0) + (second.cognitive_complexity or 0)
    first.max_nesting_depth = max(first.max_nesting_depth or 0, second.max_nesting_depth or 0)
