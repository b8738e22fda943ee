"""Packing of a context: within its budget, in time linear in what is packed."""

from __future__ import annotations

import pytest

from code_index.search import context
from code_index.search.hybrid import SearchHit
from code_index.search.token_estimate import estimate_tokens


def _hits(count: int, *, lines: int) -> list[SearchHit]:
    return [
        SearchHit(
            score=1 - number / count,
            chunk_id=f"{number:032}",
            file_path="lib/many.py",
            start_line=1 + number * lines,
            end_line=(number + 1) * lines,
            content="\n".join([f"def many_{number}(value):", *["    value += 1"] * (lines - 1)]),
            language="python",
            chunk_type="function",
            qualified_name=f"many_{number}",
            function_name=f"many_{number}",
            class_name=None,
            docstring=None,
            subproject_name=None,
            repository="/r",
        )
        for number in range(count)
    ]


def test_the_hits_of_one_file_are_not_rendered_again_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    hits = _hits(1_000, lines=3)
    estimated = 0

    def counting(text: str) -> int:
        nonlocal estimated
        estimated += len(text)
        return estimate_tokens(text)

    monkeypatch.setattr(context, "estimate_tokens", counting)
    monkeypatch.setattr(context, "_headers_of", lambda _stores, hits: [()] * len(hits))
    [piece] = context.pack({"/r": None}, hits, "many", 100_000)
    assert (piece.start_line, piece.end_line) == (1, 3_000)
    assert estimated < 40 * sum(len(hit.content) for hit in hits)


@pytest.mark.parametrize("budget", [*range(100, 2_000, 130), 20_000])
@pytest.mark.parametrize("lines", [2, 25, 400])
def test_no_budget_is_exceeded_whatever_the_pieces_are(
    monkeypatch: pytest.MonkeyPatch, budget: int, lines: int
) -> None:
    monkeypatch.setattr(context, "_headers_of", lambda _stores, hits: [()] * len(hits))
    pieces = context.pack({"/r": None}, _hits(60, lines=lines), "many value", budget)
    assert sum(piece.tokens for piece in pieces) <= budget
    assert estimate_tokens(context.SEPARATOR.join(piece.text for piece in pieces)) <= budget
