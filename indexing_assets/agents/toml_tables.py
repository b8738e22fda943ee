"""TOML files: a table of ours appended, and taken out again; what is not ours keeps every byte.

Belongs here: the text of the table and the edits. Does not belong here: which table (`indexing_assets.agents.table`),
and files (`indexing_assets.agents.files`).

A table is appended as text, since a table may always follow at the end of a file. It is taken out by tomlkit, which keeps
comments and formatting. Each edit is checked: the standard library reads the result, which has to hold what was there and
our part of it.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from code_index.core.regular_files import load_toml


class TomlError(ValueError):
    """Text that is not TOML, or that cannot be edited without a change of something else."""


def read(text: str) -> dict[str, Any]:
    """Read TOML, which may begin with a byte order mark.

    Raises:
        TomlError: it is not TOML; the message says where.
    """
    try:
        return load_toml(text.removeprefix("\ufeff"))
    except (tomllib.TOMLDecodeError, ValueError) as error:
        raise TomlError(str(error)) from error


def with_table(text: str, keys: Sequence[str], table: Mapping[str, Any]) -> str:
    """Append a table of strings, booleans, numbers and lists of strings, which is not there yet.

    Raises:
        TomlError: the text is not TOML, or defines a table above as a whole.
    """
    wanted = read(text)
    inner = wanted
    for key in keys[:-1]:
        inner = inner.setdefault(key, {})
        if not isinstance(inner, dict):
            raise TomlError(f"{key} is no table")
    inner[keys[-1]] = dict(table)
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = table_lines(keys, table)
    body = text.removeprefix("\ufeff")
    gap = "" if not body.strip() else newline if body.endswith("\n") else newline * 2
    edited = f"{text}{gap}{newline.join(lines)}{newline}"
    try:
        again = read(edited)
    except TomlError as error:
        raise TomlError(f"it defines {'.'.join(keys[:-1])} in a way to which no table can be added") from error
    return _checked(edited, again, wanted)


def with_value(text: str, keys: Sequence[str], value: str) -> str:
    """Set a string that is there to another value.

    Raises:
        TomlError: the text is not TOML, or has no such string.
    """
    wanted = read(text)
    _inner(wanted, keys[:-1])[keys[-1]] = value

    def change(parent: Any) -> None:
        parent[keys[-1]] = value

    return _by_tomlkit(text, keys, wanted, change)


def without_table(text: str, keys: Sequence[str]) -> str:
    """Take out a table with the tables below it.

    Raises:
        TomlError: the text is not TOML, or has no such table.
    """
    wanted = read(text)
    _inner(wanted, keys[:-1]).pop(keys[-1])

    def change(parent: Any) -> None:
        del parent[keys[-1]]

    return _by_tomlkit(text, keys, wanted, change)


def table_lines(keys: Sequence[str], table: Mapping[str, Any]) -> list[str]:
    """The lines of a table, as a person would write them."""
    # A basic string of TOML has the escapes of JSON, and may not hold a DEL.
    values = {key: json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f") for key, value in table.items()}
    return [f"[{'.'.join(keys)}]", *(f"{key} = {value}" for key, value in values.items())]


def _by_tomlkit(text: str, keys: Sequence[str], wanted: dict[str, Any], change: Callable[[Any], None]) -> str:
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    try:
        document = tomlkit.parse(text.removeprefix(mark))
        parent: Any = document
        for key in keys[:-1]:
            parent = parent[key]
        change(parent)
        edited = mark + tomlkit.dumps(document)
    except (TOMLKitError, KeyError) as error:
        raise TomlError(f"its text cannot be edited: {error}") from error
    return _checked(edited, read(edited), wanted)


def _inner(data: dict[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    for key in keys:
        data = data[key]
    return data


def _checked(edited: str, again: dict[str, Any], wanted: dict[str, Any]) -> str:
    """Return the edited text if it holds what was wanted; empty tables above ours do not matter."""
    if _filled(again) != _filled(wanted):
        raise TomlError("its text cannot be edited without a change of something else")
    return edited


def _filled(data: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if value != {}}
