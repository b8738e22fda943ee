"""Dagster runs that work on an index, and those that only seem to.

Belongs here: runs as Dagster records them. Does not belong here: who holds a lock
(`code_index.index.locks`) and what has to run (`planning`).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import dagster as dg

from code_index.system.file_locks import is_left, share_until_the_end
from code_index.system.processes import is_seen_from_here, namespace, space_name, start_stamp
from indexing_assets.runs.index_names import ASSETS, IndexNames, sharing_partitions
from indexing_assets.runs.job_names import ASSETS_OF_JOB, PARTITIONS_JOB, RERUN_JOB
from indexing_assets.runs.open_index import OpenIndex
from indexing_assets.runs.partitions import keys_of_run
from resources.dagster_internals import in_process_of_step
from resources.record_storage import PRIVATE_TAGS

HOST_TAG = f"{PRIVATE_TAGS}host"
PROCESS_TAG = f"{PRIVATE_TAGS}pid"
PROCESS_STARTED_TAG = f"{PRIVATE_TAGS}pid_started"
NAMESPACE_TAG = f"{PRIVATE_TAGS}pid_namespace"
# File in the instance's folder that is locked as long as a process of that namespace may work on a run.
LIVING_TAG = f"{PRIVATE_TAGS}living"
# The run that the five above are about: in storages other than the project's own, a run that is executed again
# inherits its parent's tags.
RUN_TAG = f"{PRIVATE_TAGS}run"

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


def tag_process(context: dg.AssetExecutionContext | dg.OpExecutionContext) -> None:
    """Write the run's process into its tags, so that the run can be closed if the process is killed."""
    run_id = context.run.run_id
    if _tag(context.run, RUN_TAG) != run_id:
        # Dagster's multiprocess executor gives each step a child of the run's process, which ends with the step.
        pid = os.getppid() if in_process_of_step() else None
        context.instance.add_run_tags(run_id, process_tags(context.instance, run_id, pid))


def retries_lasting(run: dg.DagsterRun) -> bool:
    """Tell whether a run also retries what failed for a reason that lasts, as a run that a person asked for does.

    Only a person executes a run again; the tag is then its parent's.
    """
    return _tag(run, RETRY_LASTING_TAG) != "false" or run.parent_run_id is not None


def stop_if_cancelled(context: dg.AssetExecutionContext) -> None:
    """End a run that somebody cancelled: a library that catches the signal can lose it.

    Raises:
        DagsterExecutionInterruptedError: the run is being cancelled.
    """
    run = context.instance.get_run_by_id(context.run.run_id)
    if run is not None and run.status in {dg.DagsterRunStatus.CANCELING, dg.DagsterRunStatus.CANCELED}:
        raise dg.DagsterExecutionInterruptedError


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


def close_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark runs as failed whose process on this machine is gone; returns their ids.

    A killed process cannot say that its run ended: its partitions would show as in progress
    forever, and sensors would wait for it.
    """
    dead = dead_runs(instance)
    for run in dead:
        pid = _tag(run, PROCESS_TAG)
        instance.report_run_failed(run, f"Process {pid} ended before its run did. What it stored is safe.")
    return [run.run_id for run in dead]


def dead_runs(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    """Unfinished runs whose process on this machine is gone."""
    # A command's run has its process from the first record on, before it is started.
    unfinished = instance.get_runs(filters=dg.RunsFilter(statuses=_UNFINISHED))
    return [run for run in unfinished if _names_its_own_process(run) and _is_gone(instance, run)]


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
