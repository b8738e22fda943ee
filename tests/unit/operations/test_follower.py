"""The parent's end of the process that follows a repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from code_index.index.folder import IndexFolder
from indexing_assets.operations import follower
from indexing_assets.operations.follower import FollowerProcess
from tests.waiting import wait_until


def test_what_a_library_prints_in_the_child_is_passed_on_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "_MODULE", "this")  # prints a poem
    told: list[str] = []
    folder = IndexFolder(path=tmp_path / "index", repository_root=tmp_path)
    with FollowerProcess(folder, on_message=told.append) as child:
        wait_until(lambda: child.said["state"] == "ended", "its end is known")
    assert "The Zen of Python, by Tim Peters" in told
    assert "ended with status 0" in child.said["reason"]
