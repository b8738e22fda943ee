"""The jobs of an index by their names, and which assets each of them materializes."""

from collections.abc import Mapping

from indexing_assets.runs.index_names import (
    CHUNK_VECTORS,
    INDEX_REPORT,
    LANGUAGE_FIGURES,
    LIBRARY_VECTORS,
    PARSED_CHUNKS,
    REFERENCES,
    SEARCH_INDEXES,
    SOURCE_FILES,
)

SCAN_JOB = "scan_source_files_job"
PARSE_JOB = "parse_chunks_job"
CHANGES_JOB = "index_changes_job"
EMBED_JOB = "embed_chunks_job"
LIBRARY_JOB = "embed_for_library_job"
MAINTAIN_JOB = "maintain_index_job"
CLEANUP_JOB = "clean_index_job"
RERUN_JOB = "rerun_failed_partitions"
PARTITIONS_JOB = "materialize_partitions"

RUN_JOB_VARIABLE = "DAGSTER_RUN_JOB_NAME"
"""Names the job of the run whose process this is; Dagster's launchers for Kubernetes and Ray set it, ours for Celery too."""

ASSETS_OF_JOB: Mapping[str, tuple[str, ...]] = {
    SCAN_JOB: (SOURCE_FILES,),
    PARSE_JOB: (PARSED_CHUNKS, REFERENCES),
    CHANGES_JOB: (SOURCE_FILES, PARSED_CHUNKS, REFERENCES),
    EMBED_JOB: (CHUNK_VECTORS,),
    LIBRARY_JOB: (LIBRARY_VECTORS,),
    MAINTAIN_JOB: (SOURCE_FILES, SEARCH_INDEXES, LANGUAGE_FIGURES, INDEX_REPORT),
    CLEANUP_JOB: (SEARCH_INDEXES,),
}
JOBS = (*ASSETS_OF_JOB, RERUN_JOB, PARTITIONS_JOB)
