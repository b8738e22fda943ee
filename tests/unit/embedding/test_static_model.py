"""Static models, presets, and what is said of them."""

from __future__ import annotations

import json
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from code_index.core.errors import ModelError, SettingsError
from code_index.embedding.configuration import EmbedderConfig
from code_index.embedding.loader import load_embedder
from code_index.embedding.models import prepared_files, static_export, static_table
from code_index.embedding.models.lookup import DEFAULT_MODEL, FAST, PRESETS, QUALITY, QUALITY_MODEL, find_model
from code_index.embedding.models.model_files import load_model_files
from tests.waiting import PATIENCE_S

WORDS = ["open", "file", "close", "socket"]
TABLE = np.array([[1, 0, 0], [0, 2, 0], [0, 0, 1], [3, 0, 4]], dtype=np.float32)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("CODE_INDEX_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def folder(tmp_path):
    write_model(tmp_path, {"embedding.weight": TABLE})
    return tmp_path


def write_model(folder: Path, tensors) -> None:
    tokenizer = Tokenizer(WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token=None))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    save_file(tensors, folder / "model.safetensors")
    module = {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.StaticEmbedding"}
    (folder / "modules.json").write_text(json.dumps([module]))


def test_a_text_has_the_mean_of_its_tokens_vectors(folder):
    embedder = load_embedder(EmbedderConfig(model=str(folder)))
    vectors = embedder.embed_documents(["open file", "file file socket", "close"], ["", "", "socket"])
    named = np.array([0, 0, 1]) + 0.2 * np.array([0.6, 0, 0.8])
    expected = np.array([[1, 2, 0], [3, 4, 4], named])
    np.testing.assert_allclose(vectors, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-6)
    np.testing.assert_allclose(embedder.embed_query("socket"), [0.6, 0, 0.8], atol=1e-6)


def test_a_text_without_a_known_token_fails_alone(folder):
    result = load_embedder(EmbedderConfig(model=str(folder))).embed_documents_detailed(["open", "..."], ["", ""])
    assert list(result.errors) == [1]
    np.testing.assert_allclose(result.vectors, [[1, 0, 0], [0, 0, 0]])


def test_a_table_of_model2vec_is_read_too(tmp_path):
    write_model(tmp_path, {"embeddings": TABLE.astype(np.float16)})
    assert load_model_files(str(tmp_path)).dimension == 3
    np.testing.assert_array_equal(static_table.read_table(tmp_path), TABLE)


@pytest.mark.parametrize("tensors", [{"embeddings": TABLE, "weights": TABLE[0]}, {"other": TABLE}])
def test_what_is_no_plain_table_is_refused_with_the_way_out(tmp_path, tensors):
    write_model(tmp_path, tensors)
    with pytest.raises(ModelError, match=r"no plain table of token vectors.*use backend torch"):
        load_embedder(EmbedderConfig(model=str(tmp_path)))


def test_a_damaged_table_is_named(folder):
    (folder / "model.safetensors").write_bytes(b"damaged")
    assert load_model_files(str(folder)).dimension is None
    with pytest.raises(ModelError, match=r"model\.safetensors cannot be read"):
        load_embedder(EmbedderConfig(model=str(folder)))


def test_backends_and_precisions_that_do_not_fit_are_refused(folder):
    with pytest.raises(SettingsError, match="backend static runs on the CPU"):
        EmbedderConfig(model=str(folder), backend="static", device="cuda")
    with pytest.raises(SettingsError, match="a static model is a table in float32"):
        load_embedder(EmbedderConfig(model=str(folder), precision="int8"))
    with pytest.raises(ModelError, match="cannot run on backend static"):
        load_embedder(EmbedderConfig(backend="static"))


def test_presets_name_models():
    assert load_model_files("default").model_id(0) == load_model_files(DEFAULT_MODEL).model_id(0)
    assert list(PRESETS) == ["default", "fast", "quality"]
    with pytest.raises(
        ModelError, match=f"'{QUALITY_MODEL}' is not in the local hub cache.*hf download {QUALITY_MODEL}"
    ):
        find_model(QUALITY, allow_download=False)
    with pytest.raises(ModelError, match=r"'fastt' is no preset \(default, fast, quality\) and not in"):
        find_model("fastt", allow_download=False)


@pytest.fixture
def made(monkeypatch):
    """The commands of a stand-in for the process that distills; each table has other bytes, as on another processor."""
    commands = []

    def exporter(command, **options):
        commands.append(command)
        folder = Path(command[-1])
        write_model(folder, {"embedding.weight": TABLE + len(commands)})
        static_table.write_report(folder)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(prepared_files.subprocess, "run", exporter)
    return commands


def test_the_fast_model_is_made_once_and_its_identity_is_that_of_its_recipe(monkeypatch, made, caplog):
    first, again = load_model_files(FAST), load_model_files(FAST)
    assert caplog.messages == ["preparing the model `fast`: once on this machine"]
    assert len(made) == 1
    assert first == again
    assert first.static
    (first.folder / "model.safetensors").unlink()
    other = load_model_files(FAST)
    assert len(made) == 2
    assert other.model_id(0) == first.model_id(0)
    monkeypatch.setattr(static_table, "DISTILLING_VERSION", 99)
    assert load_model_files(FAST).model_id(0) != first.model_id(0)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "modules.json", "export.json"])
@pytest.mark.parametrize("damage", ["gone", "cut short", "replaced"])
def test_a_damaged_fast_model_is_made_again(made, name, damage):
    path = load_model_files(FAST).folder / name
    whole = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(whole[:-5] if damage == "cut short" else b"[]")
    assert len(load_embedder(EmbedderConfig(model=FAST)).embed_query("socket")) == 3
    assert len(made) == 2
    assert (path.parent / name).stat().st_size == len(whole)
    assert [folder.name for folder in path.parent.parent.iterdir()] == [path.parent.name]


def test_two_that_distill_at_once_have_the_same_table(made, monkeypatch):
    together, distill = threading.Barrier(2), prepared_files.subprocess.run

    def at_once(command, **options):
        together.wait(timeout=PATIENCE_S)
        return distill(command, **options)

    monkeypatch.setattr(prepared_files.subprocess, "run", at_once)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(load_model_files, [FAST, FAST])
    assert len(made) == 2
    assert first == second
    assert len(list(first.folder.parent.iterdir())) == 1


def test_a_disk_that_refuses_the_fast_model_is_named(made, monkeypatch):
    def refuse(**options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(prepared_files.tempfile, "mkdtemp", refuse)
    with pytest.raises(ModelError, match=r"cannot be kept in .*static.*No space left on device"):
        load_model_files(FAST)
    assert made == []


def test_the_fast_model_is_not_made_of_other_weights(monkeypatch):
    monkeypatch.setattr("code_index.embedding.models.lookup.weights_digest", lambda files: "0" * 64)
    with pytest.raises(ModelError, match="damaged or was replaced"):
        find_model(FAST, allow_download=False)


def test_each_token_of_the_built_in_model_has_a_weight():
    tokenizer = Tokenizer.from_file(str(find_model(DEFAULT_MODEL, allow_download=False) / "tokenizer.json"))
    weights = static_export.token_weights(tokenizer.get_vocab_size())
    assert weights.min() > 0
    assert weights.max() == 1
    assert weights[tokenizer.token_to_id("(")] < 0.1 < weights[tokenizer.token_to_id("socket")]
    with pytest.raises(ModelError, match="30,522 tokens"):
        static_export.token_weights(7)
