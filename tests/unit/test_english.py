"""The English that a test can hold; the list of words to say and not to say is in `docs/glossary.md`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_PACKAGES = ("code_index", "resources", "indexing_assets")
_PAGES = ("README.md", "CONTRIBUTING.md", "dagster.yaml")
_TEXT = {".md", ".py", ".yaml", ".toml"}
_CLAUSE = re.compile(r"(?:What|Whether|How|Where|Which|Why|Who|Whom|Whose|When)\b")
# Also within names such as `mend_rows`, not within words such as `recommend`.
_WRONG = re.compile(r"(?<![A-Za-z])(?:mend(?:s|ed|ing)?|anew)(?![A-Za-z])", re.IGNORECASE)
# The heading of the glossary below which the words stand that nobody is to use.
_LISTED_BELOW = "## Say / do not say"


def _docstrings(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and text of the docstrings of a module, its classes and its functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text is not None:
                yield node.body[0].lineno, text


def _modules() -> list[Path]:
    return [path for package in _PACKAGES for path in sorted((_ROOT / package).rglob("*.py"))]


def _texts() -> Iterator[Path]:
    """Yield the files whose words are ours today: decisions and the changelog keep those of their time."""
    yield from (_ROOT / name for name in _PAGES)
    yield from sorted((_ROOT / "docs").glob("*.md"))
    for package in _PACKAGES:
        yield from (path for path in sorted((_ROOT / package).rglob("*")) if path.suffix in _TEXT)


def test_a_docstring_begins_with_a_verb_or_a_noun_and_not_with_a_clause() -> None:
    culprits = [
        f"{path.relative_to(_ROOT)}:{line}: {text.splitlines()[0]}"
        for path in _modules()
        for line, text in _docstrings(path)
        if _CLAUSE.match(text)
    ]
    assert not culprits, "\n".join(["", *culprits])


def test_no_text_uses_a_word_that_is_wrong() -> None:
    culprits = []
    for path in _texts():
        text = path.read_text(encoding="utf-8").partition(_LISTED_BELOW)[0]
        for number, line in enumerate(text.splitlines(), start=1):
            culprits += [f"{path.relative_to(_ROOT)}:{number}: {word}: {line.strip()}" for word in _WRONG.findall(line)]
    assert not culprits, "\n".join(["", *culprits])


def test_the_rules_see_what_they_are_for() -> None:
    assert all(map(_CLAUSE.match, ("What is kept.", "Whether it runs.", "How many runs.")))
    assert not any(map(_CLAUSE.match, ("Whole index.", "Tell whether it runs.", "Number of runs.")))
    assert all(map(_WRONG.search, ("Mend: this", "mended by", "built anew", "mend_rows()")))
    assert not any(map(_WRONG.search, ("recommended", "amend", "a new one", "demand")))
