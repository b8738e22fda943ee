"""Pages of Dagster's web interface in a headless Chromium: how long each takes until its own content is there."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True, slots=True)
class Visit:
    """A page: where it is, what to do there, and the text that is there when it is ready."""

    name: str
    path: str
    ready: re.Pattern[str]
    act: Callable[[Any], None] = lambda _page: None


def installed_browser() -> str:
    """Path of the browser; exits where there is none."""
    program = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if program is None:
        raise SystemExit("Chromium is not installed: apt-get install chromium")
    return program


@contextmanager
def opened_browser(program: str) -> Iterator[Any]:
    """A headless browser, for as long as the context lasts."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield browser
        browser.close()


def measure(
    browser: Any, base: str, visit: Visit, screenshot: Path | None, *, token: str = "", limit_s: float = 300.0
) -> dict[str, Any]:
    """One visit in a fresh page; one that takes too long counts as the limit.

    Args:
        browser: as `opened_browser` gives it.
        base: address of the web interface, without a final slash.
        visit: the page.
        screenshot: folder for a picture of it, or None.
        token: of `code-index ui`.
        limit_s: how long to wait for the page's content.
    """
    from playwright.sync_api import TimeoutError  # noqa: A004

    page = browser.new_page(viewport={"width": 1500, "height": 950})
    if token:
        page.context.add_cookies([{"name": f"code_index_{base.rpartition(':')[2]}", "value": token, "url": base}])
    page.set_default_timeout(limit_s * 1e3)
    requests: list[tuple[float, str]] = []

    def finished(request: Any) -> None:
        if "/graphql" in request.url:
            body = request.post_data_json or {}
            requests.append((request.timing["responseEnd"] / 1e3, str(body.get("operationName"))))

    page.on("requestfinished", finished)
    started = time.perf_counter()
    page.goto(base + visit.path)
    visit.act(page)
    try:
        page.get_by_text(visit.ready).locator("visible=true").first.wait_for()
    except TimeoutError:
        print(f"{visit.name}: not within {limit_s:.0f} s", flush=True)
    seconds = time.perf_counter() - started
    page.wait_for_timeout(1_000)
    if screenshot is not None:
        page.screenshot(path=screenshot / f"{re.sub('[^a-z_]+', '-', visit.name)}.png")
    page.close()
    slowest = max(requests, default=(0.0, ""))
    return {"seconds": seconds, "slowest_request_s": slowest[0], "slowest_request": slowest[1]}
