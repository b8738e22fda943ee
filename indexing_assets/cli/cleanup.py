"""`code-index cleanup`: free the disk space that nothing needs."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from indexing_assets.cli.options import (
    confirm_loss,
    folder_of,
    index_dir_option,
    repository_argument,
    wait_option,
    yes_option,
)
from indexing_assets.cli.output import human_bytes, say
from indexing_assets.upkeep.retention import USUAL, Retention

if TYPE_CHECKING:
    from code_index.index.folder import IndexFolder
    from indexing_assets.upkeep.expiry import Expired


@click.command("cleanup")
@repository_argument
@index_dir_option
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@click.option(
    "--keep-versions-minutes",
    type=click.IntRange(10),
    default=USUAL.versions // timedelta(minutes=1),
    show_default=True,
    help="Minutes to keep old versions of the tables; a long read may need one.",
)
@click.option(
    "--keep-unused-vectors-days",
    type=click.IntRange(0),
    default=USUAL.unused_vectors // timedelta(days=1),
    show_default=True,
    help="Days to keep vectors of code that is gone; code that returns then needs no model call.",
)
@click.option(
    "--keep-runs",
    type=click.IntRange(1),
    default=USUAL.runs,
    show_default=True,
    help="Dagster runs to keep in full; of older ones only what partitions need stays.",
)
@click.option(
    "--old-index",
    is_flag=True,
    help="Also remove the old table that `code-index migrate` imported, and its backup.",
)
@yes_option
@wait_option
def command(
    path: Path | None,
    index_dir: Path | None,
    dry_run: bool,
    keep_versions_minutes: int,
    keep_unused_vectors_days: int,
    keep_runs: int,
    old_index: bool,
    yes: bool,
    wait: bool,
) -> None:
    """Compact the tables and remove old versions, orphaned files, unused vectors and old records.

    Safe while others search or index.
    """
    from code_index.index.contents import folder_bytes
    from indexing_assets.cli.terminal_progress import tell_waiting
    from indexing_assets.operations.pipeline import Pipeline
    from indexing_assets.upkeep.expiry import find_expired

    folder = folder_of(path, index_dir)
    folder.check()
    kept = Retention(timedelta(minutes=keep_versions_minutes), timedelta(days=keep_unused_vectors_days), keep_runs)
    with Pipeline(folder, wait_s=None if wait else 0.0, on_wait=tell_waiting) as pipeline:
        expired = find_expired(pipeline.index, kept)
        _show(expired, "Would remove" if dry_run else "Removing")
        if old_index:
            _show_old_index(folder)
        if dry_run:
            return
        if old_index:
            confirm_loss("Remove the old index for good?", yes=yes)
        before = folder_bytes(folder.path)
        result = pipeline.cleanup(kept)
    if result.error is not None:
        raise click.ClickException(f"{result.error} (Dagster run {result.run_id}). What is indexed has not changed.")
    if old_index:
        from indexing_assets.operations.migration import remove_old_index

        say(f"The old index is gone: {human_bytes(remove_old_index(folder))} freed.")
    after = folder_bytes(folder.path)
    freed = before - after
    change = f"{human_bytes(freed)} freed"
    if freed < 0:
        change = (
            f"{human_bytes(-freed)} more for now, because replaced data stays for its readers for "
            f"{keep_versions_minutes} minutes"
        )
    say(f"The index takes {human_bytes(after)}: {change}.")


def _show_old_index(folder: "IndexFolder") -> None:
    from code_index.core.errors import UsageError
    from indexing_assets.operations.migration import read_record, refuse_foreign_table

    if (record := read_record(folder)) is None:
        raise UsageError(f"{folder.path} does not come from a migration: there is no old index to remove.")
    refuse_foreign_table(record, folder)
    say(f"  the old table {record['table']} and its backup {folder.backup_dir}")


def _show(expired: "Expired", verb: str) -> None:
    records = expired.records
    spare = max(0, expired.table_bytes - expired.live_bytes)
    say(f"{verb}:")
    say(
        f"  {expired.old_versions:,} old versions of tables (all versions but the last and the indexes: "
        f"{human_bytes(spare)})"
    )
    say(f"  {expired.leftovers:,} files that killed writers left ({human_bytes(expired.leftover_bytes)})")
    say(f"  {expired.unused_vectors:,} vectors whose code is gone")
    say(
        f"  {len(records.events):,} events, {len(records.runs):,} runs and {len(records.logs):,} logs of runs of "
        f"Dagster's records ({human_bytes(records.log_bytes)})"
    )
    say(f"  {expired.small_batches:,} small batches, merged into {expired.merged_batches:,}")
    library = expired.library
    say(
        f"  {library.expired:,} of {library.vectors:,} vectors in the library that indexes share "
        f"({human_bytes(library.vector_bytes)})"
    )
