"""Models of other kinds, tiny and random: each way through the embedder agrees with sentence-transformers."""

from __future__ import annotations

import json
import logging
import shutil

import numpy as np
import pytest

from code_index.core.cache import cache_folder
from code_index.core.errors import EmbeddingError, ModelError
from code_index.embedding.backend import DeviceLostError
from code_index.embedding.configuration import EmbedderConfig
from code_index.embedding.loader import load_embedder
from code_index.embedding.models import static_export, static_table
from code_index.embedding.models.description import describe_model
from code_index.embedding.models.lookup import find_model
from tests.lanes import every

pytestmark = [
    pytest.mark.model,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"),
]

SHAPE = {"vocab_size": 30_522, "pad_token_id": 0}
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
TEXTS = [
    "def add(a, b): return a + b",
    "class Stack: pass",
    "x = 1",
    "import os\n" * 30,
    "for item in items: print(item)",
]


def configuration(kind):
    import transformers

    if kind == "distilbert":
        return transformers.DistilBertConfig(**SHAPE, dim=32, n_layers=2, n_heads=2, hidden_dim=64)
    families = {
        "bert": transformers.BertConfig,
        "roberta": transformers.RobertaConfig,
        "mpnet": transformers.MPNetConfig,
    }
    return families[kind](**SHAPE, **SMALL)


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CODE_INDEX_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def make_model(tmp_path_factory):
    """A function that saves a tiny model of a kind, in sentence-transformers layout, and returns its folder."""

    def make(kind, *, pooling="mean", dense=False, prompts=None):
        import torch
        from transformers import AutoModel

        folder = tmp_path_factory.mktemp("models") / f"tiny-{kind}"
        torch.manual_seed(0)
        AutoModel.from_config(configuration(kind)).save_pretrained(folder)
        source = find_model("all-MiniLM-L6-v2", allow_download=False)
        for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"):
            shutil.copy(source / name, folder / name)
        modules = [("", "Transformer"), ("1_Pooling", "Pooling")]
        (folder / "1_Pooling").mkdir()
        token = {"mean": "mean_tokens", "cls": "cls_token", "max": "max_tokens"}[pooling]
        modes = {f"pooling_mode_{mode}": mode == token for mode in ("mean_tokens", "cls_token", "max_tokens")}
        (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 32, **modes}))
        if dense:
            from sentence_transformers.models import Dense

            modules.append(("2_Dense", "Dense"))
            (folder / "2_Dense").mkdir()
            Dense(in_features=32, out_features=16).save(str(folder / "2_Dense"))
        layout = [
            {"idx": at, "name": str(at), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for at, (path, kind) in enumerate(modules)
        ]
        (folder / "modules.json").write_text(json.dumps(layout))
        (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 64}))
        if prompts:
            (folder / "config_sentence_transformers.json").write_text(json.dumps({"prompts": prompts}))
        return folder

    return make


def reference(folder, texts, **options):
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    return model.encode(texts, normalize_embeddings=True, show_progress_bar=False, **options)


@pytest.mark.parametrize(("kind", "pooling"), every(3, [("bert", "cls"), ("roberta", "mean"), ("distilbert", "mean")]))
def test_families_and_poolings_export_to_the_same_vectors(make_model, kind, pooling):
    folder = make_model(kind, pooling=pooling)
    embedder = load_embedder(EmbedderConfig(model=str(folder), device="cpu", backend="onnx", precision="float32"))
    vectors = embedder.embed_documents(TEXTS, [""] * len(TEXTS))
    np.testing.assert_allclose(vectors, reference(folder, TEXTS), atol=1e-4)
    assert embedder.dimension == 32
    (report,) = (
        json.loads(path.read_text()) for path in (cache_folder() / "onnx").glob(f"{folder.name}-*/export.json")
    )
    # A BERT is written from its weights; what torch exports is compared with what it computes.
    assert ("export_cosine_min" in report) is (kind != "bert")
    assert report.get("export_cosine_min", 1) >= 0.9999


@pytest.mark.parametrize("trusted", [False, True])
def test_the_library_refuses_a_folders_own_modules_by_itself_unless_they_are_trusted(make_model, tmp_path, trusted):
    """The lower bound of sentence-transformers: before 6.0 it imported them from a folder without being asked."""
    from sentence_transformers import SentenceTransformer

    folder = make_model("bert")
    marker = tmp_path / "code-has-run"
    base = "from sentence_transformers.models import Normalize\nclass Thing(Normalize): pass\n"
    (folder / "planted.py").write_text(f"from pathlib import Path\nPath({str(marker)!r}).touch()\n{base}")
    modules = json.loads((folder / "modules.json").read_text())
    (folder / "modules.json").write_text(
        json.dumps([*modules, {"name": "2", "path": "2_Thing", "type": "planted.Thing"}])
    )
    if trusted:
        SentenceTransformer(str(folder), device="cpu", local_files_only=True, trust_remote_code=True)
    else:
        with pytest.raises(ValueError, match="not part of Sentence Transformers"):
            SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    assert marker.exists() is trusted
    with pytest.raises(ModelError, match=r"planted\.py is code, which is never run"):
        load_embedder(EmbedderConfig(model=str(folder), backend="torch", device="cpu"))


@pytest.mark.parametrize("odd", [{"dense": True}, {"pooling": "max"}])
def test_models_that_are_no_plain_graph_run_on_torch_and_say_so(make_model, odd, caplog):
    folder = make_model("bert", **odd)
    with caplog.at_level(logging.WARNING):
        embedder = load_embedder(EmbedderConfig(model=str(folder), device="cpu", precision="float32"))
    vectors = embedder.embed_documents(TEXTS, [""] * len(TEXTS))
    np.testing.assert_allclose(vectors, reference(folder, TEXTS), atol=1e-4)
    assert embedder.dimension == (16 if "dense" in odd else 32)
    assert "runs on torch" in caplog.text
    assert "torch instead of ONNX Runtime" in embedder.describe()


@pytest.mark.parametrize("backend", ["auto", "torch"])
def test_a_static_model_has_the_librarys_vectors_with_and_without_torch(tmp_path, backend):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import StaticEmbedding
    from tokenizers import Tokenizer

    source = find_model("all-MiniLM-L6-v2", allow_download=False)
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=24)], device="cpu").save(
        str(tmp_path / "static")
    )
    config = EmbedderConfig(model=str(tmp_path / "static"), device="cpu", precision="float32", backend=backend)
    embedder = load_embedder(config)
    vectors = embedder.embed_documents(TEXTS, [""] * len(TEXTS))
    np.testing.assert_allclose(vectors, reference(tmp_path / "static", TEXTS), atol=1e-4)
    assert embedder.dimension == describe_model(config).dimension == 24
    assert ("a table of token vectors" in embedder.describe()) is (backend == "auto")


def test_a_distilled_model_is_the_weighted_hidden_state_of_each_token(make_model, tmp_path):
    import torch
    from transformers import AutoModel

    folder = make_model("bert")
    static_export.distill(folder, tmp_path)
    table = static_table.read_table(tmp_path)
    ids = [2003, 14, 30_521]
    with torch.inference_mode():
        batch = torch.tensor([[101, one, 102] for one in ids])
        hidden = AutoModel.from_pretrained(folder).eval()(input_ids=batch, attention_mask=torch.ones_like(batch))
    states = hidden.last_hidden_state[:, 1].numpy()
    weights = static_export.token_weights(30_522)[ids]
    # The mean of all tokens is taken off: differences of unweighted rows do not hold it.
    unweighted = table[ids] / weights[:, None]
    np.testing.assert_allclose(unweighted[1:] - unweighted[0], states[1:] - states[0], atol=1e-4)
    embedder = load_embedder(EmbedderConfig(model=str(tmp_path)))
    np.testing.assert_allclose(embedder.embed_documents(TEXTS, [""] * 5), reference(tmp_path, TEXTS), atol=1e-4)


@pytest.mark.parametrize("odd", [{}, {"pooling": "max"}])
def test_prompts_of_the_model_are_used_on_both_ways(make_model, odd):
    folder = make_model("bert", prompts={"query": "query: ", "document": "passage: "}, **odd)
    embedder = load_embedder(EmbedderConfig(model=str(folder), device="cpu", backend="torch", precision="float32"))
    documents = embedder.embed_documents(TEXTS, [""] * len(TEXTS))
    np.testing.assert_allclose(documents, reference(folder, TEXTS, prompt="passage: "), atol=1e-4)
    query = embedder.embed_query("add numbers")
    np.testing.assert_allclose(query, reference(folder, ["add numbers"], prompt="query: ")[0], atol=1e-4)


@pytest.fixture
def torch_embedder(make_model):
    return load_embedder(
        EmbedderConfig(
            model=str(make_model("bert")), device="cpu", backend="torch", precision="float32", token_budget=512
        )
    )


def limit(embedder, monkeypatch, *, rows=10**6, error=None):
    """Let the model refuse batches of more than `rows` texts, as torch does when memory runs out."""
    import torch

    model = embedder._backend._model
    forward = model.forward
    sizes = []

    def refuse(features, **options):
        size = len(features["input_ids"])
        if error is not None:
            raise error
        if size > rows:
            raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {size} GiB")
        sizes.append(size)
        return forward(features, **options)

    monkeypatch.setattr(model, "forward", refuse)
    return sizes


def test_torchs_memory_error_halves_the_batches_and_keeps_the_vectors(torch_embedder, monkeypatch):
    texts = [f"value {number}" for number in range(100)]
    expected = torch_embedder.embed_documents(texts, [""] * 100)
    sizes = limit(torch_embedder, monkeypatch, rows=20)
    np.testing.assert_allclose(torch_embedder.embed_documents(texts, [""] * 100), expected, atol=1e-5)
    assert max(sizes) <= 20
    assert torch_embedder.token_budget < 512


def test_a_device_with_no_room_at_all_fails_each_text_with_the_reason(torch_embedder, monkeypatch):
    limit(torch_embedder, monkeypatch, rows=0)
    result = torch_embedder.embed_documents_detailed(["a", "b"], ["", ""])
    assert sorted(result.errors) == [0, 1]
    assert "ran out of memory" in result.errors[0]


def test_the_failed_batchs_tensors_are_free_when_memory_is_released(torch_embedder, monkeypatch):
    import gc
    import weakref

    import torch

    backend = torch_embedder._backend
    held = []

    def refuse(features, **options):
        activations = torch.zeros(1_000)
        held.append(weakref.ref(activations))
        raise torch.OutOfMemoryError("CUDA out of memory")

    alive = []
    monkeypatch.setattr(backend._model, "forward", refuse)
    monkeypatch.setattr(backend, "release_memory", lambda: alive.append([ref() is not None for ref in held]))
    gc.disable()
    try:
        torch_embedder.embed_documents_detailed(["a"], [""])
    finally:
        gc.enable()
    assert alive
    assert not any(any(batch) for batch in alive)


def test_other_errors_of_torch_are_errors_of_the_embedder(torch_embedder, monkeypatch):
    limit(torch_embedder, monkeypatch, error=RuntimeError("size mismatch"))
    with pytest.raises(EmbeddingError, match=r"cannot embed even a plain text.*size mismatch"):
        torch_embedder.embed_documents(["a", "b"], ["", ""])


def test_a_dead_gpu_ends_the_call(torch_embedder, monkeypatch):
    backend = torch_embedder._backend
    monkeypatch.setattr(backend, "_kind", "cuda")
    limit(torch_embedder, monkeypatch, error=RuntimeError("CUDA error: an illegal memory access was encountered"))
    with pytest.raises(DeviceLostError, match="illegal memory access"):
        torch_embedder.embed_documents_detailed(["a", "b"], ["", ""])


def test_a_folder_without_a_model_is_named(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ModelError, match="cannot be loaded as a sentence-transformers model"):
        load_embedder(EmbedderConfig(model=str(tmp_path), device="cpu", backend="torch"))


def test_dimension_window_and_prompts_are_read_from_the_folder_and_settings_override_the_prompts(make_model):
    folder = make_model("bert", dense=True, prompts={"query": "query: ", "document": "passage: "})
    found = describe_model(EmbedderConfig(model=str(folder)))
    assert (found.dimension, found.window_tokens) == (16, 64)
    assert (found.document_prompt, found.query_prompt) == ("passage: ", "query: ")
    config = EmbedderConfig(
        model=str(folder), document_prompt="d: ", query_prompt="", max_tokens=32, precision="float32"
    )
    other = describe_model(config)
    assert (other.window_tokens, other.document_prompt, other.query_prompt) == (32, "d: ", "")
    assert other.model_id != found.model_id
    embedder = load_embedder(config)
    assert (embedder.model_id, embedder.dimension) == (other.model_id, 16)
    short = ["def f(): return 1"]
    expected = reference(folder, short, prompt="d: ")
    assert np.allclose(embedder.embed_documents(short, [""]), expected, atol=1e-4)
    assert np.allclose(embedder.embed_query(short[0]), reference(folder, short, prompt="")[0], atol=1e-4)
