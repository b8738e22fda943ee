"""Agents are set up and undone: every file but ours keeps every byte, its mode and its link."""

from __future__ import annotations

import json
import os
import stat
import tomllib
from pathlib import Path

import pytest

from code_index.index.trust import STATE_VARIABLE
from indexing_assets.agents import files, jsonc
from indexing_assets.agents.parts import parts_of
from indexing_assets.agents.steps import found, set_up, undo
from indexing_assets.agents.table import AGENTS, Places, Scope

_PROGRAM = "/opt/code index/bin/code-index"
# As they are found in the wild: no newline at the end, tabs, CRLF, comments, trailing commas, a byte order mark, one line.
_WILD = {
    ".claude.json": '{\n  "numStartups": 12,\n  "oauthAccount": {"accessToken": "secret-token"},\n  "mcpServers": {\n    "github": {"url": "https://x"}\n  }\n}',
    ".claude/settings.json": '{\n  "hooks": {\n    "PreToolUse": [\n      {"matcher": "Bash", "hooks": [{"type": "command", "command": "guard"}]}\n    ]\n  }\n}\n',
    ".codex/config.toml": '# mine\r\nmodel = "gpt"  # why\r\n\r\n[mcp_servers.github]\r\nurl = "https://x"\r\n[profiles.x]\r\na = 1',
    ".cursor/mcp.json": '\ufeff{"mcpServers":{"a":{"command":"b"}}}',
    ".config/zed/settings.json": '// Zed settings\n{\n\t"theme": "One Dark",\n\t"context_servers": {\n\t\t// mine\n\t\t"pg": { "command": "pg", }, // trailing\n\t},\n}\n',
    ".config/opencode/opencode.jsonc": '{"$schema": "https://opencode.ai/config.json", "mcp": {"servers": {}}}',
    ".gemini/settings.json": "",
    ".kiro/settings/mcp.json": '{\r\n    "mcpServers": {}\r\n}\r\n',
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))
    return home


@pytest.fixture
def places(home: Path) -> Places:
    project = home / "project"
    project.mkdir()
    return Places(home, home / ".config", project, {"PATH": ""})


@pytest.fixture
def wild(home: Path) -> Path:
    for name, text in _WILD.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
        path.chmod(0o640)
    return home


def _tree(root: Path) -> dict[str, object]:
    """All below a folder: contents, modes, links."""
    found: dict[str, object] = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        content: object = str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[str(path.relative_to(root))] = (stat.S_IMODE(status.st_mode), content)
    return found


def _entry(path: Path, keys: tuple[str, ...]):
    text = path.read_text(encoding="utf-8-sig")
    data = tomllib.loads(text) if path.suffix == ".toml" else jsonc.read(text).value
    for key in keys:
        data = data[key]
    return data


def _all(outcomes) -> list[str]:
    return [outcome.refused for outcome in outcomes if outcome.refused]


@pytest.mark.parametrize("name", AGENTS)
@pytest.mark.parametrize("scope", Scope)
def test_every_agent_gets_its_parts_once_and_gives_them_back(name: str, scope: Scope, places: Places) -> None:
    before = _tree(places.home)
    outcomes = set_up([AGENTS[name]], scope, places, _PROGRAM)
    assert _all(outcomes) == []
    assert [outcome.done for outcome in outcomes] == ["added"] * len(parts_of(AGENTS[name], places, scope, _PROGRAM))
    written = _tree(places.home)
    assert [outcome.done for outcome in set_up([AGENTS[name]], scope, places, _PROGRAM)] == [None] * len(outcomes)
    assert _tree(places.home) == written
    undo([AGENTS[name]], scope, places)
    assert _tree(places.home) == before


@pytest.mark.parametrize(
    ("name", "file", "keys", "entry"),
    [
        ("claude", ".claude.json", ("mcpServers",), {"type": "stdio", "command": _PROGRAM, "args": ["mcp"]}),
        ("codex", ".codex/config.toml", ("mcp_servers",), {"command": _PROGRAM, "args": ["mcp"]}),
        ("cursor", ".cursor/mcp.json", ("mcpServers",), {"command": _PROGRAM, "args": ["mcp", "${workspaceFolder}"]}),
        (
            "vscode",
            ".config/Code/User/mcp.json",
            ("servers",),
            {"type": "stdio", "command": _PROGRAM, "args": ["mcp", "${workspaceFolder}"]},
        ),
        ("zed", ".config/zed/settings.json", ("context_servers",), {"command": _PROGRAM, "args": ["mcp"]}),
        ("opencode", ".config/opencode/opencode.json", ("mcp",), {"type": "local", "command": [_PROGRAM, "mcp"]}),
        ("gemini", ".gemini/settings.json", ("mcpServers",), {"command": _PROGRAM, "args": ["mcp"]}),
        ("windsurf", ".codeium/windsurf/mcp_config.json", ("mcpServers",), {"command": _PROGRAM, "args": ["mcp"]}),
        (
            "cline",
            ".cline/data/settings/cline_mcp_settings.json",
            ("mcpServers",),
            {"transport": {"type": "stdio", "command": _PROGRAM, "args": ["mcp"]}},
        ),
        ("kilo", ".config/kilo/kilo.json", ("mcp",), {"type": "local", "command": [_PROGRAM, "mcp"]}),
        ("kiro", ".kiro/settings/mcp.json", ("mcpServers",), {"command": _PROGRAM, "args": ["mcp"]}),
    ],
)
def test_the_entry_has_the_shape_that_the_agent_reads(name, file, keys, entry, places: Places) -> None:
    set_up([AGENTS[name]], Scope.USER, places, _PROGRAM)
    assert _entry(places.home / file, (*keys, "code-index")) == entry


def test_files_found_in_the_wild_keep_every_foreign_byte_and_come_back_to_the_byte(wild: Path, places: Places) -> None:
    before = _tree(wild)
    assert _all(set_up(AGENTS.values(), Scope.USER, places, _PROGRAM)) == []
    for name, text in _WILD.items():
        written = (wild / name).read_bytes().decode()
        assert stat.S_IMODE((wild / name).stat().st_mode) == 0o640
        assert ("\r\n" in written) == ("\r\n" in text)
        ahead = iter(written)
        assert all(character in ahead for character in text), "nothing is left out, only put in between"
    undo(AGENTS.values(), Scope.USER, places)
    assert _tree(wild) == before


def test_a_dry_run_writes_nothing_and_tells_the_same(wild: Path, places: Places) -> None:
    before = _tree(wild.parent)
    told = set_up(AGENTS.values(), Scope.USER, places, _PROGRAM, dry_run=True)
    assert _tree(wild.parent) == before
    assert told == set_up(AGENTS.values(), Scope.USER, places, _PROGRAM)
    written = _tree(wild.parent)
    undo(AGENTS.values(), Scope.USER, places, dry_run=True)
    assert _tree(wild.parent) == written


def test_no_copy_of_what_a_file_holds_is_kept_elsewhere(wild: Path, places: Places) -> None:
    set_up(AGENTS.values(), Scope.USER, places, _PROGRAM)
    held = [path for path in wild.parent.rglob("*") if path.is_file() and b"secret-token" in path.read_bytes()]
    assert held == [wild / ".claude.json"]


def test_a_file_that_was_changed_since_loses_only_our_entry(wild: Path, places: Places) -> None:
    set_up(AGENTS.values(), Scope.USER, places, _PROGRAM)
    changes = {
        ".claude.json": ('"numStartups": 12', '"numStartups": 13'),
        ".codex/config.toml": ('model = "gpt"', 'model = "other"'),
        ".config/zed/settings.json": ("// mine", "// mine, changed"),
        ".claude/settings.json": ("guard", "guard --more"),
    }
    for name, (old, new) in changes.items():
        path = wild / name
        path.write_bytes(path.read_bytes().replace(old.encode(), new.encode()))
    assert _all(undo(AGENTS.values(), Scope.USER, places)) == []
    for name, (old, new) in changes.items():
        expected = _WILD[name].replace(old, new)
        left = (wild / name).read_bytes().decode()
        assert left.rstrip() == expected.rstrip()
    assert not list(wild.rglob("SKILL.md"))


def test_without_the_record_our_entries_are_recognized(wild: Path, places: Places, tmp_path: Path) -> None:
    set_up(AGENTS.values(), Scope.USER, places, _PROGRAM)
    (tmp_path / "state/code-index/agents.json").write_text("damaged")
    assert _all(undo(AGENTS.values(), Scope.USER, places)) == []
    left = [path for path in wild.rglob("*") if path.is_file() and b"code-index" in path.read_bytes()]
    assert left == []


def test_what_a_user_added_to_our_entry_stays_when_the_program_moves(places: Places) -> None:
    agents = [AGENTS[name] for name in ("claude", "codex", "opencode", "cline")]
    set_up(agents, Scope.USER, places, "/old/code-index")
    for agent in agents:
        path = agent.server(places, Scope.USER, "").path
        old, new = (
            ('args = ["mcp"]', 'args = ["mcp"]\nstartup_timeout_sec = 20 # slow')
            if path.suffix == ".toml"
            else (
                '"code-index": {',
                '"code-index": {\n"disabled": true, // for now',
            )
        )
        path.write_text(path.read_text().replace(old, new))
    outcomes = set_up(agents, Scope.USER, places, _PROGRAM)
    assert {outcome.done for outcome in outcomes} == {None, "brought up to date"}
    for agent in agents:
        text = agent.server(places, Scope.USER, "").path.read_text()
        assert _PROGRAM in text
        assert "/old/" not in text
        assert "# slow" in text or "// for now" in text


def test_an_entry_that_a_user_wrote_comes_back_as_it_was(places: Places) -> None:
    written = {
        ".claude.json": b'{"mcpServers": {"code-index": {"command": "/old/code-index", "args": ["mcp", "/my repo"]}}}',
        ".codex/config.toml": b'[mcp_servers."code-index"]\ncommand = "/old/code-index" # mine\nargs = ["mcp"]\n',
    }
    for name, content in written.items():
        (places.home / name).parent.mkdir(parents=True, exist_ok=True)
        (places.home / name).write_bytes(content)
    agents = [AGENTS["claude"], AGENTS["codex"]]
    assert "brought up to date" in {outcome.done for outcome in set_up(agents, Scope.USER, places, _PROGRAM)}
    undo(agents, Scope.USER, places)
    assert {name: (places.home / name).read_bytes() for name in written} == written


def test_a_file_that_is_read_only_is_refused(places: Places) -> None:
    path = places.home / ".claude.json"
    path.write_text("{}")
    path.chmod(0o444)
    (refused,) = [
        outcome.refused for outcome in set_up([AGENTS["claude"]], Scope.USER, places, _PROGRAM) if outcome.refused
    ]
    assert f"{path} is read-only" in refused
    assert path.read_text() == "{}"


def test_a_program_that_moved_can_still_be_undone_to_the_byte(wild: Path, places: Places) -> None:
    before = _tree(wild)
    set_up(AGENTS.values(), Scope.USER, places, "/old/code-index")
    set_up(AGENTS.values(), Scope.USER, places, _PROGRAM)
    undo(AGENTS.values(), Scope.USER, places)
    assert _tree(wild) == before


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        (".claude.json", b'{"mcpServers": {}', "line 1, column 18"),
        (".claude.json", b"\xff\xfe{\x00}\x00", "not UTF-8"),
        (".claude.json", b'{"mcpServers": [1]}', '"mcpServers" is not an object'),
        (".claude.json", b'{"mcpServers": {"code-index": {"command": "uvx", "args": ["x"]}}}', "of another program"),
        (".claude/settings.json", b'{"hooks": {"PreToolUse": {}}}', "is not an array"),
        (".codex/config.toml", b"a = \n", "line 1"),
        (".codex/config.toml", b"mcp_servers = {}\n", "[mcp_servers.code-index]"),
        (".codex/config.toml", b"mcp_servers = 1\n", "no table"),
        (".claude/skills/code-index/SKILL.md", b"my own", "Move it away"),
        (".claude/skills/code-index/remind.sh", b"rm -rf /", "Move it away"),
    ],
)
def test_a_file_that_cannot_be_edited_is_refused_and_left_as_it_is(file, content, told, places: Places) -> None:
    path = places.home / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    outcomes = set_up([AGENTS["claude"], AGENTS["codex"]], Scope.USER, places, _PROGRAM)
    refused = _all(outcomes)
    assert refused
    assert all(str(path) in reason or "its script" in reason for reason in refused)
    assert told in refused[0]
    assert path.read_bytes() == content
    assert any(outcome.done for outcome in outcomes), "the other files are written"
    undo([AGENTS["claude"], AGENTS["codex"]], Scope.USER, places)
    assert path.read_bytes() == content


def test_no_hook_runs_a_script_that_is_not_ours(places: Places) -> None:
    script = places.project / ".claude/skills/code-index/remind.sh"
    script.parent.mkdir(parents=True)
    script.write_text("evil")
    set_up([AGENTS["claude"]], Scope.PROJECT, places, "code-index")
    assert not (places.project / ".claude/settings.json").exists()


def test_a_link_stays_and_the_file_that_it_leads_to_is_changed(places: Places) -> None:
    dotfiles = places.home / "dotfiles/zed.json"
    dotfiles.parent.mkdir()
    dotfiles.write_text("{}")
    dotfiles.chmod(0o600)
    link = places.home / ".config/zed/settings.json"
    link.parent.mkdir(parents=True)
    link.symlink_to("../../dotfiles/zed.json")
    set_up([AGENTS["zed"]], Scope.USER, places, _PROGRAM)
    assert str(link.readlink()) == "../../dotfiles/zed.json"
    assert _PROGRAM in dotfiles.read_text()
    assert stat.S_IMODE(dotfiles.stat().st_mode) == 0o600
    undo([AGENTS["zed"]], Scope.USER, places)
    assert dotfiles.read_text() == "{}"
    assert link.is_symlink()


@pytest.mark.parametrize("linked", [".mcp.json", ".claude", ".claude/skills", ".claude/settings.json"])
def test_nothing_of_a_project_leads_out_of_it(linked: str, places: Places, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    target = outside / "file.json"
    target.write_text("{}")
    link = places.project / linked
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(target if linked.endswith(".json") else outside)
    before = _tree(outside)
    refused = _all(set_up([AGENTS["claude"]], Scope.PROJECT, places, "code-index"))
    assert any("leads out of the project" in reason for reason in refused)
    assert _tree(outside) == before


@pytest.mark.parametrize("kind", ["pipe", "folder", "circle"])
def test_what_is_no_file_is_refused_at_once(kind: str, places: Places) -> None:
    path = places.home / ".claude.json"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(path)
    refused = _all(set_up([AGENTS["claude"]], Scope.USER, places, _PROGRAM))
    assert [str(path) in reason for reason in refused] == [True]


def test_a_file_that_another_program_writes_meanwhile_keeps_what_that_wrote(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_bytes(b"new")
    for after in (b"ours", None):
        with pytest.raises(files.AgentFileError, match="by another program meanwhile"):
            files.replace(path, b"old", after)
    with pytest.raises(files.AgentFileError, match="by another program meanwhile"):
        files.replace(path, None, b"ours")
    assert _tree(tmp_path) == {"mcp.json": (stat.S_IMODE(path.stat().st_mode), b"new")}


def test_a_folder_that_cannot_be_made_is_told(places: Places) -> None:
    (places.home / ".kiro").write_text("a file")
    outcomes = set_up([AGENTS["kiro"]], Scope.USER, places, _PROGRAM)
    assert [str(outcome.path) in outcome.refused for outcome in outcomes] == [True, True]
    assert (places.home / ".kiro").read_text() == "a file"


def test_a_skill_that_several_agents_read_goes_with_the_last_of_them(places: Places) -> None:
    skill = places.home / ".agents/skills/code-index/SKILL.md"
    set_up([AGENTS["codex"], AGENTS["gemini"]], Scope.USER, places, _PROGRAM)
    set_up([AGENTS["zed"]], Scope.USER, places, _PROGRAM)
    undo([AGENTS["codex"]], Scope.USER, places)
    undo([AGENTS["gemini"]], Scope.USER, places)
    assert skill.exists()
    undo([AGENTS["zed"]], Scope.USER, places)
    assert not (places.home / ".agents").exists()


def test_the_entry_of_a_project_names_no_place_of_this_machine(places: Places) -> None:
    set_up(AGENTS.values(), Scope.PROJECT, places, "code-index")
    for path in places.project.rglob("*"):
        if path.is_file():
            assert str(places.home).encode() not in path.read_bytes(), path


def test_a_file_of_opencode_that_is_there_is_used_and_its_second_form_is_known(places: Places) -> None:
    path = places.project / ".opencode/opencode.jsonc"
    path.parent.mkdir()
    path.write_text('{"mcp": {"servers": {"a": {"type": "local", "command": ["b"]}}}} // two')
    set_up([AGENTS["opencode"]], Scope.PROJECT, places, "code-index")
    assert _entry(path, ("mcp", "servers", "code-index")) == {"type": "local", "command": ["code-index", "mcp"]}
    assert not (places.project / "opencode.json").exists()


def test_agents_are_found_by_command_by_folder_and_by_what_a_project_has(places: Places, tmp_path: Path) -> None:
    assert found(places, Scope.USER) == []
    (places.home / ".gemini").mkdir()
    (places.project / ".kiro").mkdir()
    command = tmp_path / "bin/codex"
    command.parent.mkdir()
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    places = Places(places.home, places.config, places.project, {"PATH": str(command.parent)})
    assert [agent.name for agent in found(places, Scope.USER)] == ["codex", "gemini"]
    assert [agent.name for agent in found(places, Scope.PROJECT)] == ["codex", "gemini", "kiro"]


def test_folders_that_an_agents_own_variables_name_are_used(places: Places) -> None:
    elsewhere = places.home / "elsewhere"
    environment = {"PATH": "", "CLAUDE_CONFIG_DIR": str(elsewhere), "CODEX_HOME": str(elsewhere / "codex")}
    places = Places(places.home, places.config, places.project, environment)
    set_up([AGENTS["claude"], AGENTS["codex"]], Scope.USER, places, _PROGRAM)
    assert json.loads((elsewhere / ".claude.json").read_text())["mcpServers"]["code-index"]
    assert (elsewhere / "codex/config.toml").exists()
    assert not (places.home / ".claude").exists()
