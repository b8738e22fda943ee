"""Claims about an index that hold when nothing is lost, doubled, stale or out of step.

Belongs here: plain functions over the tables, Dagster's records and the source, for Dagster's asset
checks and for the command line alike. Does not belong here: how Dagster shows them
(`indexing_assets.checks.asset_checks`) and the mending itself: each failure names the command that does it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from code_index.core.errors import UsageError
from indexing_assets.checks.outcomes import Check, CheckOutcome, Severity, Subject
from indexing_assets.checks.per_run import (
    chunk_ids_are_unique,
    every_chunk_has_a_batch_with_a_partition,
    every_indexed_file_has_its_partition,
    every_vector_has_its_chunk,
    no_chunk_has_two_vectors,
    no_rows_of_files_that_are_gone,
    one_model_per_table,
    stored_chunks_match_the_manifest,
    vectors_are_finite_and_of_unit_length,
)
from indexing_assets.checks.searching import search_indexes_are_current, searching_finds_what_is_indexed
from indexing_assets.checks.whole_index import (
    every_chunk_has_its_vector,
    no_partition_is_left_failed,
    records_agree_with_the_tables,
    source_matches_the_manifest,
    stored_chunks_are_of_the_current_chunker,
    stored_vectors_are_of_the_current_model,
    tables_can_be_read,
)

__all__ = ["CHECKS", "Check", "CheckOutcome", "Severity", "Subject", "checks_of", "evaluate"]

CHECKS: Mapping[str, Check] = {
    check.name: check
    for check in (
        every_indexed_file_has_its_partition,
        no_rows_of_files_that_are_gone,
        stored_chunks_match_the_manifest,
        chunk_ids_are_unique,
        every_chunk_has_a_batch_with_a_partition,
        every_vector_has_its_chunk,
        no_chunk_has_two_vectors,
        vectors_are_finite_and_of_unit_length,
        one_model_per_table,
        tables_can_be_read,
        records_agree_with_the_tables,
        every_chunk_has_its_vector,
        no_partition_is_left_failed,
        search_indexes_are_current,
        searching_finds_what_is_indexed,
        stored_chunks_are_of_the_current_chunker,
        stored_vectors_are_of_the_current_model,
        source_matches_the_manifest,
    )
}


def checks_of(asset: str) -> list[Check]:
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
