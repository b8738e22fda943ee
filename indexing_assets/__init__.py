"""The Dagster project of code-index: assets, jobs, definitions and the command line.

Public are the names of `__all__`, which run the phases from Python, the component for projects of one's own, and what
`indexing_assets.definitions` offers to Dagster. Import time stays free of Dagster, LanceDB and torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

from code_index.core.lazy_imports import importing

__all__ = ["AddedCounts", "CodeIndexComponent", "GivenChunk", "IndexCounts", "add_chunks", "index_repository"]

if TYPE_CHECKING:
    from indexing_assets.component import CodeIndexComponent
    from indexing_assets.operations.api import AddedCounts, GivenChunk, IndexCounts, add_chunks, index_repository
else:  # unseen by type checkers, for which it would make any name right
    _COMPONENT = "CodeIndexComponent"

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = "component" if name == _COMPONENT else "operations.api"
        with importing:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)

    def __dir__() -> list[str]:
        # Only the component: `dg` looks at each name that is listed here, and so loads it.
        return [*globals(), _COMPONENT]
