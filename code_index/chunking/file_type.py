"""A kind of file: its name, and the marks that tell its files from others before they are parsed.

Belongs here: `FileType`. Does not belong here: any one language or format (`languages`, `formats`,
`plain_languages`), and the order of the rules (`language_detection`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

TEXT: Final = "text"
"""The language of files that have no other."""

LanguageOf = Callable[[bytes], str]


def _no_rules() -> Mapping[str, LanguageOf]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class FileType:
    """A language or format; tables and filters use `name`, people read `title`.

    The words of a field are separated by blanks, and no two file types share one: `extensions` without their dot
    (one in upper case matches only as spelled: `x.C` is C++), `file_names`, `file_name_prefixes`, `interpreters` of a
    shebang without their version, and `modes` of an Emacs mode line.
    `by_content` serves extensions that several languages use: it finds the language from a file's first bytes. The
    file type that declares the extension has the rule, and is the answer where there are no bytes.
    `revision` counts the changes of the chunks of this language only. The first one replaced plain text.
    """

    name: str
    extensions: str = ""
    file_names: str = ""
    interpreters: str = ""
    file_name_prefixes: str = ""
    modes: str = ""
    by_content: Mapping[str, LanguageOf] = field(default_factory=_no_rules)
    title: str = ""
    revision: int = 0
