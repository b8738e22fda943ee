"""Claims about what a Dagster instance keeps of an index, beside the tables; only `code-index doctor` makes them."""

from __future__ import annotations

from indexing_assets.checks.check import REPAIR, Finding, Severity, check
from indexing_assets.runs.index_names import PARSED_CHUNKS
from indexing_assets.runs.live_runs import dead_runs
from indexing_assets.runs.open_index import OpenIndex

# Dagster advises no more partitions of an asset than 100,000.
_MANY_PARTITIONS = 90_000


@check(repair="mark the run as failed; what it stored stays")
def runs_have_a_living_process(index: OpenIndex) -> Finding:
    """Every run that shows as under way has a process."""
    return Finding(
        [run.run_id for run in dead_runs(index.instance, index)], "run", "without a process", fix=f"`{REPAIR}`"
    )


@check(severity=Severity.WARNING)
def partitions_are_not_too_many(index: OpenIndex) -> Finding:
    """There are fewer file partitions than Dagster can show well."""
    count = len(index.partition_keys(PARSED_CHUNKS))
    return Finding(
        [f"parsed_chunks ({count:,} partitions)"] if count >= _MANY_PARTITIONS else [],
        noun="asset",
        problem="near the 100,000 partitions that Dagster advises at most",
        fix="exclude generated or vendored files in .codeindexignore, or index folders of the repository separately",
        figures={"partitions": count},
    )
