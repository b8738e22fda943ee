"""Definitions, outlines and references of an index: by name, in order, with what is known of each."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from code_index import Index, UsageError
from code_index.index.folder import resolve_index_folder
from code_index.search.symbols import _Chunk, _Nested
from code_index.tables.schemas import REFERENCES
from indexing_assets.operations.pipeline import Pipeline
from tests.indexed_copies import copy_indexed

_FILES = {
    "app/__init__.py": "from .core import Till\n",
    "app/core.py": (
        "LIMIT = 3\n\n\nclass Till:\n    size: int = 0\n\n    def open(self) -> None:\n        self.count()\n\n"
        "    def count(self) -> int:\n        return LIMIT\n\n\ndef make() -> Till:\n    return Till()\n"
    ),
    "app/core.pyi": "class Till: ...\n",
    "app/main.py": (
        "import app\nfrom app.core import make as build\n\n\nclass Shop:\n    def open(self) -> None:\n"
        "        till = app.Till()\n        till.open()\n        build()\n"
    ),
    "tests/test_core.py": "from app.core import *\n\n\ndef test_till() -> None:\n    assert make().count() == 3\n\n\nclass Till: ...\n",
    "app/shades.js": "function red() {} function redder() {} function reddest() {}\n",
    "docs/scales.md": "# Scales\n\n```python\ndef weigh(load):\n    return load\n```\n",
    "app/late.py": "from docs.scales import weigh\n\nweigh(3)\n",
    "store/go.mod": "module example.com/store\n",
    "store/save.go": "package store\n\nfunc Save() {}\n",
    "store/all.go": "package store\n\nfunc All() { Save() }\n",
    "store/cmd/main.go": 'package main\n\nimport "example.com/store"\n\nfunc main() { store.Save() }\n',
}


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("symbols") / "repository"
    for name, content in _FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CODE_INDEX_MODEL", "deterministic")
        with Pipeline(resolve_index_folder(root)) as pipeline:
            assert [result.error for result in (pipeline.scan(), pipeline.parse())] == [None, None]
    return root


@pytest.fixture
def index(indexed: Path) -> Index:
    return Index.open(indexed)


def _places(index: Index, name: str, **options: object) -> list[tuple[str, int, str]]:
    return [(one.file_path, one.line, one.kind) for one in index.symbol(name, **options).hits]  # type: ignore[arg-type]


def test_a_body_comes_before_a_stub_and_a_test(index: Index) -> None:
    assert _places(index, "Till")[:3] == [
        ("app/core.py", 4, "class"),
        ("app/core.pyi", 1, "class"),
        ("tests/test_core.py", 8, "class"),
    ]


def test_a_qualified_name_and_a_kind_narrow_it(index: Index) -> None:
    assert _places(index, "Till.open") == _places(index, "Till::open") == [("app/core.py", 7, "method")]
    assert {kind for _, _, kind in _places(index, "open", kind="method")} == {"method"}
    assert _places(index, "LIMIT", kind="variable") == [("app/core.py", 1, "variable")]


def test_a_part_of_a_name_is_found_after_the_name(index: Index) -> None:
    found = [one.name for one in index.symbol("till").hits]
    assert found == ["Till", "Till", "Till", "test_till"]
    assert len(index.symbol("till", limit=2).hits) == 2


def test_a_definition_leads_to_its_chunk(index: Index) -> None:
    [found] = index.symbol("Till.count").hits
    [chunk] = index.store.chunks.by_ids([found.chunk_id]).to_pylist()
    assert (chunk["file_path"], chunk["start_line"] <= found.line <= chunk["end_line"]) == ("app/core.py", True)
    assert (found.start_line, found.end_line) == (10, 11)


def test_an_outline_lists_a_file_or_a_class_in_its_order(index: Index) -> None:
    assert [(one.depth, one.name) for one in index.outline("app/core.py").hits] == [
        (0, "LIMIT"), (0, "Till"), (1, "size"), (1, "open"), (1, "count"), (0, "make"),
    ]  # fmt: skip
    assert [one.name for one in index.outline("Till").hits] == ["Till", "size", "open", "count"]
    for path in ("./app/core.py", "app/../app/core.py", index.folder.repository_root / "app/core.py"):
        assert index.outline(str(path)).hits == index.outline("app/core.py").hits
    with pytest.raises(UsageError, match="No file and no class of this index is called 'nothing'"):
        index.outline("nothing")


def test_definitions_on_one_line_do_not_hide_each_other(index: Index) -> None:
    assert [one.name for one in index.symbol("red").hits] == ["red", "redder", "reddest"]


def test_names_in_a_file_that_was_edited_have_its_present_lines(indexed: Path, tmp_path: Path) -> None:
    root = copy_indexed(indexed, tmp_path / "repository")
    core = root / "app" / "core.py"
    core.write_text(
        "# new\n# lines\n" + core.read_text().replace("        self.count()", "        self.count(), self.count()")
    )
    (root / "app" / "core.pyi").unlink()
    edited = Index.open(root)
    answer = edited.symbol("Till")
    assert [(one.line, one.start_line, one.end_line, one.state) for one in answer.hits[:2]] == [
        (6, 6, 13, "moved"),
        (1, 1, 1, "gone"),
    ]
    assert edited.freshness().newer_files == ("app/core.py", "app/core.pyi")
    [call] = [one for one in edited.references("count", kind="call").hits if one.file_path == "app/core.py"]
    assert (call.lines, call.state) == ((10,), "moved")


def _references(index: Index, name: str, **options: object) -> set[tuple[str, tuple[int, ...], str, str]]:
    return {
        (one.file_path, one.lines, one.confidence, one.target)
        for one in index.references(name, **options).hits  # type: ignore[arg-type]
    }


def test_callers_are_known_by_scope_by_import_and_by_name(index: Index) -> None:
    assert _references(index, "count", kind="call") == {
        ("app/core.py", (8,), "same scope", "app/core.py:10"),
        ("tests/test_core.py", (5,), "name only", ""),
    }
    assert _references(index, "make", kind="call") == {
        ("app/main.py", (9,), "imported", "app/core.py:14"),  # by another name
        ("tests/test_core.py", (5,), "imported", "app/core.py:14"),  # of all that a module has
    }


def test_an_import_is_followed_through_the_module_that_passes_it_on(index: Index) -> None:
    assert ("app/main.py", (7,), "imported", "app/core.py:4") in _references(index, "Till", kind="call")


def test_the_files_of_a_go_package_see_each_other_and_go_mod_names_it(index: Index) -> None:
    assert _references(index, "Save", kind="call") == {
        ("store/all.go", (3,), "same scope", "store/save.go:3"),
        ("store/cmd/main.go", (5,), "imported", "store/save.go:3"),
    }


def test_an_example_in_the_documentation_is_no_module(index: Index) -> None:
    assert [one.file_path for one in index.symbol("weigh").hits] == ["docs/scales.md"]
    assert _references(index, "weigh", kind="call") == {("app/late.py", (3,), "name only", "")}


@pytest.mark.parametrize("name", ["make", "Till", "open", "count", "Save", "Till.count", "weigh"])
def test_few_references_are_the_first_of_all(index: Index, name: str) -> None:
    found = index.references(name).hits
    assert found
    for limit in range(1, len(found) + 1):
        assert index.references(name, limit=limit).hits == found[:limit]


def test_the_surest_come_first(index: Index) -> None:
    order = [one.confidence for one in index.references("count").hits]
    assert order == sorted(order, key=["same scope", "imported", "name only"].index)


@pytest.mark.parametrize(("name", "options"), [("", {}), ("..", {}), ("a", {"limit": 0}), ("a", {"kind": "thing"})])
def test_wrong_use_is_refused(index: Index, name: str, options: Mapping[str, object]) -> None:
    with pytest.raises(UsageError):
        index.symbol(name, **options)  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        index.references(name, **options)  # type: ignore[arg-type]


def test_an_index_without_the_table_has_its_definitions_and_says_how_to_get_the_rest(
    indexed: Path, tmp_path: Path, command_line: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    root = copy_indexed(indexed, tmp_path / "repository")
    old = Index.open(root)
    shutil.rmtree(old.store.tables.path("references"))
    values = {"reference_count": "CAST(NULL AS INT)", "chunker_version": "'an older one'"}
    old.store.tables.run("files", lambda table: table.update(values_sql=values))
    assert _places(old, "Till")[0] == ("app/core.py", 4, "class")
    assert [one.name for one in old.outline("app/core.py").hits] == ["Till", "open", "count", "make"]
    assert old.references("Till").hits == ()
    assert old.store.files.without_references() == len(_FILES)
    told = command_line("symbol", "Till", "--path", root)
    assert "app/core.py:4" in told.stdout
    assert f"The names in {len(_FILES)} files are not known yet" in told.stderr
    command_line("index", "--phase", "parse", root)
    assert Index.open(root).references("Till").hits


def test_definitions_of_files_that_came_with_their_chunks_only_are_found_beside_the_others(
    indexed: Path, tmp_path: Path
) -> None:
    index = Index.open(copy_indexed(indexed, tmp_path / "repository"))
    before = _places(index, "Till")[0]
    index.store.references.replace([before[0]], REFERENCES.empty_table())
    index.store.tables.run(
        "files", lambda table: table.update(where=f"file_path = '{before[0]}'", values={"reference_count": 0})
    )
    assert _places(index, "Till")[0] == before


def test_the_command_shows_definitions_references_and_an_outline(
    indexed: Path, command_line: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    def asked(*arguments: str) -> str:
        return command_line("symbol", *arguments, "--path", indexed).stdout

    assert asked("Till").splitlines()[0] == "app/core.py:4  Till  (class, python)  lines 4-11"
    assert "app/core.py:8  self.count  call in Till.open  (same scope: app/core.py:10)" in asked(
        "count", "--references"
    )
    assert "     4  Till  (class)\n     5    size  (field)" in asked("--outline", "app/core.py")
    assert json.loads(asked("Till", "--limit", "1", "--json"))["hits"][0]["qualified_name"] == "Till"
    assert command_line("symbol", "--path", indexed, check=2).stderr


def test_the_innermost_of_nested_chunks_is_found_wherever_they_begin_and_end() -> None:
    chunks = [_Chunk(1, 20, "A", "a"), _Chunk(3, 5, "A.f", "f"), _Chunk(6, 6, "A.g", "g"), _Chunk(9, 18, "A.B", "b")]
    chunks += [_Chunk(10, 12, "A.B.h", "h"), _Chunk(25, 30, "", "m")]
    nested = _Nested(chunks)
    for line in range(32):
        around = [chunk for chunk in chunks if chunk.start_line <= line <= chunk.end_line]
        expected = min(around, key=lambda chunk: chunk.end_line - chunk.start_line, default=None)
        assert nested.innermost(line) == expected
