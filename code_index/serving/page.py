"""The page of an index, as an application behind the guard: files of this package, and answers as JSON.

Belongs here: addresses, and what the page may do in a browser. Does not belong here: who is answered (`guard`), and what
(`answers`).

Decision: the page is made in the browser, of JSON, by a script that sets text and never markup; so nothing of a file can
become an element, and the policy lets no script run but the page's own. Rejected: a framework, which users would have
to build or trust.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, MutableMapping
from importlib.resources import files
from typing import Any, Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from code_index.core.errors import CodeIndexError, UsageError
from code_index.core.quoting import json_text
from code_index.report.style import STYLE
from code_index.serving.answers import Answers
from code_index.serving.guard import Application, Receive, Scope, Send

API: Final = "/api/"
STATUS_PATH: Final = "/api/status"
"""Asked for again and again by an open page, so that it says nothing of a person."""

_LOG = logging.getLogger(__name__)

_FOLDER: Final = files("code_index.serving").joinpath("web")
_FILES: Final = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_HEADERS: Final = (
    (
        b"content-security-policy",
        (
            b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
            b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
        ),
    ),
    (b"cache-control", b"no-store"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)


def _flag(text: str) -> bool:
    return text == "1"


_WORD: Final[Callable[[str], Any]] = str
_ARGUMENTS: Final[Mapping[str, Mapping[str, Callable[[str], Any]]]] = {
    "search": {
        "query": _WORD,
        "mode": _WORD,
        "limit": int,
        "language": _WORD,
        "glob": _WORD,
        "chunk_type": _WORD,
        "content": _WORD,
        "per_file": int,
        "explain": _flag,
        "highlight": _flag,
    },
    "status": {},
    "failed": {},
    "file": {"path": _WORD, "line": int, "first": int, "last": int},
    "map": {"folder": _WORD},
}


def page_application(answers: Answers) -> Application:
    """The page and its answers; every answer carries the page's policy."""

    async def answer(request: Request) -> Response:
        question = request.path_params["question"]
        try:
            arguments = _arguments(question, request)
            found = await run_in_threadpool(answers.answer, question, arguments)
        except CodeIndexError as error:
            return _json({"error": str(error)}, status=400 if isinstance(error, UsageError) else 500)
        except Exception:  # noqa: BLE001 - one answer failed, and the next may not
            _LOG.exception("The page's question %s failed.", question)
            return _json({"error": "This failed; the terminal of `code-index serve` says why."}, status=500)
        return _json(found)

    static = [Route(path, _sent(name, kind)) for path, (name, kind) in _FILES.items()]
    style = Route("/base.css", _text(STYLE, "text/css"))
    application = Starlette(routes=[*static, style, Route(API + "{question}", answer)])
    return _with_policy(application)


def _arguments(question: str, request: Request) -> dict[str, Any]:
    takes = _ARGUMENTS.get(question)
    if takes is None:
        raise UsageError(f"There is no question {question!r:.80}.")
    found = {}
    for name, value in request.query_params.multi_items():
        if name not in takes or name in found:
            raise UsageError(f"{question} takes {', '.join(takes) or 'nothing'}, each once, and not {name!r:.80}.")
        try:
            found[name] = takes[name](value)
        except ValueError as error:
            raise UsageError(f"{name} {value!r:.80} is not a number.") from error
    if question == "search":
        if "query" not in found:
            raise UsageError("The query is missing.")
        found = {"limit": 20} | found
        found["limit"] = min(found["limit"], 100)
    if question == "file" and "path" not in found:
        raise UsageError("The path is missing.")
    return found


def _json(data: Any, *, status: int = 200) -> Response:
    return Response(json_text(data), status_code=status, media_type="application/json")


def _sent(name: str, media_type: str) -> Callable[[Request], Response]:
    return _text(_FOLDER.joinpath(name).read_text(encoding="utf-8"), media_type)


def _text(text: str, media_type: str) -> Callable[[Request], Response]:
    def send(_request: Request) -> Response:
        return Response(text, media_type=media_type)

    return send


def _with_policy(application: Application) -> Application:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *_HEADERS]}
            await send(message)

        await application(scope, receive, with_headers)

    return answer
