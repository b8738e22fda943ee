"""The tree of blocks to chunks: the part that all formats share.

Belongs here: owners of text, packing text into chunks, identities and the hierarchy.
Does not belong here: finding definitions (extractors) and cutting long texts (`splitting`).

A chunk's content is the block's own text: its span without the spans of its children. Overlapping contents
(a class with all of its methods) were rejected: every edit of a method would embed the class again, and
search would return the same lines twice. Nothing here recurses: trees may be 20,000 levels deep.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Final

from code_index.chunking.blocks import OWNER, Block, Extraction, NameSaid
from code_index.chunking.complexity import complexity_score
from code_index.chunking.splitting import SourceText
from code_index.core.hashing import chunk_id
from code_index.core.model import Chunk, ChunkingOptions, ChunkType, FileName, NameKind, TypeAnnotation

MAX_BLOCK_DEPTH: Final = 32
"""Blocks nested deeper belong to the text of the last ancestor: so qualified names stay short on any input."""

CODE: Final = frozenset({ChunkType.FUNCTION, ChunkType.CLASS, ChunkType.METHOD})

_HOLDERS: Final = frozenset({NameKind.FUNCTION, NameKind.CLASS, NameKind.METHOD})

MAX_NAMES: Final = 20_000
"""Rows of names of one file, definitions first; of 10,000 real files only generated ones have more."""

MAX_LINES: Final = 1_000
"""Lines of one such row."""

Span = tuple[int, int]

_TRAILING: Final = re.compile(rb"[ \t]*[;,]+")
_WORD: Final = re.compile(rb"[\w\x80-\xff]")
_CODE_LINE: Final = re.compile(r"\n[ \t\f\v]*[^\s]")  # starts with a literal: three times as fast as `^` with MULTILINE


@dataclass(slots=True)
class Owner:
    """A block, or the file itself (`block` is `None`), and the text that is its own."""

    block: Block | None
    parent: Owner | None
    qualified_name: str
    class_name: str | None
    spans: list[Span] = field(default_factory=list)
    depth: int = 0
    head: Owner | None = None  # itself, or the nearest enclosing owner whose own text makes a chunk
    head_id: str | None = None

    @property
    def is_range(self) -> bool:
        """Tell whether each chunk is a range of the file: in what is no code, what lies between two definitions is."""
        block = self.block
        return block is None or (
            block.chunk_type not in CODE and any(child.chunk_type in CODE for child in block.children)
        )


@dataclass(slots=True)
class Piece:
    """The spans of one chunk, in order, with their owner; `part` counts the owner's chunks from 0."""

    owner: Owner
    spans: list[Span]
    part: int


def assemble(
    source: bytes,
    extraction: Extraction,
    *,
    file_path: str,
    file_hash: str,
    language: str,
    subproject_name: str | None,
    subproject_path: str | None,
    options: ChunkingOptions,
    lines: Sequence[int] | None = None,
    on_names: Callable[[list[FileName]], None] | None = None,
) -> tuple[Chunk, ...]:
    """The chunks of one file, ordered by where they start; `on_names` gets its definitions and references.

    `lines` has the file's line for each line of the source, where that is not the file itself.
    `source` is valid UTF-8 (`encoding.decode`). Every character that is not white space is in exactly one
    content, no content is blank or longer than `options.max_characters`, and the same bytes give the same ids.
    """
    text = SourceText(source, _all_break_points(extraction))
    pieces = plan(text, extraction, options)
    contents = [
        text.text(*piece.spans[0]) if len(piece.spans) == 1 else "\n".join([text.text(*span) for span in piece.spans])
        for piece in pieces
    ]
    ids = _identities(pieces, contents, extraction, file_path)
    parents = [_parent_id(piece) for piece in pieces]
    children: dict[str, list[str]] = {}
    for own_id, parent in zip(ids, parents, strict=True):
        if parent is not None:
            children.setdefault(parent, []).append(own_id)
    imports = _imports_by_piece(pieces, extraction)
    chunks: list[Chunk] = []
    file_docstring = extraction.docstring
    for index, (piece, content, own_id, parent) in enumerate(zip(pieces, contents, ids, parents, strict=True)):
        block = piece.owner.block
        described = block if piece.part == 0 else None
        docstring = described.docstring if described else None
        if block is None and file_docstring is not None:
            docstring, file_docstring = file_docstring, None
        chunk_type = extraction.remainder_type if block is None else block.chunk_type
        first, last = text.line(piece.spans[0][0]), text.line(piece.spans[-1][1] - 1)
        lines_of_code = len(_CODE_LINE.findall(f"\n{content}"))
        chunks.append(
            Chunk(
                chunk_id=own_id,
                file_path=file_path,
                file_hash=file_hash,
                start_line=first if lines is None else lines[first - 1],
                end_line=last if lines is None else lines[last - 1],
                content=content,
                language=language,
                chunk_type=chunk_type,
                qualified_name=piece.owner.qualified_name,
                function_name=_function_name(block),
                class_name=piece.owner.class_name,
                docstring=docstring,
                imports=tuple(imports.get(index, ())),
                parent_chunk_id=parent,
                child_chunk_ids=tuple(children.get(own_id, ())),
                chunk_depth=piece.owner.depth + (block is not None and piece.part > 0),
                complexity_score=_score(described, lines_of_code),
                cyclomatic_complexity=described.cyclomatic_complexity if described else None,
                cognitive_complexity=described.cognitive_complexity if described else None,
                max_nesting_depth=described.max_nesting_depth if described else None,
                parameter_count=len(described.parameters) if described and _is_callable(described) else None,
                lines_of_code=lines_of_code,
                decorators=described.decorators if described else (),
                parameters=described.parameters if described else (),
                return_type=described.return_type if described else None,
                type_annotations=_annotations(described) if described else (),
                subproject_name=subproject_name,
                subproject_path=subproject_path,
            )
        )
    if on_names is not None:
        rows = _file_names(text, pieces, extraction, lines)
        on_names([FileName(file_path, at, file_hash, language, *row) for at, row in enumerate(rows)])
    return tuple(chunks)


def _file_names(
    text: SourceText, pieces: list[Piece], extraction: Extraction, lines: Sequence[int] | None
) -> list[tuple[Any, ...]]:
    """The last fields of `FileName`: definitions, then references, those of one meaning in one definition together."""

    def line_of_file(offset: int) -> int:
        return text.line(offset) if lines is None else lines[text.line(offset) - 1]

    line = text.line if lines is None else line_of_file
    starts, enclosing = _enclosing(pieces, extraction)
    rows: list[tuple[Any, ...]] = [
        (*said, (line(at),), line(start), line(max(end - 1, start)), enclosing[bisect_right(starts, at)])
        for at, said, start, end in sorted(extraction.definitions, key=itemgetter(0))
    ]
    grouped: list[tuple[int, list[int], NameSaid, str]] = []  # the first is the place of the first
    for said, offsets in extraction.uses.items():
        if len(offsets) == 1:
            grouped.append((offsets[0], offsets, said, enclosing[bisect_right(starts, offsets[0])]))
            continue
        by_definition: dict[str, list[int]] = {}
        for offset in sorted(offsets):
            name = enclosing[bisect_right(starts, offset)]
            if (known := by_definition.get(name)) is None:
                by_definition[name] = [offset]
            else:
                known.append(offset)
        grouped += [(found[0], found, said, name) for name, found in by_definition.items()]
    grouped.sort(key=itemgetter(0))
    for first, offsets, said, name in grouped[: max(MAX_NAMES - len(rows), 0)]:
        places = (line(first),) if len(offsets) == 1 else tuple(dict.fromkeys(map(line, offsets[:MAX_LINES])))
        rows.append((*said, places, None, None, name))
    return rows[:MAX_NAMES]


def _enclosing(pieces: list[Piece], extraction: Extraction) -> tuple[list[int], list[str]]:
    """Offsets in order, and the qualified name of the innermost definition before the first and from each on.

    Chunks do not tell it, since a short function inside another has none; nor do definitions of names, since a test or a
    section of a document has none.
    """
    owners = {id(piece.owner): piece.owner for piece in pieces}.values()
    spans = {(owner.block.start, -owner.block.end, owner.qualified_name) for owner in owners if owner.block}
    spans.update(
        [(start, -end, said.qualified_name) for _, said, start, end in extraction.definitions if said.kind in _HOLDERS]
    )
    starts: list[int] = []
    names = [""]
    around: list[tuple[int, str]] = []  # their ends, no end after one before it
    for start, negative_end, name in sorted(spans):
        while around and around[-1][0] <= start:
            starts.append(around.pop()[0])
            names.append(around[-1][1] if around else "")
        starts.append(start)
        names.append(name)
        around.append((min(-negative_end, around[-1][0]) if around else -negative_end, name))
    while around:
        starts.append(around.pop()[0])
        names.append(around[-1][1] if around else "")
    return starts, names


def plan(text: SourceText, extraction: Extraction, options: ChunkingOptions) -> list[Piece]:
    """The spans of each chunk; ordered by start, disjoint, together all of the file that is not blank."""
    pieces: list[Piece] = []
    for owner in _owners(text, extraction):  # parents before children
        if owner.is_range:
            packed = [
                [span]
                for stretch in _stretches(owner.spans)
                for span in _joined(text, _cut(text, [stretch], options.max_characters), options)
            ]
        else:
            packed = _packed(text, _cut(text, sorted(owner.spans), options.max_characters), options.max_characters)
        pieces += [Piece(owner, group, part) for part, group in enumerate(packed)]
        outer = owner.parent.head if owner.parent else None
        owner.depth = outer.depth + 1 if outer else 0
        owner.head = owner if packed and owner.block is not None else outer
    pieces.sort(key=lambda piece: piece.spans[0])
    return pieces


def _stretches(spans: list[Span]) -> list[Span]:
    """The spans in order, those that touch joined: what lies between two definitions is one."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and joined[-1][1] == start:
            joined[-1] = joined[-1][0], end
        else:
            joined.append((start, end))
    return joined


def _cut(text: SourceText, spans: list[Span], limit: int) -> list[Span]:
    """The spans without blank edges, in pieces of at most `limit` characters."""
    found: list[Span] = []
    for start, end in spans:
        if start == end or (trimmed := text.trimmed(start, end)) is None:
            continue
        if text.length(*trimmed) <= limit:
            found.append(trimmed)
        else:
            found += text.pieces(*trimmed, limit)
    return found


def _joined(text: SourceText, spans: list[Span], options: ChunkingOptions) -> list[Span]:
    """Pieces of one stretch, those shorter than `min_characters` joined to the one before or after."""
    joined: list[Span] = []
    for start, end in spans:
        if joined:
            first, last = joined[-1]
            is_short = min(text.length(first, last), text.length(start, end)) < options.min_characters
            if is_short and text.length(first, end) <= options.max_characters:
                joined[-1] = first, end
                continue
        joined.append((start, end))
    return joined


def _packed(text: SourceText, spans: list[Span], limit: int) -> list[list[Span]]:
    """Own text of a definition: what lies between the definitions in it, joined within `limit`."""
    groups: list[list[Span]] = []
    length = 0
    for span in spans:
        own = text.length(*span)
        if groups and length + 1 + own <= limit:
            groups[-1].append(span)
            length += 1 + own
        else:
            groups.append([span])
            length = own
    return groups


def _owners(text: SourceText, extraction: Extraction) -> list[Owner]:
    """Every owner of text, the file first, each with its spans."""
    end = len(text.source)
    root = Owner(None, None, "", None)
    owners = [root]
    # A frame is a run of siblings: owner of the text between them, their prefix and its separator, and the span they share.
    stack: list[tuple[Owner, str, str, list[Block], int, int, int]] = [
        (root, "", extraction.name_separator, extraction.blocks, 0, end, 0)
    ]
    while stack:
        owner, prefix, outer_separator, blocks, start, end, depth = stack.pop()
        cursor = start
        is_range = owner.is_range
        for position, block in enumerate(blocks):
            first = text.with_indent(max(block.start, cursor), cursor)
            following = blocks[position + 1].start if position + 1 < len(blocks) else end
            last = min(_absorbed(text.source, max(block.end, first), max(following, first)), end)
            if last <= first:
                continue
            if is_range and not _WORD.search(text.source, cursor, first):
                first = cursor  # an opening bracket is no chunk
            if is_range:
                last = _with_closers(text.source, last, min(max(following, last), end))
            owner.spans.append((cursor, first))
            cursor = last
            outer = "" if block.absolute else prefix
            if block.scope:
                outer += block.scope + outer_separator
            qualified_name = f"{outer}{block.name}" if block.name else outer.removesuffix(outer_separator)
            separator = block.name_separator or outer_separator
            below = f"{qualified_name}{separator}" if qualified_name else ""
            inner = owner
            if block.chunk_type is not ChunkType.MODULE:
                inner = Owner(block, owner, qualified_name, _class_name(block, owner))
                owners.append(inner)
            nested = block.children if depth < MAX_BLOCK_DEPTH else []
            stack.append((inner, below, separator, nested, first, last, depth + 1))
        owner.spans.append((cursor, end))
    return owners


def _absorbed(source: bytes, end: int, limit: int) -> int:
    """`end` moved past separators that end the definition, such as the `;` after a C struct."""
    match = _TRAILING.match(source, end, limit)
    return match.end() if match else end


def _with_closers(source: bytes, end: int, limit: int) -> int:
    """`end` moved to the last character before `limit` if only punctuation follows: a lone `});` is no chunk."""
    return end if _WORD.search(source, end, limit) else end + len(source[end:limit].rstrip())


def _identities(pieces: list[Piece], contents: list[str], extraction: Extraction, file_path: str) -> list[str]:
    seen: Counter[tuple[str, str, str]] = Counter()
    ids = []
    for piece, content in zip(pieces, contents, strict=True):
        owner = piece.owner
        chunk_type = extraction.remainder_type if owner.block is None else owner.block.chunk_type
        key = (chunk_type.value, owner.qualified_name, content)
        own_id = chunk_id(
            file_path=file_path,
            chunk_type=chunk_type.value,
            qualified_name=owner.qualified_name,
            content=content,
            occurrence=seen[key],
        )
        seen[key] += 1
        if piece.part == 0:
            owner.head_id = own_id
        ids.append(own_id)
    return ids


def _parent_id(piece: Piece) -> str | None:
    """The first chunk of the same definition, else that of the nearest enclosing definition with own text."""
    if piece.owner.block is None:
        return None
    head = piece.owner.head if piece.part > 0 else piece.owner.parent and piece.owner.parent.head
    return head.head_id if head else None


def _imports_by_piece(pieces: list[Piece], extraction: Extraction) -> dict[int, list[str]]:
    """Imports per index of the piece in which they start."""
    if not extraction.imports:
        return {}
    spans = sorted((start, end, index) for index, piece in enumerate(pieces) for start, end in piece.spans)
    starts = [span[0] for span in spans]
    found: dict[int, list[str]] = {}
    for offset, name in zip(extraction.import_offsets, extraction.imports, strict=True):
        index = spans[max(bisect_right(starts, offset) - 1, 0)][2]
        found.setdefault(index, []).append(name)
    return found


def _all_break_points(extraction: Extraction) -> list[int]:
    """The break points of the file and of all of its blocks, sorted."""
    points = list(extraction.break_points)
    stack = list(extraction.blocks)
    while stack:
        block = stack.pop()
        points += block.break_points
        stack += block.children
    return sorted(points)


def _is_callable(block: Block) -> bool:
    return block.chunk_type in {ChunkType.FUNCTION, ChunkType.METHOD}


def _class_name(block: Block, owner: Owner) -> str | None:
    """A class's own name; inside a class, the nearest one's; for a method outside, its owner's name."""
    if block.chunk_type is ChunkType.CLASS:
        return block.name or owner.class_name
    if block.chunk_type is ChunkType.METHOD and owner.class_name is None:
        return _owner_of(block.name) or None
    return owner.class_name


def _function_name(block: Block | None) -> str | None:
    if block is None or not _is_callable(block):
        return None
    owner = OWNER.match(block.name) if block.chunk_type is ChunkType.METHOD else None
    return block.name[owner.end() if owner else 0 :] or None


def _owner_of(name: str) -> str:
    """`Order` of `shop.Order.total`, and `$.fn` of `$.fn.carousel`: an owner that is no type is named in full."""
    found = OWNER.match(name)
    owner = found[0][:-1] if found else ""
    last = owner.rpartition(".")[2]
    return owner if last[:1].islower() else last


def _annotations(block: Block) -> tuple[TypeAnnotation, ...]:
    """Types of parameters, then those that the extractor found inside, then the return type."""
    parameters = tuple(TypeAnnotation(item.name, item.type) for item in block.parameters if item.name and item.type)
    returned = (TypeAnnotation("return", block.return_type),) if block.return_type else ()
    return parameters + block.type_annotations + returned


def _score(block: Block | None, lines_of_code: int) -> float | None:
    if block is None or block.cyclomatic_complexity is None:
        return None
    return complexity_score(
        cyclomatic=block.cyclomatic_complexity,
        cognitive=block.cognitive_complexity or 0,
        max_nesting_depth=block.max_nesting_depth or 0,
        parameter_count=len(block.parameters),
        lines_of_code=lines_of_code,
    )
