"""What is known of a kind of file before it is read: its name, and how its files are told from others.

Belongs here: `FileType`. Does not belong here: any one language or format (`languages`, `formats`,
`plain_languages`), and the order in which the rules are asked (`language_detection`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

TEXT: Final = "text"
"""The language of every file that is in no other."""

LanguageOf = Callable[[bytes], str]


def _no_rules() -> Mapping[str, LanguageOf]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class FileType:
    """A language or format; `name` is the word of tables and filters, `title` that of people.

    The words of a field stand between blanks, and no two file types share one: `extensions` without their dot
    (an upper case one counts only as it is spelled: `x.C` is C++), `file_names`, `file_name_prefixes`,
    `interpreters` of a shebang without their version, and `modes` of an Emacs mode line.
    `by_content` serves extensions that other languages use as well: it tells from a file's first bytes which one
    it is in. The file type that declares the extension decides, and is the answer where there are no bytes.
    `revision` counts the changes that give other chunks for files of this language only. The first is that they were
    read as plain text before.
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
