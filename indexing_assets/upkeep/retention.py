"""Retention of what nothing needs any more, where nobody says otherwise.

Imports nothing heavy: the command line shows the usual values in its help.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Retention:
    """Time for which old versions of tables and vectors without code stay, and number of Dagster's runs kept in full."""

    versions: timedelta = timedelta(hours=1)
    unused_vectors: timedelta = timedelta(days=30)
    runs: int = 200


USUAL = Retention()
