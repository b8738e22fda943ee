"""Languages within files: scripts in pages, code in Markdown, HTML in PHP, items in Rust's macros.

Belongs here: reading a part of a file with the extractor of its own language, and its blocks among those of the file.
Does not belong here: which parts a file has (extractors list them as `Part`), and the extractors.

A part is read as a text of its own and its offsets are moved, so its lines and bytes are those of the file.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

from code_index.chunking.assembly import CODE
from code_index.chunking.blocks import Block, Extraction, NameDefinition, Part
from code_index.chunking.code import extract_code
from code_index.chunking.hidden_text import blanked
from code_index.chunking.language_detection import language_of_word
from code_index.chunking.registry import LANGUAGES
from code_index.chunking.structured import extract_structured

MAX_DEPTH: Final = 3
"""Languages within each other: PHP, its HTML, a script in that, and one more."""


def extract(source: bytes, language: str, depth: int = 1) -> Extraction:
    """The named parts of a text of any language, those of the languages in it among them.

    `source` is valid UTF-8.

    Raises:
        ParseError: a grammar is missing or gave no tree.
    """
    is_code = language in LANGUAGES
    found = extract_code(source, language) if is_code else extract_structured(source, language)
    if found.parts and depth < MAX_DEPTH:
        imports = list(zip(found.import_offsets, found.imports, strict=True))
        for part in found.parts:
            inner_language = language_of_word(part.word)
            if inner_language is None or (part.only_code and inner_language not in LANGUAGES):
                continue
            start, inner = _read(source, part, inner_language, depth)
            for block in _outermost_code(inner.blocks) if is_code or part.only_code else inner.blocks:
                _move(block, start)
                block.absolute = block.absolute or language != inner_language
                block.name_separator = block.name_separator or inner.name_separator
                _insert(found.blocks, block)
            imports += [(start + at, name) for at, name in zip(inner.import_offsets, inner.imports, strict=True)]
            found.definitions += [_moved(one, start) for one in inner.definitions]
            for said, offsets in inner.uses.items():
                found.uses.setdefault(said, []).extend([start + at for at in offsets])
            found.unread_lines += inner.unread_lines
            found.break_points += [start + point for point in inner.break_points]
        imports.sort(key=lambda item: item[0])
        found.import_offsets = tuple(offset for offset, _ in imports)
        found.imports = tuple(name for _, name in imports)
        found.break_points.sort()
    return found


def _read(source: bytes, part: Part, language: str, depth: int) -> tuple[int, Extraction]:
    """The part's offset in the source, and what it holds; what lies between its spans is blank to its extractor."""
    start, end = part.spans[0][0], part.spans[-1][1]
    text = source[start:end]
    if len(part.spans) > 1:
        ends = [last - start for _, last in part.spans[:-1]]
        starts = [first - start for first, _ in part.spans[1:]]
        text = blanked(text, zip(ends, starts, strict=True))
        if part.joint:
            joined = bytearray(text)
            for offset in ends:
                joined[offset : offset + len(part.joint)] = part.joint
            text = bytes(joined)
    return start, extract(text, language, depth + 1)


def _outermost_code(blocks: list[Block]) -> list[Block]:
    """The outermost functions and classes, in order."""
    found: list[Block] = []
    pending = blocks[::-1]
    while pending:
        block = pending.pop()
        if block.chunk_type in CODE:
            found.append(block)
        else:
            pending += block.children[::-1]
    return found


def _move(block: Block, distance: int) -> None:
    pending = [block]
    while pending:
        moved = pending.pop()
        moved.start += distance
        moved.end += distance
        moved.break_points = [point + distance for point in moved.break_points]
        pending += moved.children


def _moved(one: NameDefinition, distance: int) -> NameDefinition:
    return NameDefinition(one.offset + distance, one.said, one.start + distance, one.end + distance)


def _insert(blocks: list[Block], new: Block) -> None:
    """Put a block into the innermost one around it; one that overlaps another is left out."""
    while True:
        index = bisect_right(blocks, new.start, key=lambda block: block.start)
        before = blocks[index - 1] if index else None
        if before is not None and new.end <= before.end:
            blocks = before.children
            continue
        if (before is None or before.end <= new.start) and (index == len(blocks) or new.end <= blocks[index].start):
            blocks.insert(index, new)
        return
