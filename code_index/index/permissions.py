"""Permissions of an index folder: its owner's only, or also readable by a group.

An index holds a copy of the source code and decides what is read from disk, so nobody else may write to it, and by
default nobody else may read it. Locks stay closed in either case: who can open a lock file can hold the lock.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PRIVATE_UMASK = 0o077
_GROUP_UMASK = 0o027
_FOLDER = 0o777
_FILE = 0o666
_LOCK_SUFFIX = ".lock"
_WITHOUT_PERMISSIONS = frozenset(
    {errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EROFS}
)


def umask_of(*, shared: bool) -> int:
    """Return the umask of processes that write to an index; `shared` lets the folder's group read it."""
    return _GROUP_UMASK if shared else _PRIVATE_UMASK


def set_permissions(path: Path, *, shared: bool, private: Path) -> None:
    """Set the permissions of an index folder and all that is in it, unless the folder has them.

    Args:
        path: the index folder, which holds no links.
        shared: whether the folder's group may read it.
        private: the folder in it that stays its owner's, as do lock files anywhere.

    Raises:
        OSError: a folder cannot be read.
    """
    mask = umask_of(shared=shared)
    wanted = _FOLDER & ~mask
    if path.stat().st_mode & _FOLDER == wanted:
        return
    # Closed from the top on, so that nobody enters meanwhile, and opened in the end.
    _change(path, _FOLDER & ~_PRIVATE_UMASK)
    for folder, folders, files in os.walk(path):
        closed = Path(folder) == private
        _change(Path(folder), _FOLDER & ~(_PRIVATE_UMASK if closed or Path(folder) == path else mask))
        if closed:
            folders.clear()
        for name in files:
            _change(Path(folder, name), _FILE & ~(_PRIVATE_UMASK if closed or name.endswith(_LOCK_SUFFIX) else mask))
    _change(path, wanted)


@contextmanager
def tolerating_no_permissions() -> Iterator[None]:
    """Go on where a file system refuses to set permissions: it has none, and so none to give away."""
    try:
        yield
    except OSError as error:
        if error.errno not in _WITHOUT_PERMISSIONS:
            raise


def _change(path: Path, mode: int) -> None:
    # Another process removes files meanwhile.
    with suppress(FileNotFoundError), tolerating_no_permissions():
        status = path.stat()
        # A file with a second name may be one from elsewhere that was linked in.
        if stat.S_ISDIR(status.st_mode) or status.st_nlink == 1:
            path.chmod(mode | (status.st_mode & stat.S_ISGID))
