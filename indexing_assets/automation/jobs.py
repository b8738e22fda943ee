"""One job per asset, so that a phase can be launched, watched and scheduled by itself, and one for changes."""

from collections.abc import Mapping

import dagster as dg

from indexing_assets.runs.index_names import IndexNames
from indexing_assets.runs.job_names import (
    ASSETS_OF_JOB,
    CHANGES_JOB,
    CLEANUP_JOB,
    EMBED_JOB,
    LIBRARY_JOB,
    MAINTAIN_JOB,
    PARSE_JOB,
    SCAN_JOB,
)
from resources.dagster_internals import UnresolvedAssetJobDefinition

_DESCRIPTIONS: Mapping[str, str] = {
    SCAN_JOB: "Scan the repository for new, changed and deleted files.",
    PARSE_JOB: "Phase 1: parse file versions into chunks.",
    CHANGES_JOB: "Scan the repository, then parse the file versions of the run.",
    EMBED_JOB: "Phase 2: embed batches of chunks.",
    LIBRARY_JOB: "Embed batches of chunks for the shared libraries, one of several such runs on as many hosts.",
    MAINTAIN_JOB: "Scan, bring the search indexes up to date, free disk space, check the whole index, report on it.",
    CLEANUP_JOB: "Bring the search indexes up to date and free disk space: what `code-index cleanup` does.",
}


def build_asset_jobs(names: IndexNames, *, several_hosts: bool = False) -> dict[str, UnresolvedAssetJobDefinition]:
    """The jobs that materialize assets of an index, by their names without that of the index.

    Args:
        names: names of the index.
        several_hosts: with the job of the hosts that embed it together.
    """
    return {
        job: dg.define_asset_job(
            names.prefixed(job),
            selection=dg.AssetSelection.assets(*map(names.asset_key, assets)),
            description=_DESCRIPTIONS[job],
            # One process a run: a step has no work that others could share, and a start costs seconds.
            executor_def=dg.in_process_executor,
        )
        for job, assets in ASSETS_OF_JOB.items()
        if several_hosts or job != LIBRARY_JOB
    }
