import pytest

from code_index.core.identifiers import full_text
from code_index.search.hybrid import query_words


@pytest.mark.parametrize("spelling", ["getUserName", "get_user_name", "GetUserName"])
def test_an_identifier_is_searched_joined_and_split_whatever_its_spelling(spelling):
    assert query_words(spelling).split() == ["getusername", "get", "user", "name"]


def test_each_word_is_searched_once_and_questions_words_not_at_all():
    assert query_words("How does the router route the Router?") == "router route"


def test_a_query_of_question_words_alone_is_searched_as_it_is():
    assert query_words("how to") == "how to"


@pytest.mark.parametrize("query", ["parse_HTTPServer2 && <T>", "naïve Größe", "a.b::c"])
def test_every_word_of_a_query_is_one_that_the_full_text_of_the_same_code_holds(query):
    held = set(full_text(file_path="", qualified_name="", content=query).split())
    assert set(query_words(query).split()) <= held
