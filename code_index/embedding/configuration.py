"""Settings of the embedder, declared once.

Belongs here: name, default, bounds and description of each. `Settings.embedder` and the fields of the Dagster resource
are made from them. Does not belong here: what `auto` and 0 mean on a machine (`loader`) and for a model
(`models.model_files`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Final, Self

from pydantic import Field, model_validator

from code_index.core.checked_settings import CheckedSettings
from code_index.core.embedding_text import TextRecipe
from code_index.core.errors import SettingsError
from code_index.embedding.backends.registry import AUTO, BACKENDS, DEVICES, PRECISIONS, device_kind
from code_index.embedding.models.lookup import DEFAULT_MODEL

DETERMINISTIC: Final = "deterministic"
"""The model of hashed trigrams, for trials: needs no files, knows no meaning."""

_IDENTITY: Final = "part of the vectors' identity"


def _any_of(words: Iterable[str]) -> str:
    return f"^({'|'.join(words)})$"


class EmbedderConfig(CheckedSettings):
    """Choices of a caller; 0, `auto` and an empty revision mean what suits the model and the machine.

    A field's alias is the setting's name in `settings.toml`, beside other settings.
    """

    model: Annotated[str, _IDENTITY] = Field(
        default=DEFAULT_MODEL,
        min_length=1,
        description="Embedding model: default, fast or quality, a folder's absolute path, or a model hub's name.",
    )
    revision: Annotated[str, _IDENTITY] = Field(
        default="",
        alias="model_revision",
        description="Branch, tag or commit of a hub's model; empty for the local copy, else the newest.",
    )
    document_prompt: Annotated[str, _IDENTITY] = Field(
        default=AUTO, description="Text put before each chunk for the model; auto for what the model's folder says."
    )
    query_prompt: Annotated[str, _IDENTITY] = Field(
        default=AUTO, description="Text put before each query for the model; auto for what the model's folder says."
    )
    text_recipe: Annotated[str, _IDENTITY] = Field(
        default=TextRecipe.FULL.value,
        pattern=_any_of(TextRecipe),
        description="Text of a chunk that is embedded: full (names, path and source), full-1 (as full was in older versions) or source (as in single-table indexes).",
    )
    device: str = Field(
        default=AUTO,
        pattern=_any_of([AUTO, *(rf"{device}(:\d+)?" if device == "cuda" else device for device in DEVICES)]),
        description="Device of the model: auto (CUDA, then MPS, then CPU), cpu, cuda, cuda:<number> or mps.",
    )
    backend: str = Field(
        default=AUTO,
        pattern=_any_of([AUTO, *BACKENDS]),
        description="auto, onnx (CPU, without torch), static (tables of token vectors) or torch (any device, any model).",
    )
    precision: str = Field(
        default=AUTO,
        pattern=_any_of([AUTO, *PRECISIONS]),
        description="Arithmetic of the model: auto, float32, float16, bfloat16 or int8. Vectors are float32.",
    )
    max_tokens: Annotated[int, _IDENTITY] = Field(
        default=0,
        ge=0,
        description="Tokens of a text that the model reads; 0 for what suits the model. A change embeds everything again.",
    )
    token_budget: int = Field(
        default=0, ge=0, description="Maximum of tokens in one batch, padding included; 0 for what suits the device."
    )
    threads: int = Field(
        default=0, ge=0, le=1_024, alias="embed_threads", description="CPU threads of the model; 0 for all cores."
    )
    allow_download: bool = Field(default=False, description="Allow the download of a missing model from a model hub.")

    @model_validator(mode="after")
    def _backend_runs_on_device(self) -> Self:
        if self.backend in {"onnx", "static"} and device_kind(self.device) not in {AUTO, "cpu"}:
            raise SettingsError(
                f"backend {self.backend} runs on the CPU: use device cpu or backend torch, not {self.device}",
                settings=("backend", "device"),
            )
        return self

    def identity(self) -> dict[str, Any]:
        """The settings that decide the vectors of a model, by name; stored with them, to embed queries later."""
        names = {name for name, field in EmbedderConfig.model_fields.items() if _IDENTITY in field.metadata}
        return self.model_dump(by_alias=True, include=names)
