"""A question where there is no index: the offer, the order of answers and phases, and what Ctrl-C leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from code_index.core.errors import IndexMissingError
from code_index.index.folder import locate_index_folder
from code_index.tables import IndexStore
from indexing_assets.cli import first_index
from tests.terminal import at_a_terminal, said_until
from tests.waiting import PATIENCE_S

Run = Callable[..., subprocess.CompletedProcess[str]]

# As where embedding takes long: it never ends by itself.
_LONG = """
import time
from code_index.embedding.deterministic import DeterministicEmbedder
from indexing_assets.cli import first_index
from indexing_assets.cli.main import main

def endless(*_, progress, **__):
    while True:
        progress(0)
        time.sleep(0.01)

first_index._SHORT_S = -1.0
DeterministicEmbedder.embed_documents_detailed = endless
main()
"""


@pytest.fixture
def fast_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")


def test_in_a_pipe_it_is_an_error_that_names_both_ways(small_repository: Path, command_line: Run) -> None:
    done = command_line("search", "greet", cwd=small_repository, check=2)
    assert f"Run `code-index index {small_repository}` first, or say --index." in done.stderr
    assert not (small_repository / ".code-index").exists()


def test_with_index_it_is_made_first_and_the_answer_is_one_object(small_repository: Path, command_line: Run) -> None:
    done = command_line("search", "greet", "--index", "--json", cwd=small_repository)
    answer = json.loads(done.stdout)
    assert answer["hits"][0]["qualified_name"] == "greet"
    assert answer["vectors_share"] == 1.0
    assert "Indexing" in done.stderr
    again = command_line("symbol", "Counter", "--index", cwd=small_repository)
    assert "app/greeting.py:9" in again.stdout
    assert "Indexing" not in again.stderr


def test_code_like_that_at_a_line_waits_for_vectors(small_repository: Path, command_line: Run) -> None:
    done = command_line("related", "app/greeting.py:5", "--index", "--json", cwd=small_repository)
    assert json.loads(done.stdout)["vectors_share"] == 1.0


@pytest.mark.usefixtures("fast_model")
def test_a_no_at_the_terminal_leaves_the_repository_as_it_was(small_repository: Path) -> None:
    with at_a_terminal("search", "greet", cwd=small_repository) as (process, terminal):
        said = said_until(terminal, "[Y/n]")
        os.write(terminal, b"n\n")
        said += said_until(terminal, "Later: code-index index")
        process.communicate(timeout=PATIENCE_S)
    assert "4 files (" in said
    assert "words are found in about" in said
    assert process.returncode == 2
    assert not (small_repository / ".code-index").exists()


@pytest.mark.usefixtures("fast_model")
def test_words_are_answered_while_meaning_follows_and_ctrl_c_then_keeps_them(small_repository: Path) -> None:
    with at_a_terminal("search", "greet", cwd=small_repository, program=("-c", _LONG)) as (process, terminal):
        said_until(terminal, "[Y/n]")
        os.write(terminal, b"\n")
        said_until(terminal, "Meaning follows")
        assert process.stdout is not None
        assert "app/greeting.py:4  greet" in process.stdout.readline()
        os.killpg(process.pid, signal.SIGINT)
        said = said_until(terminal, "code-index resume")
        process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, said
    store = IndexStore(locate_index_folder(small_repository).tables_dir)
    assert f"4 of 4 files in {store.chunks.count()} chunks, 0 of them with a vector" in said
    assert store.vectors.count() == 0
    assert "Traceback" not in said


def test_a_home_folder_is_no_repository_unless_somebody_names_it(
    command_line: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    assert "is no repository" in command_line("search", "greet", "--index", cwd=home, check=2).stderr
    assert not (home / ".code-index").exists()
    for place in (home, Path("/")):
        folder = locate_index_folder(place)
        with pytest.raises(IndexMissingError, match="is no repository"):
            first_index._agree(folder, wanted=False, named=True)
        first_index._agree(folder, wanted=True, named=True)
    (home / ".git").mkdir()
    assert not locate_index_folder(home).holds_home


def test_several_indexes_are_not_made(small_repository: Path, command_line: Run) -> None:
    done = command_line("search", "greet", "--repo", small_repository, "--index", check=2)
    assert "--index makes the index of one repository" in done.stderr
