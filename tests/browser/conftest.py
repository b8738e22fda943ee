"""A running web interface with its daemon, and a browser in front of it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import dagster as dg
import pytest

from code_index.index.folder import IndexFolder, resolve_index_folder
from resources.instance_config import instance_config
from tests.waiting import PATIENCE_S, wait_until

T = TypeVar("T")

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class DagsterUI:
    """The web interface of one index."""

    def __init__(self, folder: IndexFolder, address: str) -> None:
        self.folder = folder
        self.root = folder.repository_root
        # As it is printed, with the token.
        self.address = address
        self.url, _, self.token = address.partition("/?token=")

    def graphql(self, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
        """Data of a GraphQL answer; an error in it fails the test."""
        request = urllib.request.Request(
            f"{self.url}/graphql",
            data=json.dumps({"query": query, "variables": variables or {}}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            content = json.load(answer)
        assert "errors" not in content, content["errors"]
        return content["data"]  # type: ignore[no-any-return]

    def ask(self, question: Callable[[dg.DagsterInstance], T]) -> T:
        """An answer of the Dagster instance that the web interface shows.

        In a thread of its own: Playwright keeps an event loop in this one, and Dagster starts some.
        """

        def answer() -> T:
            with dg.DagsterInstance.from_config(str(self.folder.dagster_home)) as instance:
                return question(instance)

        with ThreadPoolExecutor(1) as pool:
            return pool.submit(answer).result()

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until something holds."""
        wait_until(condition, what, every_s=0.5)


@pytest.fixture
def dagster_ui(
    tmp_path: Path, own_environment: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Path], DagsterUI]]:
    """Start `code-index ui` on a repository; it ends with the test, and its log is shown when the test fails."""
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")
    running: list[tuple[subprocess.Popen[bytes], Path]] = []

    def start(root: Path) -> DagsterUI:
        folder = resolve_index_folder(root)
        folder.create(instance_config())
        # Instances of this process find their event log by it.
        monkeypatch.setenv("DAGSTER_HOME", str(folder.dagster_home))
        log = tmp_path / "ui.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "indexing_assets.cli.main", "ui", str(root), "--port", "0"],
                env=dict(os.environ),
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        running.append((process, log))

        def printed() -> list[str]:
            text = log.read_text(encoding="utf-8", errors="replace")
            assert process.poll() is None, text[-3_000:]
            return re.findall(r"http://\S+token=\S+", text)

        wait_until(lambda: bool(printed()), "the address is printed")
        ui = DagsterUI(folder, printed()[0])

        def loaded() -> bool:
            printed()
            with contextlib.suppress(OSError):
                return bool(ui.graphql("{ repositoriesOrError { ... on RepositoryConnection { nodes { id } } } }"))
            return False

        ui.wait_for(loaded, "the web interface answers")
        return ui

    try:
        yield start
    finally:
        for process, log in running:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise
            assert process.returncode == 0
            print(log.read_text(encoding="utf-8", errors="replace")[-4_000:])  # noqa: T201


class Browser:
    """A page, and what went wrong on it."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(f"page error: {error}"))
        page.on("response", self._look_at)

    def _look_at(self, response: Any) -> None:
        if "/graphql" not in response.url:
            return
        if response.status >= 400:
            self.errors.append(f"{response.url}: {response.status}")


@pytest.fixture
def browser() -> Iterator[Browser]:
    """A page of a headless Chromium; skipped where there is none."""
    program = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if program is None:
        pytest.skip("Chromium is not installed: `apt-get install chromium`")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=program,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                # A name of somebody else's that leads to this machine.
                "--host-resolver-rules=MAP rebound.example 127.0.0.1",
            ],
        )
        page = chromium.new_context(viewport={"width": 1500, "height": 950}).new_page()
        page.set_default_timeout(PATIENCE_S * 1e3)
        yield Browser(page)
        chromium.close()
