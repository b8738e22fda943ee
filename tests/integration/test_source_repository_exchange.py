"""Files and folders that are exchanged for links while a file is read: no content of elsewhere is ever read."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from code_index.core.errors import RepositoryError
from code_index.repository import source_repository
from code_index.repository.source_repository import SourceRepository

_CALLS = ("open", "stat", "lstat")


def before_call(number: int, change: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Call `change` before the system is asked for the so many-th time; returns a list whose length counts."""
    asked: list[int] = []

    def watched(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            asked.append(1)
            if len(asked) == number:
                change()
            return real(*arguments, **options)

        return call

    for name in _CALLS:
        monkeypatch.setattr(os, name, watched(getattr(os, name)))
    return asked


@pytest.mark.parametrize("exchanged", ["a/b/code.py", "a/b", "a"])
def test_what_is_exchanged_for_a_link_at_any_step_of_a_read_leads_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchanged: str
) -> None:
    monkeypatch.setattr(source_repository, "_RETRY_WAIT_S", 0)
    refused, steps = 0, 0
    for number in range(1, 100):
        root, outside = tmp_path / str(number) / "root", tmp_path / str(number) / "outside"
        for place, content in ((root, "ours"), (outside, "secret")):
            (place / "a/b").mkdir(parents=True)
            (place / "a/b/code.py").write_text(content)
        repository = SourceRepository(root)

        def exchange(root: Path = root, outside: Path = outside) -> None:
            (root / exchanged).rename(root / "old")
            (root / exchanged).symlink_to(outside / exchanged)

        with monkeypatch.context() as patched:
            asked = before_call(number, exchange, patched)
            with suppress(RepositoryError):
                assert repository.read("a/b/code.py").content == b"ours"
                refused -= 1
        refused += 1
        if len(asked) < number:
            break
        steps += 1
    assert steps >= 6, "every step was tried"
    assert refused >= 2, "and some of them must have seen the link"


@pytest.mark.parametrize("path", ["../outside.py", "a/../../outside.py", "./a.py", "a//b.py"])
def test_a_path_that_is_not_plainly_below_the_root_is_refused(tmp_path: Path, path: str) -> None:
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    for place in (tmp_path / "outside.py", root / "a.py", root / "a/b.py"):
        place.write_text("x")
    with pytest.raises(RepositoryError, match="not below the root"):
        SourceRepository(root).read(path)
