"""Time and peak memory of taking over a generated single-table index.

    python -m benchmarks.migration [--rows 576000] [--folder DIR]

Writes a repository of generated functions and an old index of it with random unit vectors of 384 components, then
runs `code-index migrate` in a process of its own. A tenth of the rows runs first: memory that grows with the rows
shows in the difference.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import lancedb
import numpy as np
import pyarrow as pa

from code_index.core.unit_vectors import normalized
from code_index.system.limits import peak_memory_bytes
from tests.old_index import OLD_ROOT, row, schema

_SEED = 6
_DIMENSION = 384
_PER_FILE = 100
_FILES_AT_ONCE = 100


def source_and_rows(root: Path, file_number: int) -> list[dict[str, object]]:
    """Write a file of `_PER_FILE` functions and give its rows."""
    path = root / f"package_{file_number // 100:04}" / f"module_{file_number:06}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    functions = [
        f"def compute_{file_number}_{i}(first, second):\n    total = first * {i} + second\n"
        f"    for step in range({file_number}):\n        total += step * first\n    return total"
        for i in range(_PER_FILE)
    ]
    path.write_text("\n\n\n".join(functions) + "\n", encoding="utf-8")
    place = f"{OLD_ROOT}/{path.relative_to(root).as_posix()}"
    return [
        row(place, text, 7 * i + 1, 7 * i + 5, function_name=f"compute_{file_number}_{i}")
        for i, text in enumerate(functions)
    ]


def batches(root: Path, files: int, mtimes: dict[str, float]) -> Iterator[pa.RecordBatch]:
    """The old table, some files at a time."""
    generator = np.random.default_rng(_SEED)
    columns = schema(_DIMENSION)
    for start in range(0, files, _FILES_AT_ONCE):
        rows = [
            item
            for number in range(start, min(files, start + _FILES_AT_ONCE))
            for item in source_and_rows(root, number)
        ]
        values = normalized(generator.standard_normal((len(rows), _DIMENSION), dtype=np.float32))
        for item in rows:
            path = str(item["file_path"])
            mtimes[path] = (root / path.removeprefix(f"{OLD_ROOT}/")).stat().st_mtime
        yield pa.RecordBatch.from_arrays(
            [
                pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), _DIMENSION)
                if item.name == "vector"
                else pa.array([record[item.name] for record in rows], item.type)
                for item in columns
            ],
            schema=columns,
        )


def generate(root: Path, rows: int) -> None:
    mtimes: dict[str, float] = {}
    folder = root / ".mcp-vector-search"
    folder.mkdir(parents=True)
    reader = pa.RecordBatchReader.from_batches(schema(_DIMENSION), batches(root, rows // _PER_FILE, mtimes))
    lancedb.connect(str(folder)).create_table("code_search", data=reader)
    metadata = {"index_version": "2.2.21", "indexed_at": "2026-01-02T03:04:05+00:00", "file_mtimes": mtimes}
    (folder / "index_metadata.json").write_text(json.dumps(metadata))
    model = "sentence-transformers/all-MiniLM-L6-v2"
    (folder / "config.json").write_text(json.dumps({"project_root": OLD_ROOT, "embedding_model": model}))


def measure(place: Path, rows: int) -> None:
    root = place / f"repository-{rows}"
    started = time.perf_counter()
    generate(root, rows)
    print(f"{rows:,} rows generated in {time.perf_counter() - started:.1f} s")
    started = time.perf_counter()
    command = [sys.executable, "-m", "indexing_assets.cli.main", "migrate", str(root), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if status:
        raise SystemExit(f"migrate ended with {status}")
    report = json.loads(output)
    print(
        f"{rows:,} rows migrated in {seconds:.1f} s ({rows / seconds:,.0f} rows/s), processor "
        f"{usage.ru_utime + usage.ru_stime:.1f} s, peak memory {peak_memory_bytes(usage) >> 20:,} MiB; "
        f"{report['chunks']:,} chunks, {report['vectors']:,} vectors, files {report['files']}, "
        f"{report['verified_vectors']:,} vectors compared"
    )
    shutil.rmtree(root)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=576_000)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    print(
        f"Python {platform.python_version()}, lancedb {lancedb.__version__}, {os.cpu_count()} processors, "
        f"load {os.getloadavg()[0]:.1f}, seed {_SEED}, own memory {peak_memory_bytes() >> 20} MiB"
    )
    with tempfile.TemporaryDirectory(dir=options.folder) as place:
        for rows in (options.rows // 10, options.rows):
            measure(Path(place), rows - rows % _PER_FILE)


if __name__ == "__main__":
    main()
