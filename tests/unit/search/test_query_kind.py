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


def test_evidence_is_the_lead_of_documentation_over_code():
    kinds = {"doc": ContentKind.DOCS, "code": ContentKind.CODE, "test": ContentKind.TESTS}
    assert evidence({"code": 1.0, "doc": 0.5, "test": 0.0}, kinds).docs_by_words == -0.5
    assert evidence({"doc": 0.75}, kinds).docs_by_words == 0.75
    assert evidence({}, kinds).docs_by_words == 0


def test_a_list_whose_first_hit_stands_apart_is_clear():
    def clear(words):
        return evidence(words, dict.fromkeys(words, ContentKind.CODE)).clear_words

    assert clear({"a": 1.0, "b": 0.1, "c": 0.0}) == 1
    assert clear({"a": 1.0, "b": 0.95, "c": 0.9}) == 0
    assert 0 < clear({"a": 1.0, "b": 0.6, "c": 0.5}) < 1
    assert clear({"a": 1.0}) == clear({}) == 0
