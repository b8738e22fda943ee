"""Texts to token ids: how many processors that uses."""

from __future__ import annotations

import os

import pytest

from code_index.embedding import tokenization
from code_index.embedding.models.lookup import DEFAULT_MODEL, find_model
from code_index.embedding.tokenization import Tokenizer

_VARIABLE = "TOKENIZERS_PARALLELISM"


def settings_after(*parallel: bool) -> list[str]:
    folder = find_model(DEFAULT_MODEL, allow_download=False)
    found = []
    for one in parallel:
        Tokenizer(folder, window=128, parallel=one)
        found.append(os.environ[_VARIABLE])
    return found


def test_a_gpu_tokenizes_on_all_processors_whichever_model_was_loaded_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenization, "_ASKED_FOR", None)
    monkeypatch.delenv(_VARIABLE, raising=False)
    assert settings_after(False, True, False) == ["false", "true", "true"]


def test_what_the_user_says_of_processors_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenization, "_ASKED_FOR", "false")
    monkeypatch.setenv(_VARIABLE, "false")
    assert settings_after(False, True) == ["false", "false"]
