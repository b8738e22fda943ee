"""A table of TOML is appended and taken out, and nothing else changes."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexing_assets.agents import toml_tables

_KEYS = ("mcp_servers", "code-index")
_TABLE = {"command": '/a b/"c"/code-index', "args": ["mcp"]}
_LINES = [
    "# a comment",
    "",
    'model = "gpt"  # why',
    "[profiles.x]",
    "a = 1",
    "  b   =   [ 1,\n  2, # two\n ]",
    '[mcp_servers.github]\nurl = "https://x"',
    "[mcp_servers.github.env]\nKEY = 'v'",
    "[mcp_servers.docs]\ncommand = \"npx\"\nargs = ['-y']",
    "[[rules]]\nname = 'one'",
    '[notes]\ntext = """\n[mcp_servers.code-index]\nnot = "ours"\n"""',
    "[tui]\ntheme = {a = 1, b = 'x'}",
]


@st.composite
def _texts(draw: st.DrawFn) -> str:
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    lines = draw(st.lists(st.sampled_from(_LINES), unique=True, max_size=len(_LINES)))
    text = draw(st.sampled_from(["", "\ufeff"])) + "\n".join(lines) + draw(st.sampled_from(["", "\n", "\n\n"]))
    return text.replace("\n", newline)


def _read(text: str):
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))
    except tomllib.TOMLDecodeError:
        return None


@settings(max_examples=60)
@given(_texts())
def test_a_table_is_appended_and_every_byte_before_it_stays(text: str) -> None:
    data = _read(text)
    if data is None:
        with pytest.raises(toml_tables.TomlError):
            toml_tables.with_table(text, _KEYS, _TABLE)
        return
    edited = toml_tables.with_table(text, _KEYS, _TABLE)
    assert edited.startswith(text)
    assert _read(edited) == {**data, "mcp_servers": {**data.get("mcp_servers", {}), "code-index": _TABLE}}
    assert ("\r\n" in edited) == ("\r\n" in text)


def test_values_that_do_not_equal_themselves_change_nothing() -> None:
    text = "ratio = nan\nlimit = -inf\nday = 2026-11-27\n"
    assert toml_tables.with_table(text, _KEYS, _TABLE).startswith(text)


@settings(max_examples=60)
@given(_texts(), st.lists(st.sampled_from(_LINES), unique=True, max_size=4))
def test_a_table_is_taken_out_and_the_lines_of_others_stay(text: str, after: list[str]) -> None:
    if _read(text) is None:
        return
    newline = "\r\n" if "\r\n" in text else "\n"
    edited = toml_tables.with_table(text, _KEYS, _TABLE) + "\n".join(after).replace("\n", newline)
    data = _read(edited)
    if data is None or not any(line.startswith("[") for line in after[:1]):
        return
    left = toml_tables.without_table(edited, _KEYS)
    del data["mcp_servers"]["code-index"]
    assert {key: value for key, value in _read(left).items() if value} == {k: v for k, v in data.items() if v}
    others = _filled_lines(text) + _filled_lines("\n".join(after))
    assert _filled_lines(left) == others


def _filled_lines(text: str) -> list[str]:
    return [line for line in text.removeprefix("\ufeff").splitlines() if line.strip()]


def test_what_a_user_added_goes_with_the_table_and_a_new_program_leaves_it() -> None:
    text = '[mcp_servers.code-index]\ncommand = "old" # mine\nargs = ["mcp"]\nstartup_timeout_sec = 20\n\n[mcp_servers.code-index.env]\nA = "b"\n\n[other]\nx = 1\n'
    changed = toml_tables.with_value(text, (*_KEYS, "command"), "new")
    assert changed == text.replace('"old"', '"new"')
    assert toml_tables.without_table(text, _KEYS) == "[other]\nx = 1\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a = 1\n", "\n# of the next\n[other]\nx = 1\n"),
        ("[x]\ny = [\n  [1],\n  # [mcp_servers.code-index]\n]\n", "[[z]]\n"),
        ('[x]\ny = """\n[mcp_servers.code-index]\n"""\n', "\n[mcp_servers.b]\nc = 1\n"),
        ("[x]\ny = '''\n[a]\n''''\nz = {a = '[', b = [1]} # {\n", ""),
        ("[mcp_servers]\n", '[ mcp_servers . "x.code-index" ]\na = 1\n'),
    ],
)
def test_where_a_table_ends_is_told_in_any_text(before: str, after: str) -> None:
    ours = '[ mcp_servers . "code-index" ] # ours\ncommand = "c"\nargs = [\n  "mcp", # [not.a.header]\n]\n'
    sub = "[mcp_servers.code-index.env]\nA = 'b'\n"
    for newline, mark in (("\n", ""), ("\r\n", "\ufeff")):
        text = mark + (before + ours + after + "\n" + sub).replace("\n", newline)
        left = toml_tables.without_table(text, _KEYS)
        assert _filled_lines(left) == _filled_lines(before + after)
        assert left.startswith(mark)


@pytest.mark.parametrize(
    "text", ['mcp_servers.code-index.command = "c"\n', '[mcp_servers]\ncode-index = { command = "c" }\n']
)
def test_an_entry_that_is_no_table_of_its_own_is_left_to_its_user(text: str) -> None:
    with pytest.raises(toml_tables.TomlError):
        toml_tables.without_table(text, _KEYS)
    with pytest.raises(toml_tables.TomlError):
        toml_tables.with_value(text, (*_KEYS, "command"), "d")


@pytest.mark.parametrize(
    "text",
    [
        "mcp_servers = {}\n",
        'mcp_servers = { a = { command = "b" } }\n',
        "mcp_servers = 3\n",
        "[[mcp_servers]]\na = 1\n",
    ],
)
def test_servers_to_which_no_table_can_be_added_are_refused(text: str) -> None:
    with pytest.raises(toml_tables.TomlError):
        toml_tables.with_table(text, _KEYS, _TABLE)


@pytest.mark.parametrize("text", ["a = \n", "a = 1\na = 2\n", "[x\n", "a = '\x00'", "a = " + "[" * 5000])
def test_what_is_no_toml_is_refused(text: str) -> None:
    with pytest.raises(toml_tables.TomlError):
        toml_tables.with_table(text, _KEYS, _TABLE)


@given(st.text())
def test_any_program_is_spelled_so_that_it_is_read_back(program: str) -> None:
    text = "\n".join(toml_tables.table_lines(_KEYS, {"command": program}))
    if any(0xD800 <= ord(character) < 0xE000 for character in program):
        return
    assert tomllib.loads(text)["mcp_servers"]["code-index"] == {"command": program}
