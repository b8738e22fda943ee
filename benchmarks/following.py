"""How long after an edit of one file its code is found, while the sensors run and nobody does anything.

`code-index ui --watch` runs on a copy of a git repository; the script writes a function into a file at
a random moment and looks until the tables have it: by words (its chunk), by meaning (its vector).

    python -m benchmarks.following [PATH] [--edits 10]
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.pipeline import copied, fetch
from benchmarks.report import machine, table, write
from code_index.embedding.loader import query_embedder
from code_index.index.folder import IndexFolder, resolve_index_folder
from code_index.search.hybrid import search
from code_index.tables import IndexStore

_SEED = 20_261_124
_DEFAULT = "flask==3.1.1"
_FIRST_INDEX_S = 1_800
_EDIT_S = 120
_LOOK_S = 0.1


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def waited(condition: Callable[[], bool], limit_s: float) -> float:
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > limit_s:
            raise SystemExit(f"Waited {limit_s} s in vain; see the log of the web interface.")
        time.sleep(_LOOK_S)
    return time.monotonic() - started


def git(root: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=Benchmark", "-c", "user.email=benchmark@example.com"]
    subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True)


def chunk_is_there(store: IndexStore, name: str) -> bool:
    return store.chunks.read(["chunk_id"], where=f"function_name = '{name}'").num_rows > 0


def vector_is_there(store: IndexStore, name: str) -> bool:
    return name in store.vectors.read(columns=["function_name"])["function_name"].to_pylist()


def is_indexed(folder: IndexFolder, store: IndexStore) -> bool:
    """Whether the first index is complete."""
    counts = store.files.counts()
    if not counts or counts.get("pending", 0):
        return False
    statuses = store.statuses.count(query_embedder(folder.settings().embedder).model_id)
    return statuses["complete"] > 0 and statuses["pending"] == 0


def follow(root: Path, edits: int, log: Path) -> dict[str, Any]:
    folder = resolve_index_folder(root)
    git(root, "init", "--quiet")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message=all")
    store = IndexStore(folder.tables_dir)
    rng = random.Random(_SEED)
    with log.open("wb") as output:
        started = time.monotonic()
        ui = subprocess.Popen(
            [sys.executable, "-m", "indexing_assets.cli.main", "ui", str(root), "--watch", "--port", "0"],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            waited(lambda: is_indexed(folder, store), _FIRST_INDEX_S)
            first_s = time.monotonic() - started
            files = [f for f in sorted(root.rglob("*.py")) if ".code-index" not in f.parts and f.stat().st_size > 2_000]
            return {
                "first_index_s": first_s,
                "files": store.files.read(columns=["file_path"]).num_rows,
                "chunks": store.chunks.read(["chunk_id"]).num_rows,
                "edits": [_edit(folder, store, rng, files) for _ in range(edits)],
            }
        finally:
            ui.send_signal(signal.SIGINT)
            ui.wait(60)


def _edit(folder: IndexFolder, store: IndexStore, rng: random.Random, files: list[Path]) -> dict[str, float]:
    time.sleep(rng.uniform(2, 9))  # any moment of the daemon's rhythm
    name = f"striped_animal_{rng.randrange(10**9)}"
    path = rng.choice(files)
    path.write_text(
        f'{path.read_text(encoding="utf-8")}\n\ndef {name}(count):\n    """Walk past {name}."""\n    return count\n',
        encoding="utf-8",
    )
    words_s = waited(lambda: chunk_is_there(store, name), _EDIT_S)
    meaning_s = words_s + waited(lambda: vector_is_there(store, name), _EDIT_S)
    hits = search(store, query_embedder(folder.settings().embedder), name.replace("_", " "), limit=3)
    if name not in {hit.qualified_name for hit in hits}:
        raise SystemExit(f"{name} is stored but not found: {[hit.qualified_name for hit in hits]}")
    return {"words_s": words_s, "meaning_s": meaning_s}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", nargs="?", type=Path, help=f"folder of a repository; by default {_DEFAULT}")
    parser.add_argument("--edits", type=int, default=10)
    options = parser.parse_args()
    before = machine()
    os.environ.pop("CODE_INDEX_MODEL", None)
    corpus = options.path or fetch(_DEFAULT)
    with copied(corpus) as root:
        figures = follow(root, options.edits, root.parent / "ui.log")
    rows = [
        [what, min(found), statistics.median(found), max(found)]
        for what in ("words_s", "meaning_s")
        for found in ([edit[what] for edit in figures["edits"]],)
    ]
    markdown = (
        f"{corpus.name}: {figures['files']:,} files, {figures['chunks']:,} chunks; "
        f"indexed by the sensors in {figures['first_index_s']:.0f} s.\n\n"
        + table(["seconds after an edit until found by", "shortest", "median", "longest"], rows)
    )
    write("following", seed=_SEED, machine_before=before, figures={corpus.name: figures}, markdown=markdown)


if __name__ == "__main__":
    main()
