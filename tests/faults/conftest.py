"""Fixtures of the fault suite."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from indexing_assets.cli.main import main
from tests.faults.harness import Said


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Run the console script in this process: many short commands, and no interpreter to start for each."""

    def run(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["code-index", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return Said(ended.value.code or 0, printed.out, printed.err)

    return run
