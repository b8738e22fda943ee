"""Distilling of a static model: `python -m code_index.embedding.models.static_export FOLDER OUTPUT`.

A process of its own, so that its memory ends with it. Each token goes through the transformer between the two special
tokens; its own hidden state is its vector. The mean of all is taken off, because what all tokens share says nothing. A
table of weights says how much a token tells about code (`return` little, `websocket` much): without it a text's vector is
mostly that of its brackets. docs/decisions/0017-a-static-model-for-speed.md says where the weights come from.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np

from code_index.core.errors import ModelError
from code_index.core.lazy_imports import importing
from code_index.core.unit_vectors import Vectors
from code_index.embedding.models.bert_graph import bert_graph
from code_index.embedding.models.data_only import MODULES_FILE
from code_index.embedding.models.static_table import TABLE_FILE, TENSOR, TOKENIZER_FILE, write_report
from code_index.embedding.onnx_session import run_graph

_BATCH: Final = 128
WEIGHTS_FILE: Final = Path(__file__).with_name("token_weights.bin")
"""A byte b of each token of the built-in model's vocabulary, for the weight exp(-b / `WEIGHT_STEPS`)."""
WEIGHT_STEPS: Final = 40.0


def distill(folder: Path, output: Path) -> None:
    """Write a static model in sentence-transformers layout into `output`.

    Raises:
        ModelError: the weights cannot be loaded.
    """
    with importing:
        from safetensors.numpy import save_file
        from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    table = token_vectors(folder, tokenizer) * token_weights(tokenizer.get_vocab_size())[:, np.newaxis]
    save_file({TENSOR: table}, output / TABLE_FILE)
    tokenizer.save(str(output / TOKENIZER_FILE))
    module = {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.StaticEmbedding"}
    (output / MODULES_FILE).write_text(json.dumps([module]), encoding="utf-8")
    write_report(output)


def token_weights(tokens: int) -> Vectors:
    """A weight in (0, 1] of each token of a vocabulary of that many, (tokens,) float32.

    Raises:
        ModelError: the weights are of another vocabulary.
    """
    stored = np.frombuffer(WEIGHTS_FILE.read_bytes(), dtype=np.uint8)
    if len(stored) != tokens:
        raise ModelError(f"{WEIGHTS_FILE} has weights of {len(stored):,} tokens, the tokenizer {tokens:,}")
    weights: Vectors = np.exp(-stored.astype(np.float32) / np.float32(WEIGHT_STEPS))
    return weights


def token_vectors(folder: Path, tokenizer: Any) -> Vectors:
    """A vector of each token of the vocabulary, (tokens, dim) float32.

    Raises:
        ModelError: the weights cannot be loaded.
    """
    before, after = tokenizer.encode("").ids
    tokens = tokenizer.get_vocab_size()
    batches = []
    for first in range(0, tokens, _BATCH):
        ids = np.arange(first, min(first + _BATCH, tokens))
        texts = np.stack([np.full_like(ids, before), ids, np.full_like(ids, after)], axis=1)
        batches.append(
            {"input_ids": texts, "attention_mask": np.ones_like(texts), "token_type_ids": np.zeros_like(texts)}
        )
    table: Vectors = run_graph(bert_graph(folder, "none", "float32"), batches)[:, 1]
    table -= table.mean(axis=0)
    return table


if __name__ == "__main__":
    try:
        distill(Path(sys.argv[1]), Path(sys.argv[2]))
    except ModelError as failure:
        sys.exit(str(failure))
