"""What an index of many files costs when nothing, or one file, has changed.

    python -m benchmarks.unchanged --folder FOLDER            # 60,000 files
    python -m benchmarks.unchanged --folder FOLDER --files N

The tree is made of the functions of Django 5.2: each file is one real source file's first lines, with a comment that
makes it another file; 100 files a folder. It is indexed once, with the embedder that needs no model (what is measured
here is not the model), and kept in FOLDER for the next time.

With `--edits-at 1000 10000 60000` only the edits run, in trees of these sizes: what grows with the tree.

Then `code-index index` and `code-index status` run on the unchanged tree in processes of their own, and `index` after one
edited and one deleted file. In this process, which is warm, one file is edited and searched for. That a scan of it reads
no content is what the scan itself counts.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from benchmarks import report
from benchmarks.pipeline import MemoryPeak, fetch
from code_index.index.contents import folder_bytes
from code_index.index.folder import IndexFolder
from code_index.search.hybrid import SearchMode, search
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.runs.in_process import PhaseResult
from resources.embedder_resource import EmbedderResource
from resources.instance_config import instance_config

SEED = 20_250_101
CORPUS = "Django==5.2"
LINES = 40
PER_FOLDER = 100
RUNS = 5
GOAL_S = 5.0
STATUS_S = 0.6
SHELL_EDIT_S = 1.2
_OLD_S = 1_600_000_000  # files that were written just now are read again, as an edit within the clock's grain may hide


def make_tree(root: Path, count: int) -> None:
    """`count` files; the same bytes for the same count."""
    corpus = fetch(CORPUS)
    heads = []
    for path in sorted(corpus.rglob("*.py")):
        lines = path.read_text("utf-8", "replace").splitlines()[:LINES]
        if len(lines) >= LINES // 2:
            heads.append("\n".join(lines))
    for number in range(count):
        folder = root / f"part{number // PER_FOLDER:04}"
        if number % PER_FOLDER == 0:
            folder.mkdir(parents=True)
        path = folder / f"module_{number:06}.py"
        path.write_text(f"# Module {number}.\n{heads[number % len(heads)]}\n", "utf-8")
        os.utime(path, (_OLD_S + number, _OLD_S + number))


def indexed(folder: Path, count: int) -> tuple[IndexFolder, dict[str, float]]:
    """The tree with a complete index; made at the first call."""
    root = folder / f"tree-{count}"
    place = IndexFolder(path=folder / f"index-{count}", repository_root=root)
    done = folder / f"done-{count}"
    costs: dict[str, float] = {}
    if not done.exists():
        shutil.rmtree(root, ignore_errors=True)
        shutil.rmtree(place.path, ignore_errors=True)
        make_tree(root, count)
        place.create(instance_config())
        text = place.settings_path.read_text("utf-8")
        place.settings_path.write_text(f'model = "deterministic"\n{text}', "utf-8")
        with Pipeline(place, embedder=EmbedderResource(model="deterministic")) as pipeline:
            for name, phase in (("scan", pipeline.scan), ("parse", pipeline.parse), ("embed", pipeline.embed)):
                started = time.perf_counter()
                _checked(phase())
                costs[f"first_{name}_s"] = time.perf_counter() - started
                print(f"  {name}: {costs[f'first_{name}_s']:.1f} s", flush=True)
        done.touch()
    return place, costs


def _checked(result: PhaseResult) -> PhaseResult:
    if result.error is not None:
        raise SystemExit(f"A phase failed: {result.error}")
    return result


def from_a_shell(place: IndexFolder, name: str, change: Callable[[int], None] | None = None) -> dict[str, Any]:
    """A command on the index in processes of its own: median of seconds, processor seconds and peak memory.

    `change` is called with the number of each process before it starts.
    """
    program = str(Path(sys.executable).with_name("code-index"))
    start = [program] if Path(program).exists() else [sys.executable, "-m", "indexing_assets.cli.main"]
    command = [*start, name, str(place.repository_root), "--index-dir", str(place.path)]
    walls, processors, memory = [], [], []
    for number in range(RUNS):
        if change is not None:
            change(number)
        before, started = os.times(), time.perf_counter()
        with (
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process,
            MemoryPeak(process.pid) as peak,
        ):
            said, _ = process.communicate()
        if process.returncode:
            raise SystemExit(said)
        after = os.times()
        walls.append(time.perf_counter() - started)
        processors.append(after.children_user - before.children_user + after.children_system - before.children_system)
        memory.append(peak.figures()["main_mib"])
    return {
        "wall_s": statistics.median(walls),
        "cpu_s": statistics.median(processors),
        "walls_s": walls,
        "peak_mib": max(memory),
    }


def edited_and_deleted(place: IndexFolder) -> dict[str, Any]:
    """`code-index index` in processes of its own, after an edit of one file and the end of one that was added for that."""
    added = [place.repository_root / f"added_{number}.py" for number in range(RUNS)]
    for path in added:
        path.write_text(f"def {path.stem}():\n    return {time.time_ns()}\n", "utf-8")
    from_a_shell(place, "index")

    def change(number: int) -> None:
        added[number].unlink()
        edited = place.repository_root / f"part{number:04}" / f"module_{number * PER_FOLDER + 9:06}.py"
        edited.write_text(
            f"{edited.read_text('utf-8')}\n\ndef edited_{time.time_ns()}():\n    return {number}\n", "utf-8"
        )

    return from_a_shell(place, "index", change)


def contents_read(place: IndexFolder) -> int:
    """Files that a scan of the unchanged tree reads; the one before it reads what was written just before that."""
    with Pipeline(place, embedder=EmbedderResource(model="deterministic")) as pipeline:
        for _ in range(2):
            _checked(pipeline.scan())
        event = pipeline.instance.get_latest_materialization_event(dg.AssetKey("source_files"))
    if event is None or event.asset_materialization is None:
        raise SystemExit("source_files has no materialization.")
    return int(event.asset_materialization.metadata["read_files"].value)  # type: ignore[arg-type]


def edit(place: IndexFolder) -> list[dict[str, float]]:
    """Edit one file and search for what it now says, in a process that has done so before; seconds of each part."""
    found = []
    with Pipeline(place, embedder=EmbedderResource(model="deterministic")) as pipeline:
        encoder = pipeline.query_encoder()
        for attempt in range(RUNS + 1):  # the first one warms
            target = place.repository_root / f"part{attempt:04}" / f"module_{attempt * PER_FOLDER + 7:06}.py"
            marker = f"wanted_marker_{time.time_ns()}"
            target.write_text(f"{target.read_text('utf-8')}\n\ndef {marker}():\n    return {attempt}\n", "utf-8")
            started = time.perf_counter()
            seconds: dict[str, float] = {}
            for name, phase in (("scan", pipeline.scan), ("parse", pipeline.parse), ("embed", pipeline.embed)):
                begun, spent = time.perf_counter(), processor_s()
                _checked(phase())
                seconds[f"{name}_s"] = time.perf_counter() - begun
                seconds[f"{name}_cpu_s"] = processor_s() - spent
            for mode in (SearchMode.LEXICAL, SearchMode.HYBRID):
                if not any(marker in hit.content for hit in search(pipeline.store, encoder, marker, mode=mode)):
                    raise SystemExit(f"{mode} search does not find the edit of {target}.")
            seconds["searchable_s"] = time.perf_counter() - started
            if attempt:
                found.append(seconds)
    return found


def processor_s() -> float:
    """Processor time of this process and of those that it started and waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def edits_by_size(folder: Path, sizes: Sequence[int]) -> None:
    """Processor time of an edit in trees of these sizes, as a table and a plot."""
    before = report.machine()
    found: dict[int, dict[str, float]] = {}
    for count in sizes:
        place, _ = indexed(folder, count)
        edits = edit(place)
        found[count] = {name: statistics.median(one[name] for one in edits) for name in edits[0]}
    parts = ("scan_cpu_s", "parse_cpu_s", "embed_cpu_s")
    rows = [
        [
            f"{count:,}",
            *(f"{seconds[part]:.2f}" for part in parts),
            f"{sum(seconds[part] for part in parts):.2f}",
            f"{seconds['searchable_s']:.2f}",
        ]
        for count, seconds in found.items()
    ]
    header = ["files", "scan, s of processor", "parse", "embed", "all three", "until it is found, s"]
    report.write(
        "edits_by_size",
        seed=SEED,
        machine_before=before,
        figures={str(count): seconds for count, seconds in found.items()},
        markdown=report.table(header, rows),
        module="unchanged",
    )
    _plot(found, parts, report.RESULTS / "edits_by_size.png")


def _plot(found: dict[int, dict[str, float]], parts: Sequence[str], target: Path) -> None:
    from matplotlib.figure import Figure

    page = Figure(figsize=(6, 4), layout="constrained")
    axes = page.subplots()
    for part in parts:
        axes.plot(list(found), [found[count][part] for count in found], marker="o", label=part.removesuffix("_cpu_s"))
    axes.set(xlabel="files", ylabel="s of processor", title="One file edited, warm process", ylim=(0, None))
    axes.legend()
    page.savefig(target, dpi=120)
    print(f"Plot: {target}")


def _markdown(
    files: int,
    quiet: dict[str, Any],
    status: dict[str, Any],
    changed: dict[str, Any],
    read: int,
    edits: Sequence[dict[str, float]],
    disk: dict[str, int],
) -> str:
    median = {name: statistics.median(one[name] for one in edits) for name in edits[0]}
    parts = ", ".join(f"{name.removesuffix('_s')} {median[name]:.2f}" for name in ("scan_s", "parse_s", "embed_s"))
    return report.table(
        ["", "measured", "goal"],
        [
            [
                f"`code-index index`, {files:,} files, none changed",
                f"{quiet['wall_s']:.2f} s ({quiet['cpu_s']:.2f} s of processor)",
                f"{GOAL_S:.0f} s",
            ],
            [
                "`code-index status`",
                f"{status['wall_s']:.2f} s ({status['cpu_s']:.2f} s of processor)",
                f"{STATUS_S} s",
            ],
            [
                "`code-index index`, one file edited, one deleted",
                f"{changed['wall_s']:.2f} s ({changed['cpu_s']:.2f} s of processor)",
                f"{SHELL_EDIT_S} s",
            ],
            ["contents read by a scan of it", read, 0],
            ["its peak memory", f"{quiet['peak_mib']:,} MiB", ""],
            [
                "one file edited, until it is found, warm process",
                f"{median['searchable_s']:.2f} s ({parts})",
                "1 s",
            ],
            ["Dagster's records, bytes a file", f"{disk['dagster'] / files:,.0f}", "6,000"],
            ["tables, bytes a file", f"{disk['tables'] / files:,.0f}", ""],
        ],
    )


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description="Cost of no change and of one edit.")
    parser.add_argument("--folder", type=Path, required=True, help="where tree and index are kept")
    parser.add_argument("--files", type=int, default=60_000)
    parser.add_argument("--edits-at", type=int, nargs="+", metavar="FILES", help="only edits, in trees of these sizes")
    arguments = parser.parse_args()
    if min(arguments.edits_at or [arguments.files]) < (RUNS + 1) * PER_FOLDER:
        parser.error(f"a tree has at least {(RUNS + 1) * PER_FOLDER} files")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    if arguments.edits_at:
        edits_by_size(arguments.folder, arguments.edits_at)
        return
    before = report.machine()
    place, costs = indexed(arguments.folder, arguments.files)
    quiet, status = from_a_shell(place, "index"), from_a_shell(place, "status")
    changed = edited_and_deleted(place)
    read = contents_read(place)
    disk = {"dagster": folder_bytes(place.dagster_home), "tables": folder_bytes(place.tables_dir)}
    edits = edit(place)
    report.write(
        "unchanged",
        seed=SEED,
        machine_before=before,
        figures={
            "files": arguments.files,
            **costs,
            "no_change": quiet,
            "status": status,
            "edited_and_deleted": changed,
            "contents_read": read,
            "edits": edits,
            "bytes": disk,
        },
        markdown=_markdown(arguments.files, quiet, status, changed, read, edits, disk),
    )


if __name__ == "__main__":
    main()
