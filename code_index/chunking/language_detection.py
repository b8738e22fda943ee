"""The language of a file: by name, then extension, then what it holds.

Belongs here: the order of the rules. Does not belong here: the names (`code_index.chunking.file_type`), what tells
the languages of an extension apart (`ambiguous_extensions`), and the choice of indexed files
(`code_index.repository.content_rules`).

Content-based classifiers were rejected: they need every file's content, but an unchanged tree must be
scanned without reading files. Only files without a known name or extension, and the extensions that several languages
use, need a look inside; a scan has just read what it asks about, and keeps the answer with the file's record.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from typing import Final

from code_index.chunking.ambiguous_extensions import RULES
from code_index.chunking.file_type import TEXT
from code_index.chunking.registry import FILE_TYPES, by_word
from code_index.chunking.shebangs import interpreters

HEAD_BYTES: Final = 4_096
"""Bytes in which a shebang, a line for an editor or an XML declaration stands."""

MAX_CONTENT_BYTES: Final = 1 << 20
"""Bytes that tell the language of a file whose extension several use: as many as a file has by default."""

_BY_EXTENSION: Final = by_word(FILE_TYPES.values(), "extensions")
_BY_FILE_NAME: Final = by_word(FILE_TYPES.values(), "file_names")
_BY_PREFIX: Final = by_word(FILE_TYPES.values(), "file_name_prefixes")
_BY_INTERPRETER: Final = by_word(FILE_TYPES.values(), "interpreters")
_BY_MODE: Final = by_word(FILE_TYPES.values(), "modes")

_BY_TITLE: Final = {kind.title.lower(): kind.name for kind in FILE_TYPES.values() if kind.title}
_OTHERWISE_CALLED: Final = {"golang": "go", "shell": "bash", "console": "text", "docker": "dockerfile", "yml": "yaml"}

_MODE_LINES: Final = (
    re.compile(
        rb"\A(?:#![^\n]*\n)?[^\n]{0,200}?-\*-[ \t]*(?:[^\n]{0,200}?\bmode:[ \t]*)?(?P<word>[\w+#-]++)[ \t]*(?:;|-\*-)"
    ),
    re.compile(
        rb"^[^\n]{0,200}?\b(?:vim?|ex):[^\n]{0,200}?\b(?:ft|filetype|syn|syntax)=(?P<word>[\w+#-]++)", re.MULTILINE
    ),
)
_XML_DECLARATION: Final = re.compile(rb"\A(?:\xef\xbb\xbf)?<\?xml\s")


def detect_language(file_path: str, content: bytes | None = None) -> str:
    """The language of the file at `file_path` (POSIX): a name of `FILE_TYPES`.

    `content` is the file's bytes (`encoding.ascii_compatible`); it matters only where the name leaves the language open. Without it the language
    is the one that declares the extension, and a file with neither a known name nor an extension is `text`.
    """
    name, extension = _name_and_extension(file_path)
    known = _by_name(name)
    if known is not None:
        return known
    two = ".".join(name.lower().split(".")[1:][-2:])
    key = two if "." in two and two in _BY_EXTENSION else extension  # `blade.php`
    key = key if key in _BY_EXTENSION else key.lower()
    known = _BY_EXTENSION.get(key)
    rule = RULES.get(key)
    if content is None or (known is not None and rule is None):
        return known or TEXT
    head = content[:HEAD_BYTES]
    if rule is None:
        return _by_shebang(head) or _by_mode_line(head) or ("xml" if _XML_DECLARATION.match(head) else TEXT)
    return (
        _by_mode_line(head)
        or rule(content[:MAX_CONTENT_BYTES].removeprefix(BOM_UTF8))
        or known
        or _by_shebang(head)
        or TEXT
    )


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


def _by_name(name: str) -> str | None:
    lower = name.lower()
    if (language := _BY_FILE_NAME.get(lower)) is not None:
        return language
    return next((language for prefix, language in _BY_PREFIX.items() if lower.startswith(prefix)), None)


def _by_shebang(head: bytes) -> str | None:
    return next((_BY_INTERPRETER[name] for name in interpreters(head) if name in _BY_INTERPRETER), None)


def _by_mode_line(head: bytes) -> str | None:
    """The language that a line for Emacs or Vim names."""
    words = [found["word"].decode() for marks in _MODE_LINES if (found := marks.search(head)) is not None]
    return next((language for word in words if (language := language_of_word(word)) is not None), None)
