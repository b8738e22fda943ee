"""`code-index resume`: continue after an interruption or a failure.

It is `code-index index`; `--failed` adds `retry_failed` to the plans (`indexing_assets.runs.planning`).
"""

from pathlib import Path

import click

from indexing_assets.cli.options import folder_of, index_dir_option, repository_argument, wait_option


@click.command("resume")
@repository_argument
@index_dir_option
@click.option("--failed", is_flag=True, help="Also retry what failed for a reason that lasts.")
@wait_option
def command(path: Path | None, index_dir: Path | None, failed: bool, wait: bool) -> None:
    """Finish what an interrupted run left; nothing that is stored is done twice."""
    from indexing_assets.cli.index import run

    folder_of(path, index_dir).check()
    run(path, index_dir, phase="all", force=False, verify=False, wait=wait, retry_failed=failed)
