"""The languages that a filter names, in the spellings that people use.

Belongs here: `TypeScript`, `ts`, `.ts` or `golang` to the word that tables hold. Does not belong here: the languages
themselves (`code_index.chunking.registry`), whose names, titles, extensions, modes and interpreters are the spellings.

A language that an index holds is meant as it is spelled: chunks that a program adds may be of any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import cache

from code_index.core.errors import UsageError
from code_index.core.lazy_imports import importing
from code_index.tables.filters import refuse_broken_text

_SHOWN = 80  # characters of a value that a message quotes
_OTHERWISE_CALLED = {
    "csharp": "c#",
    "docker": "dockerfile",
    "golang": "go",
    "notebook": "jupyter",
    "objectivec": "objective-c",
    "plaintext": "text",
    "shell": "bash",
    "shellscript": "bash",
    "visualbasic": "vb",
}


def languages_named(values: Iterable[str], *, held: Callable[[str], bool]) -> tuple[str, ...]:
    """The languages as tables spell them.

    Args:
        values: as a person wrote them.
        held: tells whether the index holds chunks of a language of exactly that name.

    Raises:
        UsageError: a value is no language that an index can hold; the message names the closest ones.
    """
    return tuple(_language_named(value, held) for value in values)


def _language_named(value: str, held: Callable[[str], bool]) -> str:
    refuse_broken_text(value)
    if held(value):
        return value
    spellings = _spellings()
    if (name := spellings.get(_key(value))) is not None:
        return name
    close = get_close_matches(_key(value), dict.fromkeys(spellings.values()))
    meant = f"Close to it are {', '.join(close)}" if close else "Names are python, typescript, c++ and the like"
    raise UsageError(
        f"No index can hold the language {value[:_SHOWN]!r}. {meant}; `code-index status` lists those of an index."
    )


@cache
def _spellings() -> dict[str, str]:
    """Names by spelling; the same word as a name comes before a title, and that before an extension."""
    with importing:
        from code_index.chunking.registry import FILE_TYPES  # 0.1 s, and most searches name no language

    kinds = FILE_TYPES.values()
    found = {_key(kind.name): kind.name for kind in kinds}
    for kind in kinds:
        found.setdefault(_key(kind.title), kind.name)
    for field in ("extensions", "modes", "interpreters", "file_names"):
        for kind in kinds:
            for word in getattr(kind, field).split():
                found.setdefault(_key(word), kind.name)
    for word, other in _OTHERWISE_CALLED.items():
        found.setdefault(word, found[_key(other)])
    found.pop("", None)
    return found


def _key(value: str) -> str:
    """A spelling without case, dot in front and what separates words."""
    return value.strip().casefold().lstrip("*.").translate({ord(c): None for c in "-_ "})
