"""Identifiers as words, and the full-text content made of them."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from code_index.core.identifiers import (
    MAX_IDENTIFIER_CHARACTERS,
    _split_unicode,
    full_text,
    own_name,
    search_tokens,
    split_identifier,
)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("getUserName", ["get", "user", "name"]),
        ("GetUserName", ["get", "user", "name"]),
        ("get_user_name", ["get", "user", "name"]),
        ("GET_USER_NAME", ["get", "user", "name"]),
        ("get-user-name", ["get", "user", "name"]),
        ("HTTPServer", ["http", "server"]),
        ("parseHTML5Doc", ["parse", "html5", "doc"]),
        ("utf8", ["utf8"]),
        ("sha256Hash", ["sha256", "hash"]),
        ("A1b2", ["a1", "b2"]),
        ("3dModel", ["3", "d", "model"]),
        ("__init__", ["init"]),
        ("größeÄndern", ["größe", "ändern"]),
        ("ÉtéHTTPServer", ["été", "http", "server"]),
        ("日本語", ["日本語"]),
        ("_", []),
        ("", []),
    ],
)
def test_name_in_any_convention_is_split_into_words(name, words):
    assert split_identifier(name) == words


@given(st.from_regex(r"[A-Za-z0-9]{1,20}", fullmatch=True))
def test_ascii_and_unicode_rules_agree(run):
    assert _split_unicode(run) == split_identifier(run)


@given(st.text())
def test_splitting_loses_no_letter_or_digit(name):
    kept = "".join(character for character in name if character.isalnum())
    assert "".join(split_identifier(name)) == "".join(map(str.lower, kept)) or not name.isascii()
    assert all(word and not word.isspace() for word in split_identifier(name))


@pytest.mark.parametrize("spelling", ["getUserName", "get_user_name", "GetUserName", "GET_USER_NAME"])
def test_every_spelling_gives_the_same_search_tokens(spelling):
    assert search_tokens(f"  {spelling}();") == "getusername get user name"


def test_single_word_stands_once_and_order_and_repetition_are_kept():
    assert search_tokens("return x + x.fooBar") == "return x x foobar foo bar"


def test_data_runs_are_left_out_of_the_search_tokens():
    blob = "aB3" * MAX_IDENTIFIER_CHARACTERS
    assert search_tokens(f"key = '{blob}' # end") == "key end"


@given(st.text())
def test_search_tokens_are_lower_case_words_of_bounded_length(text):
    tokens = search_tokens(text)
    assert tokens == search_tokens(text)
    assert tokens.split() == tokens.split(" ") or not tokens
    assert len(tokens) <= 3 * len(text.lower())


@given(st.from_regex(r"[A-Za-z0-9_ .]{0,60}", fullmatch=True))
def test_every_search_token_survives_being_tokenized_again(text):
    once = search_tokens(text)
    assert set(once.split()) <= set(search_tokens(once).split())


@pytest.mark.parametrize(
    ("qualified_name", "name"),
    [
        ("Flask.run", "run"),
        ("run", "run"),
        ("Guide > Install > Version 2.0 on Linux", "Version 2.0 on Linux"),
        ("dependencies.lodash", "lodash"),
        ("jobs.publish.Sign the v2.0 tables", "Sign the v2.0 tables"),
        ("ends.", "ends."),
        ("", ""),
    ],
)
def test_own_name_is_the_last_component(qualified_name, name):
    assert own_name(qualified_name) == name


def test_full_text_has_path_words_and_the_own_name_three_times():
    text = full_text(file_path="src/userStore.py", qualified_name="Store.getUser", content="def getUser(): ...")
    assert text == (
        "src userstore user store py store getuser get user getuser get user getuser get user def getuser get user"
    )


def test_full_text_without_a_name_is_path_and_content():
    assert full_text(file_path="a/b.py", qualified_name="", content="x = 1") == "a b py x 1"


@pytest.mark.parametrize("text", ["aB" * 500_000, "_" * 1_000_000, "a_" * 60 + " ", "Ä1b" * 300_000])
def test_awkward_megabytes_are_tokenized_in_linear_time(text):
    started = time.process_time()
    search_tokens(text)
    split_identifier(text)
    assert time.process_time() - started < 3
