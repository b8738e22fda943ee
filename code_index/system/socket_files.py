"""Sockets that are files: a path that fits into their address, and the user at the other end.

Does not belong here: connections by address and port (`code_index.system.tcp_peers`).
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

# Process, user and group of the peer. Source: unix(7), SO_PEERCRED.
_LINUX_CREDENTIALS: Final = struct.Struct("3i")
# `struct xucred`: version, user, number of groups, sixteen groups. Source: unix(4) and <sys/ucred.h> of macOS.
_MACOS_CREDENTIALS: Final = struct.Struct("@IIh16I")
_SOL_LOCAL, _LOCAL_PEERCRED = 0, 1
# Through an open folder a path is always short; the address has room for 107 bytes. Source: unix(7), proc(5).
_OPEN_FOLDERS: Final = Path("/proc/self/fd")


@contextmanager
def short_path(folder: Path, name: str) -> Iterator[str]:
    """A path of a socket that fits into an address; no link in the folder's place is followed.

    On macOS it is the path itself: there the address has room for 103 bytes, and a longer one is refused by an `OSError`.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield str((_OPEN_FOLDERS / str(descriptor) if _OPEN_FOLDERS.is_dir() else folder) / name)
    finally:
        os.close(descriptor)


def user_of_peer(connection: socket.socket) -> int | None:
    """The id of the user who opened the other end; None where the system is neither Linux nor macOS."""
    if sys.platform == "linux":
        option, credentials = (socket.SOL_SOCKET, socket.SO_PEERCRED), _LINUX_CREDENTIALS
    elif sys.platform == "darwin":
        option, credentials = (_SOL_LOCAL, _LOCAL_PEERCRED), _MACOS_CREDENTIALS
    else:
        return None
    return int(credentials.unpack(connection.getsockopt(*option, credentials.size))[1])
