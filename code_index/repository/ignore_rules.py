"""Gitignore rules: match an entry of a folder against patterns, and name the line that decides.

Belongs here: parsing and matching of one ignore file. Does not belong here: where ignore files are found and
which of them wins (`code_index.repository.walk`).

Rules are matched one entry at a time on the way down, as in git: a pattern is never applied below a match, because
an ignored folder is not entered. Rejected: `pathspec`, which matches whole paths (descendants included, so that it
needs priorities), tries every pattern on every file (14 times slower for 60,000 files and 50 patterns) and trims more
white space than git. Rejected: asking `git check-ignore`, which needs git and a checkout. The tests compare every
rule with git itself.

Git matches bytes, so that `?` and `[...]` stand for one byte of a UTF-8 name. Here names and patterns are text whose
characters are those bytes (`_bytewise`). Where case is ignored, `[X]` matches `x` here; git forgets that case.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_POSIX_CLASSES: Final = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "blank": " \\t",
    "cntrl": "\\x00-\\x1f\\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": "!-/:-@\\[-`{-~",
    "space": " \\t-\\r",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}
_SPECIAL: Final = re.compile(r"[*?\[\\]")


class _NeverMatchesError(Exception):
    """Git gives up on the pattern: an open bracket, an unknown class, a lone final backslash."""


@dataclass(frozen=True, slots=True)
class IgnoreRule:
    """One line of an ignore file.

    `text` is the pattern as it was written, `line` its 1-based number in `source`. A `negated` rule brings back
    what an earlier one ignored; a `folders_only` rule applies only to folders; an `anchored` one to the path
    from the ignore file's folder, any other to the name.
    """

    source: str
    line: int
    text: str
    negated: bool
    folders_only: bool
    anchored: bool
    regex: re.Pattern[str]

    def __str__(self) -> str:
        return f"{self.source}:{self.line} {self.text}"


class IgnoreFile:
    """The rules of one ignore file, with a fast path for names that match none.

    Most names match no rule, so a query first costs a dictionary look-up, one `str.endswith` and at most two
    regular expressions; the rules are tried one by one only after a hit.
    """

    def __init__(self, source: str, lines: Iterable[str], *, ignore_case: bool = False) -> None:
        self._fold = ignore_case
        self.rules = tuple(
            rule
            for number, line in enumerate(lines, start=1)
            if (rule := _parse_line(source, number, line, ignore_case)) is not None
        )
        literals: set[str] = set()
        suffixes: set[str] = set()
        patterns: dict[bool, list[str]] = {False: [], True: []}
        for rule in self.rules:
            body = _bytewise(_body(rule.text))
            if _SPECIAL.search(body) is None:
                literals.add(self._folded(body.removeprefix("/")))
            elif body.startswith("*") and not rule.anchored and _SPECIAL.search(body, 1) is None:
                suffixes.add(self._folded(body[1:]))
            else:
                patterns[rule.anchored].append(rule.regex.pattern)
        self._literals = frozenset(literals)
        self._suffixes = tuple(suffixes)
        self._name_regex = _any_of(patterns[False], ignore_case)
        self._path_regex = _any_of(patterns[True], ignore_case)
        self._openings = tuple(opening for rule in self.rules for opening in _openings(rule, ignore_case))

    @classmethod
    def from_bytes(cls, source: str, content: bytes, *, ignore_case: bool = False) -> IgnoreFile:
        """The rules in a file's bytes: a byte order mark and carriage returns at line ends do not count."""
        text = content.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
        return cls(source, (line.removesuffix("\r") for line in text.split("\n")), ignore_case=ignore_case)

    def match(self, name: str, path: str, *, is_folder: bool) -> IgnoreRule | None:
        """The last rule that matches an entry, negated ones included, or None.

        `name` is the entry's own, `path` leads to it from the ignore file's folder.
        """
        if not path.isascii():
            name, path = _bytewise(name), _bytewise(path)
        if self._fold:
            name, path = name.lower(), path.lower()
        if not (
            name in self._literals
            or path in self._literals
            or name.endswith(self._suffixes)
            or (self._name_regex is not None and self._name_regex.fullmatch(name))
            or (self._path_regex is not None and self._path_regex.fullmatch(path))
        ):
            return None
        for rule in reversed(self.rules):
            if (is_folder or not rule.folders_only) and rule.regex.fullmatch(path if rule.anchored else name):
                return rule
        return None

    def without(self, rule: IgnoreRule) -> IgnoreFile:
        """The same file without one of its rules; the others keep their numbers."""
        lines = [""] * max((other.line for other in self.rules), default=0)
        for other in self.rules:
            if other is not rule:
                lines[other.line - 1] = other.text
        return IgnoreFile(rule.source, lines, ignore_case=self._fold)

    def brings_back_below(self, path: str) -> bool:
        """Tell whether a negated rule spells out a path through the folder at `path` (`!vendor/own/` through `vendor`)."""
        return any(opening.fullmatch(_bytewise(path)) for opening in self._openings)

    def _folded(self, text: str) -> str:
        return text.lower() if self._fold else text


def _parse_line(source: str, number: int, line: str, ignore_case: bool) -> IgnoreRule | None:
    text = _trim_trailing_spaces(line.partition("\0")[0])
    if not text or text.startswith("#"):
        return None
    body = _bytewise(_body(text))
    anchored = "/" in body
    try:
        regex = _anchored_regex(body.removeprefix("/")) if anchored else _wildmatch(body)
    except _NeverMatchesError:
        return None
    return IgnoreRule(
        source=source,
        line=number,
        text=text,
        negated=text.startswith("!"),
        folders_only=text.endswith("/"),
        anchored=anchored,
        regex=re.compile(regex, _flags(ignore_case)),
    )


def _body(text: str) -> str:
    return text.removeprefix("!").removesuffix("/")


def _bytewise(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("latin-1")


def _flags(ignore_case: bool) -> re.RegexFlag:
    return re.DOTALL | re.IGNORECASE if ignore_case else re.DOTALL


def _any_of(patterns: list[str], ignore_case: bool) -> re.Pattern[str] | None:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), _flags(ignore_case)) if patterns else None


def _openings(rule: IgnoreRule, ignore_case: bool) -> list[re.Pattern[str]]:
    """One expression for each folder above what a negated rule brings back; none where `**` leaves them open."""
    if not rule.negated or not rule.anchored or "**" in rule.text:
        return []
    segments = _bytewise(_body(rule.text)).removeprefix("/").split("/")
    found = []
    for count in range(1, len(segments)):
        try:
            found.append(re.compile(_anchored_regex("/".join(segments[:count])), _flags(ignore_case)))
        except _NeverMatchesError:  # a bracket that spans a slash cannot match either
            return []
    return found


def _trim_trailing_spaces(line: str) -> str:
    """Drop spaces at the end, except one after a backslash."""
    trimmed = line.rstrip(" ")
    backslashes = len(trimmed) - len(trimmed.rstrip("\\"))
    return trimmed + " " if backslashes % 2 and len(trimmed) < len(line) else trimmed


def _anchored_regex(pattern: str) -> str:
    # Git compares the part before the first special character literally and passes only the rest to its matcher,
    # for which `**` after `a` in `a**/b` then is at the beginning.
    special = _SPECIAL.search(pattern)
    if special is None:
        return re.escape(pattern)
    return re.escape(pattern[: special.start()]) + _wildmatch(pattern[special.start() :])


def _wildmatch(pattern: str) -> str:
    """Regular expression for a glob as git's wildmatch reads it (`*` and `?` stop at a slash).

    Between two stars the first match is as good as any other, hence the atomic groups: a name is matched in linear
    time for each `**`, whatever the pattern.

    Raises:
        _NeverMatchesError: where wildmatch gives up.
    """
    out: list[str] = []
    pieces = [""]  # of the current path segment, split at its stars
    at = 0
    while at < len(pattern):
        char = pattern[at]
        if char == "*":
            end = at + 1
            while pattern.startswith("*", end):
                end += 1
            rest = pattern[end : end + 2]
            bounded = (at == 0 or pattern[at - 1] == "/") and (not rest or rest[0] == "/" or rest == "\\/")
            if end - at > 1 and bounded:
                out.append(_segment(pieces))
                pieces = [""]
                out.append("(?:.*/)?" if rest.startswith("/") else ".*")
                end += rest.startswith("/")
            else:
                pieces.append("")
            at = end
            continue
        if char == "/" or pattern.startswith("\\/", at):
            out.append(_segment(pieces) + "/")
            pieces = [""]
            at += 1 if char == "/" else 2
            continue
        token, at = _one_character(pattern, at)
        pieces[-1] += token
    out.append(_segment(pieces))
    return "".join(out)


def _segment(pieces: list[str]) -> str:
    if len(pieces) == 1:
        return pieces[0]
    middle = "".join(f"(?>[^/]*?{piece})" for piece in pieces[1:-1] if piece)
    return f"{pieces[0]}{middle}[^/]*{pieces[-1]}"


def _one_character(pattern: str, at: int) -> tuple[str, int]:
    """The expression for the one-character token at `at`, and where the next one begins."""
    char = pattern[at]
    if char == "?":
        return "[^/]", at + 1
    if char == "[":
        return _bracket(pattern, at + 1)
    if char == "\\":
        at += 1
        if at == len(pattern):
            raise _NeverMatchesError
        char = pattern[at]
    return re.escape(char), at + 1


def _bracket(pattern: str, at: int) -> tuple[str, int]:
    """The expression for a bracket whose content begins at `at`, and where the next token begins."""
    negated = pattern.startswith(("!", "^"), at)
    at += negated
    items: list[str] = []
    previous = ""  # what a range may begin with
    first = True
    while True:
        if at >= len(pattern):
            raise _NeverMatchesError
        char = pattern[at]
        if char == "]" and not first:
            break
        first = False
        if char == "-" and previous and at + 1 < len(pattern) and pattern[at + 1] != "]":
            last, at = _literal(pattern, at + 1)
            if previous <= last:
                items.append(f"{re.escape(previous)}-{re.escape(last)}")
            previous = ""
        elif char == "[" and pattern.startswith(":", at + 1) and (end := _class_end(pattern, at)) is not None:
            name = pattern[at + 2 : end - 1]
            if name not in _POSIX_CLASSES:
                raise _NeverMatchesError
            items.append(_POSIX_CLASSES[name])
            previous, at = "", end + 1
        else:
            previous, at = _literal(pattern, at)
            items.append(re.escape(previous))
    inside = "".join(items)
    return (f"[^/{inside}]" if negated else f"(?!/)[{inside}]"), at + 1


def _literal(pattern: str, at: int) -> tuple[str, int]:
    if pattern[at] == "\\":
        at += 1
        if at == len(pattern):
            raise _NeverMatchesError
    return pattern[at], at + 1


def _class_end(pattern: str, at: int) -> int | None:
    """Index of the `]` of `[:name:]` at `at`, or None where the characters are ordinary ones."""
    end = pattern.find("]", at + 2)
    if end < 0:
        raise _NeverMatchesError
    return end if end > at + 2 and pattern[end - 1] == ":" else None
