"""The look of `repo_changes_sensor`: the repository against the last scan, and the manifest against the chunks."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import dagster as dg

from code_index.core.errors import RepositoryError
from code_index.core.partition_keys import file_partition_key
from code_index.index.locks import Phase, hold
from code_index.index.source import source_state, walk_options
from code_index.repository.content_rules import plan_changes
from code_index.repository.fingerprint import RepositoryState, settled_state
from indexing_assets.assets.source_files import STATE_METADATA, known_files
from indexing_assets.automation.look import Found, digest, later, request_runs, table_versions
from indexing_assets.automation.sensor_cursor import SensorCursor
from indexing_assets.runs.index_names import PARSED_CHUNKS, SOURCE_FILES, IndexNames
from indexing_assets.runs.job_names import CHANGES_JOB, PARSE_JOB, SCAN_JOB
from indexing_assets.runs.live_runs import close_dead_runs, unfinished_runs
from indexing_assets.runs.open_index import OpenIndex, open_index
from indexing_assets.runs.partitions import as_one_range, range_tags
from indexing_assets.runs.planning import chunker_identity, files_to_parse
from indexing_assets.runs.pools import prepare_pools
from resources.index_resource import IndexResource

# Within a tick of the daemon, looks follow each other this closely.
_LOOK_EVERY_S = 0.5
# A look may take this share of a processor.
_LOOK_SHARE = 0.1
# A round of sensors waits for so long in all for repositories to rest, were they asked one after the other.
_ROUND_PATIENCE_S = 15.0


@dataclass(frozen=True, slots=True)
class WatchTimes:
    """Times of watching the repository, in seconds.

    A tick watches for `watch_s`; an edit is scanned once the repository was at rest for `quiet_s`. A tick waits for that for
    `patience_s`; where this is less than `quiet_s`, the next tick tells. A repository that is never at rest is scanned
    after `restless_s`. A git host is asked for its commit every `ask_host_every_s`.
    """

    watch_s: float = 4.0
    quiet_s: float = 0.5
    patience_s: float = 2.0
    restless_s: float = 30.0
    ask_host_every_s: float = 60.0

    @classmethod
    def of_round(cls, indexes: int) -> WatchTimes:
        """Times for one of so many indexes whose sensors are asked in a round.

        Watching or waiting, a tick keeps a thread of the daemon from the next sensor. So a round of all of them watches for as
        long as one index does by itself, and waits for rest a few seconds longer than that.
        """
        usual = cls()
        return cls(watch_s=usual.watch_s / indexes, patience_s=min(usual.patience_s, _ROUND_PATIENCE_S / indexes))


@dataclass(frozen=True, slots=True)
class _Scanned:
    """The state of the repository that the last scan saw, and its run."""

    token: str = ""
    run_id: str = ""


class ChangesLook:
    """Compares the repository with the last scan, and the manifest with the chunks."""

    def __init__(
        self, instance: dg.DagsterInstance, resource: IndexResource, names: IndexNames, times: WatchTimes
    ) -> None:
        self._instance = instance
        self._resource = resource
        self._names = names
        self._times = times

    def take(self, cursor: SensorCursor) -> Found:
        """Ask for a run that scans, parses or both, if there is something to scan or parse."""
        index = open_index(self._instance, self._resource, self._names, must_exist=False)
        close_dead_runs(self._instance, index)
        prepare_pools(self._instance, index.settings)
        busy = unfinished_runs(index, SOURCE_FILES, PARSED_CHUNKS)
        if busy:
            return Found(cursor, reason=f"Run {busy[0].run_id} scans or parses; the next look follows its end.")
        scanned = _last_scan(index)
        if index.folder.origin is not None:
            return self._of_host(index, scanned, cursor)
        state, pause_s = _look(index)
        if state.token == scanned.token:
            left = _unparsed(index, cursor)
            if left.requests:
                return left
            cursor = left.cursor
            state = self._watch(index, state, pause_s)
            if state.token == scanned.token:
                return Found(cursor.at_rest(), reason=left.reason)
        return self._changed(index, scanned, state, cursor)

    def _of_host(self, index: OpenIndex, scanned: _Scanned, cursor: SensorCursor) -> Found:
        """The same for source that a git host has: there is no working tree here, only the commit that the ref names."""
        left = _unparsed(index, cursor) if scanned.token else Found(cursor)
        if left.requests:
            return left
        now, cursor = time.time(), left.cursor
        # The time is never in the future, where a clock that is set back would leave it.
        wait = min(self._times.ask_host_every_s, cursor.host_asked_at_s + self._times.ask_host_every_s - now)
        if wait > 0:
            return Found(cursor, reason=f"{left.reason} The git host is asked for its commit in {wait:.0f} s.".strip())
        cursor = replace(cursor, host_asked_at_s=now)
        try:
            state, _ = _look(index)
        except RepositoryError as error:
            return Found(cursor, reason=str(error))
        if state.token == scanned.token:
            return Found(cursor, reason=left.reason)
        return self._scan_request(index, scanned, state, cursor, looked=False)

    def _watch(self, index: OpenIndex, state: RepositoryState, pause_s: float) -> RepositoryState:
        """The state once it differs from the one that was just read, or the same when the tick's time is over."""
        ends = time.monotonic() + self._times.watch_s
        now = state
        while now.token == state.token and time.monotonic() + pause_s <= ends:
            time.sleep(pause_s)
            now, pause_s = _look(index)
        return now

    def _changed(self, index: OpenIndex, scanned: _Scanned, state: RepositoryState, cursor: SensorCursor) -> Found:
        now = time.time()
        # Never in the future, as below.
        seen_at_s = min(cursor.seen_at_s, now) if state.token == cursor.seen else now
        rested = now - seen_at_s >= self._times.quiet_s
        settled = state if rested else self._settled(index, state)
        if settled is None:
            # Never in the future, where a clock that is set back would leave it.
            since = min(cursor.restless_since_s if cursor.restless_since_s is not None else now, now)
            if now - since < self._times.restless_s:
                return Found(
                    replace(cursor, restless_since_s=since, seen=state.token, seen_at_s=seen_at_s),
                    reason="The repository is changing; waiting for a pause.",
                )
        return self._scan_request(index, scanned, settled or state, cursor, looked=True)

    def _settled(self, index: OpenIndex, state: RepositoryState) -> RepositoryState | None:
        return settled_state(
            index.folder.repository_root,
            walk_options(index.folder, index.settings),
            state,
            quiet_s=self._times.quiet_s,
            patience_s=self._times.patience_s,
        )

    def _scan_request(
        self, index: OpenIndex, scanned: _Scanned, state: RepositoryState, cursor: SensorCursor, *, looked: bool
    ) -> Found:
        """Ask for a scan of a state, and where a look at the files tells what is new, for parsing that as well."""
        now = time.time()
        if wait := cursor.wait_s(state.token, now):
            return Found(cursor, reason=later(cursor, wait, "The scan of this state of the repository"))
        cursor = cursor.asked(state.token, now)
        # The last scan goes in, because a state that was left may come back.
        run_key = f"{scanned.run_id}:{state.token}:{cursor.attempts}"
        keys = _new_versions(index) if looked else []
        if not keys:
            return Found(cursor, (dg.RunRequest(run_key=run_key, job_name=self._names.prefixed(SCAN_JOB)),))
        with hold(index.folder.locks, Phase.PARSE, wait_s=0):
            ordered = as_one_range(index.instance, index.names.partitions(PARSED_CHUNKS), keys)
        request = dg.RunRequest(run_key=run_key, job_name=self._names.prefixed(CHANGES_JOB), tags=range_tags(ordered))
        return Found(cursor, (request,))


def _last_scan(index: OpenIndex) -> _Scanned:
    event = index.instance.get_latest_materialization_event(index.names.asset_key(SOURCE_FILES))
    if event is None or event.asset_materialization is None:
        return _Scanned()
    value = event.asset_materialization.metadata.get(STATE_METADATA)
    return _Scanned(token=str(value.value) if value is not None else "", run_id=event.run_id)


def _look(index: OpenIndex) -> tuple[RepositoryState, float]:
    """The state of the source, and the seconds until it may be read again."""
    started = time.monotonic()
    state = source_state(index.folder, index.settings)
    return state, max(_LOOK_EVERY_S, (time.monotonic() - started) / _LOOK_SHARE)


def _unparsed(index: OpenIndex, cursor: SensorCursor) -> Found:
    """Files in the manifest whose chunks are missing: after a first scan, a crash, a change of the chunker."""
    stand = digest([chunker_identity(index.settings), *table_versions(index, "files", "chunks")])
    nothing = "The index is up to date with the repository."
    if cursor.idle == stand:
        return Found(cursor, reason=nothing)
    keys = files_to_parse(index, retry_transient=False)
    if not keys:
        return Found(replace(cursor, idle=stand), reason=nothing)
    return request_runs(index, [(PARSE_JOB, keys)], stand, cursor)


def _new_versions(index: OpenIndex) -> list[str]:
    """Partition keys of the file versions that the scan will find new; none for a first scan, which is long."""
    known = known_files(index.store)
    if not known:
        return []
    changes = plan_changes(known, index.repository().scan(known).files)
    return [file_partition_key(file.file_hash, file.file_path) for file in (*changes.new, *changes.changed)]
