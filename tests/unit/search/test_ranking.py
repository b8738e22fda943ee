import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from code_index.search.ranking import (
    FILE_SHARE,
    LEXICAL_WEIGHT,
    REPEAT_FACTOR,
    SECONDARY_FACTOR,
    SEMANTIC_WEIGHT,
    Place,
    content_words,
    fuse,
    is_test,
    normalized,
    rerank,
    snippet_lines,
)

_SCORES = st.dictionaries(st.sampled_from("abcdefgh"), st.floats(-1e6, 1e6), max_size=8)
_RANKED = st.lists(st.tuples(st.integers(0, 99), st.sampled_from(["a.py", "b.py", "tests/c.py", "d.md"])), max_size=20)


def places(**paths: str) -> dict[str, Place]:
    return {key: Place(path, "markdown" if path.endswith(".md") else "python") for key, path in paths.items()}


def ids(ranked: list[tuple[str, float]]) -> list[str]:
    return [key for key, _ in ranked]


def test_weights_share_the_score():
    assert math.isclose(SEMANTIC_WEIGHT + LEXICAL_WEIGHT, 1)
    assert 0 < FILE_SHARE < 1


def test_fusing_weighs_both_lists():
    fused = dict(fuse({"near": 0.9, "far": 0.1}, {"far": 30.0, "near": 10.0}, limit=2))
    assert fused == pytest.approx({"near": SEMANTIC_WEIGHT, "far": LEXICAL_WEIGHT})


def test_a_chunk_that_one_list_lacks_is_that_lists_worst():
    fused = dict(fuse({"a": 0.9, "b": 0.5}, {"b": 9.0, "c": 1.0, "d": 5.0}, limit=9))
    assert fused["d"] == pytest.approx(LEXICAL_WEIGHT * 0.5)
    assert fused["a"] == pytest.approx(SEMANTIC_WEIGHT)


def test_a_chunk_without_a_vector_is_judged_by_its_words_alone():
    semantic, lexical = {"a": 0.9, "b": 0.5}, {"new": 9.0, "b": 1.0}
    assert fuse(semantic, lexical, limit=9)[0][0] == "a"
    assert fuse(semantic, lexical, limit=9, without_vector={"new"})[0] == ("new", 1.0)


@pytest.mark.parametrize(("semantic", "lexical"), [({"a": 5.0, "b": 3.0}, {}), ({}, {"a": 5.0, "b": 3.0})])
def test_one_list_alone_keeps_its_order(semantic, lexical):
    assert fuse(semantic, lexical, limit=9) == [("a", 1.0), ("b", 0.0)]


def test_equal_scores_are_ordered_by_id_and_cut_at_the_limit():
    assert ids(fuse({"b": 1.0, "a": 1.0, "c": 1.0}, {}, limit=2)) == ["a", "b"]


def test_nothing_found_is_nothing():
    assert fuse({}, {}, limit=5) == []
    assert rerank([], {}, []) == []


@given(_SCORES)
def test_normalized_scores_span_zero_to_one(scores):
    result = normalized(scores)
    assert result.keys() == scores.keys()
    assert all(0 <= value <= 1 for value in result.values())
    assert not scores or max(result.values()) == 1


@given(_SCORES, _SCORES)
def test_fused_scores_stay_in_bounds_and_lose_no_id(semantic, lexical):
    fused = fuse(semantic, lexical, limit=99)
    assert {key for key, _ in fused} == semantic.keys() | lexical.keys()
    assert all(0 <= score <= 1 + 1e-9 for _, score in fused)


def test_a_file_with_many_candidates_beats_a_lonely_one():
    fused = [("alone", 0.60), ("one", 0.59), ("two", 0.58), ("three", 0.57)]
    where = places(alone="a.py", one="b.py", two="b.py", three="b.py")
    assert ids(rerank(fused, where, []))[0] == "one"


def test_further_hits_of_a_file_make_room_for_other_files():
    fused = [("one", 0.9), ("two", 0.85), ("three", 0.8), ("other", 0.7)]
    where = places(one="a.py", two="a.py", three="a.py", other="b.py")
    assert ids(rerank(fused, where, [])) == ["one", "other", "two", "three"]
    scores = dict(rerank([("one", 1.0), ("two", 1.0)], places(one="a.py", two="a.py"), []))
    assert scores == pytest.approx({"one": 1.0, "two": REPEAT_FACTOR})


@pytest.mark.parametrize("secondary", ["tests/test_a.py", "README.md"])
def test_code_beats_tests_and_prose_that_are_a_little_better(secondary):
    fused = [("other", 0.9), ("code", 0.7)]
    assert ids(rerank(fused, places(other=secondary, code="src/a.py"), ["parse"])) == ["code", "other"]


@pytest.mark.parametrize(("secondary", "word"), [("tests/test_a.py", "tests"), ("README.md", "documentation")])
def test_tests_and_prose_are_not_held_back_when_the_query_asks_for_them(secondary, word):
    fused = [("other", 0.9), ("code", 0.7)]
    assert ids(rerank(fused, places(other=secondary, code="src/a.py"), [word])) == ["other", "code"]


def test_the_factor_of_tests_counts_for_their_file_too():
    fused = [("test", 0.8), ("code", 0.8)]
    scores = dict(rerank(fused, places(test="tests/a.py", code="a.py"), []))
    assert scores["test"] == pytest.approx(scores["code"] * SECONDARY_FACTOR)


@given(_RANKED)
def test_reranking_keeps_ids_bounds_and_the_order_within_a_file(candidates):
    fused = sorted(
        ((f"{number:02}", score / 99) for number, (score, _) in enumerate(candidates)), key=lambda x: (-x[1], x[0])
    )
    where = places(**{f"{number:02}": path for number, (_, path) in enumerate(candidates)})
    result = rerank(fused, where, [])
    assert sorted(ids(result)) == sorted(ids(fused))
    assert all(0 <= score <= 1 + 1e-9 for _, score in result)
    assert [score for _, score in result] == sorted((score for _, score in result), reverse=True)
    for path in {place.file_path for place in where.values()}:
        before = [score for key, score in fused if where[key].file_path == path]
        after = [dict(fused)[key] for key, _ in result if where[key].file_path == path]
        assert after == before


@pytest.mark.parametrize(
    "path",
    [
        "tests/a.py",
        "pkg/test/helper.go",
        "src/__tests__/a.ts",
        "test_a.py",
        "pkg/test_a.py",
        "tree_test.go",
        "a.test.ts",
        "b.spec.js",
        "GsonTest.java",
        "WriterTests.cs",
        "examples/basic.rs",
        "spec/base_spec.rb",
    ],
)
def test_test_paths_are_known(path):
    assert is_test(path)


@pytest.mark.parametrize(
    "path", ["contest/a.py", "latest.py", "src/attest.go", "testify.py", "Contest.java", "special/a.rb"]
)
def test_paths_that_only_sound_like_tests_are_not(path):
    assert not is_test(path)


def test_words_of_questions_are_left_out_unless_there_is_nothing_else():
    assert content_words(["how", "does", "the", "router", "match"]) == ["router", "match"]
    assert content_words(["how", "to"]) == ["how", "to"]


def test_a_snippet_is_the_window_with_most_of_the_words():
    content = "one\ntwo\nparse file\nparse\nfive\nsix"
    assert snippet_lines(content, ["parse"], height=2) == (2, ["parse file", "parse"])
    assert snippet_lines("short\ntext", ["parse"], height=2) == (0, ["short", "text"])
    assert snippet_lines("a\nb\nc", ["none"], height=2) == (0, ["a", "b"])
