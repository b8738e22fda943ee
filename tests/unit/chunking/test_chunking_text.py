"""Documentation comments."""

from __future__ import annotations

import pytest

from code_index.chunking.comments import clean_comments, clean_string
from code_index.chunking.registry import LANGUAGES


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
