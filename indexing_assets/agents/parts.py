"""Parts that an agent gets: an entry for the server, the files of the skill, an item for the hook.

Belongs here: how each is recognized in a file, added, brought up to date and taken out. Does not belong here: where it goes
(`indexing_assets.agents.table`), the record and the order (`indexing_assets.agents.steps`).

An entry is ours if it runs `code-index mcp`; only its program is ever brought up to date, so that what a user added stays.
An entry of another program with our name, and a file of ours that was changed, are refused.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Protocol

from indexing_assets.agents import jsonc, toml_tables
from indexing_assets.agents.files import AgentFileError
from indexing_assets.agents.table import NAME, Agent, Hook, Places, Scope, Server

PLUGIN: Final = "plugin"
_SCRIPT: Final = "remind.sh"
_SCRIPT_TAIL: Final = f"skills/{NAME}/{_SCRIPT}"
_FILES: Final = ("SKILL.md", _SCRIPT)


class ForeignEntryError(AgentFileError):
    """An entry of another program that has our name."""


class Part(Protocol):
    """Something of ours in one file; `content` is what the file holds, None for no file.

    Each method raises `AgentFileError` where the file cannot be read as what it should be, or holds something of another
    program in the place of ours.
    """

    @property
    def path(self) -> Path:
        """The file, as the agent names it."""

    @property
    def what(self) -> str:
        """Words for what it is."""

    def state(self, content: bytes | None) -> str:
        """Return `absent`, `current`, or `outdated`."""

    def added(self, content: bytes | None) -> bytes:
        """The content with ours in it, at its newest."""

    def removed(self, content: bytes) -> bytes | None:
        """The content without ours, None for no file."""


@dataclass(frozen=True, slots=True)
class FilePart:
    """A whole file."""

    path: Path
    data: bytes

    @property
    def what(self) -> str:
        """Words for what it is."""
        return "the reminder" if self.path.name == _SCRIPT else "the skill"

    def state(self, content: bytes | None) -> str:
        """Return `absent`, `current`, or `outdated`."""
        return "absent" if content is None else "current" if content == self.data else "outdated"

    def added(self, content: bytes | None) -> bytes:
        """The file as it is shipped; one that is not known is refused."""
        if content is not None:
            raise AgentFileError(
                f"{self.path} is there and is not as code-index wrote it. Move it away, then run the command again; it "
                f"was not changed."
            )
        return self.data

    def removed(self, content: bytes) -> bytes | None:
        """No file, if it is as it was shipped."""
        if content != self.data:
            raise AgentFileError(
                f"{self.path} was changed since code-index wrote it, and was kept. Delete it yourself."
            )
        return None


@dataclass(frozen=True, slots=True)
class ServerPart:
    """An entry for the server, in JSON or TOML by the suffix of the file."""

    server: Server

    @property
    def path(self) -> Path:
        """The file, as the agent names it."""
        return self.server.path

    @property
    def what(self) -> str:
        """Words for what it is."""
        return f"the server, in {self.server.keys[0]}"

    def state(self, content: bytes | None) -> str:
        """Return `absent`, `current`, or `outdated`."""
        _, entry = self._entry(_text(self.path, content))
        if entry is None:
            return "absent"
        return "current" if _program(entry) == _program(self.server.entry) else "outdated"

    def added(self, content: bytes | None) -> bytes:
        """The content with the entry; of one that is there only the program is changed."""
        text = _text(self.path, content)
        keys, entry = self._entry(text)
        program = _program(self.server.entry)
        try:
            if self._is_toml and entry is None:
                edited = toml_tables.with_table(text, keys, self.server.entry)
            elif self._is_toml:
                edited = toml_tables.with_value(text, (*keys, "command"), program)
            elif entry is None:
                edited = jsonc.with_member(text, keys, dict(self.server.entry))
            else:
                place, value = _program_in(entry, program)
                edited = jsonc.with_member(text, (*keys, *place), value)
        except (jsonc.JsoncError, toml_tables.TomlError) as error:
            raise self._by_hand(error) from error
        return _bytes(edited)

    def removed(self, content: bytes) -> bytes:
        """The content without the entry."""
        text = _text(self.path, content)
        keys, _ = self._entry(text)
        try:
            edited = toml_tables.without_table(text, keys) if self._is_toml else jsonc.without_member(text, keys)
        except (jsonc.JsoncError, toml_tables.TomlError) as error:
            raise AgentFileError(
                f"{self.path}: {error}. Remove {'.'.join(keys)} by hand; nothing was changed."
            ) from error
        return _bytes(edited)

    @property
    def _is_toml(self) -> bool:
        return self.path.suffix == ".toml"

    def _entry(self, text: str) -> tuple[tuple[str, ...], Mapping[str, Any] | None]:
        """The path of keys in this file, and what is there."""
        keys = self.server.keys
        try:
            if self._is_toml:
                entry = _at(toml_tables.read(text), keys)
            else:
                root = jsonc.read(text)
                keys = keys if root is None else _keys_in(root, keys)
                node = None if root is None else jsonc.member(root, keys)
                entry = None if node is None else node.value
        except (jsonc.JsoncError, toml_tables.TomlError) as error:
            raise _unreadable(self.path, error) from error
        if entry is not None and not _is_ours(entry):
            raise ForeignEntryError(
                f"{self.path} has an entry {'.'.join(keys)} of another program. Rename or remove it, then run the "
                f"command again; nothing was changed."
            )
        return keys, entry

    def _by_hand(self, error: Exception) -> AgentFileError:
        lines = "; ".join(toml_tables.table_lines(self.server.keys, self.server.entry)) if self._is_toml else ""
        hint = f"Add these lines by hand: {lines}" if lines else "Add the entry by hand (docs/agents.md)"
        return AgentFileError(f"{self.path}: {error}. {hint}; nothing was changed.")


@dataclass(frozen=True, slots=True)
class HookPart:
    """An item of the array of an agent's hooks."""

    hook: Hook
    script: Path

    @property
    def path(self) -> Path:
        """The file, as the agent names it."""
        return self.hook.path

    @property
    def what(self) -> str:
        """Words for what it is."""
        return f"the hook, in {'.'.join(self.hook.keys)}"

    def state(self, content: bytes | None) -> str:
        """Return `absent`, `current`, or `outdated`."""
        item = self._found(_text(self.path, content))[1]
        return "absent" if item is None else "current" if item == self.hook.item else "outdated"

    def added(self, content: bytes | None) -> bytes:
        """The content with our item, which takes the place of an older one."""
        text = _text(self.path, content)
        index, item = self._found(text)
        try:
            if item is not None:
                text = jsonc.without_item(text, self.hook.keys, index)
            edited = jsonc.with_item(text, self.hook.keys, dict(self.hook.item))
        except jsonc.JsoncError as error:
            raise _unreadable(self.path, error) from error
        return _bytes(edited)

    def removed(self, content: bytes) -> bytes:
        """The content without our item."""
        text = _text(self.path, content)
        index, _ = self._found(text)
        try:
            return _bytes(jsonc.without_item(text, self.hook.keys, index))
        except jsonc.JsoncError as error:
            raise _unreadable(self.path, error) from error

    def _found(self, text: str) -> tuple[int, Any]:
        """Our item and its place; -1 and None if there is none."""
        try:
            root = jsonc.read(text)
            array = None if root is None else jsonc.member(root, self.hook.keys)
        except jsonc.JsoncError as error:
            raise _unreadable(self.path, error) from error
        items = array.value if array is not None and isinstance(array.value, list) else []
        for index, item in enumerate(items):
            hooks = item.get("hooks") if isinstance(item, dict) else None
            commands = (
                [hook.get("command") for hook in hooks if isinstance(hook, dict)] if isinstance(hooks, list) else []
            )
            if any(isinstance(command, str) and _SCRIPT_TAIL in command for command in commands):
                return index, item
        return -1, None


def parts_of(agent: Agent, places: Places, scope: Scope, command: str) -> list[Part]:
    """List the parts of an agent in a scope, in the order in which they are written."""
    parts: list[Part] = []
    server, skill, hook = agent.server(places, scope, command), agent.skill(places, scope), agent.hook(places, scope)
    if skill is not None:
        parts += [FilePart(skill / name, shipped(name)) for name in _FILES if name != _SCRIPT or hook is not None]
    if server is not None:
        parts.append(ServerPart(server))
    if hook is not None and skill is not None:
        parts.append(HookPart(hook, skill / _SCRIPT))
    return parts


def shipped(name: str) -> bytes:
    """A file of the skill, as it lies in the package."""
    return files("indexing_assets.agents").joinpath(PLUGIN, "skills", NAME, name).read_bytes()


def plugin_folder() -> Path:
    """The folder of the plugin for Claude Code."""
    return Path(str(files("indexing_assets.agents").joinpath(PLUGIN)))


def _text(path: Path, content: bytes | None) -> str:
    try:
        return (content or b"").decode("utf-8")
    except UnicodeDecodeError as error:
        raise _unreadable(path, "it is not UTF-8") from error


def _bytes(text: str) -> bytes:
    return text.encode("utf-8")


def _unreadable(path: Path, error: object) -> AgentFileError:
    kind = "TOML" if path.suffix == ".toml" else "JSON"
    return AgentFileError(
        f"{path} cannot be read as {kind} ({error}). Fix that, then run the command again; nothing was changed."
    )


def _at(data: Any, keys: tuple[str, ...]) -> Any:
    for key in keys:
        if not isinstance(data, dict):
            raise toml_tables.TomlError(f"{key} stands where no table is")
        if key not in data:
            return None
        data = data[key]
    return data


def _keys_in(root: jsonc.Node, keys: tuple[str, ...]) -> tuple[str, ...]:
    """The path in this file: OpenCode reads `mcp` with the servers in it, and since version 2 `mcp.servers` as well."""
    if keys[0] != "mcp":
        return keys
    inner = (keys[0], "servers", *keys[1:])
    servers = jsonc.member(root, inner[:2])
    # A server of version 1 may be called "servers".
    is_second = servers is not None and isinstance(servers.value, dict) and "type" not in servers.value
    return inner if is_second else keys


def _command_of(entry: Any) -> list[Any] | None:
    """The words of the command of an entry of any shape."""
    if not isinstance(entry, Mapping):
        return None
    entry = entry["transport"] if isinstance(entry.get("transport"), Mapping) else entry
    command = entry.get("command")
    if isinstance(command, list):
        return command
    arguments = entry.get("args", [])
    return [command, *arguments] if isinstance(arguments, list) else None


def _is_ours(entry: Any) -> bool:
    words = _command_of(entry)
    if not words or len(words) < 2 or not all(isinstance(word, str) for word in words):  # noqa: PLR2004 - program, mcp
        return False
    return bool(os.path.basename(words[0]) == NAME and words[1] == "mcp")  # noqa: PTH119 - of any system


def _program(entry: Mapping[str, Any]) -> str:
    words = _command_of(entry)
    return str(words[0]) if words else ""


def _program_in(entry: Mapping[str, Any], program: str) -> tuple[tuple[str, ...], Any]:
    """The path of keys to the program in an entry, and the value with another program."""
    if isinstance(entry.get("transport"), Mapping):
        return ("transport", "command"), program
    command = entry["command"]
    return ("command",), [program, *command[1:]] if isinstance(command, list) else program
