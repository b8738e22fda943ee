"""Export of a model folder as one ONNX graph from token ids to unit vectors; runs as a process of its own.

    python -m code_index.embedding.models.onnx_export <model folder> <pooling> <precision> <output folder>

Belongs here: the export, its int8 form, and the check that both agree with their model. A process of its own, so that
torch's one or two gigabytes and its warnings end with it. A ready-made ONNX file was rejected: any
sentence-transformers folder should work, and the weights' digest should identify what ran.
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

from code_index.core.errors import ModelError
from code_index.core.lazy_imports import importing
from code_index.core.unit_vectors import Vectors, vector_lengths
from code_index.embedding.backend import Tokens
from code_index.embedding.models.onnx_cache import GRAPH_FILE, REPORT_FILE, WEIGHTS_FILE
from code_index.embedding.models.weights import weights_files
from code_index.embedding.tokenization import Tokenizer, graph_inputs

LEAST_EXPORT_COSINE: Final = 0.9999
"""Of the float32 graph with the model in torch: the arithmetic is the same."""
LEAST_INT8_COSINE: Final = 0.985
"""Mean over real code. MiniLM has 0.991, with a loss in retrieval of 0.004 (MRR@10); a graph below this is not used."""

_WINDOW_TOKENS = 128
_SAMPLE_LINES = 20
_SAMPLE_TEXTS = 64
_PROBE_TOKENS = 16


def export(folder: Path, pooling: str, precision: str, output: Path) -> dict[str, Any]:
    """Write `GRAPH_FILE` and `REPORT_FILE` into `output` and return the report.

    `precision` is `float32` or `int8`. The report's `precision` is `float32` when int8 was requested but strays too
    far from the model; `reason` says so.

    Raises:
        ModelError: the exported graph does not compute what the model computes.
    """
    samples = Tokenizer(folder, window=_WINDOW_TOKENS)
    batch = samples.tokenize(_sample_texts(), "")
    full = output / "float32.onnx"
    reference = _export_float32(folder, pooling, full, batch, samples.pad_id)
    agreement = _cosines(reference, run_graph(full, batch, samples.pad_id))
    if not agreement.min() >= LEAST_EXPORT_COSINE:
        raise ModelError(
            f"the ONNX graph of {folder} strays from the model (least cosine {agreement.min():.5f}): use backend torch"
        )
    report: dict[str, Any] = {"precision": "float32", "export_cosine_min": float(agreement.min()), "reason": ""}
    if precision == "int8":
        small = output / "int8.onnx"
        _quantize(full, small)
        cosines = _cosines(reference, run_graph(small, batch, samples.pad_id))
        report |= {"int8_cosine_mean": float(cosines.mean()), "int8_cosine_min": float(cosines.min())}
        if cosines.mean() >= LEAST_INT8_COSINE:
            report["precision"] = "int8"
            full.unlink()
            full = small
        else:
            report["reason"] = f"int8 strays from float32 (mean cosine {cosines.mean():.4f} < {LEAST_INT8_COSINE})"
            small.unlink()
    _with_weights_beside(full, output / GRAPH_FILE)
    full.unlink()
    report["graph_bytes"] = (output / GRAPH_FILE).stat().st_size
    report["weights_bytes"] = (output / WEIGHTS_FILE).stat().st_size
    (output / REPORT_FILE).write_text(json.dumps(report, indent=2))
    return report


def _with_weights_beside(graph: Path, target: Path) -> None:
    """Write a graph with its weights in `WEIGHTS_FILE`; the small ones stay in it."""
    with importing:
        import onnx

    onnx.save_model(
        onnx.load(graph), target, save_as_external_data=True, all_tensors_to_one_file=True, location=WEIGHTS_FILE
    )


def run_graph(graph: Path, batch: Sequence[Tokens], pad_id: int) -> Vectors:
    """Vectors of a batch from a graph file."""
    with importing:
        import onnxruntime

    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    feeds = graph_inputs(
        batch,
        pad_id=pad_id,
        length=max(item.length for item in batch),
        names=[node.name for node in session.get_inputs()],
    )
    vectors: Vectors = session.run(None, feeds)[0]
    return vectors


def _export_float32(folder: Path, pooling: str, target: Path, batch: Sequence[Tokens], pad_id: int) -> Vectors:
    """Write the float32 graph and return the vectors that torch computes for `batch`.

    Raises:
        ModelError: the weights cannot be loaded.
    """
    with importing:
        import torch
        from transformers import AutoModel

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

    graph = Graph().eval()
    example = tuple(torch.ones(2, _PROBE_TOKENS, dtype=torch.long) for _ in names)
    rows, columns = torch.export.Dim("rows"), torch.export.Dim("columns", max=model.config.max_position_embeddings - 2)
    torch.onnx.export(
        graph,
        example,
        str(target),
        input_names=names,
        output_names=["vectors"],
        dynamo=True,
        # One entry per positional input, inside the one of `*inputs`.
        dynamic_shapes=(tuple({0: rows, 1: columns} for _ in names),),
        external_data=False,
        verbose=False,
    )
    arrays = graph_inputs(batch, pad_id=pad_id, length=max(item.length for item in batch), names=names)
    with torch.inference_mode():
        vectors: Vectors = graph(*(torch.from_numpy(array) for array in arrays.values())).numpy()
    return vectors


def _quantize(full: Path, small: Path) -> None:
    """Convert the weights of matrix products to int8 by output channel; activations are scaled when the graph runs.

    The embedding tables stay float32: quantizing them too takes the cosine from 0.991 to 0.975 and gains no time.
    One scale per matrix was rejected: 0.896.
    """
    with importing:
        from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        str(full), str(small), per_channel=True, weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul", "Gemm"]
    )


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
