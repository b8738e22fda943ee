"""Identity of processes, among containers as well, and where there is no `/proc`."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from code_index.system import processes
from code_index.system.processes import is_seen_from_here, namespace, start_stamp
from tests.waiting import started, wait_until


@pytest.fixture
def without_proc(monkeypatch, tmp_path):
    """A system such as macOS: nothing in `/proc`; psutil asks it by other calls."""
    monkeypatch.setattr(processes, "_fields_of", lambda pid: None)
    for place in ("_BOOT_ID", "_NAMESPACE"):
        monkeypatch.setattr(processes, place, tmp_path / "missing")


def test_a_stamp_is_of_one_process_and_stays(without_proc):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        stamp = start_stamp(other.pid)
        assert re.fullmatch(r"\d+\.\d\d", stamp)
        assert start_stamp(other.pid) == stamp
        other.communicate(b"\n")
    assert start_stamp(other.pid) == ""


def test_a_process_that_nobody_waited_for_does_not_live(without_proc):
    with started(sys.executable, "-c", "") as other:
        wait_until(lambda: psutil.Process(other.pid).status() == psutil.STATUS_ZOMBIE, "the process ended")
        assert start_stamp(other.pid) == ""


def test_macos_has_one_space_of_numbers(without_proc):
    assert namespace() == ""
    assert is_seen_from_here(socket.gethostname(), "")
    assert not is_seen_from_here(socket.gethostname(), "4026531836"), "written in a container on the same folder"


def test_a_process_is_seen_in_its_host_and_space_only():
    here = socket.gethostname()
    assert is_seen_from_here(here, namespace())
    assert is_seen_from_here(here, None), "of a version that did not note it"
    assert not is_seen_from_here(here, "1")
    assert not is_seen_from_here("elsewhere", namespace())
    assert not is_seen_from_here(None, None)


@pytest.mark.skipif(sys.platform != "linux", reason="spaces of process numbers are Linux's")
def test_another_space_has_another_name():
    unshare = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*unshare, "true"], check=False, capture_output=True).returncode
    ):
        pytest.skip("a space of process numbers needs root and unshare")
    code = "from code_index.system.processes import namespace; print(namespace())"
    done = subprocess.run(
        [*unshare, sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    assert done.stdout.strip().isdecimal()
    assert done.stdout.strip() != namespace() != ""
