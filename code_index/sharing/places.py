"""Places that indexes share: a folder, or a bucket and a prefix in it, with named files that are written whole.

Belongs here: reading, writing, listing and deleting small files at a place. Does not belong here: what the files say, and
tables (`code_index.tables`).

Nothing at a place is trusted: others may write there. In a folder no link is followed; a name never leads out.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from code_index.core.addresses import Bucket, parsed_address
from code_index.core.atomic_writes import write_atomically
from code_index.core.errors import StoreError, UsageError
from code_index.core.lazy_imports import importing
from code_index.core.object_stores import Endpoint, no_bucket, with_patience
from code_index.core.regular_files import UnfitFileError, read_regular_file

T = TypeVar("T")

_NAME: Final = re.compile(r"[a-z0-9_-][a-z0-9._-]*(/[a-z0-9_-][a-z0-9._-]*)*")
_FOLDER_RIGHTS: Final = 0o777
_FILE_RIGHTS: Final = 0o044
_OWNERS_FOLDER: Final = 0o700
_OWNERS_FILE: Final = 0o600
_CONNECT_S: Final = 5.0


@dataclass(frozen=True)
class Stored:
    """A file at a place: its name relative to the place, its size, and when it was written."""

    name: str
    bytes: int
    modified: datetime


class Place:
    """A folder, or a bucket and a prefix in it (`s3://bucket/prefix`), with named files that are written whole.

    Names are parts of lower-case letters, digits and `._-`, joined by `/`; no part begins with a dot.
    """

    def __init__(self, address: str) -> None:
        """Set the place by an absolute path or `s3://bucket/prefix`; nothing is opened or made.

        Raises:
            UsageError: it is neither.
        """
        where = parsed_address(address)
        self.address = str(where)
        self._files: _Files = _Folder(where) if isinstance(where, Path) else _Store(where)

    def read(self, name: str, *, max_bytes: int) -> bytes:
        """Read a file.

        Raises:
            FileNotFoundError: it is not there.
            StoreError: it is larger than `max_bytes`, is no file, or the place cannot be read.
        """
        return self._files.read(_checked(name), max_bytes)

    def write(self, name: str, content: bytes) -> None:
        """Write a file whole or not at all, over one of the same name; a process that is killed leaves the old one.

        Raises:
            StoreError: the place cannot be written.
        """
        self._files.write(_checked(name), content)

    def names(self, folder: str) -> list[Stored]:
        """List the files directly below a folder of the place (`""`: the place itself) by name; none where there is none.

        Raises:
            StoreError: the place cannot be read.
        """
        below = f"{_checked(folder)}/" if folder else ""
        found = [one for one in self._files.listed(folder) if _NAME.fullmatch(one.name.removeprefix(below))]
        return sorted(found, key=lambda one: one.name)

    def delete(self, name: str) -> None:
        """Remove a file; one that is gone is no error.

        Raises:
            StoreError: the place cannot be written.
        """
        self._files.delete(_checked(name))


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name at a place. Write parts of a-z, 0-9, '.', '_' and '-', joined by '/'.")
    return name


class _Files(Protocol):
    """Files of a place by checked names."""

    def read(self, name: str, max_bytes: int) -> bytes: ...

    def write(self, name: str, content: bytes) -> None: ...

    def listed(self, folder: str) -> list[Stored]: ...

    def delete(self, name: str) -> None: ...


class _Folder:
    """Files below a folder, which must be there: whoever makes it decides who may read and write."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, name: str, max_bytes: int) -> bytes:
        def read() -> bytes:
            self._parent_of(name)
            return read_regular_file(self._root / name, max_bytes=max_bytes)

        return self._plain(read, name)

    def write(self, name: str, content: bytes) -> None:
        def write() -> None:
            rights = self._rights()
            self._parent_of(name, made_with=_OWNERS_FOLDER | (rights & _FOLDER_RIGHTS))
            write_atomically(self._root / name, content, mode=_OWNERS_FILE | (rights & _FILE_RIGHTS))

        self._plain(write, name)

    def listed(self, folder: str) -> list[Stored]:
        def listed() -> list[Stored]:
            found = []
            for path in self._parent_of(f"{folder}/" if folder else "").iterdir():
                with suppress(FileNotFoundError):  # deleted or renamed meanwhile
                    status = path.lstat()
                    if stat.S_ISREG(status.st_mode):
                        written = datetime.fromtimestamp(status.st_mtime, UTC)
                        found.append(Stored(str(path.relative_to(self._root)), status.st_size, written))
            return found

        try:
            return self._plain(listed, folder)
        except FileNotFoundError:
            return []

    def delete(self, name: str) -> None:
        def delete() -> None:
            self._parent_of(name)
            (self._root / name).unlink()

        with suppress(FileNotFoundError):
            self._plain(delete, name)

    def _parent_of(self, name: str, *, made_with: int | None = None) -> Path:
        """The folder of a file, to which no link leads; made where `made_with` gives its rights."""
        self._rights()
        path = self._root
        for part in name.split("/")[:-1]:
            path /= part
            if made_with is not None:
                with suppress(FileExistsError):
                    path.mkdir(mode=_OWNERS_FOLDER)
            mode = path.lstat().st_mode
            if not stat.S_ISDIR(mode):
                raise UnfitFileError(0, f"{path.name} is no folder", str(path))
            if made_with is not None and made_with & ~mode:  # the umask, or a writer that was killed right here
                with suppress(PermissionError):  # another user's
                    path.chmod(stat.S_IMODE(mode) | made_with)
        return path

    def _rights(self) -> int:
        """Those of the place's own folder."""
        try:
            return stat.S_IMODE(self._root.stat().st_mode)
        except FileNotFoundError as error:
            raise StoreError(
                f"The folder {self._root} is not there. Make it first, with the rights that it shall have."
            ) from error

    def _plain(self, action: Callable[[], T], name: str) -> T:
        try:
            return action()
        except FileNotFoundError:
            raise
        except OSError as error:
            raise StoreError(
                f"{name or 'The list of files'} at {self._root} cannot be used: {error.strerror or error}."
            ) from error


class _Store:
    """Objects below a prefix of a bucket."""

    def __init__(self, where: Bucket) -> None:
        self._where = where

    def read(self, name: str, max_bytes: int) -> bytes:
        def read() -> bytes:
            with self._system.open_input_file(self._path(name)) as file:
                if file.size() > max_bytes:
                    raise StoreError(f"{self._where / name} is larger than {max_bytes:,} bytes.")
                content: bytes = file.read()
                return content

        return self._patient(read, name)

    def write(self, name: str, content: bytes) -> None:
        def write() -> None:
            with self._system.open_output_stream(self._path(name)) as file:  # it appears when it is closed
                file.write(content)

        self._patient(write, name)

    def listed(self, folder: str) -> list[Stored]:
        with importing:
            from pyarrow import fs

        def listed() -> list[Stored]:
            below = f"{folder}/" if folder else ""
            base = self._path(folder) if folder else self._where.path
            return [
                Stored(f"{below}{one.base_name}", one.size, one.mtime)
                for one in self._system.get_file_info(fs.FileSelector(base))
                if one.type == fs.FileType.File
            ]

        try:
            return self._patient(listed, folder)
        except FileNotFoundError:
            return []

    def delete(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self._patient(lambda: self._system.delete_file(self._path(name)), name)

    def _path(self, name: str) -> str:
        return (self._where / name).path

    def _patient(self, action: Callable[[], T], name: str) -> T:
        """Run an action with retries; of a bucket that is missing, say so rather than that the file is."""
        address = str(self._where / name if name else self._where)
        try:
            return with_patience(action, address)
        except FileNotFoundError:
            if not self._has_bucket(address):
                raise no_bucket(address) from None
            raise

    def _has_bucket(self, address: str) -> bool:
        """Tell whether the bucket is there; who may not ask is told nothing of it."""
        with importing:
            from pyarrow import fs

        def found() -> bool:
            return bool(self._system.get_file_info(self._where.name).type != fs.FileType.NotFound)

        try:
            return with_patience(found, address)
        except StoreError:
            return True

    @cached_property
    def _system(self) -> Any:
        with importing:
            from pyarrow import fs
        endpoint = Endpoint.named()
        scheme, _, host = (endpoint.url or "https://").partition("://")
        return fs.S3FileSystem(
            scheme=scheme,
            endpoint_override=host or None,
            region=endpoint.region,
            connect_timeout=_CONNECT_S,
            retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=1),  # `with_patience` does
            allow_delayed_open=True,  # a small file is one request
        )
