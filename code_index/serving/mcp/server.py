"""The protocol: the tools behind the official library, on standard input and output or on a local port.

Belongs here: the server and its transports. Does not belong here: what tools take (`definitions`) and answer (`tools`).
Import time counts: an agent waits for the first answer. So nothing of the engine is imported before it; a thread does that
once the first request is answered.

Decision: the library's low-level `Server`, which publishes the schemas that we write and hands over arguments as they come.
Rejected: its `MCPServer`, which makes schemas of Python signatures, with titles that cost a quarter of all tokens, drops
unknown arguments, and announces prompts and resources that there are none of.
"""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import threading
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.to_thread
from mcp.server.caching import CacheHint
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from mcp.types import (
    INVALID_PARAMS,
    PARSE_ERROR,
    CallToolRequestParams,
    CallToolResult,
    ErrorData,
    JSONRPCError,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
    ToolAnnotations,
    jsonrpc_message_adapter,
)
from pydantic import ValidationError

from code_index.core.distribution import distribution_version
from code_index.core.lazy_imports import importing
from code_index.core.regular_files import load_json
from code_index.serving.mcp.definitions import INSTRUCTIONS, SERVER_NAME, Served
from code_index.serving.mcp.memory import give_back

if TYPE_CHECKING:
    from code_index.serving.mcp.tools import Tools

HTTP_PATH: Final = "/mcp"
_IDLE_S: Final = 1.0  # after which memory is given back
# After which indexes are closed too: of 576,000 chunks, 776 MB become 376. The next search takes 0.5 s.
# Source: benchmarks/mcp_latency.py.
_CLOSING_S: Final = 60.0
_UNTIL_WARMING_S: Final = 0.05  # the first answer is on its way by then
_MOST_REQUEST_BYTES: Final = 1_000_000
_CLOSE_S: Final = 3
_TTL_MS: Final = 3_600_000


def make_server(served: Served) -> Server[Any]:
    """Make the server of some repositories; it begins to open their indexes once it has answered the first request."""

    @cache
    def made() -> Tools:
        with importing:
            from code_index.serving.mcp.tools import Tools

        return Tools(served)

    making = threading.Lock()

    def tools() -> Tools:
        # The same for all: two that are made at once would not know of each other's runs.
        with making:
            return made()

    names = [definition.name for definition in served.tools]
    listed = ListToolsResult(
        tools=[
            Tool(
                name=definition.name,
                description=definition.description,
                input_schema=definition.input_schema(),
                annotations=ToolAnnotations.model_validate(definition.hints),
            )
            for definition in served.tools
        ]
    )

    async def list_tools(_context: ServerRequestContext[Any], _asked: PaginatedRequestParams | None) -> ListToolsResult:
        return listed

    async def call_tool(_context: ServerRequestContext[Any], asked: CallToolRequestParams) -> CallToolResult:
        if asked.name not in names:
            known = ", ".join(names)
            raise MCPError(code=INVALID_PARAMS, message=f"There is no tool {asked.name[:80]!r}; there are {known}.")
        reply = await anyio.to_thread.run_sync(
            lambda: tools().answer(asked.name, asked.arguments or {}), abandon_on_cancel=True
        )
        return CallToolResult(content=[TextContent(type="text", text=reply.text)], is_error=reply.failed)

    server: Server[Any] = Server(
        SERVER_NAME,
        version=distribution_version(),
        instructions=INSTRUCTIONS,
        cache_hints={"tools/list": CacheHint(ttl_ms=_TTL_MS), "server/discover": CacheHint(ttl_ms=_TTL_MS)},
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )
    server.middleware.append(_Upkeep(tools))
    return server


class _Upkeep:
    """Work beside answers: opening indexes after the first one, and giving memory back while nobody asks."""

    def __init__(self, tools: Callable[[], Tools]) -> None:
        self._tools = tools
        self._warming = threading.Lock()
        self._idle: asyncio.TimerHandle | None = None

    async def __call__(self, ctx: ServerRequestContext[Any], call_next: CallNext) -> HandlerResult:
        result = await call_next(ctx)
        if self._warming.acquire(blocking=False):  # and never released
            timer = threading.Timer(_UNTIL_WARMING_S, self._warm)
            timer.daemon = True
            timer.start()
        self._wait(_IDLE_S, self._spare)
        return result

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(seconds, then)

    def _warm(self) -> None:
        self._tools().warm()
        give_back()

    def _spare(self) -> None:
        give_back()
        self._wait(_CLOSING_S, self._close)

    def _close(self) -> None:
        self._tools().close()
        gc.collect()
        give_back()


def serve_stdio(served: Served) -> None:
    """Answer on standard input and output until one of them ends."""
    server = make_server(served)

    async def serve() -> None:
        passed_on, heard = anyio.create_memory_object_stream[SessionMessage | Exception]()

        async def pass_on() -> None:
            async with passed_on:
                async for item in read:
                    if isinstance(item, SessionMessage):
                        await passed_on.send(item)
                    elif (message := heard_again(item)) is not None:
                        is_answer = isinstance(message.message, JSONRPCError)
                        await (write if is_answer else passed_on).send(message)

        async with stdio_server() as (read, write), anyio.create_task_group() as group:
            group.start_soon(pass_on)
            await server.run(heard, write, server.create_initialization_options())

    try:
        anyio.run(serve)
    except* BrokenPipeError:
        pass  # whoever asked is gone


def heard_again(error: Exception) -> SessionMessage | None:
    """The message of a line that the library cannot read: a request is never left without an answer.

    Half of a character that takes two (text that a client cut in the midst of it) is read as a question mark. What
    cannot be read then either is an error for its request; None where it does not say which one that is.
    """
    first = error.errors()[0] if isinstance(error, ValidationError) else {"type": ""}
    if first["type"] != "json_invalid":
        return None
    try:
        said = load_json(first["input"])
        return SessionMessage(
            jsonrpc_message_adapter.validate_json(
                json.dumps(said, ensure_ascii=False).encode("utf-8", "replace"), by_name=False
            )
        )
    except ValidationError as wrong:
        asked = said.get("id") if isinstance(said, dict) else None
        if not isinstance(asked, int | str):
            return None
        why = ErrorData(code=PARSE_ERROR, message=f"This request cannot be read: {wrong.errors()[0]['msg']}")
        return SessionMessage(JSONRPCError(jsonrpc="2.0", id=asked, error=why))
    except ValueError:
        return None


def serve_http(served: Served, sockets: Sequence[socket.socket], *, token: str) -> None:
    """Answer whoever has the token, on sockets that listen, until a signal ends it.

    Every request is complete in itself: there are no sessions, so a client goes on after a restart.
    """
    with importing:
        import uvicorn

        from code_index.serving.guard import LOOPBACK_NAMES, TokenGuard

    port = sockets[0].getsockname()[1]
    application = make_server(served).streamable_http_app(
        streamable_http_path=HTTP_PATH,
        json_response=True,
        stateless_http=True,
        max_request_body_size=_MOST_REQUEST_BYTES,
    )
    uvicorn.Server(
        uvicorn.Config(
            TokenGuard(application, token=token, hosts=[f"{name}:{port}" for name in LOOPBACK_NAMES]),
            log_level="warning",
            access_log=False,
            ws="none",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=_CLOSE_S,
        )
    ).run(sockets=list(sockets))
