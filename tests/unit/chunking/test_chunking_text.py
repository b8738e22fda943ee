"""Encodings and documentation comments."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from code_index.chunking.comments import clean_comments, clean_string
from code_index.chunking.encoding import to_utf8
from code_index.chunking.registry import LANGUAGES


@given(st.binary(max_size=200))
def test_any_bytes_become_valid_utf8(content):
    to_utf8(content).decode("utf-8")


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
def test_a_byte_order_mark_decides_and_is_taken_off(mark, encoding):
    assert to_utf8(mark + "é = 漢".encode(encoding)) == "é = 漢".encode()


def test_text_that_is_no_utf8_is_read_as_windows_1252():
    assert to_utf8("name = 'é' # “x”".encode("cp1252")) == "name = 'é' # “x”".encode()


def test_bytes_that_windows_1252_leaves_out_are_read_as_latin_1():
    assert to_utf8(b"\x81 \xe9") == "\x81 é".encode()


def test_a_damaged_utf8_file_keeps_its_good_text():
    assert to_utf8("é漢字".encode() + b"\xff") == "é漢字\N{REPLACEMENT CHARACTER}".encode()


@pytest.mark.parametrize(
    ("comments", "text"),
    [
        (["/** One.\n *\n * Two.\n */"], "One.\n\nTwo."),
        (["/// One.", "///", "///   two"], "One.\n\n  two"),
        (["# One.", "# Two."], "One.\nTwo."),
        (["#' One.", "#' @param x"], "One.\n@param x"),
        (["--- One.", "-- two"], "One.\ntwo"),
        (["-- | One.\n--\n-- Two."], "One.\n\nTwo."),
        (["{-| One.\nTwo.\n-}"], "One.\nTwo."),
        (["/// <summary>", "/// One.", "/// </summary>"], "One."),
        (["/* ---------- */"], None),
        (["//"], None),
    ],
)
def test_comments_lose_their_markers(comments, text):
    assert clean_comments(comments) == text


@pytest.mark.parametrize(
    ("attribute", "text"), [('@doc """\nOne.\n"""', "One."), ("@doc false", None), ("# One.", "One.")]
)
def test_attributes_of_elixir_lose_their_markers(attribute, text):
    assert clean_comments([attribute], LANGUAGES["elixir"].doc_text) == text


@pytest.mark.parametrize(
    ("literal", "text"),
    [
        ('"""One.\n\n    Two.\n      three\n    """', "One.\n\nTwo.\n  three"),
        ("r'''One.'''", "One."),
        ("'One.'", "One."),
        ('""', None),
    ],
)
def test_strings_lose_their_quotes_and_indentation(literal, text):
    assert clean_string(literal) == text
