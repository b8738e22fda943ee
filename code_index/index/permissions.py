"""Permissions of an index folder: its owner's only, or also readable by a group.

An index holds a copy of the source code and decides what is read from disk, so nobody else may write to it, and by
default nobody else may read it. Locks stay closed in either case: who can open a lock file can hold the lock.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

_PRIVATE_UMASK = 0o077
_GROUP_UMASK = 0o027
_FOLDER = 0o777
_FILE = 0o666


def umask_of(*, shared: bool) -> int:
    """Return the umask of processes that write to an index; `shared` lets the folder's group read it."""
    return _GROUP_UMASK if shared else _PRIVATE_UMASK


def set_permissions(path: Path, *, shared: bool, private: Path) -> None:
    """Set the permissions of an index folder and all that is in it, unless the folder has them.

    Args:
        path: the index folder, which holds no links.
        shared: whether the folder's group may read it.
        private: the folder in it that stays its owner's.

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
            _change(Path(folder, name), _FILE & ~(_PRIVATE_UMASK if closed else mask))
    _change(path, wanted)


def _change(path: Path, mode: int) -> None:
    # Another process removes files meanwhile; a file system without permissions refuses, and has none to give away.
    with suppress(FileNotFoundError, PermissionError):
        path.chmod(mode | (path.stat().st_mode & stat.S_ISGID))
