"""`code-index ui`: Dagster's web server and daemon on one index."""

import os
import subprocess
import sys
from pathlib import Path

import click

from indexing_assets.cli.options import folder_of, index_dir_option, repository_argument


@click.command("ui")
@repository_argument
@index_dir_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=3000, show_default=True, type=click.IntRange(1, 65535), help="Port to listen on.")
def command(path: Path | None, index_dir: Path | None, host: str, port: int) -> None:
    """Open Dagster's web interface: lineage, partitions, runs and backfills of this index."""
    folder = folder_of(path, index_dir)
    folder.create()
    click.echo(f"Dagster for {folder.repository_root} at http://{host}:{port} (Ctrl-C ends it)", err=True)
    arguments = ["dev", "-m", "indexing_assets.definitions", "-h", host, "-p", str(port)]
    status = subprocess.call([sys.executable, "-m", "dagster", *arguments], env={**os.environ, **folder.environment()})
    if status not in {0, -2, 130}:
        raise click.ClickException(f"Dagster ended with status {status}. Its last lines above say why.")
