"""Sessions of ONNX Runtime on the CPU, with the optimizers that gain time.

Does not belong here: which graph runs (`code_index.embedding.models.onnx_cache`), and in how many threads at once.
"""

from __future__ import annotations

from typing import Any, Final

from code_index.core.lazy_imports import importing

_HARMFUL_OPTIMIZERS: Final = ("SkipLayerNormFusion",)
"""The fused kernel is scalar: a batch of 8 x 128 tokens takes 88 ms with it and 64 ms without (ONNX Runtime 1.32,
int8, one thread)."""


def cpu_session(graph: str | bytes, *, threads: int) -> Any:
    """An `onnxruntime.InferenceSession` of a graph's file or of its bytes.

    Args:
        graph: path, or the serialized `onnx.ModelProto`.
        threads: that share each operator; 0 for one on each physical core.
    """
    with importing:
        import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors come as exceptions
    return onnxruntime.InferenceSession(
        graph, options, providers=["CPUExecutionProvider"], disabled_optimizers=list(_HARMFUL_OPTIMIZERS)
    )
