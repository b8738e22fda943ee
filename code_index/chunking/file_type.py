"""A kind of file: its name, and the marks that tell its files from others before they are parsed.

Belongs here: `FileType`. Does not belong here: any one language or format (`languages`, `formats`,
`plain_languages`), and the order of the rules (`language_detection`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

TEXT: Final = "text"
"""The language of files that have no other."""


@dataclass(frozen=True, slots=True)
class FileType:
    """A language or format; tables and filters use `name`, people read `title`.

    The words of a field are separated by blanks, and no two file types share one: `extensions` without their dot
    (one in upper case matches only as spelled: `x.C` is C++), `file_names`, `file_name_prefixes`, `interpreters` of a
    shebang without their version, and `modes` of an Emacs mode line.
    An extension that several languages use has a rule in `ambiguous_extensions`; the language that declares it is
    the answer where the rule has none.
    `revision` counts the changes of the chunks of this language only. The first one replaced plain text.
    """

    name: str
    extensions: str = ""
    file_names: str = ""
    interpreters: str = ""
    file_name_prefixes: str = ""
    modes: str = ""
    title: str = ""
    revision: int = 0
