"""A real tokenizer, for tests of budgets: that of the built-in embedding model."""

from __future__ import annotations

from functools import cache

from tokenizers import Tokenizer

from code_index.embedding.models.lookup import DEFAULT_MODEL, find_model


@cache
def _tokenizer() -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(find_model(DEFAULT_MODEL, allow_download=False) / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def tokens_in(text: str) -> int:
    """Number of tokens of a text."""
    return len(_tokenizer().encode(text, add_special_tokens=False).ids)
