"""The cursor of a sensor: its memory between two looks, as text that Dagster keeps.

Belongs here: the cursor, and how long to wait before the same is asked for again. Does not belong
here: what is to be asked for (`indexing_assets.automation.look`).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Final

FIRST_WAIT_S: Final = 10.0
LONGEST_WAIT_S: Final = 3_600.0


@dataclass(frozen=True, slots=True)
class SensorCursor:
    """The cursor of a sensor.

    `target` names what was last asked for, `attempts` how often in a row, `requested_at_s` when
    (seconds since 1970). `idle` names the state of the tables in which there was nothing to do.
    `restless_since_s` is when the repository began to change without a pause, or None; `seen` names the state in which the
    last look found it, and `seen_at_s` is when it was first seen so. `host_asked_at_s` is when the git host of the source was
    last asked for its commit.
    """

    target: str = ""
    attempts: int = 0
    requested_at_s: float = 0.0
    idle: str = ""
    restless_since_s: float | None = None
    seen: str = ""
    seen_at_s: float = 0.0
    host_asked_at_s: float = 0.0

    @classmethod
    def from_text(cls, text: str | None) -> SensorCursor:
        """Read a cursor; one that another version wrote counts as none, which costs a look at the tables."""
        try:
            return cls(**json.loads(text)) if text else cls()
        except (ValueError, TypeError):
            return cls()

    def to_text(self) -> str:
        """The cursor as JSON."""
        return json.dumps(asdict(self))

    def wait_s(self, target: str, now_s: float) -> float:
        """Seconds until `target` may be asked for: none, unless it was asked for before and did not succeed.

        Each attempt doubles the wait, from 10 seconds to an hour.
        """
        if target != self.target or not self.attempts:
            return 0.0
        wait = min(FIRST_WAIT_S * 2.0 ** min(self.attempts - 1, 30), LONGEST_WAIT_S)
        return max(0.0, min(wait, self.requested_at_s + wait - now_s))

    def asked(self, target: str, now_s: float) -> SensorCursor:
        """The cursor after `target` was asked for."""
        attempts = self.attempts + 1 if target == self.target else 1
        return replace(self.at_rest(), target=target, attempts=attempts, requested_at_s=now_s)

    def at_rest(self) -> SensorCursor:
        """The cursor while the repository does not change."""
        return replace(self, restless_since_s=None, seen="", seen_at_s=0.0)
