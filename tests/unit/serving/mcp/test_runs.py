"""Runs in the background: one at a time for an index, known by their end."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from code_index.core.errors import StoreError
from code_index.index.folder import IndexFolder
from code_index.index.locks import Phase, hold
from code_index.serving.mcp.runs import IndexRuns, RunState
from tests.waiting import wait_until


def _folder(tmp_path: Path) -> IndexFolder:
    return IndexFolder(path=tmp_path / "index", repository_root=tmp_path)


def _program(text: str) -> tuple[str, ...]:
    return (sys.executable, "-P", "-c", text)


def _ended(runs: IndexRuns, folder: IndexFolder) -> RunState:
    def look() -> RunState | None:
        state = runs.state(folder)
        assert state is not None
        return None if state.status is None else state

    state = wait_until(look, "the run ends")
    assert state is not None
    return state


def test_a_run_gets_the_repository_and_its_index_and_one_goes_on_at_a_time(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    waiting = (
        f"import sys, time, os\nprint(*sys.argv[1:], os.getcwd(), flush=True)\nwhile not os.path.exists({str(gate)!r}):\n"
        "    time.sleep(0.01)\nprint('done')"
    )
    runs, folder = IndexRuns(_program(waiting)), _folder(tmp_path)
    assert runs.state(folder) is None
    assert runs.start(folder)
    assert not runs.start(folder)
    said = f"{tmp_path} --index-dir {folder.path} /"
    wait_until(lambda: (state := runs.state(folder)) and state.said == said, "the run begins to say something")
    assert runs.state(folder).status is None
    gate.touch()
    state = _ended(runs, folder)
    assert (state.status, state.said) == (0, f"{said}\ndone")
    assert runs.state(folder) is state
    assert runs.start(folder)
    assert _ended(runs, folder).status == 0


def test_a_run_that_fails_tells_its_last_lines(tmp_path: Path) -> None:
    runs, folder = (
        IndexRuns(_program("print('x' * 10_000, flush=True)\nraise SystemExit('no space left')")),
        _folder(tmp_path),
    )
    assert runs.start(folder)
    state = _ended(runs, folder)
    assert state.status == 1
    assert state.said.endswith("no space left")
    assert len(state.said) <= 2_000


def test_no_run_is_started_where_another_process_writes(tmp_path: Path) -> None:
    runs, folder = IndexRuns(_program("raise SystemExit(1)")), _folder(tmp_path)
    with hold(folder.locks_dir, Phase.EMBED):
        assert not runs.start(folder)
    assert runs.state(folder) is None


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No index run could be started"):
        IndexRuns((str(tmp_path / "missing"),)).start(_folder(tmp_path))
