"""The page of `code-index serve` in a browser: by keys only, at any width, whatever names and files hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from code_index.index.folder import resolve_index_folder
from code_index.tables import IndexStore
from tests.served import served

pytestmark = pytest.mark.slow

_LIVE = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>'
_TURNED = "\u202egnp.exe"
_FAILED = "docs/guide.md"


class _Page:
    """A page of the browser, with the addresses that it asked for and all that went wrong."""

    def __init__(self, page: Any, url: str) -> None:
        self.page = page
        self.elsewhere: list[str] = []
        self.wrong: list[str] = []
        page.on("request", lambda request: None if request.url.startswith(url) else self.elsewhere.append(request.url))
        page.on("console", lambda message: self.wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("dialog", lambda dialog: self.wrong.append(dialog.message))

    def search(self, query: str) -> None:
        self.page.keyboard.press("/")
        self.page.keyboard.type(query)
        assert self.page.input_value("#query") == query  # the slash goes to the box, and not into it
        self.page.keyboard.press("Enter")
        self.page.wait_for_selector("#results > li[aria-current=true]")

    def chosen(self) -> str:
        return str(self.page.inner_text("#results > li[aria-current=true]"))


def _fits(page: Any, width: int) -> None:
    """Show each view at a width, and scroll none of them sideways."""
    page.set_viewport_size({"width": width, "height": 700})
    for key in ("h", "m", "s", "Enter"):
        page.keyboard.press(key)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, key
    page.wait_for_selector("#detail .code")
    page.locator("#detail .file-head").get_by_role("button", name="Close").click()
    assert page.is_hidden("#detail")


def test_all_of_it_is_reached_by_keys_at_any_width(
    small_repository: Path, browser: Any, command_line: Callable[..., Any]
) -> None:
    command_line("index", small_repository)
    with served(small_repository, "--no-watch") as serving:
        url = serving.address.partition("?")[0]
        page = browser.page
        unknown = page.context.new_page()
        assert unknown.goto(url).status == 401, "the token is needed"
        unknown.close()
        seen = _Page(page, url)
        page.goto(serving.address)
        assert page.url == url
        assert page.evaluate("document.cookie") == ""
        page.get_by_text("4 files, edits are not followed").wait_for()

        page.keyboard.press("Escape")
        seen.search("greet a person by name")
        assert "app/greeting.py:4" in seen.chosen()
        page.keyboard.press("w")
        assert "meaning" in seen.chosen()
        first = seen.chosen()
        page.keyboard.press("j")
        assert seen.chosen() != first
        page.keyboard.press("k")
        assert seen.chosen() == first
        page.keyboard.press("Enter")
        page.wait_for_selector("#detail tr.hit")
        assert "def greet" in page.inner_text("#detail tr.hit")
        assert "increment" in page.inner_text("#detail .outline")
        page.reload()
        page.wait_for_selector("#detail tr.hit")
        assert "app/greeting.py:4" in seen.chosen(), "the address says what is shown"
        page.keyboard.press("Escape")
        assert page.is_hidden("#detail")

        page.select_option("#language", "typescript")
        page.locator("#results .place", has_text="greeting.py:4").wait_for(state="detached")
        assert "getUserName.ts" in seen.chosen()

        page.keyboard.press("m")
        page.wait_for_selector("#map button:not(.folder)")
        assert page.locator("#map button:not(.folder)").count() == 4
        while "greeting.py" not in page.inner_text("#map-said"):
            page.keyboard.press("j")
        assert "complexity" in page.inner_text("#map-said")
        page.keyboard.press("Enter")
        page.wait_for_selector("#detail .code")
        page.keyboard.press("Escape")
        page.keyboard.press("h")
        page.get_by_text("Nothing failed.").wait_for()
        page.keyboard.press("?")
        page.get_by_role("dialog").wait_for()
        page.keyboard.press("Escape")
        _fits(page, 360)
        assert (seen.wrong, seen.elsewhere) == ([], [])


def test_names_and_files_are_text_whatever_they_hold(
    small_repository: Path, browser: Any, command_line: Callable[..., Any]
) -> None:
    name = f"app/a{_LIVE.replace('/', '')}{_TURNED}.py"
    hostile = f'def hostile_function():\n    """{_LIVE} {_TURNED}"""\n    return 1\n'
    (small_repository / name).write_text(hostile, encoding="utf-8")
    command_line("index", small_repository)
    files = IndexStore(resolve_index_folder(small_repository).tables_dir).files
    failed = files.read(where=f"file_path = '{_FAILED}'").to_pylist()
    schema = files.read().schema
    row = {**failed[0], "status": "error", "reason": f"cannot be read: {_LIVE}{_TURNED}", "transient": False}
    files.upsert(schema.empty_table().from_pylist([row], schema=schema))
    with served(small_repository, "--no-watch") as serving:
        page = browser.page
        seen = _Page(page, serving.address.partition("?")[0])
        page.goto(serving.address)
        page.keyboard.press("Escape")
        seen.search("hostile_function")
        assert _LIVE in seen.chosen()
        assert "\\u202egnp.exe" in seen.chosen()
        page.keyboard.press("Enter")
        page.wait_for_selector("#detail tr.hit")
        assert _LIVE in page.inner_text("#detail .code")
        page.keyboard.press("m")
        page.wait_for_selector("#map button:not(.folder)")
        while "hostile" not in (page.inner_text("#detail .outline") if page.is_visible("#detail .outline") else ""):
            page.keyboard.press("j")
            page.keyboard.press("Enter")
        page.keyboard.press("h")
        page.get_by_text("Files that failed").wait_for()
        shown = page.inner_text("#view-health")
        assert f"cannot be read: {_LIVE}\\u202egnp.exe" in shown
        assert _TURNED[0] not in page.inner_text("body")
        assert page.locator("main img, main script, main a, main iframe").count() == 0
        page.get_by_role("searchbox").fill(_LIVE)
        page.keyboard.press("Enter")
        page.wait_for_selector("#results > li[aria-current=true]")
        assert page.evaluate("window.pwned") is None
        assert (seen.wrong, seen.elsewhere) == ([], [])
