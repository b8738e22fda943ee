"""The presets without torch: their graphs are equal to what torch computes, and nothing imports what only torch needs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from code_index.core.errors import ModelError
from code_index.embedding.configuration import EmbedderConfig
from code_index.embedding.loader import load_embedder
from code_index.embedding.models import onnx_export, static_export
from code_index.embedding.models.bert_graph import bert_graph
from code_index.embedding.models.lookup import find_model
from code_index.embedding.onnx_session import run_graph
from code_index.embedding.tokenization import Tokenizer, graph_inputs

pytestmark = [
    pytest.mark.model,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"),
]

BLOCKED = ["torch", "transformers", "sentence_transformers", "onnxscript", "sklearn", "scipy"]
BLOCKER = f"""
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {BLOCKED}:
            raise ModuleNotFoundError(f"{{name}} is blocked", name=name)
sys.meta_path.insert(0, Blocker())
"""
NAMES = ["input_ids", "attention_mask", "token_type_ids"]


@pytest.fixture(scope="module")
def folder():
    return find_model("default", allow_download=False)


@pytest.fixture(scope="module")
def batch(folder):
    """Real code of several lengths, so that most rows are padded."""
    texts = [text[: 30 * number] for number, text in enumerate(onnx_export._sample_texts()[::2], 1)]
    tokens = Tokenizer(folder, window=128).tokenize(texts, "")
    assert len({item.length for item in tokens}) > 8
    return graph_inputs(tokens, pad_id=0, length=max(item.length for item in tokens), names=NAMES)


@pytest.fixture(scope="module")
def model(folder):
    from transformers import AutoModel

    return AutoModel.from_pretrained(str(folder), local_files_only=True, use_safetensors=True).float().eval()


def hidden_states(model, arrays):
    import torch

    with torch.inference_mode():
        return model(**{name: torch.from_numpy(array) for name, array in arrays.items()}).last_hidden_state.numpy()


def vectors_of(graph, batch):
    return run_graph(graph, [batch])


def without_torch(tmp_path, monkeypatch):
    """Let no Python process that is started from now on import torch, or what comes with it."""
    (tmp_path / "blocker").mkdir()
    (tmp_path / "blocker" / "sitecustomize.py").write_text(BLOCKER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "blocker"))
    monkeypatch.setenv("CODE_INDEX_CACHE_DIR", str(tmp_path / "cache"))
    for name in BLOCKED:
        tried = subprocess.run(
            [sys.executable, "-P", "-c", f"import {name}"], capture_output=True, text=True, check=False
        )
        assert f"{name} is blocked" in tried.stderr


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_the_written_graph_computes_what_torch_computes(folder, batch, model, pooling):
    hidden = hidden_states(model, batch)
    kept = batch["attention_mask"][:, :, None]
    pooled = hidden[:, 0] if pooling == "cls" else (hidden * kept).sum(axis=1) / kept.sum(axis=1)
    expected = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors_of(bert_graph(folder, pooling, "float32"), batch), expected, atol=1e-4, rtol=0)


def test_its_int8_form_is_that_of_the_librarys_quantizer(folder, batch, tmp_path):
    """Vectors of indexes that were made with graphs of the exporter stay as good as new ones."""
    exact = bert_graph(folder, "mean", "float32")
    written = vectors_of(bert_graph(folder, "mean", "int8"), batch)
    np.testing.assert_allclose(written, vectors_of(onnx_export._quantized(exact, tmp_path), batch), atol=1e-4, rtol=0)
    assert 0.985 <= (written * vectors_of(exact, batch)).sum(axis=1).mean() < 0.9999


def test_the_tokens_of_the_fast_model_are_the_hidden_states_of_torch(folder, model, monkeypatch):
    from tokenizers import Tokenizer as RustTokenizer

    tokenizer = RustTokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    some = 1_000
    monkeypatch.setattr(static_export, "_BATCH", 300)
    monkeypatch.setattr(RustTokenizer, "get_vocab_size", lambda self: some)
    ids = np.array([[101, one, 102] for one in range(some)])
    arrays = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    expected = hidden_states(model, arrays)[:, 1]
    expected -= expected.mean(axis=0)
    np.testing.assert_allclose(static_export.token_vectors(folder, tokenizer), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("preset", ["default", "fast"])
def test_a_repository_is_indexed_and_searched(small_repository, command_line, tmp_path, monkeypatch, preset):
    without_torch(tmp_path, monkeypatch)
    monkeypatch.setenv("CODE_INDEX_MODEL", preset)
    indexed = command_line("index", small_repository)
    assert "preparing" in indexed.stdout + indexed.stderr
    found = command_line("search", "say hello to a person", "--mode", "semantic", "--json", cwd=small_repository)
    assert json.loads(found.stdout)["hits"][0]["file_path"] == "app/greeting.py"
    status = json.loads(command_line("status", small_repository, "--json").stdout)
    assert list(status["vectors_by_model"]) == [status["model"]]


def test_another_architecture_says_what_to_install(folder, tmp_path, monkeypatch):
    other = tmp_path / "model"
    other.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json", "model.safetensors"):
        shutil.copy(folder / name, other / name)
    config = json.loads((folder / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"model_type": "roberta"}))
    without_torch(tmp_path, monkeypatch)
    with pytest.raises(
        ModelError, match=r"no plain BERT, needs the extra torch: pip install 'code-index-search\[torch\]'"
    ):
        load_embedder(EmbedderConfig(model=str(other), backend="onnx", device="cpu", precision="float32"))
