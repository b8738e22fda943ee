"""Filters of a search, and their SQL.

Belongs here: `SearchFilter` and its translation, for `chunks` and `vectors` alike (both hold
the columns named here).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from code_index.core.content_kinds import CONFIG_LANGUAGES, DOCS_LANGUAGES, DOCS_PATH, TEST_PATH, ContentKind
from code_index.core.errors import UsageError
from code_index.tables.sql import all_of, any_of, equals, is_in, sql_literal

_SHOWN = 80  # characters of a value that a message quotes
_WILDCARDS = "*?["
_WHOLE_PATH = re.compile(r"[*?]")
_ANY_NAME = re.compile(r"(?P<folder>)\*(?P<suffix>[^*?\[/]*)", re.DOTALL)  # *.py
_ANY_DEPTH = re.compile(r"(?P<folder>([^*?\[]*/)?)\*\*(/\*(?P<suffix>[^*?\[/]*))?", re.DOTALL)  # src/**, src/**/*.py
_NAME_AT_ANY_DEPTH = re.compile(r"(?P<folder>([^*?\[]*/)?)\*\*/(?P<name>[^*?\[]+)", re.DOTALL)  # **/setup.py
_PREFIX = "starts_with"
_REGEX_SPECIAL = frozenset(r"\.+*?()|[]{}^$#&-~")
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~ ])")  # a backslash before a letter or a digit is part of a name
_CHOICE = re.compile(r"\{([^{}]*,[^{}]*)\}")
_MEANING_MORE = frozenset("*?[]{},!^-\\")
_MAX_PATTERNS = 64  # that braces may stand for
# A character that means itself is moved to the lone surrogates, which no value holds (`refuse_broken_text`).
_LITERAL_BASE = 0xDC00


@dataclass(frozen=True, slots=True)
class SearchFilter:
    """Conditions that all must hold; empty and `None` mean no condition.

    `path_glob` means what people write: `src/x/` and `src/x` are all files below that folder (or
    that file), `*.py` is any file of that name at any depth, and a pattern with a slash matches
    the whole path: `*` and `?` stop at `/`, `**` does not, `[a-z]` and `[!a-z]` are sets of characters,
    `{a,b}` is one of both. Brackets and braces are ordinary in names as well (`app/[id]/page.tsx`): what they spell
    matches too. A backslash makes the next character mean only itself.

    `paths` are exact paths, of which one must fit; an empty tuple lets nothing through.
    """

    languages: tuple[str, ...] = ()
    path_glob: str | None = None
    chunk_types: tuple[str, ...] = ()
    function_name: str | None = None
    class_name: str | None = None
    subproject: str | None = None
    content: ContentKind | None = None
    paths: tuple[str, ...] | None = None

    def where(self) -> str | None:
        """Translate the filter to an SQL condition; `None` when it lets everything through.

        Raises:
            UsageError: a value is not valid UTF-8 (bytes of a command line).
        """
        for value in self._values():
            refuse_broken_text(value)
        return all_of(
            is_in("language", self.languages) if self.languages else None,
            path_condition(self.path_glob) if self.path_glob else None,
            is_in("chunk_type", self.chunk_types) if self.chunk_types else None,
            None if self.function_name is None else equals("function_name", self.function_name),
            None if self.class_name is None else equals("class_name", self.class_name),
            None if self.subproject is None else equals("subproject_name", self.subproject),
            None if self.content is None else content_condition(self.content),
            None if self.paths is None else is_in("file_path", self.paths),
        )

    def _values(self) -> Iterator[str]:
        yield from self.languages
        yield from self.chunk_types
        yield from self.paths or ()
        one_each = (self.path_glob, self.function_name, self.class_name, self.subproject)
        yield from (value for value in one_each if value is not None)


def content_condition(kind: ContentKind) -> str:
    """Translate a kind of content to an SQL condition, as `content_kind` tells it."""
    docs = f"({is_in('language', sorted(DOCS_LANGUAGES))} OR regexp_like(file_path, {sql_literal(DOCS_PATH)}))"
    if kind is ContentKind.DOCS:
        return docs
    tests = f"regexp_like(file_path, {sql_literal(TEST_PATH)})"
    if kind is ContentKind.TESTS:
        return f"(NOT {docs} AND {tests})"
    config = is_in("language", sorted(CONFIG_LANGUAGES))
    if kind is ContentKind.CONFIG:
        return f"({config} AND NOT {tests})"
    return f"(NOT {docs} AND NOT ({config}) AND NOT {tests})"


def refuse_broken_text(value: str) -> None:
    """Refuse text with lone surrogates.

    Raises:
        UsageError: no table can hold it.
    """
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UsageError(
            f"{value[:_SHOWN]!r} is not valid UTF-8, and so no name in the index can match it. Write the filter in UTF-8."
        ) from error


def path_condition(glob: str) -> str | None:
    """Translate a `path_glob` to an SQL condition; `None` for a pattern that every path matches.

    Prefixes and suffixes wherever they suffice: on 576,000 rows `starts_with` with an index on
    file_path takes 11 ms, a regular expression 250 ms. Patterns that need one get a prefix as well.

    Raises:
        UsageError: braces in it stand for too many patterns.
    """
    return any_of(*map(_condition, _without_choices(_ESCAPE.sub(_as_literal, glob))))


def names_paths(condition: str) -> bool:
    """Tell whether a condition names files, or folders from the top on: the index on file_path narrows it quickly."""
    return f"{_PREFIX}(" in condition or "file_path IN (" in condition


def _as_literal(escape: re.Match[str]) -> str:
    return chr(_LITERAL_BASE + ord(escape[1])) if escape[1] in _MEANING_MORE else escape[1]


def _plain(text: str) -> str:
    """Text without wildcards as the names of files have it."""
    return "".join(chr(ord(c) - _LITERAL_BASE) if _is_literal(c) else c for c in text)


def _is_literal(character: str) -> bool:
    return _LITERAL_BASE <= ord(character) < _LITERAL_BASE + 128


def _without_choices(pattern: str) -> list[str]:
    """The patterns that one with braces stands for, itself included: a folder may be called so."""
    found = [pattern]
    pending = [pattern]
    while pending:
        current = pending.pop()
        choice = _CHOICE.search(current)
        if choice is None:
            continue
        variants = [current[: choice.start()] + one + current[choice.end() :] for one in choice[1].split(",")]
        pending += filter(None, variants)
        found += filter(None, variants)
        if len(found) > _MAX_PATTERNS:
            raise UsageError(f"The braces of {_plain(pattern)[:_SHOWN]!r} stand for too many patterns. Name fewer.")
    return found


def _condition(glob: str) -> str | None:
    pattern = glob.removeprefix("./").lstrip("/")
    if not set(_WILDCARDS) & set(pattern):
        return _path_or_folder(pattern)
    if pattern.endswith("/"):
        pattern += "**"
    if match := _ANY_DEPTH.fullmatch(pattern) or _ANY_NAME.fullmatch(pattern):
        return all_of(_starts_with(match["folder"] or ""), _ends_with(match["suffix"] or ""))
    if match := _NAME_AT_ANY_DEPTH.fullmatch(pattern):
        folder, name = match["folder"], match["name"]
        here_or_below = f"({equals('file_path', _plain(folder + name))} OR {_ends_with('/' + name)})"
        return all_of(_starts_with(folder), here_or_below)
    anchor = "(?s)^" if "/" in pattern else "(?s)(^|/)"
    # Only sets, as in app/[id]: a folder's name is all that is below it, as without sets.
    ending = "$" if _WHOLE_PATH.search(pattern) else "(/.*)?$"
    matches = f"regexp_like(file_path, {sql_literal(anchor + glob_to_regex(pattern) + ending)})"
    prefix = pattern[: min(place for place in map(pattern.find, _WILDCARDS) if place >= 0)] if "/" in pattern else ""
    return all_of(_starts_with(prefix), matches)


def _path_or_folder(pattern: str) -> str | None:
    folder = pattern.rstrip("/")
    if not folder:
        return None
    below = _starts_with(folder + "/")
    return below if pattern.endswith("/") else f"({equals('file_path', _plain(folder))} OR {below})"


def _starts_with(prefix: str) -> str | None:
    return f"{_PREFIX}(file_path, {sql_literal(_plain(prefix))})" if prefix else None


def _ends_with(suffix: str) -> str | None:
    return f"ends_with(file_path, {sql_literal(_plain(suffix))})" if suffix else None


def glob_to_regex(pattern: str) -> str:
    """Translate a glob to a regular expression (without anchors) for Rust's `regex` crate; `re` reads it alike."""
    parts: list[str] = []
    place = 0
    while place < len(pattern):
        if pattern.startswith("**/", place) and (place == 0 or pattern[place - 1] == "/"):
            parts.append("(.*/)?")
            place += 3
        elif pattern.startswith("**", place):
            parts.append(".*")
            place += 2
        elif pattern[place] == "[" and (end := _end_of_set(pattern, place)):
            as_spelled = "".join(map(_escaped, pattern[place : end + 1]))
            parts.append(f"({_character_set(pattern[place + 1 : end])}|{as_spelled})")
            place = end + 1
        else:
            parts.append({"*": "[^/]*", "?": "[^/]"}.get(pattern[place]) or _escaped(pattern[place]))
            place += 1
    return "".join(parts)


def _end_of_set(pattern: str, start: int) -> int | None:
    # "]" right after "[" or "[!" is a member of the set; without a closing "]" the "[" is a plain character.
    members = start + (2 if pattern.startswith(("[!", "[^"), start) else 1)
    end = pattern.find("]", members + 1)
    return end if end >= 0 else None


def _character_set(members: str) -> str:
    negated = members[0] in "!^"
    members = members[1:] if negated else members
    # "-" between two members is a range when it ascends, and a member elsewhere.
    out: list[str] = []
    place = 0
    while place < len(members):
        if (
            place + 2 < len(members)
            and members[place + 1] == "-"
            and _plain(members[place]) <= _plain(members[place + 2])
        ):
            out.append(f"{_escaped(members[place])}-{_escaped(members[place + 2])}")
            place += 3
        else:
            out.append(_escaped(members[place]))
            place += 1
    return f"[{'^/' if negated else ''}{''.join(out)}]"


def _escaped(character: str) -> str:
    if _is_literal(character):
        character = _plain(character)
    return "\\" + character if character in _REGEX_SPECIAL else character
