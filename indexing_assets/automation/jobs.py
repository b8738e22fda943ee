"""One job per asset, so that a phase can be launched, watched and scheduled by itself, and one for changes."""

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from indexing_assets.runs.dagster_runs import CHANGES_JOB, CLEANUP_JOB, EMBED_JOB, MAINTAIN_JOB, PARSE_JOB, SCAN_JOB
from indexing_assets.runs.index_names import (
    CHUNK_VECTORS,
    INDEX_REPORT,
    PARSED_CHUNKS,
    SEARCH_INDEXES,
    SOURCE_FILES,
    IndexNames,
)


def build_asset_jobs(names: IndexNames) -> dict[str, UnresolvedAssetJobDefinition]:
    """The jobs that materialize assets of an index, by their names without that of the index."""

    def job(name: str, description: str, *assets: str) -> tuple[str, UnresolvedAssetJobDefinition]:
        return name, dg.define_asset_job(
            names.prefixed(name),
            selection=dg.AssetSelection.assets(*(names.asset_key(asset) for asset in assets)),
            description=description,
        )

    jobs = [
        job(SCAN_JOB, "Scan the repository for new, changed and deleted files.", SOURCE_FILES),
        job(PARSE_JOB, "Phase 1: parse file versions into chunks.", PARSED_CHUNKS),
        job(CHANGES_JOB, "Scan the repository, then parse the file versions of the run.", SOURCE_FILES, PARSED_CHUNKS),
        job(EMBED_JOB, "Phase 2: embed batches of chunks.", CHUNK_VECTORS),
        job(
            MAINTAIN_JOB,
            "Scan, bring the search indexes up to date, give back disk space, check the whole index, report on it.",
            SOURCE_FILES,
            SEARCH_INDEXES,
            INDEX_REPORT,
        ),
        job(
            CLEANUP_JOB,
            "Bring the search indexes up to date and give back disk space: what `code-index cleanup` does.",
            SEARCH_INDEXES,
        ),
    ]
    return dict(jobs)
