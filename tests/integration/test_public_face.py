"""The names that Python programs import: they are few, spelled here, light, and shown by examples that run."""

from __future__ import annotations

import ast
import doctest
import inspect
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

import code_index
import indexing_assets
from code_index import CodeIndexError, Index, IndexMissingError, UsageError
from code_index.core.errors import ModelError, SettingsError, StoreError
from tests.indexed_copies import copy_indexed

_PUBLIC = {
    code_index: [
        "Answer",
        "CodeIndexError",
        "ContextPiece",
        "Freshness",
        "Index",
        "IndexMissingError",
        "IndexStatus",
        "Indexes",
        "Reference",
        "SearchHit",
        "Symbol",
        "UsageError",
    ],
    indexing_assets: [
        "AddedCounts",
        "CodeIndexComponent",
        "GivenChunk",
        "IndexCounts",
        "add_chunks",
        "index_repository",
    ],
}
_NAMES = [pytest.param(package, name, id=name) for package, names in _PUBLIC.items() for name in names]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, make_small_repository: Callable[[Path], Path]) -> Path:
    """A folder with `repository`, indexed."""
    folder = tmp_path_factory.mktemp("made")
    make_small_repository(folder / "repository")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CODE_INDEX_MODEL", "deterministic")
        indexing_assets.index_repository(folder / "repository")
    return folder


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a `repository` of the test's own."""
    (tmp_path / "here").mkdir()
    copy_indexed(made / "repository", tmp_path / "here" / "repository")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")
    return tmp_path / "here"


@pytest.mark.parametrize("package", _PUBLIC, ids=lambda package: package.__name__)
def test_the_public_names_are_these_and_type_checkers_see_the_same(package: ModuleType) -> None:
    assert package.__all__ == _PUBLIC[package]
    imported = [node for node in ast.walk(ast.parse(inspect.getsource(package))) if isinstance(node, ast.ImportFrom)]
    not_public = {"typing", "code_index.core.lazy_imports"}
    names = {alias.name for node in imported if node.module not in not_public for alias in node.names}
    assert names == set(_PUBLIC[package])
    assert (Path(package.__file__).parent / "py.typed").exists()
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = package.Nothing


@pytest.mark.parametrize(("package", "name"), _NAMES)
def test_every_public_name_has_an_example_that_runs_as_written(package: ModuleType, name: str, here: Path) -> None:
    doc = inspect.cleandoc(getattr(package, name).__doc__)
    example = doctest.DocTestParser().get_doctest(doc, {}, name, None, None)
    assert f"from {package.__name__} import" in doc, "the example shows the import"
    report: list[str] = []
    outcome = doctest.DocTestRunner().run(example, out=report.append)
    assert outcome.attempted > 1
    assert outcome.failed == 0, "".join(report)


@pytest.mark.parametrize("package", _PUBLIC, ids=lambda package: package.__name__)
def test_importing_a_package_loads_nothing_heavy(package: ModuleType) -> None:
    script = f"import sys, {package.__name__}; print([name for name in sys.argv[1:] if name in sys.modules])"
    heavy = ["lancedb", "pyarrow", "numpy", "polars", "pydantic", "onnxruntime", "torch", "dagster"]
    done = subprocess.run([sys.executable, "-c", script, *heavy], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_searching_loads_neither_dagster_nor_torch(here: Path) -> None:
    script = (
        "import sys; from code_index import Index; index = Index.open('repository'); index.search('greet');"
        "index.status(); print([name for name in ('dagster', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_status_loads_neither_languages_nor_polars(here: Path) -> None:
    script = (
        "import sys; from code_index import Index; Index.open('repository').status();"
        "print([name for name in ('code_index.chunking.registry', 'polars', 'dagster') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_an_index_is_found_as_the_command_line_finds_it(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = Index.open("repository").folder
    assert Index.open(index_dir="repository/.code-index", path=here / "repository").folder == named
    with pytest.raises(IndexMissingError, match=f"Run `code-index index {here}` first"):
        Index.open()
    monkeypatch.chdir(here / "repository" / "app")
    assert Index.open().folder == named
    with pytest.raises(IndexMissingError, match=str(tmp_path / "elsewhere")):
        Index.open(index_dir=tmp_path / "elsewhere")


def test_filters_take_one_value_or_several(here: Path) -> None:
    index = Index.open("repository")

    def found(**filters: object) -> set[str]:
        return {hit.file_path for hit in index.search("user name greet install port", limit=50, **filters)}

    assert len(found()) == 4
    assert found(language="python") == {"app/greeting.py"}
    assert found(language=["python", "typescript"]) == {"app/greeting.py", "web/getUserName.ts"}
    assert found(glob="docs/") == {"docs/guide.md"}
    assert found(language=["Python", ".ts"]) == {"app/greeting.py", "web/getUserName.ts"}
    assert found(chunk_type="Method") == {"app/greeting.py"}
    assert found(chunk_type="method", class_name="Counter") == {"app/greeting.py"}
    assert found(chunk_type=["method", "function"]) == {"app/greeting.py", "web/getUserName.ts"}
    assert found(function_name="getUserName") == {"web/getUserName.ts"}
    assert found(subproject="none") == set()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "psychic"}, r"^mode 'psychic' is not one of hybrid, semantic, lexical\.$"),
        ({"language": ("python", "klingon")}, r"^No index can hold the language 'klingon'\."),
        ({"chunk_type": "thing"}, r"^chunk_type 'thing' is not one of function, class, method, .*text\.$"),
        ({"chunk_type": ("class", "x" * 10_000)}, r"^chunk_type 'x{79} is not one of "),
        ({"query": " "}, "Say what to look for"),
        ({"limit": 0}, "limit is 0, but must be at least 1"),
        ({"limit": 2**63}, "must be at least 1 and at most 100,000"),
        ({"language": "\udcff"}, "is not valid UTF-8"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_its_value_and_says_what_can(
    here: Path, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        Index.open("repository").search(**{"query": "greet"} | arguments)


def test_words_are_found_without_a_model_and_meanings_are_not(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "repository/.code-index/tables/models.json").unlink()
    monkeypatch.setenv("CODE_INDEX_MODEL", str(here / "no-model"))
    index = Index.open("repository")
    assert index.search("greet", mode="lexical")[0].function_name == "greet"
    for ask in (lambda: index.search("greet"), index.status):
        with pytest.raises(ModelError, match="no-model"):
            ask()


def test_a_broken_setting_is_named_by_the_call_that_reads_it(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODE_INDEX_MAX_FILE_BYTES", "many")
    index = Index.open("repository")
    assert index.search("greet", mode="lexical")
    with pytest.raises(SettingsError, match="max_file_bytes"):
        index.status()


def test_an_index_of_a_newer_program_is_refused_when_it_is_opened(here: Path) -> None:
    record = here / "repository/.code-index/index.json"
    record.write_text(record.read_text().replace('"format": 1', '"format": 99'))
    with pytest.raises(StoreError, match="Upgrade code-index"):
        Index.open("repository")
    assert issubclass(StoreError, CodeIndexError)


def test_one_index_serves_several_threads_and_sees_what_is_written(here: Path) -> None:
    index = Index.open("repository")
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(index.search("greet a person", limit=1)[0].qualified_name))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["greet"] * 4
    (here / "repository" / "late.txt").write_text("zebra crossing\n")
    indexing_assets.index_repository("repository")
    assert index.search("zebra", mode="lexical")[0].file_path == "late.txt"
    assert index.status().files["parsed"] == 5
