"""`code-index mcp`: a server for coding agents."""

import gc
import os
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import click

from code_index.core.errors import UsageError
from indexing_assets.cli.options import FOLDER_OR_STORE, index_dir_option
from indexing_assets.cli.output import tell

_INDEXING = ("-P", "-m", "indexing_assets.cli.main", "index", "--no-wait")


@click.command("mcp")
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=FOLDER_OR_STORE)
@index_dir_option
@click.option("--read-only", is_flag=True, help="Offer no tool that starts an index run.")
@click.option("--http", is_flag=True, help="Listen on a port of this machine, instead of standard input and output.")
@click.option(
    "--port",
    default=8765,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="With --http: the port; 0: any free one.",
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    help="With --http: file with the token that clients send; it is made where it is missing. By default a new token is "
    "printed.",
)
def command(
    paths: tuple[str | Path, ...],
    index_dir: Path | None,
    read_only: bool,
    http: bool,
    port: int,
    token_file: Path | None,
) -> None:
    """Answer coding agents about the repositories at PATH, by the Model Context Protocol.

    s3://bucket/prefix in place of a PATH is an index at a store, which is only read.

    Without PATH it is about the repository that holds the current folder. An index that is missing is made when the agent
    asks for it.
    """
    if index_dir is not None and len(paths) > 1:
        raise UsageError("--index-dir names the index of one repository. Name one PATH.")
    if token_file is not None and not http:
        raise UsageError("--token-file is for --http: on standard input and output there is no token.")
    from code_index.serving.mcp.memory import spare_memory

    spare_memory()
    for path in paths:
        if isinstance(path, Path) and not path.is_dir():
            raise UsageError(f"{path.absolute()} is not a folder. Name the folder of a repository.")
    if http:
        _serve_http(paths, index_dir, read_only=read_only, port=port, token_file=token_file)
    else:
        _serve_stdio(paths, index_dir, read_only=read_only)


def _serve_stdio(paths: tuple[str | Path, ...], index_dir: Path | None, *, read_only: bool) -> NoReturn:
    # The library's classes are many and stay: looking for garbage among them costs a tenth of the start.
    gc.disable()
    from code_index.serving.mcp.definitions import Served
    from code_index.serving.mcp.memory import import_server

    import_server()
    from code_index.serving.mcp.server import serve_stdio

    gc.freeze()
    gc.enable()
    if sys.stdin.isatty():
        tell("Agents start this command and write to it; `code-index setup` tells them of it. Ctrl-D ends it.")
    # A thread that reads standard input cannot be ended, and nothing here has to be: this process only reads.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os._exit(0))
    serve_stdio(Served(paths, index_dir, _indexing(read_only=read_only)))
    os._exit(0)


def _serve_http(
    paths: tuple[str | Path, ...], index_dir: Path | None, *, read_only: bool, port: int, token_file: Path | None
) -> None:
    from code_index.serving.listening import listen
    from code_index.serving.mcp.definitions import Served
    from code_index.serving.mcp.server import HTTP_PATH, serve_http
    from code_index.serving.token_file import new_token, token_in

    token = new_token() if token_file is None else token_in(token_file)
    served = Served(paths, index_dir, _indexing(read_only=read_only))
    with ExitStack() as opened:
        sockets = [opened.enter_context(listener) for listener in listen("127.0.0.1", port)]
        address = f"http://127.0.0.1:{sockets[0].getsockname()[1]}{HTTP_PATH}"
        told = f"Bearer TOKEN, with that in {token_file}" if token_file is not None else f"Bearer {token}"
        tell(f"MCP server at {address} (Ctrl-C ends it). Clients send the header Authorization: {told}")
        try:
            serve_http(served, sockets, token=token)
        except KeyboardInterrupt:
            return


def _indexing(*, read_only: bool) -> tuple[str, ...] | None:
    return None if read_only else (sys.executable, *_INDEXING)
