"""Tables, settings, locks and old indexes that others wrote: no command obeys or crashes on what they hold."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import lancedb
import pyarrow as pa
import pytest

from code_index.index.folder import resolve_index_folder
from code_index.index.locks import LockOwner
from indexing_assets.cli.terminal_progress import tell_waiting
from resources.instance_config import instance_config
from tests.faults.harness import Said
from tests.indexed_copies import copy_indexed

_HOSTILE = "\x1b[2J\x1b]0;title\x07\x9b31m\u202e\x7f\r\n"
# What the commands need to find their rows; the rest may hold anything.
_KEYS = {"chunk_id", "file_hash", "search_text", "embedding_model", "status"}
_COMMANDS = (
    ["search", "alpha", "--mode", "lexical"],
    ["search", "alpha"],
    ["search", "alpha", "--json"],
    ["status"],
    ["status", "--json"],
    ["status", "--failed"],
    ["status", "--failed", "--json"],
    ["status", "--skipped"],
    ["doctor"],
    ["doctor", "--json"],
    ["config"],
    ["config", "--json"],
    ["cleanup", "--dry-run"],
)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hostile_tables") / "repository"
    root.mkdir()
    (root / "a.py").write_text("def alpha():\n    return 1\n")
    (root / "b.py").write_text("def beta():\n    return 2\n")
    return root


@pytest.fixture
def hostile(template: Path, tmp_path: Path, deterministic_model: None, said: Callable[..., Said]) -> Path:
    if not (template / ".code-index").exists():
        assert said("index", template).status == 0
    root = copy_indexed(template, tmp_path / "repository")
    database = lancedb.connect(root / ".code-index" / "tables")
    for name in ("chunks", "vectors", "files"):
        table = database.open_table(name)
        texts = [field.name for field in table.schema if pa.types.is_string(field.type) and field.name not in _KEYS]
        table.update(values={name: _HOSTILE + name for name in texts if name != "file_path"})
    files = database.open_table("files")
    files.update(where="file_path = 'a.py'", values={"status": "error", "reason": _HOSTILE})
    files.update(where="file_path = 'b.py'", values={"status": "skipped", "reason": _HOSTILE})
    return root


@pytest.fixture
def deterministic_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")


def test_no_command_prints_a_control_character_that_a_table_holds(hostile: Path, said: Callable[..., Said]) -> None:
    for command in _COMMANDS:
        done = said(*command, *(["-C"] if command[0] == "search" else []), hostile)
        printed = done.out + done.err
        assert {c for c in printed if not c.isprintable()} <= {"\n"}, command
        assert "Traceback" not in printed, command
        if "--json" in command:
            json.loads(done.out)
    assert "\\x1b[2J" in said("search", "alpha", "-C", hostile, "--mode", "lexical").out
    assert "\\x1b[2J" in said("status", hostile, "--failed").out
    assert "\\x1b[2J" in said("status", hostile, "--skipped").out


def test_settings_and_the_owner_of_a_lock_are_printed_escaped(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    said: Callable[..., Said],
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = resolve_index_folder(tmp_path)
    folder.create(instance_config())
    folder.settings_path.write_text('ignore = ["\\u001b[2J", "\\u009b"]\n')
    monkeypatch.setenv("CODE_INDEX_MODEL", f"/nowhere{_HOSTILE}")
    for command in (["config"], ["config", "--json"]):
        done = said(*command, tmp_path)
        assert done.status == 0
        assert {c for c in done.out + done.err if not c.isprintable()} <= {"\n"}
        assert "x1b[2J" in done.out or "u001b[2J" in done.out
    tell_waiting(LockOwner(host=_HOSTILE, pid=1, since=_HOSTILE, command=f"python{_HOSTILE}"))
    told = capsys.readouterr().err
    assert "python\\x1b[2J" in told
    assert {c for c in told if not c.isprintable()} == {"\n"}
    assert told.count("\n") == 1
