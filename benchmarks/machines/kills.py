"""Hosts that lose their power at random moments, while Celery or Ray runs the product's own jobs on them.

    python -m benchmarks.machines.kills celery --kills 20
    python -m benchmarks.machines.kills ray --kills 5
    python -m benchmarks.machines.kills celery --kills 3 --cut 90    # the link is cut for 90 s, and nothing killed

A deployment of several repositories, whose tables are at SeaweedFS and whose records and locks are in PostgreSQL; the
launchers are those of `deploy/`. While hosts index, one after the other is cut off and all its processes are killed; it
comes back once its runs are closed. Repositories are edited as soon as all is indexed. For each kill: the seconds until the
last of the host's runs was closed, and until a run of the same job was asked for again. At the end each index must have the
rows of a local index of the same files, none lost and none twice. Needs root, PostgreSQL, Redis and the launcher's package.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import dagster as dg
import polars as pl

from benchmarks import report
from benchmarks.intervals import SEED
from benchmarks.machines.network import Host, Network
from code_index.index.deployment import DEPLOYMENT_VARIABLE, deployed_indexes
from code_index.index.server_locks import POSTGRES_VARIABLE
from code_index.tables import IndexStore
from indexing_assets.runs.live_runs import HOST_TAG

_DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
_FUNCTIONS = 8
_UNFINISHED = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
_LONGEST_S = 600.0
_ASKED_AGAIN_WITHIN_S = 120.0  # what is not by then was done
# Small commits, so that a run has many of them.
_SETTINGS = "{ parse_checkpoint_files = 25, checkpoint_chunks = 200, parse_workers = 1 }"

# Each host has its own sockets there.
_RAY_FOLDER = Path("/tmp/ray")
_RAY = {
    "RAY_raylet_start_wait_time_s": "200",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "5",
    "RAY_USAGE_STATS_ENABLED": "0",
}


@dataclass(frozen=True, slots=True)
class Kill:
    """One host's end; seconds since then, None where it had no run."""

    host: str
    started: int
    """Runs of the host that had started, and `starting`, those under way to some host."""
    starting: int
    closed_s: float | None
    asked_again_s: float | None


class Fleet:
    """Hosts with a worker each, and Dagster's daemon beside them."""

    def __init__(self, launcher: str, network: Network, folder: Path, environment: Mapping[str, str]) -> None:
        self.launcher = launcher
        self.hosts = network.hosts
        self._address = network.address
        self._folder = folder
        self._environment = environment
        self._programs = Path(sys.executable).parent

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Start the workers and the daemon."""
        with ExitStack() as running:
            if self.launcher == "ray":
                head = [self._programs / "ray", "start", "--head", f"--node-ip-address={self._address}", "--port=6380"]
                head += [f"--dashboard-host={self._address}", "--dashboard-port=8265", "--num-cpus=0", "--block"]
                running.enter_context(self._process("head", *head))
                _wait_until(partial(_listens, self._address, 8265), "Ray listens")
            for host in self.hosts:
                self.start_worker(host)
            socket = self._folder / "dagster" / "code.sock"
            code = [self._programs / "dagster", "code-server", "start", "-m", "indexing_assets.definitions"]
            running.enter_context(self._process("code", *code, "--socket", socket))
            _wait_until(socket.exists, f"{socket} is there")
            daemon = [self._programs / "dagster-daemon", "run", "--grpc-socket", socket]
            running.enter_context(self._process("daemon", *daemon))
            yield

    def start_worker(self, host: Host) -> None:
        """Start the worker of a host; it ends with the host."""
        if self.launcher == "celery":
            command = [self._programs / "celery", "-A", "dagster_celery.app", "worker", "--concurrency", "1"]
            command += ["--queues", "dagster", "--hostname", f"worker@{host.name}"]
        else:
            command = [self._programs / "ray", "start", f"--address={self._address}:6380", "--num-cpus=1", "--block"]
            command += [f"--node-ip-address={host.address}"]
        with (self._folder / f"{host.name}.log").open("ab") as log:
            host.start(*command, env=self._of(host.name), stdout=log, stderr=log)

    @contextmanager
    def _process(self, name: str, *command: object) -> Iterator[None]:
        with (self._folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                list(map(str, command)),
                env={**os.environ, **self._of(name)},
                stdout=log,
                stderr=log,
                cwd=self._folder,
                start_new_session=True,
            )
        try:
            yield
        finally:
            os.killpg(process.pid, 15)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)

    def _of(self, name: str) -> dict[str, str]:
        """The variables of a host: its caches are its own."""
        return {**self._environment, "CODE_INDEX_CACHE_DIR": str(self._folder / "caches" / name)}


def make_repository(folder: Path, files: int, round_: int) -> None:
    """Write files of functions; another round gives each another text."""
    for number in range(files):
        lines = [
            f'def step_{number}_{place}(value):\n    """Round {round_} of {folder.name}."""\n    return value + {place}\n'
            for place in range(_FUNCTIONS)
        ]
        path = folder / f"part_{number % 10}" / f"module_{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n\n".join(lines), encoding="utf-8")


def deployment(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """Write the deployment file; returns the variables of all hosts that say of it, and of how they index."""
    (folder / "deployment.toml").write_text(
        "\n".join(
            f'[indexes.{name}]\nrepository = "{folder / name}"\ntables = "s3://team/{name}"\nsettings = {_SETTINGS}\n'
            for name in names
        ),
        encoding="utf-8",
    )
    return {
        DEPLOYMENT_VARIABLE: str(folder / "deployment.toml"),
        "DAGSTER_HOME": str(folder / "dagster"),
        "DAGSTER_EVENT_BATCH_SIZE": "1000",
        "CODE_INDEX_WATCH": "1",
        "CODE_INDEX_MODEL": "deterministic",
        "CODE_INDEX_LIBRARY_BYTES": "0",
    }


def local_indexes(folder: Path, names: Sequence[str]) -> dict[str, IndexStore]:
    """Indexes of the same repositories on this machine."""
    found = {}
    for name in names:
        here = folder / "local" / name
        command = [
            sys.executable,
            "-c",
            "from indexing_assets.cli.entry import main; main()",
            "index",
            str(folder / name),
        ]
        environment = {
            key: value for key, value in os.environ.items() if key not in {DEPLOYMENT_VARIABLE, "DAGSTER_HOME"}
        }
        subprocess.run(command, check=True, env={**environment, "CODE_INDEX_DIR": str(here)}, stdout=subprocess.DEVNULL)
        found[name] = IndexStore(here / "tables")
    return found


def kill(instance: dg.DagsterInstance, fleet: Fleet, host: Host, cut_s: float) -> Kill:
    """Take a host's power, or its link for so long; give it back once its runs are closed and asked for again."""
    if cut_s:
        host.disconnect()
    else:
        host.lose_power()
    at = time.time()
    unfinished = instance.get_runs(filters=dg.RunsFilter(statuses=_UNFINISHED))
    own = {run.run_id for run in unfinished if run.tags.get(HOST_TAG) == host.name}
    # A run that is under way to a host names none yet: this one's are those that no other host begins.
    under_way = {run.run_id for run in unfinished if HOST_TAG not in run.tags}
    closed = ended_at(instance, own | under_way, host, at)
    lost = [run for run in unfinished if run.run_id in closed]
    indexes = {run.job_name.partition("_")[0] for run in lost}
    again = asked_again_s(instance, indexes, at, at + min(closed.values(), default=0.0))
    if cut_s:
        time.sleep(max(0.0, at + cut_s - time.time()))
        host.connect()
    else:
        host.boot()
        fleet.start_worker(host)
    return Kill(
        host.name, len(own & closed.keys()), len(under_way & closed.keys()), max(closed.values(), default=None), again
    )


def ended_at(instance: dg.DagsterInstance, waiting: set[str], host: Host, at: float) -> dict[str, float]:
    """Seconds from `at` until each run is marked as failed, but for those that ended well or that another host begins."""
    ended: dict[str, float] = {}
    while waiting and time.time() - at < _LONGEST_S:
        for run in instance.get_runs(filters=dg.RunsFilter(run_ids=list(waiting))):
            if run.status is dg.DagsterRunStatus.FAILURE:
                ended[run.run_id] = time.time() - at
            if run.is_finished or run.tags.get(HOST_TAG, host.name) != host.name:
                waiting = waiting - {run.run_id}
        time.sleep(0.5)
    return ended


def asked_again_s(instance: dg.DagsterInstance, indexes: set[str], at: float, after: float) -> float | None:
    """Seconds from `at` until each index has a run that was made after `after`; None where there is none to wait for."""
    found: dict[str, float] = {}
    while found.keys() != indexes and time.time() - at < _ASKED_AGAIN_WITHIN_S:
        for record in instance.get_run_records(limit=30):
            index, created = record.dagster_run.job_name.partition("_")[0], record.create_timestamp.timestamp()
            if index in indexes - found.keys() and created > after:
                found[index] = created - at
        time.sleep(0.5)
    return max(found.values(), default=None)


def pending(stores: Mapping[str, IndexStore], files: int) -> list[str]:
    """Indexes that do not have a vector for each chunk, and the chunks of each file."""
    left = []
    for name, store in stores.items():
        chunks = store.chunks.count() if store.tables.version("chunks") else 0
        vectors = store.vectors.count() if store.tables.version("vectors") else 0
        if chunks != vectors or chunks < files * _FUNCTIONS:
            left.append(name)
    return left


def differences(stores: Mapping[str, IndexStore], local: Mapping[str, IndexStore]) -> list[str]:
    """What is lost, doubled or other than in a local index."""
    found = []
    for name, store in stores.items():
        for table, key in (("chunks", "chunk_id"), ("vectors", "chunk_id"), ("files", "file_path")):
            there, here = (
                pl.Series(getattr(one, table).read([key]).column(key).to_pylist()) for one in (store, local[name])
            )
            if there.n_unique() != there.len():
                found.append(f"{name}.{table}: {there.len() - there.n_unique()} twice")
            if lost := set(here) - set(there):
                found.append(f"{name}.{table}: {len(lost)} lost")
            if more := set(there) - set(here):
                found.append(f"{name}.{table}: {len(more)} too many")
    return found


def kills_of(
    fleet: Fleet,
    instance: dg.DagsterInstance,
    stores: Mapping[str, IndexStore],
    folder: Path,
    arguments: argparse.Namespace,
) -> Iterator[Kill]:
    """Take one host after the other while it works; the repositories are edited whenever all is indexed."""
    rng, rounds, done, began = random.Random(SEED), 0, 0, time.time()
    while done < arguments.kills:
        if not pending(stores, arguments.files):
            rounds += 1
            for name in stores:
                make_repository(folder / name, arguments.files, rounds)
        started = instance.get_runs(filters=dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
        busy = {run.tags[HOST_TAG] for run in started if HOST_TAG in run.tags}
        if not busy:
            time.sleep(0.5)
            continue
        time.sleep(rng.uniform(0, 8))
        found = kill(instance, fleet, rng.choice([host for host in fleet.hosts if host.name in busy]), arguments.cut)
        print(f"{time.time() - began:6.0f} s", found, flush=True)
        done += bool(found.started or found.starting)
        yield found


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("launcher", choices=["celery", "ray"])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--cut", type=float, default=0.0, help="seconds to cut the link for, in place of a kill")
    parser.add_argument("--hosts", type=int, default=4)
    parser.add_argument("--repositories", type=int, default=6)
    parser.add_argument("--files", type=int, default=250)
    parser.add_argument("--folder", type=Path, help="keep the logs here; a temporary folder by default")
    arguments = parser.parse_args()
    machine = report.machine()
    with ExitStack() as opened:
        folder = arguments.folder or Path(opened.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        network = opened.enter_context(Network(arguments.hosts, own=[_RAY_FOLDER]))
        postgres = opened.enter_context(network.postgres())
        store = opened.enter_context(network.store())
        names = [f"r{number}" for number in range(arguments.repositories)]
        for name in names:
            make_repository(folder / name, arguments.files, 0)
        environment = {**store.environment, POSTGRES_VARIABLE: postgres.url, **deployment(folder, names)}
        if arguments.launcher == "celery":
            environment["CODE_INDEX_REDIS_URL"] = opened.enter_context(network.redis())
            environment["PYTHONPATH"] = str(_DEPLOY / "celery")
        else:
            environment |= {"CODE_INDEX_RAY_URL": f"http://{network.address}:8265", **_RAY}
        (folder / "dagster").mkdir()
        shutil.copy(_DEPLOY / arguments.launcher / "dagster.yaml", folder / "dagster")
        os.environ |= {**environment, "CODE_INDEX_CACHE_DIR": str(folder / "caches" / "here")}
        fleet = Fleet(arguments.launcher, network, folder, environment)
        instance = opened.enter_context(dg.DagsterInstance.get())
        opened.enter_context(fleet.at_work())
        stores = {name: IndexStore(index.folder().tables) for name, index in deployed_indexes().items()}
        kills = list(kills_of(fleet, instance, stores, folder, arguments))
        ends = time.time() + _LONGEST_S
        while pending(stores, arguments.files) or instance.get_runs(filters=dg.RunsFilter(statuses=_UNFINISHED)):
            if time.time() > ends:
                raise RuntimeError(f"Not indexed within {_LONGEST_S:g} s: {pending(stores, arguments.files)}")
            time.sleep(1)
        wrong = differences(stores, local_indexes(folder, names))
    closed = sorted(one.closed_s for one in kills if one.closed_s is not None)
    again = sorted(one.asked_again_s for one in kills if one.asked_again_s is not None)
    lines = [
        f"{len(kills)} kills of {arguments.hosts} hosts, {arguments.repositories} repositories of {arguments.files} files",
        f"{sum(one.started > 0 for one in kills)} hosts with a run that had started",
        f"closed after {_spread(closed)}",
        f"asked for again after {_spread(again)}",
        f"rows lost, twice or wrong: {wrong or 'none'}",
    ]
    figures = {"kills": [repr(one) for one in kills], "closed_s": closed, "asked_again_s": again, "wrong": wrong}
    report.write(
        f"{'cuts' if arguments.cut else 'kills'}_{arguments.launcher}",
        seed=SEED,
        machine_before=machine,
        figures=figures,
        markdown="\n".join(f"- {line}" for line in lines),
        module="machines.kills",
    )


def _spread(seconds: list[float]) -> str:
    if not seconds:
        return "never"
    return f"{seconds[len(seconds) // 2]:.0f} s (median), {seconds[-1]:.0f} s (longest of {len(seconds)})"


def _listens(address: str, port: int) -> bool:
    return not subprocess.run(
        ["bash", "-c", f"</dev/tcp/{address}/{port}"], capture_output=True, check=False
    ).returncode


def _wait_until(holds: Callable[[], bool], what: str) -> None:
    ends = time.time() + _LONGEST_S
    while not holds():
        if time.time() > ends:
            raise RuntimeError(f"Not within {_LONGEST_S:g} s: {what}.")
        time.sleep(0.5)


if __name__ == "__main__":
    main()
