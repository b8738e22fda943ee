"""The plugin folder: what it holds is whole, and its hook reminds and never blocks."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest
from click import Context

from code_index.serving.mcp.definitions import TOOLS
from indexing_assets.agents.parts import parts_of, plugin_folder, shipped
from indexing_assets.agents.table import AGENTS, NAME, Places, Scope
from indexing_assets.cli.main import cli
from tests.waiting import PATIENCE_S

_PLUGIN = plugin_folder()
_SCRIPT = _PLUGIN / "skills/code-index/remind.sh"
_SHELLS = [shell for shell in ("/bin/sh", "/bin/bash", "/bin/dash") if Path(shell).exists()]
_GREP = {"session_id": "0f3c-1", "tool_name": "Grep", "tool_input": {"pattern": "x"}}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    (root / ".git").mkdir(parents=True)
    (root / ".code-index").mkdir()
    (root / ".code-index/index.json").write_text("{}")
    (root / "src/deep").mkdir(parents=True)
    return root


def _remind(folder: Path, call: object, home: Path, *, shell: str = "/bin/sh", script: Path = _SCRIPT, **more: str):
    given = call if isinstance(call, bytes) else json.dumps(call).encode()
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), **more}
    done = subprocess.run(
        [shell, str(script)],
        input=given,
        cwd=folder,
        env=environment,
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0
    assert done.stderr == b""
    return done.stdout.decode()


@pytest.mark.parametrize("shell", _SHELLS)
@pytest.mark.parametrize("folder", [".", "src/deep"])
def test_the_first_grep_of_a_session_is_reminded_and_no_other(
    shell: str, folder: str, repository: Path, tmp_path: Path
) -> None:
    answer = json.loads(_remind(repository / folder, _GREP, tmp_path, shell=shell))
    assert set(answer) == {"hookSpecificOutput"}
    said = answer["hookSpecificOutput"]
    # Without a decision, the agent asks for permission as it would have done.
    assert set(said) == {"hookEventName", "additionalContext"}
    assert said["hookEventName"] == "PreToolUse"
    assert len(said["additionalContext"]) < 600
    assert _remind(repository, _GREP, tmp_path, shell=shell) == ""
    assert _remind(repository, {**_GREP, "session_id": "other"}, tmp_path, shell=shell)


@pytest.mark.parametrize(
    ("command", "reminds"),
    [
        ("grep -rn foo .", True),
        ("rg foo", True),
        ("git grep foo", True),
        ("ls", False),
        ("git status", False),
        ("make test | grep FAILED", False),
        ("echo grep ", False),
    ],
)
def test_a_search_in_the_shell_is_reminded_as_well(
    command: str, reminds: bool, repository: Path, tmp_path: Path
) -> None:
    call = {"session_id": "s", "tool_name": "Bash", "tool_input": {"command": command}}
    assert bool(_remind(repository, call, tmp_path)) == reminds


@pytest.mark.parametrize(
    "call",
    [
        b"",
        b"no json",
        b"\x00\xff" * 500,
        b'{"tool_name": "Grep"' + b" " * 3_000_000 + b"}",
        {"tool_name": "Grep"},
        {**_GREP, "session_id": "../../outside"},
        {**_GREP, "session_id": "a" * 65},
        {**_GREP, "session_id": "$(touch outside)"},
        {**_GREP, "tool_name": "Read"},
    ],
    ids=lambda call: str(call)[:30],
)
def test_what_is_unclear_is_left_without_a_word(call: object, repository: Path, tmp_path: Path) -> None:
    assert _remind(repository, call, tmp_path) == ""
    assert not (repository / "outside").exists()
    assert not (tmp_path / ".local/outside").exists()


def test_nothing_is_said_or_written_where_there_is_no_index(repository: Path, tmp_path: Path) -> None:
    (repository / ".code-index/index.json").unlink()
    above = tmp_path / ".code-index"
    above.mkdir()
    (above / "index.json").write_text("{}")  # beyond the top of the checkout
    assert _remind(repository, _GREP, tmp_path) == ""
    assert not (tmp_path / ".local").exists()


def test_an_index_elsewhere_is_known_by_its_variable(repository: Path, tmp_path: Path) -> None:
    index = repository / ".code-index"
    moved = index.rename(tmp_path / "index")
    assert _remind(repository, _GREP, tmp_path, CODE_INDEX_DIR=str(moved))


def test_a_home_that_cannot_be_written_keeps_the_hook_quiet(repository: Path, tmp_path: Path) -> None:
    assert _remind(repository, _GREP, Path("/dev/null")) == ""
    assert _remind(repository, _GREP, tmp_path, XDG_STATE_HOME="/dev/null/x") == ""


def test_what_it_remembers_of_sessions_is_removed_after_a_week(repository: Path, tmp_path: Path) -> None:
    _remind(repository, _GREP, tmp_path)
    state = tmp_path / ".local/state/code-index/reminded"
    os.utime(state / "0f3c-1", (0, 0))
    _remind(repository, {**_GREP, "session_id": "next"}, tmp_path)
    assert [entry.name for entry in state.iterdir()] == ["next"]


@pytest.mark.parametrize(
    "agent", [agent for agent in AGENTS.values() if agent.name in {"claude", "codex"}], ids=lambda a: a.name
)
@pytest.mark.parametrize("scope", Scope)
def test_the_command_of_a_hook_ends_well_even_when_its_script_is_gone(agent, scope: Scope, tmp_path: Path) -> None:
    home = tmp_path / "it's a home"
    home.mkdir()
    hook = agent.hook(Places(home, home / ".config", tmp_path, {}), scope)
    for command in [item["command"] for item in hook.item["hooks"]]:
        done = subprocess.run(
            ["/bin/sh", "-c", command], cwd=tmp_path, input=b"{}", capture_output=True, timeout=PATIENCE_S, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_the_plugin_runs_the_same_server_and_hook_as_a_set_up(tmp_path: Path) -> None:
    places = Places(tmp_path, tmp_path, tmp_path, {})
    manifest = json.loads((_PLUGIN / ".claude-plugin/plugin.json").read_text())
    market = json.loads((_PLUGIN / ".claude-plugin/marketplace.json").read_text())
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    assert manifest["version"] == project["version"]
    assert manifest["name"] == NAME == market["plugins"][0]["name"]
    servers = json.loads((_PLUGIN / ".mcp.json").read_text())["mcpServers"]
    entry = dict(AGENTS["claude"].server(places, Scope.PROJECT, NAME).entry)
    assert {"type": "stdio", **servers[NAME]} == entry
    (hook,) = json.loads((_PLUGIN / "hooks/hooks.json").read_text())["hooks"]["PreToolUse"]
    ours = AGENTS["claude"].hook(places, Scope.PROJECT).item
    same = json.dumps(hook).replace("${CLAUDE_PLUGIN_ROOT}", "$CLAUDE_PROJECT_DIR/.claude")
    assert json.loads(same) == ours


def test_the_skill_has_the_head_that_every_agent_demands() -> None:
    text = shipped("SKILL.md").decode()
    name, description = re.fullmatch(r"---\nname: (.*)\ndescription: (.*)\n---\n.*", text, re.DOTALL).groups()
    assert name == NAME == _SCRIPT.parent.name
    assert len(description) <= 1024
    assert len(text) < 5_000 * 4, "under 5,000 tokens"


def test_the_skill_calls_tools_and_commands_as_they_are() -> None:
    text = shipped("SKILL.md").decode()
    tools = {tool.name: tool for tool in TOOLS}
    rows = re.findall(r"^\| [^|]+ \| `(\w+)` \| (.*)\|$", text, re.MULTILINE)
    assert {name for name, _ in rows} == set(tools)
    for name, example in rows:
        given = {key: json.loads(value) for key, value in re.findall(r'`(\w+)`: ("[^"]*"|\d+)', example)}
        also = [{}, {"name": "Router.get"}]["the same with" in example]
        assert tools[name].checked({**also, **given}), example
    known = {field for tool in TOOLS for field in tool.arguments.model_fields} | set(tools)
    assert set(re.findall(r"`([a-z_]+)`", text)) - known == {"fetch_user", "load_user"}
    for line in re.findall(r"`code-index ([^`]+)`", text):
        name, *arguments = shlex.split(line)
        assert cli.get_command(Context(cli), name).make_context(name, arguments), line


def test_an_agent_without_hooks_gets_no_script(tmp_path: Path) -> None:
    places = Places(tmp_path, tmp_path, tmp_path, {})
    for agent in AGENTS.values():
        names = {part.path.name for part in parts_of(agent, places, Scope.USER, NAME)}
        assert ("remind.sh" in names) == (agent.hook(places, Scope.USER) is not None)
