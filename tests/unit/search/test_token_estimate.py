"""The estimate of tokens is above the count of every tokenizer that is at hand, and not far above for code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from code_index.embedding.configuration import EmbedderConfig
from code_index.embedding.models.model_files import configured_model_files
from code_index.search.token_estimate import estimate_tokens

_COUNTED = json.loads((Path(__file__).parents[2] / "fixtures" / "token_counts.json").read_text())
_CODE = {"python", "typescript", "java", "go", "rust", "cpp", "csharp", "php"}


@pytest.fixture(scope="module")
def wordpiece() -> Tokenizer:
    """The tokenizer of the default model, without limits."""
    folder = configured_model_files(EmbedderConfig()).transformer_folder
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


@pytest.mark.parametrize("sample", _COUNTED, ids=lambda sample: sample["name"])
def test_no_tokenizer_counts_more_than_the_estimate(sample: dict, wordpiece: Tokenizer) -> None:
    counts = sample["tokens"] | {"wordpiece": len(wordpiece.encode(sample["text"], add_special_tokens=False).ids)}
    assert counts == {name: count for name, count in counts.items() if count <= estimate_tokens(sample["text"])}


def test_half_of_a_budget_of_code_is_used_at_least() -> None:
    samples = [sample for sample in _COUNTED if sample["name"] in _CODE]
    assert len(samples) >= 5
    estimate = sum(estimate_tokens(sample["text"]) for sample in samples)
    assert sum(sample["tokens"]["o200k"] for sample in samples) > estimate / 2


def test_the_estimate_of_lines_bounds_that_of_the_whole() -> None:
    text = _COUNTED[0]["text"]
    lines = text.splitlines(keepends=True)
    assert max(map(estimate_tokens, lines)) < estimate_tokens(text) <= sum(map(estimate_tokens, lines))


@pytest.mark.parametrize("text", ["", "\x00", "\ud800", "\r\n", "\u2028"])
def test_any_text_has_an_estimate(text: str) -> None:
    assert estimate_tokens(text) >= len(text)
