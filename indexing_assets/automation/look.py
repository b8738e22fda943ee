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
from code_index.tables import IndexStore
from indexing_assets.automation.sensor_cursor import SensorCursor
from indexing_assets.runs.index_names import CHUNK_VECTORS, PARSED_CHUNKS
from indexing_assets.runs.job_names import EMBED_JOB
from indexing_assets.runs.live_runs import RETRY_LASTING_TAG
from indexing_assets.runs.open_index import OpenIndex
from indexing_assets.runs.partitions import as_one_range, range_tags


@dataclass(frozen=True, slots=True)
class Found:
    """Outcome of a look: a run to ask for, or a reason why not, and the next cursor."""

    cursor: SensorCursor
    request: dg.RunRequest | None = None
    reason: str = ""


class Look(Protocol):
    """One look of a sensor."""

    def take(self, cursor: SensorCursor) -> Found:
        """Compare the cursor with the present state, and say what to run."""


def request_run(index: OpenIndex, job: str, keys: Sequence[str], stand: str, cursor: SensorCursor) -> Found:
    """Ask for one run over all keys, unless the same was asked for too recently.

    Raises:
        IndexBusyError: a command is at work on the phase; moved keys would change what it works on.
    """
    now = time.time()
    target = digest(keys)
    if wait := cursor.wait_s(target, now):
        return Found(cursor, reason=later(cursor, wait, f"A run over the same {len(keys)} partitions"))
    cursor = cursor.asked(target, now)
    embeds = job == EMBED_JOB
    definition = index.names.partitions(CHUNK_VECTORS if embeds else PARSED_CHUNKS)
    with hold(index.folder.locks, Phase.EMBED if embeds else Phase.PARSE, wait_s=0):
        ordered = as_one_range(index.instance, definition, keys)
    # The stand goes in, because a set of keys may be due again at another time.
    run_key = f"{stand}:{target}:{cursor.attempts}"
    # Only a person retries what failed for a reason that lasts.
    tags = range_tags(ordered) | {RETRY_LASTING_TAG: "false"}
    return Found(cursor, dg.RunRequest(run_key=run_key, job_name=index.names.prefixed(job), tags=tags))


def later(cursor: SensorCursor, wait_s: float, what: str) -> str:
    """Reason for not asking again yet for `what`, which was asked for and did not succeed."""
    return (
        f"{what} was asked for {cursor.attempts} times and did not succeed; see the runs. "
        f"The next attempt is in {wait_s:.0f} s."
    )


def table_versions(store: IndexStore, *tables: str) -> list[str]:
    """Versions of tables as text, which changes with every write to one of them."""
    return [f"{name}={store.tables.version(name)}" for name in tables]


def digest(texts: Sequence[str]) -> str:
    """Short text that stands for all texts in their order."""
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]
