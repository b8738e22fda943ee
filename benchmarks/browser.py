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

# Milliseconds until something was painted; URL, milliseconds and bytes of each request.
_TIMINGS = """() => [
    Math.max(0, ...performance.getEntriesByType("paint").map(entry => entry.startTime)),
    performance.getEntriesByType("resource").map(entry => [entry.name, entry.duration, entry.encodedBodySize]),
]"""
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
    asked: list[dict[str, Any]] = []
    page.on("request", lambda request: asked.append(request.post_data_json) if "/graphql?op=" in request.url else None)
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
    painted_ms, resources = page.evaluate(_TIMINGS)
    page.close()
    requests = [(ms / 1e3, url.partition("?op=")[2]) for url, ms, _ in resources if "/graphql?op=" in url]
    slowest = max(requests, default=(0.0, ""))
    return {
        "seconds": seconds,
        "first_paint_s": painted_ms / 1e3,
        "slowest_request_s": slowest[0],
        "slowest_request": slowest[1],
        "files_bytes": sum(size for url, _, size in resources if "/graphql" not in url),
        "queries": asked,
    }
