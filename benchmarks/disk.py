"""Disk of `chunks` and `vectors` beside one table that holds the same content, as the ancestors of this design kept it.

    python -m benchmarks.disk                    # Flask 3.1.1
    python -m benchmarks.disk PATH [PATH ...]

The single table has a row per chunk: its vector, its source and 26 more columns, written at once, without any index.
Ours are measured as the phases leave them, with search text and all indexes. Goal: under 3 times.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import lancedb
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks import report
from benchmarks.pipeline import copied, fetch
from code_index.index.folder import IndexFolder
from indexing_assets.operations.pipeline import Pipeline

GOAL = 3.0
_DEFAULT = "flask==3.1.1"
# Columns of the old table that ours has under the same name, and those that were empty for most rows.
_SAME = (
    *("content", "file_path", "language", "chunk_type", "function_name", "class_name", "docstring", "chunk_id"),
    *("parent_chunk_id", "return_type", "subproject_name", "subproject_path", "start_line", "end_line", "chunk_depth"),
    *("cognitive_complexity", "cyclomatic_complexity", "max_nesting_depth", "parameter_count", "lines_of_code"),
    "complexity_score",
)
_LISTS = ("imports", "child_chunk_ids", "decorators")


def single_table(chunks: pa.Table) -> pa.Table:
    """The rows of the old layout for our chunks, without vectors: lists were JSON, an id was kept twice."""
    columns = {"id": chunks.column("chunk_id"), **{name: chunks.column(name) for name in _SAME}}
    for name in _LISTS:
        lists = chunks.column(name).combine_chunks()
        columns[name] = pc.binary_join(lists, '", "')
    empty = pa.array([""] * chunks.num_rows)
    return pa.table({**columns, "complexity_grade": empty, "code_smells": empty})


def measure(corpus: Path) -> dict[str, Any]:
    """Bytes of both layouts."""
    with copied(corpus) as root, Pipeline(IndexFolder(path=root.parent / "index", repository_root=root)) as pipeline:
        for phase in (pipeline.scan, pipeline.parse, pipeline.embed):
            if (error := phase().error) is not None:
                raise SystemExit(f"The phase failed: {error}")
        ours = {
            name: size for name, size in pipeline.store.upkeep.disk_bytes().items() if name in {"chunks", "vectors"}
        }
        vectors = pipeline.store.vectors.read(["chunk_id", "vector"])
        chunks = pipeline.store.chunks.read()
    places = pc.index_in(chunks.column("chunk_id"), vectors.column("chunk_id").combine_chunks())
    rows = single_table(chunks).append_column("vector", vectors.column("vector").take(places))
    with tempfile.TemporaryDirectory() as folder:
        lancedb.connect(folder).create_table("code_search", data=rows)
        old = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    return {"chunks": rows.num_rows, "bytes": ours, "single_table_bytes": old, "ratio": sum(ours.values()) / old}


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description="Disk beside a single table with the same content.")
    parser.add_argument("paths", type=Path, nargs="*", help=f"repositories; by default {_DEFAULT}")
    arguments = parser.parse_args()
    machine = report.machine()
    figures = {root.name: measure(root) for root in [path.resolve() for path in arguments.paths] or [fetch(_DEFAULT)]}
    rows = [
        [
            name,
            f"{found['chunks']:,}",
            *(f"{found['bytes'][table] / found['chunks']:,.0f}" for table in ("chunks", "vectors")),
            f"{found['single_table_bytes'] / found['chunks']:,.0f}",
            f"{found['ratio']:.2f}",
            f"{GOAL:g}",
        ]
        for name, found in figures.items()
    ]
    header = ["bytes a chunk", "chunks", "`chunks`", "`vectors`", "single table", "times the single table", "goal"]
    report.write("disk", seed=0, machine_before=machine, figures=figures, markdown=report.table(header, rows))


if __name__ == "__main__":
    main()
