"""The rules that hold in a folder during a walk, and their verdicts on its entries.

Belongs here: collecting ignore files on the way down and applying them in the order that
`code_index.repository.walk` states. Does not belong here: listing folders, and rules about kinds and sizes of files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from code_index.core.regular_files import UnfitFileError, read_regular_file
from code_index.repository.checkouts import (
    MAX_IGNORE_FILE_BYTES,
    Checkout,
    checkout_at,
    find_checkout,
    read_git_file,
)
from code_index.repository.encoding_attributes import ATTRIBUTES_FILE, EncodingAttributes
from code_index.repository.git_checkout import (
    RepositorySettings,
    TrackedFiles,
    repository_settings,
    tracked_files,
    user_ignore_file,
)
from code_index.repository.git_program import Git, GitFailedError
from code_index.repository.ignore_rules import IgnoreFile, IgnoreRule
from code_index.repository.skip_rules import entered_folder_reason, file_name_reason, folder_reason

OWN_IGNORE_FILE: Final = ".codeindexignore"
_GIT_IGNORE_FILE: Final = ".gitignore"
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

    def match_above(self, above: tuple[str, ...], depth: int) -> IgnoreRule | None:
        """The last rule for the folder at `depth` of those `above`, which lead to the root; None if it lies deeper."""
        first = len(above) - self.above.count("/")
        if first >= depth:
            return None
        return self.file.match(above[depth - 1], "/".join(above[first:depth]), is_folder=True)


@dataclass(frozen=True, slots=True)
class _PlacedAttributes:
    """An attributes file with its place, as that of an ignore file."""

    file: EncodingAttributes
    cut: int = 0
    above: str = ""

    def match(self, name: str, path: str) -> tuple[str | None] | None:
        return self.file.match(name, self.above + path[self.cut :])


@dataclass(frozen=True, slots=True)
class _Repository:
    """The git side of a part of the tree; tracked paths begin after `cut` characters of a path."""

    checkout: Checkout | None
    tracked: TrackedFiles
    settings: RepositorySettings
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
    tracked_dependencies: bool = False
    attributes: tuple[_PlacedAttributes, ...] = ()
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

    def encoding(self, name: str, path: str) -> str | None:
        """The encoding that the repository declares for the file `name` at `path`, or None."""
        for located in reversed(self.attributes):
            if (said := located.match(name, path)) is not None:
                return said[0]
        return None

    def below(self, name: str, path: str, siblings: Collection[str]) -> FolderRules | Skip:
        """The rules for the folder `name` at `path`, or the reason to skip it with everything below."""
        brought_back, skip = self._written_rules(name, path, is_folder=True)
        if skip is None and not brought_back:
            reason = folder_reason(
                name,
                siblings,
                lambda: self.repository.tracks_below(path),
                tracked_dependencies=self.tracked_dependencies,
            )
            skip = Skip(reason) if reason is not None else None
        if (
            skip is None
            or (skip.from_git and self.repository.tracks_below(path))
            or any(rules.brings_back_below(path) for rules in self.own)
        ):
            return replace(self, path=path, inherited_skip=skip, brought_back=brought_back)
        return skip

    def entered_reason(self, names: Collection[str]) -> str | None:
        """Reason to skip this folder for one of the entries `names` in it, or None."""
        if not self.path or self.brought_back:
            return None
        return entered_folder_reason(
            self.name,
            names,
            lambda: self.repository.tracks_below(self.path),
            tracked_dependencies=self.tracked_dependencies,
        )

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
        self._git = Git(root)
        self.warnings: list[str] = []

    def start(
        self,
        include: Collection[str],
        exclude: Collection[str],
        *,
        use_gitignore: bool,
        tracked_dependencies: bool,
    ) -> FolderRules:
        """The rules for the root, before its own ignore files are read.

        Rules above that ignore the root as a whole do not hold: it was named to be indexed.
        """
        checkout = find_checkout(self._root)
        self._git = Git(checkout.top if checkout is not None else self._root)
        repository = self._repository(checkout, self._root)
        user_wide: tuple[_PlacedIgnoreFile, ...] = ()
        git: tuple[_PlacedIgnoreFile, ...] = ()
        attributes: tuple[_PlacedAttributes, ...] = ()
        if use_gitignore:
            path, warning = user_ignore_file(self._git, checkout, repository.settings)
            self._warn(warning)
            if path is not None:
                user_wide = self._outside(path, str(path), repository)
            git = user_wide
        above = self._root.relative_to(checkout.top).parts if checkout is not None else ()
        if checkout is not None and use_gitignore:
            git += self._outside(checkout.exclude_file, ".git/info/exclude", repository, above)
        for folder, below in _folders_above(self._root, above):
            if use_gitignore:
                path = folder / _GIT_IGNORE_FILE
                git += self._outside(path, os.path.relpath(path, self._root), repository, below)
            attributes = self._attributes(folder / ATTRIBUTES_FILE, repository, attributes, above=below)
        if above and not repository.tracked and (rule := _rule_for_root(git, above)) is not None:
            self._warn(
                f"{rule} ignores {self._root} as a whole. It was named to be indexed: that rule does not hold in it"
            )
            git = tuple(_without_covering(located, above) for located in git)
        lines = [*exclude, *(f"!{pattern}" for pattern in include)]
        own = (_PlacedIgnoreFile(IgnoreFile("settings", lines)),) if lines else ()
        return FolderRules(
            "", own, git, user_wide, repository, use_gitignore, tracked_dependencies, attributes=attributes
        )

    def entered(self, rules: FolderRules, names: Collection[str]) -> FolderRules | Skip:
        """The rules with the ignore files of the folder, whose entries are `names`; or the reason to skip it."""
        if ".git" in names and rules.path:
            checkout = checkout_at(self._root / rules.path)
            if checkout is not None:
                outer = rules.repository.checkout
                if outer is not None and checkout.common_dir == outer.common_dir:
                    return Skip(_NESTED_WORKTREE)
                repository = self._repository(checkout, checkout.top, cut=len(rules.path) + 1)
                source = f"{rules.path}/.git/info/exclude"
                exclude: tuple[_PlacedIgnoreFile, ...] = ()
                if rules.use_gitignore:
                    exclude = self._outside(checkout.exclude_file, source, repository, cut=repository.cut)
                rules = replace(rules, repository=repository, git=rules.user_wide + exclude, attributes=())
        if rules.use_gitignore and _GIT_IGNORE_FILE in names:
            rules = replace(rules, git=rules.git + self._inside(rules, _GIT_IGNORE_FILE))
        if ATTRIBUTES_FILE in names:
            path, cut = self._root / rules.path / ATTRIBUTES_FILE, len(rules.path) + 1 if rules.path else 0
            attributes = self._attributes(path, rules.repository, rules.attributes, cut=cut)
            rules = replace(rules, attributes=attributes)
        if OWN_IGNORE_FILE in names:
            rules = replace(rules, own=self._inside(rules, OWN_IGNORE_FILE, first=rules.own))
        return rules

    def _repository(self, checkout: Checkout | None, folder: Path, cut: int = 0) -> _Repository:
        settings = RepositorySettings({})
        tracked = TrackedFiles([])
        if checkout is not None:
            try:
                settings = repository_settings(self._git, checkout)
                tracked = tracked_files(self._git, checkout, settings, folder)
            except GitFailedError as error:
                lost = "files that git tracks although an ignore rule covers them stay out of the index"
                self._warn(f"{folder}: {error}; {lost}")
        return _Repository(checkout, tracked, settings, cut)

    def _warn(self, warning: str | None) -> None:
        if warning is not None and warning not in self.warnings:
            self.warnings.append(warning)

    def _outside(
        self, path: Path, source: str, repository: _Repository, above: tuple[str, ...] = (), cut: int = 0
    ) -> tuple[_PlacedIgnoreFile, ...]:
        """Rules of a file outside the walk; users may link it from elsewhere."""
        content = self._content(read_git_file, path, source)
        if content is None:
            return ()
        file = IgnoreFile.from_bytes(source, content, ignore_case=repository.settings.ignore_case)
        return (_PlacedIgnoreFile(file, cut, "".join(f"{part}/" for part in above)),) if file.rules else ()

    def _inside(
        self, rules: FolderRules, name: str, first: tuple[_PlacedIgnoreFile, ...] = ()
    ) -> tuple[_PlacedIgnoreFile, ...]:
        source = f"{rules.path}/{name}" if rules.path else name
        content = self._content(read_ignore_file, self._root / source, source)
        if content is None:
            return first
        file = IgnoreFile.from_bytes(source, content, ignore_case=rules.repository.settings.ignore_case)
        return (*first, _PlacedIgnoreFile(file, len(rules.path) + 1 if rules.path else 0)) if file.rules else first

    def _attributes(
        self,
        path: Path,
        repository: _Repository,
        outer: tuple[_PlacedAttributes, ...],
        *,
        above: tuple[str, ...] = (),
        cut: int = 0,
    ) -> tuple[_PlacedAttributes, ...]:
        """The attributes of the files `outer`, with those of the one at `path`."""
        try:
            content = read_ignore_file(path)
        except (FileNotFoundError, NotADirectoryError):
            return outer
        except OSError as error:
            shown = os.path.relpath(path, self._root)
            self._warn(f"{shown}: {error.strerror}; the encodings that it declares are not known")
            return outer
        inherited = outer[-1].file.macros if outer else {}
        file = EncodingAttributes(content, inherited=inherited, ignore_case=repository.settings.ignore_case)
        return (*outer, _PlacedAttributes(file, cut, "".join(f"{part}/" for part in above))) if file else outer

    def _content(self, read: Callable[[Path], bytes], path: Path, source: str) -> bytes | None:
        try:
            return read(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except UnfitFileError as error:
            self._warn(f"{source}: {error.strerror}; its rules are not known")
        except OSError as error:
            self._warn(f"{source}: {error.strerror}; its rules are not known, so ignored files may get indexed")
        return None


def _folders_above(root: Path, above: tuple[str, ...]) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """The folders from the top of a checkout down to the one above the root, with the parts that lead to the root."""
    for count in range(len(above)):
        yield root.parents[len(above) - 1 - count], above[count:]


def _rule_for_root(rules: tuple[_PlacedIgnoreFile, ...], above: tuple[str, ...]) -> IgnoreRule | None:
    """The rule that ignores the root, or a folder between it and the top of the checkout; None if none does."""
    for depth in range(1, len(above) + 1):
        for located in reversed(rules):
            rule = located.match_above(above, depth)
            if rule is not None:
                if not rule.negated:
                    return rule
                break
    return None


def _without_covering(located: _PlacedIgnoreFile, above: tuple[str, ...]) -> _PlacedIgnoreFile:
    """An ignore file without its rules for the folders that lead to the root."""
    for depth in range(1, len(above) + 1):
        while (rule := located.match_above(above, depth)) is not None:
            located = replace(located, file=located.file.without(rule))
    return located


def read_ignore_file(path: Path) -> bytes:
    """Read an ignore file or an attributes file in the working tree; as in git, a link is not followed.

    Raises:
        FileNotFoundError: there is none.
        OSError: it is no regular file, too large, or the system refuses to read it.
    """
    return read_regular_file(path, max_bytes=MAX_IGNORE_FILE_BYTES)


def _last_match(rules: tuple[_PlacedIgnoreFile, ...], name: str, path: str, is_folder: bool) -> IgnoreRule | None:
    for located in reversed(rules):
        if (rule := located.match(name, path, is_folder)) is not None:
            return rule
    return None
