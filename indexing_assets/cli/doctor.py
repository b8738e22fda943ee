"""`code-index doctor`: check an index, say what is wrong, and fix it."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from indexing_assets.cli.options import folder_of, index_dir_option, json_option, repository_argument
from indexing_assets.cli.output import say, say_json, tell

if TYPE_CHECKING:
    from indexing_assets.checks import CheckOutcome


@click.command("doctor")
@repository_argument
@index_dir_option
@click.option("--repair", "fix", is_flag=True, help="Fix what can be fixed without loss.")
@click.option("--verify", is_flag=True, help="Read every file of the repository, not only a sample of 500.")
@json_option
def command(path: Path | None, index_dir: Path | None, fix: bool, verify: bool, as_json: bool) -> None:
    """Check tables, Dagster's records, partitions, locks, model, disk and versions against each other.

    Exits with 1 if something is wrong, with 0 if something is only late.
    """
    from indexing_assets.operations.examination import examine
    from indexing_assets.operations.repair import repair

    folder = folder_of(path, index_dir)
    if not folder.exists:
        folder.check()
    found = list(examine(folder, every_file=verify))
    failed = {item.name for item in found if not item.passed}
    if fix and any(item.repair for item in found):
        _show(found, as_json=False, to_error=as_json)
        repair(folder, failed, tell=tell)
        tell("Checking again.")
        found = list(examine(folder, every_file=verify))
    _show(found, as_json=as_json)
    if any(_is_wrong(item) for item in found):
        raise click.exceptions.Exit(1)


def _is_wrong(item: "CheckOutcome") -> bool:
    from indexing_assets.checks import Severity

    return not item.passed and item.severity is Severity.ERROR


def _show(found: "list[CheckOutcome]", *, as_json: bool, to_error: bool = False) -> None:
    if as_json:
        say_json([asdict(item) for item in found])
        return
    show = tell if to_error else say
    for item in found:
        mark = "ok     " if item.passed else "WRONG  " if _is_wrong(item) else "warning"
        title = item.name.replace("_", " ")
        show(f"{mark}  {title}")
        if not item.passed:
            show(f"         {item.description}")
            if item.repair:
                show(f"         --repair would: {item.repair}.")
    wrong = sum(map(_is_wrong, found))
    late = sum(not item.passed for item in found) - wrong
    repairable = any(item.repair for item in found)
    said = "All is well." if not wrong and not late else f"{wrong} wrong, {late} to be aware of."
    hint = " `code-index doctor --repair` fixes what can be fixed without loss." if repairable else ""
    show(f"{len(found)} checks: {said}{hint}")
