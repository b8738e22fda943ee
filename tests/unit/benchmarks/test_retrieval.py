from dataclasses import replace

import pytest

from benchmarks.baselines import Bm25, Grep, Text
from benchmarks.intervals import estimate
from benchmarks.left_out import left_out
from benchmarks.ndcg import Span, Target, best_order, ndcg
from benchmarks.retrieval import Outcome, Pool, _markdown, answers, fitted_share, gain, gains, mixed, summarize


def outcome(
    repository: str,
    query: str,
    score: float,
    *,
    system: str = "hybrid",
    category: str = "code",
    answerable: bool = True,
) -> Outcome:
    half = "tuning" if repository == "a" else "held out"
    return Outcome(repository, "python", half, system, category, query, score, 0.01, (), answerable)


def test_an_interval_is_the_same_each_time_holds_the_mean_and_narrows_with_more_scores():
    few, many = [0.0, 1.0] * 5, [0.0, 1.0] * 200
    assert estimate([few]) == estimate([few])
    wide, narrow = estimate([few]), estimate([many])
    assert wide.low < wide.mean == narrow.mean == 0.5 < wide.high
    assert narrow.high - narrow.low < (wide.high - wide.low) / 3
    assert narrow.high - narrow.low == pytest.approx(2 * 1.96 * 0.5 / 400**0.5, rel=0.1)


def test_repositories_count_alike_however_many_queries_they_have():
    found = estimate([[1.0] * 100, [0.0]])
    assert (found.mean, found.low, found.high, found.count) == (0.5, 0.5, 0.5, 101)


def test_no_interval_without_scores():
    for groups in ([], [[]], [[1.0], []]):
        with pytest.raises(ValueError, match="at least one group"):
            estimate(groups)


def test_weights_are_scored_on_the_repository_that_they_did_not_see():
    seen = {}

    def fit(names):
        seen[frozenset(names)] = True
        return "best of " + "+".join(names)

    found = left_out(["a", "b", "c"], fit, lambda weights, name: float(name in weights.removeprefix("best of ")))
    assert set(seen) == {frozenset("bc"), frozenset("ac"), frozenset("ab")}
    assert {name: score for name, (_, score) in found.items()} == {"a": 0.0, "b": 0.0, "c": 0.0}
    with pytest.raises(ValueError, match="two"):
        left_out(["a"], fit, lambda *_: 0.0)


def test_the_share_of_the_lists_is_fitted_without_the_repository_that_it_is_scored_on():
    def pool(name, best):
        return Pool(name, 1.0, 1.0, {step / 20: float(step / 20 == best) for step in range(21)})

    shares = fitted_share([pool("a", 0.2), pool("b", 0.9), pool("c", 0.9)])
    assert shares == {"a": (0.9, 0.0), "b": (0.2, 0.0), "c": (0.2, 0.0)}
    assert fitted_share([pool("a", 0.2)]) is None


def test_a_mixed_list_follows_either_list_at_the_ends_and_breaks_ties_by_id():
    near, worded = {"a": 0.9, "b": 0.5, "c": 0.1}, {"c": 12.0, "d": 3.0}
    assert mixed(near, worded, 1.0)[:2] == ["a", "b"]
    assert mixed(near, worded, 0.0) == ["c", "a", "b", "d"]


def test_a_summary_means_over_repositories_and_over_the_queries_of_a_kind():
    scores = [("a", "q1", 1.0, "code"), ("a", "q2", 0.0, "docs: heading"), ("b", "q3", 0.0, "docs: sentence")]
    found = summarize([outcome(name, query, score, category=kind) for name, query, score, kind in scores])["hybrid"]
    assert found["mean"].mean == 0.25
    assert {name: one.mean for name, one in found["kinds"].items()} == {"code": 1.0, "docs": 0.0}
    assert set(found["categories"]) == {"code", "docs: heading", "docs: sentence"}
    assert {name: one.mean for name, one in found["halves"].items()} == {"tuning": 0.5, "held out": 0.0}
    assert (found["latency_p50_ms"], found["latency_p99_ms"]) == (10.0, 10.0)


def test_queries_that_cannot_be_answered_are_counted_apart():
    found = summarize([outcome("a", "q1", 0.8), outcome("a", "q2", 0.0, answerable=False)])["hybrid"]
    assert found["mean"].mean == pytest.approx(0.4)
    assert (found["answerable"].mean, found["answerable"].count) == (0.8, 1)


def test_a_gain_is_of_the_same_queries():
    ours = [outcome("a", "q1", 0.9), outcome("a", "q2", 0.5), outcome("b", "q3", 0.2)]
    theirs = [replace(one, system="bm25", score=one.score - 0.1) for one in ours]
    found = gain(ours, theirs)
    assert (found.mean, found.low, found.high) == (pytest.approx(0.1),) * 3
    with pytest.raises(ValueError, match="same queries"):
        gain(ours, theirs[1:])


def test_the_better_list_is_the_one_with_the_higher_mean_of_that_kind():
    scores = {"semantic": (0.9, 0.1), "lexical": (0.2, 0.6)}
    outcomes = []
    for system in ("hybrid", "semantic", "lexical", "fused", "bm25", "grep"):
        code, docs = scores.get(system, (0.5, 0.5))
        outcomes += [outcome("a", "q1", code, system=system), outcome("a", "q2", docs, system=system, category="docs")]
    found = gains(outcomes)
    assert found["code"]["better list"].mean == pytest.approx(0.5 - 0.9)
    assert found["docs"]["better list"].mean == pytest.approx(0.5 - 0.6)


def test_a_file_that_only_points_to_another_answers_nothing_and_lines_always_do():
    texts = [
        Text(Span("core.h", 1, 3), '#include "base.h"\n' * 3),
        Text(Span("base.h", 1, 90), "int value = 1;\n" * 90),
    ]
    assert not answers(Target("core.h"), texts)
    assert answers(Target("base.h"), texts)
    assert answers(Target("core.h", 2, 2), texts)


def test_the_best_order_of_a_pool_puts_what_it_holds_first():
    assert best_order(3, 3) == best_order(12, 40) == 1
    assert best_order(0, 2) == best_order(0, 0) == 0
    found = [Span("a.py", 1, 1), Span("x.py", 1, 1)]
    assert best_order(1, 2) == ndcg(found, [Target("a.py"), Target("b.py")], reachable_count=2)


def test_bm25_prefers_rare_words_and_short_texts_and_leaves_out_what_has_no_word():
    texts = [
        Text(Span("common.py", 1, 9), "read it"),
        Text(Span("other.py", 1, 9), "read it"),
        Text(Span("rare.py", 1, 9), "read quokka"),
        Text(Span("long.py", 1, 99), "quokka " + "filler " * 90),
        Text(Span("none.py", 1, 9), "nothing"),
    ]
    assert Bm25(texts).search("read the quokka", 1) == [texts[-3].span]
    assert {span.path for span in Bm25(texts).search("read the quokka", 10)} == {text.span.path for text in texts[:-1]}
    assert [span.path for span in Bm25(texts).search("quokka", 10)] == ["rare.py", "long.py"]
    assert Bm25([]).search("quokka", 1) == []


def test_grep_shows_each_file_once_at_the_lines_with_most_words():
    text = "\n".join(["alpha", *["filler"] * 40, "beta", "ALPHA gamma", *["filler"] * 40])
    found = Grep({"b.py": text, "a.py": "alpha alpha alpha", "c.py": "nothing"}).search("how is alpha beta gamma", 10)
    assert found == [Span("b.py", 42, 61), Span("a.py", 1, 1)]


def test_a_report_has_every_part_and_says_how_many_times_bm25_hybrid_finds():
    systems = ("hybrid", "semantic", "lexical", "fused", "bm25", "grep")
    outcomes = []
    for system in systems:
        for name, query, category in (("a", "q1", "code"), ("b", "q2", "docs: heading")):
            score = 0.2 if system == "bm25" else 0.5
            outcomes.append(outcome(name, query, score, system=system, category=category))
    pools = [Pool(name, 0.75, 0.9, {step / 20: 0.4 for step in range(21)}) for name in ("a", "b")]
    text = _markdown(summarize(outcomes), pools, gains(outcomes), {"a": 12, "b": 30})
    lines = text.splitlines()
    assert (
        "| **mean of repositories** | 2 | 42 | 0.500 (0.500 to 0.500) | 0.500 | 0.500 | 0.500 | 0.200 | 0.500 |"
        in lines
    )
    for part in ("a", "half: tuning", "language: python", "kind: docs", "category: docs: heading", "ms a query, p99"):
        assert any(line.startswith(f"| {part} |") for line in lines), part
    assert next(line for line in lines if line.startswith("| all |")).endswith("| 2.500 |")
    assert "| best order of the pool | 0.900 (0.900 to 0.900) |" in lines
