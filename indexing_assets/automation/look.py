"""A look of a sensor: what it found, and the run that it asks for.

Belongs here: what both sensors share. Does not belong here: what each of them looks at
(`indexing_assets.automation.changes_look`, `pending_look`).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import dagster as dg

from code_index.index.locks import Phase, hold
from indexing_assets.automation.sensor_cursor import SensorCursor
from indexing_assets.runs.index_names import ASSETS, CHUNK_VECTORS, PARSED_CHUNKS
from indexing_assets.runs.job_names import PARSE_JOB
from indexing_assets.runs.live_runs import RETRY_LASTING_TAG
from indexing_assets.runs.open_index import OpenIndex
from indexing_assets.runs.partitions import as_one_range, range_tags

_LOOKED_AT_LEAST_EVERY_S = 3600


@dataclass(frozen=True, slots=True)
class Found:
    """Outcome of a look: runs to ask for, or a reason why not, and the next cursor."""

    cursor: SensorCursor
    requests: tuple[dg.RunRequest, ...] = ()
    reason: str = ""


class Look(Protocol):
    """One look of a sensor."""

    def take(self, cursor: SensorCursor) -> Found:
        """Compare the cursor with the present state, and say what to run."""


def request_runs(
    index: OpenIndex, shares: Sequence[tuple[str, Sequence[str]]], stand: str, cursor: SensorCursor
) -> Found:
    """Ask for a run of a job over each share of keys, unless the same was asked for too recently.

    Args:
        index: whose partitions they are.
        shares: job and keys of each run; no key twice, and no run is at work on one.
        stand: names the state of the tables.
        cursor: of the sensor.

    Raises:
        IndexBusyError: a command is at work on the phase; moved keys would change what it works on.
    """
    now = time.time()
    targets = [digest(keys) for _, keys in shares]
    target = targets[0] if len(targets) == 1 else digest(targets)
    if wait := cursor.wait_s(target, now):
        return Found(
            cursor, reason=later(cursor, wait, f"A run over the same {sum(len(keys) for _, keys in shares)} partitions")
        )
    cursor = cursor.asked(target, now)
    requests = []
    for (job, keys), of_share in zip(shares, targets, strict=True):
        parses = job == PARSE_JOB
        definition = index.names.partitions(PARSED_CHUNKS if parses else CHUNK_VECTORS)
        with hold(index.folder.locks, Phase.PARSE if parses else Phase.EMBED, wait_s=0):
            ordered = as_one_range(index.instance, definition, keys)
        # The stand goes in, because a set of keys may be due again at another time.
        run_key = f"{stand}:{of_share}:{cursor.attempts}"
        # Only a person retries what failed for a reason that lasts.
        tags = range_tags(ordered) | {RETRY_LASTING_TAG: "false"}
        requests.append(dg.RunRequest(run_key=run_key, job_name=index.names.prefixed(job), tags=tags))
    return Found(cursor, tuple(requests))


def later(cursor: SensorCursor, wait_s: float, what: str) -> str:
    """Reason for not asking again yet for `what`, which was asked for and did not succeed."""
    return (
        f"{what} was asked for {cursor.attempts} times and did not succeed; see the runs. "
        f"The next attempt is in {wait_s:.0f} s."
    )


def table_versions(index: OpenIndex, *tables: str) -> list[str]:
    """Versions of tables as text, which changes with every write to one of them.

    At a store each version is a request that costs, at every tick: there it is what Dagster's records say of the runs that
    write, and the hour, since a run that was killed may have written without a record.
    """
    if index.folder.tables_at is None:
        return [f"{name}={index.store.tables.version(name)}" for name in tables]
    records = index.instance.get_asset_records([index.names.asset_key(asset) for asset in ASSETS])
    newest = (record.asset_entry.last_materialization_record for record in records)
    written = max((record.storage_id for record in newest if record is not None), default=0)
    return [f"written={written}", f"hour={int(time.time() / _LOOKED_AT_LEAST_EVERY_S)}"]


def digest(texts: Sequence[str]) -> str:
    """Short text that stands for all texts in their order."""
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]
