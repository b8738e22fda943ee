"""Static models: a table of token vectors, read from a folder or distilled from the built-in model.

Distilling needs no data: each token of the vocabulary goes through the transformer by itself. The table is made at first
use, in a process of its own, and kept in the cache. Its identity is that of the weights and of the recipe, not of its
bytes, which differ in the last digits between processors as the vectors of any model do.

model2vec makes such tables too. It was rejected: its distilling needs transformers below 5.4, and what is left is two
dozen lines; the folders are those of sentence-transformers, which runs models of either.
"""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Final

from code_index.core.cache import cache_folder
from code_index.core.errors import ModelError
from code_index.core.lazy_imports import importing
from code_index.core.regular_files import load_json, read_regular_file
from code_index.embedding.models.data_only import MODULES_FILE
from code_index.embedding.models.prepared_files import prepared_files
from code_index.embedding.models.weights import weights_digest, weights_files

if TYPE_CHECKING:
    from code_index.core.unit_vectors import Vectors

_LOG = logging.getLogger(__name__)

DISTILLING_VERSION: Final = 1
"""Part of the identity: raise it with any change to the output of `static_export`; everything is then embedded again."""
TABLE_FILE: Final = "model.safetensors"
TOKENIZER_FILE: Final = "tokenizer.json"
REPORT_FILE: Final = "export.json"
"""SHA-256 of each other file of a distilled model."""
_DISTILLED_FILES: Final = (TABLE_FILE, TOKENIZER_FILE, MODULES_FILE)
TENSOR: Final = "embedding.weight"
_TENSORS: Final = (TENSOR, "embeddings")
"""Names of the table in folders of sentence-transformers and of model2vec."""
_TABLE_AXES: Final = 2


def distilled_folder(source: Path, source_sha256: str) -> Path:
    """Folder of the table distilled from a model, in sentence-transformers layout; made at first use (in seconds).

    Args:
        source: folder of a transformer.
        source_sha256: digest of its weights.

    Raises:
        ModelError: the table cannot be made; the message ends with the exporter's last line.
    """
    return prepared_files(
        cache_folder() / "static" / f"{source_sha256[:12]}-{DISTILLING_VERSION}",
        _read,
        module="code_index.embedding.models.static_export",
        arguments=[str(source)],
        what="the model `fast`",
        failure=f"no static model can be distilled from {source}",
    )


def write_report(folder: Path) -> None:
    """Record the files of a model that was distilled into `folder`; without this record it is not used."""
    digests = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in _DISTILLED_FILES}
    (folder / REPORT_FILE).write_text(json.dumps(digests, indent=2), encoding="utf-8")


def _read(folder: Path) -> Path | None:
    """The folder of a distilled model whose files are as they were made; None where there is none."""
    try:
        report = load_json(read_regular_file(folder / REPORT_FILE))
        if report == {name: weights_digest([folder / name]) for name in _DISTILLED_FILES}:
            return folder
        _LOG.warning("%s is damaged: distilling the model again", folder)
    except FileNotFoundError:
        pass
    except (OSError, ValueError, ModelError) as error:
        _LOG.warning("%s cannot be read (%s): distilling the model again", folder, error)
    return None


def distilled_sha256(source_sha256: str) -> str:
    """Identity of the distilled table, 64 hex digits."""
    return hashlib.sha256(f"{source_sha256};distilled={DISTILLING_VERSION}".encode()).hexdigest()


def table_dimension(folder: Path) -> int | None:
    """Length of a vector of the table in a module's folder; None where the file holds something else."""
    with importing:
        from safetensors import SafetensorError, safe_open

    try:
        with safe_open(weights_files(folder)[0], framework="numpy") as tensors:
            names = [name for name in tensors.keys() if name in _TENSORS]  # noqa: SIM118 - it is no mapping
            return int(tensors.get_slice(names[0]).get_shape()[1]) if names else None
    except (OSError, SafetensorError):
        return None


def read_table(folder: Path) -> Vectors:
    """The table in a module's folder, (tokens, dim) float32.

    Raises:
        ModelError: the file cannot be read, or holds more than one table.
    """
    with importing:
        import numpy as np  # names of models are asked for where nothing else is
        from safetensors.numpy import load_file

    (path, *more) = weights_files(folder)
    try:
        tensors = load_file(path)
    except Exception as error:  # the library has an error class of its own beside OSError
        raise ModelError(f"the token vectors in {path} cannot be read: {error}") from error
    names = [name for name in tensors if name in _TENSORS]
    if more or len(tensors) != 1 or not names or tensors[names[0]].ndim != _TABLE_AXES:
        raise ModelError(
            f"{path} is no plain table of token vectors (it holds {', '.join(sorted(tensors))}): use backend torch"
        )
    return np.ascontiguousarray(tensors[names[0]], dtype=np.float32)
