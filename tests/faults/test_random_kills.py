"""The short form of the fault suite: an index whose processes are killed at random ends as if nothing had happened.

`python -m tests.faults.long --kills 300` is the long form.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.faults.harness import Life, Report, small_steps
from tests.faults.long import COMMANDS

_KILLS = 12


@pytest.mark.long
def test_an_index_survives_kills_at_random_moments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in small_steps({}).items():
        monkeypatch.setenv(name, value)
    seed = int(os.environ.get("CODE_INDEX_FAULT_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
    report = Report()
    Life(tmp_path, random.Random(seed), report, commands=COMMANDS).live(_KILLS)
    assert not report.wrong, f"seed {seed}\n{report}"
    assert not report.repeated, f"seed {seed}\n{report}"
