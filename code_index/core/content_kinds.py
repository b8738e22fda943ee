"""Kinds of content, told by language and path: code, documentation, configuration, tests.

Belongs here: the four kinds and the rules that tell them. Does not belong here: what a ranking or a filter makes of a
kind (`code_index.search.features`, `code_index.tables.filters`).

The rules are plain sets and two regular expressions, which Python and the tables' SQL read alike.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache
from typing import Final


class ContentKind(StrEnum):
    """Kind of a file's content; examples, fixtures and benchmarks count as tests."""

    CODE = "code"
    DOCS = "docs"
    CONFIG = "config"
    TESTS = "tests"


DOCS_LANGUAGES: Final = frozenset({"asciidoc", "markdown", "org", "rst", "tex", "text"})
DOCS_PATH: Final = r"(^|/)(docs?|documentation|site|website|www)/.*\.html?$"
"""Regular expression that finds a page of HTML that is read, not filled in by a program."""
CONFIG_LANGUAGES: Final = frozenset({"dockerfile", "ini", "json", "makefile", "properties", "toml", "xml", "yaml"})
TEST_PATH: Final = (
    r"(^|/)(tests?|__tests__|specs?|testing|testdata|fixtures|mocks?|examples?|benchmarks?)/"
    r"|(^|/)test_[^/]*$|[._-](test|spec)\.[^/.]+$|(Test|Tests|Spec)\.[^/.]+$"
)
"""Regular expression that finds a test's path."""

_DOCS_PATH: Final = re.compile(DOCS_PATH)
_TEST_PATH: Final = re.compile(TEST_PATH)


@lru_cache(maxsize=1 << 15)
def content_kind(file_path: str, language: str) -> ContentKind:
    """Kind of a file: its language tells documentation and configuration, its path tests and pages of HTML."""
    if language in DOCS_LANGUAGES or _DOCS_PATH.search(file_path):
        return ContentKind.DOCS
    if _TEST_PATH.search(file_path):
        return ContentKind.TESTS
    return ContentKind.CONFIG if language in CONFIG_LANGUAGES else ContentKind.CODE
