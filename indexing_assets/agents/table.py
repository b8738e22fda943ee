"""The one table of agents: where each reads its servers, skills and hooks, and in which shape.

Belongs here: names, places, shapes, and how an agent is found. Does not belong here: editing files
(`indexing_assets.agents.jsonc`, `indexing_assets.agents.toml_tables`) and deciding what to do
(`indexing_assets.agents.parts`).

Source of each place: the page that `Agent.source` names, read in November 2026; docs/agents.md tells the same for people.
"""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

NAME: Final = "code-index"
_ARGUMENTS: Final = ("mcp",)
_SKILL: Final = f"skills/{NAME}"


class Scope(StrEnum):
    """For whom an agent is set up: this user in all projects, or all users of one project."""

    USER = "user"
    PROJECT = "project"


@dataclass(frozen=True, slots=True)
class Places:
    """The folders that places are relative to: the home folder, the configuration folder (XDG), the project."""

    home: Path
    config: Path
    project: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def named(self, variable: str, default: Path) -> Path:
        """The folder that an environment variable names, if it is an absolute one."""
        named = Path(self.environment.get(variable, ""))
        return named if named.is_absolute() else default

    def editor(self) -> Path:
        """The folder of the settings of VS Code.

        Source: https://code.visualstudio.com/docs/configure/settings#_user-settings
        """
        if sys.platform == "darwin":
            return self.home / "Library" / "Application Support" / "Code" / "User"
        return self.config / "Code" / "User"


@dataclass(frozen=True, slots=True)
class Server:
    """The file with an agent's servers, and the path of keys to ours in it."""

    path: Path
    keys: tuple[str, ...]
    entry: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Hook:
    """The file with an agent's hooks, the path of keys to their array, and our item of it."""

    path: Path
    keys: tuple[str, ...]
    item: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent and its places; each function gives the place in a scope, or None where the agent has none."""

    name: str
    title: str
    commands: tuple[str, ...]
    folders: Callable[[Places], Sequence[Path]]
    marks: tuple[str, ...]
    server: Callable[[Places, Scope, str], Server | None]
    skill: Callable[[Places, Scope], Path | None]
    check: str
    source: str
    hook: Callable[[Places, Scope], Hook | None] = lambda _places, _scope: None

    def is_found(self, places: Places, scope: Scope) -> bool:
        """Tell whether the agent is there: its command or folder, or for a project also what the project has of it."""
        if any(shutil.which(command, path=places.environment.get("PATH")) for command in self.commands):
            return True
        if any(folder.is_dir() for folder in self.folders(places)):
            return True
        return scope is Scope.PROJECT and any((places.project / mark).exists() for mark in self.marks)


def _stdio(command: str, *arguments: str) -> dict[str, Any]:
    return {"command": command, "args": [*_ARGUMENTS, *arguments]}


def _shared_skill(places: Places, scope: Scope) -> Path:
    """The place of the open standard, which several agents read; source: https://agentskills.io."""
    return (places.home if scope is Scope.USER else places.project) / ".agents" / _SKILL


def _remind(script: str) -> dict[str, Any]:
    """The shell command of a hook: whatever becomes of the script, the status is 0."""
    return {"type": "command", "command": f"sh {script} 2>/dev/null || :", "timeout": 5}


def _claude_home(places: Places) -> Path:
    return places.named("CLAUDE_CONFIG_DIR", places.home / ".claude")


def _claude_server(places: Places, scope: Scope, command: str) -> Server:
    own = places.named("CLAUDE_CONFIG_DIR", places.home)
    path = own / ".claude.json" if scope is Scope.USER else places.project / ".mcp.json"
    return Server(path, ("mcpServers", NAME), {"type": "stdio", **_stdio(command)})


def _claude_skill(places: Places, scope: Scope) -> Path:
    return (_claude_home(places) if scope is Scope.USER else places.project / ".claude") / _SKILL


def _claude_hook(places: Places, scope: Scope) -> Hook:
    if scope is Scope.USER:
        path = _claude_home(places) / "settings.json"
        script = shlex.quote(str(_claude_skill(places, scope) / "remind.sh"))
    else:
        path = places.project / ".claude" / "settings.json"
        script = f'"$CLAUDE_PROJECT_DIR/.claude/{_SKILL}/remind.sh"'
    return Hook(path, ("hooks", "PreToolUse"), {"matcher": "Grep|Bash", "hooks": [_remind(script)]})


def _codex_home(places: Places) -> Path:
    return places.named("CODEX_HOME", places.home / ".codex")


def _codex_server(places: Places, scope: Scope, command: str) -> Server:
    folder = _codex_home(places) if scope is Scope.USER else places.project / ".codex"
    return Server(folder / "config.toml", ("mcp_servers", NAME), _stdio(command))


def _codex_hook(places: Places, scope: Scope) -> Hook:
    if scope is Scope.USER:
        path = _codex_home(places) / "hooks.json"
        script = shlex.quote(str(_shared_skill(places, scope) / "remind.sh"))
    else:
        path = places.project / ".codex" / "hooks.json"
        script = f'"$(git rev-parse --show-toplevel 2>/dev/null)/.agents/{_SKILL}/remind.sh"'
    return Hook(path, ("hooks", "PreToolUse"), {"matcher": "Bash", "hooks": [_remind(script)]})


def _cursor_server(places: Places, scope: Scope, command: str) -> Server:
    folder = places.home if scope is Scope.USER else places.project
    # Cursor starts servers elsewhere, and puts the open project in place of the variable.
    return Server(folder / ".cursor" / "mcp.json", ("mcpServers", NAME), _stdio(command, "${workspaceFolder}"))


def _cursor_skill(places: Places, scope: Scope) -> Path:
    return places.home / ".cursor" / _SKILL if scope is Scope.USER else _shared_skill(places, scope)


def _vscode_server(places: Places, scope: Scope, command: str) -> Server:
    folder = places.editor() if scope is Scope.USER else places.project / ".vscode"
    entry = {"type": "stdio", **_stdio(command, "${workspaceFolder}")}
    return Server(folder / "mcp.json", ("servers", NAME), entry)


def _zed_server(places: Places, scope: Scope, command: str) -> Server:
    folder = _zed_home(places) if scope is Scope.USER else places.project / ".zed"
    return Server(folder / "settings.json", ("context_servers", NAME), _stdio(command))


def _zed_home(places: Places) -> Path:
    return (places.home / ".config" if sys.platform == "darwin" else places.config) / "zed"


def _opencode_like(name: str, *, nested: bool) -> Callable[[Places, Scope, str], Server]:
    def server(places: Places, scope: Scope, command: str) -> Server:
        user = places.config / name
        project = [places.project, places.project / f".{name}"]
        folders = [user] if scope is Scope.USER else project
        found = [folder / f"{name}{suffix}" for folder in folders for suffix in (".jsonc", ".json")]
        new = folders[-1] if nested else folders[0]
        path = next((path for path in found if path.exists()), new / f"{name}.json")
        return Server(path, ("mcp", NAME), {"type": "local", "command": [command, *_ARGUMENTS]})

    return server


def _gemini_server(places: Places, scope: Scope, command: str) -> Server:
    folder = places.home if scope is Scope.USER else places.project
    return Server(folder / ".gemini" / "settings.json", ("mcpServers", NAME), _stdio(command))


def _windsurf_server(places: Places, scope: Scope, command: str) -> Server | None:
    if scope is Scope.PROJECT:
        return None
    return Server(_windsurf_home(places) / "mcp_config.json", ("mcpServers", NAME), _stdio(command))


def _windsurf_home(places: Places) -> Path:
    return places.home / ".codeium" / "windsurf"


def _cline_server(places: Places, scope: Scope, command: str) -> Server | None:
    if scope is Scope.PROJECT:
        return None
    default = places.named("CLINE_DIR", places.home / ".cline") / "data" / "settings" / "cline_mcp_settings.json"
    path = places.named("CLINE_MCP_SETTINGS_PATH", default)
    return Server(path, ("mcpServers", NAME), {"transport": {"type": "stdio", **_stdio(command)}})


def _cline_skill(places: Places, scope: Scope) -> Path:
    return (places.home if scope is Scope.USER else places.project) / ".cline" / _SKILL


def _kilo_skill(places: Places, scope: Scope) -> Path:
    return places.home / ".kilo" / _SKILL if scope is Scope.USER else _shared_skill(places, scope)


def _kiro_server(places: Places, scope: Scope, command: str) -> Server:
    folder = places.home if scope is Scope.USER else places.project
    return Server(folder / ".kiro" / "settings" / "mcp.json", ("mcpServers", NAME), _stdio(command))


def _kiro_skill(places: Places, scope: Scope) -> Path:
    return (places.home if scope is Scope.USER else places.project) / ".kiro" / _SKILL


AGENTS: Final = {
    agent.name: agent
    for agent in (
        Agent(
            name="claude",
            title="Claude Code",
            commands=("claude",),
            folders=lambda places: [_claude_home(places)],
            marks=(".claude", ".mcp.json", "CLAUDE.md"),
            server=_claude_server,
            skill=_claude_skill,
            hook=_claude_hook,
            check="`claude mcp list`, or /mcp and /hooks in a session",
            source="https://code.claude.com/docs/en/mcp, /skills and /hooks",
        ),
        Agent(
            name="codex",
            title="Codex",
            commands=("codex",),
            folders=lambda places: [_codex_home(places)],
            marks=(".codex",),
            server=_codex_server,
            skill=_shared_skill,
            hook=_codex_hook,
            check="`codex mcp list`; /hooks in a session, where the hook has to be trusted once",
            source="https://developers.openai.com/codex/mcp, /skills and /hooks",
        ),
        Agent(
            name="cursor",
            title="Cursor",
            commands=("cursor", "cursor-agent"),
            folders=lambda places: [places.home / ".cursor"],
            marks=(".cursor",),
            server=_cursor_server,
            skill=_cursor_skill,
            check="Settings, MCP",
            source="https://cursor.com/docs/mcp and /docs/context/skills",
        ),
        Agent(
            name="vscode",
            title="VS Code",
            commands=("code",),
            folders=lambda places: [places.editor()],
            marks=(".vscode",),
            server=_vscode_server,
            skill=_shared_skill,
            check="the command MCP: List Servers",
            source="https://code.visualstudio.com/docs/agents/reference/mcp-configuration",
        ),
        Agent(
            name="zed",
            title="Zed",
            commands=("zed", "zeditor"),
            folders=lambda places: [_zed_home(places)],
            marks=(".zed",),
            server=_zed_server,
            skill=_shared_skill,
            check="the settings of the agent panel, MCP servers; a project has to be trusted",
            source="https://zed.dev/docs/ai/mcp and /docs/ai/skills",
        ),
        Agent(
            name="opencode",
            title="OpenCode",
            commands=("opencode",),
            folders=lambda places: [places.config / "opencode"],
            marks=("opencode.json", "opencode.jsonc", ".opencode"),
            server=_opencode_like("opencode", nested=False),
            skill=_shared_skill,
            check="`opencode mcp list`",
            source="https://opencode.ai/docs/config, /docs/mcp-servers and /docs/migrate-v1",
        ),
        Agent(
            name="gemini",
            title="Gemini CLI",
            commands=("gemini",),
            folders=lambda places: [places.home / ".gemini"],
            marks=(".gemini", "GEMINI.md"),
            server=_gemini_server,
            skill=_shared_skill,
            check="`gemini mcp list`, or /mcp in a session",
            source="https://geminicli.com/docs/cli/configuration and /docs/cli/using-agent-skills",
        ),
        Agent(
            name="windsurf",
            title="Windsurf",
            commands=("windsurf",),
            folders=lambda places: [_windsurf_home(places)],
            marks=(".windsurf",),
            server=_windsurf_server,
            skill=_shared_skill,
            check="the panel of Cascade, MCP servers",
            source="https://docs.windsurf.com/windsurf/cascade/mcp and /cascade/skills",
        ),
        Agent(
            name="cline",
            title="Cline",
            commands=("cline",),
            folders=lambda places: [places.named("CLINE_DIR", places.home / ".cline")],
            marks=(".cline", ".clinerules"),
            server=_cline_server,
            skill=_cline_skill,
            check="`cline config mcp`, or the panel MCP Servers",
            source="https://github.com/cline/cline (sdk/packages/core/src/extensions/mcp/config-loader.ts)",
        ),
        Agent(
            name="kilo",
            title="Kilo Code",
            commands=("kilo",),
            folders=lambda places: [places.config / "kilo", places.home / ".kilo"],
            marks=("kilo.json", "kilo.jsonc", ".kilo"),
            server=_opencode_like("kilo", nested=True),
            skill=_kilo_skill,
            check="`kilo mcp list`",
            source="https://kilo.ai/docs/automate/mcp/using-in-kilo-code and /docs/customize/skills",
        ),
        Agent(
            name="kiro",
            title="Kiro",
            commands=("kiro", "kiro-cli"),
            folders=lambda places: [places.home / ".kiro"],
            marks=(".kiro",),
            server=_kiro_server,
            skill=_kiro_skill,
            check="the panel of MCP servers, or /mcp in Kiro's command line",
            source="https://kiro.dev/docs/mcp/configuration and /docs/skills",
        ),
    )
}
