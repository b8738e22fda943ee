"""`code-index env`: point Dagster's own commands at an index."""

import os
import shlex
from pathlib import Path

import click

from indexing_assets.cli.options import folder_of, index_dir_option, repository_argument
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
    for name, value in folder.environment().items():
        click.echo(os.fsencode(f"export {name}={shlex.quote(value)}"))
