"""The socket of an index, through which a process that stays is asked (`code-index serve`).

Belongs here: the socket as a file, and who is at its other end. Does not belong here: what is said through it
(`questions`).

Decision: a socket in the index folder, whose permissions and owner the system checks, and which needs neither port nor
token. It is the owner's only (0600, in a folder that is closed to others), and both ends ask the kernel for the user of
the other one. A process that is killed leaves the file; nobody listens there, and the next one replaces it.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

from code_index.core.errors import StoreError
from code_index.index.trust import SOCKET_FILE
from code_index.system.socket_files import short_path, user_of_peer

_MODE = 0o600
_WAITING = 64  # connections that wait to be accepted


def connect(locks_dir: Path, *, timeout_s: float) -> socket.socket | None:
    """Connect to the process of this user that serves the index; None where there is none.

    Args:
        locks_dir: folder of the socket.
        timeout_s: for the connection and each read or write that follows.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout_s)
        with short_path(locks_dir, SOCKET_FILE) as path:
            status = os.lstat(path)
            if not stat.S_ISSOCK(status.st_mode) or status.st_uid != os.geteuid():
                raise PermissionError(errno.EPERM, "not a socket of this user")
            connection.connect(path)
        if not is_peer_of_this_user(connection):
            raise PermissionError(errno.EPERM, "the other end is not of this user")
    except OSError:
        connection.close()
        return None
    return connection


def listen(locks_dir: Path) -> socket.socket:
    """Listen on the socket of the index; the caller holds `Duty.SERVE`, so that what lies there is a remain.

    Raises:
        StoreError: the folder, or its file system, takes no socket.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short_path(locks_dir, SOCKET_FILE) as path:
            with suppress(FileNotFoundError):
                os.unlink(path)  # noqa: PTH108 - a path through an open folder
            # Nobody may connect before the permissions are set: until `listen` everybody is refused.
            listener.bind(path)
            os.chmod(path, _MODE)  # noqa: PTH101
            listener.listen(_WAITING)
    except OSError as error:
        listener.close()
        raise StoreError(
            f"No socket can be made in {locks_dir}: {error.strerror or error}. Allow writing, or name an index folder "
            "with a shorter path or on another file system with --index-dir."
        ) from error
    return listener


def remove(locks_dir: Path) -> None:
    """Remove the socket of a process that ends, which still holds `Duty.SERVE`."""
    with suppress(OSError), short_path(locks_dir, SOCKET_FILE) as path:
        os.unlink(path)  # noqa: PTH108


def is_peer_of_this_user(connection: socket.socket) -> bool:
    """Tell whether the user of this process has the other end; where the system does not say, the file's owner has to do."""
    return user_of_peer(connection) in {os.geteuid(), None}
