"""One module has what of Dagster is not public (`resources/dagster_internals.py`)."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from code_index.core.distribution import EXTRAS
from code_index.core.errors import UsageError
from resources import dagster_internals

_ROOT = Path(__file__).parents[3]

_HOME = _ROOT / "resources" / "dagster_internals.py"
# `dagster` itself is public, and so is what its own `__init__` has; all below it, and its companions, are not.
_PRIVATE = re.compile(r"dagster(\.|_(?!internals)).+")


def _private_parts(source: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found += [f"{node.module}.{alias.name}" for alias in node.names if alias.name.startswith("_")]
            found.append(node.module or "")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found += [node.value] if node.value.startswith("dagster._") else []  # as `python -m` takes it
        elif (
            isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in {"dg", "dagster"}
        ):
            found += [f"dagster.{node.attr}"] if node.attr.startswith("_") and node.attr != "__version__" else []
    return [name for name in found if _PRIVATE.fullmatch(name)]


@pytest.mark.parametrize(
    "source",
    [
        "from dagster._core.events import DagsterEventType",
        "import dagster._check as check",
        "from dagster import _check",
        "from dagster.version import __version__",
        "def f():\n    from dagster_shared.error import SerializableErrorInfo",
        "run('-m', 'dagster._daemon')",
        "import dagster as dg\ndg._check.str_param(1, 'a')",
    ],
)
def test_a_private_part_is_told(source):
    assert _private_parts(source)


def test_only_one_module_imports_private_parts_of_dagster():
    sources = [path for room in ("code_index", "indexing_assets", "resources") for path in (_ROOT / room).rglob("*.py")]
    found = {str(path.relative_to(_ROOT)): parts for path in sources if (parts := _private_parts(path.read_text()))}

    assert found.pop(str(_HOME.relative_to(_ROOT)))
    assert found == {}, "import these from resources.dagster_internals"


def test_private_parts_that_cost_time_are_loaded_when_they_are_asked_for():
    program = (
        "import sys, resources.dagster_internals\n"
        "print(*{'sqlalchemy', 'dagster_webserver', 'dagster_postgres', 'dagster._core.execution.backfill'} & set(sys.modules))"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=_ROOT)

    assert finished.stdout.strip() == ""


def test_a_storage_of_an_extra_that_is_not_installed_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(EXTRAS, "postgres", ("no_such_module",))
    monkeypatch.delitem(vars(dagster_internals), "PostgresEventLogStorage", raising=False)

    with pytest.raises(
        UsageError,
        match=r"storage on PostgreSQL, which needs the extra postgres: pip install 'code-index-search\[postgres\]'",
    ):
        _ = dagster_internals.PostgresEventLogStorage
