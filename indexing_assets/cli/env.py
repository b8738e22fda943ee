"""`code-index env`: point Dagster's own commands at an index."""

from pathlib import Path

import click

from indexing_assets.cli.options import folder_of, index_dir_option, repository_argument
from indexing_assets.cli.output import say_exports
from resources.instance_config import instance_config


@click.command("env")
@repository_argument
@index_dir_option
def command(path: Path | None, index_dir: Path | None) -> None:
    """Print shell commands that set what Dagster needs to find the index.

    Use it as: eval "$(code-index env PATH)"
    """
    folder = folder_of(path, index_dir)
    folder.create(instance_config())
    say_exports(folder.environment())
