"""Memory that was freed goes back to the operating system."""

import ctypes

import psutil
import pytest

from code_index.system import memory
from code_index.system.memory import FreedMemory, give_back_memory

_BLOCK_BYTES = 1_000  # malloc's, not Python's own small ones
_BLOCKS = 100_000
_HELD = 100  # every so many blocks one stays: nothing at the end is free


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="only glibc keeps such pages, and gives them back"
)
def test_pages_between_blocks_in_use_are_given_back() -> None:
    blocks = [bytes(_BLOCK_BYTES) for _ in range(_BLOCKS)]
    held = blocks[::_HELD]
    del blocks
    kept = psutil.Process().memory_info().rss
    give_back_memory()
    assert kept - psutil.Process().memory_info().rss > _BLOCKS * _BLOCK_BYTES / 2
    assert len(held) == _BLOCKS // _HELD


def test_it_is_given_back_at_the_first_commit_and_then_at_times(monkeypatch: pytest.MonkeyPatch) -> None:
    now, given = [100.0], []
    monkeypatch.setattr(memory, "give_back_memory", lambda: given.append(now[0]))
    freed = FreedMemory(clock=lambda: now[0])
    for _ in range(25):
        freed.after_commit()
        now[0] += 1.0
    assert given == [100.0, 110.0, 120.0]
