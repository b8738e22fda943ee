"""Commits by name, and the files that differ from one, asked of git without its configuration or refs."""

from __future__ import annotations

from pathlib import Path

import pytest

from code_index.core.errors import UsageError
from code_index.repository.commits import changed_since, checked_out_commit
from tests.checkout import git


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Three commits: `a` and `sub/b`, then `c`, then an edit of `a` and a removal of `c`; tag `v1` at the first."""
    root = tmp_path / "checkout"
    (root / "sub").mkdir(parents=True)
    git(root, "init", "-q", "-b", "main")
    (root / "a").write_text("a\n")
    (root / "sub" / "b").write_text("b\n")
    _commit(root, "first")
    git(root, "tag", "v1")
    git(root, "branch", "feature/x")
    (root / "c").write_text("c\n")
    _commit(root, "second")
    (root / "a").write_text("a2\n")
    (root / "c").unlink()
    _commit(root, "third")
    return root


def _commit(root: Path, message: str) -> None:
    git(root, "add", "-A")
    git(root, "-c", "user.name=n", "-c", "user.email=e@x", "commit", "-q", "-m", message)


@pytest.mark.parametrize(
    ("reference", "changed"),
    [
        ("HEAD", []),
        ("@", []),
        ("main", []),
        ("HEAD~1", ["a", "c"]),
        ("HEAD^", ["a", "c"]),
        ("HEAD~2", ["a"]),
        ("main~1^", ["a"]),
        ("v1", ["a"]),
        ("refs/tags/v1", ["a"]),
        ("feature/x", ["a"]),
        ("v1^{commit}", ["a"]),
    ],
)
@pytest.mark.parametrize("packed", [False, True], ids=["loose", "packed"])
def test_every_name_of_a_commit_counts(checkout: Path, reference: str, changed: list[str], packed: bool) -> None:
    if packed:
        git(checkout, "pack-refs", "--all")
        git(checkout, "gc", "-q")
    assert changed_since(checkout, reference) == changed


def test_hashes_count_whole_and_shortened(checkout: Path) -> None:
    first = git(checkout, "rev-parse", "v1").strip()
    assert changed_since(checkout, first) == changed_since(checkout, first[:7]) == ["a"]
    assert checked_out_commit(checkout) == git(checkout, "rev-parse", "HEAD").strip()


def test_an_annotated_tag_is_its_commit(checkout: Path) -> None:
    git(checkout, "-c", "user.name=n", "-c", "user.email=e@x", "tag", "-a", "v2", "-m", "two", "HEAD~1")
    assert changed_since(checkout, "v2") == ["a", "c"]


def test_the_working_tree_and_untracked_files_count_and_ignored_ones_do_not(checkout: Path) -> None:
    (checkout / ".gitignore").write_text("out/\n")
    (checkout / "out").mkdir()
    (checkout / "out" / "made").write_text("x")
    (checkout / "new file é").write_text("x")
    (checkout / "sub" / "b").write_text("changed\n")
    git(checkout, "add", "sub/b")
    assert changed_since(checkout, "HEAD") == [".gitignore", "new file é", "sub/b"]
    assert changed_since(checkout / "sub", "HEAD") == ["b"]


def test_a_linked_working_tree_has_its_own_head_and_the_refs_of_all(checkout: Path, tmp_path: Path) -> None:
    git(checkout, "worktree", "add", "-q", str(tmp_path / "linked"), "v1")
    assert checked_out_commit(tmp_path / "linked") == git(checkout, "rev-parse", "v1").strip()
    assert changed_since(tmp_path / "linked", "main") == ["a"]
    assert changed_since(tmp_path / "linked", "HEAD") == []


@pytest.mark.parametrize(
    "reference",
    [
        "nope",
        "",
        "--all",
        "-q",
        "../../etc/passwd",
        "HEAD~99",
        "config",
        "main..v1",
        "0" * 40,
        "a\nb",
        "\udcff",
        "~" * 50_000 + "a",
        "HEAD~1^x",
    ],
)
def test_what_names_no_commit_is_refused(checkout: Path, reference: str) -> None:
    with pytest.raises(UsageError, match="names no commit"):
        changed_since(checkout, reference)


def test_a_shallow_clone_says_how_to_get_older_commits(checkout: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--depth", "1", checkout.as_uri(), "shallow")
    assert changed_since(tmp_path / "shallow", "HEAD") == []
    with pytest.raises(UsageError, match="git fetch --unshallow"):
        changed_since(tmp_path / "shallow", "HEAD~1")


def test_files_that_git_does_not_compare_count_where_they_are_there(checkout: Path) -> None:
    git(checkout, "update-index", "--skip-worktree", "a", "sub/b")
    (checkout / "a").unlink()
    assert changed_since(checkout, "HEAD") == ["sub/b"]


def test_outside_of_a_checkout_nothing_is_known_of_changes(tmp_path: Path) -> None:
    assert checked_out_commit(tmp_path) is None
    with pytest.raises(UsageError, match="no git checkout"):
        changed_since(tmp_path, "HEAD")


def test_before_the_first_commit_there_is_none(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    assert checked_out_commit(tmp_path) is None
    with pytest.raises(UsageError, match="names no commit"):
        changed_since(tmp_path, "HEAD")


def test_the_configuration_of_the_repository_runs_nothing(checkout: Path, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    for name in ("core.fsmonitor", "diff.external", "filter.f.clean", "core.sshCommand"):
        git(checkout, "config", name, f"touch {mark}; cat")
    (checkout / ".gitattributes").write_text("* filter=f\n")
    (checkout / "a").write_text("a3\n")
    assert changed_since(checkout, "HEAD~1") == [".gitattributes", "a", "c"]
    assert not mark.exists()
