"""The page on the architecture and the import contracts say what the code is."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from code_index.core.distribution import EXTRAS

_ROOT = Path(__file__).parents[2]
_PAGE = _ROOT / "docs/architecture.md"
_WITH_DAGSTER = {"dagster_shared", "yaml"}  # a part of Dagster, and what it reads its own files with


def _drawing():
    specification = importlib.util.spec_from_file_location("architecture", _ROOT / ".ci/architecture.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def _layers() -> dict[str, list[str]]:
    """The rooms of each package, from the top, as the import contracts list them."""
    contracts = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    return {
        contract["containers"][0]: [room for layer in contract["layers"] for room in layer.split(" | ")]
        for contract in contracts
        if contract["type"] == "layers" and contract.get("containers") in (["code_index"], ["indexing_assets"])
    }


def test_the_picture_is_drawn_from_the_imports() -> None:
    page = _PAGE.read_text(encoding="utf-8")
    assert page == _drawing().written(page), "run: .venv/bin/python .ci/architecture.py --write"


def test_every_arrow_runs_from_the_dagster_project_to_the_engine() -> None:
    rank = {package: place for place, package in enumerate(("indexing_assets", "resources", "code_index"))}
    _, arrows = _drawing().rooms_and_arrows()
    assert arrows
    assert [arrow for arrow in arrows if rank[arrow[0].split(".")[0]] > rank[arrow[1].split(".")[0]]] == []


def test_the_page_tells_each_room_in_the_order_of_the_contracts() -> None:
    told = re.findall(r"^\| `(\w+)` \|", _PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    for package, rooms in _layers().items():
        assert [name for name in told if name in rooms] == rooms, package
        assert sorted(rooms) == sorted(
            path.stem for path in (_ROOT / package).iterdir() if path.stem not in {"__init__", "__pycache__", "py"}
        )


def test_the_readme_draws_the_rooms_in_the_order_of_the_contracts() -> None:
    readme = (_ROOT / "README.md").read_text(encoding="utf-8")
    for package, rooms in _layers().items():
        line = re.search(rf"^{package} +(.*)$", readme, re.MULTILINE)[1]
        assert re.findall(r"\w+", line)[: len(rooms)] == rooms


def test_files_that_the_walks_name_exist() -> None:
    walks = _PAGE.read_text(encoding="utf-8").partition("## Five walks")[2]
    named = set(re.findall(r"`([a-z_]+/[\w/]+\.py)`", walks))
    assert named
    folders = [_ROOT, *(_ROOT / package for package in ("code_index", "indexing_assets"))]
    assert {name for name in named if not any((folder / name).exists() for folder in folders)} == set()


def test_every_library_that_the_product_imports_is_a_declared_dependency() -> None:
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirements = [
        *project["dependencies"],
        *(one for extra in EXTRAS for one in project["optional-dependencies"][extra]),
    ]
    declared = {canonicalize_name(Requirement(one).name) for one in requirements}
    of_module = packages_distributions()
    imported = {
        name.partition(".")[0]
        for package in ("code_index", "indexing_assets", "resources")
        for path in (_ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in _imported_by(node)
    }
    libraries = imported - sys.stdlib_module_names - {"code_index", "indexing_assets", "resources", *_WITH_DAGSTER}
    assert {one for one in libraries if not declared & {canonicalize_name(name) for name in of_module[one]}} == set()
    assert imported > _WITH_DAGSTER


def _imported_by(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
