"""The CPU backend: ONNX Runtime on an exported graph. Neither torch nor transformers is imported.

One thread computes each batch (`code_index.embedding.onnx_session`), and as many batches run at once as there are cores.
"""

from __future__ import annotations

from collections.abc import Sequence

from code_index.core.errors import EmbeddingError, ModelError
from code_index.core.unit_vectors import Vectors
from code_index.embedding.backend import DeviceMemoryError, Tokens
from code_index.embedding.devices import is_out_of_memory
from code_index.embedding.models.model_files import ModelFiles
from code_index.embedding.models.onnx_cache import exported_graph
from code_index.embedding.onnx_session import cpu_session
from code_index.embedding.tokenization import Tokenizer, graph_inputs


class OnnxBackend:
    """A `Backend` on the CPU. Several threads may call it at once.

    In int8 a text's vector depends slightly on its batch, whose activations share one scale:
    cosine 0.995 between a text by itself and in a batch.
    """

    length_multiple = 1

    def __init__(self, files: ModelFiles, *, window: int, precision: str, threads: int) -> None:
        """Load the graph, exporting it first when the cache has none.

        Raises:
            ModelError: the graph cannot be exported or loaded.
        """
        self._tokenizer = Tokenizer(files.transformer_folder, window=window, lower_case=files.lower_case)
        graph = exported_graph(files, precision)
        try:
            self._session = cpu_session(str(graph.path))
        except Exception as error:  # the library's errors have no base but Exception
            raise ModelError(
                f"{graph.path} cannot be loaded by ONNX Runtime: {error}. Delete its folder to export again."
            ) from error
        self._inputs = [node.name for node in self._session.get_inputs()]
        self.dimension = int(self._session.get_outputs()[0].shape[1])
        self.device = "cpu"
        self.parallelism = threads
        plural = "s" if threads > 1 else ""
        note = f", {graph.reason}" if graph.reason else ""
        self.description = f"CPU, ONNX Runtime {graph.precision}, {threads} thread{plural}{note}"

    def tokenize(self, texts: Sequence[str], prompt: str) -> list[Tokens]:
        """See `Backend`."""
        return self._tokenizer.tokenize(texts, prompt)

    def forward(self, batch: Sequence[Tokens]) -> Vectors:
        """See `Backend`."""
        length = max(item.length for item in batch)
        feeds = graph_inputs(batch, pad_id=self._tokenizer.pad_id, length=length, names=self._inputs)
        try:
            vectors: Vectors = self._session.run(None, feeds)[0]
        except Exception as error:  # the library's errors have no base but Exception
            if is_out_of_memory(error):
                raise DeviceMemoryError(f"{self.description} ran out of memory: {error}") from error
            raise EmbeddingError(f"{self.description} failed: {error}") from error
        return vectors

    def release_memory(self) -> None:
        """See `Backend`. The allocator frees a failed batch's memory by itself."""
