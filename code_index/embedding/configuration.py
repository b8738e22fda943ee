"""What a caller may choose about the embedder, checked once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from code_index.core.embedding_text import TextRecipe
from code_index.core.errors import SettingsError
from code_index.embedding.models.lookup import DEFAULT_MODEL

BACKENDS: Final = ("auto", "onnx", "torch")
PRECISIONS: Final = ("auto", "float32", "float16", "bfloat16", "int8")
_DEVICE: Final = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


@dataclass(frozen=True, slots=True)
class EmbedderConfig:
    """The choices; None and `auto` mean what suits the model and the machine.

    `model` is the built-in name, a folder, a hub's name, or `deterministic` (hashed trigrams, for trials).
    `max_tokens` is the model's window, `token_budget` the most tokens in a batch, padding included. A prompt
    of None is the one that the model's folder names. `text_recipe` is what of a chunk is embedded: it is part of
    the identity of the vectors.
    """

    model: str = DEFAULT_MODEL
    device: str = "auto"
    backend: str = "auto"
    precision: str = "auto"
    max_tokens: int | None = None
    token_budget: int | None = None
    threads: int | None = None
    allow_download: bool = False
    revision: str | None = None
    document_prompt: str | None = None
    query_prompt: str | None = None
    text_recipe: str = TextRecipe.FULL.value

    def __post_init__(self) -> None:
        """Refuse values that cannot be used.

        Raises:
            SettingsError: names the setting, its value and what is possible.
        """
        if not self.model:
            raise SettingsError(f"model is empty: name a model, such as {DEFAULT_MODEL}")
        if not _DEVICE.fullmatch(self.device):
            raise SettingsError(f"device = {self.device!r}: use auto, cpu, cuda, cuda:<number> or mps")
        if self.backend not in BACKENDS:
            raise SettingsError(f"backend = {self.backend!r}: use {', '.join(BACKENDS)}")
        if self.precision not in PRECISIONS:
            raise SettingsError(f"precision = {self.precision!r}: use {', '.join(PRECISIONS)}")
        if self.text_recipe not in list(TextRecipe):
            raise SettingsError(f"text_recipe = {self.text_recipe!r}: use {', '.join(TextRecipe)}")
        for name in ("max_tokens", "token_budget", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise SettingsError(f"{name} = {value}: use a number of at least 1, or leave it out")
        if self.backend == "onnx" and self.device not in {"auto", "cpu"}:
            raise SettingsError(f"backend onnx runs on the CPU: use device cpu or backend torch, not {self.device}")
