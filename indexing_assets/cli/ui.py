"""`code-index ui`: Dagster's web server and daemon on one index."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import click

from code_index.index.folder import WATCH_VARIABLE
from indexing_assets.cli.options import folder_of, index_dir_option, repository_argument
from indexing_assets.cli.output import tell
from indexing_assets.cli.relay import escaped_output

# Seconds that Dagster gets to end.
_STOP_S = 30


@click.command("ui")
@repository_argument
@index_dir_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=3000, show_default=True, type=click.IntRange(1, 65535), help="Port to listen on.")
@click.option("--watch", is_flag=True, help="Start the sensors and schedules: the index follows the repository.")
def command(path: Path | None, index_dir: Path | None, host: str, port: int, watch: bool) -> None:
    """Open Dagster's web interface: lineage, partitions, runs and backfills of this index."""
    from indexing_assets.operations.pipeline import Pipeline

    folder = folder_of(path, index_dir)
    with Pipeline(folder):
        pass  # opened once, an index has its folder and its concurrency pools
    tell(f"Dagster for {folder.repository_root} at http://{host}:{port} (Ctrl-C ends it)")
    if watch:
        tell("Following the repository: edits are indexed. The page Automation shows it.")
    arguments = ["dev", "-m", "indexing_assets.definitions", "-h", host, "-p", str(port)]
    # Dagster's advice on its own commands is for its developers, not for the user of this one. Python and
    # Dagster import from the working directory first: in a repository, that would run the user's files.
    environment = {**os.environ, **folder.environment(), "PYTHONWARNINGS": "ignore", "PYTHONSAFEPATH": "1"}
    if watch:
        environment[WATCH_VARIABLE] = "1"
    # A session of its own: Dagster's processes hear of Ctrl-C once, from here, and end in order.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with escaped_output() as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "dagster", *arguments],
            env=environment,
            cwd=folder.dagster_home,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            status = process.wait()
        except KeyboardInterrupt:
            _stop(process)
            return
    raise click.ClickException(f"Dagster ended by itself with status {status}. Its last lines above say why.")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End Dagster and all it started, by force if it takes too long."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
