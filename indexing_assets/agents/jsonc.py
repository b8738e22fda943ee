"""JSON with comments and trailing commas, edited in place: what is not ours keeps every byte.

Belongs here: reading such text with the place of every value, adding a member or an item, and taking one out again.
Does not belong here: which member (`indexing_assets.agents.table`), and files (`indexing_assets.agents.files`).

Decision: an edit of the text at the places that a reader of our own reports. Rejected: the packages that keep comments
(json-five, json5kit), which read all of JSON5, so that a file its agent refuses would pass, and print what they read
again, so that indentation and line ends are theirs; and `json.dumps`, which drops comments. Each edit is checked: the
result is read again, and has to hold what was there and our part of it.

Source: the language is JSON (RFC 8259) with `//` and `/* */` comments and trailing commas, as VS Code, Zed and OpenCode
read their settings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

_BLANK: Final = re.compile(r"(?:[ \t\r\n]++|//[^\n]*+|/\*.*?\*/)*+", re.DOTALL)
_COMMENT: Final = re.compile(r"//[^\n]*+|/\*.*?\*/", re.DOTALL)
_STRING: Final = re.compile(r'"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+"')
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?")
_WORDS: Final = {"true": True, "false": False, "null": None}
_INDENT: Final = re.compile(r"[ \t]*")
_MAX_DEPTH: Final = 100
_MAX_DIGITS: Final = 300


class JsoncError(ValueError):
    """Text that is not JSON with comments, or does not have the shape that an edit needs; the message says where."""


@dataclass(slots=True)
class Part:
    """A member of an object or an item of an array: from its key or value to the end of its value."""

    start: int
    node: Node
    key: str | None = None
    comma: int | None = None

    @property
    def end(self) -> int:
        """The end of the value, exclusive."""
        return self.node.end


@dataclass(slots=True)
class Node:
    """A value and its place in the text, in characters, half open."""

    start: int
    end: int
    value: Any
    parts: list[Part] = field(default_factory=list)


def read(text: str) -> Node | None:
    """Read the value in `text`, which may begin with a byte order mark; None if there is only blank space and comments.

    Raises:
        JsoncError: it is not JSON with comments; the message names line and column.
    """
    return _Reader(text).document()


def member(node: Node, keys: Sequence[str]) -> Node | None:
    """Return what an object has at a path of keys; None if there is nothing.

    Raises:
        JsoncError: what lies on the way is no object, or is given twice.
    """
    for depth in range(len(keys)):
        found = _find(node, keys[: depth + 1])
        if found is None:
            return None
        node = found.node
    return node


def with_member(text: str, keys: Sequence[str], value: Any) -> str:
    """Set the member at a path of keys; objects that lack on the way are made, in the style of the text.

    Raises:
        JsoncError: the text is not JSON with comments, or the path is not one of objects.
    """

    def edit(root: Node) -> str:
        node = root
        for depth, key in enumerate(keys):
            found = _find(node, keys[: depth + 1])
            if found is None:
                missing = value
                for name in reversed(keys[depth + 1 :]):
                    missing = {name: missing}
                return _add(text, root, node, key, missing)
            node = found.node
        return _replace(text, root, node, value)

    def change(data: Any) -> Any:
        inner = data
        for key in keys[:-1]:
            inner = inner.setdefault(key, {})
        inner[keys[-1]] = value
        return data

    return _edited(text, edit, change)


def with_item(text: str, keys: Sequence[str], value: Any) -> str:
    """Append an item to the array at a path of keys, which is made where it lacks.

    Raises:
        JsoncError: the text is not JSON with comments, or there is something else than an array.
    """
    root = read(text)
    array = None if root is None else member(root, keys)
    if root is None or array is None:
        return with_member(text, keys, [value])
    if not isinstance(array.value, list):
        raise JsoncError(f"{_named(keys)} is not an array")

    def change(data: Any) -> Any:
        _inner(data, keys).append(value)
        return data

    return _edited(text, lambda root: _add(text, root, array, None, value), change)


def without_member(text: str, keys: Sequence[str]) -> str:
    """Take out the member at a path of keys; an object that becomes empty stays.

    Raises:
        JsoncError: the text is not JSON with comments, or has no such member.
    """

    def edit(root: Node) -> str:
        parent = member(root, keys[:-1])
        found = None if parent is None else _find(parent, keys)
        if parent is None or found is None:
            raise JsoncError(f"{_named(keys)} is not there")
        return _remove(text, parent, parent.parts.index(found))

    def change(data: Any) -> Any:
        del _inner(data, keys[:-1])[keys[-1]]
        return data

    return _edited(text, edit, change)


def without_item(text: str, keys: Sequence[str], index: int) -> str:
    """Take an item out of the array at a path of keys.

    Raises:
        JsoncError: the text is not JSON with comments, or has no such item.
    """

    def edit(root: Node) -> str:
        array = member(root, keys)
        if array is None or not isinstance(array.value, list) or index >= len(array.parts):
            raise JsoncError(f"{_named(keys)} has no item {index}")
        return _remove(text, array, index)

    def change(data: Any) -> Any:
        del _inner(data, keys)[index]
        return data

    return _edited(text, edit, change)


def _edited(text: str, edit: Callable[[Node], str], change: Callable[[Any], Any]) -> str:
    """Apply an edit to the text, and see that the result holds what the same change of the data gives."""
    root = read(text)
    if root is None:
        newline = _newline(text)
        kept = text.rstrip(" \t\r\n")
        gap = newline if kept.removeprefix("\ufeff") else ""
        made = json.dumps(change({}), indent=2, ensure_ascii=False).replace("\n", newline)
        return f"{kept}{gap}{made}{newline}"
    if not isinstance(root.value, dict):
        raise JsoncError("the file holds no object")
    edited = edit(root)
    wanted = change(json.loads(json.dumps(root.value)))
    again = read(edited)
    if again is None or again.value != wanted:
        raise JsoncError("its text cannot be edited without a change of something else")
    return edited


def _inner(data: Any, keys: Sequence[str]) -> Any:
    for key in keys:
        data = data[key]
    return data


def _find(node: Node, path: Sequence[str]) -> Part | None:
    """Return the member of an object whose key is the last of `path`."""
    if not isinstance(node.value, dict):
        raise JsoncError(f"{_named(path[:-1])} is not an object" if len(path) > 1 else "the file holds no object")
    found = [part for part in node.parts if part.key == path[-1]]
    if len(found) > 1:
        raise JsoncError(f"{_named(path)} is given {len(found)} times")
    return found[0] if found else None


def _named(path: Sequence[str]) -> str:
    return ".".join(f'"{key}"' for key in path)


def _newline(text: str) -> str:
    end = text.find("\n")
    return "\r\n" if end > 0 and text[end - 1] == "\r" else "\n"


def _line_indent(text: str, at: int) -> str:
    """The blank space with which the line of a place begins."""
    begin = text.rfind("\n", 0, at) + 1
    if begin == 0 and text.startswith("\ufeff"):
        begin = 1
    found = _INDENT.match(text, begin)
    return found[0] if found else ""


def _unit(text: str, root: Node) -> str:
    """The blank space of one level, as the first member of the root shows it."""
    if root.parts:
        outer, inner = _line_indent(text, root.start), _line_indent(text, root.parts[0].start)
        if "\n" in text[root.start : root.parts[0].start] and len(inner) > len(outer):
            return inner[len(outer) :]
    return "  "


def _rendered(text: str, root: Node, key: str | None, value: Any, indent: str | None) -> str:
    """A part as text: on lines that begin with `indent`, or on one line where that is None."""
    if indent is None:
        tight = bool(root.parts) and not re.search(r'"\s*:\s', text[root.start : root.parts[0].end])
        separators = (",", ":") if tight else (", ", ": ")
        head = "" if key is None else f"{json.dumps(key, ensure_ascii=False)}{separators[1]}"
        return head + json.dumps(value, ensure_ascii=False, separators=separators)
    unit = _unit(text, root)
    head = "" if key is None else f"{json.dumps(key, ensure_ascii=False)}: "
    body = json.dumps(value, indent=unit, ensure_ascii=False)
    return head + body.replace("\n", f"{_newline(text)}{indent}")


def _add(text: str, root: Node, node: Node, key: str | None, value: Any) -> str:
    """Append a member or an item after the last one, in the style of the text around it."""
    newline, close = _newline(text), node.end - 1
    outer = _line_indent(text, node.start)
    last = node.parts[-1] if node.parts else None
    spread = "\n" in text[node.start : node.end] if last else "\n" in text[root.start : root.end] or not root.parts
    after = node.start + 1 if last is None else (last.end if last.comma is None else last.comma + 1)
    # What stands between the last part and the end is blank space and comments, which stay where they are.
    kept = text[after:close].rstrip(" \t\r\n")
    tail = text[after + len(kept) : close]
    comma = "," if last is not None and last.comma is None else ""
    trailing = "," if last is not None and last.comma is not None else ""
    before = text[: last.end] + comma + text[last.end : after] if last is not None else text[:after]
    if not spread:
        tight = last is not None and not re.search(r'"\s*:\s', text[root.start : root.parts[0].end])
        gap = "" if last is None or tight else " "
        return f"{before}{kept}{gap}{_rendered(text, root, key, value, None)}{trailing}{tail}{text[close:]}"
    indent = outer + _unit(text, root)
    if last is not None and text[: last.start].rstrip(" \t").endswith("\n"):
        indent = _line_indent(text, last.start)
    if last is None or "\n" not in tail:
        tail = f"{newline}{outer}"
    rendered = _rendered(text, root, key, value, indent)
    return f"{before}{kept}{newline}{indent}{rendered}{trailing}{tail}{text[close:]}"


def _replace(text: str, root: Node, node: Node, value: Any) -> str:
    spread = "\n" in text[node.start : node.end] or "\n" in text[root.start : root.end]
    indent = _line_indent(text, node.start) if spread else None
    return f"{text[: node.start]}{_rendered(text, root, None, value, indent)}{text[node.end :]}"


def _remove(text: str, parent: Node, index: int) -> str:
    """Take out a part with the comma and the blank space that belong to it; comments stay."""
    part = parent.parts[index]
    previous = parent.parts[index - 1] if index else None
    after = parent.start + 1 if previous is None else (previous.end if previous.comma is None else previous.comma + 1)
    gap = text[after : part.start]
    kept = gap.rstrip(" \t\r\n")
    rest = text[part.end if part.comma is None else part.comma + 1 :]
    comments = _COMMENT.findall(kept)
    if rest.lstrip(" \t\r").startswith("\n") or (
        rest.startswith(("}", "]")) and not (comments and comments[-1].startswith("//"))
    ):
        gap = kept
    elif "\n" in gap[len(kept) :] or not index:
        # What shares the line stays there.
        rest = rest.lstrip(" \t")
    else:
        gap = kept
    head = text[:after]
    if part.comma is None and previous is not None and previous.comma is not None:
        head = head[:-1]
    if len(parent.parts) == 1 and not kept and rest.lstrip(" \t\r\n").startswith(("}", "]")):
        return head + rest.lstrip(" \t\r\n")
    return head + gap + rest


class _Reader:
    """One pass over a text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 1 if text.startswith("\ufeff") else 0

    def document(self) -> Node | None:
        self._blank()
        if self._at == len(self._text):
            return None
        node = self._value(0)
        self._blank()
        if self._at != len(self._text):
            raise self._wrong("something follows the end of the value")
        return node

    def _blank(self) -> None:
        found = _BLANK.match(self._text, self._at)
        self._at = found.end() if found else self._at
        if self._text.startswith("/*", self._at):
            raise self._wrong("a comment is not closed")

    def _value(self, depth: int) -> Node:
        if depth > _MAX_DEPTH:
            raise self._wrong("nested too deep")
        start, first = self._at, self._text[self._at : self._at + 1]
        if first in ("{", "["):
            return self._container(start, depth, is_object=first == "{")
        if first == '"':
            value = self._string()
            return Node(start, self._at, value)
        number = _NUMBER.match(self._text, start)
        if number:
            self._at = number.end()
            # What has more digits than Python reads is only compared.
            return Node(start, self._at, json.loads(number[0]) if len(number[0]) <= _MAX_DIGITS else number[0])
        for word, meaning in _WORDS.items():
            if self._text.startswith(word, start):
                self._at += len(word)
                return Node(start, self._at, meaning)
        raise self._wrong("a value is expected")

    def _string(self) -> str:
        found = _STRING.match(self._text, self._at)
        if not found:
            raise self._wrong("a string is expected" if self._text[self._at : self._at + 1] != '"' else "a bad string")
        self._at = found.end()
        value: str = json.loads(found[0])
        return value

    def _container(self, start: int, depth: int, *, is_object: bool) -> Node:
        close = "}" if is_object else "]"
        self._at += 1
        parts: list[Part] = []
        while True:
            self._blank()
            if self._text.startswith(close, self._at):
                self._at += 1
                break
            if parts and parts[-1].comma is None:
                raise self._wrong(f"a comma or {close} is expected")
            part_start, key = self._at, None
            if is_object:
                key = self._string()
                self._blank()
                if not self._text.startswith(":", self._at):
                    raise self._wrong("a colon is expected")
                self._at += 1
                self._blank()
            part = Part(part_start, self._value(depth + 1), key)
            parts.append(part)
            self._blank()
            if self._text.startswith(",", self._at):
                part.comma = self._at
                self._at += 1
        value = {part.key: part.node.value for part in parts} if is_object else [part.node.value for part in parts]
        return Node(start, self._at, value, parts)

    def _wrong(self, what: str) -> JsoncError:
        line = self._text.count("\n", 0, self._at) + 1
        column = self._at - self._text.rfind("\n", 0, self._at)
        return JsoncError(f"line {line}, column {column}: {what}")
