"""Texts to token ids, with the Rust tokenizers only.

Belongs here: loading `tokenizer.json`, truncation, and padding a batch into arrays. The work
releases the interpreter's lock, so it runs beside the model.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from code_index.core.errors import EmbeddingError, ModelError
from code_index.core.lazy_imports import importing
from code_index.embedding.backend import Tokens
from code_index.embedding.models.data_only import read_config

_CHARACTERS_PER_TOKEN = 64
"""Longest text that is tokenized, per token of the window: a megabyte on one line costs no more than a page.
It cuts no real text: tokens of code hold 3-4 characters."""


_PARALLELISM = "TOKENIZERS_PARALLELISM"
_ASKED_FOR = os.environ.get(_PARALLELISM)


class Tokenizer:
    """A model's tokenizer that cuts texts to `window` tokens, with the special ones unless `special_tokens` is false.

    With `parallel` it uses all cores, as all tokenizers of the process do from then on; else they are the model's.
    """

    def __init__(
        self,
        folder: Path,
        *,
        window: int,
        lower_case: bool = False,
        special_tokens: bool = True,
        parallel: bool = False,
    ) -> None:
        if _ASKED_FOR is None and (parallel or _PARALLELISM not in os.environ):
            os.environ[_PARALLELISM] = str(parallel).lower()
        with importing:
            from tokenizers import Tokenizer as RustTokenizer

        path = folder / "tokenizer.json"
        try:
            self._tokenizer = RustTokenizer.from_file(str(path))
        except Exception as error:  # the library raises plain `Exception`
            raise ModelError(f"{path} cannot be loaded: {error}") from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(window)
        self._max_characters = window * _CHARACTERS_PER_TOKEN
        self._lower_case = lower_case
        self._special_tokens = special_tokens
        self.pad_id = _pad_id(folder, self._tokenizer.token_to_id)

    def tokenize(self, texts: Sequence[str], prompt: str) -> list[Tokens]:
        """See `Backend.tokenize`."""
        prepared = [(prompt + text)[: self._max_characters] for text in texts]
        if self._lower_case:
            prepared = [text.lower() for text in prepared]
        try:
            encodings = self._tokenizer.encode_batch_fast(prepared, add_special_tokens=self._special_tokens)
        except Exception as error:  # a lone surrogate; the library has no error class of its own
            raise EmbeddingError(f"the text cannot be tokenized: {error}") from error
        return [Tokens(length=len(ids), ids=ids) for ids in (encoding.ids for encoding in encodings)]


def graph_inputs(
    batch: Sequence[Tokens], *, pad_id: int, length: int, names: Sequence[str]
) -> dict[str, npt.NDArray[np.int64]]:
    """A batch as arrays for a model with inputs `names`, (n, length) int64 each, padded on the right."""
    ids = np.full((len(batch), length), pad_id, dtype=np.int64)
    mask = np.zeros((len(batch), length), dtype=np.int64)
    for row, item in enumerate(batch):
        ids[row, : item.length] = item.ids
        mask[row, : item.length] = 1
    arrays = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    return {name: arrays[name] for name in names}


def _pad_id(folder: Path, token_to_id: Callable[[str], int | None]) -> int:
    """The padding token's id. It matters although it is masked: some models derive positions from it."""
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        try:
            config = read_config(folder / name)
        except FileNotFoundError:
            continue
        token = config.get("pad_token") if isinstance(config, dict) else None
        token = token.get("content") if isinstance(token, dict) else token
        found = token_to_id(token) if token else None
        if found is not None:
            return int(found)
    return 0
