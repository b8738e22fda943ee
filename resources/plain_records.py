"""Dagster's records of an index, read without Dagster, whose import takes longer than all that a look at an index needs.

Belongs here: what `code-index status` shows of them. Does not belong here: anything that writes, and storages that
`dagster.yaml` names, which only Dagster can open.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from resources.instance_config import instance_config

_EVENTS = "history/runs/index.db"
# Few of them have the entry: the others are not parsed.
_NEWEST = """
    SELECT run_id, event FROM (
        SELECT id, run_id, event FROM event_logs
        WHERE asset_key = ? AND dagster_event_type = 'ASSET_MATERIALIZATION' ORDER BY id DESC LIMIT ?
    ) WHERE instr(event, ?) ORDER BY id DESC
"""


class PlainRecords:
    """The project's own event log in the folder of an index."""

    def __init__(self, dagster_home: Path) -> None:
        self._database = dagster_home / _EVENTS

    @classmethod
    def of(cls, dagster_home: Path) -> PlainRecords | None:
        """Return the records; None where they have to be asked of Dagster, as its `dagster.yaml` was changed."""
        records = cls(dagster_home)
        try:
            is_ours = (dagster_home / "dagster.yaml").read_text("utf-8") == instance_config()
        except (OSError, UnicodeDecodeError):
            return None
        return records if is_ours and records._database.is_file() else None

    def newest_materializations(
        self, asset: str, *, limit: int, entry: str
    ) -> Iterator[tuple[str, float, dict[str, Any]]]:
        """Yield run id, seconds since 1970 and metadata of those of an asset's newest materializations that have an entry.

        Args:
            asset: its name.
            limit: so many materializations are looked at; the newest comes first.
            entry: name in the metadata.

        Raises:
            sqlite3.Error: the file is damaged.
        """
        # Not read-only: of a write-ahead log without its index, SQLite has to make one.
        with closing(sqlite3.connect(self._database, timeout=10)) as database:
            rows = database.execute(_NEWEST, (json.dumps([asset]), limit, json.dumps(entry))).fetchall()
        for run_id, text in rows:
            event = json.loads(text)
            entries = event["dagster_event"]["event_specific_data"]["materialization"]["metadata_entries"]
            values = {entry["label"]: entry["entry_data"] for entry in entries}
            yield (
                run_id,
                event["timestamp"],
                {label: data.get("value", data.get("text")) for label, data in values.items()},
            )
