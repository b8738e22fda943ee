"""What a command prints is data: whatever a value holds, a terminal shows it and obeys nothing of it."""

from __future__ import annotations

import ast
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import indexing_assets.cli as room
from indexing_assets.cli.output import (
    Styled,
    code,
    has_colours,
    say,
    say_exports,
    say_json,
    shell_word,
    tell,
    tell_message,
)
from indexing_assets.cli.streams import EscapingStream
from tests.waiting import PATIENCE_S

HOSTILE = "a\x1b[2J\x1b]0;title\x07\x9b31m\u202e\u2028\r\x7f\x00\ud800\nz"
# `relay` is a process of its own, and the streams are its only business; `entry` says one sentence of its own.
_WRITERS = {"output.py", "streams.py", "relay.py", "entry.py"}
_WRITING = {
    "print",
    "echo",
    "secho",
    "prompt",
    "confirm",
    "echo_via_pager",
    "pause",
    "edit",
    "clear",
    "write",
    "writelines",
}


def _sources() -> list[Path]:
    return sorted(Path(room.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("source", _sources(), ids=lambda path: path.stem)
def test_no_module_but_the_printing_ones_writes_to_a_stream(source: Path) -> None:
    called = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            function = node.func
            called.add(function.id if isinstance(function, ast.Name) else getattr(function, "attr", ""))
        if isinstance(node, ast.Attribute) and node.attr in {"stdout", "__stdout__", "__stderr__"}:
            called.add("write")
    if source.name in _WRITERS:
        assert called & _WRITING
    else:
        # `confirm` of the module of output, and no other.
        own = {"confirm"} if "import confirm" in source.read_text(encoding="utf-8") else set()
        assert called & _WRITING <= own


def _commanding(text: str) -> set[str]:
    return {c for c in text if not c.isprintable()} - {"\n", "\t"}


@given(value=st.text(st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp", "Co", "Lu"]), max_size=12))
def test_a_line_is_one_line_and_holds_no_control_character(value: str) -> None:
    for write in (lambda: say("<", value, ">", Styled(value, bold=True)), lambda: tell(value)):
        with pytest.MonkeyPatch.context() as patch:
            stream = _Kept()
            patch.setattr(sys, "stdout", stream)
            patch.setattr(sys, "stderr", stream)
            write()
        assert _commanding(stream.text) == set()
        assert stream.text.count("\n") == 1


class _Kept:
    """A stream in memory that says it is a file."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None: ...

    def isatty(self) -> bool:
        return False


def test_lines_of_a_message_stay_and_those_of_code_keep_their_tabs(capsys: pytest.CaptureFixture[str]) -> None:
    tell_message("first\nsecond\x1b[0m\n")
    for line in ([("keyword", "\tx ="), ("", " 1  # \x1b[2J")], [("", "y")]):
        say("  ", *code(line))
    printed = capsys.readouterr()
    assert printed.err == "first\nsecond\\x1b[0m\n"
    assert printed.out == "  \tx = 1  # \\x1b[2J\n  y\n"


def test_json_is_ascii_and_says_what_was_there(capsys: pytest.CaptureFixture[str]) -> None:
    say_json({HOSTILE: [HOSTILE, math.nan, -math.inf, 1.5, Path("/x"), (1, None)]})
    out = capsys.readouterr().out
    assert out.isascii()
    assert _commanding(out) == set()
    assert json.loads(out, parse_constant=pytest.fail) == {HOSTILE: [HOSTILE, None, None, 1.5, "/x", [1, None]]}


def test_a_shell_reads_an_exported_value_byte_by_byte_as_it_is(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    values = ["", "plain", "it's", "$HOME `id` \\", "a\x1b[2J\x9b\u202e\x7f\t\r\nz\n", "é\udcff\x01\x02 -n %s", "\n"]
    with pytest.MonkeyPatch.context() as patch, os.fdopen(os.dup(1), "w", encoding="ascii") as stream:
        patch.setattr(sys, "stdout", stream)
        say_exports({f"V{number}": value for number, value in enumerate(values)})
    exports = capfdbinary.readouterr().out
    assert _commanding(exports.decode("utf-8", "ignore")) == set()
    names = " ".join(f'"$V{number}"' for number in range(len(values)))
    done = subprocess.run(
        ["sh", "-c", exports + f"printf '%s\\0' {names}".encode()], capture_output=True, timeout=PATIENCE_S, check=True
    )
    assert done.stdout.split(b"\0")[:-1] == [os.fsencode(value) for value in values]
    assert shell_word("plain") == "plain"


@pytest.mark.parametrize(
    ("variables", "at_a_terminal", "coloured"),
    [
        ({}, False, False),
        ({}, True, True),
        ({"TERM": "dumb"}, True, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"CLICOLOR_FORCE": "1", "TERM": "dumb"}, False, True),
        ({"FORCE_COLOR": "0"}, False, False),
        ({"FORCE_COLOR": "3", "NO_COLOR": "1"}, False, False),
    ],
)
def test_the_environment_says_whether_there_are_colours(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], at_a_terminal: bool, coloured: bool
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm", **variables}.items():
        monkeypatch.setenv(name, value)
    stream = _Kept()
    monkeypatch.setattr(stream, "isatty", lambda: at_a_terminal)
    monkeypatch.setattr(sys, "stdout", stream)
    assert has_colours() is coloured


def test_what_anybody_writes_to_a_stream_of_the_command_is_escaped() -> None:
    kept = _Kept()
    stream = EscapingStream(kept)  # type: ignore[arg-type]
    print(HOSTILE, file=stream)  # type: ignore[arg-type]
    stream.writelines(["one\x1b\n", "two\n"])
    stream.write_plain("\x1b[1mours\x1b[0m")
    assert "one\\x1b\ntwo\n\x1b[1mours\x1b[0m" in kept.text
    assert _commanding(kept.text.removesuffix("\x1b[1mours\x1b[0m")) == set()
