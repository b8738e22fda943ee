"""Facts from git about a checkout: the tracked files, and the ignore files that git names.

Belongs here: questions to git. Does not belong here: finding a checkout (`code_index.repository.checkouts`), how git is
run, so that it runs and reads nothing that a repository names (`code_index.repository.git_program`), and applying ignore
rules.

Only three things need the program: the settings of the user, those of a repository where they are not git's defaults, and
the list of tracked files, since tracked files stay although an ignore rule covers them. Where git is missing or fails, a
warning says what is not known.

Of a repository's own configuration these settings count: how files are compared and, where it leads to a file of the
repository itself, `core.excludesFile`. Files that it includes and `config.worktree` are not read.
"""

from __future__ import annotations

import bisect
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from code_index.core.regular_files import read_regular_file
from code_index.repository.checkouts import Checkout, find_checkout, read_git_file
from code_index.repository.git_program import Git, GitFailedError, IsolatedGit, RunningGit, isolated

_MAX_INDEX_BYTES: Final = 1 << 30
_INDEX_WITH_WHOLE_PATHS: Final = (2, 3)
_NOT_SET: Final = 1  # exit status of `git config --get` for a setting that is not set
_EXCLUDES_FILE: Final = "core.excludesfile"
# Settings of a repository that say how its files are compared, with the values that are handed on to git.
_COMPARING: Final = {
    "core.filemode": re.compile("true|false"),
    "core.symlinks": re.compile("true|false"),
    "core.ignorecase": re.compile("true|false"),
    "core.precomposeunicode": re.compile("true|false"),
    "core.trustctime": re.compile("true|false"),
    "core.checkstat": re.compile("default|minimal"),
    "extensions.objectformat": re.compile("sha1|sha256"),
}
_TRUE: Final = frozenset({"", "true", "yes", "on", "1"})
_FALSE: Final = frozenset({"false", "no", "off", "0"})
# `git init` writes this line into every configuration.
_DEFAULT: Final = re.compile(rb"^\tfilemode = true$", re.MULTILINE)
_NOT_DEFAULT: Final = re.compile(
    rb"excludesfile|filemode|symlinks|ignorecase|precomposeunicode|trustctime|checkstat|objectformat", re.IGNORECASE
)


class TrackedFiles:
    """The paths that git tracks below a folder, relative to it.

    With `ignore_case`, that of git's list and that of the disk may differ in case and in the normal form of Unicode: the
    file system finds a file by either.
    """

    def __init__(self, paths: list[str], *, ignore_case: bool = False) -> None:
        self._ignore_case = ignore_case
        self._sorted = sorted(map(self._compared, paths))
        self._all = frozenset(self._sorted)

    def _compared(self, path: str) -> str:
        return unicodedata.normalize("NFC", path).lower() if self._ignore_case else path

    def __contains__(self, path: str) -> bool:
        return self._compared(path) in self._all

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return bool(self._all)

    def has_below(self, folder: str) -> bool:
        """Tell whether git tracks a file in `folder`."""
        prefix = f"{self._compared(folder)}/"
        at = bisect.bisect_left(self._sorted, prefix)
        return at < len(self._sorted) and self._sorted[at].startswith(prefix)


@dataclass(frozen=True, slots=True)
class RepositorySettings:
    """Settings of a repository's own configuration.

    `comparing` are those that git needs to compare files; `excludes_file` is the value of `core.excludesFile`, or None.
    """

    comparing: Mapping[str, str]
    excludes_file: str | None = None

    @property
    def ignore_case(self) -> bool:
        """Names are compared without case (set by git on file systems that do so)."""
        return self.comparing.get("core.ignorecase") == "true"


def repository_settings(git: Git, checkout: Checkout) -> RepositorySettings:
    """Read the settings of a repository's configuration, without what it includes.

    Raises:
        GitFailedError: the file cannot be read, or git does not understand it.
    """
    path = checkout.common_dir / "config"
    try:
        content = read_git_file(path)
    except FileNotFoundError:
        content = b""
    except OSError as error:
        raise GitFailedError(f"{path} cannot be read: {error.strerror}") from error
    if _NOT_DEFAULT.search(_DEFAULT.sub(b"", content)) is None:
        return RepositorySettings({})
    found: dict[str, str] = {}
    for entry in git.parse_configuration(content):
        name, separator, value = entry.partition("\n")
        found[name] = value if separator else "true"
    comparing = {}
    for name, fitting in _COMPARING.items():
        value = found.get(name, "unset").lower()
        value = "true" if value in _TRUE else "false" if value in _FALSE else value
        if fitting.fullmatch(value):
            comparing[name] = value
    return RepositorySettings(comparing, found.get(_EXCLUDES_FILE))


def ask_for_user_ignore_file(git: Git) -> RunningGit:
    """Start to read the user's setting, so that `user_ignore_file` does not wait for it.

    Raises:
        GitFailedError: git is missing.
    """
    return git.user_setting("path", _EXCLUDES_FILE)


def user_ignore_file(
    git: Git, checkout: Checkout | None, settings: RepositorySettings, *, asked: RunningGit | None = None
) -> tuple[Path | None, str | None]:
    """The ignore file of `core.excludesFile`, else git's default place, and a warning where that is not sure.

    Args:
        git: the program.
        checkout: whose files are listed, if any.
        settings: of the checkout.
        asked: `ask_for_user_ignore_file`, if it was called before.
    """
    warning = None
    if checkout is not None and settings.excludes_file:
        path = checkout.top / settings.excludes_file
        real = Path(os.path.realpath(path))
        if any(real.is_relative_to(os.path.realpath(place)) for place in (checkout.top, checkout.common_dir)):
            return path, None
        warning = (
            f"{checkout.top}: its configuration sets core.excludesFile to {path}, out of the repository; the rules "
            "there do not hold. Set it in your own configuration (`git config --global`) if you mean it"
        )
    try:
        status, said = (asked or ask_for_user_ignore_file(git)).output(allowed=(0, _NOT_SET))
    except GitFailedError as error:
        return _default_ignore_file(), f"{git.root}: {error}; core.excludesFile is not known"
    if status != 0:
        return _default_ignore_file(), warning
    path_of_user = os.fsdecode(said.removesuffix(b"\0").rpartition(b"\0")[2])
    return (git.root / path_of_user if path_of_user else None), warning


def _default_ignore_file() -> Path | None:
    config_home = os.environ.get("XDG_CONFIG_HOME")
    home = os.environ.get("HOME")
    if config_home:
        return Path(config_home) / "git" / "ignore"
    return Path(home) / ".config" / "git" / "ignore" if home else None


def tracked_files(git: Git, checkout: Checkout, settings: RepositorySettings, folder: Path) -> TrackedFiles:
    """The tracked files below a folder of a checkout.

    Raises:
        GitFailedError: git cannot tell.
    """
    with isolated_checkout(git, checkout, settings) as own:
        _, said = own.run(folder, "ls-files", "-z", "--cached")
    paths = [os.fsdecode(path) for path in said.split(b"\0") if path]
    return TrackedFiles(paths, ignore_case=settings.ignore_case)


def first_tracked_in(folder: Path) -> str | None:
    """Return the first path that git tracks at or in a folder, relative to the one above it; None if git cannot tell."""
    checkout = find_checkout(folder.parent)
    if checkout is None or not _may_track(checkout, os.fsencode(folder.name)):
        return None
    git = Git(folder.parent)
    try:
        with isolated_checkout(git, checkout, repository_settings(git, checkout)) as own:
            _, said = own.run(folder.parent, "ls-files", "-z", "--cached", "--", f":(icase,literal){folder.name}")
    except GitFailedError:
        return None
    return os.fsdecode(said.split(b"\0", 1)[0]) or None


def _may_track(checkout: Checkout, name: bytes) -> bool:
    """Tell whether git's index may have an entry of that name, which costs a tenth of asking git."""
    index = checkout.git_dir / "index"
    try:
        if any(checkout.git_dir.glob("sharedindex.*")):
            return True
        content = read_regular_file(Path(os.path.realpath(index)), max_bytes=_MAX_INDEX_BYTES)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    # From version 4 on a path is stored without what it shares with the one before it.
    return int.from_bytes(content[4:8], "big") not in _INDEX_WITH_WHOLE_PATHS or name in content


@contextmanager
def isolated_checkout(
    git: Git, checkout: Checkout, settings: RepositorySettings, *, objects: bool = False
) -> Iterator[IsolatedGit]:
    """Git on the index and the working tree of a checkout, and with `objects` on its object folder.

    Raises:
        GitFailedError: it cannot be asked, or another user owns the repository.
    """
    _require_own(git, checkout)
    folder = checkout.common_dir / "objects" if objects else None
    with isolated(git, git_dir=checkout.git_dir, top=checkout.top, settings=settings.comparing, objects=folder) as own:
        yield own


def _require_own(git: Git, checkout: Checkout) -> None:
    """Refuse the repository of another user where git does.

    Raises:
        GitFailedError: with the words of git.
    """
    own = {os.geteuid()}
    if own == {0} and os.environ.get("SUDO_UID", "").isdecimal():
        own.add(int(os.environ["SUDO_UID"]))
    try:
        owners = {os.lstat(path).st_uid for path in (checkout.top, checkout.top / ".git", checkout.git_dir)}
    except OSError as error:
        raise GitFailedError(f"{checkout.top} cannot be read: {error.strerror}") from error
    if owners <= own:
        return
    _, said = git.user_setting("path", "safe.directory").output(allowed=(0, _NOT_SET))
    safe: set[str] = set()
    for value in map(os.fsdecode, said.split(b"\0")[:-1]):
        safe = safe | {value} if value else set()  # an empty value takes back those before it
    if safe.isdisjoint({"*", os.fspath(checkout.top)}):
        raise GitFailedError(
            f"git refuses it: detected dubious ownership in repository at '{checkout.top}'; if you trust its owner, "
            f"run `git config --global --add safe.directory {checkout.top}`"
        )
