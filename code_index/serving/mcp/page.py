"""A page of an answer: text for a model to read, within a budget of tokens.

Belongs here: the budget, the quoting of what strangers wrote, and hits as text. Does not belong here: what is found, and
which sentences a tool says (`tools`).

What a file holds stands between fences that are longer than any in it, so that it cannot end them; names of files and
definitions are one line each. Control characters are escaped everywhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from code_index.core.lines import lines_of
from code_index.core.quoting import printable, printable_code
from code_index.search.hybrid import query_words
from code_index.search.snippets import snippet_of
from code_index.search.token_estimate import estimate_tokens

if TYPE_CHECKING:
    from code_index.search.context import ContextPiece
    from code_index.search.hybrid import SearchHit

_LONGEST_LINE: Final = 400
_LONGEST_NAME: Final = 300
_COPIES: Final = 3
# Letters that can carry a text which nobody sees.
_INVISIBLE: Final = re.compile("[\U000e0100-\U000e01ef\ufe00-\ufe0e]")
_PLAIN_NAME: Final = re.compile(r"[^\s\"'`]+")


class Page:
    """Lines of an answer, as many as its budget takes."""

    def __init__(self, max_tokens: int) -> None:
        self.left = max_tokens
        self._lines: list[str] = []

    def add(self, *lines: str, keep: int = 0) -> bool:
        """Add lines if all fit and `keep` tokens stay; tell whether they did."""
        cost = tokens_of(lines)
        if cost > self.left - keep:
            return False
        self.left -= cost
        self._lines += lines
        return True

    @property
    def text(self) -> str:
        """The answer."""
        return "\n".join(self._lines)


def tokens_of(lines: Sequence[str]) -> int:
    """Tokens of lines with their ends, never under what a tokenizer counts."""
    return estimate_tokens("\n".join((*lines, "")))


def name_of(text: str) -> str:
    """A name on one line, in quotes where it could be taken for something else than a name."""
    name = _without_invisible(printable(text))
    if len(name) > _LONGEST_NAME:
        name = f"{name[:_LONGEST_NAME]}..."
    return name if _PLAIN_NAME.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def fenced(lines: Sequence[str], language: str) -> list[str]:
    """Lines of a file between fences that they cannot close."""
    shown = [_shown(line) for line in lines]
    longest = max((len(run) for line in shown for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return [fence + re.sub(r"[^\w+#-]", "", language), *shown, fence]


def add_hits(
    page: Page, hits: Sequence[SearchHit], *, first: int, query: str, lines: int, keep: int, several: bool
) -> int:
    """Add hits, best first, with the lines that fit the query best; returns how many found room.

    The best hits get the most lines, and what one leaves goes to those after it.

    Args:
        page: to add to.
        hits: best first.
        first: number of the first one.
        query: whose words choose the lines.
        lines: lines of a hit at most; 0 for only the places.
        keep: tokens to leave.
        several: whether hits name their repositories.
    """
    words = query_words(query).split() if query else []
    places = [
        tokens_of([_head(first + at, hit, shown=len(hit.content), several=several)]) for at, hit in enumerate(hits)
    ]
    for at, hit in enumerate(hits):
        # Each place has room before any lines have.
        free = page.left - keep - sum(places[at:])
        body = _body(hit, words, lines=lines, max_tokens=2 * free // (len(hits) - at + 1))
        if not page.add(_head(first + at, hit, shown=max(0, len(body) - 2), several=several), *body, keep=keep):
            return at
    return len(hits)


def _head(number: int, hit: SearchHit, *, shown: int, several: bool) -> str:
    place = f"{name_of(hit.file_path)}:{hit.start_line}-{hit.end_line}"
    if several and hit.repository:
        place = f"{name_of(hit.repository)} {place}"
    said = [printable(hit.chunk_type), printable(hit.language)]
    if shown and (total := len(lines_of(hit.content))) > shown:
        said.append(f"{shown} of {total} lines")
    if hit.relation:
        said.append(hit.relation)
    if hit.state and hit.state != "current":
        said.append(_STATES[hit.state])
    if hit.copies:
        said.append(
            f"copies: {', '.join(map(name_of, hit.copies[:_COPIES]))}" + (", ..." * (len(hit.copies) > _COPIES))
        )
    name = f" {name_of(hit.qualified_name)}" if hit.qualified_name else ""
    return f"{number}. {place}{name} ({', '.join(said)})"


_STATES: Final = {
    "moved": "file changed, lines are of now",
    "changed": "file changed, read again",
    "gone": "file is gone, as indexed",
}


def _body(hit: SearchHit, words: Sequence[str], *, lines: int, max_tokens: int) -> list[str]:
    """The best lines of a hit between fences, as many as the tokens allow; nothing where none fits."""
    height = lines
    while height > 0:
        _, chosen, _ = snippet_of(hit.content, words, height=height)
        body = fenced([line.rstrip() for line in chosen], hit.language)
        if not chosen or (cost := tokens_of(body)) <= max_tokens:
            return body if chosen else []
        height = min(height - 1, len(chosen) * max_tokens // cost)
    return []


def _shown(line: str) -> str:
    if len(line) > _LONGEST_LINE:
        line = f"{line[:_LONGEST_LINE]} ... {len(line) - _LONGEST_LINE:,} more characters"
    return _without_invisible(printable_code(line))


def _without_invisible(text: str) -> str:
    return text if text.isascii() else _INVISIBLE.sub(lambda match: f"\\u{ord(match[0]):x}", text)


def add_pieces(page: Page, pieces: Sequence[ContextPiece], *, several: bool) -> int:
    """Add pieces of a context as long as they fit; returns how many found room."""
    for at, piece in enumerate(pieces):
        place = f"{name_of(piece.file_path)}:{piece.start_line}-{piece.end_line}"
        if several and piece.repository:
            place = f"{name_of(piece.repository)} {place}"
        said = f" ({_STATES[piece.state]})" if piece.state in _STATES else ""
        # Its first line says the place.
        lines = [line.rstrip() for line in piece.text.split("\n")[1:]]
        name = f" {name_of(piece.qualified_name)}" if piece.qualified_name and not lines else ""
        if not page.add(f"{place}{name}{said}", *(fenced(lines, "") if lines else ())):
            return at
    return len(pieces)
