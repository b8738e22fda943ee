"""How long each page of Dagster's web interface takes with an index of 60,000 file partitions.

Builds a repository of small files (deterministic from the seed), indexes it through the pipeline, with
some files deleted between scan and parse so that their partitions fail, and opens every page in a
headless Chromium: from the navigation until the page's own content is there. Also the slowest GraphQL
request of each page; and for each GraphQL query of all pages, sent again without a browser, the processor time of the web
server and the size of its answer.

    python -m benchmarks.ui_pages [--files 60000] [--rounds 2] [--work DIR] [--screenshots DIR]

DIR keeps the index for the next call.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import psutil

from benchmarks.browser import Visit, installed_browser, measure, opened_browser
from benchmarks.report import machine, table, write
from code_index.index.folder import resolve_index_folder
from indexing_assets.operations import web_interface
from indexing_assets.operations.pipeline import Pipeline

_SEED = 20_261_124
_FAILED = 40
_DEAREST = 15
_START_S = 180
_LOCATION = "/locations/indexing_assets.definitions"
_VERBS = ("load", "store", "parse", "merge", "send", "check", "render", "split", "count", "open")
_NOUNS = ("user", "file", "token", "order", "page", "event", "cache", "query", "image", "route")


def build_repository(root: Path, files: int) -> None:
    """Small Python files in folders of 100."""
    rng = random.Random(_SEED)
    for number in range(files):
        path = root / f"package_{number // 1_000:02}/part_{number // 100 % 10}/module_{number:05}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        verb, noun = rng.choice(_VERBS), rng.choice(_NOUNS)
        path.write_text(
            f'def {verb}_{noun}_{number}(value):\n    """{verb.title()} a {noun}."""\n    return value + {number}\n',
            encoding="utf-8",
        )


def build_index(root: Path, files: int) -> dict[str, float]:
    """Index the repository unless that was done; seconds of each phase."""
    folder = resolve_index_folder(root)
    kept = root.parent / "phases.json"
    if kept.exists():
        return dict(json.loads(kept.read_text(encoding="utf-8")))
    build_repository(root, files)
    seconds = {}
    with Pipeline(folder) as pipeline:
        seconds["scan_s"] = _timed(pipeline.scan)
        rng = random.Random(_SEED)
        contents = {path: path.read_bytes() for path in rng.sample(sorted(root.rglob("*.py")), _FAILED)}
        for path in contents:  # a link in place of a scanned file fails; one that is gone would not
            path.unlink()
            path.symlink_to(path.name)
        seconds["parse_s"] = _timed(pipeline.parse)
        for path, content in contents.items():
            path.unlink()
            path.write_bytes(content)
        pipeline.scan()  # as a sensor's scan does: what failed stands side by side from then on
        seconds["embed_s"] = _timed(pipeline.embed)
    kept.write_text(json.dumps(seconds), encoding="utf-8")
    return seconds


def _timed(phase: Callable[[], Any]) -> float:
    started = time.perf_counter()
    phase()
    return time.perf_counter() - started


def visits(instance: dg.DagsterInstance) -> list[Visit]:
    keys = instance.get_dynamic_partitions("file_hash")
    middle = keys[len(keys) // 2]
    name = middle.rpartition("/")[2]
    parse_run = next(run.run_id for run in instance.get_runs() if run.job_name == "parse_chunks_job")
    parsed = "/assets/parsed_chunks"
    some = re.compile(r"Materialized \([\d,]*[1-9]")

    def find(page: Any) -> None:
        page.get_by_placeholder("Filter by name").fill(name)

    def only_failed(page: Any) -> None:
        for label in ("Materialized", "Materializing", "Missing"):
            page.get_by_text(re.compile(rf"^{label} \(")).first.click()

    def dialog(page: Any) -> None:
        page.get_by_role("button", name="Materialize").first.click()
        page.get_by_role("dialog").get_by_text("Failed", exact=True).click()

    visited = [
        Visit("lineage", f"{_LOCATION}/asset-groups/code_index/lineage", re.compile(r"[\d,]+ partitions")),
        Visit("catalog", "/assets", re.compile("parsed_chunks")),
        Visit("parsed_chunks, overview", parsed, re.compile("Latest materialization")),
        Visit("parsed_chunks, partitions", f"{parsed}?view=partitions", some),
        Visit("parsed_chunks, a name among the partitions", f"{parsed}?view=partitions", re.compile(name), find),
        Visit(
            "parsed_chunks, failed partitions",
            f"{parsed}?view=partitions",
            re.compile(r"^40 Partitions|40 partitions", re.IGNORECASE),
            only_failed,
        ),
        Visit("parsed_chunks, one partition", f"{parsed}?view=partitions&partition={middle}", re.compile("parse_ms")),
        Visit("parsed_chunks, events", f"{parsed}?view=events", re.compile("module_")),
        Visit("parsed_chunks, checks", f"{parsed}?view=checks", re.compile("checks", re.IGNORECASE)),
        Visit(
            "parsed_chunks, failed ones in the backfill dialog",
            f"{parsed}?view=partitions",
            re.compile(r"40 partitions"),
            dialog,
        ),
        Visit("chunk_vectors, partitions", "/assets/chunk_vectors?view=partitions", some),
        Visit("runs", "/runs", re.compile("parse_chunks_job")),
        Visit(
            "run over all partitions, first events", f"/runs/{parse_run}", re.compile("Intent to|Materialized value")
        ),
        Visit("backfills", "/runs?view=backfills", re.compile("backfill", re.IGNORECASE)),
        Visit("automation", "/automation", re.compile("repo_changes_sensor")),
    ]
    backfills = instance.get_backfills(limit=1)
    if backfills:
        visited.append(Visit("a backfill", f"/runs/b/{backfills[0].backfill_id}", re.compile("parsed_chunks")))
    return visited


def failed_backfill(base: str, instance: dg.DagsterInstance) -> float:
    """Launch a backfill of the failed partitions as the dialog does; seconds until it ended."""
    definition = dg.DynamicPartitionsDefinition(name="file_hash")
    keys = list(instance.get_dynamic_partitions("file_hash"))
    statuses = instance.get_status_by_partition(dg.AssetKey("parsed_chunks"), keys, definition) or {}
    failed = [key for key, status in statuses.items() if status is not None and status.value == "FAILED"]
    if not failed:
        return 0.0
    query = (
        "mutation B($p: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $p)"
        " { __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"
    )
    variables = {"p": {"partitionNames": failed, "assetSelection": [{"path": ["parsed_chunks"]}], "title": "failed"}}
    request = urllib.request.Request(
        f"{base}/graphql",
        data=json.dumps({"query": query, "variables": variables}).encode(),
        headers={"Content-Type": "application/json"},
    )
    started = time.perf_counter()
    answer = json.load(urllib.request.urlopen(request, timeout=120))
    backfill = answer["data"]["launchPartitionBackfill"]["backfillId"]
    while True:
        found = instance.get_backfill(backfill)
        if found is not None and found.status.value.startswith(("COMPLETED", "FAILED", "CANCELED")):
            return time.perf_counter() - started
        if time.perf_counter() - started > 1_800:
            raise SystemExit("The backfill does not end.")
        time.sleep(1)


def costs_of_queries(base: str, server: psutil.Process, pages: dict[str, list[dict[str, Any]]]) -> list[list[object]]:
    """Send each query of the pages again: name, pages that send it, processor seconds of the server, bytes; dearest first.

    The processor time is the median of five answers, after one that is not counted.
    """
    queries: dict[str, tuple[dict[str, Any], set[str]]] = {}
    for page, rounds in pages.items():
        for query in rounds[0]["queries"]:
            _, sending = queries.setdefault(json.dumps(query), (query, set()))
            sending.add(page)
    rows: list[list[object]] = []
    for body, (query, sending) in queries.items():
        seconds = []
        for _ in range(6):
            before = server.cpu_times()
            request = urllib.request.Request(
                f"{base}/graphql", data=body.encode(), headers={"Content-Type": "application/json"}
            )
            answer = urllib.request.urlopen(request, timeout=120).read()
            after = server.cpu_times()
            seconds.append(after.user + after.system - before.user - before.system)
        rows.append([query["operationName"], len(sending), statistics.median(seconds[1:]), len(answer)])
    return sorted(rows, key=lambda row: -row[2])  # type: ignore[operator]


def serve(root: Path, log: Path) -> tuple[subprocess.Popen[bytes], str, str]:
    """Start the web interface; the process, its address and the token."""
    process = subprocess.Popen(
        [sys.executable, "-m", "indexing_assets.cli.main", "ui", str(root), "--port", "0"],
        stdout=log.open("wb"),
        stderr=subprocess.STDOUT,
    )
    ends = time.monotonic() + _START_S
    while True:
        try:
            printed = re.search(r"(http://\S+)/\?token=(\S+)", log.read_text(encoding="utf-8"))
            if printed is not None:
                urllib.request.urlopen(f"{printed[1]}/server_info", timeout=5)
                return process, printed[1], printed[2]
        except OSError:
            pass
        if time.monotonic() > ends or process.poll() is not None:
            raise SystemExit(f"The web interface does not start; see {log}.")
        time.sleep(0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=60_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--work", type=Path, help="folder that keeps the index; by default a temporary one")
    parser.add_argument("--screenshots", type=Path)
    options = parser.parse_args()
    program = installed_browser()
    before = machine()
    os.environ["CODE_INDEX_MODEL"] = "deterministic"
    if options.screenshots is not None:
        options.screenshots.mkdir(parents=True, exist_ok=True)
    work = options.work or Path(tempfile.mkdtemp())
    try:
        run(work, options, program, before)
    finally:
        if options.work is None:
            shutil.rmtree(work)


def run(work: Path, options: argparse.Namespace, program: str, before: dict[str, Any]) -> None:
    root = work / "repository"
    root.mkdir(parents=True, exist_ok=True)
    phases = build_index(root, options.files)
    print(phases, flush=True)
    folder = resolve_index_folder(root)
    records = sum(path.stat().st_size for path in folder.dagster_home.rglob("*.db")) // options.files
    os.environ.update(folder.environment())
    process, base, token = serve(root, work / "ui.log")
    try:
        with dg.DagsterInstance.get() as instance:
            planned = visits(instance)
        found: dict[str, list[dict[str, Any]]] = {}
        with opened_browser(program) as browser:
            for number in range(options.rounds):
                for visit in planned:
                    shots = options.screenshots if number == 0 else None
                    figures = measure(browser, base, visit, shots, token=token)
                    found.setdefault(visit.name, []).append(figures)
                    shown = {key: value for key, value in figures.items() if key != "queries"}
                    print(visit.name, shown, flush=True)
        (server,) = (one for one in psutil.Process(process.pid).children() if web_interface.__name__ in one.cmdline())
        costs = costs_of_queries(base, server, found)
        with dg.DagsterInstance.get() as instance:
            backfill_s = failed_backfill(base, instance)
            runs = sum("dagster/backfill" in run.tags for run in instance.get_runs())
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(90)
    rows = []
    for name, rounds in found.items():
        seconds = [figures["seconds"] for figures in rounds]
        slowest = max(rounds, key=lambda figures: figures["slowest_request_s"])
        painted = statistics.median(figures["first_paint_s"] for figures in rounds)
        files = rounds[0]["files_bytes"]
        request = slowest["slowest_request_s"], slowest["slowest_request"]
        rows.append([name, statistics.median(seconds), max(seconds), painted, files, *request])
    header = ["page", "median s", "longest s", "first paint s", "files, bytes", "slowest GraphQL request s", "its name"]
    header_of_costs = ["GraphQL query", "pages that send it", "processor s of the web server", "bytes"]
    markdown = (
        f"{options.files:,} files; {', '.join(f'{name} {value:.0f}' for name, value in phases.items())}; backfill of "
        f"{_FAILED} failed partitions: {backfill_s:.0f} s, {runs} runs; Dagster's records: {records:,} bytes a file."
        f"\n\n{table(header, rows)}\n\n"
        f"{table(header_of_costs, costs[:_DEAREST])}"
    )
    figures = {
        "files": options.files,
        "phases": phases,
        "records_bytes_a_file": records,
        "backfill_s": backfill_s,
        "runs": runs,
        "pages": found,
        "queries": costs,
    }
    write("ui_pages", seed=_SEED, machine_before=before, figures=figures, markdown=markdown)


if __name__ == "__main__":
    main()
