"""Single-table indexes for tests and benchmarks, with the columns and types of a real one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import lancedb
import numpy as np
import pyarrow as pa

from code_index.embedding.deterministic import DeterministicEmbedder

OLD_ROOT = "/home/somebody/project"
STRINGS = [
    "content",
    "file_path",
    "language",
    "chunk_type",
    "function_name",
    "class_name",
    "docstring",
    "imports",
    "chunk_id",
    "parent_chunk_id",
    "child_chunk_ids",
    "decorators",
    "return_type",
    "subproject_name",
    "subproject_path",
    "complexity_grade",
    "code_smells",
]
INTEGERS = [
    "start_line",
    "end_line",
    "chunk_depth",
    "cognitive_complexity",
    "cyclomatic_complexity",
    "max_nesting_depth",
    "parameter_count",
    "lines_of_code",
    "smell_count",
]


def schema(dimension: int) -> pa.Schema:
    """The columns of `code_search`."""
    return pa.schema(
        [
            pa.field("id", pa.string()),
            pa.field("vector", pa.list_(pa.float32(), dimension)),
            *(pa.field(name, pa.string()) for name in STRINGS),
            *(pa.field(name, pa.int64()) for name in INTEGERS),
            pa.field("complexity_score", pa.float64()),
        ]
    )


def row(path: str, content: str, start: int, end: int, **values: Any) -> dict[str, Any]:
    """A row with the defaults of the old program: empty strings and zeros."""
    identity = hashlib.sha256(f"{path}:{start}:{end}:{content}".encode()).hexdigest()[:16]
    return {
        "id": identity,
        **dict.fromkeys(STRINGS, ""),
        **dict.fromkeys(INTEGERS, 0),
        "complexity_score": 0.0,
        "content": content,
        "file_path": path,
        "start_line": start,
        "end_line": end,
        "language": "python",
        "chunk_type": "function",
        "chunk_id": identity,
        "lines_of_code": end - start + 1,
        **values,
    }


def rows_of_repository(root: Path, old_root: str = OLD_ROOT) -> list[dict[str, Any]]:
    """A row for each block between empty lines of each file: every line is in one."""
    rows = []
    for path in sorted(path for path in root.rglob("*") if path.is_file() and ".code-index" not in path.parts):
        place = f"{old_root}/{path.relative_to(root).as_posix()}"
        for start, lines in _blocks(path.read_text(encoding="utf-8").splitlines()):
            first = lines[0].strip()
            name = first.removeprefix("def ").partition("(")[0] if first.startswith("def ") else ""
            kind = "function" if name else "text"
            rows.append(
                row(place, "\n".join(lines), start, start + len(lines) - 1, function_name=name, chunk_type=kind)
            )
    return rows


def _blocks(lines: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    block: list[str] = []
    for number, line in enumerate([*lines, ""], start=1):
        if line.strip():
            block.append(line)
        elif block:
            yield number - len(block), block
            block = []


def with_vectors(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows with the deterministic embedder's vector of their content."""
    embedder = DeterministicEmbedder()
    values = embedder.embed_documents([item["content"] for item in rows], [""] * len(rows))
    return [{**item, "vector": item.get("vector", vector)} for item, vector in zip(rows, values, strict=True)]


def write_table(folder: Path, rows: Sequence[Mapping[str, Any]], columns: pa.Schema | None = None) -> None:
    """Write `code_search` with these rows; None for a vector is a null."""
    columns = columns or schema(64)
    data = {
        item.name: [
            value.tolist() if isinstance(value := record.get(item.name), np.ndarray) else value for record in rows
        ]
        for item in columns
    }
    # Under another name first: LanceDB refuses bad vectors where it knows a column of vectors by its name.
    named = pa.schema([item.with_name("numbers") if item.name == "vector" else item for item in columns])
    table = pa.table([pa.array(data[item.name], item.type) for item in columns], schema=named)
    written = lancedb.connect(str(folder)).create_table("code_search", data=table, mode="overwrite")
    if "vector" in columns.names:
        written.alter_columns({"path": "numbers", "rename": "vector"})


def write_old_index(
    root: Path,
    rows: Sequence[Mapping[str, Any]] | None = None,
    *,
    old_root: str = OLD_ROOT,
    model: str | None = "deterministic",
    columns: pa.Schema | None = None,
) -> Path:
    """An old index of the repository at `root`, made where it lay before; returns its folder."""
    folder = root / ".mcp-vector-search"
    rows = with_vectors(rows_of_repository(root, old_root)) if rows is None else rows
    mtimes = {
        f"{old_root}/{path.relative_to(root).as_posix()}": path.stat().st_mtime
        for path in root.rglob("*")
        if path.is_file()
    }
    folder.mkdir()
    write_table(folder, rows, columns)
    metadata = {"index_version": "2.2.21", "indexed_at": "2026-01-02T03:04:05+00:00", "file_mtimes": mtimes}
    (folder / "index_metadata.json").write_text(json.dumps(metadata))
    (folder / "config.json").write_text(json.dumps({"project_root": old_root, "embedding_model": model}))
    return folder
