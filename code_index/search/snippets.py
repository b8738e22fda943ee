"""The lines of a hit to show, where not all of them are.

Belongs here: lines as a file has them. Does not belong here: which of them say what was asked for
(`code_index.search.ranking`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from code_index.core.lines import lines_of
from code_index.search.ranking import snippet_lines

# Where `str.splitlines` cuts within a line of a file.
_MOST_WORDS: Final = 200  # of a query that is a page of text; each is looked for in each line
_NO_END: Final = re.compile("[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")


def snippet(lines: Sequence[str], words: Sequence[str], *, height: int) -> tuple[int, list[str]]:
    """Pick the window of lines that has most of the words.

    Args:
        lines: of a chunk.
        words: lower-case words of the query.
        height: lines to show at most.

    Returns:
        Offset of the first line shown, from 0, and the lines.
    """
    first, _ = snippet_lines("\n".join(_NO_END.sub(" ", line) for line in lines), words[:_MOST_WORDS], height=height)
    return first, list(lines[first : first + height])


def snippet_of(content: str, words: Sequence[str], *, height: int) -> tuple[int, list[str], int]:
    """Pick the window of a text as `snippet` does; also the number of all its lines."""
    lines = lines_of(content)
    return *snippet(lines, words, height=height), len(lines)
