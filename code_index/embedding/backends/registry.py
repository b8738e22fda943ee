"""The backends by name and what each can do; known without a model library.

Belongs here: the names of backends, devices and precisions. Does not belong here: the choice for a machine
(`code_index.embedding.loader`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

AUTO: Final = "auto"
"""The word for what suits the model and the machine."""

BackendName = Literal["onnx", "torch", "static"]


@dataclass(frozen=True, slots=True)
class BackendAbilities:
    """Devices that a backend runs on, with the tokens that suit a batch there, and its arithmetic."""

    token_budgets: Mapping[str, int]
    precisions: tuple[str, ...]


BACKENDS: Final[Mapping[BackendName, BackendAbilities]] = {
    # A thread's batch stays in its core's cache (2,048 tokens: 0.7 of the speed).
    "onnx": BackendAbilities({"cpu": 256}, ("float32", "int8")),
    # GPUs: enough work to fill them at a few hundred megabytes; halved when that is too much.
    "torch": BackendAbilities(
        {"cpu": 4_096, "mps": 16_384, "cuda": 65_536},
        ("float32", "float16", "bfloat16"),  # no int8: it strays (cosine 0.92)
    ),
    # Nothing is padded or multiplied: batches only bound how much is in memory at once.
    "static": BackendAbilities({"cpu": 65_536}, ("float32",)),
}
DEVICES: Final = tuple(dict.fromkeys(device for backend in BACKENDS.values() for device in backend.token_budgets))
PRECISIONS: Final = tuple(dict.fromkeys(precision for backend in BACKENDS.values() for precision in backend.precisions))


def device_kind(device: str) -> str:
    """`cuda` of `cuda:1`."""
    return device.partition(":")[0]
