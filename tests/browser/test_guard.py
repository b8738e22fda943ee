"""What pages of other sites can do to `code-index ui` in the browser of its user, who is signed in: nothing."""

from __future__ import annotations

import http.server
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

_MUTATION = 'mutation { setConcurrencyLimit(concurrencyKey: "of_another_site", limit: 3) }'
# Each way by which a page reaches another server; the page says how each ended.
_HOSTILE_PAGE = """<!DOCTYPE html><body><script>
const url = "%(url)s", mutation = %(mutation)s, body = JSON.stringify({query: mutation});
const get = url + "/graphql?query=" + encodeURIComponent(mutation);
const ended = {};
const loaded = (tag, name, src) => new Promise(done => {
  const element = Object.assign(document.createElement(tag), {src});
  element.onload = () => { ended[name] = "loaded"; done(); };
  element.onerror = () => { ended[name] = "refused"; done(); };
  document.body.append(element);
});
const fetched = (name, target, options) => fetch(target, options).then(
  answer => { ended[name] = answer.type === "opaque" ? "sent" : "read " + answer.status; },
  () => { ended[name] = "refused"; });
const socket = () => new Promise(done => {
  const opened = new WebSocket(url.replace("http", "ws") + "/graphql", "graphql-ws");
  opened.onopen = () => { ended.websocket = "opened"; done(); };
  opened.onerror = () => { ended.websocket = "refused"; done(); };
});
const form = (name, encoding) => new Promise(done => {
  const frame = Object.assign(document.createElement("iframe"), {name});
  const sent = Object.assign(document.createElement("form"),
    {method: "POST", action: get, enctype: encoding, target: name});
  sent.append(Object.assign(document.createElement("input"), {name: "query", value: mutation}));
  document.body.append(frame, sent);
  frame.onload = () => { ended[name] = "answered"; done(); };
  sent.submit();
});
(async () => {
  const json = {"Content-Type": "application/json"};
  await fetched("fetch", url + "/graphql", {method: "POST", headers: json, body, credentials: "include"});
  await fetched("simple", get, {method: "POST", body, mode: "no-cors", credentials: "include"});
  await fetched("read", url + "/server_info", {credentials: "include"});
  await loaded("img", "image", get);
  await loaded("script", "script", get);
  await form("form", "application/x-www-form-urlencoded");
  await form("text", "text/plain");
  await form("parts", "multipart/form-data");
  await socket();
  window.ended = ended;
})();
</script><a href="%(url)s/runs">runs</a></body>"""


@pytest.fixture
def other_site() -> Iterator[Callable[[str], str]]:
    """Serve a page about the given server from another port; its address, under the name of this machine."""
    page = b""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    def about(url: str) -> str:
        nonlocal page
        page = (_HOSTILE_PAGE % {"url": url, "mutation": json.dumps(_MUTATION)}).encode()
        return f"http://127.0.0.1:{server.server_port}/"

    try:
        yield about
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _status(url: str, headers: dict[str, str]) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_no_page_of_another_site_reaches_the_web_interface_of_a_user_who_is_signed_in(
    tmp_path: Path, dagster_ui: Callable[[Path], Any], browser: Any, other_site: Callable[[str], str]
) -> None:
    root = tmp_path / "repository"
    root.mkdir()
    (root / "module.py").write_text("def function():\n    return 1\n", encoding="utf-8")
    ui = dagster_ui(root)
    page = browser.page
    hostile = other_site(ui.url)

    page.goto(ui.url)
    assert "address that was printed" in page.inner_text("body"), "the token is needed"
    page.goto(ui.address)
    page.get_by_text("parsed_chunks").or_(page.get_by_text("Overview")).first.wait_for()
    assert "token" not in page.url
    assert page.evaluate("document.cookie") == "", "scripts cannot read the token"
    browser.errors.clear()

    # Another port of this machine is the same site for cookies, another name is not.
    for place in (hostile, hostile.replace("127.0.0.1", "rebound.example")):
        # A page of its own: Dagster's goes on asking until it is left, and may.
        attacker = page.context.new_page()
        answers: list[int] = []
        asked = lambda answer, answers=answers: answers.append(answer.status) if ui.url in answer.url else None  # noqa: E731
        attacker.on("response", asked)
        attacker.goto(place)
        attacker.wait_for_function("window.ended")
        ended = attacker.evaluate("window.ended")
        attacker.close()
        assert ended.pop("simple") in {"refused", "sent"}, "sent without a way to read the answer"
        assert {ended.pop(name) for name in ("form", "text", "parts")} == {"answered"}
        assert set(ended.values()) == {"refused"}, ended
        assert answers
        assert set(answers) <= {401, 403, 405, 415}, answers
    keys = ui.ask(lambda instance: set(instance.event_log_storage.get_concurrency_keys()))
    assert "of_another_site" not in keys

    # A link is no attack: it leads to the page, and the browser is still known there.
    for place in (hostile, hostile.replace("127.0.0.1", "rebound.example")):
        page.goto(place)
        page.wait_for_function("window.ended")
        page.get_by_role("link", name="runs").click()
        page.get_by_role("heading", name="Runs").or_(page.get_by_text("Runs", exact=True)).first.wait_for()
        assert page.url.startswith(f"{ui.url}/runs")

    # A name of the other site's that leads here: for the browser the page and the server are then one.
    answer = page.goto(f"http://rebound.example:{ui.url.rpartition(':')[2]}/")
    assert answer.status == 403
    assert _status(f"{ui.url}/server_info", {"Host": "rebound.example"}) == 403
    assert _status(f"{ui.url}/server_info", {}) == 200, "a program of the same user"
