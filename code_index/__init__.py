"""The engine: a library without Dagster that parses, stores, embeds and searches code.

The names in `__all__` are public; importing the package loads neither tables nor models.

    from code_index import Index

    for hit in Index.open("/path/to/your/repository").search("parse a date"):
        print(hit.score, hit.file_path, hit.start_line, hit.qualified_name)
"""

import importlib
from typing import TYPE_CHECKING, Any

__all__ = [
    "Answer",
    "CodeIndexError",
    "ContextPiece",
    "Freshness",
    "Index",
    "IndexMissingError",
    "IndexStatus",
    "Indexes",
    "Reference",
    "SearchHit",
    "Symbol",
    "UsageError",
]

_MODULES = {
    "Answer": "search.answer",
    "CodeIndexError": "core.errors",
    "ContextPiece": "search.context",
    "Freshness": "search.freshness",
    "Index": "api",
    "Indexes": "api",
    "IndexMissingError": "core.errors",
    "IndexStatus": "index.contents",
    "Reference": "search.symbols",
    "SearchHit": "search.hybrid",
    "Symbol": "search.symbols",
    "UsageError": "core.errors",
}

if TYPE_CHECKING:
    from code_index.api import Index, Indexes
    from code_index.core.errors import CodeIndexError, IndexMissingError, UsageError
    from code_index.index.contents import IndexStatus
    from code_index.search.answer import Answer
    from code_index.search.context import ContextPiece
    from code_index.search.freshness import Freshness
    from code_index.search.hybrid import SearchHit
    from code_index.search.symbols import Reference, Symbol
else:  # hidden from type checkers, which would accept any name

    def __getattr__(name: str) -> Any:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        # Not above: whoever imports a module of the package first would be in the way of whoever imports the package.
        from code_index.core.lazy_imports import importing

        with importing:
            return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
