"""The name of the distribution is that of pyproject.toml, and its extras bring what is asked for."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from code_index.core import distribution
from code_index.core.distribution import DISTRIBUTION, EXTRAS, has_extra, missing_extra, require_extra
from code_index.core.errors import UsageError

_PROJECT = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text("utf-8"))["project"]


def test_the_name_is_that_of_the_project():
    assert _PROJECT["name"] == DISTRIBUTION


_BROKER = "redis"
"""What Celery imports where the broker's address asks for it, and nothing here does."""


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_brings_the_packages_that_are_imported(extra):
    required = {re.match(r"[\w-]+", line)[0] for line in _PROJECT["optional-dependencies"][extra]}
    distributions = packages_distributions()
    assert {name for module in EXTRAS[extra] for name in distributions[module]} == required - {_BROKER}


def test_an_extra_that_is_not_installed_is_named_with_the_commands_that_install_it(monkeypatch):
    monkeypatch.setitem(EXTRAS, "ui", ("no_such_module",))

    assert not has_extra("ui")
    with pytest.raises(UsageError) as refused:
        require_extra("ui", "This page")
    assert str(refused.value) == (
        "This page needs the extra ui: pip install 'code-index-search[ui]' (or: uv tool install 'code-index-search[ui]')"
    )
    assert str(refused.value) == missing_extra("ui", "This page")


def test_an_extra_that_is_installed_is_not_refused():
    distribution.require_extra("torch", "A GPU")
