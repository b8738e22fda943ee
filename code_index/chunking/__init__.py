"""Files to chunks. Public: `chunk_file`, `masked_source`, `CHUNKER_VERSION`.

Importing the package loads no language: names of languages are asked for where nothing is parsed.
"""

import importlib
from typing import TYPE_CHECKING, Any

from code_index.core.lazy_imports import importing

if TYPE_CHECKING:
    from code_index.chunking.chunker import CHUNKER_VERSION, chunk_file, masked_source

__all__ = ["CHUNKER_VERSION", "chunk_file", "masked_source"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with importing:
        return getattr(importlib.import_module(f"{__name__}.chunker"), name)
