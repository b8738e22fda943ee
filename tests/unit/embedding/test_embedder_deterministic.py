"""The embedder without a model keeps the contract that the pipeline relies on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from code_index.core.errors import EmbeddingError
from code_index.embedding.deterministic import DeterministicEmbedder


@given(st.lists(st.text(max_size=40), min_size=1, max_size=8), st.integers(1, 400))
def test_rows_are_unit_float32_and_depend_on_their_text_alone(texts, dimension):
    subject = DeterministicEmbedder(dimension)
    names = ["get user"] * len(texts)
    vectors = subject.embed_documents(texts, names)
    assert vectors.shape == (len(texts), dimension)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    for at, text in enumerate(texts):
        np.testing.assert_array_equal(
            vectors[at], DeterministicEmbedder(dimension).embed_documents([text], names[:1])[0]
        )


def test_vectors_are_the_same_on_every_machine():
    vector = DeterministicEmbedder(8).embed_query("def parse(text): return json.loads(text)")
    expected = [
        0.550790011882782,
        0.18359999358654022,
        0.3059999942779541,
        0.12240000069141388,
        0.24480000138282776,
        0.6119899749755859,
        0.24480000138282776,
        0.24480000138282776,
    ]
    np.testing.assert_allclose(vector, expected, atol=1e-4)


def test_texts_that_share_words_are_nearer_than_texts_that_do_not():
    subject = DeterministicEmbedder()
    json_text, retry_text = subject.embed_documents(
        ["def parse_json(text): return json.loads(text)", "async def retry(call, attempts): await sleep(1)"], ["", ""]
    )
    query = subject.embed_query("parse json text")
    assert query @ json_text > query @ retry_text + 0.1


def test_names_move_vectors_and_empty_names_do_not():
    subject = DeterministicEmbedder()
    named, unnamed = subject.embed_documents(["some code"] * 2, ["user", ""])
    np.testing.assert_allclose(unnamed, subject.embed_query("some code"), atol=1e-6)
    assert named @ unnamed < 0.9999
    assert named @ subject.embed_query("user") > unnamed @ subject.embed_query("user")


def test_no_text_fails_and_progress_is_told_of_all():
    counts = []
    result = DeterministicEmbedder().embed_documents_detailed(["ok", "", "\ud800"], [""] * 3, progress=counts.append)
    assert result.errors == {}
    assert result.vectors.any(axis=1).all()
    assert sum(counts) == 3


def test_texts_and_names_must_match_in_number():
    with pytest.raises(EmbeddingError, match="1 texts but 0 names"):
        DeterministicEmbedder().embed_documents(["a"], [])


def test_it_says_what_it_is():
    subject = DeterministicEmbedder(16)
    assert (subject.dimension, subject.device) == (16, "cpu")
    assert subject.describe() == "deterministic-16;text=2 on CPU, hashed trigrams, no model"


def test_no_texts_give_no_vectors():
    assert DeterministicEmbedder(16).embed_documents([], []).shape == (0, 16)
