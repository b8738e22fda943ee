"""Revisions of clones, checked out into folders without touching the clone.

Belongs here: what the scripts that make question sets ask of git. Does not belong here: what makes a question.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path


def git(clone: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """Output of a git command on a clone, bare or not; bytes that are no UTF-8 are replaced."""
    folder = clone / ".git" if (clone / ".git").exists() else clone
    done = subprocess.run(
        ["git", "--git-dir", str(folder), *arguments],
        capture_output=True,
        check=False,
        env={**os.environ, **(environment or {})},
    )
    if done.returncode:
        raise SystemExit(f"{clone}: git {' '.join(arguments)} failed: {done.stderr.decode('utf-8', 'replace').strip()}")
    return done.stdout.decode("utf-8", "replace")


def files_at(clone: Path, revision: str) -> set[str]:
    """Paths of all files of a revision."""
    return set(git(clone, "ls-tree", "-r", "-z", "--name-only", revision).split("\0")) - {""}


def check_out(clone: Path, revision: str, target: Path) -> None:
    """Write the files of a revision into a folder, once; the clone's own index and work tree stay as they are."""
    if target.is_dir():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as temporary:
        files = Path(temporary) / "files"
        environment = {"GIT_INDEX_FILE": str(Path(temporary) / "index")}
        git(clone, "read-tree", revision, environment=environment)
        git(clone, "--work-tree", temporary, "checkout-index", "-a", f"--prefix={files}/", environment=environment)
        files.rename(target)
