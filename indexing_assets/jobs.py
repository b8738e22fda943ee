"""One job per asset: a phase can be launched, watched and scheduled by itself."""

import dagster as dg

SCAN_JOB = "scan_source_files_job"
PARSE_JOB = "parse_chunks_job"
EMBED_JOB = "embed_chunks_job"

scan_source_files_job = dg.define_asset_job(
    SCAN_JOB, selection=["source_files"], description="Scan the repository for new, changed and deleted files."
)
parse_chunks_job = dg.define_asset_job(
    PARSE_JOB,
    selection=["parsed_chunks"],
    description="Phase 1: parse file versions into chunks.",
)
embed_chunks_job = dg.define_asset_job(
    EMBED_JOB,
    selection=["chunk_vectors"],
    description="Phase 2: embed batches of chunks.",
)
