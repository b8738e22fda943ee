"""Ctrl-C at any time: one sentence, status 130, no traceback; a second one ends at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.terminal import at_a_terminal, said_until
from tests.waiting import PATIENCE_S, started

# Ctrl-C in the middle of the import of a module.
_WHILE_IMPORTING = """
import signal, sys
from indexing_assets.cli import entry

class Finder:
    def find_spec(self, name, *_):
        if name == {name!r}:
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Finder())
entry.main()
"""
_CLEANING_UP = """
import signal
from indexing_assets.cli.interrupts import raise_interrupts, saying_what_is_kept

raise_interrupts()
with saying_what_is_kept(lambda: "kept"):
    try:
        print("working", flush=True)
        signal.pause()
    finally:
        print("cleaning up", flush=True)
        while True:
            try:
                signal.pause()
            except KeyboardInterrupt:
                pass
"""
_IN_A_CALLBACK = """
import signal
from indexing_assets.cli.interrupts import raise_interrupts, saying_what_is_kept

class Thing:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

raise_interrupts()
with saying_what_is_kept(lambda: "kept"):
    Thing()
    signal.pause()
"""
_DRAWING = """
import os
from indexing_assets.cli.streams import open_streams
from indexing_assets.cli.terminal_progress import showing_progress
from indexing_assets.runs.progress import Progress, report

open_streams()
with showing_progress():
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    report(Progress("embed", "chunks", 3, 9))
    input()
"""


def _run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


@pytest.mark.parametrize("name", ["click", "code_index.core.errors"])
def test_before_a_command_is_known_nothing_was_done(name: str) -> None:
    done = _run(_WHILE_IMPORTING.format(name=name), "index")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "Stopped before anything was done.\n")


@pytest.mark.parametrize("name", ["indexing_assets.operations.pipeline", "lancedb", "dagster"])
def test_while_a_command_imports_nothing_was_stored(small_repository: Path, name: str) -> None:
    done = _run(_WHILE_IMPORTING.format(name=name), "index", str(small_repository))
    assert done.returncode == 130
    assert done.stderr.endswith(
        f"Stopped before anything was stored. Begin again: code-index index {small_repository}\n"
    )
    assert "Traceback" not in done.stderr


def test_a_command_without_words_of_its_own_says_how_to_go_on(small_repository: Path) -> None:
    done = _run(_WHILE_IMPORTING.format(name="indexing_assets.operations.pipeline"), "cleanup", str(small_repository))
    assert done.returncode == 130
    assert done.stderr.splitlines() == ["", "Stopped. What is stored is safe. To go on, run the same command again."]


def test_a_second_one_ends_at_once_whatever_the_first_is_waiting_for() -> None:
    with started(sys.executable, "-c", _CLEANING_UP, stdout=subprocess.PIPE, text=True) as process:
        for said in ("working\n", "cleaning up\n"):
            assert process.stdout.readline() == said
            process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 130


def test_a_person_who_waits_is_told_of_the_second(tmp_path: Path) -> None:
    with at_a_terminal(cwd=tmp_path, program=("-c", _CLEANING_UP)) as (process, terminal):
        assert process.stdout is not None
        assert process.stdout.readline() == "working\n"
        process.send_signal(signal.SIGINT)
        assert "Press Ctrl-C again to end at once" in said_until(terminal, "lose it.")
        process.send_signal(signal.SIGINT)
        assert "\x1b[?25h" in said_until(terminal, "\x1b[?25h"), "the cursor is shown again"
        process.communicate(timeout=PATIENCE_S)


def test_one_that_falls_into_a_callback_is_not_lost() -> None:
    done = _run(_IN_A_CALLBACK)
    assert done.stderr.splitlines()[-1] == "indexing_assets.cli.interrupts.Stopped: kept"
    assert "Exception ignored" not in done.stderr


def test_progress_is_seen_while_standard_error_is_a_file(tmp_path: Path) -> None:
    with at_a_terminal(cwd=tmp_path, program=("-c", _DRAWING)) as (process, terminal):
        assert "3/9" in said_until(terminal, "3/9")
        os.write(terminal, b"\n")
        process.communicate(timeout=PATIENCE_S)
