"""Publishing and fetching: the time until a repository of 60,000 files can be searched on a machine that has nothing of it.

    python -m benchmarks.publishing                                   # 60,000 generated files, the model `fast`
    python -m benchmarks.publishing --files 5000 --edited 20 --model deterministic
    python -m benchmarks.publishing --index FOLDER                    # a checkout with a complete index of that model
    python -m benchmarks.publishing --place s3://BUCKET/PREFIX        # an empty prefix, with the variables of AWS's tools

A tree is generated (`benchmarks.trees`), committed, indexed and published into a folder. A clone of it without an index, in which
some files were edited and committed, then fetches: until it can be searched, with what was edited, and until all is recorded.
Goal: under 60 s, embedding only the difference. The last figures are those of a version that is published and fetched after the
same edits: only what changed is written.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import report, trees
from benchmarks.pipeline import MemoryPeak
from code_index.index.folder import resolve_index_folder
from code_index.index.vector_sources import MODEL, vector_sources
from code_index.sharing.places import Place
from code_index.sharing.published_index import PublishedIndex
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.operations.publishing import fetch, publish

_SEED = 0
_GOAL_S = 60


def _git(root: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=benchmark", "-c", "user.email=benchmark@example.com"]
    subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True)


def _index(root: Path) -> float:
    started = time.perf_counter()
    with Pipeline(resolve_index_folder(root)) as pipeline:
        for result in (pipeline.scan(), pipeline.parse(), pipeline.embed()):
            if result.error is not None:
                raise SystemExit(result.error)
    return time.perf_counter() - started


def _publish(root: Path, published: PublishedIndex) -> dict[str, Any]:
    started = time.perf_counter()
    done = publish(resolve_index_folder(root), published)
    return {
        "files": done.version.files,
        "chunks": done.version.chunks,
        "seconds": time.perf_counter() - started,
        "parts": len(done.version.parts),
        "new_parts": done.new_parts,
        "new_bytes": done.new_bytes,
    }


def _fetch(root: Path, published: PublishedIndex) -> dict[str, Any]:
    started = time.perf_counter()
    with MemoryPeak() as peak:
        fetched = fetch(resolve_index_folder(root), published)
    with Pipeline(resolve_index_folder(root)) as pipeline:
        model = pipeline.model_id
    recording = _index(root)
    return {
        "searchable_s": fetched.searchable_s,
        "recorded_s": recording,
        "seconds": time.perf_counter() - started,
        "files": fetched.files,
        "left_files": fetched.left_files,
        "untrue": len(fetched.untrue),
        "embedded": vector_sources(resolve_index_folder(root), model).get(MODEL, 0),
        "peak_mib": peak.main_bytes / (1 << 20),
    }


def _edited(root: Path, files: int) -> None:
    for place in sorted(root.rglob("*.py"))[:: max(1, 60_000 // max(files, 1))][:files]:
        with place.open("a", encoding="utf-8") as file:
            file.write(f"\n\ndef edited_in_{place.stem}(value):\n    return value + 1\n")
    _git(root, "add", ".")
    _git(root, "commit", "-qm", "edits")


def measure(place: Path, files: int, edited: int, origin: Path | None, address: str | None) -> dict[str, Any]:
    """Figures of publishing at an address (by default in a folder of its own) and fetching, in a folder that is there."""
    figures: dict[str, Any] = {"goal_s": _GOAL_S}
    if origin is None:
        origin = place / "origin"
        trees.build(origin, files, seed=_SEED)
        _git(origin, "init", "-q")
        _git(origin, "add", ".")
        _git(origin, "commit", "-qm", "all")
    figures["indexed_s"] = _index(origin)
    (place / "published").mkdir()
    published = PublishedIndex(Place(address or str(place / "published")))
    figures["published"] = _publish(origin, published)
    subprocess.run(["git", "clone", "-q", str(origin), str(place / "clone")], check=True)
    _edited(place / "clone", edited)
    figures["fetched"] = _fetch(place / "clone", published)
    figures["published_again"] = _publish(place / "clone", published)
    return figures


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description="Measures publishing and fetching of an index.")
    parser.add_argument("--files", type=int, default=60_000)
    parser.add_argument("--edited", type=int, default=20, help="files that differ where the version is fetched")
    parser.add_argument("--model", default="fast", help="`default` for the model of the settings, or a name")
    parser.add_argument("--index", type=Path, help="a checkout whose index is complete, in place of a generated one")
    parser.add_argument("--place", help="where to publish, in place of a folder that is new")
    arguments = parser.parse_args()
    machine = report.machine()
    if arguments.model != "default":
        os.environ["CODE_INDEX_MODEL"] = arguments.model
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), arguments.files, arguments.edited, arguments.index, arguments.place)
    fetched, first, again = figures["fetched"], figures["published"], figures["published_again"]
    searchable = (
        f"{fetched['searchable_s']:.0f} s; {fetched['left_files']} of {fetched['files'] + fetched['left_files']} files "
        f"parsed, {fetched['embedded']} of {first['chunks']} chunks embedded"
    )
    rows: list[list[object]] = [
        ["indexed here, everything", f"{figures['indexed_s']:.0f} s"],
        ["published", f"{first['seconds']:.0f} s, {first['parts']} parts, {first['new_bytes'] / 1e6:.0f} MB"],
        [f"fetched, searchable (goal {_GOAL_S} s)", searchable],
        ["until all is recorded in Dagster too", f"{fetched['seconds']:.0f} s, {fetched['peak_mib']:,.0f} MiB"],
        [
            "published after the edits",
            f"{again['seconds']:.0f} s, {again['new_parts']} of {again['parts']} parts, {again['new_bytes'] / 1e6:.0f} MB",
        ],
    ]
    markdown = report.table(["", arguments.model], rows)
    report.write("publishing", seed=_SEED, machine_before=machine, figures=figures, markdown=markdown)


if __name__ == "__main__":
    main()
