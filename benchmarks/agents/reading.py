"""What a reader of answers sees, piece by piece, and when it has seen what was asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

Tokens = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class Gold:
    """A definition that an answer has to show: by one of its lines, or its name at a place that holds one.

    With `calls` it is a caller, and a line of the call has to be shown as well. With no line it is a file.
    """

    path: str
    lines: tuple[int, ...] = ()
    name: str = ""
    calls: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Span:
    """A definition that is named without its code: `path` is empty where the question has it."""

    path: str
    first: int
    last: int
    name: str


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an answer, as it is read: lines of files in it, and definitions named; `answer` counts the answers.

    Of a caller that is named, `calls` are the lines of the call, and `spans` are not given.
    """

    answer: int
    text: str
    path: str = ""
    lines: tuple[int, ...] = ()
    spans: tuple[Span, ...] = ()
    caller: str = ""


@dataclass(slots=True)
class _Seen:
    files: set[str] = field(default_factory=set)
    lines: set[tuple[str, int]] = field(default_factory=set)
    spans: list[Span] = field(default_factory=list)
    callers: set[tuple[str, int, str]] = field(default_factory=set)

    def add(self, piece: Piece) -> None:
        if piece.path:
            self.files.add(piece.path)
        if piece.caller:
            self.callers |= {(piece.path, line, piece.caller) for line in piece.lines}
        else:
            self.lines |= {(piece.path, line) for line in piece.lines}
        self.spans += piece.spans

    def shows(self, gold: Gold) -> bool:
        if not gold.lines:
            return gold.path in self.files
        begins = any((gold.path, line) in self.lines for line in gold.lines)
        if gold.calls:
            called = any((gold.path, line) in self.lines for line in gold.calls)
            return (begins and called) or any((gold.path, line, gold.name) in self.callers for line in gold.calls)
        return begins or any(
            span.name == gold.name and span.path in {"", gold.path} and span.first <= line <= span.last
            for span in self.spans
            for line in gold.lines
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """How a question went: share of the gold within the budget, and tokens until all was seen, None where it never was.

    `read` are all tokens, of the answers that were given until then.
    """

    share: float
    until: int | None
    read: int


def read(pieces: Iterable[Piece], gold: Sequence[Gold], *, budget: int, most: int, tokens: Tokens) -> Reading:
    """Read until all of the gold is seen, or `most` tokens are read."""
    seen = _Seen()
    total, share, until, last = 0, 0.0, None, 0
    for piece in pieces:
        if until is not None and piece.answer != last:
            break
        last = piece.answer
        total += tokens(piece.text)
        if until is None:
            seen.add(piece)
            shown = sum(map(seen.shows, gold)) / len(gold)
            if total <= budget:
                share = shown
            if shown == 1:
                until = total
        if total > most:
            break
    return Reading(share, until, total)
