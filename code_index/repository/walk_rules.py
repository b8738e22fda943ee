"""The rules that hold in a folder during a walk, and their verdicts on its entries.

Belongs here: collecting ignore files on the way down and applying them in the order that
`code_index.repository.walk` states. Does not belong here: listing folders, and rules about kinds and sizes of files.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from code_index.repository.git_checkout import (
    Checkout,
    TrackedFiles,
    checkout_at,
    find_checkout,
    global_ignore_file,
    ignores_case,
    tracked_files,
)
from code_index.repository.ignore_rules import IgnoreFile, IgnoreRule
from code_index.repository.skip_rules import file_name_reason, folder_reason

OWN_IGNORE_FILE: Final = ".codeindexignore"
_GIT_IGNORE_FILE: Final = ".gitignore"
_MAX_IGNORE_FILE_BYTES: Final = 16 << 20
_NESTED_WORKTREE: Final = "version control: another working tree of this repository"


@dataclass(frozen=True, slots=True)
class _PlacedIgnoreFile:
    """An ignore file with its place: a path from its folder is the path without `cut` characters, or after `above`."""

    file: IgnoreFile
    cut: int = 0
    above: str = ""

    def match(self, name: str, path: str, is_folder: bool) -> IgnoreRule | None:
        return self.file.match(name, self.above + path[self.cut :], is_folder=is_folder)

    def brings_back_below(self, path: str) -> bool:
        return self.file.brings_back_below(self.above + path[self.cut :])


@dataclass(frozen=True, slots=True)
class _Repository:
    """The git side of a part of the tree; tracked paths begin after `cut` characters of a path."""

    checkout: Checkout | None
    tracked: TrackedFiles
    ignore_case: bool
    cut: int = 0

    def tracks(self, path: str) -> bool:
        return path[self.cut :] in self.tracked

    def tracks_below(self, folder: str) -> bool:
        return self.tracked.has_below(folder[self.cut :])


@dataclass(frozen=True, slots=True)
class Skip:
    """Reason to skip an entry; a skip `from_git` does not hold for tracked files."""

    reason: str
    from_git: bool = False


@dataclass(frozen=True, slots=True)
class FolderRules:
    """The rules for the entries of the folder at `path` (relative to the root, `""` for the root).

    `inherited_skip` is the skip of a folder that is entered only because something in it is brought back.
    A pattern of the user brings `brought_back` folders back.
    """

    path: str
    own: tuple[_PlacedIgnoreFile, ...]
    git: tuple[_PlacedIgnoreFile, ...]
    user_wide: tuple[_PlacedIgnoreFile, ...]
    repository: _Repository
    use_gitignore: bool
    inherited_skip: Skip | None = None
    brought_back: bool = False

    @property
    def name(self) -> str:
        """The folder's name, `""` for the root."""
        return self.path.rpartition("/")[2]

    def file_skip(self, name: str, path: str) -> Skip | None:
        """Reason to skip the file `name` at `path`, or None."""
        brought_back, skip = self._written_rules(name, path, is_folder=False)
        if skip is None and not brought_back and (reason := file_name_reason(name, self.name)) is not None:
            return Skip(reason)
        return skip

    def below(self, name: str, path: str, siblings: Collection[str]) -> FolderRules | Skip:
        """The rules for the folder `name` at `path`, or the reason to skip it with everything below."""
        brought_back, skip = self._written_rules(name, path, is_folder=True)
        if skip is None and not brought_back:
            reason = folder_reason(name, siblings, lambda: self.repository.tracks_below(path))
            skip = Skip(reason) if reason is not None else None
        if (
            skip is None
            or (skip.from_git and self.repository.tracks_below(path))
            or any(rules.brings_back_below(path) for rules in self.own)
        ):
            return replace(self, path=path, inherited_skip=skip, brought_back=brought_back)
        return skip

    def _written_rules(self, name: str, path: str, is_folder: bool) -> tuple[bool, Skip | None]:
        """Tell whether an entry is brought back, with the skip that ignore files and folders above cause."""
        rule = _last_match(self.own, name, path, is_folder)
        if rule is not None:
            return rule.negated, None if rule.negated else Skip(f"ignored: {rule}")
        skip = self.inherited_skip
        if skip is None:
            rule = _last_match(self.git, name, path, is_folder)
            if rule is None or rule.negated:
                return False, None
            skip = Skip(f"ignored: {rule}", from_git=True)
        if skip.from_git and not is_folder and self.repository.tracks(path):
            return False, None
        return False, skip


class RulesReader:
    """Reader of ignore files and git's answers; collects the warnings."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.warnings: list[str] = []

    def start(self, include: Collection[str], exclude: Collection[str], *, use_gitignore: bool) -> FolderRules:
        """The rules for the root, before its own ignore files are read."""
        checkout = find_checkout(self._root) if use_gitignore else None
        repository = self._repository(self._root, checkout)
        user_wide: tuple[_PlacedIgnoreFile, ...] = ()
        git: tuple[_PlacedIgnoreFile, ...] = ()
        if use_gitignore:
            path, warning = global_ignore_file(self._root)
            self._warn(warning)
            if path is not None:
                user_wide = self._outside(path, str(path), repository)
            git = user_wide
        if checkout is not None:
            above = self._root.relative_to(checkout.top).parts
            git += self._outside(checkout.exclude_file, ".git/info/exclude", repository, above)
            for count in range(len(above)):
                path = checkout.top.joinpath(*above[:count]) / _GIT_IGNORE_FILE
                git += self._outside(path, os.path.relpath(path, self._root), repository, above[count:])
        lines = [*exclude, *(f"!{pattern}" for pattern in include)]
        own = (_PlacedIgnoreFile(IgnoreFile("settings", lines)),) if lines else ()
        return FolderRules("", own, git, user_wide, repository, use_gitignore)

    def entered(self, rules: FolderRules, names: Collection[str]) -> FolderRules | Skip:
        """The rules with the ignore files of the folder, whose entries are `names`; or the reason to skip it."""
        if ".git" in names and rules.path and rules.use_gitignore:
            checkout = checkout_at(self._root / rules.path)
            if checkout is not None:
                outer = rules.repository.checkout
                if outer is not None and checkout.common_dir == outer.common_dir:
                    return Skip(_NESTED_WORKTREE)
                repository = self._repository(checkout.top, checkout, cut=len(rules.path) + 1)
                source = f"{rules.path}/.git/info/exclude"
                exclude = self._outside(checkout.exclude_file, source, repository, cut=repository.cut)
                rules = replace(rules, repository=repository, git=rules.user_wide + exclude)
        if rules.use_gitignore and _GIT_IGNORE_FILE in names:
            rules = replace(rules, git=rules.git + self._inside(rules, _GIT_IGNORE_FILE))
        if OWN_IGNORE_FILE in names:
            rules = replace(rules, own=self._inside(rules, OWN_IGNORE_FILE, first=rules.own))
        return rules

    def _repository(self, top: Path, checkout: Checkout | None, cut: int = 0) -> _Repository:
        if checkout is None:
            return _Repository(None, TrackedFiles([]), ignore_case=False)
        tracked, warning = tracked_files(top)
        self._warn(warning)
        return _Repository(checkout, tracked, ignores_case(top), cut)

    def _warn(self, warning: str | None) -> None:
        if warning is not None and warning not in self.warnings:
            self.warnings.append(warning)

    def _outside(
        self, path: Path, source: str, repository: _Repository, above: tuple[str, ...] = (), cut: int = 0
    ) -> tuple[_PlacedIgnoreFile, ...]:
        """Rules of a file outside the walk; users may link it from elsewhere."""
        content = self._content(path, source, os.O_RDONLY | os.O_NONBLOCK)
        if content is None:
            return ()
        file = IgnoreFile.from_bytes(source, content, ignore_case=repository.ignore_case)
        return (_PlacedIgnoreFile(file, cut, "".join(f"{part}/" for part in above)),) if file.rules else ()

    def _inside(
        self, rules: FolderRules, name: str, first: tuple[_PlacedIgnoreFile, ...] = ()
    ) -> tuple[_PlacedIgnoreFile, ...]:
        source = f"{rules.path}/{name}" if rules.path else name
        content = self._content(self._root / source, source, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        if content is None:
            return first
        file = IgnoreFile.from_bytes(source, content, ignore_case=rules.repository.ignore_case)
        return (*first, _PlacedIgnoreFile(file, len(rules.path) + 1 if rules.path else 0)) if file.rules else first

    def _content(self, path: Path, source: str, flags: int) -> bytes | None:
        try:
            with os.fdopen(os.open(path, flags | os.O_CLOEXEC), "rb") as file:
                if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    return file.read(_MAX_IGNORE_FILE_BYTES)
                self._warn(f"{source}: not a regular file; its rules are not known")
        except OSError as error:
            if error.errno == errno.ELOOP:
                self._warn(f"{source}: a symbolic link, which git does not follow here either; its rules do not hold")
            elif error.errno not in {errno.ENOENT, errno.ENOTDIR}:
                self._warn(f"{source}: {error.strerror}; its rules are not known, so ignored files may get indexed")
        return None


def _last_match(rules: tuple[_PlacedIgnoreFile, ...], name: str, path: str, is_folder: bool) -> IgnoreRule | None:
    for located in reversed(rules):
        if (rule := located.match(name, path, is_folder)) is not None:
            return rule
    return None
