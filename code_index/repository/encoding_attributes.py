"""Encodings that `.gitattributes` declares: `*.sql working-tree-encoding=UTF-16LE`.

Belongs here: the lines of one file. Does not belong here: where the files are found (`code_index.repository.walk_rules`),
and which names of encodings count (`code_index.chunking.declared_encoding`): a repository's word is a stranger's.

Patterns are those of ignore files, without negation. Rejected: `git check-attr`, which needs git, a checkout and the
list of all files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from code_index.repository.ignore_rules import IgnoreFile

ATTRIBUTES_FILE: Final = ".gitattributes"
_NAME: Final = b"working-tree-encoding"
_MACRO: Final = "[attr]"
# Each file below looks for them.
_MAX_MACROS: Final = 20
_LINE: Final = re.compile(r'(?:"((?:[^"\\]|\\.)*)"|(\S+))[ \t]+(.*)', re.DOTALL)
_ESCAPED: Final = re.compile(r'\\(["\\])')


class EncodingAttributes:
    """The lines of one attributes file that say something about the encoding.

    `macros` are attributes that stand for an encoding, those of the files above (`inherited`) among them.
    """

    def __init__(
        self, content: bytes, *, inherited: Mapping[str, str] = MappingProxyType({}), ignore_case: bool = False
    ) -> None:
        patterns: list[str] = []
        self._values: list[str | None] = []
        macros = dict(inherited)
        # A file of a hundred thousand lines about other attributes costs one search.
        says_something = _NAME in content or any(
            macro.encode("utf-8", "surrogateescape") in content for macro in macros
        )
        lines = content.decode("utf-8", "surrogateescape").split("\n") if says_something else []
        for line in lines:
            match = _LINE.fullmatch(line.strip())
            if match is None or line.lstrip().startswith("#"):
                continue
            pattern = match[2] if match[1] is None else _ESCAPED.sub(r"\1", match[1])
            said = _said(match[3].split(), macros)
            if pattern.startswith(_MACRO):
                if said and said[0] and len(macros) < _MAX_MACROS:
                    macros[pattern.removeprefix(_MACRO)] = said[0]
            elif said and not pattern.startswith("!"):
                patterns.append(pattern)
                self._values.append(said[0])
        self.macros: Mapping[str, str] = macros
        self._rules = IgnoreFile(ATTRIBUTES_FILE, patterns, ignore_case=ignore_case)

    def __bool__(self) -> bool:
        """Tell whether a line says something about the encoding."""
        return bool(self._values or self.macros)

    def match(self, name: str, path: str) -> tuple[str | None] | None:
        """The encoding that is said of a file, in a tuple, with None in it where it is taken back; None if nothing is said."""
        rule = self._rules.match(name, path, is_folder=False)
        return None if rule is None else (self._values[rule.line - 1],)


def _said(words: list[str], macros: dict[str, str]) -> tuple[str | None] | None:
    """The encoding that the attributes of a line say last, in a tuple; None if they say nothing of it."""
    name = _NAME.decode()
    said: tuple[str | None] | None = None
    for word in words:
        attribute, _, value = word.partition("=")
        if attribute == name and value:
            said = (value,)
        elif word in {f"-{name}", f"!{name}"}:
            said = (None,)
        elif word in macros:
            said = (macros[word],)
    return said
