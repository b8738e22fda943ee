"""The contract of an embedding backend, and the errors that tell its failures apart.

Belongs here: the seam between the choice of texts for a batch (`batch_runner`) and the computation of its vectors
(`backends.onnx`, `backends.torch`). Does not belong here: anything that imports a model library.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from code_index.core.errors import EmbeddingError
from code_index.core.unit_vectors import Vectors


class DeviceMemoryError(EmbeddingError):
    """A batch does not fit into the device's memory; a smaller one may."""


class DeviceLostError(EmbeddingError):
    """The device cannot be used again in this process; no text is to blame."""


class TransientReason(str):
    """A reason why a text has no vector, where a later retry may give one."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Tokens:
    """A text ready for a backend.

    `length` counts tokens, special ones included, after truncation; it decides the batch. `ids` are
    the tokens; a backend that tokenizes inside its model leaves them empty and reads `text` and `prompt`.
    """

    length: int
    ids: Sequence[int] = ()
    text: str = ""
    prompt: str = ""


class Backend(Protocol):
    """A model on a device."""

    @property
    def dimension(self) -> int:
        """Length of a vector."""

    @property
    def device(self) -> str:
        """`cpu`, `cuda:0` or `mps`."""

    @property
    def description(self) -> str:
        """Device, library, precision and threads in words."""

    @property
    def length_multiple(self) -> int:
        """Batches are padded to a multiple of this many tokens."""

    @property
    def parallelism(self) -> int:
        """Number of batches that may be computed at once, each by a thread that calls `forward`."""

    def tokenize(self, texts: Sequence[str], prompt: str) -> list[Tokens]:
        """Tokens of each text, in order, cut to the window.

        Raises:
            EmbeddingError: a text cannot be tokenized.
        """

    def forward(self, batch: Sequence[Tokens]) -> Vectors:
        """Vectors of the batch, (n, dim) float32, input order; neither norm nor finiteness is promised.

        Raises:
            DeviceMemoryError: the batch does not fit.
            DeviceLostError: the device cannot be used again.
            EmbeddingError: the batch fails for another reason.
        """

    def release_memory(self) -> None:
        """Free the memory that the library's allocator holds."""
