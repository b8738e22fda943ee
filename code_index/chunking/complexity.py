"""Complexity of code: cyclomatic and cognitive complexity, nesting, and one score of all.

Belongs here: counting, given the spans of a file's constructs. Does not belong here: the constructs of a language,
which its specification names (`code_index.chunking.languages`).

Cyclomatic complexity is 1 plus the decisions: branches, loops, cases, handlers, conditional expressions and
each logical operator. Cognitive complexity follows G. A. Campbell, "Cognitive Complexity", SonarSource 2023,
without the increment for recursion (it needs name resolution), and with one difference: everything in a
construct's span is nested in it, its condition included.

A function includes its nested functions; a class is the sum of its methods.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

Span = tuple[int, int]


class Construct(IntEnum):
    """Meaning of a span of source for complexity; of equal spans the smaller value encloses the greater."""

    CLASS = 0  # sums its methods
    FUNCTION = 1  # gets figures of its own; nests inside another function
    CLOSURE = 2  # anonymous function: nests, without increment
    BRANCH = 3  # if, loop, handler, conditional expression: decision, increment by nesting, nests
    SWITCH = 4  # increment by nesting, nests; its cases are the decisions
    ELSE_IF = 5  # the `if` after an `else` that is counted as ELSE: only a decision
    ELIF = 6  # decision, increment
    ELSE = 7  # increment
    JUMP = 8  # goto, break or continue to a label: increment
    PATH = 9  # case, comprehension clause, optional chaining: decision
    AND = 10  # decision; one increment per run of equal operators
    OR = 11


@dataclass(frozen=True, slots=True)
class Complexity:
    """Figures of one function or class."""

    cyclomatic: int
    cognitive: int
    max_nesting_depth: int


@dataclass(slots=True)
class _Frame:
    """A function or class that is open; `nesting` holds the ends of the constructs open inside it."""

    start: int
    end: int
    is_class: bool
    decisions: int = 0
    cognitive: int = 0
    increments_by_nesting: int = 0
    functions: int = 0
    deepest: int = 0
    nesting: list[int] = field(default_factory=list)
    logical: list[tuple[int, int, Construct]] = field(default_factory=list)

    def close(self, end: int) -> None:
        while self.nesting and self.nesting[-1] <= end:
            self.nesting.pop()


_NESTING: Final = frozenset({Construct.CLOSURE, Construct.BRANCH, Construct.SWITCH})
_BY_NESTING: Final = frozenset({Construct.BRANCH, Construct.SWITCH})
_FLAT: Final = frozenset({Construct.ELIF, Construct.ELSE, Construct.JUMP})
_DECISIONS: Final = frozenset(
    {Construct.BRANCH, Construct.ELSE_IF, Construct.ELIF, Construct.PATH, Construct.AND, Construct.OR}
)


def measure(constructs: Iterable[tuple[int, int, Construct]]) -> dict[Span, Complexity]:
    """Figures of each FUNCTION and CLASS by its span.

    Args:
        constructs: (start, end, construct), offsets half-open, properly nested, in any order, top level included.
    """
    figures: dict[Span, Complexity] = {}
    frames: list[_Frame] = []
    for start, end, construct in sorted(constructs, key=_document_order):
        while frames and frames[-1].end <= start:
            _leave(frames, figures)
        if construct <= Construct.FUNCTION:
            if frames:
                frames[-1].close(start)
            frames.append(_Frame(start, end, construct is Construct.CLASS))
        elif frames:
            _count(frames[-1], start, end, construct)
    while frames:
        _leave(frames, figures)
    return figures


def complexity_score(
    *, cyclomatic: int, cognitive: int, max_nesting_depth: int, parameter_count: int, lines_of_code: int
) -> float:
    """One figure from 0 (trivial) up to 100, for sorting and filtering.

    Each part is its share of the value at which common linters object: 10 for cyclomatic (McCabe 1976),
    15 for cognitive (SonarSource), 4 levels, 7 parameters, 60 lines. With their weighted mean m the score is
    100 m / (1 + m): a function at all limits has 50, and none exceeds 100.
    """
    mean = (
        0.30 * (cyclomatic - 1) / 10
        + 0.35 * cognitive / 15
        + 0.15 * max_nesting_depth / 4
        + 0.10 * parameter_count / 7
        + 0.10 * lines_of_code / 60
    )
    return round(100 * mean / (1 + mean), 2)


def _document_order(item: tuple[int, int, Construct]) -> tuple[int, int, int]:
    start, end, construct = item
    return start, -end, construct


def _count(frame: _Frame, start: int, end: int, construct: Construct) -> None:
    frame.close(start)
    if construct in _DECISIONS:
        frame.decisions += 1
    if construct in _BY_NESTING:
        frame.cognitive += 1 + len(frame.nesting)
        frame.increments_by_nesting += 1
    elif construct in _FLAT:
        frame.cognitive += 1
    elif construct >= Construct.AND:
        frame.cognitive += _starts_run(frame, start, end, construct)
    if construct in _NESTING:
        frame.nesting.append(end)
        frame.deepest = max(frame.deepest, len(frame.nesting))


def _starts_run(frame: _Frame, start: int, end: int, construct: Construct) -> bool:
    """Tell whether the operator's expression is no operand of the same operator, as `a && b` is in `a && b && c`."""
    logical = frame.logical
    while logical and logical[-1][1] <= start:
        logical.pop()
    repeated = bool(logical) and logical[-1][2] is construct and (logical[-1][0] == start or logical[-1][1] == end)
    logical.append((start, end, construct))
    return not repeated


def _leave(frames: list[_Frame], figures: dict[Span, Complexity]) -> None:
    frame = frames.pop()
    own = frame.functions if frame.is_class else 1
    figures[frame.start, frame.end] = Complexity(max(own, 1) + frame.decisions, frame.cognitive, frame.deepest)
    if not frames:
        return
    outer = frames[-1]
    nested = 0 if outer.is_class and not outer.nesting else len(outer.nesting) + (not frame.is_class)
    outer.decisions += frame.decisions
    outer.functions += own
    outer.cognitive += frame.cognitive + nested * frame.increments_by_nesting
    outer.increments_by_nesting += frame.increments_by_nesting
    outer.deepest = max(outer.deepest, nested + frame.deepest)
