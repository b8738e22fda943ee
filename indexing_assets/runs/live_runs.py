"""Dagster runs that work on an index, and those that only seem to.

Belongs here: runs as Dagster records them. Does not belong here: who holds a lock
(`code_index.index.locks`) and what has to run (`planning`).
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from code_index.core.errors import StoreError
from code_index.core.lazy_imports import importing
from code_index.core.object_stores import be_patient
from code_index.system.file_locks import is_left, share_until_the_end
from code_index.system.processes import is_seen_from_here, namespace, space_name, start_stamp
from indexing_assets.runs.index_names import ASSETS, IndexNames, sharing_partitions
from indexing_assets.runs.job_names import ASSETS_OF_JOB, PARTITIONS_JOB, RERUN_JOB
from indexing_assets.runs.open_index import OpenIndex
from indexing_assets.runs.partitions import keys_of_run
from resources.dagster_internals import WorkerStatus, in_process_of_step
from resources.postgres_sessions import wait_for_sessions
from resources.record_storage import PRIVATE_TAGS

if TYPE_CHECKING:
    from code_index.index.server_locks import LockServer, ServerLock

_LOG = logging.getLogger(__name__)

HOST_TAG = f"{PRIVATE_TAGS}host"
PROCESS_TAG = f"{PRIVATE_TAGS}pid"
PROCESS_STARTED_TAG = f"{PRIVATE_TAGS}pid_started"
NAMESPACE_TAG = f"{PRIVATE_TAGS}pid_namespace"
# File in the instance's folder that is locked as long as a process of that namespace may work on a run.
LIVING_TAG = f"{PRIVATE_TAGS}living"
# Where PostgreSQL has a lock that is held as long as the run is alive, whatever its host: this then decides.
LOCKED_TAG = f"{PRIVATE_TAGS}locked"
# The run that the six above are about: in storages other than the project's own, a run that is executed again
# inherits its parent's tags.
RUN_TAG = f"{PRIVATE_TAGS}run"

# Locks of runs, by run id.
_RUN_LOCKS = "runs of Dagster"
# Seconds within which a run that started takes its own, however busy its host is. What dies before is for the launcher to
# tell; this is for one that cannot.
_LOCKED_WITHIN_S = 300.0
# Sessions of a process that died are gone after 20 s.
_OLD_SESSION_S = 60.0

# `false` in runs that nobody asked for: they skip chunks that failed for a reason that lasts.
RETRY_LASTING_TAG = f"{PRIVATE_TAGS}retry_lasting"
# Prefix of the same tags in records of before they were hidden.
_SHOWN_TAGS = "code_index/"

_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def process_tags(instance: dg.DagsterInstance, run_id: str, pid: int | None = None) -> dict[str, str]:
    """Tags that name a process of this machine, by default this one, as the one that executes the run.

    This one then holds a lock until it ends: another container cannot see it, but can see that nobody holds the lock.
    """
    tags = {RUN_TAG: run_id, HOST_TAG: socket.gethostname(), NAMESPACE_TAG: namespace()}
    if pid is None:
        pid = os.getpid()
        living = f"{space_name()}.lock"
        with suppress(OSError):  # a folder that cannot be written: then only this container closes the run
            share_until_the_end(_living(instance, living))
            tags[LIVING_TAG] = living
    return tags | {PROCESS_TAG: str(pid), PROCESS_STARTED_TAG: start_stamp(pid)}


_locked: dict[str, ServerLock] = {}
"""Locks of the runs of this process, by run id."""


def tag_process(context: dg.AssetExecutionContext | dg.OpExecutionContext, place: Path | LockServer) -> None:
    """Write the run's process into its tags, so that the run can be closed if the process is killed.

    It comes before the first look at the tables: a store that is away is waited for, longer than a run may be silent.

    Args:
        context: that of the run.
        place: where the locks of its index are. At a server a lock of the run is taken as well, until the process ends or
            begins another run after this one: its host may be one that nobody else can look at.

    Raises:
        StoreError: the run was closed meanwhile, since nobody held its lock.
    """
    run_id = context.run.run_id
    # Dagster's multiprocess executor gives each step a child of the run's process, which ends with the step.
    in_child = in_process_of_step()
    if not isinstance(place, Path):
        be_patient()
        if not in_child:
            if run_id not in _locked:
                begin_run(context.instance, run_id)
            stop_if_ended(context)
            return
    if _tag(context.run, RUN_TAG) != run_id:
        context.instance.add_run_tags(
            run_id, process_tags(context.instance, run_id, os.getppid() if in_child else None)
        )


def begin_run(instance: dg.DagsterInstance, run_id: str) -> None:
    """Take the lock of a run, which this process executes from now on, and say so in its tags.

    Nobody closes the run while the process lives, and everybody may once it does not. A launcher whose worker can call this
    before the definitions are loaded does, as `deploy/celery` has it: on a busy machine that takes a minute.

    Raises:
        StoreError: another process has the lock, or the server cannot be reached.
    """
    wait_for_sessions()
    _lock_run(instance, run_id)
    instance.add_run_tags(run_id, process_tags(instance, run_id) | {LOCKED_TAG: "postgresql"})


def _lock_run(instance: dg.DagsterInstance, run_id: str) -> None:
    for before in list(_locked):  # a worker's process has one run after the other
        run = instance.get_run_by_id(before)
        if run is None or run.is_finished:
            _locked.pop(before).free()
    lock = _locks_of_runs().lock(run_id)
    ends = time.monotonic() + _OLD_SESSION_S
    while not lock.try_once():  # a run that is resumed on another host
        if time.monotonic() > ends:
            raise StoreError(f"Another process is at work on run {run_id}: {lock.holder() or 'it holds its lock'}.")
        time.sleep(lock.poll_s)
    _locked[run_id] = lock


def retries_lasting(run: dg.DagsterRun) -> bool:
    """Tell whether a run also retries what failed for a reason that lasts, as a run that a person asked for does.

    Only a person executes a run again; the tag is then its parent's.
    """
    return _tag(run, RETRY_LASTING_TAG) != "false" or run.parent_run_id is not None


def stop_if_ended(context: dg.AssetExecutionContext | dg.OpExecutionContext) -> None:
    """End a run that somebody cancelled, as a library that catches the signal can lose it, or that was closed as dead.

    Raises:
        DagsterExecutionInterruptedError: the run is being cancelled.
        StoreError: it was closed.
    """
    run = context.instance.get_run_by_id(context.run.run_id)
    if run is not None and run.status in {dg.DagsterRunStatus.CANCELING, dg.DagsterRunStatus.CANCELED}:
        raise dg.DagsterExecutionInterruptedError
    if run is not None and run.is_finished:
        raise StoreError(
            f"Run {run.run_id} was closed while this process was cut off. What it stored is safe; another run does the rest."
        )


def unfinished_runs(index: OpenIndex, *assets: str) -> list[dg.DagsterRun]:
    """Runs of any of the assets that are queued or under way, oldest first."""
    runs = index.instance.get_runs(filters=dg.RunsFilter(statuses=_UNFINISHED))
    return [run for run in reversed(runs) if any(_is_run_of(run, index.names, asset) for asset in assets)]


def is_run_of_index(run: dg.DagsterRun, names: IndexNames) -> bool:
    """Tell whether a run is about the index and nothing else."""
    if run.job_name in {names.prefixed(job) for job in (*ASSETS_OF_JOB, PARTITIONS_JOB, RERUN_JOB)}:
        return True
    selected = {*(run.asset_selection or ()), *(check.asset_key for check in run.asset_check_selection or ())}
    return bool(selected) and selected <= {names.asset_key(asset) for asset in ASSETS}


def keys_of_unfinished_runs(index: OpenIndex, asset: str, *, but: str | None = None) -> set[str]:
    """Partition keys that runs of the asset, or of one with the same partitions, are to work on; the run `but` apart."""
    runs = [run for run in unfinished_runs(index, *sharing_partitions(asset)) if run.run_id != but]
    return keys_of_runs(index, asset, runs)


def keys_of_runs(index: OpenIndex, asset: str, runs: Sequence[dg.DagsterRun]) -> set[str]:
    """Partition keys of an asset that runs are for."""
    existing = index.partition_keys(asset) if runs else []
    return {key for run in runs for key in keys_of_run(run.tags, existing)}


def close_dead_runs(instance: dg.DagsterInstance, index: OpenIndex | None = None) -> list[str]:
    """Mark runs as failed whose process is gone, on this machine or as their locks say; returns their ids.

    A killed process cannot say that its run ended: its partitions would show as in progress
    forever, and sensors would wait for it. Arguments and errors as for `dead_runs`.
    """
    closed = []
    for run in dead_runs(instance, index):
        with _alone(run) as alone:
            now = instance.get_run_by_id(run.run_id)
            # It may have ended between the look at its record and that for its process.
            if not alone or now is None or now.is_finished:
                continue
            process = f"Process {_tag(run, PROCESS_TAG)}" if _tag(run, PROCESS_TAG) else "The process"
            instance.report_run_failed(run, f"{process} ended before its run did. What it stored is safe.")
            closed.append(run.run_id)
    return closed


@contextmanager
def _alone(run: dg.DagsterRun) -> Iterator[bool]:
    """Hold the lock of a run that should have one, so that one process closes it, while none begins it again."""
    if not _is_locked(run):
        yield True
        return
    lock = _locks_of_runs().lock(run.run_id)
    try:
        yield lock.try_once()
    finally:
        lock.free()


def dead_runs(instance: dg.DagsterInstance, index: OpenIndex | None = None) -> list[dg.DagsterRun]:
    """Unfinished runs whose process is gone.

    Args:
        instance: has the runs.
        index: of whose runs, where its locks are at a server, those count as well that the launcher tells failed before they
            started, and those that started, and did not take their lock in time.

    Raises:
        StoreError: runs have locks at a server that cannot be reached.
    """
    # A command's run has its process from the first record on, before it is started.
    unfinished = instance.get_run_records(filters=dg.RunsFilter(statuses=_UNFINISHED))
    unlocked = _unlocked([run.dagster_run for run in unfinished])
    return [record.dagster_run for record in unfinished if _is_dead(instance, record, unlocked, index)]


def _is_dead(
    instance: dg.DagsterInstance, record: dg.RunRecord, unlocked: Collection[str], index: OpenIndex | None
) -> bool:
    run = record.dagster_run
    if _is_locked(run):
        return run.run_id in unlocked
    if _names_its_own_process(run) and _is_gone(instance, run):
        return True
    if (
        index is None
        or isinstance(index.folder.locks, Path)
        or _tag(run, RUN_TAG) == run.run_id
        or not is_run_of_index(run, index.names)
    ):
        return False
    if run.status is dg.DagsterRunStatus.STARTING:
        return _failed_to_start(instance, run)
    return (
        run.status is dg.DagsterRunStatus.STARTED
        and any(_is_run_of(run, index.names, asset) for asset in ASSETS)  # one of checks only takes no lock
        and time.time() - (record.start_time or time.time()) > _LOCKED_WITHIN_S
    )


def _failed_to_start(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Ask the launcher, which Dagster's own monitoring does only once a run has started: its host may die before."""
    launcher = instance.run_launcher
    try:
        failed = (
            launcher.supports_check_run_worker_health
            and launcher.check_run_worker_health(run).status is WorkerStatus.FAILED
        )
    except Exception as error:  # noqa: BLE001 - launchers raise what their clients do
        _LOG.warning("Nothing is known of run %s, which is starting: %s", run.run_id, error)
        return False
    now = instance.get_run_by_id(run.run_id) if failed else None
    return now is not None and now.status is dg.DagsterRunStatus.STARTING and _tag(now, RUN_TAG) != run.run_id


def _unlocked(runs: Iterable[dg.DagsterRun]) -> set[str]:
    """Ids of those runs that should hold a lock at the server, and do not."""
    locked = [run.run_id for run in runs if _is_locked(run)]
    return _locks_of_runs().unheld(locked) - _locked.keys() if locked else set()


def _is_locked(run: dg.DagsterRun) -> bool:
    return _names_its_own_process(run) and _tag(run, LOCKED_TAG) is not None


def _locks_of_runs() -> LockServer:
    with importing:
        from code_index.index.server_locks import LockServer

    return LockServer.named(_RUN_LOCKS)


def _is_gone(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Tell whether the process that a run names ended for sure; false where that cannot be seen from here."""
    if _tag(run, HOST_TAG) != socket.gethostname():
        return False
    if not is_seen_from_here(_tag(run, HOST_TAG), _tag(run, NAMESPACE_TAG)):
        living = _tag(run, LIVING_TAG)
        return living is not None and is_left(_living(instance, living))
    pid = int(_tag(run, PROCESS_TAG) or 0)
    return pid != os.getpid() and _tag(run, PROCESS_STARTED_TAG) != start_stamp(pid)


def remove_locks_of_ended(instance: dg.DagsterInstance) -> int:
    """Remove the files that showed other containers that a process lives, once none does; returns how many.

    A process between opening and locking its file may lose it: then only its own container closes its runs.
    """
    removed = 0
    for path in Path(instance.root_directory, "processes").glob("*.lock"):
        if path.name != f"{space_name()}.lock" and is_left(path):
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def _living(instance: dg.DagsterInstance, name: str) -> Path:
    return Path(instance.root_directory, "processes", Path(name).name)


def _tag(run: dg.DagsterRun, tag: str) -> str | None:
    return run.tags.get(tag, run.tags.get(tag.replace(PRIVATE_TAGS, _SHOWN_TAGS)))


def _names_its_own_process(run: dg.DagsterRun) -> bool:
    """Tell whether a run's tags were written for it; records of before `RUN_TAG` are told by having no parent."""
    written_for = _tag(run, RUN_TAG)
    return run.parent_run_id is None if written_for is None else written_for == run.run_id


def _is_run_of(run: dg.DagsterRun, names: IndexNames, asset: str) -> bool:
    if run.asset_selection:
        return names.asset_key(asset) in run.asset_selection
    return any(run.job_name == names.prefixed(job) and asset in assets for job, assets in ASSETS_OF_JOB.items())
