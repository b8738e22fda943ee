"""ONNX graph of a BERT encoder, from token ids to unit vectors, written from its weights: neither torch nor transformers.

Belongs here: the arithmetic of the one architecture that the built-in model, gte-small and most small embedding models
have, in float32 and in int8. Does not belong here: other architectures, which `code_index.embedding.models.onnx_export`
exports with torch. docs/decisions/0018-the-default-model-without-torch.md says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from code_index.core.errors import ModelError
from code_index.core.lazy_imports import importing
from code_index.embedding.models.data_only import read_config
from code_index.embedding.models.weights import weights_files

_ASSUMED: Final = {"hidden_act": "gelu", "position_embedding_type": "absolute", "is_decoder": False}
"""What the graph computes; where a configuration is silent, BERT means the same."""
_OPSET: Final = 20
"""The first with Gelu."""
_IR_VERSION: Final = 10
_OWN_OPERATORS: Final = "com.microsoft"
"""Operators of ONNX Runtime. Its optimizer makes the same of five standard ones for each product."""
_LARGEST_INT8: Final = 127
_INPUTS: Final = ("input_ids", "attention_mask", "token_type_ids")

_Tensors = Mapping[str, npt.NDArray[Any]]


def is_plain_bert(folder: Path) -> bool:
    """Tell whether a folder holds an encoder that `bert_graph` can write."""
    config = read_config(folder / "config.json")
    return (
        isinstance(config, dict)
        and config.get("model_type") == "bert"
        and all(config.get(key, value) == value for key, value in _ASSUMED.items())
    )


def bert_graph(folder: Path, pooling: str, precision: str) -> Any:
    """The graph as an `onnx.ModelProto`; rows and columns of a batch are free.

    In int8 the weights of each product are rounded by output channel, and its inputs when the graph runs. The embedding
    tables stay float32: quantizing them too takes the cosine to float32 from 0.991 to 0.975 and gains no time. One scale
    a matrix was rejected: 0.896.

    Args:
        folder: of the transformer, with `config.json` and safetensors.
        pooling: `mean` or `cls` for unit vectors (rows, dim); `none` for hidden states (rows, columns, dim).
        precision: `float32` or `int8`.

    Raises:
        ModelError: the weights cannot be loaded, or lack a tensor of the architecture.
    """
    config = read_config(folder / "config.json")
    heads = int(config.get("num_attention_heads", 12))
    graph = _Graph(folder, precision, float(config.get("layer_norm_eps", 1e-12)))
    words = graph.weight("embeddings.word_embeddings.weight")
    width = words.shape[1]
    length = graph.node("Shape", "input_ids", start=1, end=2)
    positions = graph.weight("embeddings.position_embeddings.weight")
    types = graph.constant("types", graph.weight("embeddings.token_type_embeddings.weight"))
    embedded = graph.node(
        "Add",
        graph.node(
            "Add",
            graph.node("Gather", graph.constant("words", words), "input_ids"),
            graph.node("Gather", types, "token_type_ids"),
        ),
        graph.node("Slice", graph.constant("positions", positions), graph.constant("start", [0]), length),
    )
    hidden = graph.norm(embedded, "embeddings.LayerNorm")
    kept = graph.node("Cast", "attention_mask", to=graph.float32)
    # 0 for a token and the least number for padding, added to each row of scores.
    hide = graph.node(
        "Mul", graph.node("Sub", kept, graph.scalar("one", 1)), graph.scalar("most", float(np.finfo("f4").max))
    )
    hide = graph.node("Unsqueeze", hide, graph.constant("head and query", [1, 2]))
    split = graph.constant("split", [0, 0, heads, width // heads])
    joined = graph.constant("joined", [0, 0, width])
    scale = graph.scalar("scale", (width // heads) ** -0.5)
    for number in range(int(config.get("num_hidden_layers", 12))):
        layer = f"encoder.layer.{number}"
        queries, keys, values = (
            graph.node(
                "Transpose",
                graph.node("Reshape", graph.linear(hidden, f"{layer}.attention.self.{part}"), split),
                perm=axes,
            )
            for part, axes in (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3]))
        )
        scores = graph.node("Add", graph.node("Mul", graph.node("MatMul", queries, keys), scale), hide)
        mixed = graph.node("MatMul", graph.node("Softmax", scores, axis=-1), values)
        mixed = graph.node("Reshape", graph.node("Transpose", mixed, perm=[0, 2, 1, 3]), joined)
        attended = graph.node("Add", graph.linear(mixed, f"{layer}.attention.output.dense"), hidden)
        attended = graph.norm(attended, f"{layer}.attention.output.LayerNorm")
        inner = graph.node("Gelu", graph.linear(attended, f"{layer}.intermediate.dense"))
        hidden = graph.node("Add", graph.linear(inner, f"{layer}.output.dense"), attended)
        hidden = graph.norm(hidden, f"{layer}.output.LayerNorm")
    if pooling == "none":
        return graph.model(hidden, ["rows", "columns", width])
    first_axis = graph.constant("first axis", [1])
    if pooling == "cls":
        pooled = graph.node("Gather", hidden, graph.constant("first token", np.int64(0)), axis=1)
    else:  # the sum has the direction of the mean
        summed = graph.node("MatMul", graph.node("Unsqueeze", kept, first_axis), hidden)
        pooled = graph.node("Squeeze", summed, first_axis)
    return graph.model(graph.node("LpNormalization", pooled, axis=1, p=2), ["rows", width])


class _Graph:
    """Nodes and constants while a graph is written; a method that adds one returns the name of its result."""

    def __init__(self, folder: Path, precision: str, epsilon: float) -> None:
        with importing:
            import onnx

        self._onnx = onnx
        self._folder = folder
        self._tensors = _read_tensors(folder)
        self._quantized = precision == "int8"
        self._epsilon = epsilon
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self.float32 = onnx.TensorProto.FLOAT

    def node(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        output = f"{operator} {len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(operator, inputs, [output], domain=domain, **attributes))
        return output

    def constant(self, name: str, values: npt.ArrayLike) -> str:
        self._constants.append(self._onnx.numpy_helper.from_array(np.asarray(values), name))
        return name

    def scalar(self, name: str, value: float) -> str:
        return self.constant(name, np.float32(value))

    def weight(self, name: str) -> npt.NDArray[np.float32]:
        try:
            return self._tensors[name].astype(np.float32, copy=False)
        except KeyError as error:
            raise ModelError(f"the weights in {self._folder} are not those of a BERT: {name} is missing") from error

    def norm(self, x: str, layer: str) -> str:
        parts = [self.constant(name, self.weight(name)) for name in (f"{layer}.weight", f"{layer}.bias")]
        return self.node("LayerNormalization", x, *parts, epsilon=self._epsilon)

    def linear(self, x: str, layer: str) -> str:
        weight = self.weight(f"{layer}.weight").T
        bias = self.constant(f"{layer}.bias", self.weight(f"{layer}.bias"))
        if not self._quantized:
            return self.node("Add", self.node("MatMul", x, self.constant(f"{layer}.weight", weight)), bias)
        scale = np.abs(weight).max(axis=0) / _LARGEST_INT8
        scale[scale == 0] = 1
        rounded = self.constant(f"{layer}.weight", np.rint(weight / scale).astype(np.int8))
        scales = self.constant(f"{layer}.scale", scale)
        return self.node("DynamicQuantizeMatMul", x, rounded, scales, "", bias, domain=_OWN_OPERATORS)

    def model(self, output: str, shape: list[str | int]) -> Any:
        helper, types = self._onnx.helper, self._onnx.TensorProto
        self._nodes.append(helper.make_node("Identity", [output], ["vectors"]))
        inputs = [helper.make_tensor_value_info(name, types.INT64, ["rows", "columns"]) for name in _INPUTS]
        outputs = [helper.make_tensor_value_info("vectors", types.FLOAT, shape)]
        return helper.make_model(
            helper.make_graph(self._nodes, "bert", inputs, outputs, self._constants),
            opset_imports=[helper.make_opsetid("", _OPSET), helper.make_opsetid(_OWN_OPERATORS, 1)],
            ir_version=_IR_VERSION,
        )


def _read_tensors(folder: Path) -> _Tensors:
    """The tensors by today's names: older files have `gamma` and `beta`, those of a whole task a prefix."""
    with importing:
        from safetensors.numpy import load_file

    tensors: dict[str, npt.NDArray[Any]] = {}
    for path in weights_files(folder):
        try:
            tensors |= load_file(path)
        except Exception as error:  # the library has an error class of its own beside OSError
            raise ModelError(f"the weights {path} cannot be loaded: {error}") from error
    return {
        name.removeprefix("bert.").replace("Norm.gamma", "Norm.weight").replace("Norm.beta", "Norm.bias"): values
        for name, values in tensors.items()
    }
