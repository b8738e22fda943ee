"""What a reader of answers has seen, and how each way is read."""

from pathlib import Path

import pytest

from benchmarks.agents.gold import Question
from benchmarks.agents.reading import Gold, Piece, Reading, Span, read
from benchmarks.agents.ways import CHANGE, Grep, Semble

_FUNCTION = Gold("a.py", (3,), "f")
_CALLER = Gold("a.py", (3,), "f", calls=(9,))
_FILE = Gold("a.py")


def _read(pieces, *gold, budget=100, most=1_000):
    return read(pieces, gold, budget=budget, most=most, tokens=len)


@pytest.mark.parametrize(
    ("gold", "piece", "seen"),
    [
        (_FUNCTION, Piece(0, "x", "a.py", (3,)), True),
        (_FUNCTION, Piece(0, "x", "a.py", (4,)), False),
        (_FUNCTION, Piece(0, "x", "b.py", (3,)), False),
        (_FUNCTION, Piece(0, "x", "a.py", spans=(Span("a.py", 2, 8, "f"),)), True),
        (_FUNCTION, Piece(0, "x", spans=(Span("", 2, 8, "f"),)), True),
        (_FUNCTION, Piece(0, "x", "a.py", spans=(Span("a.py", 2, 8, "g"),)), False),
        (_FUNCTION, Piece(0, "x", "a.py", spans=(Span("a.py", 4, 8, "f"),)), False),
        (_CALLER, Piece(0, "x", "a.py", (3, 9)), True),
        (_CALLER, Piece(0, "x", "a.py", (9,)), False),
        (_CALLER, Piece(0, "x", "a.py", (9,), caller="f"), True),
        (_CALLER, Piece(0, "x", "a.py", (9,), caller="g"), False),
        (_FILE, Piece(0, "x", "a.py"), True),
        (_FILE, Piece(0, "x"), False),
    ],
)
def test_gold_is_seen_by_its_line_or_by_its_name(gold, piece, seen):
    assert (_read([piece], gold).until is not None) is seen


def test_tokens_count_to_the_last_of_the_gold_and_to_the_end_of_its_answer():
    pieces = [Piece(0, "12345", "b.py"), Piece(0, "123", "a.py"), Piece(0, "1", "c.py"), Piece(1, "not read")]
    assert _read(pieces, _FILE) == Reading(share=1.0, until=8, read=9)


def test_what_comes_after_the_budget_is_seen_but_does_not_count():
    pieces = [Piece(0, "12345", "a.py"), Piece(0, "123456", "b.py")]
    assert _read(pieces, _FILE, Gold("b.py"), budget=10) == Reading(share=0.5, until=11, read=11)
    assert _read(pieces, _FILE, Gold("c.py"), most=4) == Reading(share=0.5, until=None, read=5)


def test_grep_shows_hits_then_the_lines_around_them_then_the_files(tmp_path: Path):
    lines = [f"line {number}" for number in range(1, 101)]
    lines[49] = "def wanted():"
    (tmp_path / "a.py").write_text("\n".join(lines))
    pieces = list(Grep(tmp_path)(Question("r", "where", "wanted", ())))
    assert (pieces[0].text, pieces[0].lines) == ("a.py:50:def wanted():", (50,))
    assert [piece.lines for piece in pieces if piece.answer == 2] == [(number,) for number in range(30, 70)]
    assert [piece.lines for piece in pieces if piece.answer == 3] == [(number,) for number in range(1, 101)]
    changed = list(Grep(tmp_path)(Question("r", CHANGE, "is WANTED by", ())))
    assert [piece.text for piece in changed if piece.answer == 1] == ["a.py:50:def wanted():"]


def test_results_of_semble_show_the_lines_that_they_hold():
    result = {"file_path": "a.py", "start_line": 5, "end_line": 9, "content": "one\ntwo"}
    (piece,) = Semble({"change add it": [result]})(Question("r", CHANGE, "add it", ()))
    assert (piece.path, piece.lines) == ("a.py", (5, 6))
