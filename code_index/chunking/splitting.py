"""Cuts of texts that are too long.

Belongs here: `SourceText`, which knows lines, characters and break points of one file, and its cuts.
Does not belong here: the owners of texts (`assembly`).

Offsets are bytes, limits are characters: parsers count bytes, but a limit in bytes would make pieces of
Chinese comments three times as short as those of English ones.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final

_NOT_BLANK: Final = re.compile(rb"[^ \t\n\r\f\v]")
_INDENT: Final = re.compile(rb"[ \t\f\v]*")
_CONTINUATION_MASK: Final = 0xC0
_CONTINUATION: Final = 0x80
_UTF8_MAX_BYTES: Final = 4
_FIRST_SEPARATOR: Final = 0x1C  # ASCII's file, group, record and unit separators are white space to Python
_MID_LINE: Final = 1 << 30  # wider than any indentation: line starts are better cuts than any other
_CLOSERS: Final = (b")", b"]", b"}")  # a piece does not start with the end of another


class SourceText:
    r"""UTF-8 bytes of one file, with their lines, lengths and cuts.

    Lines are those of LSP and of the common editors: a line ends at `\n`, `\r\n` or a lone `\r`.
    """

    def __init__(self, source: bytes, break_points: Sequence[int]) -> None:
        self.source = source
        self._ascii = source.isascii()
        self._break_points = break_points
        self._line_starts = [0, *accumulate(map(len, source.splitlines(keepends=True)))]
        # Cached answers: a line that starts with a megabyte of blanks must not be read again for each cut.
        self._code_start = (-1, -1)  # start of a line, and the end of its indentation
        self._blanks = (0, 0)  # only indentation
        self._not_blank = (0, 0)  # blank from the first offset to the second, which is not

    def line(self, offset: int) -> int:
        """The 1-based line of the byte at `offset`."""
        return bisect_right(self._line_starts, offset)

    def line_start(self, offset: int) -> int:
        """Start of the line of `offset`."""
        return self._line_starts[bisect_right(self._line_starts, offset) - 1]

    def text(self, start: int, end: int) -> str:
        """The text of a span."""
        return self.source[start:end].decode("utf-8", "replace")

    def length(self, start: int, end: int) -> int:
        """The span's length in characters."""
        return end - start if self._ascii else len(self.text(start, end))

    def trimmed(self, start: int, end: int) -> tuple[int, int] | None:
        """The span without blank edges, but with the first line's indentation; `None` when it is blank."""
        first = _NOT_BLANK.search(self.source, start, end)
        if first is None:
            return None
        inner_end = start + len(self.source[start:end].rstrip())
        if self._is_blank(first.start(), inner_end):
            return None
        return self.with_indent(first.start(), start), inner_end

    def _is_blank(self, start: int, end: int) -> bool:
        """Tell whether a trimmed span has only white space beyond ASCII's six, such as no-break spaces."""
        byte = self.source[start]
        may_be = byte >= _CONTINUATION or _FIRST_SEPARATOR <= byte < ord(" ")
        return may_be and not self.text(start, end).strip()

    def with_indent(self, offset: int, floor: int) -> int:
        """`offset`, or the start of its line when only indentation is between, never before `floor`."""
        line_start = max(self._line_starts[bisect_right(self._line_starts, offset) - 1], floor)
        if line_start >= offset:
            return offset
        first, last = self._blanks
        if not (first <= line_start and offset == last):
            if _INDENT.fullmatch(self.source, line_start, offset) is None:
                return offset
            self._blanks = (line_start, offset)
        return line_start

    def pieces(self, start: int, end: int, max_characters: int) -> Iterator[tuple[int, int]]:
        """Cut a trimmed span into trimmed pieces of at most `max_characters`, about equally long.

        The best cut is the break point with the least indentation, else the line start with the least; both are
        sought between half the ideal length and the limit, then below. The last resort is any character.
        """
        length = self.length(start, end)
        code = start
        while length > max_characters:
            count = -(-length // max_characters)
            cut = self._cut(start, end, -(-length // count), max_characters)
            if (piece := self.trimmed(start, cut)) is not None:
                yield piece
            rest = self._next_not_blank(cut, end)
            if rest is None:
                return
            code = rest
            following = self.with_indent(rest, cut)
            length -= self.length(start, following)
            start = following
        # Not from `start`: only rarer blanks may follow an indentation.
        if not self._is_blank(code, end):
            yield start, end

    def _next_not_blank(self, start: int, end: int) -> int | None:
        first, last = self._not_blank
        if first <= start <= last < end:
            return last
        found = _NOT_BLANK.search(self.source, start, end)
        if found is None:
            return None
        self._not_blank = (start, found.start())
        return found.start()

    def _end_of_indent(self, line_start: int) -> int:
        line, end = self._code_start
        if line != line_start:
            end = _INDENT.match(self.source, line_start).end()  # type: ignore[union-attr]  # matches anything
            self._code_start = (line_start, end)
        return end

    def _cut(self, start: int, end: int, ideal: int, limit: int) -> int:
        middle = self._forward(start, ideal // 2)
        target = self._forward(start, ideal)
        last = min(self._forward(start, limit), end - 1)
        for low, high in ((middle, last), (start, middle)):
            for offsets in (self._break_points, self._line_starts):
                cut = self._best(offsets, low, high, target, start)
                if cut is not None:
                    return cut
        return self._forward(start, limit)

    def _best(self, offsets: Sequence[int], low: int, high: int, target: int, start: int) -> int | None:
        """The offset in `(low, high]` with the least indentation; of equals the nearest to `target`."""
        best: tuple[int, int, int] | None = None
        for offset in offsets[bisect_right(offsets, low) : bisect_right(offsets, high)]:
            if self.source[offset] & _CONTINUATION_MASK == _CONTINUATION:
                continue
            cut = self.with_indent(offset, start)
            if cut <= start:
                continue
            line_start = self.line_start(offset)
            code = self._end_of_indent(line_start)
            if offset > code:
                width = _MID_LINE
            elif self.source[code : code + 1] in _CLOSERS:
                continue
            else:
                width = code - line_start
            rank = (width, abs(cut - target), cut)
            if best is None or rank < best:
                best = rank
        return None if best is None else best[2]

    def _forward(self, start: int, characters: int) -> int:
        """The offset `characters` further; at least one whole character, never inside one."""
        characters = max(characters, 1)
        if self._ascii:
            return start + characters
        window = self.source[start : start + _UTF8_MAX_BYTES * characters].decode("utf-8", "ignore")
        return start + len(window[:characters].encode("utf-8"))
