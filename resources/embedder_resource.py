"""The embedder as a Dagster resource."""

from __future__ import annotations

from typing import Annotated, Any

import dagster as dg
from pydantic import Field, create_model
from pydantic.fields import FieldInfo

from code_index.embedding.configuration import EmbedderConfig
from code_index.embedding.embedder import Embedder
from code_index.embedding.loader import get_embedder, query_embedder
from code_index.index.settings import Settings


def _optional(field: FieldInfo) -> tuple[Any, None]:
    """Type and default of an optional field with the same bounds and description."""
    kind: Any = field.annotation
    return Annotated[(kind | None, *field.metadata, Field(description=field.description))], None


_Fields = create_model(  # type: ignore[call-overload]
    "_Fields",
    __base__=dg.ConfigurableResource,
    **{name: _optional(field) for name, field in EmbedderConfig.model_fields.items()},
)


class EmbedderResource(_Fields):  # type: ignore[misc, valid-type]
    """The process's embedder; constructing the resource loads nothing.

    The fields are those of `EmbedderConfig`. A field that is left out takes the index's setting. Definitions must load
    without a model, torch or a network, so `get` refuses the values that only the model can judge.
    """

    def get(self, settings: Settings | None = None) -> Embedder:
        """The embedder for documents, loaded by the first call in the process.

        Args:
            settings: of the index; the defaults if None.

        Raises:
            ModelError: the model is missing or cannot be loaded, or the device cannot be used.
            SettingsError: the fields contradict each other or the model.
        """
        return get_embedder(self.embedder_config(settings), "documents")

    def get_for_queries(self, settings: Settings | None = None) -> Embedder:
        """The embedder for queries: the same space, on the CPU and without torch, whatever device documents use.

        Raises:
            ModelError, SettingsError: as `get`.
        """
        return query_embedder(self.embedder_config(settings))

    def embedder_config(self, settings: Settings | None = None) -> EmbedderConfig:
        """The index's settings, with the given fields in their place.

        Raises:
            SettingsError: the fields contradict each other or the settings.
        """
        given = {
            field.alias or name: value
            for name, field in EmbedderConfig.model_fields.items()
            if (value := getattr(self, name)) is not None
        }
        return (settings or Settings()).embedder.with_settings(given)
