"""All languages and formats that the chunker knows.

Belongs here: finding them. Each is a module of `languages` or `formats` with a constant `LANGUAGE` or `FORMAT`;
nothing else lists them. Modules whose name begins with an underscore are shared by several.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from types import MappingProxyType, ModuleType
from typing import Any, Final, TypeVar

from code_index.chunking import formats, languages
from code_index.chunking.file_type import FileType
from code_index.chunking.format_spec import FormatSpec
from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.plain_languages import PLAIN_LANGUAGES

T = TypeVar("T", bound=FileType)


def by_name(file_types: Iterable[T]) -> Mapping[str, T]:
    """The file types by name.

    Raises:
        ValueError: two have the same name.
    """
    found: dict[str, T] = {}
    for file_type in file_types:
        if file_type.name in found:
            raise ValueError(
                f"{file_type.name} is declared twice; a language with a file of its own has no row in plain_languages"
            )
        found[file_type.name] = file_type
    return MappingProxyType(found)


def by_word(file_types: Iterable[FileType], field: str) -> Mapping[str, str]:
    """Names of languages by the words of one field, such as `extensions`.

    Raises:
        ValueError: two declare the same word.
    """
    found: dict[str, str] = {}
    for file_type in file_types:
        for word in getattr(file_type, field).split():
            if word in found:
                raise ValueError(f"{field}: {word!r} is declared by {found[word]} and by {file_type.name}")
            found[word] = file_type.name
    return MappingProxyType(found)


def _constants(package: ModuleType, constant: str) -> Iterator[Any]:
    for name in sorted(module.name for module in pkgutil.iter_modules(package.__path__)):
        if not name.startswith("_"):
            yield getattr(import_module(f"{package.__name__}.{name}"), constant)


LANGUAGES: Final[Mapping[str, LanguageSpec]] = by_name(_constants(languages, "LANGUAGE"))
"""Programming languages, whose definitions a grammar finds."""

FORMATS: Final[Mapping[str, FormatSpec]] = by_name(_constants(formats, "FORMAT"))
"""Structured formats, and plain text."""

FILE_TYPES: Final[Mapping[str, FileType]] = by_name((*LANGUAGES.values(), *FORMATS.values(), *PLAIN_LANGUAGES))
"""All languages and formats of files."""
