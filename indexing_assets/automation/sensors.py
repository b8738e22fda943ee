"""Sensors: an edit becomes searchable without anyone's hand.

`repo_changes_sensor` asks for scans and parsing, `pending_chunks_sensor` for embedding. Both decide
from the repository and the tables, not from what they asked for before: a run that failed or was
killed leaves something to do, and that is asked for again, with back-off. The cursor only keeps
them from asking too often. Rejected: declarative automation
(docs/decisions/0007-sensors-rather-than-declarative-automation.md).
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from code_index.core.errors import CodeIndexError
from code_index.core.partition_keys import file_partition_key
from code_index.index.locks import Phase, hold
from code_index.index.source import walk_options
from code_index.repository.content_rules import plan_changes
from code_index.repository.fingerprint import RepositoryState, repository_state, settled_state
from code_index.tables import IndexStore
from indexing_assets.assets.source_files import STATE_METADATA, known_files
from indexing_assets.automation.sensor_cursor import SensorCursor
from indexing_assets.runs.index_names import CHUNK_VECTORS, PARSED_CHUNKS, SOURCE_FILES, IndexNames
from indexing_assets.runs.job_names import CHANGES_JOB, EMBED_JOB, PARSE_JOB, SCAN_JOB
from indexing_assets.runs.live_runs import RETRY_LASTING_TAG, close_dead_runs, unfinished_runs
from indexing_assets.runs.open_index import OpenIndex, open_index
from indexing_assets.runs.partitions import as_one_range, range_tags
from indexing_assets.runs.planning import batches_to_embed, chunker_identity, files_to_parse, serve_kept_vectors
from indexing_assets.runs.pools import prepare_pools
from resources.embedder_resource import EmbedderResource
from resources.index_resource import IndexResource

REPO_CHANGES_SENSOR = "repo_changes_sensor"
PENDING_CHUNKS_SENSOR = "pending_chunks_sensor"

# Dagster's daemon looks every 5 seconds; within a tick, looks follow each other this closely.
_TICK_S = 1
_LOOK_EVERY_S = 0.5
# A look may take this share of a processor.
_LOOK_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class WatchTimes:
    """How the repository is watched, in seconds.

    A tick watches for `watch_s`; an edit is taken up when the repository was at rest for `quiet_s`.
    One that is never at rest is taken up all the same after `restless_s`.
    """

    watch_s: float = 4.0
    quiet_s: float = 0.5
    patience_s: float = 2.0
    restless_s: float = 30.0


def build_sensors(
    names: IndexNames,
    jobs: Mapping[str, UnresolvedAssetJobDefinition],
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
    )
    def repo_changes_sensor(
        context: dg.SensorEvaluationContext, index: IndexResource
    ) -> dg.SensorResult | dg.SkipReason:
        return _answer(context, _ChangesLook(context.instance, index, names, watching))

    @dg.sensor(
        name=names.prefixed(PENDING_CHUNKS_SENSOR),
        jobs=[jobs[EMBED_JOB]],
        minimum_interval_seconds=_TICK_S,
        default_status=default_status,
        description="Embeds chunks that have no vector yet, those that a crash left behind too.",
    )
    def pending_chunks_sensor(
        context: dg.SensorEvaluationContext, index: IndexResource, embedder: EmbedderResource
    ) -> dg.SensorResult | dg.SkipReason:
        return _answer(context, _PendingLook(context.instance, index, embedder, names))

    return [repo_changes_sensor, pending_chunks_sensor]


@dataclass(frozen=True, slots=True)
class _Found:
    """What a look found: a run to ask for, or a reason why not, and the next cursor."""

    cursor: SensorCursor
    request: dg.RunRequest | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Scanned:
    """The state of the repository that the last scan saw, and its run."""

    token: str = ""
    run_id: str = ""


class _Look(Protocol):
    """One look of a sensor."""

    def take(self, cursor: SensorCursor) -> _Found:
        """What is to be done, as `cursor` and the present tell."""


def _answer(context: dg.SensorEvaluationContext, look: _Look) -> dg.SensorResult | dg.SkipReason:
    try:
        found = look.take(SensorCursor.from_text(context.cursor))
    except (CodeIndexError, OSError) as error:
        # The next tick looks again; what is indexed stays as it is.
        return dg.SkipReason(f"{type(error).__name__}: {error}")
    kept = found.cursor.to_text()
    if found.request is None:
        return dg.SensorResult(skip_reason=dg.SkipReason(found.reason), cursor=kept)
    return dg.SensorResult(run_requests=[found.request], cursor=kept)


class _ChangesLook:
    """Compares the repository with the last scan, and the manifest with the chunks."""

    def __init__(
        self, instance: dg.DagsterInstance, resource: IndexResource, names: IndexNames, times: WatchTimes
    ) -> None:
        self._instance = instance
        self._resource = resource
        self._names = names
        self._times = times

    def take(self, cursor: SensorCursor) -> _Found:
        """A run that scans, parses or both, if there is something to scan or parse."""
        close_dead_runs(self._instance)
        index = open_index(self._instance, self._resource, self._names, must_exist=False)
        prepare_pools(self._instance, index.settings)
        busy = unfinished_runs(index, SOURCE_FILES, PARSED_CHUNKS)
        if busy:
            return _Found(cursor, reason=f"Run {busy[0].run_id} scans or parses; the next look is when it ended.")
        scanned = _last_scan(index)
        state = _state(index)
        if state.token == scanned.token:
            left = _unparsed(index, cursor)
            if left.request is not None:
                return left
            cursor = left.cursor
            state = self._watch(index, scanned.token)
            if state.token == scanned.token:
                return _Found(replace(cursor, restless_since_s=None), reason=left.reason)
        return self._changed(index, scanned, state, cursor)

    def _watch(self, index: OpenIndex, token: str) -> RepositoryState:
        """The state once it differs from `token`, or the last one when the tick's time is over."""
        ends = time.monotonic() + self._times.watch_s
        while True:
            started = time.monotonic()
            state = _state(index)
            pause = max(_LOOK_EVERY_S, (time.monotonic() - started) / _LOOK_SHARE)
            if state.token != token or time.monotonic() + pause > ends:
                return state
            time.sleep(pause)

    def _changed(self, index: OpenIndex, scanned: _Scanned, state: RepositoryState, cursor: SensorCursor) -> _Found:
        now = time.time()
        settled = settled_state(
            index.folder.repository_root,
            walk_options(index.folder, index.settings),
            quiet_s=self._times.quiet_s,
            patience_s=self._times.patience_s,
        )
        if settled is None:
            # Never in the future, where a clock that is set back would leave it.
            since = min(cursor.restless_since_s if cursor.restless_since_s is not None else now, now)
            if now - since < self._times.restless_s:
                return _Found(
                    replace(cursor, restless_since_s=since), reason="The repository is changing; waiting for a pause."
                )
        state = settled or state
        if wait := cursor.wait_s(state.token, now):
            return _Found(cursor, reason=_later(cursor, wait, "The scan of this state of the repository"))
        cursor = cursor.asked(state.token, now)
        # The last scan goes in, because a state that was left may come back.
        run_key = f"{scanned.run_id}:{state.token}:{cursor.attempts}"
        keys = self._new_versions(index)
        if not keys:
            return _Found(cursor, dg.RunRequest(run_key=run_key, job_name=self._names.prefixed(SCAN_JOB)))
        with hold(index.folder.locks_dir, Phase.PARSE, wait_s=0):
            ordered = as_one_range(index.instance, index.names.partitions(PARSED_CHUNKS), keys)
        return _Found(
            cursor,
            dg.RunRequest(run_key=run_key, job_name=self._names.prefixed(CHANGES_JOB), tags=range_tags(ordered)),
        )

    def _new_versions(self, index: OpenIndex) -> list[str]:
        """Partition keys of the file versions that the scan will find new; none for a first scan, which is long."""
        known = known_files(index.store)
        if not known:
            return []
        changes = plan_changes(known, self._resource.repository(self._names.index).scan(known).files)
        return [file_partition_key(file.file_hash, file.file_path) for file in (*changes.new, *changes.changed)]


class _PendingLook:
    """Compares the chunks with the vectors."""

    def __init__(
        self, instance: dg.DagsterInstance, resource: IndexResource, embedder: EmbedderResource, names: IndexNames
    ) -> None:
        self._instance = instance
        self._resource = resource
        self._embedder = embedder
        self._names = names

    def take(self, cursor: SensorCursor) -> _Found:
        """A run over all batches with chunks that wait for a vector, if there are any."""
        close_dead_runs(self._instance)
        index = open_index(self._instance, self._resource, self._names)
        busy = unfinished_runs(index, CHUNK_VECTORS)
        if busy:
            return _Found(cursor, reason=f"Run {busy[0].run_id} embeds; the next look is when it ended.")
        model_id = self._embedder.get_for_queries(index.settings).model_id
        stand = _digest([model_id, *_versions(index.store, "chunks", "vectors", "embedding_errors")])
        nothing = "Every chunk has its vector, or failed for a reason that lasts."
        if cursor.idle == stand:
            return _Found(cursor, reason=nothing)
        keys = batches_to_embed(index, model_id, retry_transient=False)
        if not keys:
            serve_kept_vectors(index.store, model_id)
            return _Found(replace(cursor, idle=stand), reason=nothing)
        return _request(index, EMBED_JOB, keys, stand, cursor)


def _last_scan(index: OpenIndex) -> _Scanned:
    event = index.instance.get_latest_materialization_event(index.names.asset_key(SOURCE_FILES))
    if event is None or event.asset_materialization is None:
        return _Scanned()
    value = event.asset_materialization.metadata.get(STATE_METADATA)
    return _Scanned(token=str(value.value) if value is not None else "", run_id=event.run_id)


def _state(index: OpenIndex) -> RepositoryState:
    return repository_state(index.folder.repository_root, walk_options(index.folder, index.settings))


def _unparsed(index: OpenIndex, cursor: SensorCursor) -> _Found:
    """Files in the manifest whose chunks are missing: after a first scan, a crash, a change of the chunker."""
    stand = _digest([chunker_identity(index.settings), *_versions(index.store, "files", "chunks")])
    nothing = "The index is up to date with the repository."
    if cursor.idle == stand:
        return _Found(cursor, reason=nothing)
    keys = files_to_parse(index, retry_transient=False)
    if not keys:
        return _Found(replace(cursor, idle=stand), reason=nothing)
    return _request(index, PARSE_JOB, keys, stand, cursor)


def _request(index: OpenIndex, job: str, keys: Sequence[str], stand: str, cursor: SensorCursor) -> _Found:
    """Ask for one run over all keys, unless the same was asked for too recently.

    Raises:
        IndexBusyError: a command is at work on the phase; moved keys would change what it works on.
    """
    now = time.time()
    target = _digest(keys)
    if wait := cursor.wait_s(target, now):
        return _Found(cursor, reason=_later(cursor, wait, f"A run over the same {len(keys)} partitions"))
    cursor = cursor.asked(target, now)
    embeds = job == EMBED_JOB
    definition = index.names.partitions(CHUNK_VECTORS if embeds else PARSED_CHUNKS)
    with hold(index.folder.locks_dir, Phase.EMBED if embeds else Phase.PARSE, wait_s=0):
        ordered = as_one_range(index.instance, definition, keys)
    # The stand goes in, because a set of keys may be due again at another time.
    run_key = f"{stand}:{target}:{cursor.attempts}"
    # What failed for a reason that lasts is for a person to try again.
    tags = range_tags(ordered) | {RETRY_LASTING_TAG: "false"}
    return _Found(cursor, dg.RunRequest(run_key=run_key, job_name=index.names.prefixed(job), tags=tags))


def _later(cursor: SensorCursor, wait_s: float, what: str) -> str:
    return (
        f"{what} was asked for {cursor.attempts} times and did not succeed; see the runs. "
        f"The next attempt is in {wait_s:.0f} s."
    )


def _versions(store: IndexStore, *tables: str) -> list[str]:
    versions = store.upkeep.versions()
    return [f"{name}={versions.get(name, 0)}" for name in tables]


def _digest(parts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
