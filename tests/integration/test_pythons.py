"""The Pythons and systems that are promised are the ones that continuous integration runs and the page names."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml
from packaging.specifiers import SpecifierSet

_ROOT = Path(__file__).parents[2]
_PROJECT = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
_JOBS = yaml.safe_load((_ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))["jobs"]
_PAGE = (_ROOT / "docs/install.md").read_text(encoding="utf-8")


def _classified() -> list[str]:
    found = (re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", one) for one in _PROJECT["classifiers"])
    return [one[1] for one in found if one]


def test_pip_takes_each_python_that_is_named_and_no_other() -> None:
    allowed = SpecifierSet(_PROJECT["requires-python"])
    assert [f"3.{minor}" for minor in range(30) if f"3.{minor}.0" in allowed] == _classified()


def test_each_python_is_tested_on_each_system() -> None:
    matrix = _JOBS["systems"]["strategy"]["matrix"]
    assert matrix["python"] == _classified()
    assert {re.match(r"\w+", system)[0] for system in matrix["system"]} == {"ubuntu", "macos"}
    assert any(system.endswith("-arm") for system in matrix["system"])


def test_both_tables_of_the_page_have_each_python() -> None:
    tables = re.findall(r"^\|([^|\n]*)\|((?: 3\.\d+ \|)+)$", _PAGE, re.MULTILINE)
    assert [re.findall(r"3\.\d+", row) for _, row in tables] == [_classified()] * 2
