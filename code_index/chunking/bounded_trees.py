"""Trees and what queries capture in them, in bounded work.

Belongs here: parsing, asking, and the texts for which either takes too long. Does not belong here: what is asked
(`code`), and which of two trees is right (`recovery`).

Some grammars take time quadratic in what nobody wrote: a scanner looks for the end of a comment in all of the rest, again for
each byte. So does tree-sitter's query cursor, twice: for each child of a node it looks for a later sibling with a
name (300,000 brackets that a grammar left in one error: minutes), and it compares each node with all matches that
wait for more (8,000 operators, each in the next: 1.4 s). Work is counted in what the library asks and tells, not in
seconds, so that a file has the same chunks on every machine; measured with tree-sitter 0.26, 2026-11. What no count
sees, a scanner that never ends, is left to the limit of processor time (`code_index.parsing`). Rejected: the callback
by which a query can be stopped, since it is called after every hundred nodes, however long those took.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import Final

from tree_sitter import Node, Parser, Point, Query, QueryCursor, Tree

from code_index.core.errors import ParseError

BLOCK_BYTES: Final = 1_024
MAX_BLOCKS: Final = 50_000
BLOCKS_PER_BYTE: Final = 0.5
"""Blocks that a scanner may read: a file once, and what lies ahead. A block takes 12 us; of 4,000
real files that are longer than `BLOCK_BYTES` none takes 0.3 a byte."""

MAX_STEPS: Final = 10_000
STEPS_PER_BYTE: Final = 0.1
"""Hundreds of operations of a parser, each some 70 us in broken code; of 4,000 real files none takes 0.04 a byte."""

MAX_WAITING: Final = 1_000
"""Matches of a query that may wait at once, each for up to 14 ns at each node: 1 MB takes 10 s at most. Of 1,500 real files
none has 300."""

MAX_PASSED: Final = 200_000_000
"""Nodes that a query may pass in search of siblings with a name; takes about 0.3 s."""

MAX_DEPTH: Final = 60_000
"""Levels of a tree that is asked. A query counts them in 16 bits, and beyond 65,535 its matches wait for ever."""

_SAMPLES: Final = 256
"""Places of a tree that are looked at: what is 16,000 nodes long or deep is hit in any file of a megabyte."""

_NAME_BYTES: Final = 64  # most nodes whose text a query compares are shorter


def parsed(text: bytes, parser: Parser, old: Tree | None = None) -> Tree | None:
    """The tree of a text; `None` when the grammar takes too long. What `old`, which knows its edits, has of it is kept.

    Raises:
        ParseError: the parser gave no tree.
    """
    reader = _Reader(text)
    told = reader.is_too_much
    try:
        if old is None:
            tree = parser.parse(reader, progress_callback=told)
        else:
            tree = parser.parse(reader, old, progress_callback=told)
    except ValueError as error:
        parser.reset()  # it would go on with the next text where it stopped in this one
        if reader.stopped:
            return None
        raise ParseError("the parser gave no tree; exclude the file or report it") from error
    reader.is_parsed = True
    return tree


class _Reader:
    """The text as a parser reads it, and the work that it makes of it. The tree's nodes read their text here too."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._blocks_left = MAX_BLOCKS + int(BLOCKS_PER_BYTE * len(text))
        self._steps_left = MAX_STEPS + int(STEPS_PER_BYTE * len(text))
        self._length = _NAME_BYTES
        self._end = 0
        self.is_parsed = False
        self.stopped = False

    def __call__(self, offset: int, _point: Point) -> bytes:
        if not self.is_parsed:
            self._blocks_left -= 1
            return self._text[offset : offset + BLOCK_BYTES]
        # A long text is read on and on: by blocks of one length, joining them would take quadratic time.
        self._length = self._length * 2 if offset == self._end else _NAME_BYTES
        self._end = offset + self._length
        return self._text[offset : self._end]

    def is_too_much(self, _offset: int, _has_error: bool) -> bool:
        self._steps_left -= 1
        self.stopped = self._blocks_left < 0 or self._steps_left < 0
        return self.stopped


def captured(query: Query, root: Node, unsorted: Collection[str] = ()) -> dict[str, list[Node]] | None:
    """The nodes that a query captures in a tree, by role, in document order; `None` when asking takes too long.

    Those of `unsorted` roles are as the matches have them, in no order, and each as often as patterns match.

    By matches, sorted here: `QueryCursor.captures` holds finished matches back until all before them are done. They would
    count as waiting, and it takes twice the time where a match stays open around much of a file.
    """
    if (root.has_error or root.descendant_count > MAX_DEPTH) and _is_wide_or_deep(root):
        return None
    cursor = QueryCursor(query, match_limit=MAX_WAITING)
    found: defaultdict[str, list[Node]] = defaultdict(list)
    for _, match in cursor.matches(root):
        for name, nodes in match.items():
            found[name] += nodes
    if cursor.did_exceed_match_limit:
        return None
    for name, nodes in found.items():
        if name not in unsorted:
            found[name] = sorted(dict.fromkeys(nodes), key=lambda node: (node.start_byte, -node.end_byte))
    return dict(found)


def _is_wide_or_deep(root: Node) -> bool:
    """Tell whether a query would take too long for the tree's form; only errors have many nodes without a name in a row."""
    passed, seen, count = 0, 0, root.descendant_count
    cursor = root.walk()
    for sample in range(_SAMPLES):
        cursor.goto_descendant(sample * count // _SAMPLES)
        if cursor.depth > MAX_DEPTH:
            return True
        around = cursor.node if cursor.goto_parent() else None
        if around is not None and around.is_error and around.start_byte >= seen:
            passed += _passed_in(around)
            seen = around.end_byte
    return passed > MAX_PASSED


def _passed_in(error: Node) -> int:
    passed = nameless = 0
    for child in error.children:
        if child.is_named:
            passed += nameless * nameless // 2
            nameless = 0
        else:
            nameless += 1
    return passed + nameless * nameless // 2
