"""What tells vectors of one model from those of another, as stored indexes have it: a change would embed all again."""

from __future__ import annotations

import pytest

from code_index.core.errors import SettingsError
from code_index.embedding.configuration import EmbedderConfig
from code_index.embedding.models.description import describe_model
from code_index.index.settings import Settings
from indexing_assets.runs.planning import embedding_identity

# What an index's models.json holds of its model.
STORED = {
    "model": "all-MiniLM-L6-v2",
    "model_revision": "v2",
    "max_tokens": 64,
    "text_recipe": "full",
    "document_prompt": "auto",
    "query_prompt": "",
}


@pytest.mark.parametrize(
    ("settings", "model_id"),
    [
        ({}, "all-MiniLM-L6-v2@53aa51172d14;tokens=128;text=2"),
        ({"text_recipe": "full-1"}, "all-MiniLM-L6-v2@53aa51172d14;tokens=128;text=1"),
        (
            {"text_recipe": "source", "max_tokens": 64, "query_prompt": "q: "},
            "all-MiniLM-L6-v2@53aa51172d14;tokens=64;config=42130ead;text=source-1",
        ),
        (
            {"device": "cpu", "precision": "float32", "embed_threads": 2},
            "all-MiniLM-L6-v2@53aa51172d14;tokens=128;text=2",
        ),
        ({"model": "deterministic"}, "deterministic-64;text=2"),
    ],
)
def test_the_identity_of_vectors_is_that_of_stored_ones(settings, model_id) -> None:
    assert describe_model(EmbedderConfig.from_settings(settings)).model_id == model_id


def test_the_settings_kept_with_vectors_are_these_and_give_the_configuration_back() -> None:
    config = EmbedderConfig(revision="v2", max_tokens=64, query_prompt="", device="cpu", threads=3)
    assert config.identity() == STORED
    assert EmbedderConfig(device="cpu", threads=3, model="other").with_settings(STORED) == config
    with pytest.raises(SettingsError, match="there is no setting 'tokens'"):
        config.with_settings({"tokens": 64})


@pytest.mark.parametrize(
    ("settings", "identity"),
    [
        ({}, "2/all-MiniLM-L6-v2/0"),
        ({"text_recipe": "full-1"}, "1/all-MiniLM-L6-v2/0"),
        ({"model_revision": "v2", "text_recipe": "source"}, "source-1/all-MiniLM-L6-v2/0/['v2', 'auto', 'auto']"),
        ({"device": "cpu", "backend": "onnx", "allow_download": True}, "2/all-MiniLM-L6-v2/0"),
    ],
)
def test_the_code_version_of_vectors_is_that_of_recorded_ones(settings, identity) -> None:
    assert embedding_identity(Settings.from_settings(settings)) == identity
