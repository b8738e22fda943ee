"""Trees that a grammar got wrong: found, and parsed again without the words that misled it.

Belongs here: how wrong a tree is, and the choice between two trees. Does not belong here: the words that mislead a
grammar, which its specification finds (`languages`), and scanners that several share (`hidden_text`).

A grammar that meets a macro, a directive or a feature newer than itself goes on as if nothing were wrong: a class
becomes a function, the rest of the file its body. Such trees are found by their error nodes, and by the nodes that a
query captures as `doubt`. What is hidden is replaced by blanks, so that all offsets stay those of the source, and the
new tree is kept only if less is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from tree_sitter import Language, Node, Parser, Query, Tree

from code_index.chunking.bounded_trees import captured, parsed
from code_index.chunking.hidden_text import Hidden, Span, blanked

Repair = Callable[[bytes, list[Span]], list[Hidden]]
"""From the text and the spans of its faults, in order, to what is to be hidden."""

MAX_ROUNDS: Final = 2
"""Each round parses once for each repair that finds something: the time stays a small multiple of one parse."""

_ERRORS: Final = "(ERROR) @fault (MISSING) @fault\n"


@dataclass(frozen=True, slots=True)
class Reading:
    """A tree, what the query captured in it, what was hidden from the grammar, and the lines that stayed wrong."""

    tree: Tree
    captures: dict[str, list[Node]]
    hidden: tuple[Hidden, ...] = ()
    misread_lines: int = 0


class _Faults(NamedTuple):
    spans: list[Span]
    rows: list[tuple[int, int]]
    lines: int  # of all, those in several more than once


def read(
    source: bytes, parser: Parser, query: Query, fault_query: Query, repairs: tuple[Repair, ...]
) -> Reading | None:
    """The most plausible tree of the source, with what the query captured in it; `None` when that takes too long.

    Raises:
        ParseError: the parser gave no tree.
    """
    tree = parsed(source, parser)
    captures = captured(query, tree.root_node) if tree is not None else None
    if tree is None or captures is None:
        return None
    if not (tree.root_node.has_error or "doubt" in captures):
        return Reading(tree, captures)
    faults, text = _faults(tree, fault_query), source
    if faults is None:
        return None
    hidden: tuple[Hidden, ...] = ()
    failed: set[tuple[Hidden, ...]] = set()
    for _ in range(MAX_ROUNDS):
        before = faults.lines
        for repair in repairs:
            found = tuple(repair(text, faults.spans)) if faults.lines else ()
            if not found or found in failed:
                continue
            changed = blanked(text, found)
            other = parsed(changed, parser)
            remaining = _faults(other, fault_query) if other is not None else None
            if other is not None and remaining is not None and remaining.lines < faults.lines:
                tree, faults, text, hidden = other, remaining, changed, (*hidden, *found)
            else:
                failed.add(found)
        if not faults.lines or faults.lines == before:
            break
    if hidden:
        captures = captured(query, tree.root_node)
    return Reading(tree, captures, hidden, _different(faults.rows)) if captures is not None else None


def fault_query(grammar: Language, query: Query, text: bytes) -> Query:
    """The query for what is wrong in a tree: errors, and the patterns that capture a `doubt` in a query and its text.

    Without the other patterns: a file with faults is asked several times.
    """
    patterns = [
        text[query.start_byte_for_pattern(index) : query.end_byte_for_pattern(index)].decode()
        for index in range(query.pattern_count)
    ]
    return Query(grammar, _ERRORS + "".join(pattern for pattern in patterns if "@doubt" in pattern))


def _faults(tree: Tree, query: Query) -> _Faults | None:
    """The spans of nodes that are wrong, and the number of lines that they cover; `None` when asking takes too long."""
    root = tree.root_node
    captures = captured(query, root)
    if captures is None:
        return None
    nodes = captures.get("doubt", []) + captures.get("fault", [])
    nodes += [root] if root.type == "ERROR" else []
    rows = [(node.start_point.row, node.end_point.row) for node in nodes]
    lines = sum(1 + end - start for start, end in rows)
    return _Faults(sorted((node.start_byte, node.end_byte) for node in nodes), rows, lines)


def _different(rows: list[tuple[int, int]]) -> int:
    """The number of rows in any of the ranges, each with its first and last."""
    found, last = 0, -1
    for start, end in sorted(rows):
        found += max(end - max(start - 1, last), 0)
        last = max(last, end)
    return found
