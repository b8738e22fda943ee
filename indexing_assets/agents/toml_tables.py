"""TOML files: a table of ours added, brought up to date and taken out; what is not ours keeps every byte.

Belongs here: the text of the table, and where tables lie in a text. Does not belong here: which table
(`indexing_assets.agents.table`), and files (`indexing_assets.agents.files`).

Decision: edits of the text, since a table may follow at the end of any file, and ends where the next one begins. Rejected:
tomlkit, which keeps comments, but moves tables together that lie apart when one of them is taken out (0.15.2), and adds
lines that end otherwise than those of the file. Each edit is checked: the standard library reads the result, which has to
hold what was there and our part of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from code_index.core.regular_files import load_toml

# What a line's beginning has to be told from: strings of several lines, comments, arrays and inline tables.
_TOKEN: Final = re.compile(
    r'"""(?:[^"\\]++|\\.|"(?!""))*+"{3,5}'
    r"|'''(?:[^']++|'(?!''))*+'{3,5}"
    r'|"(?:[^"\\\n]++|\\.)*+"'
    r"|'[^'\n]*+'"
    r"|#[^\n]*+|[\[\]{}\n]|[^\s\[\]{}#\"']++",
    re.DOTALL,
)
_STRING: Final = r"(?:\"(?:[^\"\\\n]++|\\.)*+\"|'[^'\n]*+')"


class TomlError(ValueError):
    """Text that is not TOML, or that cannot be edited without a change of something else."""


@dataclass(slots=True)
class _Section:
    """A table by its header: its path, where the header's line begins, and where its last value ends."""

    path: tuple[str, ...]
    start: int
    end: int


def read(text: str) -> dict[str, Any]:
    """Read TOML, which may begin with a byte order mark.

    Raises:
        TomlError: it is not TOML; the message says where.
    """
    try:
        return load_toml(text.removeprefix("\ufeff"))
    except ValueError as error:
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
    body = text.removeprefix("\ufeff")
    gap = "" if not body.strip() else newline if body.endswith("\n") else newline * 2
    return _checked(f"{text}{gap}{newline.join(table_lines(keys, table))}{newline}", wanted, keys)


def with_value(text: str, keys: Sequence[str], value: str) -> str:
    """Set a string in a table to another value.

    Raises:
        TomlError: the text is not TOML, or has no such string in a table with a header of its own.
    """
    wanted = read(text)
    _inner(wanted, keys[:-1])[keys[-1]] = value
    section = next((section for section in _sections(text) if section.path == tuple(keys[:-1])), None)
    name = re.escape(keys[-1])
    spelled = re.compile(rf"^([ \t]*(?:{name}|\"{name}\"|'{name}')[ \t]*=[ \t]*){_STRING}", re.MULTILINE)
    found = None if section is None else spelled.search(text, section.start, section.end)
    if found is None:
        raise TomlError(f"{'.'.join(keys)} is not written in a table [{'.'.join(keys[:-1])}]")
    return _checked(f"{text[: found.end(1)]}{_string(value)}{text[found.end() :]}", wanted, keys)


def without_table(text: str, keys: Sequence[str]) -> str:
    """Take out a table with the tables below it; comments between it and the next one stay.

    Raises:
        TomlError: the text is not TOML, or has no such table with a header of its own.
    """
    wanted = read(text)
    _inner(wanted, keys[:-1]).pop(keys[-1])
    for section in reversed(list(_sections(text))):
        if section.path[: len(keys)] != tuple(keys):
            continue
        before, rest = text[: section.start], text[section.end :]
        # Of the blank lines around it one goes with it, and all of them at the end of the file.
        blank = re.search(r"(?<=\n)[ \t]*\r?\n\Z", before)
        before = before[: blank.start()] if blank else before
        is_first = not before.removeprefix("\ufeff")
        rest = rest.lstrip("\r\n") if is_first else rest.removeprefix("\r").removeprefix("\n")
        text = before + rest if rest.strip() else before
    return _checked(text, wanted, keys)


def table_lines(keys: Sequence[str], table: Mapping[str, Any]) -> list[str]:
    """The lines of a table, as a person would write them."""
    return [f"[{'.'.join(keys)}]", *(f"{key} = {_string(value)}" for key, value in table.items())]


def _string(value: Any) -> str:
    # A basic string of TOML has the escapes of JSON, and may not hold a DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _sections(text: str) -> Iterator[_Section]:
    """Yield the tables that have a header, in order, of a text that is TOML."""
    section: _Section | None = None
    first = 1 if text.startswith("\ufeff") else 0
    depth, is_line_start, at = 0, True, first
    while found := _TOKEN.search(text, at):
        piece, at = found[0], found.end()
        if piece == "\n":
            is_line_start = is_line_start or depth == 0
            continue
        if piece == "[" and depth == 0 and is_line_start:
            if section is not None:
                yield section
            at = _end_of_line(text, found.start())
            start = max(first, text.rfind("\n", 0, found.start()) + 1)
            section = _Section(_path(text[found.start() : at]), start, at)
            continue
        depth += (piece in "[{") - (piece in "]}")
        if piece.startswith("#"):
            continue
        is_line_start = False
        if section is not None:
            section.end = _end_of_line(text, at)
    if section is not None:
        yield section


def _end_of_line(text: str, at: int) -> int:
    """The end of a line without its newline; a comment behind a value belongs to the value."""
    end = text.find("\n", at)
    end = len(text) if end < 0 else end
    return end - 1 if text[at:end].endswith("\r") else end


def _path(header: str) -> tuple[str, ...]:
    """The keys of a header, by the standard library."""
    path: list[str] = []
    data: Any = load_toml(header)
    while isinstance(data, dict) and data:
        ((key, data),) = data.items()
        path.append(key)
    return tuple(path)


def _inner(data: dict[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    for key in keys:
        data = data[key]
    return data


def _spelled(data: dict[str, Any]) -> str:
    """Data as text, to compare: a number that is none does not equal itself."""
    return json.dumps(data, sort_keys=True, default=repr)


def _checked(edited: str, wanted: dict[str, Any], keys: Sequence[str]) -> str:
    """Return the edited text if it holds what was wanted; whether an empty table above ours is there does not matter."""
    try:
        again = read(edited)
    except TomlError as error:
        raise TomlError(f"it defines {keys[0]} in a way to which no table can be added") from error
    empty: dict[str, Any] = {keys[0]: {}}
    if _spelled(empty | again) != _spelled(empty | wanted):
        raise TomlError(f"{'.'.join(keys)} is not written as a table of its own")
    return edited
