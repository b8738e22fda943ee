"""Trees that a grammar got wrong: found, and parsed again without the words that misled it.

Belongs here: how wrong a tree is, and the choice between two trees. Does not belong here: the words that mislead a
grammar, which its specification finds (`languages`), and scanners that several share (`hidden_text`).

A grammar that meets a macro, a directive or a feature newer than itself goes on as if nothing were wrong: a class
becomes a function, the rest of the file its body. Such trees are found by their error nodes, and by the nodes that a
query captures as `doubt`. What is hidden is replaced by blanks, so that all offsets stay those of the source, and the
new tree is kept only if less is wrong with it. Only what changed is parsed again: the rest is taken from the tree before.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from tree_sitter import Language, Node, Parser, Query, Tree

from code_index.chunking.bounded_trees import captured, parsed
from code_index.chunking.hidden_text import Hidden, Span, blanked

Repair = Callable[[bytes, list[Span]], list[Hidden]]
"""From the text and the spans of its faults, in order, to what is to be hidden."""

MAX_ROUNDS: Final = 2
"""Each round parses once for each repair that finds something: the time stays a small multiple of one parse."""

NAME_ROLES: Final = ("name", "key")
"""Roles whose many nodes each match once."""

_MAX_EDITS: Final = 2_000
"""With more spans hidden at once, all is parsed again."""

_LINE_END: Final = re.compile(rb"\n")


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
    source: bytes, parser: Parser, query: Query, doubts: Query | None, repairs: tuple[Repair, ...]
) -> Reading | None:
    """The most plausible tree of the source, with what the query captured in it; `None` when that takes too long.

    `doubts` is the query's `doubt_query`.

    Raises:
        ParseError: the parser gave no tree.
    """
    tree = parsed(source, parser)
    if tree is None:
        return None
    if not tree.root_node.has_error:
        captures = captured(query, tree.root_node, NAME_ROLES)
        if captures is None or "doubt" not in captures:
            return Reading(tree, captures) if captures is not None else None
    faults = _faults(tree, doubts)
    if faults is None:
        return None
    tree, hidden, misread_lines = _repaired(source, tree, faults, parser, doubts, repairs)
    captures = captured(query, tree.root_node, NAME_ROLES)
    return Reading(tree, captures, hidden, misread_lines) if captures is not None else None


def _repaired(
    text: bytes, tree: Tree, faults: _Faults, parser: Parser, doubts: Query | None, repairs: tuple[Repair, ...]
) -> tuple[Tree, tuple[Hidden, ...], int]:
    """The tree with the fewest faults, what is hidden from the grammar in it, and the lines that stay wrong."""
    hidden: tuple[Hidden, ...] = ()
    failed: set[tuple[Hidden, ...]] = set()
    for _ in range(MAX_ROUNDS):
        before = faults.lines
        for repair in repairs:
            found = tuple(repair(text, faults.spans)) if faults.lines else ()
            if not found or found in failed:
                continue
            changed = blanked(text, found)
            other = parsed(changed, parser, _edited(tree, text, found))
            remaining = _faults(other, doubts) if other is not None else None
            if other is not None and remaining is not None and remaining.lines < faults.lines:
                tree, faults, text, hidden = other, remaining, changed, (*hidden, *found)
            else:
                failed.add(found)
        if not faults.lines or faults.lines == before:
            break
    return tree, hidden, _different(faults.rows)


def doubt_query(grammar: Language, query: Query, text: bytes) -> Query | None:
    """The patterns that capture a `doubt` in a query and its text, or None.

    Without the other patterns: a file with faults is asked several times.
    """
    patterns = [
        text[query.start_byte_for_pattern(index) : query.end_byte_for_pattern(index)].decode()
        for index in range(query.pattern_count)
    ]
    doubts = [pattern for pattern in patterns if "@doubt" in pattern]
    return Query(grammar, "".join(doubts)) if doubts else None


def _edited(tree: Tree, text: bytes, hidden: tuple[Hidden, ...]) -> Tree | None:
    """A copy of the tree of `text` that knows what is to be hidden; None where a parse from the start costs less."""
    if len(hidden) > _MAX_EDITS:
        return None
    lines = [0, *(found.end() for found in _LINE_END.finditer(text))]

    def point(offset: int) -> tuple[int, int]:
        row = bisect_right(lines, offset) - 1
        return row, offset - lines[row]

    edited = tree.copy()
    for start, end, *_ in hidden:
        edited.edit(start, end, end, point(start), point(end), point(end))
    return edited


def _faults(tree: Tree, doubts: Query | None) -> _Faults | None:
    """The spans of nodes that are wrong, and the number of lines that they cover; `None` when asking takes too long."""
    nodes = list(_errors(tree))
    if doubts is not None:
        captures = captured(doubts, tree.root_node)
        if captures is None:
            return None
        nodes += captures.get("doubt", [])
    rows = [(node.start_point.row, node.end_point.row) for node in nodes]
    lines = sum(1 + end - start for start, end in rows)
    return _Faults(sorted((node.start_byte, node.end_byte) for node in nodes), rows, lines)


def _errors(tree: Tree) -> Iterator[Node]:
    """The nodes of errors and those that the parser put in, by the way to them: a query would go through the whole tree."""
    cursor = tree.walk()
    while (node := cursor.node) is not None:
        if node.is_error or node.is_missing:
            yield node
        if node.has_error and cursor.goto_first_child():
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return


def _different(rows: list[tuple[int, int]]) -> int:
    """The number of rows in any of the ranges, each with its first and last."""
    found, last = 0, -1
    for start, end in sorted(rows):
        found += max(end - max(start - 1, last), 0)
        last = max(last, end)
    return found
