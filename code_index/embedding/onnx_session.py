"""Sessions of ONNX Runtime on the CPU, with the optimizers that gain time, and one thread for each batch.

As many batches run at once as there are cores. Sharing each batch between the cores was rejected: 100 instead of 160 texts
per core-second, and a third of that beside other busy processes, because the library's threads wait for each other at
every operator. Does not belong here: which graph runs (`code_index.embedding.models.onnx_cache`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from code_index.core.lazy_imports import importing
from code_index.core.unit_vectors import Vectors
from code_index.system.hardware import available_threads

HARMFUL_OPTIMIZERS: Final = ("SkipLayerNormFusion",)
"""The fused kernel is scalar: a batch of 8 x 128 tokens takes 88 ms with it and 64 ms without (ONNX Runtime 1.32,
int8, one thread)."""


def cpu_session(graph: str | bytes) -> Any:
    """An `onnxruntime.InferenceSession` of a graph's path, or of a serialized `onnx.ModelProto`."""
    with importing:
        import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors come as exceptions
    return onnxruntime.InferenceSession(
        graph, options, providers=["CPUExecutionProvider"], disabled_optimizers=list(HARMFUL_OPTIMIZERS)
    )


def run_graph(graph: Any, batches: Iterable[Mapping[str, npt.NDArray[np.int64]]]) -> Vectors:
    """The first output of an `onnx.ModelProto` for each batch of its inputs, as one array."""
    session = cpu_session(graph.SerializeToString())
    with ThreadPoolExecutor(available_threads()) as pool:
        return np.concatenate(list(pool.map(lambda inputs: session.run(None, inputs)[0], batches)))
