"""A text from a repository is no markup, whatever is in it."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from code_index.core.quoting import code_block, code_span, html_text, printable

PIECES = [
    "`",
    "``",
    "```",
    "~~~",
    "|",
    "\\",
    "\n",
    "\r",
    " ",
    "\t",
    "<img src=x onerror=evil()>",
    "![x](",
    "[x](http:",
    ")",
]
PIECES += [
    "javascript:evil()",
    "http://evil.example",
    "www.evil.example",
    "evil@evil.example",
    "&lt;",
    "*",
    "#",
    "- ",
    "> ",
]
PIECES += [
    "\x1b[31m",
    "\x9b2J",
    "\u202e",
    "\u2028",
    "\ud800",
    "\x00",
    "e",
    "|---|",
    "<!--",
    "[x]: evil",
    "$$",
    "'",
    '"',
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=8).map("".join) | st.text(max_size=20)
MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def tokens(text):
    for token in MARKDOWN.parse(text):
        yield token
        yield from token.children or ()


@given(TEXTS, TEXTS)
@example("a\\", "|`[x](evil)")
@example("\\", "`")
def test_a_code_span_stays_one_in_a_table_in_a_list_and_in_a_sentence(first, second):
    spans = [code_span(first), code_span(second)]
    wanted = [span[1:-1] for span in spans if span]
    table = f"| {' | '.join(spans)} |\n| --- | --- |\n| {' | '.join(spans)} |"
    for text, times in ((table, 2), (f"- {spans[0]}: {spans[1]}", 1), (f"Found {spans[0]}, {spans[1]}.", 1)):
        found = list(tokens(text))
        kinds = {"table", "thead", "tbody", "tr", "th", "td", "bullet_list", "list_item", "paragraph"}
        allowed = {f"{kind}_{side}" for kind in kinds for side in ("open", "close")} | {"inline", "text", "code_inline"}
        assert {token.type for token in found} <= allowed
        shown = [token.content.strip() for token in found if token.type == "code_inline"]
        assert shown == [span.strip() for span in wanted] * times
        assert "".join(t.content for t in found if t.type == "text").strip(" :,.") in {
            "",
            "Found",
            "Found ,",
            "Found :",
        }


@given(TEXTS, TEXTS)
def test_a_code_block_holds_all_of_its_text_and_nothing_else_is_there(text, language):
    found = list(tokens(f"before\n\n{code_block(text, language)}\n\nafter"))
    assert [token.type for token in found if token.type not in {"inline", "text"}] == [
        *["paragraph_open", "paragraph_close", "fence"],
        *["paragraph_open", "paragraph_close"],
    ]
    assert [token.content for token in found if token.type == "text"] == ["before", "after"]


@given(TEXTS)
def test_html_text_is_neither_a_tag_nor_an_attribute(text):
    seen = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag, attrs):
            seen.append((tag, [name for name, _ in attrs]))

        def handle_comment(self, data):
            seen.append(data)

        handle_decl = unknown_decl = handle_pi = handle_comment

    parser = Parser()
    parser.feed(f'<p title="{html_text(text)}">{html_text(text)}</p>')
    parser.close()
    assert seen == [("p", ["title"])]


@given(TEXTS, st.integers(1, 40))
def test_what_is_shown_commands_no_terminal(text, longest):
    assert printable(text).isprintable()
    assert code_span(text).isprintable()
    assert len(code_span(text, longest=longest)) <= longest + 2
    assert code_block(text, text).replace("\n", "").replace("\t", "").isprintable()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("src/app.py", "`src/app.py`"),
        ("a|b`c`", "`a¦b'c'`"),
        ("two\nlines\there", "`two lines here`"),
        ("\x1b[31mred", r"`\x1b[31mred`"),
        ("", ""),
        (" \n", ""),
    ],
)
def test_names_stay_readable(text, shown):
    assert code_span(text) == shown
