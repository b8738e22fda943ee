"""Every benchmark in turn, and what of it reaches its goal.

    python -m benchmarks                       # the short form, under 10 minutes on two processors
    python -m benchmarks --long                # full sizes, about two and a half hours; beside three peers and in a browser, too
    python -m benchmarks --only parsing disk   # some of them
    python -m benchmarks --summary             # of what has run before
    python -m benchmarks --long --publish      # the summary into docs/performance.md, the plots into docs/images

Each benchmark is a process of its own, writes its JSON and Markdown under `benchmarks/.results/short` or `long`, and
can be called alone (`python -m benchmarks.parsing`). `benchmarks.cuda` is only called alone, on a machine with such a
device; its `cuda.json` in that folder is summarized with the others. One that fails is named at the end, and the others
run. The summary
(`summary.json`, `summary.md`, `goals.png`) has each goal, the figure beside it, and how much of the goal it uses.
Short trees say less: what a goal says of 60,000 files or 576,000 chunks is measured by the long form alone.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.docstrings import PROJECTS
from benchmarks.goals import Goal, goals
from benchmarks.pipeline import PINNED, fetch

_ROOT = Path(__file__).resolve().parents[1]
_RESULTS = Path(__file__).parent / ".results"
_MARKS = ("<!-- figures -->", "<!-- end of figures -->")
# Name of the result, and the command's module and arguments; {flask}, {networkx} and {folder} are filled in.
_SHORT: dict[str, Sequence[str]] = {
    "parsing": ("parsing", "{flask}", "--workers", "1", "2"),
    "bookkeeping": ("bookkeeping", "--rounds", "1", "--partitions", "300"),
    "bookkeeping_range": ("bookkeeping", "--range", "2000"),
    "embedding_pipeline": ("embedding_pipeline", "{flask}", "--rounds", "1"),
    "embedding_backends": ("embedding_backends", "--variants", "plain", "int8", "--texts", "200", "--rounds", "2"),
    "docstrings": ("docstrings", "--functions", "600", "--queries", "200", "--languages", "python"),
    "disk": ("disk", "{flask}"),
    "unchanged": ("unchanged", "--files", "2000", "--folder", "{folder}/unchanged"),
    "search_at_size": ("search_at_size", "--chunks", "30000", "--folder", "{folder}/search"),
    "edits": ("edits", "{flask}", "--edits", "40", "--model", "deterministic"),
    "growth": ("growth", "--files", "300", "1000"),
}
_LONG: dict[str, Sequence[str]] = {
    "parsing": ("parsing",),
    "bookkeeping": ("bookkeeping",),
    "bookkeeping_range": ("bookkeeping", "--range", "20000"),
    "embedding_pipeline": ("embedding_pipeline", "{flask}", "{networkx}", "--rounds", "2"),
    "embedding_backends": ("embedding_backends", "--variants", "plain", "int8"),
    "docstrings": ("docstrings",),
    "disk": ("disk",),
    "pipeline": ("pipeline",),
    "growth": ("growth", "--long"),
    "unchanged": ("unchanged", "--folder", "{folder}/unchanged"),
    "search_at_size": ("search_at_size", "--folder", "{folder}/search"),
    "peers": ("peers",),
    "ui_pages": ("ui_pages", "--work", "{folder}/pages"),
    "cpu_engines": ("cpu_engines",),
    "edits": ("edits", "--model", "deterministic"),
}


def run(plan: Mapping[str, Sequence[str]], results: Path, folder: Path, more: Mapping[str, Sequence[str]]) -> list[str]:
    """Each benchmark in turn; returns the names of those that failed."""
    corpora = {"flask": PINNED[-1], "networkx": PROJECTS[0]}
    failed = []
    for name, (module, *arguments) in plan.items():
        asked = [*arguments, *more.get(name, ())]
        places = {key: str(fetch(pinned)) for key, pinned in corpora.items() if f"{{{key}}}" in asked}
        filled = [argument.format(**places, folder=folder) for argument in asked]
        print(f"\n== {name}: python -m benchmarks.{module} {' '.join(filled)}", flush=True)
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{module}", *filled],
            cwd=_ROOT,
            env={**os.environ, "CODE_INDEX_BENCHMARK_RESULTS": str(results)},
            check=False,
        )
        print(f"== {name}: {time.perf_counter() - started:.0f} s", flush=True)
        if done.returncode:
            failed.append(name)
    return failed


def results_in(folder: Path, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The JSON of each benchmark that has run, by name."""
    return {name: json.loads(path.read_text("utf-8")) for name in names if (path := folder / f"{name}.json").is_file()}


def number(value: float | None) -> str:
    """Three significant digits; a dash for none."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def as_table(found: Sequence[Goal]) -> str:
    """A Markdown table of goals and figures."""
    lines = ["| | | goal | measured | |", "|---|---|---|---|---|"]
    said = {True: "met", False: "**missed**", None: "not measured"}
    for goal in found:
        bound = f"{'at most' if goal.at_most else 'at least'} {number(goal.bound)} {goal.unit}"
        lines.append(f"| {goal.group} | {goal.name} | {bound} | {number(goal.value)} | {said[goal.met]} |")
    return "\n".join(lines)


def machine_line(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Where and under which load the figures were measured; each benchmark's own file has the rest."""
    machines = [result["machine"] for result in results.values()]
    if not machines:
        raise SystemExit("No benchmark has run yet.")
    first = machines[0]
    loads = [load for machine in machines for load in (machine["load_before"][0], machine["load_after"][0])]
    versions = ", ".join(f"{name} {first[name]}" for name in ("python", "dagster", "lancedb", "onnxruntime"))
    gpus = "".join(
        f"; on CUDA: {found['gpu']}, {found['processors_available']} processors" for found in machines if "gpu" in found
    )
    return (
        f"{first['processor']}, {first['processors_available']} processors, {first['memory_gib']} GiB, {first['system']}; "
        f"{versions}; load {min(loads):.1f} to {max(loads):.1f}{gpus}"
    )


def plot(found: Sequence[Goal], target: Path) -> None:
    """How much of each goal is used; the line is the goal."""
    from matplotlib.figure import Figure

    shown = [goal for goal in found if goal.share is not None and goal.bound]
    page = Figure(figsize=(9, 0.27 * len(shown) + 1), layout="constrained")
    axes = page.subplots()
    shares = [min(max(goal.share or 0, 0.01), 20) for goal in shown]
    colors = ["#2f6f4f" if goal.met else "#b5482a" for goal in shown]
    axes.barh([f"{goal.group}: {goal.name}".replace("`", "") for goal in shown], shares, color=colors)
    for place, (goal, share) in enumerate(zip(shown, shares, strict=True)):
        axes.text(share * 1.05, place, f"{number(goal.value)} {goal.unit}", va="center", fontsize=7)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    axes.set_xlim(0.01, 60)
    axes.set_xticks([0.01, 0.1, 1, 10], ["1 %", "10 %", "the goal", "10 x"])
    axes.invert_yaxis()
    axes.tick_params(axis="y", labelsize=7)
    axes.set_title("how much of each goal is used (less is better)", fontsize=9)
    target.parent.mkdir(parents=True, exist_ok=True)
    page.savefig(target, dpi=120)


def summarize(results: Path, names: Sequence[str]) -> tuple[list[Goal], str]:
    """Write `summary.json`, `summary.md` and `goals.png`; returns the goals and the Markdown."""
    records = results_in(results, names)
    found = goals({name: record["figures"] for name, record in records.items()})
    markdown = f"{machine_line(records)}.\n\n{as_table(found)}\n"
    commands = {name: {key: record[key] for key in ("command", "at", "seed")} for name, record in records.items()}
    (results / "summary.md").write_text(markdown, "utf-8")
    (results / "summary.json").write_text(
        json.dumps({"commands": commands, "goals": [{**asdict(goal), "met": goal.met} for goal in found]}, indent=1)
        + "\n",
        "utf-8",
    )
    plot(found, results / "goals.png")
    return found, markdown


def publish(markdown: str, results: Path, page: Path, images: Path) -> None:
    """Put the table between the marks of the page, and the plots beside its other images.

    Raises:
        SystemExit: the page has no marks.
    """
    text = page.read_text("utf-8")
    before, opened, rest = text.partition(_MARKS[0])
    _, closed, after = rest.partition(_MARKS[1])
    if not opened or not closed:
        raise SystemExit(f"{page} has no {_MARKS[0]} ... {_MARKS[1]} to put the figures between.")
    page.write_text(f"{before}{_MARKS[0]}\n{markdown}{_MARKS[1]}{after}", "utf-8")
    for name in ("goals.png", "growth.png"):
        if (results / name).is_file():
            shutil.copy(results / name, images / name)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--long", action="store_true", help="full sizes")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=sorted({*_SHORT, *_LONG}), help="run these alone")
    parser.add_argument("--summary", action="store_true", help="run nothing")
    parser.add_argument(
        "--publish", action="store_true", help="put the figures into docs/performance.md and docs/images"
    )
    parser.add_argument("--folder", type=Path, help="where large trees and indexes are kept for the next time")
    parser.add_argument("--postgres-url", help="an empty database, for Dagster's records on PostgreSQL")
    arguments = parser.parse_args()
    plan = _LONG if arguments.long else _SHORT
    results = _RESULTS / ("long" if arguments.long else "short")
    folder = (arguments.folder or results / "kept").resolve()
    failed: list[str] = []
    if not arguments.summary:
        chosen = {name: command for name, command in plan.items() if not arguments.only or name in arguments.only}
        more = {"bookkeeping": ("--postgres-url", arguments.postgres_url)} if arguments.postgres_url else {}
        failed = run(chosen, results, folder, more)
    # `python -m benchmarks.cuda` runs by itself, where there is such a device; its result may come from another machine.
    found, markdown = summarize(results, [*plan, "cuda"])
    print(f"\n{markdown}\n{results / 'summary.json'}, {results / 'goals.png'}")
    if arguments.publish:
        publish(markdown, results, _ROOT / "docs" / "performance.md", _ROOT / "docs" / "images")
    missed = [goal.name for goal in found if goal.met is False]
    print(f"{sum(goal.met is True for goal in found)} goals met, {len(missed)} missed.")
    if failed:
        raise SystemExit(f"Failed: {', '.join(failed)}. What they printed is above.")


if __name__ == "__main__":
    main()
