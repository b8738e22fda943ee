"""Definitions and references by name in an index of a million names.

    python -m benchmarks.symbols_at_size --folder FOLDER [--names 1000000]

The rows of `files`, `chunks` and `references` of Django 5.2, as phase 1 makes them, stand as often as it takes, each time in
a folder of its own. Names with fewer than 20 rows are other names in each copy, as they would be in other repositories: so
a common name has the rows of an index of that size, and a rare one stays rare. The chunks have no text, which nothing asked
here reads. The table is built at the first call and kept. Each question is asked in turn, after one that is not counted.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks import report
from benchmarks.corpus_at_size import RARE, SEED, base_index
from code_index.core.partition_keys import file_partition_key
from code_index.search.symbols import ReferenceKind, outline, references, symbol
from code_index.tables import IndexStore
from code_index.tables.schemas import CHUNKS
from indexing_assets.upkeep.compaction import compact_due

_NOW = datetime(2025, 1, 1, tzinfo=UTC)
_QUESTIONS = 15
_COMMON = ("get", "filter", "save", "self", "Model", "settings", "reverse", "assertEqual", "__init__", "test")
_RARE = ("get_or_create", "ModelAdmin.get_queryset", "parse_date", "no_such_name_at_all")


def copy_of(names: pa.Table, files: pa.Table, chunks: pa.Table, copy: int) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Rows of `references`, `files` and `chunks` of one copy; `names` also says which of them are `rare`."""
    folder = f"part{copy:03}/"

    def moved(rows: pa.Table) -> pa.Table:
        at = rows.schema.get_field_index("file_path")
        return rows.set_column(at, rows.schema.field(at), pc.binary_join_element_wise(folder, rows["file_path"], ""))

    own, rare = moved(names), names["rare"]
    for column in ("name", "qualified_name"):
        other = pc.if_else(pc.equal(own[column], ""), "", pc.binary_join_element_wise(own[column], f"_q{copy:x}", ""))
        at = own.schema.get_field_index(column)
        own = own.set_column(at, own.schema.field(at), pc.if_else(rare, other, own[column]))
    held = moved(files)
    paths, hashes = held["file_path"].to_pylist(), held["file_hash"].to_pylist()
    keys = [file_partition_key(digest, path) for digest, path in zip(hashes, paths, strict=True)]
    held = held.set_column(held.schema.get_field_index("partition_key"), "partition_key", pa.array(keys))
    texts = moved(chunks)
    ids = pc.binary_join_element_wise(f"{copy:03x}", pc.utf8_slice_codeunits(texts["chunk_id"], 3), "")
    changed: dict[str, Any] = {
        "chunk_id": ids,
        "content": pa.array([""] * texts.num_rows),
        "search_text": pa.array([""] * texts.num_rows),
    }
    for column, values in changed.items():
        texts = texts.set_column(texts.schema.get_field_index(column), CHUNKS.field(column), values)
    return own.drop_columns(["rare"]), held, texts


def build(folder: Path, count: int) -> IndexStore:
    """The tables with at least `count` names, and their indexes; kept when they are whole."""
    tables = folder / f"names-{count}"
    done = folder / f"names-{count}.json"
    store = IndexStore(tables)
    if done.is_file():
        return store
    shutil.rmtree(tables, ignore_errors=True)
    base = base_index(folder)
    names, files, chunks = base.references.read(), base.files.read(), base.chunks.read()
    counted = pc.value_counts(names["name"])
    common = counted.field("values").filter(pc.greater_equal(counted.field("counts"), RARE))
    names = names.append_column("rare", pc.invert(pc.is_in(names["name"], common)))
    written = copy = 0
    while written < count:
        own, held, texts = copy_of(names, files, chunks, copy)
        store.files.upsert(held)
        paths = held["file_path"].to_pylist()
        store.references.replace(paths, own)
        store.chunks.replace(paths, texts, now=_NOW)
        written, copy = written + own.num_rows, copy + 1
        print(f"  {written:,} names in {copy} copies", flush=True)
    compact_due(store, store.tables.names())
    done.write_text(json.dumps({"names": written, "copies": copy}), "utf-8")
    return store


def milliseconds(ask: Callable[[], object]) -> dict[str, float]:
    """Of several times that a question is asked."""
    ask()
    spent = []
    for _ in range(_QUESTIONS):
        started = time.perf_counter()
        ask()
        spent.append((time.perf_counter() - started) * 1e3)
    p50, p99 = np.percentile(spent, [50, 99])
    return {"p50": float(p50), "p99": float(p99)}


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--names", type=int, default=1_000_000)
    arguments = parser.parse_args()
    machine = report.machine()
    store = build(arguments.folder, arguments.names)
    figures: dict[str, Any] = {"names": store.references.count(), "files": sum(store.files.counts().values())}
    print(figures)
    rows = []
    for name in (*_COMMON, *_RARE):
        own = name.rpartition(".")[2]
        found = figures[name] = {
            "rows": store.references.count(f"name = '{own}'"),
            "symbol": milliseconds(partial(symbol, store, name)),
            "references": milliseconds(partial(references, store, name)),
            "callers": milliseconds(partial(references, store, name, kind=ReferenceKind.CALL)),
        }
        rows.append([name, found["rows"], *(f"{found[ask]['p50']:.0f}" for ask in ("symbol", "references", "callers"))])
        print(rows[-1], flush=True)
    for target in ("Model", "part001/django/db/models/query.py"):
        found = figures[f"outline {target}"] = milliseconds(partial(outline, store, target))
        rows.append([f"outline {target}", "", f"{found['p50']:.0f}", "", ""])
        print(rows[-1], flush=True)
    header = ["name", "rows", "symbol, ms (p50)", "references, ms", "callers, ms"]
    report.write(
        "symbols_at_size", seed=SEED, machine_before=machine, figures=figures, markdown=report.table(header, rows)
    )


if __name__ == "__main__":
    main()
