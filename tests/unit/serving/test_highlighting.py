"""Code is styled without a change of its text, whatever it is, and within bounded time."""

from __future__ import annotations

import signal
import time
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from code_index.serving import highlighting
from code_index.serving.highlighting import Highlighter, highlighted, plain
from indexing_assets.cli.output import CODE_COLOURS
from tests.waiting import PATIENCE_S


def _texts(lines: list[highlighting.Line]) -> list[str]:
    return ["".join(part for _, part in line) for line in lines]


def test_parts_have_the_style_of_what_they_are() -> None:
    code = ["@cached", "def greet(name: str) -> int:", '    """Greet."""', "    return 42  # answer", "class A: pass"]
    found = highlighted(code, "python")
    assert _texts(found) == code
    parts = {text.strip(): style for line in found for style, text in line}
    assert parts["@cached"] == "decorator"
    assert (parts["def"], parts["greet"], parts["42"], parts["# answer"]) == (
        "keyword",
        "function",
        "number",
        "comment",
    )
    assert (parts['"""Greet."""'], parts["A"], parts["str"]) == ("string", "class", "builtin")
    styles = {style for line in found for style, _ in line} - {""}
    assert styles <= set(CODE_COLOURS), "each has a colour in a terminal"
    page = files("code_index.serving").joinpath("web", "page.css").read_text()
    assert all(f".{style} {{" in page for style in styles), "and on the page"


def test_a_language_that_nobody_knows_is_plain() -> None:
    assert highlighted(["a <b>", ""], "no such language") == plain(["a <b>", ""]) == [[("", "a <b>")], [("", "")]]


@pytest.mark.parametrize("language", ["python", "html", "javascript", "markdown", "yaml", "text"])
@given(lines=st.lists(st.text(st.characters(exclude_characters="\n\r"), max_size=40), max_size=6))
def test_the_text_stays_what_it_is(language: str, lines: list[str]) -> None:
    assert _texts(highlighted(lines, language)) == lines


def test_a_long_line_is_cut() -> None:
    [line] = highlighted(["x" * 5_000_000], "python")
    assert len(_texts([line])[0]) < 3_000


def test_a_process_of_its_own_says_the_same() -> None:
    highlighter = Highlighter(patience_s=PATIENCE_S)
    try:
        texts = [("python", ["def f(): pass", "\u202e\x1b[2J"]), ("no such language", ["<b>"])]
        found = highlighter.highlight(texts)
        assert found == [highlighted(lines, language) for language, lines in texts]
        assert highlighter.highlight([]) == []
    finally:
        highlighter.close()


def test_one_that_takes_too_long_or_dies_costs_the_colours_only() -> None:
    highlighter = Highlighter(patience_s=PATIENCE_S)
    text = ("python", ["def f(): pass"])
    try:
        highlighter.highlight([text])
        highlighter._process.kill()
        highlighter._process.wait()
        assert highlighter.highlight([text]) == [highlighted(text[1], text[0])], "another one is started"

        highlighter._process.send_signal(signal.SIGSTOP)
        highlighter._patience_s = 0.0
        started = time.monotonic()
        assert highlighter.highlight([text]) == [plain(text[1])]
        assert time.monotonic() - started < PATIENCE_S
        assert highlighter._process is None, "it is not left to go on"
    finally:
        highlighter.close()
