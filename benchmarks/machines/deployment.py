"""A deployment of many indexes: what loading it costs, a round of all its sensors, and the pages of the web interface.

    python -m benchmarks.machines.deployment                # 300 indexes, half of them of git addresses
    python -m benchmarks.machines.deployment --indexes 40
    python -m benchmarks.machines.deployment --pages        # the web interface as well; needs Chromium

Each figure is of a process of its own. Repositories are small. Rounds are taken of indexes that were never scanned, where
every sensor of changes asks for a scan, and of indexes that have all there is: once one sensor after the other, once as
Dagster's daemon does it, through a code server, with the threads that `dagster.yaml` gives it. Times of the processor,
those of git and the code server included, say what a quiet machine takes; wall times are of this one.
"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psutil

from benchmarks import report
from benchmarks.browser import Visit, installed_browser, measure, opened_browser

_SEED: Final = 0
_FILES: Final = 5
_ROUNDS: Final = 2
_START_S: Final = 300
_PAGE_S: Final = 60.0
# A sensor that was just started or asked is not asked again.
_BETWEEN_ROUNDS_S: Final = 2
_MIB: Final = 2**20
_LOCATION: Final = "indexing_assets.definitions"
_SENSORS: Final = ("repo_changes_sensor", "pending_chunks_sensor")
GOAL_LOAD_S: Final = 10.0
GOAL_ROUND_S: Final = 30.0


def make_deployment(folder: Path, indexes: int) -> Path:
    """Write small repositories, every other one named by its git address, and the deployment file; its path."""
    tables = []
    for number in range(indexes):
        root = folder / f"repository_{number}"
        root.mkdir()
        for place in range(_FILES):
            (root / f"module_{place}.py").write_text(f"def function_{number}_{place}():\n    return {number}\n")
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


def _processor_s() -> float:
    """Processor time of this process and of those that it started, the living and the ended, in seconds."""
    own = psutil.Process()
    return sum(sum(process.cpu_times()[:4]) for process in [own, *own.children(recursive=True)])


def _memory_mib(processes: Sequence[psutil.Process]) -> int:
    return round(sum(process.memory_info().rss for process in processes) / _MIB)


class _Watch:
    """Wall time and processor time since it was made, in seconds."""

    def __init__(self) -> None:
        self._wall, self._processor = time.perf_counter(), _processor_s()

    def figures(self) -> dict[str, Any]:
        return {
            "wall_s": round(time.perf_counter() - self._wall, 2),
            "processor_s": round(_processor_s() - self._processor, 2),
        }


def _load() -> dict[str, Any]:
    """Load the definitions, and make what the web interface and the daemon are told of them."""
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
    found["memory_mib"] = _memory_mib([psutil.Process()])
    return found


def _round() -> dict[str, Any]:
    """Ask every sensor of a kind, one after the other, in two rounds."""
    import dagster as dg

    from indexing_assets.definitions import defs

    repository = defs.get_repository_def()
    resources = repository.get_top_level_resources()
    cursors: dict[str, str | None] = {}
    found: dict[str, Any] = {}
    with dg.DagsterInstance.get() as instance:
        for number in range(1, _ROUNDS + 1):
            for kind in _SENSORS:
                watch, requests, skips = _Watch(), 0, 0
                for sensor in repository.sensor_defs:
                    if not sensor.name.endswith(kind):
                        continue
                    with dg.build_sensor_context(
                        instance=instance,
                        repository_def=repository,
                        cursor=cursors.get(sensor.name),
                        resources={key: resources[key] for key in sensor.required_resource_keys},
                    ) as context:
                        data = sensor.evaluate_tick(context)
                    cursors[sensor.name] = data.cursor
                    requests += len(data.run_requests or ())
                    skips += bool(data.skip_message)
                found[f"{kind}, round {number}"] = {
                    **watch.figures(),
                    "requests": requests,
                    "skips": skips,
                    "memory_mib": _memory_mib([psutil.Process()]),
                }
    return found


def _daemon() -> dict[str, Any]:
    """Ask all sensors in two rounds, as the daemon does it; a run that is asked for is queued, and none is started."""
    import dagster as dg
    from dagster._core.scheduler.instigation import InstigatorTick
    from dagster._core.utils import InheritContextThreadPoolExecutor
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import ModuleTarget
    from dagster._daemon.sensor import execute_sensor_iteration

    target = ModuleTarget(_LOCATION, attribute=None, working_directory=None, location_name=None)
    logger = logging.getLogger("daemon")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    found: dict[str, Any] = {}
    watch = _Watch()
    with dg.DagsterInstance.get() as instance, WorkspaceProcessContext(instance, target) as workspace:
        found["code server up"] = watch.figures()
        settings = instance.get_sensor_settings()
        assert settings["use_threads"]
        (location,) = workspace.create_request_context().code_locations
        sensors = [
            sensor
            for one in location.get_repositories().values()
            for sensor in one.get_sensors()
            if sensor.name.endswith(_SENSORS)
        ]
        for sensor in sensors:
            instance.start_sensor(sensor)

        def last_tick(sensor: Any) -> InstigatorTick:
            return instance.get_ticks(sensor.get_remote_origin_id(), sensor.selector_id, limit=1)[0]

        with InheritContextThreadPoolExecutor(max_workers=settings["num_workers"]) as threads:
            for number in range(1, _ROUNDS + 1):
                time.sleep(_BETWEEN_ROUNDS_S)
                watch, begun = _Watch(), time.time()
                ticks: dict[str, Future[Any]] = {}
                for _ in execute_sensor_iteration(workspace, logger, threads, None, sensor_tick_futures=ticks):
                    pass
                for future in wait(ticks.values()).done:
                    future.result()
                figures = watch.figures()
                last = [last_tick(sensor) for sensor in sensors]
                assert min(tick.timestamp for tick in last) > begun, "not all were asked"
                counts = Counter(tick.status.value for tick in last)
                assert not counts["FAILURE"], next(tick.error for tick in last if tick.error)
                own = psutil.Process()
                found[f"{settings['num_workers']} threads, round {number}"] = {
                    **figures,
                    "requests": sum(len(tick.run_ids) for tick in last),
                    "skips": counts["SKIPPED"],
                    "memory_mib": _memory_mib([own]),
                    "code_server_mib": _memory_mib(own.children(recursive=True)),
                }
    return found


def _index(share: int, shares: int) -> None:
    """Do what the sensors of a share of the indexes ask for, until they ask for nothing."""
    import dagster as dg

    from code_index.index.deployment import deployed_indexes
    from indexing_assets.automation.changes_look import ChangesLook, WatchTimes
    from indexing_assets.automation.pending_look import PendingLook
    from indexing_assets.automation.sensor_cursor import SensorCursor
    from indexing_assets.definitions import build_defs
    from indexing_assets.runs.index_names import IndexNames
    from resources.embedder_resource import EmbedderResource
    from resources.index_resource import IndexResource

    hasty = WatchTimes(watch_s=0.0, quiet_s=0.0, ask_host_every_s=0.0)
    resource, embedder = IndexResource(), EmbedderResource()
    with dg.DagsterInstance.get() as instance:
        for name in list(deployed_indexes())[share::shares]:
            names = IndexNames(name)
            definitions = build_defs(indexes=[names])
            looks = (
                ChangesLook(instance, resource, names, hasty),
                PendingLook(instance, resource, embedder, names),
            )
            for look in looks:
                while requests := look.take(SensorCursor()).requests:
                    for request in requests:
                        assert request.job_name is not None
                        job = definitions.resolve_job_def(request.job_name)
                        assert job.execute_in_process(instance=instance, tags=dict(request.tags)).success


@contextmanager
def _web_interface(environment: dict[str, str], log: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Dagster's web interface with a code server of its own; its address and process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("dagster-webserver")), "-m", _LOCATION, "-p", str(port)]
    with log.open("wb") as output, psutil.Popen(command, env=environment, stdout=output, stderr=output) as process:
        try:
            ends = time.monotonic() + _START_S
            while True:
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/server_info", timeout=60)
                    break
                except OSError as error:
                    if time.monotonic() > ends or process.poll() is not None:
                        raise SystemExit(f"The web interface does not start: {log.read_text()}") from error
                    time.sleep(0.2)
            yield f"http://127.0.0.1:{port}", process
        finally:
            process.terminate()


def _visits() -> list[Visit]:
    return [
        Visit("lineage of one index", f"/locations/{_LOCATION}/asset-groups/r0/lineage", re.compile("parsed_chunks")),
        Visit("lineage of all", "/asset-groups", re.compile(r"\br\d+\b")),
        Visit("catalog", "/assets", re.compile("parsed_chunks")),
        Visit("one asset", "/assets/r0/parsed_chunks", re.compile("Latest materialization")),
        Visit("runs", "/runs", re.compile("embed_chunks_job")),
        Visit("automation", "/automation", re.compile("repo_changes_sensor")),
        Visit("timeline", "/overview/activity/timeline", re.compile("rerun_failed_partitions")),
        Visit("jobs", "/jobs", re.compile("scan_source_files_job")),
    ]


def _pages(environment: dict[str, str], folder: Path, program: str, screenshots: Path | None) -> dict[str, Any]:
    """Open every page in two rounds; the web interface has not been asked for anything before."""
    started = time.perf_counter()
    found: dict[str, Any] = {}
    with _web_interface(environment, folder / "web.log") as (base, process), opened_browser(program) as browser:
        found["up_s"] = round(time.perf_counter() - started, 1)
        for number in range(_ROUNDS):
            for visit in _visits():
                figures = measure(browser, base, visit, screenshots if number == 0 else None, limit_s=_PAGE_S)
                found.setdefault("pages", {}).setdefault(visit.name, []).append(figures)
                print(visit.name, figures, flush=True)
        found["memory_mib"] = _memory_mib([process])
        found["code_server_mib"] = _memory_mib(process.children(recursive=True))
    return found


_PARTS: Final[dict[str, Callable[[], dict[str, Any]]]] = {"load": _load, "round": _round, "daemon": _daemon}


def _environment(deployment: Path, home: Path) -> dict[str, str]:
    """The environment of the deployment's processes, with Dagster's records in `home`."""
    from code_index.index.folder import write_instance_config
    from resources.instance_config import instance_config

    home.mkdir(exist_ok=True)
    write_instance_config(home, instance_config())
    return {
        **os.environ,
        "CODE_INDEX_DEPLOYMENT": str(deployment),
        "CODE_INDEX_CACHE_DIR": str(deployment.parent / "cache"),
        "CODE_INDEX_MODEL": "deterministic",
        "CODE_INDEX_WATCH": "1",
        "DAGSTER_HOME": str(home),
    }


def _own_process(environment: dict[str, str], *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "benchmarks.machines.deployment", *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)


def _answer(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    said, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"{process.args!r} ended with status {process.returncode}.")
    # A code server logs beside it.
    found: dict[str, Any] = json.loads(next(line for line in reversed(said.splitlines()) if line.startswith(b"{")))
    print(json.dumps(found, indent=1), flush=True)
    return found


def _index_all(environment: dict[str, str]) -> float:
    """Index all repositories in as many processes as there are processors; seconds."""
    started = time.perf_counter()
    shares = os.cpu_count() or 1
    indexing = [_own_process(environment, "--index", str(share), str(shares)) for share in range(shares)]
    for process in indexing:
        _answer(process)
    return round(time.perf_counter() - started, 1)


def _row(name: str, figures: dict[str, Any], goal: str = "") -> list[object]:
    memory = [f"{figures[key]} MiB" for key in ("memory_mib", "code_server_mib") if key in figures]
    asked = [figures.get(key, "") for key in ("requests", "skips")]
    return [name, f"{figures['wall_s']} s", f"{figures['processor_s']} s", *asked, " + ".join(memory), goal]


def _markdown(figures: dict[str, Any]) -> str:
    load, goal = figures["load"], f"{GOAL_ROUND_S:.0f} s"
    header = ["", "wall", "processor", "requests", "skips", "memory (daemon + code server)", "goal"]
    rows = [
        _row("imports", load["imports"]),
        _row("definitions", load["definitions"], f"{GOAL_LOAD_S:.0f} s"),
        _row("snapshot", load["snapshot"] | {"memory_mib": load["memory_mib"]}),
    ]
    for state, found in figures["states"].items():
        rows += [
            _row(f"{state}: {name}", one, goal if "round" in name else "")
            for part in found.values()
            for name, one in part.items()
        ]
    lines = [f"{figures['indexes']} indexes; indexed in {figures['indexing_s']} s.", "", report.table(header, rows)]
    if web := figures.get("web"):
        pages = [
            [name, *(one["seconds"] for one in rounds), max(one["slowest_request_s"] for one in rounds)]
            for name, rounds in web["pages"].items()
        ]
        lines += [
            "",
            f"Web interface: up after {web['up_s']} s, {web['memory_mib']} MiB, its code server {web['code_server_mib']} MiB.",
            "",
            report.table(["page", "first s", "second s", "slowest GraphQL request s"], pages),
        ]
    return "\n".join([*lines, ""])


def main() -> None:
    """Measure, and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--indexes", type=int, default=300)
    parser.add_argument("--pages", action="store_true", help="Open the pages of the web interface; needs Chromium.")
    parser.add_argument("--screenshots", type=Path, help="Folder for a picture of each page.")
    parser.add_argument("--part", choices=_PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--index", type=int, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        print(json.dumps(_PARTS[arguments.part]()))
        return
    if arguments.index:
        _index(*arguments.index)
        print("{}")
        return
    program = installed_browser() if arguments.pages else ""
    machine_before = report.machine()
    with tempfile.TemporaryDirectory(prefix="code-index-deployment-") as name:
        folder = Path(name)
        deployment = make_deployment(folder, arguments.indexes)
        # Runs that the daemon queues stay in its records: those of the indexes as they are made are others.
        queued, environment = _environment(deployment, folder / "queued"), _environment(deployment, folder / "dagster")
        figures: dict[str, Any] = {
            "indexes": arguments.indexes,
            "load": _answer(_own_process(environment, "--part", "load")),
        }
        never = {part: _answer(_own_process(queued, "--part", part)) for part in ("round", "daemon")}
        figures["indexing_s"] = _index_all(environment)
        indexed = {part: _answer(_own_process(environment, "--part", part)) for part in ("round", "daemon")}
        figures["states"] = {"never scanned": never, "nothing new": indexed}
        if arguments.pages:
            figures["web"] = _pages(environment, folder, program, arguments.screenshots)
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
