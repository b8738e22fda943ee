"""`code-index migrate`: import an index of the single-table kind."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from indexing_assets.cli.interrupts import saying_what_is_kept
from indexing_assets.cli.options import (
    FOLDER,
    confirm_loss,
    folder_of,
    index_dir_option,
    json_option,
    repository_argument,
    wait_option,
    yes_option,
)
from indexing_assets.cli.output import confirm, say, say_state, tell

if TYPE_CHECKING:
    from code_index.index.folder import IndexFolder
    from indexing_assets.operations.migration import MigrationReport, Plan

_FILES = {
    "unchanged": "unchanged: the next index keeps them",
    "changed": "changed since: searched as they were until the next index parses them",
    "gone": "gone: searched as they were until the next index removes them",
    "not indexed any more": "excluded by today's rules: the next index removes them",
}


@click.command("migrate")
@repository_argument
@index_dir_option
@click.option("--dry-run", is_flag=True, help="Read everything, say what would be done, and write nothing.")
@click.option("--rollback", is_flag=True, help="Undo a migration whose backup is still there.")
@click.option(
    "--from",
    "source",
    type=FOLDER,
    help="Folder of the old index; by default the one in the repository.",
)
@click.option("--model", help="The model that made its vectors, if its config does not name one.")
@click.option("--old-root", help="The folder that its absolute paths begin with, if its config does not name one.")
@json_option
@yes_option
@wait_option
def command(
    path: Path | None,
    index_dir: Path | None,
    dry_run: bool,
    rollback: bool,
    source: Path | None,
    model: str | None,
    old_root: str | None,
    as_json: bool,
    yes: bool,
    wait: bool,
) -> None:
    """Import the single-table index of the repository at PATH, without a model call.

    The old index stays as it is, and stays searchable. `code-index cleanup --old-index` removes it later.
    """
    from indexing_assets.operations import migration

    folder = folder_of(path, index_dir)
    if rollback:
        confirm_loss(
            f"Remove all that {folder.path} holds of the imported index and of what was indexed since?", yes=yes
        )
        record = migration.roll_back(folder)
        say(f"Undone: {folder.path} is empty again. The old index is in {record['source']}, as it was.")
        return
    plan = migration.plan_migration(folder, source=source, model=model, old_root=old_root)
    go_on = f"Stopped. The old index is as it was. Go on: code-index migrate {folder.repository_root}"
    with saying_what_is_kept(lambda: go_on):
        report = _run(plan, dry_run=dry_run, wait=wait)
    if as_json:
        say_state(asdict(report))
        return
    _show(report, dry_run=dry_run)
    if dry_run:
        say("Nothing was written.")
    else:
        say(f"Next: code-index index {folder.repository_root}")
        say("Undo: code-index migrate --rollback. Remove the old index: code-index cleanup --old-index")


def offer_migration(folder: "IndexFolder", *, wait: bool) -> None:
    """Say that the repository has an old index, and import it if a person at a terminal agrees."""
    from code_index.core.errors import MigrationError
    from indexing_assets.operations import migration

    try:
        old = migration.find_unmigrated(folder)
    except MigrationError as error:
        tell(f"There is an older index that cannot be imported: {error}")
        return
    if old is None:
        return
    tell(
        f"{old.folder} holds an older index ({old.program}). `code-index migrate {folder.repository_root}` imports "
        "it without embedding anything again."
    )
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        tell("Indexing from scratch.")
    elif confirm("Import it now?"):
        _show(_run(migration.plan_migration(folder), dry_run=False, wait=wait), dry_run=False)


def _run(plan: "Plan", *, dry_run: bool, wait: bool) -> "MigrationReport":
    from indexing_assets.cli.terminal_progress import showing_progress, tell_waiting
    from indexing_assets.operations import migration

    with showing_progress():
        if dry_run:
            return migration.dry_run(plan)
        return migration.migrate(plan, wait_s=None if wait else 0.0, on_wait=tell_waiting)


def _show(report: "MigrationReport", *, dry_run: bool) -> None:
    verb = "Would import" if dry_run else "Imported"
    say(f"{verb} {report.source} ({report.program}), model {report.model_id}")
    say(f"  {report.rows:,} rows: {report.chunks:,} chunks, {report.vectors:,} vectors")
    left_out = {
        "repeat another row": report.repeated_rows,
        "are of files outside its root": report.rows_from_elsewhere,
        **{f"cannot be used ({reason})": count for reason, count in report.unusable_rows.items()},
    }
    for reason, count in left_out.items():
        if count:
            say(f"  {count:,} rows {reason}; they stay in the old table and in the backup")
    if report.chunks_without_vector:
        say(f"  {report.chunks_without_vector:,} chunks have no usable vector; the next index embeds them")
    if report.normalized_vectors:
        say(f"  {report.normalized_vectors:,} vectors were brought to unit length")
    for kind, count in report.files.items():
        names = ", ".join(report.examples.get(kind, ()))
        shown = "" if kind == "unchanged" else f" ({names}{', ...' if count > len(report.examples[kind]) else ''})"
        say(f"  {count:,} files {_FILES.get(kind, kind)}{shown}")
    for note in report.notes:
        say(f"  Note: {note}")
    if not dry_run:
        say(f"  Verified: all counts, and {report.verified_vectors:,} vectors bit by bit")
    say(f"{report.seconds:.1f} s")
