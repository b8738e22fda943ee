"""The state of a repository: it changes with whatever a scan would find, and costs no scan."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from code_index.core.errors import RepositoryError
from code_index.core.model import FileStatus
from code_index.index.folder import IndexFolder
from code_index.index.settings import Settings
from code_index.index.source import walk_options
from code_index.repository.fingerprint import RepositoryState, repository_state, settled_state
from code_index.repository.source_repository import SourceRepository
from code_index.repository.walk import WalkOptions
from tests.checkout import git

_SETTINGS = Settings()


def _options(root: Path, settings: Settings) -> WalkOptions:
    return walk_options(IndexFolder(root / ".code-index", root), settings)


def state(root: Path, settings: Settings = _SETTINGS) -> RepositoryState:
    return repository_state(root, _options(root, settings))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A git checkout with two files, committed."""
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init", "--quiet", "--initial-branch=main")
    (root / "one.py").write_text("ONE = 1\n", encoding="utf-8")
    (root / "lib").mkdir()
    (root / "lib/two.py").write_text("TWO = 2\n", encoding="utf-8")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message=begin")
    return root


def _edit(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


_CHANGES: dict[str, Callable[[Path], object]] = {
    "edit": lambda root: _edit(root / "one.py", "ONE = 11\n"),
    "edit of the same size": lambda root: _edit(root / "one.py", "ONE = 9\n"),
    "new file": lambda root: _edit(root / "three.py", "THREE = 3\n"),
    "new file in a new folder": lambda root: ((root / "new").mkdir(), _edit(root / "new/three.py", "THREE = 3\n")),
    "delete": lambda root: (root / "one.py").unlink(),
    "rename": lambda root: (root / "one.py").rename(root / "uno.py"),
    "rename of case alone": lambda root: (root / "one.py").rename(root / "One.py"),
    "rename by git": lambda root: git(root, "mv", "one.py", "uno.py"),
    "file becomes a link": lambda root: ((root / "one.py").unlink(), (root / "one.py").symlink_to("lib/two.py")),
    "file becomes a folder": lambda root: ((root / "one.py").unlink(), (root / "one.py").mkdir()),
    "a newline in a name": lambda root: _edit(root / "a\nb.py", "A = 1\n"),
    "bytes that are not UTF-8 in a name": lambda root: open(os.path.join(os.fsencode(root), b"\xff.py"), "wb").close(),  # noqa: PTH118, PTH123
    "an ignore rule": lambda root: _edit(root / ".codeindexignore", "lib/\n"),
    "git's own ignore file": lambda root: _edit(root / ".gitignore", "lib/\n"),
}


@pytest.mark.parametrize("change", _CHANGES)
@pytest.mark.parametrize("kind", ["git", "walk"])
def test_what_a_scan_would_find_changes_the_state(checkout: Path, kind: str, change: str) -> None:
    if kind == "walk":
        (checkout / ".git").rename(checkout.parent / "put-aside")
        if change == "rename by git":
            pytest.skip("there is no git here")
    before = state(checkout)
    assert before.source.split(":")[0] == kind
    assert state(checkout) == before
    _CHANGES[change](checkout)
    assert state(checkout).token != before.token


def test_a_second_edit_of_an_edited_file_changes_the_state(checkout: Path) -> None:
    _edit(checkout / "one.py", "ONE = 3\n")
    first = state(checkout)
    _edit(checkout / "one.py", "ONE = 4\n")
    assert state(checkout).token != first.token


def test_an_edit_within_the_tick_of_the_commit_changes_the_state(checkout: Path) -> None:
    # Git calls this racily clean: same size, same second.
    for number in range(5):
        git(checkout, "commit", "--quiet", "--allow-empty", "--message=again")
        before = state(checkout)
        _edit(checkout / "one.py", f"ONE = {number + 2}\n")
        assert state(checkout).token != before.token
        git(checkout, "checkout", "--quiet", "one.py")


def test_a_branch_switch_and_a_hard_reset_change_the_state_and_the_way_back_restores_it(checkout: Path) -> None:
    first = state(checkout)
    git(checkout, "switch", "--quiet", "--create", "other")
    assert state(checkout) == first
    _edit(checkout / "one.py", "ONE = 5\n")
    git(checkout, "commit", "--quiet", "--all", "--message=other")
    other = state(checkout)
    assert other.token != first.token
    git(checkout, "switch", "--quiet", "main")
    assert state(checkout).token == first.token
    git(checkout, "reset", "--quiet", "--hard", "other")
    assert state(checkout).token == other.token


@pytest.mark.parametrize(
    "change",
    [
        lambda root: git(root, "commit", "--quiet", "--allow-empty", "--message=empty"),
        lambda root: git(root, "tag", "v1"),
        lambda root: os.utime(root / "one.py", (1, 1)),
        lambda root: ((root / ".code-index").mkdir(), _edit(root / ".code-index/.gitignore", "*\n")),
        lambda root: (root / "empty").mkdir(),
    ],
    ids=["commit of nothing", "tag", "touch", "the index folder", "an empty folder"],
)
def test_what_changes_no_content_leaves_the_state(checkout: Path, change: Callable[[Path], object]) -> None:
    before = state(checkout)
    change(checkout)
    assert state(checkout).token == before.token


def test_files_that_git_ignores_do_not_count_unless_a_pattern_brings_them_back(checkout: Path) -> None:
    _edit(checkout / ".gitignore", "build/\n")
    (checkout / "build").mkdir()
    before = state(checkout)
    _edit(checkout / "build/out.py", "OUT = 1\n")
    assert state(checkout) == before
    _edit(checkout / ".codeindexignore", "!build/\n")
    brought_back = state(checkout)
    assert brought_back.source == "walk: a pattern brings ignored files back"
    _edit(checkout / "build/out.py", "OUT = 22\n")
    assert state(checkout).token != brought_back.token


@pytest.mark.parametrize("name", ["submodule", "untracked"])
def test_another_repository_inside_is_walked(checkout: Path, tmp_path: Path, name: str) -> None:
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "--quiet")
    _edit(other / "inside.py", "INSIDE = 1\n")
    git(other, "add", "--all")
    git(other, "commit", "--quiet", "--message=begin")
    if name == "submodule":
        git(checkout, "submodule", "--quiet", "add", str(other), "nested")
    else:
        git(checkout, "clone", "--quiet", str(other), "nested")
    before = state(checkout)
    assert before.source == "walk: there are other repositories in it, such as submodules"
    _edit(checkout / "nested/inside.py", "INSIDE = 22\n")
    assert state(checkout).token != before.token


def test_files_that_git_was_told_not_to_look_at_are_looked_at(checkout: Path) -> None:
    git(checkout, "update-index", "--assume-unchanged", "one.py")
    before = state(checkout)
    assert before.source == "walk: git was told not to look at some files"
    _edit(checkout / "one.py", "ONE = 33\n")
    assert state(checkout).token != before.token


def test_a_folder_that_its_checkout_ignores_is_walked(checkout: Path) -> None:
    _edit(checkout / ".gitignore", "inner/\n")
    inner = checkout / "inner"
    inner.mkdir()
    _edit(inner / "a.py", "A = 1\n")
    assert state(inner).source == "walk: the checkout around it ignores this folder"


def test_a_subfolder_of_a_checkout_has_a_state_of_its_own(checkout: Path) -> None:
    before = state(checkout / "lib")
    assert before.source == "git"
    _edit(checkout / "one.py", "ONE = 7\n")
    assert state(checkout / "lib") == before
    _edit(checkout / "lib/two.py", "TWO = 7\n")
    assert state(checkout / "lib").token != before.token


def test_a_damaged_git_index_is_said_and_the_files_are_walked(checkout: Path) -> None:
    (checkout / ".git/index").write_bytes(b"damaged")
    found = state(checkout)
    assert found.source.startswith("walk: git ls-files failed")
    _edit(checkout / "one.py", "ONE = 77\n")
    assert state(checkout).token != found.token


def test_a_machine_without_git_walks(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert state(checkout).source == "walk: git is not installed"


def test_settings_that_shape_a_scan_are_part_of_the_state(checkout: Path) -> None:
    assert state(checkout, Settings(ignore=("*.py",))).token != state(checkout).token
    assert state(checkout, Settings(max_file_bytes=5)).token != state(checkout).token
    assert state(checkout, Settings(use_gitignore=False)).token != state(checkout).token
    assert state(checkout, Settings(tracked_dependencies=True)).token != state(checkout).token


def test_a_repository_that_is_gone_is_an_error_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="Check the path and that its disk is mounted"):
        state(tmp_path / "gone")


def test_a_state_is_settled_when_it_stays_and_not_while_it_changes(checkout: Path) -> None:
    waits: list[float] = []

    def settle(sleep: Callable[[float], None], patience_s: float = 3.0) -> RepositoryState | None:
        return settled_state(
            checkout,
            _options(checkout, _SETTINGS),
            state(checkout),
            quiet_s=1.0,
            patience_s=patience_s,
            sleep=sleep,
        )

    assert settle(waits.append) == state(checkout)
    assert waits == [1.0]
    assert settle(waits.append, patience_s=0.9) is None
    assert waits == [1.0], "no wait that cannot tell"
    assert settle(lambda _: _edit(checkout / "one.py", f"ONE = {random.random()}\n")) is None


def test_whatever_happens_an_equal_state_means_that_a_scan_finds_nothing(checkout: Path) -> None:
    rng = random.Random(20_261_124)
    repository = SourceRepository(checkout, index_dir=checkout / ".code-index")

    def scanned() -> dict[str, str]:
        """What a scan would index: path to content hash."""
        files = repository.scan({}, allow_empty=True).files
        return {file.file_path: file.file_hash for file in files if file.status is not FileStatus.SKIPPED}

    names = ["one.py", "lib/two.py", "lib/three.py", "four.py", "ignored/five.py"]
    _edit(checkout / ".gitignore", "ignored/\n")

    def write() -> None:
        path = checkout / rng.choice(names)
        path.parent.mkdir(exist_ok=True)
        _edit(path, f"X = {rng.randrange(10)}\n")

    def delete() -> None:
        (checkout / rng.choice(names)).unlink(missing_ok=True)

    def commit() -> None:
        git(checkout, "add", "--all")
        git(checkout, "commit", "--quiet", "--allow-empty", "--message=more")

    def back() -> None:
        git(checkout, "reset", "--quiet", "--hard", rng.choice(["HEAD", "HEAD~1"]))

    commit()
    known = scanned()
    before = state(checkout)
    seen = 0
    for _ in range(40):
        rng.choice([write, write, write, delete, commit, back])()
        after = state(checkout)
        now = scanned()
        if now != known:
            assert after.token != before.token, "a change that the state does not show"
            seen += 1
        known, before = now, after
        if git(checkout, "rev-list", "--count", "HEAD").strip() == "1":
            commit()
            known, before = scanned(), state(checkout)
    assert seen > 10
