"""The graph that is written from the weights of a BERT, on tiny random ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from code_index.core.errors import ModelError
from code_index.embedding.models import onnx_export
from code_index.embedding.models.bert_graph import bert_graph, is_plain_bert
from code_index.embedding.onnx_session import cpu_session

WIDTH, HEADS, LAYERS, WORDS, PLACES = 16, 4, 2, 50, 12
CONFIG = {"model_type": "bert", "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "hidden_act": "gelu"}
IDS = np.array([[2, 7, 9, 3, 0], [2, 11, 3, 0, 0], [2, 40, 41, 42, 3]])
KEPT = (IDS > 0).astype(np.int64)


def tensors():
    rng = np.random.default_rng(7)
    shapes = {
        "embeddings.word_embeddings.weight": (WORDS, WIDTH),
        "embeddings.position_embeddings.weight": (PLACES, WIDTH),
        "embeddings.token_type_embeddings.weight": (2, WIDTH),
        "embeddings.LayerNorm.weight": (WIDTH,),
        "embeddings.LayerNorm.bias": (WIDTH,),
    }
    for layer in range(LAYERS):
        for name, (rows, columns) in {
            "attention.self.query": (WIDTH, WIDTH),
            "attention.self.key": (WIDTH, WIDTH),
            "attention.self.value": (WIDTH, WIDTH),
            "attention.output.dense": (WIDTH, WIDTH),
            "intermediate.dense": (4 * WIDTH, WIDTH),
            "output.dense": (WIDTH, 4 * WIDTH),
        }.items():
            shapes[f"encoder.layer.{layer}.{name}.weight"] = (rows, columns)
            shapes[f"encoder.layer.{layer}.{name}.bias"] = (rows,)
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes[f"encoder.layer.{layer}.{name}.weight"] = (WIDTH,)
            shapes[f"encoder.layer.{layer}.{name}.bias"] = (WIDTH,)
    return {name: rng.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}


def write(folder: Path, weights, **config):
    save_file(weights, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(CONFIG | config))
    return folder


def run(folder, pooling="mean", precision="float32", ids=IDS, kept=KEPT):
    session = cpu_session(bert_graph(folder, pooling, precision).SerializeToString())
    feeds = {"input_ids": ids, "attention_mask": kept, "token_type_ids": np.zeros_like(ids)}
    return session.run(None, feeds)[0]


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_vectors_are_the_pooled_hidden_states_at_length_one(tmp_path, pooling, precision):
    write(tmp_path, tensors())
    hidden = run(tmp_path, "none", precision)
    assert hidden.shape == (3, 5, WIDTH)
    pooled = (
        hidden[:, 0]
        if pooling == "cls"
        else np.array([one[kept > 0].mean(axis=0) for one, kept in zip(hidden, KEPT, strict=True)])
    )
    expected = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
    np.testing.assert_allclose(run(tmp_path, pooling, precision), expected, atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_padding_does_not_change_a_text(tmp_path, pooling):
    write(tmp_path, tensors())
    together = run(tmp_path, pooling)
    for row, length in enumerate(KEPT.sum(axis=1)):
        apart = run(tmp_path, pooling, ids=IDS[row : row + 1, :length], kept=KEPT[row : row + 1, :length])
        np.testing.assert_allclose(together[row], apart[0], atol=1e-5)


def test_older_names_a_prefix_and_half_precision_are_the_same_weights(tmp_path):
    half = {name: values.astype(np.float16) for name, values in tensors().items()}
    for folder in ("today", "older"):
        (tmp_path / folder).mkdir()
    write(tmp_path / "today", {name: values.astype(np.float32) for name, values in half.items()})
    older = {
        f"bert.{name.replace('LayerNorm.weight', 'LayerNorm.gamma').replace('LayerNorm.bias', 'LayerNorm.beta')}": values
        for name, values in half.items()
    }
    write(tmp_path / "older", older | {"cls.predictions.bias": np.zeros(WORDS, np.float32)})
    np.testing.assert_array_equal(run(tmp_path / "older"), run(tmp_path / "today"))


def test_weights_in_several_files_are_one_model(tmp_path):
    whole = tensors()
    expected = run(write(tmp_path, whole))
    (tmp_path / "model.safetensors").unlink()
    names = sorted(whole)
    save_file({name: whole[name] for name in names[::2]}, tmp_path / "model-00001-of-00002.safetensors")
    save_file({name: whole[name] for name in names[1::2]}, tmp_path / "model-00002-of-00002.safetensors")
    np.testing.assert_array_equal(run(tmp_path), expected)


def test_int8_rounds_the_weights_of_products_and_leaves_the_tables(tmp_path):
    graph = bert_graph(write(tmp_path, tensors()), "mean", "int8").graph
    rounded = {tensor.name for tensor in graph.initializer if tensor.data_type == 3}
    assert len(rounded) == 6 * LAYERS
    assert all(name.startswith("encoder.layer.") for name in rounded)
    assert sum(node.op_type == "DynamicQuantizeMatMul" for node in graph.node) == 6 * LAYERS


def test_a_missing_tensor_is_named(tmp_path):
    weights = tensors()
    del weights["encoder.layer.1.output.dense.bias"]
    with pytest.raises(ModelError, match=r"not those of a BERT: encoder\.layer\.1\.output\.dense\.bias is missing"):
        bert_graph(write(tmp_path, weights), "mean", "float32")


@pytest.mark.parametrize(
    ("change", "plain"),
    [
        ({}, True),
        ({"position_embedding_type": "absolute", "is_decoder": False}, True),
        ({"model_type": "roberta"}, False),
        ({"model_type": None}, False),
        ({"hidden_act": "gelu_new"}, False),
        ({"position_embedding_type": "relative_key"}, False),
        ({"is_decoder": True}, False),
    ],
)
def test_only_what_the_graph_computes_is_a_plain_bert(tmp_path, change, plain):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG | change))
    assert is_plain_bert(tmp_path) is plain


def test_int8_that_strays_is_not_used_and_the_report_says_so(tmp_path, monkeypatch):
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    Tokenizer(WordLevel({"[UNK]": 1, "[PAD]": 0}, unk_token="[UNK]")).save(str(tmp_path / "tokenizer.json"))
    uneven = tensors()
    # One input of the last products is so large that the others are rounded to nothing, and does not count.
    for layer in range(LAYERS):
        uneven[f"encoder.layer.{layer}.intermediate.dense.bias"][0] = 10_000
        uneven[f"encoder.layer.{layer}.output.dense.weight"][:, 0] = 0
    write(tmp_path, uneven)
    monkeypatch.setattr(onnx_export, "_WINDOW_TOKENS", PLACES)
    output = tmp_path / "output"
    output.mkdir()
    report = onnx_export.export(tmp_path, "mean", "int8", output)
    assert report["int8_cosine_mean"] < onnx_export.LEAST_INT8_COSINE
    assert report["precision"] == "float32"
    assert report["reason"].startswith("int8 strays from float32 (mean cosine 0.")
    assert sorted(path.name for path in output.iterdir()) == ["export.json", "model.onnx", "model.weights"]
