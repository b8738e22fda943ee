"""Shared parts of the extractors of structured formats: choice of blocks, and line ends.

Belongs here: the policy of sizes and depth, and helpers on byte offsets.
Does not belong here: anything about one format.

An extractor lists every candidate of its format; `finish` keeps those worth finding on their own. Formats are read
by scanners instead of grammars: the files are full of templates, dialects and comments
that become error nodes in a grammar, and the HTML grammar is quadratic in nesting (20,000 unclosed
elements, 100 KB: 0.8 s). A scanner is linear and cannot fail.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import Final

from code_index.chunking.blocks import Block, Extraction
from code_index.core.model import ChunkType

MIN_BLOCK_BYTES: Final = 200
"""Smaller candidates stay part of their parent: one-line keys and rules say little on their own."""

WHOLE_BLOCK_BYTES: Final = 1_000
"""Data up to this size (a member, a rule, a manifest) is not split: it is read at one glance."""

MIN_OWN_BYTES: Final = 80
"""A parent with less text of its own (a key and its brackets, a bare heading) gives it to its children."""

MAX_DEPTH: Final = 6
"""Deepest nesting of blocks: qualified names stay readable, and their total length linear."""

MAX_NAME_CHARACTERS: Final = 120

_BLANK: Final = b" \t"
_LINE_REST: Final = re.compile(rb"[ \t]*\r?\n")
_SPACES: Final = re.compile(r"\s+")


def finish(
    blocks: list[Block],
    break_points: list[int],
    *,
    remainder_type: ChunkType,
    name_separator: str = ".",
    whole_bytes: int = WHOLE_BLOCK_BYTES,
) -> Extraction:
    """Prune the candidates and give each block the break points of its own text.

    `blocks` is a tree of candidates, spans in order and nested; it is changed in place. `break_points` may
    be in any order. Dropped candidates leave their start as a break point.
    """
    points = list(break_points)
    top = _pruned(blocks, points)
    pending = [(block, 1) for block in top]
    while pending:
        block, depth = pending.pop()
        if block.end - block.start <= whole_bytes or depth >= MAX_DEPTH:
            _dissolve(block.children, points)
            block.children = []
        else:
            block.children = _pruned(block.children, points)
            _hand_own_text_to_children(block)
            pending.extend((child, depth + 1) for child in block.children)
    points = sorted(set(points))
    pending_blocks = list(top)
    while pending_blocks:
        block = pending_blocks.pop()
        block.break_points = _own_points(points, block.start + 1, block.end, block.children)
        pending_blocks.extend(block.children)
    own = _own_points(points, 1, points[-1] + 1 if points else 1, top)
    return Extraction(blocks=top, break_points=own, remainder_type=remainder_type, name_separator=name_separator)


def _pruned(candidates: list[Block], points: list[int]) -> list[Block]:
    kept = [candidate for candidate in candidates if candidate.end - candidate.start >= MIN_BLOCK_BYTES]
    if len(kept) < len(candidates):
        points.extend(candidate.start for candidate in candidates if candidate.end - candidate.start < MIN_BLOCK_BYTES)
    return kept


def _hand_own_text_to_children(block: Block) -> None:
    """Let the children cover the whole block when the rest is too little for a chunk."""
    children = block.children
    own = block.end - block.start - sum(child.end - child.start for child in children)
    if children and own < MIN_OWN_BYTES:
        children[0].start = block.start
        for child, following in zip(children, [*children[1:], None], strict=True):
            child.end = block.end if following is None else following.start


def _dissolve(candidates: list[Block], points: list[int]) -> None:
    pending = list(candidates)
    while pending:
        candidate = pending.pop()
        points.append(candidate.start)
        pending.extend(candidate.children)


def _own_points(points: list[int], start: int, end: int, children: list[Block]) -> list[int]:
    """The sorted `points` in [start, end) that lie in no child."""
    own: list[int] = []
    for child in children:
        own += points[bisect_left(points, start) : bisect_left(points, child.start)]
        start = child.end
    own += points[bisect_left(points, start) : bisect_left(points, end)]
    return own


def line_start(source: bytes, offset: int) -> int:
    """`offset` moved back over indentation to its line's start; unchanged when other text precedes it."""
    start = offset
    while start and source[start - 1] in _BLANK:
        start -= 1
    return start if not start or source[start - 1] == ord("\n") else offset


def line_rest(source: bytes, offset: int) -> int:
    """`offset` moved past a blank rest of its line, newline included; unchanged when other text follows."""
    match = _LINE_REST.match(source, offset)
    return match.end() if match else offset


def label(text: bytes) -> str:
    """A name as one line of at most `MAX_NAME_CHARACTERS`."""
    # At most four bytes per character, and as much again for white space that collapses.
    return (
        _SPACES.sub(" ", text[: MAX_NAME_CHARACTERS * 8].decode("utf-8", "ignore"))
        .strip()[:MAX_NAME_CHARACTERS]
        .rstrip()
    )
