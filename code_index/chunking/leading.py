"""Comments, attributes and signatures directly above a definition and outside its node, which belong to it.

Belongs here: finding them by position. Does not belong here: decorators in a node around the definition, such as
Python's (`definition_tree` takes them into its span, `code` lists them).

Asking nodes for their siblings was rejected: tree-sitter walks from the root for each answer.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Final

from tree_sitter import Node

from code_index.chunking.blocks import Block

COMMENT_ROLES: Final = ("comment", "doc")
ROLES_ABOVE: Final = (*COMMENT_ROLES, "attribute", "signature")

# At most one line end, so that no blank line separates the two.
_GAP: Final = re.compile(rb"[ \t\f\v]*(?:\r\n|\n|\r)?[ \t\f\v]*")

_SHEBANG: Final = b"#!"

_LINE_END: Final = re.compile(rb"\n")
_BLANKS: Final = re.compile(rb"\s*")

Above = tuple[int, int, str]  # start, end, role


class Leading:
    """The comments, attributes and signatures of one file, in order."""

    def __init__(
        self, source: bytes, captures: dict[str, list[Node]], hidden: Sequence[Above] = (), *, indentation_binds: bool
    ) -> None:
        self._source = source
        self._indentation_binds = indentation_binds
        self._items: list[Above] = []
        last = -1
        captured = [(node.start_byte, node.end_byte, role) for role in ROLES_ABOVE for node in captures.get(role, [])]
        for item in sorted([*captured, *hidden]):
            if item[0] >= last:  # a comment node inside a comment is the same comment
                self._items.append(item)
                last = item[1]
        self._starts = [item[0] for item in self._items]
        # Cached: in a file that is one line of a megabyte, searching back for its start takes a second per thousand
        # comments.
        self._line_starts = [0, *(match.end() for match in _LINE_END.finditer(source))] if self._items else [0]
        self._code_start = (-1, -1)  # start of a line, and the end of its blanks

    def take(self, block: Block, floor: int) -> list[Above]:
        """Move the block's start up over the items directly above it, not before `floor`; return them in order."""
        taken: list[Above] = []
        index = bisect_left(self._starts, block.start) - 1
        while index >= 0:
            start, end, role = self._items[index]
            gap = _BLANKS if role == "doc" else _GAP
            if start < floor or end > block.start or not self._adjacent(end, block.start, gap):
                break
            if role in COMMENT_ROLES and (not self._starts_line(start) or self._is_shebang(start)):
                break
            if self._indentation_binds and self._column(start) != self._column(block.start):
                break
            taken.append(self._items[index])
            block.start = start
            index -= 1
        return taken[::-1]

    def _adjacent(self, end: int, start: int, gap: re.Pattern[bytes]) -> bool:
        """Tell whether only the gap is between the two."""
        end -= self._source[end - 1 : end] in (b"\n", b"\r")  # in some grammars the comment includes the line end
        return gap.fullmatch(self._source, end, start) is not None

    def _is_shebang(self, start: int) -> bool:
        return not start and self._source.startswith(_SHEBANG)

    def _starts_line(self, offset: int) -> bool:
        line_start = offset - self._column(offset)
        line, code = self._code_start
        if line != line_start:
            code = _BLANKS.match(self._source, line_start).end()  # type: ignore[union-attr]  # matches anything
            self._code_start = (line_start, code)
        return offset <= code

    def _column(self, offset: int) -> int:
        return offset - self._line_starts[bisect_right(self._line_starts, offset) - 1]
