"""Sensors: edits become searchable by themselves.

`repo_changes_sensor` asks for scans and parsing, `pending_chunks_sensor` for embedding. Both decide
from the repository and the tables, not from what they asked for before: a run that failed or was
killed leaves something to do, and that is asked for again, with back-off. The cursor only keeps
them from asking too often. Rejected: declarative automation
(docs/decisions/0007-sensors-rather-than-declarative-automation.md).
"""

from collections.abc import Mapping

import dagster as dg

from code_index.core.errors import CodeIndexError
from code_index.core.quoting import printable
from code_index.index.locks import Duty, LockOwner, owner
from code_index.system.processes import is_seen_from_here, is_this_or_above
from indexing_assets.automation.changes_look import ChangesLook, WatchTimes
from indexing_assets.automation.look import Look
from indexing_assets.automation.pending_look import PendingLook
from indexing_assets.automation.sensor_cursor import SensorCursor
from indexing_assets.runs.index_names import EMBEDDER_RESOURCE, INDEX_RESOURCE, IndexNames
from indexing_assets.runs.index_resources import embedder_of, index_of
from indexing_assets.runs.job_names import CHANGES_JOB, EMBED_JOB, LIBRARY_JOB, PARSE_JOB, SCAN_JOB
from resources.dagster_internals import UnresolvedAssetJobDefinition
from resources.index_resource import IndexResource

REPO_CHANGES_SENSOR = "repo_changes_sensor"
PENDING_CHUNKS_SENSOR = "pending_chunks_sensor"

# Dagster's daemon looks every 5 seconds.
_TICK_S = 1


def build_sensors(
    names: IndexNames,
    jobs: Mapping[str, dg.JobDefinition | UnresolvedAssetJobDefinition],
    default_status: dg.DefaultSensorStatus,
    times: WatchTimes | None = None,
) -> list[dg.SensorDefinition]:
    """The sensors of an index.

    Args:
        names: names of the index.
        jobs: its jobs by their names without that of the index.
        default_status: whether they run before anybody starts or stops them.
        times: how the repository is watched.
    """
    watching = times or WatchTimes()

    @dg.sensor(
        name=names.prefixed(REPO_CHANGES_SENSOR),
        jobs=[jobs[SCAN_JOB], jobs[CHANGES_JOB], jobs[PARSE_JOB]],
        minimum_interval_seconds=_TICK_S,
        default_status=default_status,
        description="Scans the repository when it changed, and parses exactly the new file versions.",
        required_resource_keys={names.prefixed(INDEX_RESOURCE)},
    )
    def repo_changes_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        resource = index_of(context, names)
        return _answer(context, resource, names, ChangesLook(context.instance, resource, names, watching))

    @dg.sensor(
        name=names.prefixed(PENDING_CHUNKS_SENSOR),
        jobs=[jobs[job] for job in (EMBED_JOB, LIBRARY_JOB) if job in jobs],
        minimum_interval_seconds=_TICK_S,
        default_status=default_status,
        description="Embeds chunks that have no vector yet, including those that a crash left.",
        required_resource_keys={names.prefixed(INDEX_RESOURCE), names.prefixed(EMBEDDER_RESOURCE)},
    )
    def pending_chunks_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        resource = index_of(context, names)
        look = PendingLook(
            context.instance, resource, embedder_of(context, names), names, several_hosts=LIBRARY_JOB in jobs
        )
        return _answer(context, resource, names, look)

    return [repo_changes_sensor, pending_chunks_sensor]


def _answer(
    context: dg.SensorEvaluationContext, resource: IndexResource, names: IndexNames, look: Look
) -> dg.SensorResult | dg.SkipReason:
    try:
        follower = owner(resource.folder(names.index).locks_dir, Duty.FOLLOW)
        # `code-index ui --watch` holds it for its own daemon.
        if follower is not None and not _is_own(follower):
            return dg.SkipReason(printable(f"{follower} follows the repository at the moment."))
        found = look.take(SensorCursor.from_text(context.cursor))
    except (CodeIndexError, OSError) as error:
        # The next tick looks again; what is indexed stays as it is.
        return dg.SkipReason(printable(f"{type(error).__name__}: {error}"))
    kept = found.cursor.to_text()
    if not found.requests:
        return dg.SensorResult(skip_reason=dg.SkipReason(printable(found.reason)), cursor=kept)
    return dg.SensorResult(run_requests=[*found.requests], cursor=kept)


def _is_own(follower: LockOwner) -> bool:
    return is_seen_from_here(follower.host, follower.namespace) and is_this_or_above(follower.pid)
