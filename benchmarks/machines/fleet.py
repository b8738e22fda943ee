"""Many repositories of a git host, indexed by several hosts: their rows, and what outages of the servers cost.

    python -m benchmarks.machines.fleet --repositories 40                       # rows against local indexes
    python -m benchmarks.machines.fleet --repositories 8 --outages 10 30 60     # the store is killed, PostgreSQL restarted

A deployment as docs/machines.md has it: source by commit, tables at SeaweedFS, records and locks in PostgreSQL, runs through
Celery. Hosts are network namespaces. All is indexed, edited in a second commit, and indexed again; then every table of every
index is compared row by row with a local index of a clone of that commit, times, run ids and numbers of batches aside. With outages, the store is
killed for so many seconds while a run of each kind is under way, and PostgreSQL is restarted; the runs that failed are listed with
the reason.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from benchmarks import report
from benchmarks.intervals import SEED
from benchmarks.machines.kills import Fleet, local_indexes, make_repository
from benchmarks.machines.network import Network, Postgres, Store
from code_index.index.deployment import DEPLOYMENT_VARIABLE, deployed_indexes
from code_index.index.server_locks import POSTGRES_VARIABLE
from code_index.tables import IndexStore
from indexing_assets.runs.job_names import CLEANUP_JOB

_DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
_LONGEST_S = 900.0
_FUNCTIONS = 8
_UNFINISHED = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
# Batches keep their numbers, and an edited file gets a new one: they are those of a local index only at first.
_HISTORY = {"embedding_batch_id"}
_TIMES_AND_RUNS = {"mtime_ns", "parsed_at", "updated_at", "embedded_at", "created_at", "run_id"}
_TABLES = ("files", "chunks", "vectors", "references")
_JOBS = ("scan_source_files_job", "parse_chunks_job", "embed_chunks_job", CLEANUP_JOB)
_GIT = {
    "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.com", "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.com", "GIT_CONFIG_GLOBAL": os.devnull,
}  # fmt: skip


def commit(folder: Path, files: int, round_: int) -> None:
    """Write a round of files and commit it."""
    make_repository(folder, files, round_)
    if not (folder / ".git").exists():
        subprocess.run(["git", "init", "-q", "-b", "main", str(folder)], check=True, env={**os.environ, **_GIT})
    for arguments in (["add", "-A"], ["commit", "-q", "-m", f"round {round_}"]):
        subprocess.run(["git", "-C", str(folder), *arguments], check=True, env={**os.environ, **_GIT})


def deployment(folder: Path, names: Sequence[str]) -> None:
    """Write the deployment file."""
    entry = '[indexes.{0}]\ngit = "{1}"\nref = "main"\ntables = "s3://team/{0}"\n'
    text = "\n".join(entry.format(name, folder / "git" / name) for name in names)
    (folder / "deployment.toml").write_text(text, encoding="utf-8")


def wait_until_indexed(
    instance: dg.DagsterInstance, stores: Mapping[str, IndexStore], files: int, round_: int
) -> float:
    """Wait until each chunk of that round has a vector, and no run is left; returns the seconds."""
    began = time.time()
    while True:
        left = [name for name, store in stores.items() if not _is_indexed(store, files, round_)]
        runs = instance.get_runs(filters=dg.RunsFilter(statuses=_UNFINISHED))
        if not left and not runs:
            return time.time() - began
        if time.time() - began > _LONGEST_S:
            raise RuntimeError(f"Not indexed within {_LONGEST_S:g} s: {left or [run.job_name for run in runs]}")
        time.sleep(1)


def _is_indexed(store: IndexStore, files: int, round_: int) -> bool:
    if not store.tables.version("vectors"):
        return False
    chunks = store.chunks.read(["chunk_id"], f"content LIKE '%Round {round_} of%'")
    return chunks.num_rows == files * _FUNCTIONS and store.vectors.count() == store.chunks.count()


def rows(store: IndexStore) -> dict[str, pl.DataFrame]:
    """All tables without times and run ids, sorted."""
    found = {name: pl.DataFrame(getattr(store, name).read()) for name in _TABLES}
    kept = {name: table.drop((_TIMES_AND_RUNS | _HISTORY) & set(table.columns)) for name, table in found.items()}
    return {name: table.sort(table.columns[:4], maintain_order=True) for name, table in kept.items()}


def differences(stores: Mapping[str, IndexStore], local: Mapping[str, IndexStore]) -> list[str]:
    """Tables that are not equal, with the columns that differ."""
    wrong = []
    for name, store in stores.items():
        there, here = rows(store), rows(local[name])
        for table in _TABLES:
            if there[table].equals(here[table]):
                continue
            if there[table].shape != here[table].shape:
                wrong.append(f"{name}.{table}: {there[table].height} rows instead of {here[table].height}")
                continue
            columns = [column for column in here[table].columns if not there[table][column].equals(here[table][column])]
            wrong.append(f"{name}.{table}: {', '.join(columns)}")
    return wrong


def outages(
    instance: dg.DagsterInstance,
    store: Store,
    postgres: Postgres,
    seconds: Sequence[float],
    cause: Callable[[str], None],
) -> list[str]:
    """Kill the store in each kind of run for each time, and restart PostgreSQL in each; returns what was done.

    `cause` sees to it that a run of a job begins.
    """
    done = []
    for job in _JOBS:
        for outage in (*seconds, None):
            cause(job)
            _wait_for_run(instance, job)
            if outage is None:
                postgres.stop()
                time.sleep(2)
                postgres.start()
                done.append(f"{job}: PostgreSQL restarted")
            else:
                store.kill()
                time.sleep(outage)
                store.start()
                done.append(f"{job}: store killed for {outage:g} s")
            print(done[-1], flush=True)
    return done


def _wait_for_run(instance: dg.DagsterInstance, job: str) -> None:
    ends = time.time() + _LONGEST_S
    while time.time() < ends:
        runs = instance.get_runs(filters=dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
        if any(run.job_name.endswith(job) for run in runs):
            return
        time.sleep(0.1)
    raise RuntimeError(f"No run of {job} began within {_LONGEST_S:g} s.")


def failed_runs(instance: dg.DagsterInstance) -> list[str]:
    """Runs that failed, with the last error of each."""
    found = []
    for run in instance.get_runs(filters=dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE])):
        events = [entry.dagster_event for entry in instance.all_logs(run.run_id) if entry.dagster_event is not None]
        errors = [getattr(event.event_specific_data, "error", None) for event in events]
        reasons = [_cause(error) for error in errors if error is not None]
        # One that was closed has no error.
        reasons = reasons or [
            event.message or "" for event in events if event.event_type is dg.DagsterEventType.RUN_FAILURE
        ]
        found.append(f"{run.job_name}: {reasons[-1][:300]}")
    return found


def _instance_config(hosts: int) -> str:
    """The file of the launcher, with as many runs at once as there are hosts."""
    numbers = re.compile(r"(max_concurrent_runs|default_limit): \d+")
    return numbers.sub(rf"\1: {hosts}", (_DEPLOY / "celery/dagster.yaml").read_text("utf-8"))


def _launched(job: str, folder: Path) -> subprocess.Popen[bytes]:
    """Ask for a run that no sensor asks for; the command ends later than the run may."""
    program = Path(sys.executable).parent / "dagster"
    return subprocess.Popen([program, "job", "launch", "-m", "indexing_assets.definitions", "-j", job], cwd=folder)


def _cause(error: Any) -> str:
    while error.cause is not None:
        error = error.cause
    return str(error.message).strip().splitlines()[0]


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=4)
    parser.add_argument("--repositories", type=int, default=40)
    parser.add_argument("--files", type=int, default=20)
    parser.add_argument("--edited", type=int, default=4, help="repositories with a second commit")
    parser.add_argument("--outages", type=float, nargs="*", default=[])
    parser.add_argument("--folder", type=Path, help="keep the logs here; a temporary folder by default")
    options = parser.parse_args()
    machine = report.machine()
    figures: dict[str, Any] = {}
    with ExitStack() as opened:
        folder = options.folder or Path(opened.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        network = opened.enter_context(Network(options.hosts))
        postgres = opened.enter_context(network.postgres())
        store = opened.enter_context(network.store())
        names = [f"r{number}" for number in range(options.repositories)]
        for name in names:
            commit(folder / "git" / name, options.files, 0)
        deployment(folder, names)
        environment = {
            **store.environment,
            POSTGRES_VARIABLE: postgres.url,
            DEPLOYMENT_VARIABLE: str(folder / "deployment.toml"),
            "DAGSTER_HOME": str(folder / "dagster"),
            "DAGSTER_EVENT_BATCH_SIZE": "1000",
            "CODE_INDEX_WATCH": "1",
            "CODE_INDEX_MODEL": "deterministic",
            "CODE_INDEX_LIBRARY_BYTES": "0",
            "CODE_INDEX_REDIS_URL": opened.enter_context(network.redis()),
            "PYTHONPATH": str(_DEPLOY / "celery"),
        }
        (folder / "dagster").mkdir()
        (folder / "dagster/dagster.yaml").write_text(_instance_config(options.hosts), encoding="utf-8")
        os.environ |= {**environment, "CODE_INDEX_CACHE_DIR": str(folder / "caches" / "here")}
        fleet = Fleet("celery", network, folder, environment)
        instance = opened.enter_context(dg.DagsterInstance.get())
        opened.enter_context(fleet.at_work())
        stores = {name: IndexStore(index.folder().tables) for name, index in deployed_indexes().items()}
        round_ = 0
        figures["first_s"] = round(wait_until_indexed(instance, stores, options.files, round_), 1)

        def edit() -> None:
            nonlocal round_
            round_ += 1
            for name in names[: options.edited]:
                commit(folder / "git" / name, options.files, round_)

        def cause(job: str) -> None:
            if job == CLEANUP_JOB:
                opened.enter_context(_launched(f"{names[0]}_{job}", folder))
            else:
                edit()

        if options.outages:
            figures["outages"] = outages(instance, store, postgres, options.outages, cause)
        edit()
        edited = {name: stores[name] for name in names[: options.edited]}
        figures["edited_s"] = round(wait_until_indexed(instance, edited, options.files, round_), 1)
        figures["runs"] = instance.get_runs_count()
        figures["failed runs"] = failed_runs(instance)
        figures["differences"] = differences(stores, local_indexes(folder / "git", names))
    lines = [
        f"{options.hosts} hosts, {options.repositories} repositories of {options.files} files with {_FUNCTIONS} functions each",
        f"all indexed after {figures['first_s']:.0f} s, all files of {options.edited} edited: after {figures['edited_s']:.0f} s",
        *figures.get("outages", ()),
        f"{figures['runs']} runs, of which failed: {'; '.join(figures['failed runs']) or 'none'}",
        f"tables that differ from local ones: {'; '.join(figures['differences']) or 'none'}",
    ]
    report.write(
        "outages" if options.outages else "fleet",
        seed=SEED,
        machine_before=machine,
        figures=figures,
        markdown="\n".join(f"- {line}" for line in lines),
        module="machines.fleet",
    )


if __name__ == "__main__":
    main()
