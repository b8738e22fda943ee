"""The resources of an index, by keys that carry its name: definitions of several indexes stand in one project.

A key is not a parameter's name here, because Dagster takes a parameter's name as the key: each index would then need
resources of the same keys, and so would a project that has an `embedder` of its own.
"""

from __future__ import annotations

from typing import Any, cast

from indexing_assets.runs.index_names import EMBEDDER_RESOURCE, INDEX_RESOURCE, IndexNames
from resources.embedder_resource import EmbedderResource
from resources.index_resource import IndexResource


def index_of(context: Any, names: IndexNames) -> IndexResource:
    """The index resource of a context whose definition requires it."""
    return cast("IndexResource", getattr(context.resources, names.prefixed(INDEX_RESOURCE)))


def embedder_of(context: Any, names: IndexNames) -> EmbedderResource:
    """The embedder resource of a context whose definition requires it."""
    return cast("EmbedderResource", getattr(context.resources, names.prefixed(EMBEDDER_RESOURCE)))
