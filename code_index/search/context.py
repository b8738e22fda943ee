"""Context for a task: the best chunks with what encloses them, packed to a budget of tokens.

Hits are taken in their order, each up to a twentieth of the budget (300 tokens at least), so that one long function does not keep
out all others. An eighth of the budget is kept for the places of the best hits in files that are not shown by then: a reader
opens them by itself. What is left is spent on further hits, then on the rest of those that were cut. Pieces of a file stand
together, in the order of its lines, below the headers of what encloses them.

Belongs here: choosing, cutting and rendering pieces. Does not belong here: finding the hits (`code_index.search.hybrid`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from code_index.core.errors import UsageError
from code_index.core.lines import lines_of
from code_index.search.hybrid import SearchHit, query_words
from code_index.search.snippets import snippet
from code_index.search.token_estimate import estimate_tokens
from code_index.tables.store import IndexStore

LEAST_TOKENS: Final = 100
MOST_TOKENS: Final = 1_000_000
SEPARATOR: Final = "\n\n"
"""Stands between the texts of two pieces; the sum of their `tokens` is not less than those of all of it."""
_OF_BUDGET: Final = 20
_FOR_PLACES: Final = 8
_LARGE_ENOUGH: Final = 300  # tokens that a hit may take however small the budget is
_SMALLEST: Final = 40  # tokens of a piece that is worth its header
_FEWEST_LINES: Final = 3
_TOKENS_PER_HIT: Final = 60
_FEWEST_HITS: Final = 80
_MOST_HITS: Final = 10_000
_DEEPEST: Final = 8  # enclosing definitions
_HEADER_LINES: Final = 6  # of a signature over several lines
_OPENING: Final = re.compile(r"[(\[{]")
_CLOSING: Final = re.compile(r"[)\]}]")
_HEADER_COLUMNS: Final = (
    "chunk_id",
    "parent_chunk_id",
    "content",
    "start_line",
    "chunk_type",
    "function_name",
    "class_name",
    "qualified_name",
)


@dataclass(frozen=True, slots=True)
class ContextPiece:
    """A piece of a file in a context: lines are 1-based and inclusive.

    `text` is what to show: a line `path:start-end`, the headers of what encloses the piece (each once in a file), then its lines;
    with several repositories the path has the repository before it. Of a piece that found no room only the place is shown, with
    its name. `tokens` is the estimate of the text.

    Example:
        >>> from code_index import Index
        >>> piece = Index.open("repository").context("increment the counter", max_tokens=300).hits[0]
        >>> print(piece.text)  # doctest: +ELLIPSIS
        app/greeting.py:...
    """

    repository: str | None
    file_path: str
    start_line: int
    end_line: int
    language: str
    qualified_name: str
    score: float
    state: str | None
    text: str
    tokens: int


@dataclass(frozen=True, slots=True)
class _Header:
    chunk_id: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Part:
    """A hit, or a window of its lines: `first` counts from 0, `lines` are those shown.

    `placed` where it is known in which lines of the file these stand: a definition whose children are chunks of their own has
    gaps.
    """

    hit: SearchHit
    headers: tuple[_Header, ...]
    first: int
    lines: tuple[str, ...]
    whole: bool
    placed: bool = False


def refuse_budget(max_tokens: int) -> None:
    """Refuse a budget that nothing fits in, or that no reader has.

    Raises:
        UsageError: it is out of bounds.
    """
    if not LEAST_TOKENS <= max_tokens <= MOST_TOKENS:
        raise UsageError(f"max_tokens is {max_tokens}, but must be from {LEAST_TOKENS} to {MOST_TOKENS:,}.")


def hits_for(max_tokens: int, *, spent: int = 0, hits: int = 0) -> int:
    """Number of hits that a budget may hold; more where that many `hits` spent so much less than the budget."""
    if not hits:
        return min(max(_FEWEST_HITS, max_tokens // _TOKENS_PER_HIT), _MOST_HITS)
    left = max_tokens - spent
    return (
        min(hits + left * hits // max(spent, 1) + _FEWEST_HITS, _MOST_HITS) if left > max_tokens // _OF_BUDGET else hits
    )


def pack(
    stores: Mapping[str, IndexStore], hits: Sequence[SearchHit], task: str, max_tokens: int
) -> tuple[ContextPiece, ...]:
    """Pack hits into a budget, files best first; their `tokens` never sum up to more.

    Args:
        stores: tables of the indexes, by repository.
        hits: best first; each names its repository.
        task: what was asked; of a long hit the part that has most of its words is shown.
        max_tokens: the budget.

    Raises:
        StoreError: a table cannot be read.
    """
    packing = _Packing(hits, _headers_of(stores, hits), query_words(task).split(), several=len(stores) > 1)
    packing.fill(max(max_tokens // _OF_BUDGET, _LARGE_ENOUGH), max_tokens - max_tokens // _FOR_PLACES)
    packing.add_places(max_tokens)
    packing.fill(max_tokens, max_tokens)
    return packing.pieces()


class _Packing:
    """Parts of hits, and what they take at most.

    `tokens` counts a new part as if it stood alone, until its file is rendered (`_settle`): to render a file for each of its
    parts would take time by their square.
    """

    def __init__(
        self, hits: Sequence[SearchHit], headers: Sequence[tuple[_Header, ...]], words: Sequence[str], *, several: bool
    ) -> None:
        self._hits = hits
        self._headers = headers
        self._words = words
        self._several = several
        self._waiting = list(range(len(hits)))  # hits of which not all is shown
        self._parts: dict[int, _Part] = {}
        self._files: dict[tuple[str | None, str], dict[int, _Part]] = {}
        self._tokens = 0
        self._counted: Counter[tuple[str | None, str]] = Counter()  # tokens by file
        self._loose: set[tuple[str | None, str]] = set()

    def fill(self, most: int, budget: int) -> None:
        """Add the hits that are not shown whole, in their order, of each as much as fits and `most` tokens."""
        for at in list(self._waiting):
            if budget - self._tokens < _SMALLEST:
                self._settle()
            if budget - self._tokens < _SMALLEST:
                break
            part = self._longer(at, most, budget) if at in self._parts else self._new(at, most, budget)
            if part is not None and part.whole:
                self._waiting.remove(at)

    def add_places(self, budget: int) -> None:
        """Add the places of hits in files that are not shown, as many as fit."""
        for at, hit in enumerate(self._hits):
            place = _Part(hit, (), 0, (), whole=False)
            if _file_of(place) in self._files:
                continue
            cost = self._alone(place)
            if self._tokens + cost > budget:
                self._settle()
            if self._tokens + cost <= budget:
                self._put(at, place)

    def pieces(self) -> tuple[ContextPiece, ...]:
        """All pieces: files in the order in which they came, each by its lines."""
        rendered = (_rendered(list(parts.values()), several=self._several) for parts in self._files.values())
        return tuple(piece for of_file in rendered for piece in of_file)

    def _new(self, at: int, most: int, budget: int) -> _Part | None:
        """Add what fits of a hit that is not shown; what was added."""
        part = self._fitting(at, min(most, budget - self._tokens))
        if (part is None or not part.whole) and self._settle():
            part = self._fitting(at, min(most, budget - self._tokens))
        if part is not None:
            self._put(at, part)
        return part

    def _longer(self, at: int, most: int, budget: int) -> _Part | None:
        """Put more of a hit in the place of what is shown of it, if that keeps to the budget; what was put there."""
        before = self._parts[at]
        part = self._fitting(at, min(most, budget - self._tokens + self._alone(before)))
        if part is None or len(part.lines) <= len(before.lines):
            return None
        key = _file_of(part)
        if key in self._loose:
            self._loose.remove(key)
            self._count(key, self._cost(self._files[key]))
        cost = self._cost(self._files[key] | {at: part})
        if self._tokens - self._counted[key] + cost > budget:
            return None
        self._parts[at] = self._files[key][at] = part
        self._count(key, cost)
        return part

    def _put(self, at: int, part: _Part) -> None:
        key = _file_of(part)
        self._parts[at] = self._files.setdefault(key, {})[at] = part
        self._count(key, self._counted[key] + self._alone(part))
        self._loose.add(key)

    def _settle(self) -> bool:
        """Count the tokens exactly; tell whether that may have changed them."""
        loose, self._loose = self._loose, set()
        for key in loose:
            self._count(key, self._cost(self._files[key]))
        return bool(loose)

    def _count(self, key: tuple[str | None, str], tokens: int) -> None:
        self._tokens += tokens - self._counted[key]
        self._counted[key] = tokens

    def _alone(self, part: _Part) -> int:
        """Tokens of a part with nothing around it, at least what it adds."""
        return self._cost({0: part})

    def _cost(self, parts: Mapping[int, _Part]) -> int:
        # Each estimate has a base, which is more than a separator.
        return sum(piece.tokens for piece in _rendered(list(parts.values()), several=self._several))

    def _fitting(self, at: int, room: int) -> _Part | None:
        """A hit, or as many of its lines as fit; None where that is too little to be worth its header."""
        hit, headers = self._hits[at], self._headers[at]
        lines = lines_of(hit.content)
        whole = _Part(hit, headers, 0, tuple(lines), whole=True)
        if self._alone(whole) <= room:
            return whole
        low, high, best = 1, len(lines) - 1, None
        while low <= high:
            height = (low + high) // 2
            part = _window(hit, headers, self._words, lines, height)
            if self._alone(part) <= room:
                best, low = part, height + 1
            else:
                high = height - 1
        if best is None or len(best.lines) < min(_FEWEST_LINES, len(lines)):
            return None
        return best


def _file_of(part: _Part) -> tuple[str | None, str]:
    return part.hit.repository, part.hit.file_path


def _window(
    hit: SearchHit, headers: tuple[_Header, ...], words: Sequence[str], lines: Sequence[str], height: int
) -> _Part:
    first, shown = snippet(lines, words, height=height)
    if first:
        own = _signature(hit.content, hit.function_name or hit.class_name)
        # A later piece of a long definition does not say its name: the first piece is among its headers.
        if own is not None:
            headers = (*headers, _Header(hit.chunk_id, own))
    placed = len(lines) == hit.end_line - hit.start_line + 1
    return _Part(hit, headers, first, tuple(shown), whole=False, placed=placed)


def _rendered(of_file: Sequence[_Part], *, several: bool) -> tuple[ContextPiece, ...]:
    """Pieces of the parts of one file, by lines, neighbours joined."""
    shown: set[str] = set()
    runs = _joined(sorted(of_file, key=lambda part: (_begin(part), -_end(part))))
    return tuple(_piece(run, shown, several=several) for run in runs)


def _begin(part: _Part) -> int:
    return part.hit.start_line + (part.first if part.placed else 0)


def _end(part: _Part) -> int:
    return _begin(part) + len(part.lines) - 1 if part.placed else part.hit.end_line


def _joined(parts: Sequence[_Part]) -> list[list[_Part]]:
    """Runs of parts that follow each other with a blank line between them at most."""
    runs: list[list[_Part]] = []
    for part in parts:
        before = runs[-1][-1] if runs else None
        if (
            before is not None
            and part.lines
            and 1 <= _begin(part) - _end(before) <= 2  # noqa: PLR2004
            and len(before.lines) == _end(before) - _begin(before) + 1
            and [header.chunk_id for header in before.headers] == [header.chunk_id for header in part.headers]
        ):
            runs[-1].append(part)
        else:
            runs.append([part])
    return runs


def _piece(run: Sequence[_Part], shown: set[str], *, several: bool) -> ContextPiece:
    first, last = run[0], run[-1]
    best = max((part.hit for part in run), key=lambda hit: hit.score)
    path = f"{first.hit.repository}/{first.hit.file_path}" if several else first.hit.file_path
    name = f" {best.qualified_name}" if best.qualified_name and not first.lines else ""
    lines = [f"{path}:{_begin(first)}-{_end(last)}{name}"]
    for header in first.headers:
        if header.chunk_id not in shown:
            lines += header.lines
            shown.add(header.chunk_id)
    for before, part in zip([None, *run], run, strict=False):
        if before is not None and _begin(part) - _end(before) > 1:
            lines.append("")
        lines += part.lines
        shown.add(part.hit.chunk_id)
    text = "\n".join(lines)
    return ContextPiece(
        repository=first.hit.repository,
        file_path=first.hit.file_path,
        start_line=_begin(first),
        end_line=_end(last),
        language=first.hit.language,
        qualified_name=best.qualified_name,
        score=best.score,
        state=best.state,
        text=text,
        tokens=estimate_tokens(text),
    )


def _headers_of(stores: Mapping[str, IndexStore], hits: Sequence[SearchHit]) -> list[tuple[_Header, ...]]:
    """Headers of what encloses each hit, outermost first."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for repository, store in stores.items():
        wanted = {hit.chunk_id for hit in hits if hit.repository == repository}
        for _ in range(_DEEPEST):
            new = sorted(wanted - {chunk_id for root, chunk_id in rows if root == repository})
            if not new:
                break
            found, _hashes = store.search.details(new, [], _HEADER_COLUMNS)
            rows |= {(repository, chunk_id): row for chunk_id, row in found.items()}
            wanted = {row["parent_chunk_id"] for row in found.values() if row["parent_chunk_id"]}
    return [_chain(rows, hit) for hit in hits]


def _chain(rows: Mapping[tuple[str, str], Mapping[str, Any]], hit: SearchHit) -> tuple[_Header, ...]:
    headers: list[_Header] = []
    root = str(hit.repository)
    row = rows.get((root, hit.chunk_id))
    while row is not None and row["parent_chunk_id"] and len(headers) < _DEEPEST:
        row = rows.get((root, row["parent_chunk_id"]))
        if row is not None:
            lines = _signature(row["content"], row["function_name"] or row["class_name"])
            if lines is not None:
                headers.append(_Header(row["chunk_id"], lines))
    return tuple(reversed(headers))


def _signature(content: str, name: str | None) -> tuple[str, ...] | None:
    """The lines of a definition that say its name and parameters, the first line of what has no name; else None."""
    lines = [line for line in lines_of(content) if line.strip()]
    own = re.split(r"\.|::|#", name)[-1] if name else ""
    word = re.compile(rf"(?<!\w){re.escape(own)}(?!\w)")
    begin = next((at for at, line in enumerate(lines) if not own or _declares(line, word)), None)
    if begin is None:
        return None
    open_brackets = 0
    for at, line in enumerate(lines[begin : begin + _HEADER_LINES]):
        open_brackets += len(_OPENING.findall(line)) - len(_CLOSING.findall(line))
        if open_brackets <= 0 or line.rstrip().endswith(("{", ":")):
            return tuple(lines[begin : begin + at + 1])
    return (lines[begin],)


def _declares(line: str, word: re.Pattern[str]) -> bool:
    return word.search(line) is not None and not line.lstrip().startswith(
        ("#", "//", "/*", "*", "--", ";", '"', "'", "@")
    )
