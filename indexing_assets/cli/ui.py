"""`code-index ui`: Dagster's web interface and daemon on one index."""

import ipaddress
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import click
import psutil

from code_index.core.child_python import child_environment
from code_index.core.distribution import require_extra
from code_index.core.errors import IndexBusyError
from code_index.index.folder import WATCH_VARIABLE, IndexFolder
from code_index.index.locks import Duty, hold
from code_index.index.trust import RECORD_FILE
from code_index.serving.guard import LOOPBACK_NAMES, TOKEN_PARAMETER
from code_index.serving.listening import listen
from code_index.serving.token_file import new_token
from indexing_assets.cli.options import folder_of, index_dir_option, repository_argument
from indexing_assets.cli.output import tell
from indexing_assets.cli.relay import escaped_output

# Seconds that Dagster gets to end, and what it started after it.
_STOP_S, _LEAVE_S = 30, 5
# Seconds between two looks for the index.
_LOOK_S = 0.5
# Bytes: a socket's path has at most 107, and Dagster's names have 11. Source: unix(7).
_LONGEST_FOLDER = 107 - 12
# A host as browsers write it: a name or an address, and perhaps a port.
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s/:@?#]+)(:\d{1,5})?")


def _checked_hosts(_context: click.Context, _option: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if not _HOST.fullmatch(name):
            raise click.BadParameter(f"{name!r} is no NAME or NAME:PORT, such as box.example or localhost:8080.")
    return names


@click.command("ui")
@repository_argument
@index_dir_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=3000, show_default=True, type=click.IntRange(0, 65535), help="Port to listen on; 0: any free one."
)
@click.option(
    "--allow-host",
    "allowed",
    multiple=True,
    metavar="NAME[:PORT]",
    callback=_checked_hosts,
    help="Answer to this name too, as after a tunnel or a proxy; may be given several times.",
)
@click.option("--watch", is_flag=True, help="Start the sensors and schedules: the index follows the repository.")
def command(
    path: Path | None, index_dir: Path | None, host: str, port: int, allowed: tuple[str, ...], watch: bool
) -> None:
    """Open Dagster's web interface: lineage, partitions, runs and backfills of this index.

    The printed address ends in a token, which makes a browser known; programs of the same user need none.
    """
    require_extra("ui", "Dagster's web interface")
    folder = folder_of(path, index_dir)
    with ExitStack() as opened:
        sockets = [opened.enter_context(listener) for listener in listen(host, port)]
        port = sockets[0].getsockname()[1]
        place = opened.enter_context(_own_folder())
        from indexing_assets.operations.pipeline import Pipeline, remove_remains
        from indexing_assets.operations.web_interface import Opening

        with Pipeline(folder):
            pass  # opened once, an index has its folder and its concurrency pools
        opening = Opening(
            sockets=[listener.fileno() for listener in sockets],
            folder=str(place.parent),
            hosts=_hosts(host, port, allowed),
            token=new_token(),
            cookie=f"code_index_{port}",
        )
        address = f"http://{_shown(host)}:{port}/?{TOKEN_PARAMETER}={opening.token}"
        tell(f"Dagster for {folder.repository_root} at {address} (Ctrl-C ends it)")
        if not _is_loopback(host):
            tell(
                "Other machines reach this port too: whoever has the token may use these pages, and it travels "
                "unencrypted."
            )
        if watch:
            tell("Following the repository: edits are indexed. The page Automation shows it.")
        # A session of its own: Dagster's processes hear of Ctrl-C once, from here, and end in order.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler)
        needed = (folder.path / RECORD_FILE, folder.dagster_home / "dagster.yaml")
        output = opened.enter_context(escaped_output(needed))
        process = subprocess.Popen(
            [sys.executable, "-m", "indexing_assets.operations.web_interface"],
            env=_environment(folder, watch=watch),
            cwd=place,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            pass_fds=opening.sockets,
            start_new_session=True,
        )
        try:
            assert process.stdin is not None
            opening.send(process.stdin)
            for listener in sockets:
                listener.close()
            following = False
            while all(file.exists() for file in needed):
                if watch and not following:
                    # Another process that follows the repository may end, and then it is this one's turn.
                    with suppress(IndexBusyError):
                        opened.enter_context(hold(folder.locks_dir, Duty.FOLLOW, wait_s=0))
                        following = True
                with suppress(subprocess.TimeoutExpired):
                    status = process.wait(_LOOK_S)
                    break
            else:
                # Dagster would complain for ever, and make its folders again.
                _stop(process)
                if not folder.exists:
                    remove_remains(folder)
                raise click.ClickException(
                    f"The index {folder.path} was deleted, or Dagster's records in it, while this ran. Start it again "
                    "to index from the beginning."
                )
        except KeyboardInterrupt:
            _stop(process)
            return
    raise click.ClickException(f"Dagster ended by itself with status {status}. Its last lines above say why.")


def _environment(folder: IndexFolder, *, watch: bool) -> dict[str, str]:
    # Dagster's advice on its own commands is for its developers, not for the user of this one; `dagster dev` sets the two
    # others, for short messages.
    quiet = {"PYTHONWARNINGS": "ignore", "DAGSTER_IS_DEV_CLI": "1", "DAGSTER_verbose": ""}
    watching = {WATCH_VARIABLE: "1"} if watch else {}
    return {**child_environment(), **folder.environment(), **quiet, **watching}


@contextmanager
def _own_folder() -> Iterator[Path]:
    """An empty folder for Dagster to work in: it imports modules from there, and reads a file `.env`.

    The folder around it, which only this user may enter, holds the sockets between Dagster's processes.
    """
    try:
        around = Path(tempfile.mkdtemp(prefix="code-index-ui-"))
    except OSError as error:
        raise click.ClickException(f"{error.strerror}. Let TMPDIR name a folder that can be written.") from error
    if len(os.fsencode(around)) > _LONGEST_FOLDER:
        around.rmdir()
        raise click.ClickException(f"The path {around.parent} is too long for sockets. Let TMPDIR name a shorter one.")
    try:
        place = around / "empty"
        place.mkdir()
        yield place
    finally:
        # A run that is under way goes on after Ctrl-C, and ends by itself.
        end = time.monotonic() + _LEAVE_S
        while (used := _is_used(place)) and time.monotonic() < end:
            time.sleep(0.1)
        if not used:
            shutil.rmtree(around, ignore_errors=True)


def _is_used(folder: Path) -> bool:
    """Tell whether a process works in the folder."""
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(folder):
                return True
        except psutil.Error:
            continue
    return False


def _hosts(host: str, port: int, allowed: Sequence[str]) -> list[str]:
    """Names that a browser may use: this machine for itself, what was asked for, and what else the user allows."""
    named = [name.lower() for name in allowed]
    return [*(f"{name}:{port}" for name in (*LOOPBACK_NAMES, _bracketed(host.lower()))), *named]


def _shown(host: str) -> str:
    """The host of the printed address: one that listens on all addresses is reached at its own as well."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return "127.0.0.1" if str(address) == "0.0.0.0" else "[::1]" if str(address) == "::" else _bracketed(host)  # noqa: S104


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End Dagster and all it started, by force if it takes too long."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
