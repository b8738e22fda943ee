"""Jupyter notebooks: read as the Markdown that their cells make.

Belongs here: the cells, and the lines on which they stand. Does not belong here: outputs, which are pictures and tables
in Base64 and HTML more often than not, and metadata; a notebook without cells is JSON.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Final

from code_index.chunking.format_spec import FormatSpec, Rendered
from code_index.chunking.formats.json import extract_json

_TOKEN: Final = re.compile(rb"\"(?:[^\"\\\n]++|\\.)*+\"(?P<key>\s*+:)?|[\[{\]}]")
_LINE_END: Final = re.compile(rb"\n")
_LINE_ENDS: Final = re.compile(r"\r\n|\r|\n")
_FENCE: Final = re.compile(r"`{3,}")
_CELL_MAGIC: Final = re.compile(r"\s*%%(\w+)")
_CELL: Final = "cell"


@dataclass(slots=True)
class _Cell:
    kind: str = ""
    language: str = ""
    lines: list[tuple[str, int]] = field(default_factory=list)  # with the line of the file on which each stands
    is_open: bool = False  # the last line goes on in the next string


def render_notebook(source: bytes) -> Rendered | None:
    """The cells as Markdown, code between fences; `None` where there are none."""
    cells, language = _cells(source)
    texts: list[str] = []
    lines: list[int] = []
    for cell in cells:
        rows = cell.lines
        if not any(text.strip() for text, _ in rows):
            continue
        if cell.kind == "code":
            magic = _CELL_MAGIC.match(rows[0][0])
            mark = max(_FENCE.findall("\n".join(text for text, _ in rows)), key=len, default="``") + "`"
            rows = [
                (f"{mark}{magic[1] if magic else cell.language or language}", rows[0][1]),
                *rows,
                (mark, rows[-1][1]),
            ]
        rows.append(("", rows[-1][1]))
        texts += [text for text, _ in rows]
        lines += [line for _, line in rows]
    if not texts:
        return None
    return Rendered("\n".join(texts).encode("utf-8", "replace"), tuple(lines), "markdown")


def _cells(source: bytes) -> tuple[list[_Cell], str]:
    """The cells in order, and the language of the notebook."""
    cells: list[_Cell] = []
    language = "python"
    path: list[str] = []  # the keys of the open containers, `_CELL` for an item of a list of cells
    key = ""
    line, counted = 1, 0
    for match in _TOKEN.finditer(source):
        token = match[0][:1]
        if token in (b"{", b"["):
            path.append(key or (_CELL if path[-1:] == ["cells"] else ""))
            key = ""
            if path[-1] == _CELL:
                cells.append(_Cell())
        elif token in (b"}", b"]"):
            del path[-1:]
            key = ""
        elif match["key"]:
            key = _decoded(match[0][: match.start("key") - match.start()])
        else:
            # Lines are counted up to the strings that matter only: a notebook has one line of a megabyte for a picture.
            name = key or (path[-1] if path else "")
            key = ""
            in_cell = path[-1:] == [_CELL] or path[-2:] == [_CELL, name]
            if in_cell and cells and name in {"source", "input"}:
                line += len(_LINE_END.findall(source, counted, match.start()))
                counted = match.start()
                _add(cells[-1], _decoded(match[0]), line)
            elif in_cell and cells and name == "cell_type":
                cells[-1].kind = _decoded(match[0])
            elif in_cell and cells and name == "language":
                cells[-1].language = _decoded(match[0])
            elif path[-1:] == ["language_info"] and name == "name":
                language = _decoded(match[0])
    return cells, language


def _add(cell: _Cell, text: str, line: int) -> None:
    """Add one string of a cell's source: as a rule a line, but it may be all of them, or a piece of one."""
    rows = [(row, line) for row in _LINE_ENDS.split(text)]
    if cell.is_open:
        before, first = cell.lines.pop()
        rows[0] = before + rows[0][0], first
    cell.is_open = bool(rows[-1][0])
    cell.lines += rows if cell.is_open else rows[:-1]


def _decoded(token: bytes) -> str:
    try:
        value = json.loads(token, strict=False)
    except ValueError:
        value = token[1:-1].decode("utf-8", "replace")
    return str(value)


FORMAT: Final = FormatSpec(
    name="jupyter",
    title="Jupyter notebooks",
    revision=1,
    extensions="ipynb",
    has_parts=True,
    extract=extract_json,
    render=render_notebook,
)
