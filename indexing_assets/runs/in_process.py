"""Runs that this process executes itself, as Dagster records them, and how they ended.

Belongs here: one run of a job, and the runs over a list of partition keys. Does not belong here: what has to run
(`indexing_assets.runs.planning`) and who holds which lock.
"""

from __future__ import annotations

import signal
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import dagster as dg

from code_index.core.child_python import deaf_children
from code_index.index.locks import Phase
from code_index.system.memory import give_back_memory
from indexing_assets.runs.index_names import CHUNK_VECTORS, LIBRARY_VECTORS, PARSED_CHUNKS
from indexing_assets.runs.job_names import EMBED_JOB, LIBRARY_JOB, PARSE_JOB
from indexing_assets.runs.live_runs import keys_of_unfinished_runs, process_tags
from indexing_assets.runs.open_index import OpenIndex
from indexing_assets.runs.partitions import as_ranges, range_tags
from resources.dagster_internals import SerializableErrorInfo

# Of a run that a terminal has its own lines for, the web interface shows everything.
QUIET: Final[Mapping[str, Any]] = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

# Whose lock keeps the partitions of these as they are while their run is planned.
PHASES: Final = {PARSED_CHUNKS: Phase.PARSE, CHUNK_VECTORS: Phase.EMBED, LIBRARY_VECTORS: Phase.EMBED}
_JOBS: Final = {PARSED_CHUNKS: PARSE_JOB, CHUNK_VECTORS: EMBED_JOB, LIBRARY_VECTORS: LIBRARY_JOB}
# Dagster's own where its handler stands, Python's before that and after.
_INTERRUPTIONS = frozenset({"DagsterExecutionInterruptedError", "KeyboardInterrupt"})
_OWN_ERRORS = "code_index."  # modules of the errors whose messages are for users

JobOf = Callable[[str], dg.JobDefinition]


@dataclass(frozen=True, slots=True)
class PhaseResult:
    """Result of a phase.

    `partitions` is how many ran (1 for the scan); `error` what the Dagster run `run_id` ended
    with. `partial` says that the error is of single partitions and the others are durable.
    """

    partitions: int
    run_id: str | None = None
    error: str | None = None
    partial: bool = False

    def plus(self, other: Self) -> Self:
        """Both results as one."""
        return replace(
            other if other.error else self,
            partitions=self.partitions + other.partitions,
        )


def execute(
    index: OpenIndex,
    job: dg.JobDefinition,
    asset: str,
    *,
    keys: Sequence[str] = (),
    config: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    more_config: Mapping[str, Any] = QUIET,
    only: bool = False,
) -> PhaseResult:
    """Run one asset in this process.

    Args:
        index: whose asset it is.
        job: has the asset.
        asset: its name, without that of the index.
        keys: neighbouring partition keys; none for an asset without partitions.
        config: of the asset.
        tags: of the run, beside those that name this process and the range.
        more_config: of the run, beside that of the asset.
        only: the job has other assets as well, which do not run.

    Raises:
        KeyboardInterrupt: somebody stopped this process.
    """
    asset_key = index.names.asset_key(asset)
    op = asset_key.to_python_identifier()
    run_id = str(uuid.uuid4())
    with _sigterm_kept(), _deaf_log_processes(index.instance):
        result = job.execute_in_process(
            instance=index.instance,
            run_id=run_id,
            tags={**process_tags(index.instance, run_id), **(tags or {}), **(range_tags(keys) if keys else {})},
            run_config={**more_config, "ops": {op: {"config": dict(config)}} if config else {}},
            asset_selection=[asset_key] if only else None,
            raise_on_error=False,
        )
    give_back_memory()
    count = len(keys) or 1
    if result.success:
        return PhaseResult(partitions=count, run_id=result.run_id)
    if _interrupted(result):
        raise KeyboardInterrupt
    error, partial = _failure(result, op)
    return PhaseResult(partitions=count, run_id=result.run_id, error=error, partial=partial)


def execute_request(index: OpenIndex, job: dg.JobDefinition, tags: Mapping[str, str]) -> PhaseResult:
    """Run in this process all assets of a job that a sensor's look asked for, with the tags that it gave.

    Raises:
        KeyboardInterrupt: somebody stopped this process.
    """
    run_id = str(uuid.uuid4())
    with _sigterm_kept(), _deaf_log_processes(index.instance):
        result = job.execute_in_process(
            instance=index.instance,
            run_id=run_id,
            tags={**process_tags(index.instance, run_id), **tags},
            run_config=dict(QUIET),
            raise_on_error=False,
        )
    if result.success:
        return PhaseResult(partitions=1, run_id=run_id)
    if _interrupted(result):
        raise KeyboardInterrupt
    failed = [event.step_key for event in result.all_node_events if event.is_step_failure and event.step_key]
    error, partial = _failure(result, failed[0] if failed else "")
    return PhaseResult(partitions=1, run_id=run_id, error=error, partial=partial)


def execute_partitions(
    index: OpenIndex,
    job_of: JobOf,
    asset: str,
    keys: Sequence[str],
    *,
    force: bool,
    tags: Mapping[str, str] | None = None,
    more_config: Mapping[str, Any] = QUIET,
) -> PhaseResult:
    """Run partitions in one run; those of runs that wait for this process keep their order, in runs of their own.

    Args:
        index: whose asset it is.
        job_of: gives a job by its name.
        asset: one with partitions.
        keys: partition keys, in any order.
        force: also what is stored already.
        tags: as for `execute`.
        more_config: as for `execute`.

    Raises:
        KeyboardInterrupt: somebody stopped this process.
    """
    if asset != PARSED_CHUNKS:  # chunks may have been stored by a run that died before it added their key
        index.instance.add_dynamic_partitions(index.names.partitions(asset), list(keys))
    job = job_of(index.names.prefixed(_JOBS[asset]))
    waiting = keys_of_unfinished_runs(index, asset)
    result = PhaseResult(partitions=0)
    for range_ in as_ranges(index.instance, index.names.partitions(asset), keys, fixed=waiting):
        done = execute(index, job, asset, keys=range_, config={"force": force}, tags=tags, more_config=more_config)
        result = done if result.run_id is None else result.plus(done)
    return result


@contextmanager
def _sigterm_kept() -> Iterator[None]:
    """Put the handler of SIGTERM back after a run.

    Dagster leaves there what it found for SIGINT. In a background process that is often "ignore": SIGTERM would then
    end neither this process nor the ones that it starts from another thread, for which Dagster waits in vain.
    """
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if handler is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)


@contextmanager
def _deaf_log_processes(instance: dg.DagsterInstance) -> Iterator[None]:
    """Start the processes that carry a step's output deaf to Ctrl-C.

    It reaches all of a terminal: they would print a traceback, and not what this process says last. They end with it.
    """
    manager = instance.compute_log_manager
    capture = manager.capture_logs

    @contextmanager
    def deaf(log_key: Sequence[str]) -> Iterator[Any]:
        with ExitStack() as stack:
            with deaf_children():
                captured = stack.enter_context(capture(log_key))
            yield captured

    vars(manager)["capture_logs"] = deaf
    try:
        yield
    finally:
        del vars(manager)["capture_logs"]


def _interrupted(result: dg.ExecuteInProcessResult) -> bool:
    """Tell whether a run ended because somebody stopped this process."""
    for event in result.all_events:
        # Between two steps it is the run that fails and not a step.
        error = event.step_failure_data.error if event.is_step_failure else None
        if event.event_type is dg.DagsterEventType.RUN_FAILURE:
            error = event.job_failure_data.error
        while error is not None:
            if error.cls_name in _INTERRUPTIONS:
                return True
            error = error.cause
    return False


def _failure(result: dg.ExecuteInProcessResult, op: str) -> tuple[str, bool]:
    """Error that a run failed with, and whether it was of single partitions."""
    failures = [event for event in result.all_node_events if event.is_step_failure and event.step_key == op]
    if not failures:
        return "the run failed before its first step", False
    data = failures[-1].step_failure_data
    if data.user_failure_data is not None:
        return data.user_failure_data.description or "partitions failed", True
    refused = [
        f"{evaluation.check_name}: {evaluation.description}"
        for evaluation in result.get_asset_check_evaluations()
        if evaluation.blocking and not evaluation.passed
    ]
    if refused:
        return "The stored data contradicts itself. " + " ".join(refused), False
    return _reason(data.error), False


def _reason(error: SerializableErrorInfo | None) -> str:
    """Return the message of the error of this program, which names culprit and fix, or else of the first cause."""
    last = "the run failed"
    while error is not None:
        last = error.message.strip()
        kind, _, message = last.partition(": ")
        if kind.startswith(_OWN_ERRORS):
            return message
        error = error.cause
    return last
