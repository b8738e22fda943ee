import pytest

from code_index.search.query_kind import Name, asked_name, clear_winner, detail


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


def test_a_list_whose_first_hit_stands_apart_is_clear():
    assert clear_winner([0.0, 1.0, 0.1]) == 1
    assert clear_winner([1.0, 0.95, 0.9]) == 0
    assert 0 < clear_winner([1.0, 0.6, 0.5]) < 1
    assert clear_winner([1.0]) == clear_winner([]) == 0


def test_a_query_of_many_words_describes_a_place_and_one_of_few_names_a_topic():
    words = ["copy", "at", "most", "n", "bytes", "from", "a", "buffer", "and", "end", "it", "with", "zero"]
    assert detail([]) == detail(words[:5]) == 0
    assert 0 < detail(words[:6]) < detail(words[:7]) < detail(words[:8]) == detail(words) == 1
