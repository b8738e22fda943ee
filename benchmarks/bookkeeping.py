"""What Dagster's records cost for each partition: this project's event log against Dagster's own.

    python -m benchmarks.bookkeeping [--partitions N] [--rounds N]
    python -m benchmarks.bookkeeping --postgres-url postgresql://user@host:port/database   # on PostgreSQL as well
    python -m benchmarks.bookkeeping --range 20000             # when a range of so many files starts to be parsed

One run over N partitions that does nothing but record them: keys, planned and materialized events, and the
run around them; then the status of every partition is asked for. The storages take turns, each round in a
process of its own with a new instance. PostgreSQL needs the extra `postgres` and an
empty database that may be filled.

`--range` writes a tree of small files, scans it, and runs `dagster asset materialize --partition-range` over all of
its partitions; the time ends with the line with which the asset starts to parse.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.report import machine, table, write
from code_index.index.folder import IndexFolder
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.runs.index_names import PARSED_CHUNKS, UNNAMED

GOAL_MS = 3.0
GOAL_RANGE_START_S = 15.0

_STORAGES = {
    "this project": "event_log_storage:\n  module: resources.event_log\n  class: BatchingSqliteEventLogStorage\n",
    "Dagster's own": "",
}
_RUN = """
import sys, time
import dagster as dg
from indexing_assets.runs.materializations import log_materializations
from indexing_assets.runs.index_names import PARSED_CHUNKS, UNNAMED
from indexing_assets.runs.partitions import partitions_definition

@dg.asset(partitions_def=partitions_definition(UNNAMED, PARSED_CHUNKS), backfill_policy=dg.BackfillPolicy.single_run(), output_required=False)
def recorded(context):
    log_materializations(context, {key: {"chunks": 3} for key in context.partition_keys}, code_version="1")
    yield from ()

keys = [f"{sys.argv[2]}-{number:08d}" for number in range(int(sys.argv[1]))]
instance = dg.DagsterInstance.get()
started = time.perf_counter()
for start in range(0, len(keys), 5000):
    instance.add_dynamic_partitions("file_hash", keys[start : start + 5000])
keys_s = time.perf_counter() - started
tags = {"dagster/asset_partition_range_start": keys[0], "dagster/asset_partition_range_end": keys[-1]}
quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
asset_started = time.perf_counter()
assert dg.materialize([recorded], instance=instance, tags=tags, run_config=quiet).success
run_s = time.perf_counter() - asset_started
status_started = time.perf_counter()
statuses = instance.get_status_by_partition(dg.AssetKey("recorded"), keys, partitions_definition(UNNAMED, PARSED_CHUNKS))
status_s = time.perf_counter() - status_started
assert {status.value for status in statuses.values()} == {"MATERIALIZED"}
print(keys_s, run_s, status_s)
"""


def seconds_of(storage: str, partitions: int, round_number: int) -> tuple[float, float, float]:
    """Seconds for the keys, the run and the statuses of `partitions` partitions."""
    with tempfile.TemporaryDirectory() as home:
        Path(home, "dagster.yaml").write_text(f"telemetry: {{enabled: false}}\n{storage}", encoding="utf-8")
        environment = {**os.environ, "DAGSTER_HOME": home, "DAGSTER_EVENT_BATCH_SIZE": "1000"}
        done = subprocess.run(
            [sys.executable, "-c", _RUN, str(partitions), f"{os.getpid()}-{round_number}"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(done.stderr)
        keys_s, run_s, status_s = map(float, done.stdout.split()[-3:])
        return keys_s, run_s, status_s


def range_start_s(files: int) -> dict[str, float]:
    """Seconds from the command to the first file that is parsed, and to the line of the asset that says so."""
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary) / "tree"
        for number in range(files):
            path = root / f"package_{number // 100:04d}" / f"module_{number:06d}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"def function_{number}():\n    return {number}\n", encoding="utf-8")
        folder = IndexFolder(path=Path(temporary) / "index", repository_root=root)
        with Pipeline(folder) as pipeline:
            started = time.perf_counter()
            if (error := pipeline.scan().error) is not None:
                raise SystemExit(error)
            scan_s = time.perf_counter() - started
            keys = list(pipeline.instance.get_dynamic_partitions(UNNAMED.partitions(PARSED_CHUNKS)))
        command = [sys.executable, "-m", "dagster", "asset", "materialize"]
        command += ["-m", "indexing_assets.definitions", "--select", "parsed_chunks"]
        command += ["--partition-range", f"{keys[0]}...{keys[-1]}"]
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            env={**os.environ, **folder.environment()},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        seen = []
        try:
            for line in process.stdout or ():
                seen.append(line)
                if "file versions to parse" in line:
                    used = psutil.Process(process.pid).cpu_times()
                    return {
                        "files": files,
                        "scan_s": scan_s,
                        "range_start_s": time.perf_counter() - started,
                        "range_start_cpu_s": used.user + used.system + used.children_user + used.children_system,
                    }
        finally:
            process.terminate()
            process.communicate()
        raise SystemExit(f"The run ended before it parsed anything:\n{''.join(seen[-20:])}")


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--partitions", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--postgres-url", help="empty database, for the storages on PostgreSQL")
    parser.add_argument("--range", type=int, metavar="FILES", help="measure the start of a range instead")
    arguments = parser.parse_args()
    machine_before = machine()
    if arguments.range:
        found = range_start_s(arguments.range)
        markdown = table(
            ["files", "scan, s", "command to first file parsed, s", "of the processors, s", "goal, s"],
            [
                [
                    f"{arguments.range:,}",
                    found["scan_s"],
                    found["range_start_s"],
                    found["range_start_cpu_s"],
                    GOAL_RANGE_START_S,
                ]
            ],
        )
        write(
            "bookkeeping_range",
            seed=0,
            machine_before=machine_before,
            figures=found,
            markdown=markdown,
            module="bookkeeping",
        )
        return
    storages = dict(_STORAGES)
    if arguments.postgres_url:
        url = f"postgres_url: {json.dumps(arguments.postgres_url)}"
        storages["Dagster's own, PostgreSQL"] = f"storage:\n  postgres:\n    {url}\n"
        modules = {
            "event_log_storage": ("resources.postgres_event_log", "BatchingPostgresEventLogStorage"),
            "run_storage": ("dagster_postgres.run_storage", "PostgresRunStorage"),
            "schedule_storage": ("dagster_postgres.schedule_storage", "PostgresScheduleStorage"),
        }
        storages["this project, PostgreSQL"] = "".join(
            f"{part}:\n  module: {module}\n  class: {name}\n  config:\n    {url}\n"
            for part, (module, name) in modules.items()
        )
    times: dict[str, list[tuple[float, float, float]]] = {name: [] for name in storages}
    for round_number in range(arguments.rounds):
        for name, storage in storages.items():
            seconds = seconds_of(storage, arguments.partitions, round_number)
            times[name].append(tuple(value / arguments.partitions * 1e3 for value in seconds))  # type: ignore[arg-type]
    rows = []
    for name, rounds in times.items():
        keys, run, status = (statistics.median(column) for column in zip(*rounds, strict=True))
        wholes = [sum(parts) for parts in rounds]
        ratio = statistics.median(whole / sum(ours) for whole, ours in zip(wholes, times["this project"], strict=True))
        span = f"{statistics.median(wholes):.2f} ({min(wholes):.2f}-{max(wholes):.2f})"
        rows.append([name, span, f"{keys:.3f}", f"{run:.2f}", f"{status:.3f}", f"{ratio:.1f}", f"{GOAL_MS:g}"])
    header = ["storage, ms a partition", "all (rounds)", "keys", "run with events", "status", "times ours", "goal"]
    write("bookkeeping", seed=0, machine_before=machine_before, figures=times, markdown=table(header, rows))


if __name__ == "__main__":
    main()
