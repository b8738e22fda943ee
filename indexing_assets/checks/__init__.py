"""Claims about an index that hold when nothing is lost, doubled, stale or out of step.

Belongs here: plain functions over the tables, Dagster's records and the source, for Dagster's asset
checks and for the command line alike. Does not belong here: how Dagster shows them
(`indexing_assets.checks.asset_checks`) and the repair itself (`indexing_assets.operations.repair`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from code_index.core.errors import UsageError
from indexing_assets.checks import per_run, searching, staleness, whole_index
from indexing_assets.checks.check import Check, CheckOutcome, Severity, Subject, checks_in

__all__ = ["CHECKS", "Check", "CheckOutcome", "Severity", "Subject", "checks_of", "evaluate"]

# In the order in which they are made and shown.
CHECKS: Mapping[str, Check[Subject]] = {
    check.name: check for module in (per_run, whole_index, searching, staleness) for check in checks_in(module)
}


def checks_of(asset: str) -> list[Check[Subject]]:
    """The checks of an asset (its name without that of the index), in the order in which they are made."""
    return [check for check in CHECKS.values() if check.asset == asset]


def evaluate(
    subject: Subject, *, asset: str | None = None, names: Collection[str] | None = None
) -> Iterator[CheckOutcome]:
    """Make checks one after the other: those of an asset, those of these names, or all.

    Raises:
        UsageError: there is no check of that name.
    """
    unknown = sorted(set(names or ()) - CHECKS.keys())
    if unknown:
        raise UsageError(f"There is no check {', '.join(unknown)}. The checks are {', '.join(CHECKS)}.")
    for check in CHECKS.values():
        if (asset is None or check.asset == asset) and (names is None or check.name in names):
            yield check(subject)
