"""`code-index index`: scan, parse and embed."""

import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from code_index.core.errors import UsageError
from indexing_assets.cli.dry_run import show_forecast
from indexing_assets.cli.interrupts import saying_what_is_kept, stop_if_interrupted
from indexing_assets.cli.options import folder_of, index_dir_option, repository_argument, wait_option
from indexing_assets.cli.outcome import print_outcome, print_unchanged, what_is_kept
from indexing_assets.cli.output import tell

if TYPE_CHECKING:
    from code_index.index.folder import IndexFolder
    from indexing_assets.operations.pipeline import Complete, Pipeline
    from indexing_assets.runs.in_process import PhaseResult

# Further scans for files that change between scan and parse.
_RESCANS = 2
# From then on the copies that compaction left may be removed, which takes a run.
_UNTIL_COPIES_GO = timedelta(minutes=20)
_PHASES = {"1": "parse", "2": "embed"}


@click.command("index")
@repository_argument
@index_dir_option
@click.option(
    "--phase",
    type=click.Choice(["parse", "embed", "all", "1", "2"]),
    default="all",
    show_default=True,
    help="Phase to run; 1 is parse, 2 is embed.",
)
@click.option("--force", is_flag=True, help="Parse and embed everything again.")
@click.option("--verify", is_flag=True, help="Compare contents, not only sizes and times.")
@click.option("--dry-run", is_flag=True, help="Say what would be done and how long it takes, and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="With --dry-run: print JSON.")
@wait_option
def command(
    path: Path | None,
    index_dir: Path | None,
    phase: str,
    force: bool,
    verify: bool,
    dry_run: bool,
    as_json: bool,
    wait: bool,
) -> None:
    """Index the repository at PATH: parse what changed, then embed it.

    An unchanged repository costs a look at the sizes and times of its files. A stopped run continues where it was.
    """
    if as_json and not dry_run:
        raise UsageError("--json is for --dry-run; `code-index status --json` has the figures of an index.")
    if dry_run and (force or verify or phase != "all"):
        raise UsageError("--dry-run is about a usual run: leave --force, --verify and --phase out.")
    if dry_run:
        show_forecast(folder_of(path, index_dir), as_json=as_json)
        return
    run(
        path,
        index_dir,
        phase=_PHASES.get(phase, phase),
        force=force,
        verify=verify,
        wait=wait,
        retry_failed=False,
    )


def run(
    path: Path | None,
    index_dir: Path | None,
    *,
    phase: str,
    force: bool,
    verify: bool,
    wait: bool,
    retry_failed: bool,
) -> None:
    """Run the phases and report; exits with 1 when something failed.

    Raises:
        CodeIndexError: the index cannot be opened or is busy.
    """
    from code_index.index.unchanged_marker import read_marker

    started = time.perf_counter()
    folder = folder_of(path, index_dir)
    as_usual = phase == "all" and not (force or verify or retry_failed)
    if as_usual and (counts := read_marker(folder)) is not None:
        print_unchanged(counts, seconds=time.perf_counter() - started)
        return

    with saying_what_is_kept(lambda: what_is_kept(folder)):
        code = _run(folder, started, phase=phase, force=force, verify=verify, wait=wait, retry_failed=retry_failed)
    if code:
        raise click.exceptions.Exit(code)


def _run(
    folder: "IndexFolder", started: float, *, phase: str, force: bool, verify: bool, wait: bool, retry_failed: bool
) -> int:
    is_first = not folder.exists
    prepare(folder, wait=wait)
    from indexing_assets.cli.terminal_progress import showing_progress, tell_waiting
    from indexing_assets.operations.pipeline import Pipeline

    with Pipeline(folder, wait_s=None if wait else 0.0, on_wait=tell_waiting) as pipeline:
        if phase in {"embed", "all"}:
            # A model that is missing must be known before anything is parsed.
            _ = pipeline.model_id
        with showing_progress():
            results = run_phases(pipeline, phase, force=force, verify=verify, retry_failed=retry_failed)
        code = print_outcome(pipeline, results, seconds=time.perf_counter() - started)
        complete = pipeline.nothing_left(results["scan"]) if phase == "all" and not code else None
    if complete is not None:
        mark_complete(folder, complete)
        if is_first:
            tell('Next: code-index search "..." there, and `code-index setup` to tell coding agents of it.')
    return code


def prepare(folder: "IndexFolder", *, wait: bool) -> None:
    """Say that a first index is made, and what else is indexed of the repository; offer to import an older index of it."""
    if not folder.exists:
        tell(f"Indexing {folder.repository_root} ...")  # what is imported next takes a second or two
    from code_index.index.folder import index_above
    from indexing_assets.cli.migrate import offer_migration

    if not folder.exists and (above := index_above(folder)) is not None:
        tell(
            f"{above} is indexed, with the files of {folder.repository_root}. This makes an index of its own, which "
            f"commands in {folder.repository_root} use from then on; delete {folder.path} to go back."
        )
    offer_migration(folder, wait=wait)


def mark_complete(folder: "IndexFolder", complete: "Complete") -> None:
    """Note that nothing is left to do, so that the next `index` only looks."""
    from code_index.index.unchanged_marker import TRUSTED_FOR, write_marker

    write_marker(
        folder,
        token=complete.token,
        tables=complete.tables,
        counts=complete.counts,
        trusted_for=_UNTIL_COPIES_GO if complete.copies else TRUSTED_FOR,
    )


def run_phases(
    pipeline: "Pipeline", phase: str, *, force: bool = False, verify: bool = False, retry_failed: bool = False
) -> dict[str, "PhaseResult"]:
    """Run the scan and `phase` (parse, embed or all); a phase that fails as a whole is the last one."""
    results: dict[str, PhaseResult] = {}
    if phase in {"parse", "all"}:
        pipeline.start_parser()
        results["scan"] = pipeline.scan(verify=verify)
        stop_if_interrupted()
        if results["scan"].error is None:
            results["parse"] = pipeline.parse(force=force, retry_failed=retry_failed)
            for _ in range(_RESCANS):
                if not pipeline.changed_since_scan():
                    break
                results["scan"] = pipeline.scan()
                results["parse"] = results["parse"].plus(pipeline.parse())
        stop_if_interrupted()
    if phase in {"embed", "all"} and all(r.error is None or r.partial for r in results.values()):
        results["embed"] = pipeline.embed(force=force, retry_failed=retry_failed)
        stop_if_interrupted()
    return results
