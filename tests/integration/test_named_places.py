"""Every place in the code that a page, a configuration or a string names is there."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_PACKAGES = ("code_index", "resources", "indexing_assets")
_FOLDERS = (*_PACKAGES, "benchmarks", "docs", "tests")
# What stands there is source code of anybody, or of an earlier version.
_NOT_OURS = (
    "CHANGELOG.md",
    "tests/corpus",
    "tests/discovery",
    "tests/golden",
    "tests/fixtures",
    "benchmarks/.corpora/",
)
_TEXT = {".md", ".toml", ".yaml", ".yml"}
_NAME = re.compile(rf"(?<![\w./-])(?:{'|'.join(_PACKAGES)})(?:\.[A-Za-z_]\w*)+")
_PATH = re.compile(rf"(?<![\w./~-])(?:{'|'.join(_FOLDERS)})/[\w./-]*\.(?:py|md|sh|toml|yaml)\b")


def _files() -> Iterator[Path]:
    yield from (path for path in _ROOT.iterdir() if path.suffix in _TEXT or path.name == "Makefile")
    for folder in (*_FOLDERS, ".github", ".ci"):
        yield from (path for path in (_ROOT / folder).rglob("*") if path.suffix in {".py", *_TEXT})


def _found(pattern: re.Pattern[str]) -> dict[str, set[str]]:
    """What matches, with the files that say it."""
    found: dict[str, set[str]] = {}
    for path in _files():
        place = path.relative_to(_ROOT).as_posix()
        if place.startswith(_NOT_OURS):
            continue
        text = path.read_text(encoding="utf-8")
        strings = _strings(text) if path.suffix == ".py" else [text]
        for match in (match for string in strings for match in pattern.findall(string)):
            found.setdefault(match, set()).add(place)
    return found


def _strings(source: str) -> list[str]:
    return [
        node.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


def _is_there(name: str) -> bool:
    """Whether a dotted name is a module, or an attribute of one."""
    module, *attributes = name.split(".")
    found = importlib.import_module(module)
    for attribute in attributes:
        if not hasattr(found, attribute):
            try:
                importlib.import_module(f"{found.__name__}.{attribute}")
            except ModuleNotFoundError as error:
                # An optional library may be missing; what imports it is there.
                return not (error.name or "").startswith(_PACKAGES)
            except (ImportError, AttributeError):
                return False
        found = getattr(found, attribute)
    return True


def test_every_dotted_name_is_a_module_or_stands_in_one() -> None:
    found = _found(_NAME)
    assert "workspace.yaml" in found["indexing_assets.definitions"]
    assert "dagster.yaml" in found["resources.own_instance"]
    assert "tests/faults/victim.py" in found["code_index.tables.lance_tables"]
    assert {name: files for name, files in found.items() if not _is_there(name)} == {}


def test_every_path_of_a_file_leads_to_one() -> None:
    # Tests name files of the repositories that they write.
    found = {path: files for path, files in _found(_PATH).items() if any(not f.startswith("tests/") for f in files)}
    assert "docs/dagster.md" in found
    assert {path: files for path, files in found.items() if not (_ROOT / path).exists()} == {}


def test_every_target_of_make_has_its_line_in_the_help() -> None:
    text = (_ROOT / "Makefile").read_text(encoding="utf-8")
    [targets] = re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert sorted(targets.split()) == sorted(re.findall(r"^([a-z]+):.*  ## \S", text, re.MULTILINE))
