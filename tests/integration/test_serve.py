"""`code-index serve`: commands are answered by it as without it, and nothing depends on its being there."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from code_index.api import Index, Indexes
from code_index.core.errors import UsageError
from code_index.index.folder import resolve_index_folder
from code_index.index.locks import Duty, hold, owner
from code_index.index.trust import SOCKET_FILE
from code_index.serving.answers import Answers
from code_index.serving.mcp.definitions import Served as ToServe
from code_index.serving.mcp.tools import Tools
from code_index.serving.questions import ask
from tests.indexed_copies import copy_indexed
from tests.served import served
from tests.waiting import PATIENCE_S, wait_until

CommandLine = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, make_small_repository: Callable[[Path], Path]) -> Path:
    """A repository, indexed."""
    from indexing_assets import index_repository

    root = make_small_repository(tmp_path_factory.mktemp("made") / "repository")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CODE_INDEX_MODEL", "deterministic")
        index_repository(root)
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of its own."""
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")
    return copy_indexed(made, tmp_path / "repository")


_QUESTIONS = (
    ("search", "greet a person by name"),
    ("search", "greet", "--explain", "--json", "--limit", "2", "--language", "py"),
    ("search", "greet", "--context", "3", "--max-tokens", "300"),
    ("search", "greet", "--format", "path:line"),
    ("related", "app/greeting.py:4", "--context", "1", "--color", "always"),
    ("context", "greet", "--files-only"),
    ("search", "greet", "--glob", "nowhere/**"),
    ("search", "   "),
    ("related", "app/greeting.py:4", "--limit", "2"),
    ("related", "app/nowhere.py:4"),
    ("context", "greet a person", "--max-tokens", "200"),
)
# The seconds that passed, in JSON and in words.
_TIMES = re.compile(r'("(?:age_s|compared_s)": )[\d.]+|scanned .* ago|scanned just now')


def test_a_command_prints_the_same_with_and_without_it(root: Path, command_line: CommandLine) -> None:
    def outcomes() -> list[tuple[int, str, str]]:
        found = [command_line(*words, "--path", root, check=None) for words in _QUESTIONS]
        return [(done.returncode, *(_TIMES.sub(r"\1", said) for said in (done.stdout, done.stderr))) for done in found]

    alone = outcomes()
    with served(root, "--no-watch"):
        assert outcomes() == alone
    assert {status for status, _, _ in alone} == {0, 2}


def test_a_search_that_it_answers_loads_neither_tables_nor_model(root: Path) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "indexing_assets.cli.main", "search", "greet", "--path", root]
    heavy = re.compile(r"\| +(numpy|pyarrow|lancedb|pydantic|polars|onnxruntime|dagster|pygments|code_index\.api)\n")
    with served(root, "--no-watch"):
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    assert "app/greeting.py:4" in done.stdout
    assert heavy.findall(done.stderr) == []
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    assert "app/greeting.py:4" in done.stdout
    assert heavy.findall(done.stderr), "without it they are"


def test_an_agent_is_answered_by_it_with_the_same_words(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = (
        ("search", {"query": "greet a person by name", "language": "py"}),
        ("search", {"query": "greet", "language": "klingon"}),
        ("related", {"path": "app/greeting.py", "line": 4}),
        ("context", {"task": "greet a person", "max_tokens": 400}),
    )

    def answers() -> list[tuple[str, bool]]:
        tools = Tools(ToServe((root,)))
        tools.warm()
        replies = [tools.answer(name, arguments) for name, arguments in calls]
        return [(re.sub(r"scanned .*? ago", "", reply.text), reply.failed) for reply in replies]

    alone = answers()
    with served(root, "--no-watch"):
        for owner_of, name in ((Indexes, "ask"), (Indexes, "context"), (Index, "related")):
            monkeypatch.setattr(owner_of, name, lambda *_, **__: pytest.fail("the agent's server did the work itself"))
        assert answers() == alone
    assert alone[0][0].count("\n1. app/greeting.py:") == 1


def test_it_is_found_from_within_the_repository_and_not_for_another_one(
    root: Path, tmp_path: Path, made: Path, command_line: CommandLine
) -> None:
    other = copy_indexed(made, tmp_path / "other")
    (other / "app" / "greeting.py").unlink()
    command_line("index", other)
    with served(root, "--no-watch"):
        assert "app/greeting.py:4" in command_line("search", "greet", cwd=root / "app").stdout
        assert "app/greeting.py" not in command_line("search", "greet", "--path", other).stdout
        # A link in a hostile clone does not lead to the answers of another index.
        clone = tmp_path / "clone"
        clone.mkdir()
        (clone / ".code-index").symlink_to(root / ".code-index")
        assert command_line("search", "greet", "--path", clone, check=2).stdout == ""


def test_settings_of_the_caller_are_not_answered_with_those_of_the_server(
    root: Path, command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(root, "--no-watch"):
        monkeypatch.setenv("CODE_INDEX_MODEL", "no/such-model")
        done = command_line("search", "greet", "--path", root, check=None)
        monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")
    assert done.returncode == 0
    assert done.stdout == command_line("search", "greet", "--path", root).stdout, "the model in use, by this process"


def test_what_is_laid_into_the_folder_meanwhile_is_refused(root: Path, command_line: CommandLine) -> None:
    with served(root, "--no-watch") as serving:
        (serving.folder.tables_dir / "link").symlink_to("/etc")
        with pytest.raises(UsageError, match="symbolic link"):
            ask(serving.folder, "search", {"query": "greet"})
        assert "symbolic link" in command_line("search", "greet", "--path", root, check=2).stderr


def test_a_kill_at_any_moment_leaves_an_index_that_is_searched_and_served_again(
    root: Path, command_line: CommandLine
) -> None:
    def hits() -> list[dict[str, object]]:
        return json.loads(command_line("search", "greet", "--path", root, "--json").stdout)["hits"]

    before = hits()
    with served(root) as serving:
        wait_until(lambda: owner(serving.folder.locks_dir, Duty.FOLLOW), "a child follows")
        children = serving.children()
        serving.process.kill()
        serving.process.wait()
        assert (serving.folder.locks_dir / SOCKET_FILE).exists(), "left by the kill"
        assert hits() == before
        psutil.wait_procs(children, timeout=PATIENCE_S)
        assert not [child for child in children if child.is_running()]
    assert owner(serving.folder.locks_dir, Duty.FOLLOW) is None
    with served(root, "--no-watch"):
        assert hits() == before


def test_a_second_one_tells_the_address_of_the_first(root: Path, command_line: CommandLine) -> None:
    with served(root, "--no-watch") as serving:
        address = serving.address
        done = command_line("serve", root)
        assert f"Process {serving.process.pid} serves {root} already, at {address}" in done.stderr
        with urllib.request.urlopen(address.partition("?")[0] + "api/status", timeout=PATIENCE_S) as answer:
            assert answer.status == 200


def test_edits_are_indexed_and_a_killed_child_is_started_again(root: Path, command_line: CommandLine) -> None:
    def is_found(name: str) -> bool:
        return f"def {name}" in command_line("search", name, "--path", root, "--limit", "1").stdout

    with served(root) as serving:
        wait_until(lambda: owner(serving.folder.locks_dir, Duty.FOLLOW), "a child follows")
        (root / "app" / "added.py").write_text("def first_addition():\n    return 1\n", encoding="utf-8")
        wait_until(lambda: is_found("first_addition"), "the edit is found", every_s=0.2)
        for child in serving.children():
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        (root / "app" / "added.py").write_text("def second_addition():\n    return 2\n", encoding="utf-8")
        wait_until(lambda: is_found("second_addition"), "the edit after the kill is found", every_s=0.2)
        assert "ended with status -9" in serving.printed()


def test_an_index_is_made_where_there_is_none(
    root: Path, tmp_path: Path, make_small_repository: Callable[[Path], Path], command_line: CommandLine
) -> None:
    fresh = make_small_repository(tmp_path / "fresh" / "repository")
    assert "There is no index" in command_line("serve", "--no-watch", fresh, check=2).stderr
    assert not (fresh / ".code-index").exists()
    with served(fresh):
        found = lambda: "app/greeting.py:4" in command_line("search", "greet", "--path", fresh).stdout  # noqa: E731
        wait_until(found, "it is indexed", every_s=0.2)


def test_one_process_at_a_time_follows(root: Path) -> None:
    folder = resolve_index_folder(root)
    with hold(folder.locks_dir, Duty.FOLLOW, wait_s=0), served(root):
        (root / "app" / "added.py").write_text("def addition():\n    return 1\n", encoding="utf-8")

        def left() -> bool:
            return bool(ask(folder, "status", {})["following"]["state"] == "left")

        wait_until(left, "it leaves following to the other one")
        assert f"process {os.getpid()} " in ask(folder, "status", {})["following"]["reason"]
        assert owner(folder.locks_dir, Duty.FOLLOW).pid == os.getpid()


def test_a_file_is_shown_with_masks_and_nothing_but_files_of_the_index_is(
    root: Path, command_line: CommandLine
) -> None:
    token = "ghp_" + "a1B2" * 9
    (root / "app" / "key.py").write_text(f'TOKEN = "{token}"\n\n\ndef use():\n    return TOKEN\n', encoding="utf-8")
    (root / ".env").write_text("SECRET=1\n", encoding="utf-8")
    command_line("index", root)
    from code_index import Index

    answers = Answers(Index.open(root), following=dict)
    try:
        shown = answers.answer("file", {"path": "app/key.py", "line": 4})
        text = "\n".join("".join(part for _, part in line) for line in shown["lines"])
        assert token not in text
        assert "masked_github_token" in text
        assert (shown["newer"], shown["total"]) == (False, 5)
        assert [(symbol["name"], symbol["start_line"]) for symbol in shown["outline"]] == [("TOKEN", 1), ("use", 4)]
        for asked, first, count in (
            ({"first": -5, "last": -3}, 1, 1),
            ({"first": 5, "last": 2}, 5, 1),
            ({"line": 10**20}, 5, 1),
            ({"first": 2, "last": 10**20}, 2, 4),
        ):
            shown = answers.answer("file", {"path": "app/key.py", **asked})
            assert (shown["first"], len(shown["lines"])) == (first, count), asked
        (root / "app" / "key.py").write_text("changed = 1\n", encoding="utf-8")
        assert answers.answer("file", {"path": "app/key.py"})["newer"]
        for path in (".env", "../outside", "/etc/passwd", "app", "", ".code-index/index.json", "app/../app/key.py"):
            with pytest.raises(UsageError, match="not a file of this index"):
                answers.answer("file", {"path": path})
        (root / "app" / "key.py").unlink()
        (root / "app" / "key.py").symlink_to("/etc/passwd")
        with pytest.raises(Exception, match="cannot be shown"):
            answers.answer("file", {"path": "app/key.py"})
        with pytest.raises(UsageError, match="no question"):
            answers.answer("delete", {})
        with pytest.raises(UsageError, match="does not take"):
            answers.answer("file", {"path": "app/key.py", "mode": "w"})
        with pytest.raises(UsageError, match="does not take"):
            answers.answer("search", {"query": "x", "depth": 3})
    finally:
        answers.close()


def test_the_map_has_every_file_with_its_figures(root: Path) -> None:
    from code_index import Index

    answers = Answers(Index.open(root), following=dict)
    drawn = answers.answer("map", {})
    files = {row[0]: dict(zip(drawn["columns"], row, strict=True)) for row in drawn["files"]}
    assert set(files) == {"app/greeting.py", "web/getUserName.ts", "docs/guide.md", "settings.toml"}
    assert drawn["total"]["bytes"] == sum((root / path).stat().st_size for path in files)
    assert all(file["vectors"] == file["chunks"] > 0 for file in files.values())
    assert files["web/getUserName.ts"]["complexity"] == 2
    below = answers.answer("map", {"folder": "app/"})
    assert (below["folder"], [row[0] for row in below["files"]]) == ("app", ["app/greeting.py"])
    assert answers.answer("map", {"folder": "nowhere"})["total"] == {"files": 0, "bytes": 0}
    shutil.rmtree(root / ".code-index" / "reports", ignore_errors=True)
    answers.close()
