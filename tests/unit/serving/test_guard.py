"""Whom a guard lets through, and what it answers to the others."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from code_index.serving import guard as guard_module
from code_index.serving.guard import Guard

_TOKEN = "a-token-of-this-test-0123456789abcdef"
_HOST = "127.0.0.1:3000"
_BROWSER = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64)", "accept": "text/html,*/*", "sec-fetch-site": "none"}
_OWN_PAGE = {**_BROWSER, "accept": "*/*", "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"}
_COOKIE = {"cookie": f"other=1; code_index_3000={_TOKEN}"}
_JSON = {"content-type": "application/json"}
_LINK = {**_BROWSER, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


@dataclass
class Answered:
    status: int
    body: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)

    def header(self, name: str) -> str | None:
        found = [value for key, value in self.headers if key == name]
        assert len(found) <= 1, found
        return found[0] if found else None


class Guarded:
    """A guard before an application that answers 200 to everything, and a client that is nobody's."""

    def __init__(self, **options: Any) -> None:
        self.reached: list[str] = []
        settings: dict[str, Any] = {
            "token": _TOKEN,
            "cookie": "code_index_3000",
            "hosts": {_HOST, "localhost:3000"},
            "endpoints": ("/graphql",),
            "reads": lambda path, parameters: path != "/graphql" or ("query", "mutation") not in parameters,
        }
        self._guard = Guard(self._application, **{**settings, **options})

    async def _application(self, scope, receive, send) -> None:
        self.reached.append(f"{scope['type']} {scope.get('path')}")
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
        elif scope["type"] == "http":
            headers = [(b"x-frame-options", b"ALLOWALL"), (b"content-security-policy", b"object-src 'none'")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"page"})

    def ask(
        self,
        target: str = "/",
        headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        *,
        method: str = "GET",
        host: str | None = _HOST,
        kind: str = "http",
        server: tuple[str, int] | None = ("127.0.0.1", 3000),
    ) -> Answered:
        path, _, query = target.partition("?")
        sent = list(headers.items() if isinstance(headers, Mapping) else headers)
        if host is not None:
            sent.insert(0, ("host", host))
        scope = {
            "type": kind,
            "path": path,
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in sent],
            "client": ("127.0.0.1", 50_000),
            "server": server,
        }
        if kind == "http":
            scope["method"] = method
        answered = Answered(0)

        async def receive() -> dict[str, Any]:
            return {"type": f"{kind}.connect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                answered.status = message["status"]
                answered.headers = [(name.decode(), value.decode()) for name, value in message["headers"]]
            elif message["type"] == "http.response.body":
                answered.body += message["body"].decode()
            else:
                answered.status = {"websocket.accept": 101, "websocket.close": 403}[message["type"]]

        asyncio.run(self._guard(scope, receive, send))
        return answered


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> Guarded:
    monkeypatch.setattr(guard_module, "is_of_this_user", lambda client, server: False)
    return Guarded()


@pytest.fixture
def guarded_from_a_neighbour(monkeypatch: pytest.MonkeyPatch) -> Guarded:
    """A guard, asked by a program of its own user."""
    monkeypatch.setattr(guard_module, "is_of_this_user", lambda client, server: True)
    return Guarded()


def test_a_browser_with_the_cookie_gets_pages_sends_queries_and_opens_websockets(guarded: Guarded) -> None:
    assert guarded.ask("/runs", {**_BROWSER, **_COOKIE}).body == "page"
    own = {**_OWN_PAGE, **_COOKIE, "origin": f"http://{_HOST}"}
    assert guarded.ask("/graphql", {**own, **_JSON}, method="POST").status == 200
    assert guarded.ask("/graphql", own, kind="websocket").status == 101


@pytest.mark.parametrize(
    "host", ["other.example", "other.example:3000", "127.0.0.1:3001", "127.0.0.1.other.example:3000"]
)
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_a_name_of_somebody_else_that_leads_here_is_refused(
    guarded_from_a_neighbour: Guarded, host: str, kind: str
) -> None:
    # DNS rebinding: for the browser the page and this server are one site, so everything else fits.
    fits = {**_OWN_PAGE, **_COOKIE, "origin": f"http://{host}"}
    assert guarded_from_a_neighbour.ask(headers=fits, host=host, kind=kind).status == 403
    assert guarded_from_a_neighbour.ask(host=host, kind=kind).status == 403
    assert guarded_from_a_neighbour.ask(f"/?token={_TOKEN}", host=host, kind=kind).status == 403
    assert guarded_from_a_neighbour.reached == []


def test_no_host_and_two_hosts_are_refused(guarded: Guarded) -> None:
    assert guarded.ask(headers=_COOKIE, host=None).status == 403
    assert guarded.ask(headers=[("host", "other.example"), *_COOKIE.items()]).status == 403


def test_the_refusal_of_a_host_names_it_and_what_its_server_can_do(guarded: Guarded) -> None:
    said = "This server does not answer to the host other.example. Use the address that it printed"
    assert guarded.ask(host="other.example").body == f"{said}."
    hint = ", or start it with `--allow-host NAME`"
    assert Guarded(how_to_allow=hint).ask(host="other.example").body == f"{said}{hint}."


def test_other_names_are_those_that_the_user_allows_and_the_address_of_the_connection(guarded: Guarded) -> None:
    allowing = Guarded(hosts={"box.example", "tunnel:8080"})
    assert allowing.ask(headers=_COOKIE, host="BOX.example:3000").status == 200
    assert allowing.ask(headers=_COOKIE, host="box.example").status == 200
    assert allowing.ask(headers=_COOKIE, host="tunnel:8080").status == 200
    assert allowing.ask(headers=_COOKIE, host="tunnel:3000").status == 403
    assert guarded.ask(headers=_COOKIE, host="192.0.2.7:3000", server=("192.0.2.7", 3000)).status == 200
    assert guarded.ask(headers=_COOKIE, host="[2001:db8::7]:3000", server=("2001:db8::7", 3000)).status == 200
    assert guarded.ask(headers=_COOKIE, host="192.0.2.7", server=("192.0.2.7", 80)).status == 200
    assert guarded.ask(headers=_COOKIE, host="192.0.2.8:3000", server=("192.0.2.7", 3000)).status == 403


@pytest.mark.parametrize(
    "made_by_another_page",
    [
        {"origin": "http://other.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:4000"},
        {"origin": f"http://{_HOST}.other.example"},
        {"origin": f"ftp://{_HOST}"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
        {"sec-fetch-site": "same-origin", "origin": "http://other.example"},
    ],
)
@pytest.mark.parametrize(
    ("method", "kind"), [("GET", "http"), ("POST", "http"), ("OPTIONS", "http"), ("GET", "websocket")]
)
def test_what_a_page_of_another_site_asks_is_refused_also_with_the_cookie(
    guarded_from_a_neighbour: Guarded, made_by_another_page: Mapping[str, str], method: str, kind: str
) -> None:
    headers = {**_COOKIE, **_JSON, **made_by_another_page}
    for target in ("/", "/graphql", f"/?token={_TOKEN}"):
        answer = guarded_from_a_neighbour.ask(target, headers, method=method, kind=kind)
        assert answer.status == 403
        assert answer.header("access-control-allow-origin") is None
        assert answer.header("set-cookie") is None
    assert guarded_from_a_neighbour.reached == []


def test_a_second_header_does_not_hide_the_first(guarded: Guarded) -> None:
    twice = [("origin", "http://other.example"), ("origin", f"http://{_HOST}"), *_COOKIE.items()]
    assert guarded.ask(headers=twice).status == 403


def test_a_link_elsewhere_leads_to_a_page_but_to_nothing_that_acts(guarded: Guarded) -> None:
    # A page on another port of this host is of the same site: the browser sends the cookie.
    near = {**_LINK, **_COOKIE, "sec-fetch-site": "same-site"}
    assert guarded.ask("/runs", near).status == 200
    assert guarded.ask("/runs", near, method="POST").status == 403
    for target in ("/graphql", "/graphql?query=query", "/graphql/x"):
        assert guarded.ask(target, near).status == 403
    assert guarded.reached == ["http /runs"]


def test_a_link_without_the_cookie_is_followed_once_more_by_a_page_of_this_server(guarded: Guarded) -> None:
    answer = guarded.ask('/runs/"x"?a=<b>&c=d', _LINK)
    assert (answer.status, guarded.reached) == (401, [])
    (place,) = re.findall(r'content="0; url=([^"]*)"', answer.body)
    assert place == "/runs/%22x%22?a=%3Cb%3E&amp;c=d"


@pytest.mark.parametrize(
    "media_type",
    [
        "application/x-www-form-urlencoded",
        "text/plain",
        "text/plain; application/json",
        "multipart/form-data; boundary=application/json",
        "application/graphql",
        "",
    ],
)
def test_a_post_is_json_or_refused(guarded_from_a_neighbour: Guarded, media_type: str) -> None:
    for headers in ({"content-type": media_type}, [], [("content-type", "text/plain"), *_JSON.items()]):
        answer = guarded_from_a_neighbour.ask("/graphql", headers, method="POST")
        assert answer.status == 415
    assert guarded_from_a_neighbour.reached == []
    charset = {"content-type": "Application/JSON; charset=utf-8"}
    assert guarded_from_a_neighbour.ask("/graphql", charset, method="POST").status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_get_that_changes_something_is_refused(guarded_from_a_neighbour: Guarded, method: str) -> None:
    for query in (
        "query=mutation",
        "query=query&query=mutation",
        "query=mutation&query=query",
        "a=%26&query=mut%61tion",
    ):
        assert guarded_from_a_neighbour.ask(f"/graphql?{query}", method=method).status == 405
    assert guarded_from_a_neighbour.reached == []
    assert guarded_from_a_neighbour.ask("/graphql?query=query").status == 200


def test_a_program_of_the_same_user_needs_no_token_and_one_of_another_user_does(
    guarded: Guarded, guarded_from_a_neighbour: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = {"user-agent": "curl/8.5.0", "accept": "*/*", **_JSON}
    assert guarded_from_a_neighbour.ask("/graphql", program, method="POST").status == 200
    assert guarded_from_a_neighbour.ask("/graphql", {"sec-websocket-version": "13"}, kind="websocket").status == 101
    monkeypatch.setattr(guard_module, "is_of_this_user", lambda client, server: False)
    assert guarded.ask("/graphql", program, method="POST").status == 401
    assert guarded.ask("/graphql", kind="websocket").status == 403
    assert guarded.ask("/graphql", {**program, "authorization": f"bearer {_TOKEN}"}, method="POST").status == 200


@pytest.mark.parametrize(
    "sign",
    [
        {"user-agent": "Mozilla/5.0"},
        {"accept": "text/html,application/xhtml+xml"},
        {"sec-fetch-site": "none"},
        {"sec-ch-ua": '"Chromium"'},
        {"origin": f"http://{_HOST}"},
        {"referer": f"http://{_HOST}/"},
        {"upgrade-insecure-requests": "1"},
        {"x-forwarded-for": "203.0.113.9"},
        {"x-forwarded-host": "box.example"},
        {"x-real-ip": "203.0.113.9"},
        {"forwarded": "for=203.0.113.9"},
        {"via": "1.1 proxy"},
    ],
)
def test_a_browser_or_a_proxy_of_the_same_user_needs_the_token(
    guarded_from_a_neighbour: Guarded, sign: Mapping[str, str]
) -> None:
    answer = guarded_from_a_neighbour.ask("/", sign)
    assert answer.status == 401
    assert "address that was printed" in answer.body
    assert answer.header("content-type") == "text/plain; charset=utf-8"
    assert guarded_from_a_neighbour.ask("/", {**sign, **_COOKIE}).status == 200
    assert guarded_from_a_neighbour.reached == ["http /"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"cookie": f"code_index_3000={_TOKEN}x"},
        {"cookie": "code_index_3000="},
        {"cookie": f"code_index_3001={_TOKEN}"},
        {"cookie": f"xcode_index_3000={_TOKEN}"},
        {"authorization": f"Basic {_TOKEN}"},
        {"authorization": _TOKEN},
        {"authorization": "Bearer "},
        {"authorization": "Bearer \u00e9"},
    ],
)
def test_another_token_or_another_servers_cookie_is_none(guarded: Guarded, wrong: Mapping[str, str]) -> None:
    assert guarded.ask("/", wrong).status == 401
    assert guarded.ask("/?token=wrong", _BROWSER).status == 401
    assert guarded.ask("/?token=", _BROWSER).status == 401


def test_the_token_of_the_address_becomes_a_cookie_and_leaves_the_address(guarded: Guarded) -> None:
    answer = guarded.ask(f"/runs/a%20b?x=1&token={_TOKEN}&y=%26", _BROWSER)
    assert (answer.status, answer.header("location")) == (303, "/runs/a%2520b?x=1&y=%26")
    assert answer.header("set-cookie") == f"code_index_3000={_TOKEN}; Path=/; HttpOnly; SameSite=Strict"
    assert answer.header("cache-control") == "no-store"
    assert guarded.reached == [], "the application never sees the token"


@pytest.mark.parametrize("path", ["//other.example/", "/\\other.example", "///other.example"])
def test_no_address_leads_on_to_another_server(guarded: Guarded, path: str) -> None:
    place = guarded.ask(f"{path}?token={_TOKEN}", _BROWSER).header("location")
    assert place is not None
    assert re.match(r"/[^/\\]", place)


def test_a_link_with_the_token_signs_in_by_a_page_since_a_redirect_would_be_the_other_sites(guarded: Guarded) -> None:
    answer = guarded.ask(f"/?token={_TOKEN}", _LINK)
    assert answer.status == 200
    assert answer.header("set-cookie") is not None
    assert 'content="0; url=/"' in answer.body


def test_the_token_in_an_address_is_for_pages_only(guarded: Guarded) -> None:
    assert guarded.ask(f"/graphql?token={_TOKEN}", _JSON, method="POST").status == 401
    assert guarded.ask(f"/graphql?token={_TOKEN}", kind="websocket").status == 403


@pytest.mark.parametrize("target", ["/", "/?token=wrong"])
@pytest.mark.parametrize("cookie", [_COOKIE, {}])
def test_no_other_site_may_frame_read_or_embed_an_answer(
    guarded: Guarded, target: str, cookie: Mapping[str, str]
) -> None:
    answer = guarded.ask(target, {**_BROWSER, **cookie})
    assert answer.header("x-frame-options") == "SAMEORIGIN"
    assert answer.header("cross-origin-resource-policy") == "same-origin"
    assert answer.header("referrer-policy") == "same-origin"
    policies = [value for name, value in answer.headers if name == "content-security-policy"]
    assert "frame-ancestors 'self'" in policies


def test_the_start_and_end_of_the_server_reach_the_application(guarded: Guarded) -> None:
    guarded.ask(kind="lifespan")
    assert guarded.reached == ["lifespan /"]


def test_the_token_is_not_shown_where_a_guard_is_shown(guarded: Guarded) -> None:
    assert _TOKEN not in repr(guarded._guard)
