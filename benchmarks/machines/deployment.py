"""A deployment of many indexes: what loading it costs, and one round of all its sensors.

    python -m benchmarks.machines.deployment                # 300 indexes, half of them of git addresses
    python -m benchmarks.machines.deployment --indexes 40

Each figure is of a process of its own. Repositories are small and were never scanned: the round is the one in which every
sensor asks for a scan. Times of the processor say what a quiet machine takes; wall times are of this one.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from benchmarks import report

_SEED: Final = 0
_LOAD: Final = "load"
_ROUND: Final = "round"
GOAL_LOAD_S: Final = 10.0
GOAL_ROUND_S: Final = 30.0


def make_deployment(folder: Path, indexes: int) -> Path:
    """Write small repositories, every other one named by its git address, and the deployment file; its path."""
    tables = []
    for number in range(indexes):
        root = folder / f"repository_{number}"
        root.mkdir()
        (root / "module.py").write_text(f"def function_{number}():\n    return {number}\n")
        for command in (
            ["init", "--quiet"],
            ["add", "--all"],
            ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--message=begin"],
        ):
            subprocess.run(["git", *command], cwd=root, check=True)
        source = f'git = "file://{root}"' if number % 2 else f'repository = "{root}"'
        tables.append(f'[indexes.r{number}]\n{source}\nindex_dir = "{folder}/indexes/r{number}"\n')
    path = folder / "deployment.toml"
    path.write_text("\n".join(tables))
    return path


class _Watch:
    """Wall time and processor time since it was made, in seconds."""

    def __init__(self) -> None:
        self._wall, self._processor = time.perf_counter(), time.process_time()

    def figures(self) -> dict[str, float]:
        return {
            "wall_s": round(time.perf_counter() - self._wall, 2),
            "processor_s": round(time.process_time() - self._processor, 2),
        }


def _load() -> dict[str, Any]:
    """Load the definitions, and make what the web interface and the daemon are told of them."""
    import resource

    from dagster._core.remote_representation.external_data import RepositorySnap

    watch = _Watch()
    importlib.import_module("indexing_assets.index_definitions")
    found: dict[str, Any] = {"imports": watch.figures()}
    watch = _Watch()
    from indexing_assets.definitions import defs

    repository = defs.get_repository_def()
    found["definitions"] = watch.figures()
    watch = _Watch()
    RepositorySnap.from_def(repository)
    found["snapshot"] = watch.figures()
    found["memory_mib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return found


def _round() -> dict[str, Any]:
    """Ask every sensor once, one after the other, as the daemon does by default."""
    import dagster as dg

    from indexing_assets.definitions import defs

    repository = defs.get_repository_def()
    found: dict[str, Any] = {}
    with dg.DagsterInstance.get() as instance:
        for kind in ("repo_changes_sensor", "pending_chunks_sensor"):
            watch, requests, skips = _Watch(), 0, 0
            for sensor in repository.sensor_defs:
                if not sensor.name.endswith(kind):
                    continue
                resources = repository.get_top_level_resources()
                with dg.build_sensor_context(
                    instance=instance,
                    repository_def=repository,
                    resources={key: resources[key] for key in sensor.required_resource_keys},
                ) as context:
                    data = sensor.evaluate_tick(context)
                requests += len(data.run_requests or ())
                skips += bool(data.skip_message)
            found[kind] = {**watch.figures(), "requests": requests, "skips": skips}
    return found


def _in_own_process(part: str, deployment: Path, folder: Path) -> dict[str, Any]:
    home = folder / "dagster"
    home.mkdir(exist_ok=True)
    environment = {
        **os.environ,
        "CODE_INDEX_DEPLOYMENT": str(deployment),
        "CODE_INDEX_CACHE_DIR": str(folder / "cache"),
        "CODE_INDEX_MODEL": "deterministic",
        "DAGSTER_HOME": str(home),
    }
    command = [sys.executable, "-m", "benchmarks.machines.deployment", "--part", part]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _markdown(figures: dict[str, Any]) -> str:
    load, looks = figures[_LOAD], figures[_ROUND]
    lines = ["| | wall | processor | goal |", "|---|---|---|---|"]
    for name, goal in (("imports", ""), ("definitions", f"{GOAL_LOAD_S:.0f} s"), ("snapshot", "")):
        lines.append(f"| {name} | {load[name]['wall_s']} s | {load[name]['processor_s']} s | {goal} |")
    lines += [
        f"| all of {name} | {one['wall_s']} s | {one['processor_s']} s | {GOAL_ROUND_S:.0f} s |"
        for name, one in looks.items()
    ]
    return "\n".join([f"{figures['indexes']} indexes, {load['memory_mib']} MiB at most.", "", *lines, ""])


def main() -> None:
    """Measure, and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--indexes", type=int, default=300)
    parser.add_argument("--part", choices=(_LOAD, _ROUND), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        print(json.dumps(_load() if arguments.part == _LOAD else _round()))
        return
    machine_before = report.machine()
    with tempfile.TemporaryDirectory(prefix="code-index-deployment-") as name:
        folder = Path(name)
        deployment = make_deployment(folder, arguments.indexes)
        figures = {"indexes": arguments.indexes} | {
            part: _in_own_process(part, deployment, folder) for part in (_LOAD, _ROUND)
        }
    report.write(
        "machines_deployment",
        seed=_SEED,
        machine_before=machine_before,
        figures=figures,
        markdown=_markdown(figures),
        module="machines.deployment",
    )


if __name__ == "__main__":
    main()
