"""Limits of the system, on Linux and, by what its calls would answer, on macOS."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from code_index.system import limits

_NONE = resource.RLIM_INFINITY


@pytest.fixture
def system(monkeypatch):
    """A system whose limits all are `values[0]`, and that takes up to `most` open files; `values` lists what was set."""

    class System:
        def __init__(self):
            self.values, self.most = [(_NONE, _NONE)], _NONE

        def set(self, kind, values):
            if self.most != _NONE and values[0] > self.most:
                raise ValueError("current limit exceeds maximum limit")
            self.values.append(values)

    fake = System()
    monkeypatch.setattr(resource, "getrlimit", lambda kind: fake.values[0])
    monkeypatch.setattr(resource, "setrlimit", fake.set)
    return fake


def test_the_memory_limit_is_counted_from_what_the_process_has(system):
    assert limits.bound_own_memory(1 << 30)
    _, (soft, hard) = system.values
    assert soft > 1 << 30
    assert hard == _NONE


def test_the_memory_limit_stays_below_that_of_the_system(system):
    system.values = [(1 << 20, 1 << 20)]
    assert limits.bound_own_memory(1 << 30)
    assert system.values[1:] == [(1 << 20, 1 << 20)]


def test_on_macos_no_memory_limit_is_set_and_the_answer_says_so(system, monkeypatch):
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.delattr(resource, "prlimit", raising=False)
    assert not limits.bound_own_memory(1 << 30)
    assert not limits.bound_memory_of(os.getpid(), 1 << 30)
    assert system.values == [(_NONE, _NONE)]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits another process")
def test_another_process_is_bound_while_it_lives():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        assert limits.bound_memory_of(other.pid, 1 << 40)
        assert resource.prlimit(other.pid, resource.RLIMIT_AS) == (1 << 40, 1 << 40)
        other.communicate(b"\n")
    assert not limits.bound_memory_of(other.pid, 1 << 40)


@pytest.mark.parametrize(
    ("before", "most", "after"),
    [
        ((1_024, _NONE), _NONE, [(65_536, _NONE)]),
        ((1_024, 4_096), _NONE, [(4_096, 4_096)]),
        ((256, _NONE), 10_240, [(10_240, _NONE)]),  # macOS, whatever it says of the limit
        ((256, _NONE), 100, []),  # a sandbox that refuses all
        ((20_000, _NONE), 10_240, []),  # never lowered
        ((100_000, _NONE), _NONE, []),
        ((_NONE, _NONE), _NONE, []),
    ],
)
def test_open_files_are_raised_as_far_as_the_system_takes(system, before, most, after):
    system.values, system.most = [before], most
    limits.raise_open_files(65_536)
    assert system.values[1:] == after


def test_no_limit_is_none(system, monkeypatch, tmp_path):
    asked = (limits.address_space_bytes, limits.file_size_bytes, limits.open_files, limits.threads)
    monkeypatch.setattr(limits, "_CONTAINER_THREADS", tmp_path / "missing")
    assert [ask() for ask in asked] == [None] * 4
    system.values = [(77, 100)]
    assert [ask() for ask in asked] == [77] * 4


def test_the_lower_limit_of_threads_counts(system, monkeypatch, tmp_path):
    monkeypatch.setattr(limits, "_CONTAINER_THREADS", tmp_path / "pids.max")
    (tmp_path / "pids.max").write_text("50\n")
    assert limits.threads() == 50
    system.values = [(40, 40)]
    assert limits.threads() == 40
    (tmp_path / "pids.max").write_text("max\n")
    assert limits.threads() == 40


def test_peak_memory_is_bytes_in_the_unit_of_each_system(monkeypatch):
    usage = resource.struct_rusage([0, 0, 2_048, *[0] * 13])
    monkeypatch.setattr("sys.platform", "linux")
    assert limits.peak_memory_bytes(usage) == 2 << 20
    monkeypatch.setattr("sys.platform", "darwin")
    assert limits.peak_memory_bytes(usage) == 2 << 10


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own figure")
def test_peak_memory_is_what_the_kernel_says():
    (line,) = [one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmHWM")]
    assert limits.peak_memory_bytes() == pytest.approx(int(line.split()[1]) << 10, rel=0.1)
