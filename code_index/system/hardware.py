"""Processors that this process may use and what they can do, and whether there is an accelerator's driver.

Does not belong here: the choice of a device and of a precision (`code_index.embedding.devices`).
"""

from __future__ import annotations

import ctypes
import math
import os
import platform
import sys
from functools import cache
from pathlib import Path
from typing import Final

import psutil

_CPUINFO: Final = Path("/proc/cpuinfo")
_NVIDIA_DRIVER: Final = Path("/proc/driver/nvidia/version")
_CPU_QUOTA: Final = Path("/sys/fs/cgroup/cpu.max")


def available_processors() -> int:
    """Processors that this process may use, at least 1; macOS binds no process to some of them: there all."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def available_threads() -> int:
    """Threads that compute at full speed: physical cores, within this process's affinity and the container's quota (Linux)."""
    physical = psutil.cpu_count(logical=False)
    return max(1, min(os.cpu_count() or 1, available_processors(), physical or sys.maxsize, _quota()))


def is_apple_processor() -> bool:
    """Tell whether this is macOS on a processor of Apple's, which Metal computes on."""
    return (sys.platform, platform.machine()) == ("darwin", "arm64")


def nvidia_driver_present() -> bool:
    """Tell whether an NVIDIA driver is loaded; takes microseconds where none is. There is none for macOS."""
    if sys.platform == "darwin":
        return False
    if _NVIDIA_DRIVER.exists():
        return True
    try:  # containers and WSL have the library without the /proc entry
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


@cache
def cpu_features() -> frozenset[str]:
    """The processor's feature flags as Linux spells them (`avx512_vnni`, `amx_bf16`, `asimddp`); empty if unknown.

    macOS says nothing of them: of a processor of Apple's the flag is known that each has, of Intel's none.
    """
    if is_apple_processor():
        return frozenset({"asimddp"})  # the dot product
    try:
        text = _CPUINFO.read_text(errors="replace")
    except OSError:
        return frozenset()
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() in {"flags", "Features"}:
            return frozenset(value.split())
    return frozenset()


def _quota() -> int:
    try:
        quota, period = _CPU_QUOTA.read_text().split()[:2]
        return max(1, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):  # no cgroup, or "max": no quota
        return sys.maxsize
