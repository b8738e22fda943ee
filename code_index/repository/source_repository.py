"""The files of a repository: found, compared with the known records, and read.

Belongs here: reading contents and combining walk, languages and subprojects. Does not belong here: which entries a
walk leaves out (`code_index.repository.walk`) and what follows from a change
(`code_index.repository.content_rules.plan_changes`).

A content is read once, and the bytes read are hashed: a file that is replaced meanwhile is never stored under another
content's hash. A file counts as read when size, mtime and inode are the same before and after.
"""

from __future__ import annotations

import io
import os
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from code_index.chunking.encoding import ascii_compatible
from code_index.chunking.language_detection import detect_language
from code_index.core.errors import (
    FileTooLargeError,
    FileUnreadableError,
    FileUnstableError,
    FileVanishedError,
    NotRegularFileError,
    RepositoryError,
)
from code_index.core.hashing import content_hash
from code_index.core.model import FileStatus, SourceFile
from code_index.repository.content_rules import is_unchanged, recorded_mtime_ns, skip_reason_for_content
from code_index.repository.skip_rules import INDEX_FOLDER
from code_index.repository.subprojects import Subproject, find_subprojects
from code_index.repository.walk import Walk, WalkOptions, displayed, walk
from code_index.system.files import FOLDER_FLAGS

DEFAULT_MAX_FILE_BYTES: Final = 1 << 20
_READ_ATTEMPTS: Final = 4
_RETRY_WAIT_S: Final = 0.05
_OPEN_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LEADING_OUT: Final = frozenset({"..", ".", ""})


@dataclass(frozen=True, slots=True)
class FileContent:
    """A file's bytes, their SHA-256 (64 hex digits), and size and mtime from before they were read."""

    content: bytes
    file_hash: str
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class ScanResult:
    """The result of a scan.

    `files` holds a record for every file, ordered by path: the known record itself where nothing changed, a pending
    one for a new or changed content, a skipped one with its reason (a skipped folder is one record whose path ends
    with `/`). Files that could not be read (`unreadable`: path or folder with a final `/` → reason) keep their
    known record, so that a path missing from `files` is really gone. `walk` is what the walk saw, before any reading.
    """

    files: tuple[SourceFile, ...]
    unreadable: Mapping[str, str]
    subprojects: tuple[Subproject, ...]
    warnings: tuple[str, ...]
    read_count: int
    walk: Walk


class SourceRepository:
    """A folder of source files, in a git checkout or not.

    `include` and `exclude` are patterns in gitignore syntax that count like lines at the top of the root's
    `.codeindexignore` (`include` ones negated). `index_dir` is never indexed. `tracked_dependencies` and `readers_group`
    are as in `WalkOptions`.
    """

    def __init__(
        self,
        root: Path,
        *,
        max_file_bytes: int = DEFAULT_MAX_FILE_BYTES,
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        use_gitignore: bool = True,
        tracked_dependencies: bool = False,
        index_dir: Path | None = None,
        readers_group: int | None = None,
    ) -> None:
        self.root = Path(os.path.realpath(root))
        self._prefix = f"{os.fspath(self.root).rstrip('/')}/"
        self._options = WalkOptions(
            max_file_bytes=max_file_bytes,
            index_dir=index_dir if index_dir is not None else self.root / INDEX_FOLDER,
            include=tuple(include),
            exclude=tuple(exclude),
            use_gitignore=use_gitignore,
            tracked_dependencies=tracked_dependencies,
            readers_group=readers_group,
        )

    def scan(self, known: Mapping[str, SourceFile], *, verify: bool = False, allow_empty: bool = False) -> ScanResult:
        """Find all files, reading only those whose size or mtime differs from `known` (all of them to `verify`).

        Raises:
            RepositoryError: the root cannot be listed, was replaced meanwhile, or holds nothing although files are
                known (as where a disk is not mounted) and the caller does not `allow_empty`.
        """
        identity = self._identity()
        found = walk(self.root, self._options)
        if self._identity() != identity:
            raise RepositoryError(f"{self.root} was replaced during the scan. Scan again; the index stays as it was.")
        own = f"{os.path.relpath(os.path.realpath(self._options.index_dir), self.root)}/"
        seen = found.files or found.unreadable or any(entry.path != own for entry in found.skipped)
        if not seen and any(path != own for path in known) and not allow_empty:
            raise RepositoryError(
                f"{self.root} is empty, but {len(known)} of its files are known. Check that its disk is mounted; "
                "if everything was really deleted, delete the index."
            )
        return _Scan(self, found, known, verify=verify).result()

    def read(self, file_path: str) -> FileContent:
        """The content of a file (POSIX path relative to the root), read while it did not change.

        Raises:
            FileVanishedError: there is no such file.
            NotRegularFileError: it is a folder, link, pipe or device, or lies outside the root.
            FileTooLargeError: it is over the limit.
            FileUnreadableError: the system refuses to read it.
            FileUnstableError: it changed during every attempt.
        """
        for attempt in range(_READ_ATTEMPTS):
            if attempt:
                time.sleep(_RETRY_WAIT_S)
            if (content := self._read_once(file_path, displayed(file_path))) is not None:
                return content
        raise FileUnstableError(
            f"{displayed(file_path)}: kept changing during {_READ_ATTEMPTS} attempts to read it. "
            "Index again when it is at rest, or list it in .codeindexignore."
        )

    def _read_once(self, file_path: str, shown: str) -> FileContent | None:
        """The content, or None where the file changed meanwhile."""
        limit = self._options.max_file_bytes
        try:
            with self._opened_folder(file_path, shown) as folder:
                name = file_path.rpartition("/")[2]
                # Opening a device can have effects.
                _require_regular(os.stat(name, dir_fd=folder, follow_symlinks=False), shown)
                with io.FileIO(os.open(name, _OPEN_FLAGS, dir_fd=folder)) as file:
                    before = os.fstat(file.fileno())
                    _require_regular(before, shown)
                    if before.st_size > limit:
                        raise FileTooLargeError(
                            f"{shown}: {before.st_size} bytes, the limit is {limit} (max_file_bytes)"
                        )
                    content = _read_all(file, before.st_size + 1)
                    after = os.lstat(self._prefix + file_path)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise FileVanishedError(f"{shown}: gone. Scan again.") from error
        except OSError as error:
            raise FileUnreadableError(f"{shown}: {error.strerror}. Check its permissions and the disk.") from error
        if _file_state(before) != _file_state(after) or len(content) != before.st_size:
            return None
        return FileContent(content, content_hash(content), before.st_size, before.st_mtime_ns)

    @contextmanager
    def _opened_folder(self, file_path: str, shown: str) -> Iterator[int]:
        """Open the folder of a file from the root down, each step in the one before.

        So a folder that somebody exchanges for a link at any moment leads nowhere. Rejected: a comparison of the path
        with its `realpath` and a call of open after it, which leaves a moment between the two.
        """
        opened = os.open(self.root, FOLDER_FLAGS)
        try:
            for part in file_path.split("/")[:-1]:
                if part in _LEADING_OUT:
                    raise NotRegularFileError(f"{shown}: not below the root")
                try:
                    inner = os.open(part, FOLDER_FLAGS, dir_fd=opened)
                except NotADirectoryError:
                    if stat.S_ISLNK(os.stat(part, dir_fd=opened, follow_symlinks=False).st_mode):
                        raise NotRegularFileError(f"{shown}: behind a symbolic link") from None
                    raise
                os.close(opened)
                opened = inner
            yield opened
        finally:
            os.close(opened)

    def _identity(self) -> tuple[int, int]:
        try:
            status = self.root.stat()
        except OSError as error:
            raise RepositoryError(
                f"{self.root} cannot be read: {error.strerror}. Check the path and that its disk is mounted."
            ) from error
        if not stat.S_ISDIR(status.st_mode):
            raise RepositoryError(f"{self.root} is not a folder. Name the folder that holds the source.")
        return status.st_dev, status.st_ino


class _Scan:
    """One comparison of a walk with the known records."""

    def __init__(
        self, repository: SourceRepository, found: Walk, known: Mapping[str, SourceFile], *, verify: bool
    ) -> None:
        self._repository = repository
        self._found = found
        self._known = known
        self._verify = verify
        self._subprojects, warnings = find_subprojects(found.manifests, repository.root.name)
        self._warnings = [*found.warnings, *warnings]
        self._unreadable = dict(found.unreadable)
        self._files: dict[str, SourceFile] = {}
        self._read_count = 0

    def result(self) -> ScanResult:
        self._compare()
        for entry in self._found.skipped:
            if entry.path not in self._files:  # a file's name may equal the escaped name of another
                self._skip(entry.path, entry.reason)
        self._keep_unreadable()
        return ScanResult(
            files=tuple(file for _, file in sorted(self._files.items())),
            unreadable=self._unreadable,
            subprojects=self._subprojects.all,
            warnings=tuple(self._warnings),
            read_count=self._read_count,
            walk=self._found,
        )

    def _compare(self) -> None:
        last_folder, subproject = None, None
        for path, folder, size_bytes, mtime_ns in self._found.files:
            if folder != last_folder:
                last_folder, subproject = folder, self._subprojects.of_folder(folder)
            before = self._known.get(path)
            if (
                before is None
                or self._verify
                or before.working_tree_encoding != self._found.encodings.get(path)
                or not is_unchanged(before, size_bytes, mtime_ns)
            ):
                self._read(path, before)
            else:
                self._files[path] = self._with_subproject(before, subproject)

    def _read(self, path: str, before: SourceFile | None) -> None:
        read_at_ns = time.time_ns()
        try:
            read = self._repository.read(path)
        except FileVanishedError:
            return
        except (FileUnreadableError, FileUnstableError) as error:
            self._unreadable[path] = f"unreadable: {reason_of(error, path)}"
            return
        except (NotRegularFileError, FileTooLargeError) as error:  # replaced since the walk
            self._skip(path, f"changed during the scan: {reason_of(error, path)}")
            return
        self._read_count += 1
        text = ascii_compatible(read.content, self._found.encodings.get(path))
        language = detect_language(path, text)
        mtime_ns = recorded_mtime_ns(read.mtime_ns, read_at_ns)
        if (reason := skip_reason_for_content(text, language)) is not None:
            self._skip(path, reason, size_bytes=read.size_bytes, mtime_ns=mtime_ns, language=language)
            return
        same = before if before is not None and before.file_hash == read.file_hash else None
        self._files[path] = self._with_subproject(
            SourceFile(
                file_path=path,
                file_hash=read.file_hash,
                size_bytes=read.size_bytes,
                mtime_ns=mtime_ns,
                language=language,
                status=same.status if same is not None else FileStatus.PENDING,
                reason=same.reason if same is not None else None,
                working_tree_encoding=self._found.encodings.get(path),
            ),
            self._subprojects.nearest(path),
        )

    def _keep_unreadable(self) -> None:
        """Keep the known records of files that could not be read, and list the others as skipped."""
        if not self._unreadable:
            return
        folders = tuple(path for path in self._unreadable if path.endswith("/"))
        for path, before in self._known.items():
            if path not in self._files and (path in self._unreadable or path.startswith(folders)):
                self._files[path] = before
        for path, reason in self._unreadable.items():
            if path not in self._known:
                self._skip(path, reason)

    def _skip(self, path: str, reason: str, *, size_bytes: int = 0, mtime_ns: int = 0, language: str = "") -> None:
        file = SourceFile(
            path,
            "",
            size_bytes,
            mtime_ns,
            language,
            status=FileStatus.SKIPPED,
            reason=reason,
            working_tree_encoding=self._found.encodings.get(path),
        )
        self._files[path] = self._with_subproject(file, self._subprojects.nearest(path))

    @staticmethod
    def _with_subproject(file: SourceFile, subproject: Subproject | None) -> SourceFile:
        """The record with its subproject; the same object where nothing changes."""
        name, path = (subproject.name, subproject.path) if subproject is not None else (None, None)
        if file.subproject_name == name and file.subproject_path == path:
            return file
        return replace(file, subproject_name=name, subproject_path=path)


def reason_of(error: RepositoryError, file_path: str) -> str:
    """The message of an error of `SourceRepository.read` without the path, for where the path stands beside it."""
    return str(error).removeprefix(f"{displayed(file_path)}: ")


def _require_regular(status: os.stat_result, shown: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise NotRegularFileError(f"{shown}: not a regular file")


def _read_all(file: io.FileIO, at_most: int) -> bytes:
    """Up to `at_most` bytes; usually one call, more where the system returns less at a time."""
    content = file.read(at_most) or b""
    while len(content) < at_most and (more := file.read(at_most - len(content))):
        content += more
    return content


def _file_state(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ino, status.st_dev
