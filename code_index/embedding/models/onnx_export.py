"""A model folder as one ONNX graph from token ids to unit vectors; runs as a process of its own.

    python -m code_index.embedding.models.onnx_export <model folder> <pooling> <precision> <output folder>

Belongs here: the choice of the way to the graph, the export with torch, and the checks. A BERT is written from its weights
(`code_index.embedding.models.bert_graph`); any other architecture is exported with torch, and what torch computes is
compared with the graph, because its exporter is not ours. The written graph's float32 is not compared when a model is
prepared: nothing here knows better what the weights mean, and the tests compare it with torch. In int8 either strays as
far as its weights are uneven, so that form is always compared with float32.

A process of its own, so that several copies of the weights, and torch's gigabyte and warnings, end with it. A ready-made
ONNX file was rejected: any sentence-transformers folder should work, and the weights' digest should identify what ran.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from code_index.core.distribution import missing_extra
from code_index.core.errors import ModelError
from code_index.core.lazy_imports import importing
from code_index.core.unit_vectors import Vectors, vector_lengths
from code_index.embedding.backend import Tokens
from code_index.embedding.models.bert_graph import bert_graph, is_plain_bert
from code_index.embedding.models.onnx_cache import GRAPH_FILE, REPORT_FILE, WEIGHTS_FILE
from code_index.embedding.models.weights import weights_files
from code_index.embedding.onnx_session import run_graph
from code_index.embedding.tokenization import Tokenizer, graph_inputs

LEAST_EXPORT_COSINE: Final = 0.9999
"""Of the float32 graph with the model in torch: the arithmetic is the same."""
LEAST_INT8_COSINE: Final = 0.985
"""Mean over real code. MiniLM has 0.991, with a loss in retrieval of 0.004 (MRR@10); a graph below this is not used."""

_WINDOW_TOKENS = 128
_SAMPLE_LINES = 20
_SAMPLE_TEXTS = 32
_BATCH = 8
_PROBE_TOKENS = 16


def export(folder: Path, pooling: str, precision: str, output: Path) -> dict[str, Any]:
    """Write `GRAPH_FILE`, `WEIGHTS_FILE` and `REPORT_FILE` into `output` and return the report.

    `precision` is `float32` or `int8`. The report's `precision` is `float32` when int8 was requested but strays too
    far from float32; `reason` says so.

    Raises:
        ModelError: the weights cannot be loaded, the graph does not compute what the model computes, or the architecture
            needs torch, which is not installed.
    """
    with importing:
        import onnx

    samples = Tokenizer(folder, window=_WINDOW_TOKENS)
    batch = samples.tokenize(_sample_texts(), "")
    report: dict[str, Any] = {"precision": "float32", "reason": ""}
    written = is_plain_bert(folder)
    if written:
        graph = bert_graph(folder, pooling, "float32")
    else:
        graph, reference = _exported(folder, pooling, batch, samples.pad_id)
        agreement = _cosines(reference, _vectors(graph, batch, samples.pad_id))
        if not agreement.min() >= LEAST_EXPORT_COSINE:
            raise ModelError(
                f"the ONNX graph of {folder} strays from the model (least cosine {agreement.min():.5f}): use backend torch"
            )
        report["export_cosine_min"] = float(agreement.min())
    if precision == "int8":
        small = bert_graph(folder, pooling, "int8") if written else _quantized(graph, output)
        vectors, exact = (_vectors(one, batch, samples.pad_id) for one in (small, graph))
        cosines = _cosines(exact, vectors)
        report |= {"int8_cosine_mean": float(cosines.mean()), "int8_cosine_min": float(cosines.min())}
        if cosines.mean() >= LEAST_INT8_COSINE:
            report["precision"] = "int8"
            graph = small
        else:
            report["reason"] = f"int8 strays from float32 (mean cosine {cosines.mean():.4f} < {LEAST_INT8_COSINE})"
    onnx.save_model(
        graph, output / GRAPH_FILE, save_as_external_data=True, all_tensors_to_one_file=True, location=WEIGHTS_FILE
    )
    report["graph_bytes"] = (output / GRAPH_FILE).stat().st_size
    report["weights_bytes"] = (output / WEIGHTS_FILE).stat().st_size
    (output / REPORT_FILE).write_text(json.dumps(report, indent=2))
    return report


def _vectors(graph: Any, texts: Sequence[Tokens], pad_id: int) -> Vectors:
    """Vectors of texts from an `onnx.ModelProto`, in batches of a size that indexing has."""
    names = [node.name for node in graph.graph.input]
    batches = [texts[at : at + _BATCH] for at in range(0, len(texts), _BATCH)]
    length = max(item.length for item in texts)
    return run_graph(graph, [graph_inputs(batch, pad_id=pad_id, length=length, names=names) for batch in batches])


def _exported(folder: Path, pooling: str, batch: Sequence[Tokens], pad_id: int) -> tuple[Any, Vectors]:
    """The float32 graph as torch exports it, an `onnx.ModelProto`, and the vectors that torch computes for `batch`.

    Raises:
        ModelError: the weights cannot be loaded, or torch is not installed.
    """
    try:
        with importing:
            import torch
            from transformers import AutoModel
    except ImportError as error:
        raise ModelError(missing_extra("torch", f"the graph of {folder}, which is no plain BERT,")) from error
    try:
        model = AutoModel.from_pretrained(
            str(folder),
            attn_implementation="eager",
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
        )
    except Exception as error:  # the weights' library and transformers raise errors without a common base
        raise ModelError(f"the weights {weights_files(folder)[0]} cannot be loaded: {error}") from error
    model = model.float().eval()
    types = ["token_type_ids"] if getattr(model.config, "type_vocab_size", 0) else []
    names = ["input_ids", "attention_mask", *types]

    class Graph(torch.nn.Module):  # type: ignore[misc]  # torch is not followed by the type checker
        """Transformer, pooling and normalization in one."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *inputs: Any) -> Any:
            hidden = self.model(**dict(zip(names, inputs, strict=True))).last_hidden_state
            if pooling == "cls":
                pooled = hidden[:, 0]
            else:
                kept = inputs[1].unsqueeze(-1).to(hidden.dtype)
                pooled = (hidden * kept).sum(1) / kept.sum(1).clamp(min=1e-9)
            return torch.nn.functional.normalize(pooled, dim=1)

    module = Graph().eval()
    example = tuple(torch.ones(2, _PROBE_TOKENS, dtype=torch.long) for _ in names)
    rows, columns = torch.export.Dim("rows"), torch.export.Dim("columns", max=model.config.max_position_embeddings - 2)
    program = torch.onnx.export(
        module,
        example,
        input_names=names,
        output_names=["vectors"],
        dynamo=True,
        # One entry per positional input, inside the one of `*inputs`.
        dynamic_shapes=(tuple({0: rows, 1: columns} for _ in names),),
        verbose=False,
    )
    arrays = graph_inputs(batch, pad_id=pad_id, length=max(item.length for item in batch), names=names)
    with torch.inference_mode():
        vectors: Vectors = module(*(torch.from_numpy(array) for array in arrays.values())).numpy()
    return program.model_proto, vectors


def _quantized(graph: Any, work: Path) -> Any:
    """An `onnx.ModelProto` in int8, as `bert_graph` makes it; `work` is a folder for a file on the way."""
    with importing:
        import onnx
        from onnxruntime.quantization import QuantType, quantize_dynamic

    small = work / "int8.onnx"
    quantize_dynamic(
        graph, small, per_channel=True, weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul", "Gemm"]
    )
    quantized = onnx.load(small)
    small.unlink()
    return quantized


def _sample_texts() -> list[str]:
    """Real code that is always available: the modules of the package, in pieces of 20 lines."""
    lines = [line for path in sorted(Path(__file__).parents[1].rglob("*.py")) for line in path.read_text().splitlines()]
    pieces = ["\n".join(lines[at : at + _SAMPLE_LINES]) for at in range(0, len(lines), _SAMPLE_LINES)]
    return pieces[:: max(1, len(pieces) // _SAMPLE_TEXTS)][:_SAMPLE_TEXTS]


def _cosines(left: Vectors, right: Vectors) -> npt.NDArray[np.float64]:
    cosines: npt.NDArray[np.float64] = (left * right).sum(axis=1) / (vector_lengths(left) * vector_lengths(right))
    return cosines


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        export(Path(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4]))
    except ModelError as failure:
        sys.exit(str(failure))
