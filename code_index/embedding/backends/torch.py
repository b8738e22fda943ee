"""The backend for GPUs, and for models that are not one plain graph: sentence-transformers on torch.

torch and sentence-transformers are imported only when a backend is made.
"""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from code_index.core.errors import EmbeddingError, ModelError
from code_index.core.lazy_imports import importing
from code_index.core.unit_vectors import Vectors
from code_index.embedding.backend import DeviceLostError, DeviceMemoryError, Tokens
from code_index.embedding.backends.registry import AUTO, device_kind
from code_index.embedding.devices import has_fast_bfloat16, is_device_lost, is_out_of_memory
from code_index.embedding.models.model_files import ModelFiles
from code_index.embedding.tokenization import Tokenizer, graph_inputs

_LOG = logging.getLogger(__name__)

_LENGTH_MULTIPLES: Final = {"cpu": 1, "cuda": 8, "mps": 32}
"""CUDA's tensor cores want multiples of eight; Metal compiles and keeps a graph for each new shape."""
_SWITCH_S: Final = 0.0005
"""Python's default of 5 ms is what the thread that feeds a GPU waits for each thread that computes, at each of a
batch's hundred short calls: beside commits a batch then takes twice its time (H100)."""
_CHARACTERS_PER_TOKEN: Final = 4
"""For models that tokenize by themselves, where a text's tokens can only be estimated."""


class TorchBackend:
    """A `Backend` on `cuda:<n>`, `mps` or `cpu`. torch itself shares each batch between the cores."""

    parallelism = 1

    def __init__(self, files: ModelFiles, *, device: str, window: int, precision: str, threads: int) -> None:
        """Load the model onto the device.

        Raises:
            ModelError: the library cannot load the model, or the device has no room for it.
        """
        kind = device_kind(device)
        with importing:
            import torch

        self._torch = torch
        self._kind = kind
        self._window = window
        self.device = device
        self.length_multiple = _LENGTH_MULTIPLES[kind]
        if kind == "cpu":
            torch.set_num_threads(threads)
        else:
            sys.setswitchinterval(_SWITCH_S)
        if kind == "cuda":
            # cuDNN's attention builds a plan for each new shape of a batch, which takes longer than the batch.
            torch.backends.cuda.enable_cudnn_sdp(False)
        self.precision = precision if precision != AUTO else self._best_precision()
        self._model = self._load(files)
        self._tokenizer: Tokenizer | None = None
        if files.graph_obstacle is None:
            # A GPU computes, so the processor's cores can tokenize.
            self._tokenizer = Tokenizer(
                files.transformer_folder, window=window, lower_case=files.lower_case, parallel=kind != "cpu"
            )
        self._inputs = ["input_ids", "attention_mask"]
        if self._tokenizer is not None and self._wants_token_types():
            self._inputs.append("token_type_ids")
        where = f"CPU, {threads} threads" if kind == "cpu" else self._device_name()
        self.description = f"{where}, torch {self.precision}"
        self.dimension = self._probed_dimension()

    def tokenize(self, texts: Sequence[str], prompt: str) -> list[Tokens]:
        """See `Backend`. A model with a tokenizer of its own gets the text, and an estimate of its length."""
        if self._tokenizer is not None:
            return self._tokenizer.tokenize(texts, prompt)
        return [
            Tokens(
                length=min(self._window, max(1, (len(prompt) + len(text)) // _CHARACTERS_PER_TOKEN)),
                text=text,
                prompt=prompt,
            )
            for text in texts
        ]

    def forward(self, batch: Sequence[Tokens]) -> Vectors:
        """See `Backend`. Half precision is cast to float32 here; the caller normalizes."""
        try:
            with self._torch.inference_mode():
                output = self._embed_texts(batch) if self._tokenizer is None else self._embed_tokens(batch)
                vectors: Vectors = output.float().cpu().numpy()
                return vectors
        except Exception as error:  # torch raises RuntimeError, models and tokenizers whatever they like
            failure = self._translated(error)
            if not isinstance(failure, DeviceMemoryError):
                raise failure from error
        # Raised after the handler, because the caught error's traceback keeps the failed batch's tensors on the device.
        raise failure

    def release_memory(self) -> None:
        """See `Backend`."""
        gc.collect()  # tensors in reference cycles
        if self._kind == "cuda":
            self._torch.cuda.empty_cache()
        elif self._kind == "mps":
            self._torch.mps.empty_cache()

    def _embed_tokens(self, batch: Sequence[Tokens]) -> Any:
        tokenizer = self._tokenizer
        if tokenizer is None:
            raise EmbeddingError("this model tokenizes by itself")
        multiple = self.length_multiple
        length = min(-(-max(item.length for item in batch) // multiple) * multiple, self._window)
        arrays = graph_inputs(batch, pad_id=tokenizer.pad_id, length=length, names=self._inputs)
        features = {name: self._torch.from_numpy(array).to(self.device) for name, array in arrays.items()}
        return self._model.forward(features)["sentence_embedding"]

    def _embed_texts(self, batch: Sequence[Tokens]) -> Any:
        return self._model.encode(
            [item.text for item in batch],
            prompt=batch[0].prompt or None,
            batch_size=len(batch),
            show_progress_bar=False,
            convert_to_tensor=True,
        )

    def _translated(self, error: Exception) -> EmbeddingError:
        if is_out_of_memory(error):
            return DeviceMemoryError(f"{self.description} ran out of memory: {_first_line(error)}")
        if self._kind == "cuda" and is_device_lost(error):
            return DeviceLostError(
                f"{self.device} cannot be used any more: {_first_line(error)}. Run again; with CUDA_LAUNCH_BLOCKING=1 "
                "the message names the operation."
            )
        return EmbeddingError(f"{self.description} failed: {_first_line(error)}")

    def _load(self, files: ModelFiles) -> Any:
        with importing:
            from sentence_transformers import SentenceTransformer

        try:
            model = SentenceTransformer(
                str(files.folder),
                device=self.device,
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True},
            )
            model = model.to(dtype=getattr(self._torch, self.precision)).eval()
            if isinstance(model.max_seq_length, int):  # a static model has no window
                model.max_seq_length = self._window
        except Exception as error:  # any of three libraries may refuse, each in its own way
            hint = f"; it does not fit on {self.device}, use device cpu" if is_out_of_memory(error) else ""
            raise ModelError(
                f"{files.folder} cannot be loaded as a sentence-transformers model: {error}{hint}"
            ) from error
        return model

    def _probed_dimension(self) -> int:
        """Length of a vector, from a first forward pass, so that a model that cannot run here fails at once."""
        try:
            vectors = self.forward(self.tokenize(["def add(a, b): return a + b"], ""))
        except EmbeddingError as error:
            raise ModelError(f"the model does not run: {error}") from error
        if not np.isfinite(vectors).all():
            raise ModelError(f"{self.description} gives vectors that are not finite: use precision float32")
        return int(vectors.shape[1])

    def _wants_token_types(self) -> bool:
        config = getattr(getattr(self._model[0], "auto_model", None), "config", None)
        return bool(getattr(config, "type_vocab_size", 0))

    def _best_precision(self) -> str:
        if self._kind == "cuda":
            # Since Ampere (8.0) both halves are as fast, and bfloat16 cannot overflow.
            return "bfloat16" if self._torch.cuda.get_device_capability(self.device) >= (8, 0) else "float16"
        if self._kind == "mps":
            return "float16"
        return "bfloat16" if has_fast_bfloat16() else "float32"

    def _device_name(self) -> str:
        if self._kind == "cuda":
            return f"{self.device} ({self._torch.cuda.get_device_name(self.device)})"
        return "mps (Apple GPU)"


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
