"""A process that stays with an index and answers on its socket and on loopback, until nobody asks any more.

Belongs here: when it answers, whom, and when it ends. Does not belong here: what it answers (`answers`, `page`), and what
keeps the index fresh (its caller's).
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import uvicorn

import code_index
from code_index.core.errors import CodeIndexError
from code_index.core.regular_files import load_json
from code_index.index.folder import IndexFolder
from code_index.serving import local_socket
from code_index.serving.answers import Answers
from code_index.serving.guard import TOKEN_PARAMETER, Application, Guard, Receive, Scope, Send
from code_index.serving.page import API, STATUS_PATH, page_application
from code_index.serving.questions import LONGEST_QUESTION, addressee, error_line

WHERE: Final = "where"
"""The question for the address of the page, with its token: whoever may use the socket may use the page."""

_LOG = logging.getLogger(__name__)

_LOOK_S = 1.0  # between two looks whether to end
_SAYS_S = 30.0  # for a question to come in whole
_CLOSE_S = 3  # for answers that are under way


@dataclass(frozen=True, slots=True)
class PageDoor:
    """The way to the page: sockets that listen on loopback, and what the guard asks for."""

    sockets: Sequence[socket.socket]
    hosts: Sequence[str]
    token: str
    cookie: str

    @property
    def address(self) -> str:
        """The address to open, which makes a browser known."""
        host, port = self.sockets[0].getsockname()[:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}/?{TOKEN_PARAMETER}={self.token}"


class Server:
    """Answers about one index; the caller holds `Duty.SERVE`."""

    def __init__(
        self, folder: IndexFolder, answers: Answers, door: PageDoor, *, idle_s: float | None, busy: Callable[[], bool]
    ) -> None:
        """Prepare to serve.

        Args:
            folder: of the index.
            answers: about it.
            door: to the page.
            idle_s: seconds without a question after which it ends; None for never.
            busy: tells whether work is under way that it must not end in the midst of.
        """
        self._folder = folder
        self._answers = answers
        self._door = door
        self._idle_s = idle_s
        self._busy = busy
        self._addressee = addressee(folder)
        self._program = _Program()
        self._asked_at = time.monotonic()
        self._under_way = 0
        self._ended = ""

    def run(self) -> str:
        """Serve until there is a reason to end, which is returned; an empty one after a signal.

        Raises:
            StoreError: the socket cannot be made.
        """
        listener = local_socket.listen(self._folder.locks_dir)
        try:
            asyncio.run(self._serve(listener))
        finally:
            local_socket.remove(self._folder.locks_dir)
        return self._ended

    async def _serve(self, listener: socket.socket) -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, stop.set)
        page = _Page(
            uvicorn.Config(
                self._guarded(page_application(self._answers)),
                lifespan="off",
                log_level="warning",
                access_log=False,  # addresses may hold the token
                proxy_headers=False,  # the guard asks who the peer is, not who it says it is
                server_header=False,
                ws="none",
                timeout_graceful_shutdown=_CLOSE_S,
            )
        )
        # Not `start_unix_server`: from Python 3.13 on it looks for the file, to remove it in the end, by a path that held
        # only while the socket was made (`short_path`).
        local = await asyncio.start_server(self._conversation, sock=listener, limit=LONGEST_QUESTION)
        serving = asyncio.create_task(page.serve(sockets=list(self._door.sockets)))
        loop.run_in_executor(None, self._warm)
        while not (stop.is_set() or serving.done() or self._reason_to_end()):
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _LOOK_S)
        # Nobody new, then those who wait.
        local.close()
        local_socket.remove(self._folder.locks_dir)
        page.should_exit = True
        await serving

    def _warm(self) -> None:
        # An index that is still empty, or a model that is missing: the first question says so.
        with suppress(CodeIndexError):
            self._answers.warm()

    def _reason_to_end(self) -> str:
        idle = time.monotonic() - self._asked_at
        if not self._folder.exists:
            self._ended = f"The index {self._folder.path} was deleted."
        elif self._program.is_another():
            self._ended = "code-index was changed since this began. Start it again for the new version."
        elif self._idle_s is not None and idle > self._idle_s and not self._under_way and not self._busy():
            self._ended = f"Nobody asked for {idle / 60:,.0f} minutes."
        return self._ended

    def _guarded(self, application: Application) -> Application:
        guarded = Guard(
            application,
            token=self._door.token,
            cookie=self._door.cookie,
            hosts=frozenset(self._door.hosts),
            endpoints=(API,),
        )

        async def noticed(scope: Scope, receive: Receive, send: Send) -> None:
            with self._question(counts=scope.get("path") != STATUS_PATH):
                await guarded(scope, receive, send)

        return noticed

    @contextmanager
    def _question(self, *, counts: bool = True) -> Iterator[None]:
        """Notice that somebody asks; with `counts` false it is no sign of a person."""
        self._under_way += counts
        try:
            yield
        finally:
            self._under_way -= counts
            if counts:
                self._asked_at = time.monotonic()

    async def _conversation(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if local_socket.is_peer_of_this_user(writer.get_extra_info("socket")):
                while line := await asyncio.wait_for(reader.readline(), _SAYS_S):
                    with self._question():
                        await self._reply(line, writer)
        except (OSError, ValueError, TimeoutError, asyncio.LimitOverrunError):
            pass  # whoever asked is gone, or speaks another language
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _reply(self, line: bytes, writer: asyncio.StreamWriter) -> None:
        said = load_json(line)
        fits = isinstance(said, dict) and said.get("to") == self._addressee and not self._program.is_another()
        await _say(writer, {"heard": fits})
        if not fits:
            return
        question, arguments = said.get("question"), said.get("arguments")
        if not isinstance(question, str) or not isinstance(arguments, dict):
            return
        if question == WHERE:
            await _say(writer, {"answer": {"address": self._door.address, "process": os.getpid()}})
            return
        try:
            answer = await asyncio.to_thread(self._answers.answer, question, arguments)
        except CodeIndexError as error:
            await _say(writer, error_line(error))
        except Exception:  # noqa: BLE001
            # Whoever asked does the work itself, and meets the fault where it can be seen.
            _LOG.exception("The question %s failed.", question)
            await _say(writer, {"failed": True})
        else:
            await _say(writer, {"answer": answer})


class _Page(uvicorn.Server):
    """A web server that leaves signals to the process."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Program:
    """The sources that this process runs, to tell whether they were exchanged since."""

    _EVERY_S = 0.5

    def __init__(self) -> None:
        self._folder = Path(code_index.__file__).parent
        self._looked_at = time.monotonic()
        self._known = self._newest()
        self._another = False

    def is_another(self) -> bool:
        """Tell whether the sources on disk are not those that this process was started from."""
        now = time.monotonic()
        if not self._another and now - self._looked_at > self._EVERY_S:
            self._looked_at = now
            self._another = self._newest() != self._known
        return self._another

    def _newest(self) -> tuple[int, int]:
        """Number and newest time of the source files."""
        count = newest = 0
        for folder, folders, names in os.walk(self._folder):
            folders[:] = [name for name in folders if name != "__pycache__"]
            for name in names:
                with suppress(FileNotFoundError):
                    count += 1
                    newest = max(newest, Path(folder, name).stat().st_mtime_ns)
        return count, newest


async def _say(writer: asyncio.StreamWriter, said: dict[str, Any]) -> None:
    writer.write(json.dumps(said, default=str).encode() + b"\n")
    await writer.drain()
