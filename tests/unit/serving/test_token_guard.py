"""Whom the guard of an agents' server lets through: whoever has the token, and no browser."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from code_index.serving.guard import TokenGuard

_TOKEN = "a-token-of-this-test-0123456789abcdef"
_KNOWN = {"authorization": f"Bearer {_TOKEN}"}


def _ask(method: str = "POST", headers: dict[str, str] | None = None, *, kind: str = "http", query: str = "") -> int:
    """The status of the answer; 200 is the application's."""
    sent: list[dict[str, Any]] = []

    async def application(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    given = {"host": "127.0.0.1:8765", "content-type": "application/json", **(headers or {})}
    scope = {
        "type": kind,
        "method": method,
        "path": "/mcp",
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in given.items()],
        # A program of this user: the other guard would let it through.
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 8765),
    }
    guard = TokenGuard(application, token=_TOKEN, hosts=["127.0.0.1:8765", "localhost:8765"])
    asyncio.run(guard(scope, receive, send))
    return int(sent[0].get("status", sent[0].get("code")))


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_whoever_has_the_token_is_let_through(method: str) -> None:
    assert _ask(method, _KNOWN) == 200
    assert _ask(method, {**_KNOWN, "host": "localhost:8765"}) == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": f"Bearer {_TOKEN[:-1]}"},
        {"authorization": f"Basic {_TOKEN}"},
        {"authorization": "Bearer"},
        {"authorization": "Bearer \xff"},
        {"cookie": f"code_index_8765={_TOKEN}"},
        {"cookie": f"code_index={_TOKEN}"},
    ],
)
def test_nobody_is_known_without_the_token_not_even_a_program_of_the_same_user(headers: dict[str, str]) -> None:
    assert _ask(headers=headers) == 401
    assert _ask(headers=headers, query=f"token={_TOKEN}") == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "attacker.example"},
        {"host": "attacker.example:8765"},
        {"origin": "http://attacker.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:3000"},
        {"sec-fetch-site": "cross-site"},
    ],
)
def test_a_name_of_somebody_else_and_a_page_of_somebody_else_are_refused_with_the_token_too(
    headers: dict[str, str],
) -> None:
    assert _ask(headers={**_KNOWN, **headers}) == 403


def test_what_a_form_can_send_is_refused() -> None:
    assert _ask(headers={**_KNOWN, "content-type": "text/plain"}) == 415


def test_a_websocket_is_closed() -> None:
    assert _ask(headers=_KNOWN, kind="websocket") == 1008
