"""Facts from git about a folder: its checkout, the tracked files, and the ignore files that git names.

Belongs here: everything that asks git or reads `.git`. Does not belong here: applying ignore rules.

A checkout is found by the file system, so that a machine without git finds the same one. Only two things need the
program: the setting `core.excludesFile`, and the list of tracked files, since tracked files stay although an ignore
rule covers them. Where git is missing or fails, a warning says what is not known. No git command here executes
anything that a repository configures (`core.fsmonitor` is switched off).
"""

from __future__ import annotations

import bisect
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TIMEOUT_S: Final = 60
_NOT_SET: Final = 1  # exit status of `git config --get` for a setting that is not set


@dataclass(frozen=True, slots=True)
class Checkout:
    """A working tree: its top folder, and the folder that all working trees of the repository share."""

    top: Path
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
        elif not dot_git.is_file():  # nothing, or a pipe on which reading would block
            return None
        else:  # a submodule or a linked working tree
            kind, _, target = dot_git.read_text("utf-8", "surrogateescape").partition(":")
            if kind != "gitdir":
                return None
            git_dir = top / target.strip()
        if not (git_dir / "HEAD").is_file():
            return None
        common = git_dir / "commondir"
        if common.is_file():
            git_dir = git_dir / common.read_text("utf-8", "surrogateescape").strip()
        return Checkout(top, Path(os.path.realpath(git_dir)))
    except (OSError, ValueError):  # the latter for a path with a NUL byte
        return None


class TrackedFiles:
    """The paths that git tracks below a folder, relative to it."""

    def __init__(self, paths: list[str]) -> None:
        self._sorted = sorted(paths)
        self._all = frozenset(paths)

    def __contains__(self, path: str) -> bool:
        return path in self._all

    def has_below(self, folder: str) -> bool:
        """Tell whether git tracks a file in `folder`."""
        prefix = f"{folder}/"
        at = bisect.bisect_left(self._sorted, prefix)
        return at < len(self._sorted) and self._sorted[at].startswith(prefix)


def tracked_files(folder: Path) -> tuple[TrackedFiles, str | None]:
    """The tracked files below `folder`, and a warning where git could not tell."""
    done = _git(folder, "ls-files", "-z", "--cached")
    if isinstance(done, str):
        warning = f"{folder}: {done}; files that git tracks although an ignore rule covers them stay out of the index"
        return TrackedFiles([]), warning
    return TrackedFiles([os.fsdecode(path) for path in done.stdout.split(b"\0") if path]), None


def global_ignore_file(folder: Path) -> tuple[Path | None, str | None]:
    """The user's own ignore file (`core.excludesFile`, else git's default place), and a warning where git failed."""
    done = _git(folder, "config", "--type=path", "--get", "core.excludesFile", allowed=(0, _NOT_SET))
    if not isinstance(done, str) and done.returncode == 0:
        path = os.fsdecode(done.stdout.removesuffix(b"\n"))
        return (folder / path if path else None), None
    config_home = os.environ.get("XDG_CONFIG_HOME")
    home = os.environ.get("HOME")
    if config_home:
        default: Path | None = Path(config_home) / "git" / "ignore"
    else:
        default = Path(home) / ".config" / "git" / "ignore" if home else None
    return default, f"{folder}: {done}; core.excludesFile is not known" if isinstance(done, str) else None


def ignores_case(folder: Path) -> bool:
    """Tell whether the checkout compares names without case (`core.ignoreCase`, set by git on such file systems)."""
    done = _git(folder, "config", "--type=bool", "--get", "core.ignoreCase", allowed=(0, _NOT_SET))
    return not isinstance(done, str) and done.stdout.strip() == b"true"


def listed_files(folder: Path) -> tuple[list[bytes], list[bytes]] | str:
    """Tracked files below a folder, and the paths that differ in the working tree; or why git cannot tell.

    The first list has tag, mode, object and stage, a tab, and the path of each entry of the index
    (`git ls-files -s -v`). The second has the paths, relative to the folder, that are modified, deleted, or untracked
    and not ignored; one that ends with `/` is another repository.
    """
    tracked = _git(folder, "ls-files", "-z", "--stage", "-v")
    if isinstance(tracked, str):
        return tracked
    changed = _git(folder, "ls-files", "-z", "--modified", "--deleted", "--others", "--exclude-standard")
    if isinstance(changed, str):
        return changed
    return tracked.stdout.split(b"\0")[:-1], sorted(set(changed.stdout.split(b"\0")[:-1]))


def first_tracked_in(folder: Path) -> str | None:
    """Return the first path that git tracks at or in a folder, relative to the folder above it; None without git."""
    if find_checkout(folder.parent) is None:
        return None
    done = _git(folder.parent, "ls-files", "-z", "--cached", "--", f":(icase,literal){folder.name}")
    if isinstance(done, str) or not done.stdout:
        return None
    return os.fsdecode(done.stdout.split(b"\0", 1)[0])


def is_ignored(folder: Path) -> bool:
    """Tell whether an ignore rule of its checkout covers a folder, so that git lists nothing in it."""
    return not isinstance(_git(folder, "check-ignore", "-q", "."), str)


def _git(folder: Path, *arguments: str, allowed: tuple[int, ...] = (0,)) -> subprocess.CompletedProcess[bytes] | str:
    """The finished command, or what went wrong."""
    # Hooks set GIT_DIR, GIT_INDEX_FILE and more, so git would answer for the hook's repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or "CONFIG" in name}
    environment |= {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            ["git", "-c", "core.fsmonitor=false", "-C", os.fspath(folder), *arguments],
            capture_output=True,
            check=False,
            env=environment,
            stdin=subprocess.DEVNULL,
            timeout=_TIMEOUT_S,
        )
    except FileNotFoundError:
        return "git is not installed"
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"git {arguments[0]} failed ({error})"
    if done.returncode not in allowed:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        return f"git {arguments[0]} failed ({said[0] if said else f'exit status {done.returncode}'})"
    return done
