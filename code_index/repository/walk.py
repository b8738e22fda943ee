"""One walk over a repository's folders: candidate files, and the reasons why the others are skipped.

Belongs here: the order in which rules apply, and what may not be entered. Does not belong here: file contents and
records of earlier scans (`code_index.repository.source_repository`).

Rejected: `git ls-files --cached --others --exclude-standard`. A plain folder and a machine without git need a walk
anyway, git gives neither the reason for what it leaves out nor size and mtime, and two lists of rules would disagree.
Sizes need no second pass: `os.scandir` gives them.

The rules for an entry, first to last:

1. Names that are not UTF-8, symbolic links, anything that is neither file nor folder, version control folders and the
   index itself are skipped whatever the rules say. A symbolic link is never followed: its target inside the root
   is indexed there, and so no loop and no way out exists. A name in another normal form of Unicode than NFC is
   taken as NFC, as git writes it, where the file system finds the file by it (macOS).
2. `.codeindexignore` files, the innermost first, and the `exclude` and `include` patterns of the caller. A negated
   pattern here brings back what rules 3 to 5 skip; with a spelled-out path (`!vendor/own/`) even out of a skipped
   folder. Such a pattern applies to the entry itself: a lock file inside needs its own.
3. The skip of the folder above, where it was entered only because of rule 2 or of tracked files.
4. `.gitignore` files, `.git/info/exclude`, the global ignore file, also in a plain folder. Files that git tracks
   although a rule covers them (`git add -f`) are part of the project and stay. Rules above the root that ignore it as a
   whole do not hold.
5. The built-in rules (`code_index.repository.skip_rules`), then empty and too large files; no pattern brings those back.

Submodules and other nested repositories are indexed under their own git rules; another working tree of the same
repository is not: it would repeat everything. Nor is what git keeps in a bare repository, which has no working tree.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from code_index.core.errors import RepositoryError
from code_index.core.regular_files import read_regular_file
from code_index.repository.skip_rules import INDEX_FOLDER, VCS_FOLDERS
from code_index.repository.subprojects import MAX_MANIFEST_BYTES, is_manifest
from code_index.repository.walk_rules import FolderRules, RulesReader, Skip
from code_index.system.files import composed_name

_KINDS: Final = {
    stat.S_IFIFO: "pipe",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
}
_BARE: Final = "version control: bare repository"
_BARE_REPOSITORY: Final = frozenset({"HEAD", "objects", "refs"})
# What git keeps in one; other files may lie beside it.
_GIT_ENTRIES: Final = _BARE_REPOSITORY | frozenset(
    [
        "FETCH_HEAD",
        "ORIG_HEAD",
        "branches",
        "config",
        "config.worktree",
        "description",
        "gc.log",
        "gc.pid",
        "hooks",
        "index",
        "info",
        "lfs",
        "logs",
        "modules",
        "packed-refs",
        "shallow",
        "svn",
        "worktrees",
    ]
)
_CLOSED = "private: the group that may read the index may not read it"


@dataclass(frozen=True, slots=True)
class WalkOptions:
    """Options of a walk; patterns are in gitignore syntax and relative to the root.

    With `tracked_dependencies` dependency folders that git tracks are walked. `readers_group` is the id of the group that
    may read what is made of the files; those that it may not read are skipped. None where only the user may.
    """

    max_file_bytes: int
    index_dir: Path
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    use_gitignore: bool = True
    tracked_dependencies: bool = False
    readers_group: int | None = None


@dataclass(frozen=True, slots=True)
class Skipped:
    """An entry that is skipped; a folder's path ends with `/` and stands for everything below.

    Size and mtime are left out on purpose: an ignored log file that grows is no change.
    """

    path: str
    reason: str


@dataclass(slots=True)
class Walk:
    """The result of a walk: `files` are (path, folder, size in bytes, mtime in ns), in no particular order.

    `unreadable` maps a folder (with a final `/`) or file that the system refused to the reason; its known records
    still hold. `manifests` are the contents of the manifests of subprojects. `encodings` maps files to the encoding that
    `.gitattributes` declares for them.
    """

    files: list[tuple[str, str, int, int]] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    manifests: dict[str, bytes] = field(default_factory=dict)
    encodings: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def walk(root: Path, options: WalkOptions) -> Walk:
    """Walk over everything below `root` (absolute, symbolic links resolved).

    Raises:
        RepositoryError: the root itself cannot be listed.
    """
    walker = _Walker(root, options)
    walker.run()
    return walker.found


def displayed(path: str) -> str:
    """A path as text: bytes that are not UTF-8 as backslash escapes."""
    return path if path.isascii() else os.fsencode(path).decode("utf-8", "backslashreplace")


class _Walker:
    def __init__(self, root: Path, options: WalkOptions) -> None:
        self.found = Walk()
        self._root = root
        self._prefix = f"{os.fspath(root).rstrip('/')}/"
        self._options = options
        self._index_path = os.path.relpath(os.path.realpath(options.index_dir), root)
        self._index_status: os.stat_result | None = None
        with suppress(OSError):  # it is not made yet
            self._index_status = os.stat(options.index_dir)  # noqa: PTH116
        self._reader = RulesReader(root)

    def run(self) -> None:
        options = self._options
        pending = [
            self._reader.start(
                options.include,
                options.exclude,
                use_gitignore=options.use_gitignore,
                tracked_dependencies=options.tracked_dependencies,
            )
        ]
        while pending:
            self._list(pending.pop(), pending)
        self.found.warnings.extend(self._reader.warnings)

    def _list(self, rules: FolderRules, pending: list[FolderRules]) -> None:
        try:
            with os.scandir(self._prefix + rules.path) as listing:
                entries = list(listing)
        except OSError as error:
            if not rules.path:
                raise RepositoryError(
                    f"{self._root} cannot be listed: {error.strerror}. Check that the folder exists, that it may be "
                    "read, and that its disk is mounted; the index stays as it was."
                ) from error
            if not isinstance(
                error, FileNotFoundError | NotADirectoryError
            ):  # those were removed since their parent was read
                self.found.unreadable[f"{rules.path}/"] = f"unreadable: {error.strerror}"
            return
        names = {entry.name for entry in entries}
        is_bare = rules.path and not rules.brought_back and names >= _BARE_REPOSITORY and _is_bare(entries)
        if is_bare and names <= _GIT_ENTRIES:
            self._skip(f"{rules.path}/", _BARE)
            return
        if (reason := rules.entered_reason(names)) is not None:
            self._skip(f"{rules.path}/", reason)
            return
        entered = self._reader.entered(rules, names)
        if isinstance(entered, Skip):
            self._skip(f"{rules.path}/", entered.reason)
            return
        self._each(entries, names, entered, bool(is_bare), pending)

    def _each(
        self,
        entries: list[os.DirEntry[str]],
        names: Collection[str],
        rules: FolderRules,
        is_bare: bool,
        pending: list[FolderRules],
    ) -> None:
        prefix = f"{rules.path}/" if rules.path else ""
        for entry in entries:
            path = prefix + entry.name
            if not entry.name.isascii() and not _is_utf8(entry.name):
                self._skip(displayed(path) + "/" * entry.is_dir(follow_symlinks=False), "name: not UTF-8")
            elif is_bare and entry.name in _GIT_ENTRIES:
                self._skip(path + "/" * entry.is_dir(follow_symlinks=False), _BARE)
            elif entry.is_symlink():
                self._skip(path, self._link_reason(path))
            elif entry.is_dir(follow_symlinks=False):
                self._folder(entry, composed_name(self._prefix + rules.path, entry, names), rules, names, pending)
            else:
                self._file(entry, composed_name(self._prefix + rules.path, entry, names), rules)

    def _folder(
        self,
        entry: os.DirEntry[str],
        name: str,
        rules: FolderRules,
        siblings: Collection[str],
        pending: list[FolderRules],
    ) -> None:
        path = _joined(rules.path, name)
        if name in VCS_FOLDERS:
            self._skip(f"{path}/", f"version control: {name}")
        elif name == INDEX_FOLDER or path == self._index_path or self._is_index(entry):
            self._skip(f"{path}/", "index folder: code-index's own files")
        elif self._is_closed(entry, stat.S_IXGRP, stat.S_IXOTH):
            self._skip(f"{path}/", _CLOSED)
        else:
            inside = rules.below(name, path, siblings)
            if isinstance(inside, Skip):
                self._skip(f"{path}/", inside.reason)
            else:
                pending.append(inside)

    def _file(self, entry: os.DirEntry[str], name: str, rules: FolderRules) -> None:
        path = _joined(rules.path, name)
        try:
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return  # gone since the folder was read
        except OSError as error:
            self.found.unreadable[path] = f"unreadable: {error.strerror}"
            return
        if not stat.S_ISREG(status.st_mode):
            self._skip(path, f"not a file: {_KINDS.get(stat.S_IFMT(status.st_mode), 'unknown kind')}")
        elif (skip := rules.file_skip(name, path)) is not None:
            self._skip(path, skip.reason)
        elif self._is_closed(entry, stat.S_IRGRP, stat.S_IROTH):
            self._skip(path, _CLOSED)
        else:
            if is_manifest(name) and status.st_size <= MAX_MANIFEST_BYTES:
                self._read_manifest(path)
            if status.st_size == 0:
                self._skip(path, "empty")
            elif status.st_size > self._options.max_file_bytes:
                self._skip(path, f"too large: over {self._options.max_file_bytes} bytes")
            else:
                self.found.files.append((path, rules.path, status.st_size, status.st_mtime_ns))
                if (encoding := rules.encoding(name, path)) is not None:
                    self.found.encodings[path] = encoding

    def _is_index(self, entry: os.DirEntry[str]) -> bool:
        """Tell whether this is the index folder, in whichever case its name was given."""
        status = self._index_status
        if status is None or entry.inode() != status.st_ino:
            return False
        with suppress(OSError):  # gone
            return os.path.samestat(entry.stat(follow_symlinks=False), status)
        return False

    def _is_closed(self, entry: os.DirEntry[str], to_group: int, to_all: int) -> bool:
        """Tell whether the group that may read the index may not read or enter this."""
        group = self._options.readers_group
        if group is None:
            return False
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:  # what follows says so
            return False
        return not status.st_mode & (to_group if status.st_gid == group else to_all)

    def _skip(self, path: str, reason: str) -> None:
        self.found.skipped.append(Skipped(path, reason))

    def _link_reason(self, path: str) -> str:
        try:
            target = os.path.realpath(self._prefix + path, strict=True)
        except OSError:
            return "symbolic link: leads nowhere or in a circle"
        if target == os.fspath(self._root) or target.startswith(self._prefix):
            return f"symbolic link: to {displayed(os.path.relpath(target, self._root))}, which is seen there"
        return "symbolic link: out of the root"

    def _read_manifest(self, path: str) -> None:
        try:
            self.found.manifests[path] = read_regular_file(Path(self._prefix + path), max_bytes=MAX_MANIFEST_BYTES)
        except OSError as error:
            self.found.warnings.append(f"{path}: {error.strerror}; the subproject's name is not known")


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _is_bare(entries: list[os.DirEntry[str]]) -> bool:
    """Tell whether these are the entries of a git folder."""
    kinds = {entry.name: entry.is_dir(follow_symlinks=False) for entry in entries if entry.name in _BARE_REPOSITORY}
    return kinds == {"HEAD": False, "objects": True, "refs": True}


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
