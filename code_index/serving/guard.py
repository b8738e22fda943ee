"""A guard in front of a web application that belongs to one user.

Belongs here: who is answered, whatever the application does. Does not belong here: paths and requests of one
application (its caller names them), sockets (`listening`).

Any page in the user's browser may send requests to any address, also to this machine's, and any user of the machine may
open a connection. So a request passes if it names this server (a name of somebody else's that leads here is refused), if
no page of somebody else's made it, and if it carries the token; a program of the same user needs none, for it could read
it anyway.

Source: Fetch Metadata Request Headers (W3C), RFC 6265bis for cookies, the threat model of Jupyter Server.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Collection, Iterable, MutableMapping
from dataclasses import dataclass, field
from html import escape
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode

from code_index.system.tcp_peers import is_of_this_user

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "[::1]")
TOKEN_PARAMETER: Final = "token"  # noqa: S105

_HTTP_PORT = 80
_SAFE = ("GET", "HEAD")
# What browsers send and programs do not, and what tells that a proxy stands between: whose user is then unknown.
_OF_BROWSERS = ("sec-fetch-", "sec-ch-", "origin", "referer", "upgrade-insecure-requests")
_OF_PROXIES = ("forwarded", "x-forwarded-", "x-real-ip", "via")

_HEADERS: Final = (
    (b"referrer-policy", b"same-origin"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"SAMEORIGIN"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
# An addition to the page's own policy: a browser keeps all of them.
_FRAMES: Final = (b"content-security-policy", b"frame-ancestors 'self'")


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer in the place of the application's."""

    status: int
    text: str
    headers: tuple[tuple[str, str], ...] = ()
    media_type: str = "text/plain"


@dataclass(frozen=True)
class Guard:
    """An ASGI application that lets through to another one what its user asked for; HTTP and websockets alike."""

    application: Application
    # What signs in: 32 or more random characters that a URL may hold.
    token: str = field(repr=False)
    # The name of the cookie; browsers keep one for a host, whatever the port.
    cookie: str
    # `name:port`, or `name` for any port, as browsers write them into `Host`. The address at which a connection arrived
    # is allowed as well: whoever has a name lead here has the name in `Host`.
    hosts: Collection[str]
    # Beginnings of paths that are no pages: a link elsewhere does not lead there.
    endpoints: tuple[str, ...] = ()
    # How to allow another name, for whoever came by one; empty where no other can be.
    how_to_allow: str = ""
    # Tells whether a GET request with this path and these parameters only reads.
    reads: Callable[[str, list[tuple[str, str]]], bool] = lambda _path, _parameters: True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or have the application answer it."""
        if scope["type"] not in {"http", "websocket"}:
            await self.application(scope, receive, send)
            return
        answer = self.answer(Request(scope))
        if answer is None:
            await self.application(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": ""})
        else:
            await _send_answer(answer, _with_headers(send))

    def answer(self, request: Request) -> Answer | None:
        """The answer in the application's place; None where the application may answer."""
        return self._refused(request) or self._signed_in(request) or self._unknown(request)

    def _refused(self, request: Request) -> Answer | None:
        """The answer to a request that nobody may make."""
        if not self._is_host(request):
            named = ", ".join(request.all("host")) or "none"
            return Answer(
                403,
                f"This server does not answer to the host {named}. Use the address that it printed{self.how_to_allow}.",
            )
        if request.is_of_another_site() and not self._is_link(request):
            return Answer(403, "A page of another site made this request.")
        if request.method == "POST" and request.media_types() != ["application/json"]:
            # All that a form of another site can send is of another type.
            return Answer(415, "Send application/json.")
        if request.method in _SAFE and not self.reads(request.path, request.parameters):
            return Answer(405, "This changes something: send it by POST.", (("allow", "POST"),))
        return None

    def _signed_in(self, request: Request) -> Answer | None:
        """The answer to an address with the token: a cookie, and the same address without it."""
        given = [value for name, value in request.parameters if name == TOKEN_PARAMETER]
        if request.kind != "http" or request.method not in _SAFE or not any(map(self._is_token, given)):
            return None
        cookie = f"{self.cookie}={self.token}; Path=/; HttpOnly; SameSite=Strict"
        headers = (("set-cookie", cookie), ("cache-control", "no-store"))
        place = request.place(without=TOKEN_PARAMETER)
        if request.is_of_another_site():
            # The browser counts a redirect to the page that holds the link, and would keep the cookie back.
            return _same_again(place, 200, headers)
        return Answer(303, "", (("location", place), *headers))

    def _unknown(self, request: Request) -> Answer | None:
        """The answer to a request that does not say whose it is."""
        if any(map(self._is_token, [*request.cookies(self.cookie), *request.bearers()])) or request.is_of_a_program():
            return None
        headers = (("www-authenticate", "Bearer"), ("cache-control", "no-store"))
        if request.is_of_another_site():
            # A link: if there is a cookie, the browser sends it with a request that a page of this server makes.
            return _same_again(request.place(), 401, headers)
        return Answer(
            401,
            "Open the address that was printed when this server started: it ends in a token, which makes this browser "
            "known. Programs send `Authorization: Bearer TOKEN`.",
            headers,
        )

    def _is_host(self, request: Request) -> bool:
        named = request.all("host")
        if len(named) != 1:
            return False
        host = named[0].lower()
        return host in {*self.hosts, *request.arrived_at()} or _without_port(host) in self.hosts

    def _is_link(self, request: Request) -> bool:
        """Tell whether a person followed a link to a page of the application."""
        return (
            request.kind == "http"
            and request.method in _SAFE
            and not request.all("origin")
            and request.all("sec-fetch-mode") == ["navigate"]
            and request.all("sec-fetch-dest") == ["document"]
            and not request.path.startswith(self.endpoints)
        )

    def _is_token(self, given: str) -> bool:
        return _same(given, self.token)


@dataclass(frozen=True)
class TokenGuard:
    """An ASGI application that lets through to another one what a program with the token asks for; a browser never.

    Unlike `Guard` it knows no cookie and asks programs of the same user for the token too: an agent may run what somebody
    else wrote.
    """

    application: Application
    # 32 or more random characters.
    token: str = field(repr=False)
    # `name:port`, as programs write them into `Host`.
    hosts: Collection[str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or have the application answer it."""
        if scope["type"] == "lifespan":
            await self.application(scope, receive, send)
        elif scope["type"] != "http":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": ""})
        elif (answer := self.answer(Request(scope))) is None:
            await self.application(scope, receive, _with_headers(send))
        else:
            await _send_answer(answer, _with_headers(send))

    def answer(self, request: Request) -> Answer | None:
        """The answer in the application's place; None where the application may answer."""
        named = request.all("host")
        if len(named) != 1 or named[0].lower() not in {*self.hosts, *request.arrived_at()}:
            return Answer(403, f"This server does not answer to the host {', '.join(named) or 'none'}.")
        if request.is_of_another_site():
            return Answer(403, "A page of another site made this request.")
        if request.method == "POST" and request.media_types() != ["application/json"]:
            return Answer(415, "Send application/json.")
        if not any(_same(given, self.token) for given in request.bearers()):
            headers = (("www-authenticate", "Bearer"), ("cache-control", "no-store"))
            return Answer(401, "Send `Authorization: Bearer TOKEN` with the token of this server.", headers)
        return None


class Request:
    """A request, with the answers to what a guard asks of it."""

    def __init__(self, scope: Scope) -> None:
        self.kind: str = scope["type"]
        # A websocket begins as a GET.
        self.method: str = scope.get("method", "GET")
        self.path: str = scope["path"]
        query = scope.get("query_string", b"").decode("latin-1")
        self.parameters = parse_qsl(query, keep_blank_values=True)
        self._client: tuple[str, int] | None = scope.get("client")
        self._server: tuple[str, int] | None = scope.get("server")
        self._headers = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]]

    def all(self, name: str) -> list[str]:
        """Every value of a header; one that is sent twice must not hide another."""
        return [value.strip() for header, value in self._headers if header == name]

    def media_types(self) -> list[str]:
        """The types of the body, without parameters."""
        return [value.partition(";")[0].strip().lower() for value in self.all("content-type")]

    def cookies(self, name: str) -> Iterable[str]:
        """Every cookie of that name."""
        for part in ";".join(self.all("cookie")).split(";"):
            key, _, value = part.strip().partition("=")
            if key == name:
                yield value

    def bearers(self) -> Iterable[str]:
        """Every token that stands in `Authorization`."""
        for value in self.all("authorization"):
            scheme, _, token = value.partition(" ")
            if scheme.lower() == "bearer":
                yield token.strip()

    def is_of_another_site(self) -> bool:
        """Tell whether a page that is not of this server made the request, as far as the browser says."""
        own = {f"{scheme}://{host}" for host in self.all("host") for scheme in ("http", "https")}
        return not (set(self.all("origin")) <= own and set(self.all("sec-fetch-site")) <= {"same-origin", "none"})

    def is_of_a_program(self) -> bool:
        """Tell whether a program of this user on this machine sent it, and neither a browser nor a proxy."""
        names = {name for name, _ in self._headers}
        if any(name.startswith((*_OF_BROWSERS, *_OF_PROXIES)) for name in names):
            return False
        if any("text/html" in value for value in self.all("accept")):
            return False
        if any(value.startswith("Mozilla") for value in self.all("user-agent")):
            return False
        return self._client is not None and self._server is not None and is_of_this_user(self._client, self._server)

    def arrived_at(self) -> list[str]:
        """Address and port of this machine at which the connection arrived, in each way that browsers write them."""
        if self._server is None:
            return []
        host, port = self._server
        address = f"[{host}]" if ":" in host else host
        return [f"{address}:{port}", *([address] if port == _HTTP_PORT else [])]

    def place(self, *, without: str | None = None) -> str:
        """Path and parameters, less one, as a reference within this server."""
        kept = urlencode([(name, value) for name, value in self.parameters if name != without])
        # Two slashes would begin the name of a host.
        return "/" + quote(self.path.lstrip("/")) + (f"?{kept}" if kept else "")


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host


def _same_again(place: str, status: int, headers: tuple[tuple[str, str], ...]) -> Answer:
    """A page that opens another one: the browser then takes this server for the one that asks."""
    page = f'<!DOCTYPE html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url={escape(place)}">'
    return Answer(status, page, headers, "text/html")


def _with_headers(send: Send) -> Send:
    replaced = {name for name, _ in _HEADERS}

    async def send_with_headers(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            own = [header for header in message.get("headers", ()) if header[0].lower() not in replaced]
            message = {**message, "headers": [*own, *_HEADERS, _FRAMES]}
        await send(message)

    return send_with_headers


async def _send_answer(answer: Answer, send: Send) -> None:
    body = answer.text.encode()
    headers = [("content-type", f"{answer.media_type}; charset=utf-8"), ("content-length", str(len(body)))]
    sent = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in [*headers, *answer.headers]]
    await send({"type": "http.response.start", "status": answer.status, "headers": sent})
    await send({"type": "http.response.body", "body": body})
