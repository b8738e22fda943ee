"""A process that stays: whom it answers, and when it ends."""

from __future__ import annotations

import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from code_index.core.errors import UsageError
from code_index.index.folder import IndexFolder, resolve_index_folder
from code_index.index.trust import SOCKET_FILE
from code_index.serving import local_socket, server
from code_index.serving.listening import listen
from code_index.serving.local_socket import connect
from code_index.serving.questions import LONGEST_QUESTION, addressee, ask
from code_index.serving.server import WHERE, PageDoor, Server
from resources.instance_config import instance_config
from tests.waiting import PATIENCE_S, wait_until

_HOSTILE = "<img src=x onerror=alert(1)>\u202e\x1b[2J\ud800"


class _Answers:
    """Says what it was asked; `refuse` is refused, and `fail` fails."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Mapping[str, Any]]] = []
        self.hold = threading.Event()
        self.hold.set()

    def answer(self, question: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        self.asked.append((question, dict(arguments)))
        assert self.hold.wait(PATIENCE_S)
        if question == "refuse" or arguments.get("query") == "refuse":
            raise UsageError(f"refused {_HOSTILE}")
        if question == "fail" or arguments.get("query") == "fail":
            raise ZeroDivisionError("secret of the traceback")
        return {"question": question, **arguments, "hostile": _HOSTILE, "nan": float("nan")}

    def warm(self) -> None:
        self.asked.append(("warm", {}))
        raise UsageError("nothing is indexed")


@pytest.fixture
def folder(tmp_path: Path) -> IndexFolder:
    (tmp_path / "repository").mkdir()
    folder = resolve_index_folder(tmp_path / "repository")
    folder.create(instance_config())
    return folder


class _Serving:
    """A server in this thread while `do` runs in another one; its errors are the test's."""

    def __init__(self, folder: IndexFolder) -> None:
        self.folder = folder
        self.answers = _Answers()
        self.busy = False
        self.idle_s: float | None = None
        [listener] = listen("127.0.0.1", 0)
        port = listener.getsockname()[1]
        self.door = PageDoor([listener], [f"127.0.0.1:{port}"], "a-token-of-this-test-0123456789", f"code_index_{port}")
        self.url = self.door.address.partition("?")[0]

    def run(self, do: Callable[[], None]) -> str:
        serving = Server(
            self.folder,
            self.answers,  # type: ignore[arg-type]
            self.door,
            idle_s=self.idle_s,
            busy=lambda: self.busy,
        )
        self.running = serving
        failed: list[BaseException] = []

        def act() -> None:
            try:
                wait_until(lambda: ask(self.folder, WHERE, {}), "the server answers")
                do()
            except BaseException as error:  # noqa: BLE001 - raised by the test's own thread
                failed.append(error)
            finally:
                self.idle_s = serving._idle_s = 0.0
                self.busy = False

        thread = threading.Thread(target=act)
        thread.start()
        try:
            return serving.run()
        finally:
            thread.join()
            if failed:
                raise failed[0]

    def get(self, path: str, **headers: str) -> tuple[int, str, Any]:
        request = urllib.request.Request(f"{self.url}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                return answer.status, answer.read().decode(), answer.headers
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(), error.headers


@pytest.fixture
def serving(folder: IndexFolder, monkeypatch: pytest.MonkeyPatch) -> _Serving:
    monkeypatch.setattr(server, "_LOOK_S", 0.02)
    return _Serving(folder)


def test_a_question_is_answered_and_an_error_is_raised_as_it_was(serving: _Serving) -> None:
    def do() -> None:
        said = ask(serving.folder, "search", {"query": "x"})
        assert {name: said[name] for name in ("question", "query", "hostile")} == {
            "question": "search",
            "query": "x",
            "hostile": _HOSTILE,
        }
        with pytest.raises(UsageError, match="refused"):
            ask(serving.folder, "refuse", {})
        assert ask(serving.folder, "fail", {}) is None, "whoever asked meets the fault where it can be seen"
        assert ask(serving.folder, WHERE, {})["address"] == serving.door.address

    serving.run(do)
    assert ("search", {"query": "x"}) in serving.answers.asked
    assert connect(serving.folder.locks_dir, timeout_s=1) is None, "its socket is gone"


def test_another_environment_or_index_is_not_answered(serving: _Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    def do() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CODE_INDEX_MODEL", "another")
            assert ask(serving.folder, "search", {}) is None
        assert ask(IndexFolder(serving.folder.path, serving.folder.path), "search", {}) is None

    serving.run(do)
    assert [question for question, _ in serving.answers.asked] == ["warm"]


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"[]\n",
        b"not JSON\n",
        b"{}\n",
        b'{"to": 1, "question": {}}\n',
        b"\xff\x00\n",
        b"[" * 100_000 + b"\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"",
    ],
)
def test_what_is_no_question_ends_only_its_own_connection(
    serving: _Serving, line: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    def do() -> None:
        with connect(serving.folder.locks_dir, timeout_s=PATIENCE_S) as connection:
            connection.sendall(line)
            connection.shutdown(socket.SHUT_WR)
            assert b'"answer"' not in connection.makefile("rb").read()
        assert ask(serving.folder, WHERE, {}) is not None

    serving.run(do)
    assert caplog.text == ""


def test_a_question_without_a_name_or_without_arguments_gets_no_answer(serving: _Serving) -> None:
    def do() -> None:
        for said in ({"question": 1, "arguments": {}}, {"question": "search", "arguments": []}, {"question": "search"}):
            with connect(serving.folder.locks_dir, timeout_s=PATIENCE_S) as connection:
                connection.sendall(json.dumps({"to": addressee(serving.folder), **said}).encode() + b"\n")
                connection.shutdown(socket.SHUT_WR)
                assert connection.makefile("rb").read() == b'{"heard": true}\n'

    serving.run(do)


def test_a_question_without_an_end_is_bounded(serving: _Serving) -> None:
    def do() -> None:
        with connect(serving.folder.locks_dir, timeout_s=PATIENCE_S) as connection:
            try:
                for _ in range(4):
                    connection.sendall(b"x" * LONGEST_QUESTION)
                received = connection.recv(10)
            except (BrokenPipeError, ConnectionResetError):
                received = b""
            assert received == b""
        assert ask(serving.folder, WHERE, {}) is not None

    serving.run(do)


def test_a_process_of_another_user_is_hung_up_on(serving: _Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    def do() -> None:
        monkeypatch.setattr(local_socket, "is_peer_of_this_user", lambda _connection: False)
        # As `connect`, without its own look at the other end.
        with (
            socket.socket(socket.AF_UNIX) as connection,
            local_socket.short_path(serving.folder.locks_dir, local_socket.SOCKET_FILE) as path,
        ):
            connection.settimeout(PATIENCE_S)
            connection.connect(path)
            question = json.dumps({"to": addressee(serving.folder), "question": WHERE, "arguments": {}}).encode()
            with suppress(ConnectionResetError, BrokenPipeError):  # it may hang up before it is asked
                connection.sendall(question)
                assert connection.recv(10) == b""

    serving.run(do)


def test_it_ends_when_nobody_asks_and_not_while_somebody_waits_or_a_run_goes_on(serving: _Serving) -> None:
    serving.idle_s = 0.0
    serving.busy = True
    waited: list[Any] = []

    def do() -> None:
        serving.answers.hold.clear()
        asking = threading.Thread(target=lambda: waited.append(ask(serving.folder, "search", {"query": "slow"})))
        asking.start()
        wait_until(lambda: ("search", {"query": "slow"}) in serving.answers.asked, "the question arrived")
        serving.busy = False
        time.sleep(0.2)  # many looks
        serving.answers.hold.set()
        asking.join()

    assert "Nobody asked for" in serving.run(do)
    assert waited[0]["query"] == "slow"


def test_it_ends_when_its_index_is_deleted(serving: _Serving) -> None:
    serving.busy = True  # it would not be idle
    assert "was deleted" in serving.run(lambda: _wait_until_ended(serving, (serving.folder.path / "index.json").unlink))


def test_it_ends_when_the_program_is_exchanged_and_answers_nobody_meanwhile(
    serving: _Serving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "code_index"
    program.mkdir()
    (program / "__init__.py").write_text("", encoding="utf-8")
    monkeypatch.setattr(server.code_index, "__file__", str(program / "__init__.py"))
    monkeypatch.setattr(server._Program, "_EVERY_S", 0.0)

    def exchange() -> None:
        (program / "new.py").write_text("", encoding="utf-8")
        assert ask(serving.folder, "search", {}) is None

    assert "was changed" in serving.run(lambda: _wait_until_ended(serving, exchange))


def _wait_until_ended(serving: _Serving, act: Callable[[], None]) -> None:
    act()
    wait_until(lambda: not (serving.folder.locks_dir / SOCKET_FILE).exists(), "it has ended")


def test_the_page_and_its_answers_need_what_the_guard_asks_for(serving: _Serving) -> None:
    browser = {"User-Agent": "Mozilla/5.0", "Sec-Fetch-Site": "none"}
    cookie = f"{serving.door.cookie}={serving.door.token}"

    def do() -> None:
        assert serving.get("api/status")[0] == 200, "a program of this user"
        for path in ("", "page.js", "api/status", "api/search?query=x"):
            assert serving.get(path, **browser)[0] == 401, path
            assert serving.get(path, Host="rebound.example")[0] == 403, path
            assert serving.get(path, Origin="http://other.example")[0] == 403, path
            assert serving.get(path, **browser, Cookie=cookie)[0] == 200, path
            assert serving.get(path, **{**browser, "Sec-Fetch-Site": "cross-site"}, Cookie=cookie)[0] == 403, path
            assert serving.get(path, **browser, Authorization=f"Bearer {serving.door.token}")[0] == 200, path
        assert serving.get("", **browser, Cookie=f"{serving.door.cookie}=wrong")[0] == 401

    serving.run(do)


def test_every_answer_forbids_the_browser_what_the_page_does_not_need(serving: _Serving) -> None:
    def do() -> None:
        for path in ("", "base.css", "page.css", "page.js", "icon.svg", "api/search?query=x", "api/nothing", "missing"):
            _, text, headers = serving.get(path)
            policies = headers.get_all("Content-Security-Policy")
            assert any(
                "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
                for policy in policies
            ), path
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Cache-Control"] == "no-store"
            assert "http://" not in text.replace("http://www.w3.org/2000/svg", ""), "no address outside"
            assert "https://" not in text

    serving.run(do)


def test_what_the_page_may_ask_is_listed_and_typed(serving: _Serving) -> None:
    def do() -> None:
        status, text, headers = serving.get("api/search?query=a&limit=5&explain=1&language=python")
        assert (status, headers.get_content_type()) == (200, "application/json")
        assert text.isascii()
        said = json.loads(text)
        assert (said["hostile"], said["nan"]) == (_HOSTILE, None)
        assert serving.answers.asked[-1] == (
            "search",
            {"query": "a", "limit": 5, "explain": True, "language": "python"},
        )
        serving.get("api/search?query=a&limit=1000000")
        assert serving.answers.asked[-1] == ("search", {"query": "a", "limit": 100})
        asked = len(serving.answers.asked)
        for wrong in (
            "api/search",
            "api/file",
            "api/search?query=a&limit=many",
            "api/search?query=a&query=b",
            "api/search?query=a&unknown=1",
            "api/warm",
            "api/answer",
            "api/where",
        ):
            status, text, _ = serving.get(wrong)
            assert status == 400, wrong
            assert json.loads(text)["error"]
        assert len(serving.answers.asked) == asked
        status, text, _ = serving.get("api/search?query=refuse")
        assert (status, json.loads(text)["error"]) == (400, f"refused {_HOSTILE}")
        status, text, _ = serving.get("api/search?query=fail")
        assert status == 500
        assert "secret of the traceback" not in text

    serving.run(do)


def test_an_open_page_that_only_looks_keeps_nothing_running(serving: _Serving) -> None:
    times: list[float] = []

    def do() -> None:
        running = serving.running
        wait_until(lambda: not running._under_way, "the first question is over")
        times.append(running._asked_at)
        serving.get("api/status")
        times.append(running._asked_at)
        serving.get("api/map")
        wait_until(lambda: not running._under_way, "the second question is over")
        times.append(running._asked_at)

    serving.run(do)
    first, looked, asked = times
    assert first == looked
    assert looked < asked
