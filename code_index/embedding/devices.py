"""Devices and abilities of the machine, found without importing a model library where possible.

Belongs here: the choice of a device with its reason, and what the processor is good at. Does not belong here: what the
system says of both (`code_index.system.hardware`). A machine without an accelerator must not spend the seconds of importing torch to learn that.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass

from code_index.core.distribution import has_extra, missing_extra
from code_index.core.errors import ModelError
from code_index.core.lazy_imports import importing
from code_index.system.hardware import cpu_features, is_apple_processor, nvidia_driver_present

_CUDA_WITHOUT_TORCH = missing_extra("torch", "there is an NVIDIA driver, and its GPU")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DeviceChoice:
    """A device (`cpu`, `cuda:0`, `mps`) and why it was taken."""

    device: str
    reason: str


def choose_device(requested: str) -> DeviceChoice:
    """The device for `auto`, `cpu`, `cuda`, `cuda:<n>` or `mps`: auto takes CUDA, then MPS, then the CPU.

    Raises:
        ModelError: a device was asked for by name and cannot be used.
    """
    if requested == "cpu":
        return DeviceChoice("cpu", "cpu was asked for")
    if requested == "mps":
        if obstacle := mps_obstacle():
            raise ModelError(f"device mps cannot be used: {obstacle}; use device auto or cpu")
        return DeviceChoice("mps", "mps was asked for")
    if requested.startswith("cuda"):
        index = int(requested.partition(":")[2] or 0)
        if obstacle := cuda_obstacle(index):
            raise ModelError(f"device {requested} cannot be used: {obstacle}; use device auto or cpu")
        return DeviceChoice(f"cuda:{index}", f"{requested} was asked for")
    no_cuda = cuda_obstacle(0)
    if no_cuda is None:
        return DeviceChoice("cuda:0", "auto: CUDA is available")
    if no_cuda == _CUDA_WITHOUT_TORCH:
        _LOG.warning("The model runs on the CPU: %s", no_cuda)
    no_mps = mps_obstacle()
    if no_mps is None:
        return DeviceChoice("mps", "auto: Metal is available")
    return DeviceChoice("cpu", f"auto: no CUDA ({no_cuda}), no MPS ({no_mps})")


def cuda_obstacle(index: int) -> str | None:
    """The reason why `cuda:<index>` cannot be used, or None. torch is imported only where there is an NVIDIA driver."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in {"", "-1"}:
        return "CUDA_VISIBLE_DEVICES hides all GPUs"
    if not nvidia_driver_present():
        return "no NVIDIA driver"
    if not has_extra("torch"):
        return _CUDA_WITHOUT_TORCH
    with importing:
        import torch

    if not torch.cuda.is_available():
        built = f"is built for CUDA {torch.version.cuda}" if torch.version.cuda else "is built without CUDA"
        return f"there is an NVIDIA driver, but torch {torch.__version__} {built} and finds no usable GPU"
    count = torch.cuda.device_count()
    return None if index < count else f"there are {count} GPUs, counted from 0"


def mps_obstacle() -> str | None:
    """The reason why Metal cannot be used, or None. torch is imported only on Apple processors."""
    if not is_apple_processor():
        return "no Apple processor"
    if not has_extra("torch"):
        return missing_extra("torch", "there is an Apple processor, and its GPU")
    with importing:
        import torch

    if torch.backends.mps.is_available():
        return None
    return f"torch {torch.__version__} has no Metal support on this system"


def has_fast_int8() -> bool:
    """Tell whether the processor has exact and fast int8 products (VNNI or the Arm dot product).

    Without them x86 adds pairs of products in 16 bits, which overflow, and int8 gains little.
    """
    return bool(cpu_features() & {"avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"})


def has_fast_bfloat16() -> bool:
    """Tell whether bfloat16 products are native; emulated ones are up to four times slower than float32."""
    return bool(cpu_features() & {"avx512_bf16", "amx_bf16"})


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error of a library means that memory ran out, by its text: the errors share no class.

    Source: the messages of torch 2.9-2.13 (CUDA, cuBLAS, Metal and CPU allocators) and ONNX Runtime 1.24-1.32.
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error).lower()
    signs = (
        "out of memory",
        "failed to allocate memory",
        "can't allocate memory",
        "cannot allocate memory",
        "not enough memory",
        "bad_alloc",
        "bad allocation",
        "alloc_failed",
    )
    return any(sign in text for sign in signs)


def is_device_lost(error: BaseException) -> bool:
    """Tell whether a CUDA error leaves the process's context unusable: any that is not about memory."""
    text = str(error)
    return "CUDA error" in text or "device-side assert" in text or "CUBLAS_STATUS_EXECUTION_FAILED" in text
