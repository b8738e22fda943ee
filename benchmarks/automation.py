"""`pending_chunks_sensor` against declarative automation: what a look costs, and what each asks for.

Both look at the same index of many batches. The automated asset is `chunk_vectors` with the
condition that comes nearest: missing, not in progress, not failed (a failed batch would be asked
for at every look). Cases:

- nothing to do: the usual look, of which there are thousands a day
- new: batches that nobody embedded
- crash: vectors were lost although Dagster's records say that they are there
- model: the settings name another model
- edit: chunks were added to a batch that is materialized

    python -m benchmarks.automation [--batches 1125] [--rounds 5]
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg

from benchmarks.report import machine, table, write
from code_index.index.folder import resolve_index_folder
from code_index.tables.sql import is_in
from indexing_assets.automation.jobs import build_asset_jobs
from indexing_assets.automation.sensors import build_sensors
from indexing_assets.definitions import build_defs
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.runs.index_names import UNNAMED
from indexing_assets.runs.partitions import accepting_beta_parameters
from resources.embedder_resource import EmbedderResource
from resources.index_resource import IndexResource

_VECTORS = dg.AssetKey("chunk_vectors")
_CONDITION = (
    dg.AutomationCondition.missing()
    & ~dg.AutomationCondition.in_progress()
    & ~dg.AutomationCondition.execution_failed()
)


def build_repository(root: Path, batches: int) -> None:
    """As many files of one function as there are to be batches of one chunk."""
    for number in range(batches):
        path = root / f"package_{number // 100:03}" / f"module_{number:05}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"def function_{number}(value):\n    return value + {number}\n", encoding="utf-8")


class Contest:
    """Both ways to look at one index."""

    def __init__(self, pipeline: Pipeline, model: str) -> None:
        self.pipeline = pipeline
        folder = pipeline.folder
        self.resources = {
            "index": IndexResource(repository_root=str(folder.repository_root), index_dir=str(folder.path)),
            "embedder": EmbedderResource(model=model),
        }
        definitions = build_defs(self.resources, indexes=[UNNAMED])
        self.sensor = build_sensors(UNNAMED, build_asset_jobs(UNNAMED), dg.DefaultSensorStatus.STOPPED)[1]
        assets = [asset for asset in definitions.assets or [] if isinstance(asset, dg.AssetsDefinition)]
        with accepting_beta_parameters():
            self.automated = dg.Definitions(
                assets=[
                    asset.map_asset_specs(
                        lambda spec: (
                            spec.replace_attributes(automation_condition=_CONDITION) if spec.key == _VECTORS else spec
                        )
                    )
                    for asset in assets
                ],
                resources=self.resources,
            )
        self.sensor_cursor: str | None = None
        self.automation_cursor: Any = None

    def by_sensor(self) -> tuple[int, int]:
        """Partitions and runs that the sensor asks for."""
        instance = self.pipeline.instance
        with dg.build_sensor_context(instance=instance, cursor=self.sensor_cursor, resources=self.resources) as context:
            data = self.sensor.evaluate_tick(context)
        self.sensor_cursor = data.cursor
        keys = list(instance.get_dynamic_partitions("embedding_batch"))
        partitions = 0
        for request in data.run_requests or []:
            first = keys.index(request.tags["dagster/asset_partition_range_start"])
            last = keys.index(request.tags["dagster/asset_partition_range_end"])
            partitions += last - first + 1
        return partitions, len(data.run_requests or [])

    def by_automation(self) -> tuple[int, int]:
        """Partitions and runs that declarative automation asks for."""
        found = dg.evaluate_automation_conditions(
            self.automated,
            self.pipeline.instance,
            asset_selection=dg.AssetSelection.assets(_VECTORS),
            cursor=self.automation_cursor,
        )
        self.automation_cursor = found.cursor
        asked = {
            key
            for key in self.pipeline.instance.get_dynamic_partitions("embedding_batch")
            if key in found.get_requested_partitions(_VECTORS)
        }
        keys = list(self.pipeline.instance.get_dynamic_partitions("embedding_batch"))
        runs = sum(key in asked and (i == 0 or keys[i - 1] not in asked) for i, key in enumerate(keys))
        return len(asked), runs


def timed(look: Callable[[], tuple[int, int]]) -> tuple[float, tuple[int, int]]:
    started = time.perf_counter()
    found = look()
    return time.perf_counter() - started, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=1_125)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    before = machine()
    os.environ |= {"CODE_INDEX_MODEL": "deterministic", "CODE_INDEX_EMBEDDING_BATCH_CHUNKS": "1"}
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        root = Path(place, "repository")
        build_repository(root, options.batches)
        with Pipeline(resolve_index_folder(root)) as pipeline:
            pipeline.scan()
            pipeline.parse()
            contest = Contest(pipeline, "deterministic")
            figures["new"] = compare(contest)
            pipeline.embed()
            contest = Contest(pipeline, "deterministic")
            compare(contest)  # the first look after a change fills the cursors
            looks = [compare(contest) for _ in range(options.rounds)]
            figures["nothing to do"] = {
                name: {
                    **looks[-1][name],
                    "seconds": statistics.median(look[name]["seconds"] for look in looks),
                    "all_seconds": [look[name]["seconds"] for look in looks],
                }
                for name in looks[-1]
            }
            scattered = [f"package_000/module_{number:05}.py" for number in range(0, 100, 10)]
            lost = pipeline.store.chunks.read(["chunk_id"], is_in("file_path", scattered))
            pipeline.store.vectors.delete(lost.column("chunk_id").to_pylist())
            figures["crash"] = compare(Contest(pipeline, "deterministic"))
            pipeline.embed()
            edited = root / "package_000/module_00000.py"
            edited.write_text(edited.read_text() + "\n\ndef added(value):\n    return -value\n", encoding="utf-8")
            pipeline.scan()
            pipeline.parse()
            figures["edit"] = compare(Contest(pipeline, "deterministic"))
            pipeline.embed()
            figures["model"] = compare(Contest(pipeline, "all-MiniLM-L6-v2"))
    rows = [
        [case, way, found["seconds"] * 1e3, found["partitions"], found["runs"]]
        for case, ways in figures.items()
        for way, found in ways.items()
    ]
    markdown = table(["case", "way", "ms a look", "partitions asked for", "runs"], rows)
    write(
        "automation", seed=0, machine_before=before, figures={"batches": options.batches, **figures}, markdown=markdown
    )


def compare(contest: Contest) -> dict[str, dict[str, Any]]:
    found = {}
    # Automation looks first: the sensor moves keys together.
    for name, look in (("automation", contest.by_automation), ("sensor", contest.by_sensor)):
        seconds, (partitions, runs) = timed(look)
        found[name] = {"seconds": seconds, "partitions": partitions, "runs": runs}
    return found


if __name__ == "__main__":
    main()
