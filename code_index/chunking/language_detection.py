"""The language of a file: by name, then extension, then its first bytes.

Belongs here: the order of the rules. Does not belong here: the names (`code_index.chunking.file_type`) and the choice
of indexed files (`code_index.repository.content_rules`).

Content-based classifiers were rejected: they need every file's content, but an unchanged tree must be
scanned without reading files. Only extensionless files and the few extensions that several languages use need a
look inside.
"""

from __future__ import annotations

import re
from typing import Final

from code_index.chunking.file_type import TEXT
from code_index.chunking.registry import FILE_TYPES, by_word

HEAD_BYTES: Final = 4_096
"""Bytes of a file that `detect_language` reads; a longer head is cut."""

_BY_EXTENSION: Final = by_word(FILE_TYPES.values(), "extensions")
_BY_FILE_NAME: Final = by_word(FILE_TYPES.values(), "file_names")
_BY_PREFIX: Final = by_word(FILE_TYPES.values(), "file_name_prefixes")
_BY_INTERPRETER: Final = by_word(FILE_TYPES.values(), "interpreters")
_BY_MODE: Final = by_word(FILE_TYPES.values(), "modes")
_BY_CONTENT: Final = {extension: rule for kind in FILE_TYPES.values() for extension, rule in kind.by_content.items()}

_BY_TITLE: Final = {kind.title.lower(): kind.name for kind in FILE_TYPES.values() if kind.title}
_OTHERWISE_CALLED: Final = {"golang": "go", "shell": "bash", "console": "text", "docker": "dockerfile", "yml": "yaml"}

_SHEBANG: Final = re.compile(
    rb"\A(?:\xef\xbb\xbf)?#![ \t]*(?:\S*/)?env[ \t]+(?:-\S+[ \t]+|\w+=\S*[ \t]+)*(?P<by_env>[^\s/]+)"
    rb"|\A(?:\xef\xbb\xbf)?#![ \t]*(?:\S*/)?(?P<direct>[^\s/]+)"
)
_MODE_LINE: Final = re.compile(rb"\A(?:#!.*\n)?.*-\*-[^\n]*?(?:mode:[ \t]*)?([A-Za-z+#-]+)[ \t;]*-\*-")


def detect_language(file_path: str, head: bytes | None = None) -> str:
    """The language of the file at `file_path` (POSIX): a name of `FILE_TYPES`.

    `head` is the file's first bytes; it matters only where the name leaves the language open. Without it the language
    is the one that declares the extension, and a file with neither a known name nor an extension is `text`.
    """
    name, extension = _name_and_extension(file_path)
    known = _by_name(name, extension)
    if known is None:
        return _by_shebang((head or b"")[:HEAD_BYTES]) if not extension else TEXT
    rule = _BY_CONTENT.get(extension)
    if rule is not None and head is not None:
        return _by_mode_line(head[:HEAD_BYTES]) or rule(head[:HEAD_BYTES])
    return known


def language_of_word(word: str) -> str | None:
    """The language that people call by a word, such as `py` or `c++` after a fence of Markdown."""
    word = word.lower()
    if word in FILE_TYPES:
        return word
    tables = (_BY_TITLE, _BY_EXTENSION, _BY_INTERPRETER, _BY_MODE, _OTHERWISE_CALLED)
    return next((table[word] for table in tables if word in table), None)


def _name_and_extension(file_path: str) -> tuple[str, str]:
    """The last path component, and what follows its last dot (without a leading dot that hides a file)."""
    name = file_path.rpartition("/")[2]
    stem, dot, extension = name.rpartition(".")
    return name, extension if dot and stem else ""


def _by_name(name: str, extension: str) -> str | None:
    lower = name.lower()
    if (language := _BY_FILE_NAME.get(lower)) is not None:
        return language
    for prefix, language in _BY_PREFIX.items():
        if lower.startswith(prefix):
            return language
    two = lower.split(".")[1:][-2:]  # `blade.php`
    known = _BY_EXTENSION.get(".".join(two)) if len(two) > 1 else None
    return known or _BY_EXTENSION.get(extension) or _BY_EXTENSION.get(extension.lower())


def _by_shebang(head: bytes) -> str:
    match = _SHEBANG.match(head)
    if match is None:
        return TEXT
    program = (match["by_env"] or match["direct"]).decode("utf-8", "replace").lower()
    # python3.11, pypy3, lua5.4: the version is not part of the name.
    return _BY_INTERPRETER.get(program) or _BY_INTERPRETER.get(program.rstrip("0123456789.-"), TEXT)


def _by_mode_line(head: bytes) -> str | None:
    match = _MODE_LINE.match(head)
    return _BY_MODE.get(match[1].decode().lower()) if match is not None else None
