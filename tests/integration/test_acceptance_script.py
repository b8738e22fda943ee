"""The acceptance script as a person runs it, on a tiny repository, and on indexes that were damaged on purpose."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from benchmarks.acceptance import lost_text, tree_findings
from code_index.index.folder import IndexFolder
from code_index.tables import IndexStore
from tests.waiting import PATIENCE_S

_SCRIPT = Path(__file__).parents[2] / "benchmarks" / "acceptance.py"


def accept(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(_SCRIPT), *map(str, arguments)],
        env={**os.environ, "CODE_INDEX_MODEL": "deterministic"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("work") / "tiny"
    root.mkdir()
    (root / "altered.py").write_text(
        "class A:\n    def first(self):\n        return 1\n\n\ndef second():\n    return 2\n"
    )
    (root / "shortened.py").write_text("def third():\n    return 3\n\n\ndef fourth():\n    return 4\n")
    (root / "notes.md").write_text("# Notes\n\nSome words.\n")
    (root / "failed.md").write_text("# More notes\n\nOther words.\n")
    (root / "logo.png").write_bytes(b"\x89PNG\0")
    return root


@pytest.fixture(scope="module")
def accepted(repository: Path) -> tuple[Path, subprocess.CompletedProcess[str]]:
    indexes = repository.parent / "indexes"
    return indexes, accept("--index-dir", indexes, repository)


def test_a_whole_index_passes_with_its_figures(accepted: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    _, done = accepted
    assert done.returncode == 0, done.stdout + done.stderr
    assert "files: 4 parsed, 1 skipped" in done.stdout
    assert "skipped, binary: 1" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("PASS")


def test_a_damaged_index_fails_and_the_culprits_are_named(
    accepted: tuple[Path, subprocess.CompletedProcess[str]], repository: Path, tmp_path: Path
) -> None:
    shutil.copytree(accepted[0], tmp_path / "indexes")
    IndexFolder(tmp_path / "indexes" / "tiny", repository).trust()
    store = IndexStore(tmp_path / "indexes" / "tiny" / "tables")
    now = datetime.now(UTC)

    store.vectors.delete(_of(store.chunks.read(), "notes.md").column("chunk_id").to_pylist())
    shortened = _of(store.chunks.read(), "shortened.py")
    store.chunks.replace(["shortened.py"], shortened.slice(1), now=now)
    rows = _of(store.chunks.read(), "altered.py")
    altered = pc.replace_substring(rows.column("content"), "return 2", "return 3")
    rows = rows.set_column(rows.schema.get_field_index("content"), "content", altered)
    store.chunks.replace(["altered.py"], rows, now=now)
    failed = _of(store.files.read(), "failed.md")
    record = failed.to_pylist()[0] | {"status": "error", "reason": "the grammar gave up"}
    store.files.upsert(pa.Table.from_pylist([record], schema=failed.schema))

    done = accept("--verify-only", "--index-dir", tmp_path / "indexes", repository)

    assert done.returncode == 1
    for finding in (
        "notes.md:1: no vector",
        f"shortened.py: the manifest counts {shortened.num_rows} chunks, there are {shortened.num_rows - 1}",
        f"{shortened.column('chunk_id')[0]}: a vector without a chunk",
        "altered.py: lost {'2': 1}, repeated {'3': 1}",
        "failed.md: error: the grammar gave up",
        "parsed_chunks: 1 partitions are materialized but not stored",
    ):
        assert finding in done.stdout, done.stdout
    assert done.stdout.splitlines()[-1].startswith("FAIL")


def _of(rows: pa.Table, path: str) -> pa.Table:
    return rows.filter(pc.equal(rows.column("file_path"), path))


def chunks(*rows: tuple[int, int, str]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=["start_line", "end_line", "content"], orient="row")


@pytest.mark.parametrize(
    ("content", "rows", "finding"),
    [
        (b"a b\r\nc\rd\n", [(1, 3, "a b\r\nc\rd")], None),
        (b"long line cut twice\n", [(1, 1, "long li"), (1, 1, "ne cut"), (1, 1, " twice")], None),
        (b"a\nb\n", [(1, 1, "a")], "lost {'b': 1}"),
        (b"a\n", [(1, 1, "a"), (1, 1, "a")], "repeated {'a': 1}"),
        (b"ab\ncd\n", [(1, 2, "ac\nbd")], "line 1"),
        (b"ab\ncd\n", [(1, 1, "cd"), (2, 2, "ab")], "line 1"),
        (b"a\n", [(1, 3, "a")], "not in a file of"),
        (b"a\n", [(1, 1, "a"), (1, 1, " ")], "blank"),
    ],
)
def test_text_that_no_chunk_of_its_lines_holds_is_found(
    content: bytes, rows: list[tuple[int, int, str]], finding: str | None
) -> None:
    found = lost_text(content, chunks(*rows))
    assert found == [] if finding is None else finding in found[0]


@pytest.mark.parametrize(
    ("rows", "finding"),
    [
        ([("p", "f", None, ["c"]), ("c", "f", "p", [])], None),
        ([("p", "f", None, []), ("c", "f", "p", [])], "no child of its parent"),
        ([("p", "f", None, ["c"]), ("c", "f", None, [])], "not the parent of its child"),
        ([("c", "f", "gone", [])], "no child of its parent"),
        ([("p", "f", None, ["c"]), ("c", "g", "p", [])], "no child of its parent"),
        ([("p", "f", None, []), ("p", "g", None, [])], "2 chunks have this id"),
    ],
)
def test_chunks_that_do_not_form_a_tree_are_found(rows: list[tuple[object, ...]], finding: str | None) -> None:
    schema = {
        "chunk_id": pl.String,
        "file_path": pl.String,
        "parent_chunk_id": pl.String,
        "child_chunk_ids": pl.List(pl.String),
    }
    found = tree_findings(pl.DataFrame(rows, schema=schema, orient="row"))
    assert not found if finding is None else finding in found[0]
