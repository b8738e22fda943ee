"""The checkout that a folder is in, read from the file system: a machine without git finds the same one.

Belongs here: finding a checkout, and reading files of its git folder. Does not belong here: questions to git
(`code_index.repository.git_checkout`). Import time counts: a search looks for its index in the folders above.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from code_index.core.regular_files import read_regular_file

MAX_IGNORE_FILE_BYTES: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class Checkout:
    """A working tree: its top folder, its git folder, and the one that all working trees of the repository share."""

    top: Path
    git_dir: Path
    common_dir: Path

    @property
    def exclude_file(self) -> Path:
        """The ignore file that is not part of the repository's content."""
        return self.common_dir / "info" / "exclude"


def find_checkout(folder: Path) -> Checkout | None:
    """The checkout that an absolute `folder` is in, or None."""
    for top in (folder, *folder.parents):
        if (checkout := checkout_at(top)) is not None:
            return checkout
    return None


def top_checkout(folder: Path) -> Path | None:
    """Return the top of the checkout that an absolute `folder` is in; for a submodule, of the one that it is part of."""
    checkout = find_checkout(folder)
    while checkout is not None:
        outer = find_checkout(checkout.top.parent)
        if outer is None or not checkout.common_dir.is_relative_to(outer.common_dir / "modules"):
            return checkout.top
        checkout = outer
    return None


def checkout_at(top: Path) -> Checkout | None:
    """The checkout whose top folder is `top`, or None where `.git` is missing or is not git's."""
    dot_git = top / ".git"
    try:
        if dot_git.is_dir():
            git_dir = dot_git
        elif not dot_git.exists():
            return None
        else:  # a submodule or a linked working tree
            kind, _, target = _text(dot_git).partition(":")
            if kind != "gitdir":
                return None
            git_dir = top / target.strip()
        if not (git_dir / "HEAD").is_file():
            return None
        git_dir = Path(os.path.realpath(git_dir))
        common = git_dir / "commondir"
        common_dir = git_dir / _text(common).strip() if common.exists() else git_dir
        return Checkout(top, git_dir, Path(os.path.realpath(common_dir)))
    except (OSError, ValueError):  # the latter for a path with a NUL byte
        return None


def read_git_file(path: Path) -> bytes:
    """Read a file of a git folder, or an ignore file of the user.

    Links are followed, as git does: `repo`, `git-new-workdir` and keepers of dot files make such links.

    Raises:
        FileNotFoundError: there is none.
        OSError: it is no regular file, too large, or the system refuses to read it.
    """
    return read_regular_file(Path(os.path.realpath(path)), max_bytes=MAX_IGNORE_FILE_BYTES)


def _text(path: Path) -> str:
    return read_git_file(path).decode("utf-8", "surrogateescape")
