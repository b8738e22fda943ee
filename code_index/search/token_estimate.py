"""Estimate of the tokens of a text, for budgets: never under what a tokenizer counts.

Belongs here: the estimate. Does not belong here: the tokenizer of an embedding model (`code_index.embedding`).
"""

from __future__ import annotations


def estimate_tokens(text: str) -> int:
    """Upper estimate of the tokens that a language model makes of a text."""
    return len(text.encode("utf-8", "surrogatepass")) // 2 + 1
