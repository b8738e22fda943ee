"""`code-index setup`, as a user runs it."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from code_index.index.trust import STATE_VARIABLE

_Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))
    for name in ("XDG_CONFIG_HOME", "CLAUDE_CONFIG_DIR", "CODEX_HOME", "CLINE_DIR", "CLINE_MCP_SETTINGS_PATH"):
        monkeypatch.delenv(name, raising=False)
    return home


def test_a_set_up_tells_each_file_a_second_one_nothing_and_undoing_takes_all_out(
    home: Path, command_line: _Run
) -> None:
    (home / ".cursor").mkdir()
    (home / ".cursor/mcp.json").write_text('{"mcpServers": {}}\n')
    told = command_line("setup", "--agent", "cursor,codex").stdout
    assert "Cursor: ~/.cursor/mcp.json: the server, in mcpServers: added" in told
    assert "Codex: ~/.codex/config.toml: the server, in mcp_servers: added" in told
    entry = json.loads((home / ".cursor/mcp.json").read_text())["mcpServers"]["code-index"]
    assert Path(entry["command"]).is_absolute()
    assert Path(entry["command"]).resolve() == (Path(sys.executable).parent / "code-index").resolve()
    assert stat.S_IMODE((home / ".codex/config.toml").stat().st_mode) == 0o600
    assert command_line("setup", "--agent", "cursor", "--agent", "codex").stdout == "Nothing to do: all is set up.\n"
    assert "Cursor: ~/.cursor/mcp.json: the server, in mcpServers: would be put back as it was" in (
        command_line("setup", "--undo", "--dry-run").stdout
    )
    command_line("setup", "--undo")
    assert [path.name for path in home.rglob("*")] == [".cursor", "mcp.json"]
    assert (home / ".cursor/mcp.json").read_text() == '{"mcpServers": {}}\n'
    assert command_line("setup", "--undo").stdout == "Nothing to undo.\n"


def test_a_project_is_set_up_at_the_top_of_its_checkout(home: Path, tmp_path: Path, command_line: _Run) -> None:
    project = tmp_path / "project"
    (project / ".git").mkdir(parents=True)
    (project / "src").mkdir()
    command_line("setup", "--project", "--agent", "claude", cwd=project / "src")
    entry = json.loads((project / ".mcp.json").read_text())["mcpServers"]["code-index"]
    assert entry == {"type": "stdio", "command": "code-index", "args": ["mcp"]}
    assert stat.S_IMODE((project / ".mcp.json").stat().st_mode) == 0o644
    assert not list(home.iterdir())
    told = command_line("setup", "--project", project, "--agent", "windsurf").stderr
    assert "Windsurf reads no servers of a project: run `code-index setup --user --agent windsurf`." in told


def test_a_refused_file_is_told_with_its_place_and_ends_with_status_1(home: Path, command_line: _Run) -> None:
    (home / ".gemini").mkdir()
    (home / ".gemini/settings.json").write_text("{\n  theme: 1\n}")
    done = command_line("setup", "--agent", "gemini", check=1)
    assert (
        f"{home}/.gemini/settings.json cannot be read as JSON (line 2, column 3: a string is expected)" in done.stderr
    )
    assert "1 file was not touched" in done.stderr
    assert (home / ".agents/skills/code-index/SKILL.md").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--agent", "emacs"], "There is no agent emacs. Name some of claude, codex"),
        (["."], "PATH is for --project"),
        (["--project", "/nowhere"], "/nowhere is not a folder"),
        ([], "No agent was found. Name some with --agent"),
    ],
)
def test_wrong_use_is_refused(arguments, told, home: Path, command_line: _Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(home))
    assert told in command_line("setup", *arguments, check=2).stderr
    assert list(home.iterdir()) == []


def test_the_plugin_is_told_with_the_commands_that_install_it(home: Path, command_line: _Run) -> None:
    folder, add, install = command_line("setup", "--plugin").stdout.splitlines()
    assert (Path(folder) / ".claude-plugin/plugin.json").exists()
    assert add == f"claude plugin marketplace add {folder}"
    assert install == "claude plugin install code-index@code-index"
