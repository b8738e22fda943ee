import math

import pytest

from benchmarks.ndcg import Span, Target, covers, ndcg, reachable


def spans(*paths: str) -> list[Span]:
    return [Span(path, 1, 10) for path in paths]


def score(found: list[Span], *targets: Target, reachable_count: int | None = None) -> float:
    return ndcg(found, targets, reachable_count=len(targets) if reachable_count is None else reachable_count)


def test_the_only_target_first_is_perfect_and_second_is_discounted():
    assert score(spans("a.py", "b.py"), Target("a.py")) == 1
    assert score(spans("b.py", "a.py"), Target("a.py")) == pytest.approx(1 / math.log2(3))


def test_a_target_counts_at_its_first_hit_only():
    assert score(spans("a.py", "a.py", "a.py"), Target("a.py")) == 1


def test_targets_that_share_a_hit_share_its_rank():
    assert score([Span("a.py", 1, 50)], Target("a.py", 1, 5), Target("a.py", 20, 30)) == pytest.approx(
        1 / (1 + 1 / math.log2(3))
    )


def test_a_target_beyond_the_tenth_hit_is_not_found():
    assert score(spans(*(f"{n}.py" for n in range(10)), "a.py"), Target("a.py")) == 0


def test_targets_that_no_chunk_covers_do_not_lower_the_score():
    index = spans("a.py")
    targets = [Target("a.py"), Target("gone.py")]
    assert reachable(targets, index) == [Target("a.py")]
    assert score(spans("a.py"), *targets, reachable_count=1) == 1
    assert score([], Target("gone.py"), reachable_count=0) == 0


def test_lines_must_overlap_where_the_target_has_lines():
    target = Target.parse({"path": "a.py", "start_line": 11, "end_line": 20})
    assert not covers(Span("a.py", 1, 10), target)
    assert covers(Span("a.py", 5, 11), target)
    assert covers(Span("a.py", 20, 25), target)
    assert not covers(Span("a.py", 21, 25), target)


def test_paths_match_whole_or_by_their_end_at_a_slash():
    assert covers(Span("src/a.py", 1, 1), Target.parse("a.py"))
    assert covers(Span("a.py", 1, 1), Target("src/a.py"))
    assert not covers(Span("src/ba.py", 1, 1), Target("a.py"))
