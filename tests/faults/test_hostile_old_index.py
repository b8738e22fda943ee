"""An old index that came with a repository: refused in a sentence or imported harmlessly, whatever it holds."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lancedb
import pyarrow as pa
import pytest

from code_index.core.errors import MigrationError
from code_index.index.folder import resolve_index_folder
from code_index.tables import IndexStore
from indexing_assets.operations.migration import dry_run, migrate, plan_migration
from tests.faults.harness import Said, write_repository
from tests.old_index import OLD_ROOT, row, rows_of_repository, schema, with_vectors, write_old_index, write_table

_SECRET = "the secret of somebody else"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return write_repository(tmp_path / "repository")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """An old index outside of the repository, with what must not be read."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    write_table(folder, with_vectors([row(f"{OLD_ROOT}/module_00.py", _SECRET, 1, 1)]))
    (folder / "config.json").write_text(json.dumps({"embedding_model": "deterministic", "note": _SECRET}))
    (folder / "index_metadata.json").write_text("{}")
    return folder


def _table_is_a_link(old: Path, elsewhere: Path) -> None:
    shutil.rmtree(old / "code_search.lance")
    (old / "code_search.lance").symlink_to(elsewhere / "code_search.lance")


def _folder_is_a_link(old: Path, elsewhere: Path) -> None:
    shutil.rmtree(old)
    old.symlink_to(elsewhere)


def _subfolder_is_a_link(old: Path, elsewhere: Path) -> None:
    shutil.rmtree(old / "code_search.lance")
    (old / "lance").symlink_to(elsewhere)


def _data_is_a_link(old: Path, elsewhere: Path) -> None:
    data = next((old / "code_search.lance" / "data").iterdir())
    data.unlink()
    data.symlink_to(next((elsewhere / "code_search.lance" / "data").iterdir()))


def _data_folder_is_a_link(old: Path, elsewhere: Path) -> None:
    shutil.rmtree(old / "code_search.lance" / "data")
    (old / "code_search.lance" / "data").symlink_to(elsewhere / "code_search.lance" / "data")


def _manifest_names_another_folder(old: Path, elsewhere: Path) -> None:
    shutil.rmtree(old / "code_search.lance")
    lancedb.connect(str(old)).clone_table("code_search", str(elsewhere / "code_search.lance"))


def _manifest_is_nonsense(old: Path, _elsewhere: Path) -> None:
    for path in (old / "code_search.lance" / "_versions").glob("*.manifest"):
        path.write_bytes(os.urandom(100) + b"LANC")


def _pipe_in_the_table(old: Path, _elsewhere: Path) -> None:
    os.mkfifo(old / "code_search.lance" / "data" / "pipe")


def _config(content: str | bytes) -> Callable[[Path, Path], None]:
    def write(old: Path, _elsewhere: Path) -> None:
        (old / "config.json").write_bytes(content if isinstance(content, bytes) else content.encode())

    return write


def _config_is_a_link(old: Path, elsewhere: Path) -> None:
    (old / "config.json").unlink()
    (old / "config.json").symlink_to(elsewhere / "config.json")


def _config_is_a_pipe(old: Path, _elsewhere: Path) -> None:
    (old / "config.json").unlink()
    os.mkfifo(old / "config.json")


def _metadata_is_a_link(old: Path, elsewhere: Path) -> None:
    (old / "index_metadata.json").unlink()
    (old / "index_metadata.json").symlink_to(elsewhere / "index_metadata.json")


def _column(name: str, values: pa.Array) -> Callable[[Path, Path], None]:
    """The table with another column in the place of one of its own."""

    def write(old: Path, _elsewhere: Path) -> None:
        rows = with_vectors([row(f"{OLD_ROOT}/module_00.py", "x = 1", 1, 1)])
        table = pa.Table.from_pylist([{**item, "vector": item["vector"].tolist()} for item in rows], schema(64))
        place = table.schema.get_field_index(name)
        table = table.remove_column(place).append_column("other", values)
        shutil.rmtree(old / "code_search.lance")
        written = lancedb.connect(str(old)).create_table("code_search", data=table)
        written.alter_columns({"path": "other", "rename": name})

    return write


def _many_columns(old: Path, _elsewhere: Path) -> None:
    columns = [*schema(64), *(pa.field(f"column_{number}", pa.int8()) for number in range(1_500))]
    shutil.rmtree(old / "code_search.lance")
    lancedb.connect(str(old)).create_table("code_search", schema=pa.schema(columns))


_REFUSED: dict[str, tuple[Callable[[Path, Path], None], str]] = {
    "table is a link": (_table_is_a_link, "is a link"),
    "folder is a link": (_folder_is_a_link, "is a link"),
    "subfolder is a link": (_subfolder_is_a_link, "is a link"),
    "data is a link": (_data_is_a_link, "is a link"),
    "data folder is a link": (_data_folder_is_a_link, "is a link"),
    "manifest names another folder": (_manifest_names_another_folder, "names files of another folder"),
    "manifest is nonsense": (_manifest_is_nonsense, "cannot be read"),
    "pipe in the table": (_pipe_in_the_table, "a special file"),
    "config is a link": (_config_is_a_link, "symbolic link"),
    "config is a pipe": (_config_is_a_pipe, "not a regular file"),
    "config is nested": (_config("[" * 200_000), "nested too deep"),
    "config is no text": (_config(b"\xff\xfe\x00"), "cannot be read"),
    "config is a list": (_config("[]"), "is not a JSON object"),
    "config names a folder": (_config('{"embedding_model": "./model"}'), "--model"),
    "config names a model": (_config('{"embedding_model": "evil/model"}'), "--model"),
    "metadata is a link": (_metadata_is_a_link, "symbolic link"),
    "paths are numbers": (_column("file_path", pa.array([1])), "column file_path of type int64"),
    "content is nested": (_column("content", pa.array([{"a": [1]}])), "column content of type struct"),
    "content is bytes": (_column("content", pa.array([b"x"])), "column content of type binary"),
    "lines are text": (_column("start_line", pa.array(["1"])), "column start_line of type string"),
    "lines are fractions": (_column("end_line", pa.array([1.5])), "column end_line of type double"),
    "vectors are text": (_column("vector", pa.array(["x"])), "column vector of type string"),
    "vectors are of text": (_column("vector", pa.array([["x"]])), "column vector of type list"),
    "vectors are too short": (_column("vector", pa.array([[1.0]], pa.list_(pa.float32(), 1))), "1 components"),
    "score is text": (_column("complexity_score", pa.array(["x"])), "column complexity_score of type string"),
    "many columns": (_many_columns, "1529 columns"),
}


@pytest.mark.parametrize("fault", list(_REFUSED))
def test_an_old_index_that_leads_out_or_is_none_is_refused_in_a_sentence(
    repository: Path, elsewhere: Path, fault: str
) -> None:
    spoil, words = _REFUSED[fault]
    spoil(write_old_index(repository), elsewhere)
    with pytest.raises(MigrationError, match=words):
        dry_run(plan_migration(resolve_index_folder(repository)))
    assert not (repository / ".code-index").exists()


def test_what_is_refused_by_a_migration_is_not_copied_into_its_backup(repository: Path, elsewhere: Path) -> None:
    _data_is_a_link(write_old_index(repository), elsewhere)
    folder = resolve_index_folder(repository)
    with pytest.raises(MigrationError, match="is a link"):
        migrate(plan_migration(folder))
    assert not folder.backup_dir.exists()
    assert not any(path.is_symlink() for path in folder.path.rglob("*"))


def test_values_that_no_old_program_wrote_do_no_harm_and_the_rest_is_imported(
    repository: Path, tmp_path: Path, said: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")
    (tmp_path / "outside.py").write_text(_SECRET)
    last = 2**63 - 1
    hostile: list[dict[str, Any]] = [
        row(str(tmp_path / "outside.py"), "absolute", 1, 1),
        row("../outside.py", "upwards", 1, 1),
        row(f"{OLD_ROOT}/../../outside.py", "upwards from the root", 1, 1),
        row(f"{OLD_ROOT}/nul\x00.py", "a NUL", 1, 1),
        row(f"{OLD_ROOT}/{'long/' * 2_000}x.py", "a long path", 1, 1),
        row(f"{OLD_ROOT}/link.py", "behind a link", 1, 1),
        row(f"{OLD_ROOT}/\x1b]0;owned\x07.py", "commands", 1, 1, function_name="\x1b[31mred"),
        row(f"{OLD_ROOT}/huge.py", "h" * 5_000_000, 1, 1),
        row(f"{OLD_ROOT}/lines.py", "lines", last, last),
        row(f"{OLD_ROOT}/numbers.py", "numbers", 1, 1, chunk_depth=last, parameter_count=-last, lines_of_code=last),
        row(f"{OLD_ROOT}/scores.py", "scores", 1, 1, complexity_score=float("nan")),
        row(f"{OLD_ROOT}/infinite.py", "infinite", 1, 1, complexity_score=float("inf")),
        row(f"{OLD_ROOT}/lists.py", "lists", 1, 1, imports="[" * 100_000, child_chunk_ids="\"'([{" * 1_000),
    ]
    old = write_old_index(repository, [*with_vectors(rows_of_repository(repository)), *with_vectors(hostile)])
    (repository / "link.py").symlink_to(tmp_path / "outside.py")
    metadata = {
        "index_version": "\x1b[2J" * 1_000,
        "indexed_at": "\x1b[2J",
        "file_mtimes": {f"{OLD_ROOT}/module_00.py": 10**400, f"{OLD_ROOT}/module_01.py": float("inf"), "x": None},
    }
    (old / "index_metadata.json").write_text(json.dumps(metadata))

    told = said("migrate", repository)
    assert told.status == 0, told.err
    assert "\x1b" not in told.out + told.err
    assert "5 rows are of files outside its root" in told.out
    assert "1 rows cannot be used (no lines, or lines that run backwards)" in told.out
    store = IndexStore(resolve_index_folder(repository).tables_dir)
    assert _SECRET not in "".join(store.chunks.read(["content"])["content"].to_pylist())
    assert not [path for path in store.files.read(["file_path"])["file_path"].to_pylist() if ".." in path]

    done = said("index", repository)
    assert done.status == 0, done.err
    assert "12 files, 60 chunks, 60 vectors" in done.out


def test_functions_that_the_tables_metadata_names_are_never_made(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lancedb.embeddings import EmbeddingFunctionRegistry

    old = write_old_index(repository)
    function = {
        "name": "ollama",
        "model": {"host": "http://evil"},
        "source_column": "content",
        "vector_column": "vector",
    }
    table = lancedb.connect(str(old)).open_table("code_search").to_arrow()
    named = {b"embedding_functions": json.dumps([function]).encode(), b"pandas": b'{"index_columns": []}'}
    lancedb.connect(str(old)).create_table("code_search", data=table.replace_schema_metadata(named), mode="overwrite")
    asked: list[object] = []
    monkeypatch.setattr(EmbeddingFunctionRegistry, "get", lambda *arguments: asked.append(arguments))
    report = dry_run(plan_migration(resolve_index_folder(repository)))
    assert report.vectors == 60
    assert not asked
