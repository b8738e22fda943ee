import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from code_index.search.features import Candidate
from code_index.search.query_kind import asked_name
from code_index.search.ranking import content_words, normalized, rank

_SCORES = st.dictionaries(st.sampled_from("abcdefgh"), st.floats(-1e6, 1e6), max_size=8)
_PATHS = ["a.py", "b.py", "tests/c.py", "d.md"]


def chunk(path: str, name: str | None = None, *, lines: tuple[int, int] = (1, 20), **known: str) -> Candidate:
    language = {"md": "markdown", "json": "json"}.get(path.rpartition(".")[2], "python")
    values = {"language": language, "chunk_type": "function", "function_name": name, "class_name": None, **known}
    return Candidate(file_path=path, start_line=lines[0], end_line=lines[1], **values)


def order(candidates, semantic, lexical, query="", **options) -> list[str]:
    ranked = rank(candidates, semantic, lexical, query=query.lower().split(), name=asked_name(query), **options)
    return [key for key, _ in ranked.order]


@given(_SCORES)
def test_normalized_scores_span_zero_to_one(scores):
    result = normalized(scores)
    assert result.keys() == scores.keys()
    assert all(0 <= value <= 1 for value in result.values())
    assert not scores or max(result.values()) == 1


@given(_SCORES, _SCORES, st.lists(st.sampled_from(_PATHS), min_size=8, max_size=8), st.integers(1, 3))
def test_ranking_loses_no_candidate_and_gives_falling_scores_in_bounds(semantic, lexical, paths, per_file):
    places = dict(zip("abcdefgh", paths, strict=True))
    candidates = {key: chunk(places[key]) for key in semantic.keys() | lexical.keys()}
    ranked = rank(candidates, semantic, lexical, query=["parse"], per_file=per_file)
    scores = [score for _, score in ranked.order]
    assert {key for key, _ in ranked.order} == candidates.keys()
    assert len(scores) == len(candidates)
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 + 1e-9 for score in scores)
    assert not candidates or math.isclose(sum(ranked.file_shares.values()), 1)


def test_nothing_found_is_nothing():
    assert order({}, {}, {}) == []


@pytest.mark.parametrize(("semantic", "lexical"), [({"a": 5.0, "b": 3.0}, {}), ({}, {"a": 5.0, "b": 3.0})])
def test_one_list_alone_keeps_its_order(semantic, lexical):
    assert order({"a": chunk("a.py"), "b": chunk("b.py")}, semantic, lexical) == ["a", "b"]


def test_equal_candidates_are_ordered_by_id():
    assert order({"b": chunk("x.py"), "a": chunk("y.py")}, {"a": 1.0, "b": 1.0}, {}) == ["a", "b"]


def test_a_chunk_without_a_vector_is_judged_by_its_words_alone():
    candidates = {"a": chunk("a.py"), "b": chunk("b.py"), "new": chunk("new.py")}
    semantic, lexical = {"a": 0.9, "b": 0.5}, {"new": 9.0, "b": 1.0}
    assert order(candidates, semantic, lexical)[0] == "a"
    assert order(candidates, semantic, lexical, without_vector={"new"})[0] == "new"


def test_a_file_with_many_candidates_beats_a_lonely_one():
    candidates = {"alone": chunk("a.py"), **{key: chunk("b.py") for key in ("one", "two", "three")}, "x": chunk("x.py")}
    assert order(candidates, {"alone": 0.6, "one": 0.59, "two": 0.58, "three": 0.57, "x": 0}, {})[0] == "one"


def test_further_hits_of_a_file_stand_back_less_where_the_query_describes_a_place():
    candidates = {"one": chunk("a.py"), "two": chunk("a.py"), "other": chunk("b.py"), "x": chunk("x.py")}
    semantic = {"one": 0.9, "two": 0.88, "other": 0.6, "x": 0.0}
    assert order(candidates, semantic, {}, "write a buffer")[:3] == ["one", "other", "two"]
    assert order(candidates, semantic, {}, "write the buffer to disk where its last page is full")[1] == "two"


def test_what_stands_between_definitions_comes_after_a_definition_that_fits_as_well():
    candidates = {
        "a": chunk("a.py", chunk_type="module"),
        "b": chunk("a.py", "run"),
        "x": chunk("a.py", lines=(50, 60)),
    }
    assert order(candidates, {"a": 0.9, "b": 0.88, "x": 0.1}, {})[0] == "b"


def test_the_twin_of_this_platform_comes_first():
    candidates = {"w": chunk("src/win/tcp.c"), "u": chunk("src/unix/tcp.c"), "x": chunk("src/loop.c")}
    semantic = {"w": 0.9, "u": 0.85, "x": 0.1}
    first = "w" if sys.platform == "win32" else "u"
    assert order(candidates, semantic, {}, "tcp connect")[0] == first
    assert order(candidates, semantic, {}, "tcp connect on windows")[0] == "w"


def test_a_header_comes_after_its_body():
    candidates = {"h": chunk("src/idna.h"), "c": chunk("src/idna.c"), "x": chunk("src/loop.c")}
    assert order(candidates, {"h": 0.9, "c": 0.88, "x": 0.1}, {})[:2] == ["c", "h"]


def test_a_name_that_nothing_defines_is_found_in_the_root_that_hands_it_on():
    candidates = {
        "use": chunk("src/json.rs", "from_request", language="rust"),
        "root": chunk("src/extract/mod.rs", language="rust", chunk_type="module"),
        "x": chunk("src/form.rs", language="rust"),
    }
    semantic, lexical = {"use": 0.9, "x": 0.4}, {"use": 9.0, "root": 8.0, "x": 1.0}
    assert order(candidates, semantic, lexical, "FromRequest")[0] == "root"
    assert order(candidates, semantic, lexical, "make from a request")[0] == "use"


def test_further_hits_of_a_file_make_room_for_other_files_unless_asked_for():
    candidates = {"one": chunk("a.py"), "two": chunk("a.py"), "other": chunk("b.py"), "x": chunk("x.py")}
    semantic = {"one": 0.9, "two": 0.85, "other": 0.8, "x": 0.0}
    assert order(candidates, semantic, {})[:3] == ["one", "other", "two"]
    assert order(candidates, semantic, {}, per_file=2)[:3] == ["one", "two", "other"]


def test_code_comes_before_a_test_that_says_the_same():
    candidates = {"test": chunk("tests/test_a.py"), "code": chunk("src/a.py"), "x": chunk("src/x.py")}
    assert order(candidates, {"test": 0.9, "code": 0.85, "x": 0.1}, {})[0] == "code"


def test_documentation_comes_first_where_both_lists_put_it_clearly_first():
    candidates = {"docs": chunk("guide.md"), "code": chunk("src/a.py"), **{f"x{n}": chunk("y.py") for n in range(9)}}
    far = {f"x{n}": 0.1 + n / 1000 for n in range(9)}
    assert order(candidates, {"docs": 0.9, "code": 0.3, **far}, {"docs": 9.0, "code": 2.0, **far})[0] == "docs"
    assert order(candidates, {"docs": 0.8, "code": 0.9, **far}, {"docs": 7.0, "code": 9.0, **far})[0] == "code"


def test_where_evidence_is_even_both_kinds_are_among_the_first_three():
    pages = {f"page{n}": chunk(f"docs/{n}.md") for n in range(4)}
    scores = {"page0": 0.9, "page1": 0.89, "page2": 0.88, "page3": 0.87, "code": 0.78, "x": 0.0}
    words = {key: score * 10 for key, score in scores.items()}
    found = rank({**pages, "code": chunk("src/a.py"), "x": chunk("x.py")}, scores, words, query=[])
    docs = sum(share for path, share in found.file_shares.items() if path.endswith(".md"))
    assert 0.25 <= docs <= 0.75
    assert "code" in [key for key, _ in found.order][:3]
    assert any(key.startswith("page") for key, _ in found.order[:3])


def test_the_exact_definition_comes_before_longer_names_and_uses():
    candidates = {
        "pre": chunk("net/ipv4/tcp_ipv4.c", "tcp_v4_pre_connect", language="c"),
        "use": chunk("net/ipv4/af_inet.c", "inet_stream_connect", language="c"),
        "definition": chunk("net/ipv4/tcp_ipv4.c", "tcp_v4_connect", language="c"),
    }
    semantic, lexical = {"pre": 0.9, "use": 0.8}, {"pre": 9.0, "use": 5.0}
    assert order(candidates, semantic, lexical, "tcp_v4_connect")[0] == "definition"


def test_a_body_comes_before_its_declaration():
    candidates = {
        "declaration": chunk("include/uv.h", "uv_run", language="c"),
        "body": chunk("src/core.c", "uv_run", language="c"),
        "x": chunk("src/loop.c", "uv_stop", language="c"),
    }
    semantic = {"declaration": 0.9, "body": 0.85, "x": 0.1}
    assert order(candidates, semantic, {}, "uv_run") == ["body", "declaration", "x"]


def test_a_class_comes_first_in_the_file_of_its_name():
    candidates = {
        "part": chunk("Serializer.Json.cs", None, class_name="Serializer", chunk_type="class"),
        "own": chunk("Serializer.cs", None, class_name="Serializer", chunk_type="class"),
        "x": chunk("x.cs"),
    }
    assert order(candidates, {"part": 0.9, "own": 0.88, "x": 0.1}, {}, "Serializer")[0] == "own"


def test_a_qualifier_picks_among_definitions_of_one_name():
    candidates = {
        "router": chunk("a.py", "get", class_name="Router", chunk_type="method"),
        "cache": chunk("b.py", "get", class_name="Cache", chunk_type="method"),
        "x": chunk("x.py"),
    }
    assert order(candidates, {"router": 0.9, "cache": 0.89, "x": 0.1}, {}, "Cache.get")[0] == "cache"


def test_an_older_version_comes_after_the_current_one():
    candidates = {"old": chunk("src/v3/types.ts"), "new": chunk("src/v4/types.ts"), "x": chunk("x.ts")}
    assert order(candidates, {"old": 0.9, "new": 0.8, "x": 0.1}, {})[:2] == ["new", "old"]


def test_an_explanation_names_what_counted():
    candidates = {"test": chunk("tests/test_a.py", "parse_file"), "x": chunk("x.py")}
    ranked = rank(candidates, {"test": 0.9, "x": 0.1}, {"test": 3.0}, query=["parse", "file"])
    parts = ranked.explanation("test", "tests/test_a.py")
    assert parts["file: tests"] < 0 < parts["chunk: query_words"]
    assert 0 < parts["file share"] <= 1
    assert all(parts.values())


def test_words_of_questions_are_left_out_unless_there_is_nothing_else():
    assert content_words(["how", "does", "the", "router", "match"]) == ["router", "match"]
    assert content_words(["how", "to"]) == ["how", "to"]
