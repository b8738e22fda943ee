"""Dagster's web server behind a guard, with its code server and daemon, as one program for `code-index ui`.

Belongs here: what `dagster dev` does, less the open door. Does not belong here: whom the guard lets through
(`code_index.serving.guard`), options and messages (`indexing_assets.cli.ui`).

Decision: the web server runs in this process, on sockets that its parent opened, so that nothing can take the port
between. Rejected: `dagster dev` itself, which starts a web server that answers every page in the user's browser.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import dagster as dg
import uvicorn
from graphql import GraphQLError, OperationDefinitionNode, OperationType, parse

from code_index.serving.guard import Application, Guard
from resources.dagster_internals import (
    DAEMON_MODULE,
    ModuleTarget,
    ProxyServerManager,
    WorkspaceFileTarget,
    WorkspaceProcessContext,
    configure_loggers,
    create_app_from_workspace_process_context,
    get_ipc_shutdown_pipe,
    open_ipc_subprocess,
    send_ipc_shutdown_message,
)

DEFINITIONS = "indexing_assets.definitions"

_GRAPHQL = "/graphql"
# Beginnings of Dagster's paths that are no pages: GraphQL, reports of events, downloads.
_ENDPOINTS = (_GRAPHQL, "/report_asset_", "/logs/", "/download_debug/", "/notebook", "/dagit/")
# As `dagster dev` has them.
_LIVE_DATA_POLL_MS = 2_000
_STATEMENT_TIMEOUT_MS, _POOL_RECYCLE_S, _POOL_MAX_OVERFLOW = 15_000, 3_600, 20
# Seconds that open connections, and the daemon, get to end.
_CLOSE_S, _DAEMON_STOP_S = 3, 20

_logger = logging.getLogger("dagster")


@dataclass(frozen=True, slots=True)
class Opening:
    """The start of a web interface, told through a pipe: the token stands in no argument or variable.

    The pipe stays open as long as the web interface is to run, so that none outlives its parent.
    """

    # File descriptors of sockets that listen.
    sockets: Sequence[int]
    # A folder of this program, for sockets between Dagster's processes.
    folder: str
    hosts: Sequence[str]
    token: str
    cookie: str

    def send(self, pipe: IO[bytes]) -> None:
        """Send it as a line."""
        pipe.write(json.dumps(asdict(self)).encode() + b"\n")
        pipe.flush()

    @classmethod
    def receive(cls, pipe: IO[bytes]) -> Opening:
        """Receive what `send` sent."""
        return cls(**json.loads(pipe.readline()))


def only_reads(path: str, parameters: list[tuple[str, str]]) -> bool:
    """Tell whether a GET request changes nothing: Dagster carries out mutations that an address holds."""
    return path.rstrip("/") != _GRAPHQL or all(_is_query(value) for name, value in parameters if name == "query")


def guarded(application: Application, opening: Opening) -> Guard:
    """Put a guard in front of Dagster's web server."""
    return Guard(
        application,
        token=opening.token,
        cookie=opening.cookie,
        hosts=frozenset(opening.hosts),
        endpoints=_ENDPOINTS,
        how_to_allow=", or start it with `--allow-host NAME` to reach it by another name",
        reads=only_reads,
    )


def serve(opening: Opening) -> None:
    """Serve until this process is interrupted, or until the daemon ends."""
    # Only this user may enter the folder; what listens there starts runs.
    tempfile.tempdir = opening.folder
    configure_loggers(formatter="colored", log_level="INFO")
    with (
        dg.DagsterInstance.get() as instance,
        ProxyServerManager(instance, _definitions(), code_server_log_level="warning") as code_server,
        dg.DagsterInstance.get() as webserver_instance,
    ):
        workspace = Path(opening.folder, "workspace.yaml")
        # JSON is YAML.
        workspace.write_text(json.dumps({"load_from": code_server.get_code_server_specs()}), encoding="utf-8")
        webserver_instance.optimize_for_webserver(_STATEMENT_TIMEOUT_MS, _POOL_RECYCLE_S, _POOL_MAX_OVERFLOW)
        with (
            WorkspaceProcessContext(
                webserver_instance, WorkspaceFileTarget([str(workspace)]), version=dg.__version__
            ) as context,
            _daemon(instance, workspace) as daemon,
        ):
            app = create_app_from_workspace_process_context(context, live_data_poll_rate=_LIVE_DATA_POLL_MS)
            server = uvicorn.Server(
                uvicorn.Config(
                    guarded(app, opening),
                    log_level="warning",
                    access_log=False,  # addresses may hold the token
                    proxy_headers=False,  # the guard asks who the peer is, not who it says it is
                    server_header=False,
                    timeout_graceful_shutdown=_CLOSE_S,
                )
            )
            threading.Thread(target=_end_with, args=(daemon, server), daemon=True).start()
            server.run(sockets=[socket.socket(fileno=number) for number in opening.sockets])


def _definitions() -> ModuleTarget:
    # Dagster imports from the working directory first: `code-index ui` gives an empty one.
    return ModuleTarget(DEFINITIONS, attribute=None, working_directory=str(Path.cwd()), location_name=None)


def _is_query(document: str) -> bool:
    """Tell whether a GraphQL document has queries only; one that cannot be parsed is not carried out either."""
    try:
        definitions = parse(document).definitions
    except GraphQLError:
        return True
    return all(
        definition.operation is OperationType.QUERY
        for definition in definitions
        if isinstance(definition, OperationDefinitionNode)
    )


@contextmanager
def _daemon(instance: dg.DagsterInstance, workspace: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run Dagster's daemon: sensors, schedules, backfills, the queue of runs."""
    until, end = get_ipc_shutdown_pipe()
    arguments = ["--log-level", "error", "--instance-ref", dg.serialize_value(instance.get_ref())]
    process = open_ipc_subprocess(
        [
            *(sys.executable, "-m", DAEMON_MODULE, "run", *arguments),
            *("--workspace", str(workspace), "--shutdown-pipe", str(until)),
        ],
        pass_fds=[until],
        stdin=subprocess.DEVNULL,
    )
    os.close(until)
    try:
        yield process
    finally:
        with suppress(BrokenPipeError):
            send_ipc_shutdown_message(end)
        try:
            process.wait(_DAEMON_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _end_with(daemon: subprocess.Popen[bytes], server: uvicorn.Server) -> None:
    """Wait for the daemon; a web server without one starts runs that never begin."""
    status = daemon.wait()
    if not server.should_exit:
        _logger.error("Dagster's daemon ended with status %d.", status)
        server.should_exit = True


def _interrupt_at_the_end_of(pipe: int) -> None:
    """Wait until the parent closes its end, or is no more."""
    while os.read(pipe, 1):
        continue
    os.kill(os.getpid(), signal.SIGINT)


def main() -> None:
    """Serve what the parent says, as long as it keeps the pipe open; status 1 where it ends by itself."""
    opening = Opening.receive(sys.stdin.buffer)
    threading.Thread(target=_interrupt_at_the_end_of, args=(sys.stdin.fileno(),), daemon=True).start()
    with suppress(KeyboardInterrupt):
        serve(opening)
        sys.exit(1)


if __name__ == "__main__":
    main()
