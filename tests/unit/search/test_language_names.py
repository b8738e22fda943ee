"""A language is found by any name that people give it, and what none can be is told apart from what is not there."""

from __future__ import annotations

import pytest

from code_index.chunking.registry import FILE_TYPES
from code_index.core.errors import UsageError
from code_index.search.language_names import languages_named


def _named(*values: str, held: tuple[str, ...] = ()) -> tuple[str, ...]:
    return languages_named(values, held=lambda value: value in held)


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        *((word, "typescript") for word in ("typescript", "TypeScript", "ts", ".ts", "*.ts", "TS", "mts", " ts ")),
        *((word, "python") for word in ("Python", "py", "python", "PYTHON", "pyi")),
        *((word, "cpp") for word in ("c++", "C++", "cpp", "cc", "hpp")),
        *((word, "csharp") for word in ("C#", "cs", "CSharp", "c-sharp")),
        *((word, "c") for word in ("c", "C", "h")),
        *((word, "bash") for word in ("sh", "shell", "zsh", "Bash")),
        *((word, "objective-c") for word in ("objc", "Objective-C", "objective_c", "ObjectiveC", "m")),
        ("tsx", "tsx"),
        ("golang", "go"),
        ("js", "javascript"),
        ("node", "javascript"),
        ("yml", "yaml"),
        ("Makefile", "makefile"),
        ("Dockerfile", "dockerfile"),
        ("docker", "dockerfile"),
        ("Protobuf", "proto"),
        ("ipynb", "jupyter"),
    ],
)
def test_a_usual_spelling_is_the_language(spelling: str, name: str) -> None:
    assert _named(spelling) == (name,)


def test_every_name_means_itself_and_every_extension_a_language() -> None:
    for name, kind in FILE_TYPES.items():
        assert _named(name) == (name,)
        for extension in kind.extensions.split():
            assert _named(extension)[0] in FILE_TYPES


def test_a_language_that_the_index_holds_is_meant_as_it_is_spelled() -> None:
    assert _named("ts", "klingon", held=("ts", "klingon")) == ("ts", "klingon")


@pytest.mark.parametrize(
    ("value", "words"),
    [("klingon", "'klingon'"), ("typscript", "typescript"), ("", "''"), ("\x1b[2J", r"\\x1b"), ("x" * 10_000, "x")],
)
def test_a_value_that_no_index_can_hold_is_named_with_what_is_close(value: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as refused:
        _named("python", value)
    assert len(str(refused.value)) < 300


def test_text_that_no_table_can_hold_is_refused_before_a_table_is_asked() -> None:
    with pytest.raises(UsageError, match="not valid UTF-8"):
        languages_named(["\udcff"], held=pytest.fail)
