"""Locks of files between processes: held until their process ends, and seen by who only looks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from code_index.system.file_locks import is_left, is_locked, share_until_the_end, try_lock

_ROOT = Path(__file__).parents[3]
_SHARER = (
    "import sys; from pathlib import Path; from code_index.system.file_locks import share_until_the_end\n"
    "share_until_the_end(Path(sys.argv[1])); share_until_the_end(Path(sys.argv[1])); print('shared', flush=True); input()"
)


def _opened(path):
    return os.open(path, os.O_RDWR | os.O_CREAT)


def test_one_at_a_time_has_the_lock(tmp_path):
    first, second = _opened(tmp_path / "lock"), _opened(tmp_path / "lock")
    try:
        assert not is_locked(first)
        assert try_lock(first)
        assert not try_lock(second)
        assert is_locked(second)
    finally:
        os.close(first)
    assert not is_locked(second)
    assert try_lock(second)
    os.close(second)


def test_a_shared_file_is_left_when_the_last_process_that_shares_it_ends(tmp_path):
    path = tmp_path / "folder" / "living"
    assert not is_left(path), "nobody can be asked"

    def sharer():
        process = subprocess.Popen(
            [sys.executable, "-c", _SHARER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_ROOT
        )
        assert process.stdout.readline() == b"shared\n"
        return process

    with sharer() as first, sharer() as second:
        assert not is_left(path)
        first.kill()
        first.wait()
        assert not is_left(path)
        second.kill()
        second.wait()
        assert is_left(path)
    assert path.stat().st_mode & 0o077 == 0


def test_a_process_that_shares_has_not_left(tmp_path):
    share_until_the_end(tmp_path / "living")
    assert not is_left(tmp_path / "living")
