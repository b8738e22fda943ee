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
from dataclasses import dataclass, replace
from functools import cache
from typing import Final, NamedTuple

from tree_sitter import Language, Node, Parser, Query, QueryCursor, Tree

from code_index.chunking.hidden_text import Hidden, Span, blanked
from code_index.core.errors import ParseError

Repair = Callable[[bytes, list[Span]], list[Hidden]]
"""From the text and the spans of its faults, in order, to what is to be hidden."""

MAX_ROUNDS: Final = 2
"""Each round parses once for each repair that finds something: the time stays a small multiple of one parse."""

_ERRORS: Final = "(ERROR) @fault (MISSING) @fault"


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


def read(source: bytes, parser: Parser, query: Query, repairs: tuple[Repair, ...]) -> Reading:
    """The most plausible tree of the source.

    Raises:
        ParseError: the parser gave no tree.
    """
    best = _reading(source, parser, query, ())
    if not (best.tree.root_node.has_error or "doubt" in best.captures):
        return best
    faults = _faults(best, parser.language)
    text = source
    for _ in range(MAX_ROUNDS):
        before = faults.lines
        for repair in repairs:
            if faults.lines and (found := repair(text, faults.spans)):
                changed = blanked(text, found)
                other = _reading(changed, parser, query, (*best.hidden, *found))
                remaining = _faults(other, parser.language)
                if remaining.lines < faults.lines:
                    best, faults, text = other, remaining, changed
        if not faults.lines or faults.lines == before:
            break
    return replace(best, misread_lines=_different(faults.rows))


def _reading(text: bytes, parser: Parser, query: Query, hidden: tuple[Hidden, ...]) -> Reading:
    tree = parser.parse(text)
    if tree is None:
        raise ParseError("the parser gave no tree; exclude the file or report it")
    return Reading(tree, QueryCursor(query).captures(tree.root_node), hidden)


def _faults(reading: Reading, language: Language | None) -> _Faults:
    """The spans of nodes that are wrong, and the number of lines that they cover."""
    root = reading.tree.root_node
    nodes = list(reading.captures.get("doubt", []))
    if root.has_error and language is not None:
        nodes += QueryCursor(_error_query(language)).captures(root).get("fault", [])
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


@cache
def _error_query(language: Language) -> Query:
    return Query(language, _ERRORS)
