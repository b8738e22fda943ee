"""Processors, their features and drivers, on Linux and, by what its calls would answer, on macOS."""

from __future__ import annotations

import os

import pytest

from code_index.embedding import devices
from code_index.system import hardware
from code_index.system.hardware import available_processors


@pytest.fixture(autouse=True)
def _asked_again():
    hardware.cpu_features.cache_clear()
    yield
    hardware.cpu_features.cache_clear()


@pytest.mark.parametrize(
    ("text", "quick"),
    [
        ("processor: 0\nflags\t\t: fpu avx512_vnni amx_bf16\n", (True, True)),
        ("processor: 0\nflags\t\t: fpu avx2\n", (False, False)),
        ("processor: 0\nFeatures\t: fp asimd asimddp\n", (True, False)),
        (None, (False, False)),
    ],
)
def test_processor_features_decide_what_is_fast(monkeypatch, tmp_path, text, quick):
    path = tmp_path / "cpuinfo"
    if text is not None:
        path.write_text(text)
    monkeypatch.setattr(hardware, "_CPUINFO", path)
    monkeypatch.setattr(hardware.sys, "platform", "linux")
    assert (devices.has_fast_int8(), devices.has_fast_bfloat16()) == quick


@pytest.mark.parametrize(
    ("affinity", "physical", "quota", "expected"),
    [
        (8, 4, "max 100000", 4),
        (2, 4, "max 100000", 2),
        (8, 8, "150000 100000", 2),
        (8, None, None, 8),
        (8, 8, "1 9", 1),
    ],
)
def test_threads_respect_cores_affinity_and_quota(monkeypatch, tmp_path, affinity, physical, quota, expected):
    path = tmp_path / "cpu.max"
    if quota is not None:
        path.write_text(quota + "\n")
    monkeypatch.setattr(hardware, "_CPU_QUOTA", path)
    monkeypatch.setattr(hardware.os, "cpu_count", lambda: 16)
    monkeypatch.setattr(hardware.os, "sched_getaffinity", lambda pid: set(range(affinity)), raising=False)
    monkeypatch.setattr(hardware.psutil, "cpu_count", lambda *, logical: physical)
    assert hardware.available_threads() == expected


@pytest.fixture
def macos(monkeypatch, tmp_path):
    """The calls of macOS: no affinity, nothing in `/proc` or `/sys`."""
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    for place in ("_CPUINFO", "_CPU_QUOTA"):
        monkeypatch.setattr(hardware, place, tmp_path / "missing")


def test_on_macos_all_processors_may_be_used(macos, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 10)
    monkeypatch.setattr(hardware.psutil, "cpu_count", lambda *, logical: 8)
    assert (available_processors(), hardware.available_threads()) == (10, 8)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert (available_processors(), hardware.available_threads()) == (1, 1)


@pytest.mark.parametrize(("machine", "quick"), [("arm64", (True, False)), ("x86_64", (False, False))])
def test_on_macos_only_processors_of_apple_are_known_to_be_fast(macos, monkeypatch, machine, quick):
    monkeypatch.setattr(hardware.platform, "machine", lambda: machine)
    assert (devices.has_fast_int8(), devices.has_fast_bfloat16()) == quick
    assert hardware.is_apple_processor() == (machine == "arm64")


def test_linux_on_arm_is_no_apple_processor(monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(hardware.platform, "machine", lambda: "arm64")
    assert not hardware.is_apple_processor()
