"""Whatever is imported when it is first used is whole for each of the threads that use it first, all at once."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.waiting import PATIENCE_S

_ROOT = Path(__file__).parents[3]
_LOCK = "importing"
# Names that packages import when they are asked for, and what has a lock of its own.
_NAMES = {
    "code_index": ["Index", "IndexStatus", "SearchHit", "UsageError"],
    "code_index.tables": ["IndexStore", "SearchFilter"],
    "indexing_assets": ["add_chunks", "index_repository"],
}
_LANCEDB = (
    "from code_index.tables.lancedb_import import load_lancedb\nload_lancedb().connect, load_lancedb().query.MatchQuery"
)


def _sources() -> list[Path]:
    """Modules that may run in several threads; the commands import in the main thread, before there is another."""
    found = [
        path for package in ("code_index", "resources", "indexing_assets") for path in (_ROOT / package).rglob("*.py")
    ]
    return [path for path in found if "cli" not in path.parts]


def _lazy_imports(path: Path) -> Iterator[tuple[str, bool]]:
    """The imports of a module's functions, each with whether it stands in the lock."""

    def walk(node: ast.AST, *, in_function: bool, locked: bool) -> Iterator[tuple[str, bool]]:
        for child in ast.iter_child_nodes(node):
            if in_function and isinstance(child, ast.Import | ast.ImportFrom):
                yield ast.unparse(child), locked
            inside = in_function or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            holds = isinstance(child, ast.With) and any(ast.unparse(item) == _LOCK for item in child.items)
            yield from walk(child, in_function=inside, locked=locked or holds)

    yield from walk(ast.parse(path.read_text(encoding="utf-8")), in_function=False, locked=False)


def test_functions_import_in_the_lock() -> None:
    found = {(path.name, line) for path in _sources() for line, locked in _lazy_imports(path) if not locked}
    # The lock itself, for a package that may import nothing before it is asked.
    assert found == {("__init__.py", "from code_index.core.lazy_imports import importing")}


def test_an_import_outside_of_the_lock_is_found(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(
        "import a\ndef f():\n    import b\n    with importing:\n        from c import d\n        if d:\n            import e\n"
    )
    assert list(_lazy_imports(module)) == [("import b", False), ("from c import d", True), ("import e", True)]


_CHILD = """
import json, sys, threading
sys.setswitchinterval(1e-5)  # threads take turns within each other's imports
works = json.loads(sys.argv[1])
begin = threading.Barrier(len(works))
failed = []
def run(work):
    begin.wait()
    try:
        exec(work, {})
    except BaseException as error:
        failed.append(f"{work}: {error!r}")
threads = [threading.Thread(target=run, args=(work,)) for work in works]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(*failed, sep="\\n")
"""


def test_threads_that_import_everything_at_once_find_all_of_it() -> None:
    lines = {line for path in _sources() for line, locked in _lazy_imports(path) if locked}
    assert {"import torch", "from transformers import AutoModel", "import onnxruntime"} <= lines
    works = [
        f"from code_index.core.lazy_imports import importing\nwith importing:\n    {line}" for line in sorted(lines)
    ]
    works += [f"from {package} import {name}" for package, names in _NAMES.items() for name in names]
    works += ["import code_index", "from code_index.core.errors import UsageError", _LANCEDB]
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, json.dumps(works * 2)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("package", sorted(_NAMES))
def test_the_names_that_are_tried_are_those_that_a_package_offers(package: str) -> None:
    assert set(_NAMES[package]) <= set(__import__(package, fromlist=["__all__"]).__all__)
