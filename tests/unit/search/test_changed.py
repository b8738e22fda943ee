"""Only files that changed are asked: also those of a repository that git names by its folder."""

from __future__ import annotations

from pathlib import Path

from code_index.index.folder import IndexFolder
from code_index.search.changed import only_changed
from code_index.tables.filters import SearchFilter
from tests.checkout import git
from tests.conftest import write_files


def test_files_of_an_untracked_repository_inside_count_as_changed(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.py": "x = 1\n", "inner/b.py": "y = 1\n"})
    for folder in (tmp_path / "inner", tmp_path):
        git(folder, "init", "-q")
    git(tmp_path, "add", "a.py")
    git(tmp_path, "commit", "-q", "-m", "first")
    folder = IndexFolder(tmp_path / ".code-index", tmp_path)
    found = only_changed(SearchFilter(), folder, "HEAD", known=lambda: ["a.py", "inner/b.py", "inner.py"])
    assert found.paths == ("inner/", "inner/b.py")
