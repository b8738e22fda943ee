"""A command works whatever its standard streams are: closed, full, without a reader, of a narrow encoding."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from indexing_assets.cli.streams import EscapingStream, finish
from tests.waiting import PATIENCE_S


def _run(code: str, *, shell: str = '"$@"', **variables: str) -> subprocess.CompletedProcess[str]:
    """Run code in an interpreter that a shell starts, with its redirections."""
    return subprocess.run(
        ["bash", "-c", shell, "bash", sys.executable, "-c", code],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@pytest.fixture
def unread() -> Iterator[IO[str]]:
    """A pipe whose reader is gone."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", encoding="utf-8") as stream:
        yield stream


def test_a_stream_without_a_reader_swallows_the_rest(unread: IO[str]) -> None:
    stream = EscapingStream(unread)
    for _ in range(3):
        stream.write("x" * 100_000)
        stream.flush()
    stream.buffer.write(b"x" * 100_000)
    stream.buffer.flush()
    assert stream.trouble is None


def test_output_that_a_full_disk_lost_makes_success_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:  # noqa: PTH123
        monkeypatch.setattr(sys, "stdout", EscapingStream(full))
        sys.stdout.write("x")
        assert finish(0) == 1
        assert finish(2) == 2
    assert "Standard output cannot be written: No space left on device." in capsys.readouterr().err


def test_a_stream_that_is_no_file_is_flushed_and_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", EscapingStream(io.StringIO()))
    sys.stdout.write("é")
    assert finish(0) == 0


_OPEN = """
import os, sys
from indexing_assets.cli.streams import open_streams
open_streams()
print("printed \u1234")
print("told \u1234", file=sys.stderr)
sys.stdout.flush()
# The next file gets none of the numbers that children take for their output.
number = os.open(os.devnull, os.O_RDONLY)
sys.exit(0 if number > 2 and all(map(os.get_inheritable, range(3))) and sys.stdin.read() == "" else 3)
"""


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_opened_on_nothing_and_its_number_never_reused(closed: str) -> None:
    done = _run(_OPEN, shell=f'"$@" </dev/null {closed}', PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ("" if ">&-" in closed.replace("2>&-", "") else "printed \\u1234\n")
    assert done.stderr == ("" if "2>&-" in closed else "told \\u1234\n")


_COMMAND = "import sys; sys.argv = ['code-index', *sys.argv[1:]]; from indexing_assets.cli.main import main; main()"


@pytest.mark.parametrize(
    ("shell", "status", "said"),
    [
        ('set -o pipefail; "$@" --help | head -0', 0, ""),
        ('set -o pipefail; PYTHONIOENCODING=ascii "$@" search --help | head -0', 0, ""),
        ('"$@" --version >/dev/full', 1, "Standard output cannot be written: No space left on device."),
        ('"$@" nonsense 2>/dev/full', 2, ""),
        ('set -o pipefail; { "$@" nonsense 2>&1 >&3 | head -0; } 3>&1', 2, ""),
        ('cd "$HOME" && mkdir gone && cd gone && rmdir ../gone && "$@" status', 2, "The current folder cannot be used"),
        ('exec 0<&- 1>&- 2>&-; "$@" --help', 0, ""),
    ],
)
def test_a_command_ends_with_its_own_status_and_without_a_traceback(shell: str, status: int, said: str) -> None:
    done = _run(_COMMAND, shell=shell)
    assert done.returncode == status, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert said or not done.stderr


def test_an_error_that_nobody_expected_is_shown_escaped(tmp_path: Path) -> None:
    code = """
import sys
import indexing_assets.cli.main as main
sys.argv = ["code-index", "status"]
def fail(ctx):
    raise ZeroDivisionError("x\\x1b[2J")
main.cli.invoke = fail
main.main()
"""
    done = _run(code)
    assert done.returncode == 1
    assert "ZeroDivisionError: x\\x1b[2J" in done.stderr
    assert "\x1b" not in done.stderr


def test_lines_of_other_programs_are_passed_on_escaped_and_to_the_last() -> None:
    code = r"""
import subprocess, sys
from indexing_assets.cli.relay import escaped_output
with escaped_output() as output:
    words = "print('\\x1b[32mgreen\\x1b[0m \\x1b]0;t\\x07 \\x9b'); print('last', end='')"
    subprocess.run([sys.executable, "-c", words], stdout=output, stderr=output, check=True)
"""
    assert _run(code).stderr == "green \\x1b]0;t\\x07 \\x9b\nlast"
