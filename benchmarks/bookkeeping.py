"""What Dagster's records cost for each partition: this project's event log against Dagster's own.

    python -m benchmarks.bookkeeping [--partitions N] [--rounds N]

One run over N partitions that does nothing but record them: planned and materialized events, and the
run around them. The two storages take turns, each round in a process of its own with a new instance.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.report import machine

_STORAGES = {
    "this project": "event_log_storage:\n  module: resources.event_log\n  class: BatchingSqliteEventLogStorage\n",
    "Dagster's own": "",
}
_RUN = """
import sys, time
import dagster as dg
from indexing_assets.materializations import log_materializations
from indexing_assets.partitions import file_partitions

@dg.asset(partitions_def=file_partitions(), backfill_policy=dg.BackfillPolicy.single_run(), output_required=False)
def recorded(context):
    log_materializations(context, {key: {"chunks": 3} for key in context.partition_keys}, code_version="1")
    yield from ()

keys = [f"{number:08d}" for number in range(int(sys.argv[1]))]
instance = dg.DagsterInstance.get()
for start in range(0, len(keys), 5000):
    instance.add_dynamic_partitions("file_hash", keys[start : start + 5000])
tags = {"dagster/asset_partition_range_start": keys[0], "dagster/asset_partition_range_end": keys[-1]}
quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
started = time.perf_counter()
assert dg.materialize([recorded], instance=instance, tags=tags, run_config=quiet).success
seconds = time.perf_counter() - started
assert instance.get_materialized_partitions(dg.AssetKey("recorded")) == set(keys)
print(seconds)
"""


def seconds_of(storage: str, partitions: int) -> float:
    """Wall time of one run over `partitions` partitions, in seconds."""
    with tempfile.TemporaryDirectory() as home:
        Path(home, "dagster.yaml").write_text(f"telemetry: {{enabled: false}}\n{storage}", encoding="utf-8")
        environment = {**os.environ, "DAGSTER_HOME": home, "DAGSTER_EVENT_BATCH_SIZE": "1000"}
        done = subprocess.run(
            [sys.executable, "-c", _RUN, str(partitions)], env=environment, capture_output=True, text=True, check=True
        )
        return float(done.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--partitions", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print(machine())
    times: dict[str, list[float]] = {name: [] for name in _STORAGES}
    for _ in range(arguments.rounds):
        for name, storage in _STORAGES.items():
            times[name].append(seconds_of(storage, arguments.partitions) / arguments.partitions * 1e3)
    for name, values in times.items():
        print(f"{name}: {statistics.median(values):.2f} ms a partition, rounds {[round(value, 2) for value in values]}")
    ratios = [stock / ours for ours, stock in zip(times["this project"], times["Dagster's own"], strict=True)]
    print(f"Dagster's own takes {statistics.median(ratios):.1f} times as long")


if __name__ == "__main__":
    main()
