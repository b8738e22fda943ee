import pytest

from code_index.core.content_kinds import ContentKind
from code_index.search.query_kind import Name, asked_name, evidence


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ZodError", Name("ZodError", None)),
        ("tcp_v4_connect()", Name("tcp_v4_connect", None)),
        ("Router.get", Name("get", "Router")),
        ("std::fmt::Display", Name("Display", "fmt")),
        ("valid?", Name("valid?", None)),
        ("größe", Name("größe", None)),
    ],
)
def test_a_query_that_is_nothing_but_a_name_asks_for_its_definition(text, name):
    assert asked_name(text) == name


@pytest.mark.parametrize("text", ["how does routing work", "a + b", "3.11", "", "error: no such file", "(x)"])
def test_anything_else_is_no_name(text):
    assert asked_name(text) is None


def test_evidence_is_the_lead_of_a_kind_over_code_in_each_list():
    kinds = {"doc": ContentKind.DOCS, "code": ContentKind.CODE, "test": ContentKind.TESTS}
    seen = evidence({"doc": 0.75, "code": 0.25}, {"code": 1.0, "doc": 0.5, "test": 0.0}, kinds)
    assert (seen.docs_by_meaning, seen.docs_by_words, seen.tests_by_meaning) == (0.5, -0.5, -0.25)


def test_a_list_whose_first_hit_stands_apart_is_clear():
    def clear(words):
        return evidence({}, words, dict.fromkeys(words, ContentKind.CODE)).clear_words

    assert clear({"a": 1.0, "b": 0.1, "c": 0.0}) == 1
    assert clear({"a": 1.0, "b": 0.95, "c": 0.9}) == 0
    assert 0 < clear({"a": 1.0, "b": 0.6, "c": 0.5}) < 1
    assert clear({"a": 1.0}) == clear({}) == 0
