"""The user at the other end of a connection within this machine.

Belongs here: what the kernel knows of a connection. Does not belong here: what follows from it (`guard`).

Decision: the kernel's table of sockets, which needs nothing of the client. Rejected: a socket in the file system, which
tells the peer's user by itself but which no browser opens.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from pathlib import Path

# Columns of /proc/net/tcp and tcp6. Source: Linux, Documentation/networking/proc_net_tcp.rst.
_LOCAL, _REMOTE, _STATE, _USER = 1, 2, 3, 7
_ESTABLISHED = "01"
_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_NO_USER = Path("/proc/sys/kernel/overflowuid")
_IPV4_BYTES = 4
# The beginning of an IPv6 address that stands for one of IPv4 (RFC 4291, 2.5.5.2).
_MAPPED = bytes(10) + b"\xff\xff"


def is_of_this_user(client: tuple[str, int], server: tuple[str, int]) -> bool:
    """Tell whether a process of the user of this process holds the other end of a connection.

    False also where that cannot be told: another machine or network namespace, a system without Linux's table.

    Args:
        client: address and port of the other end.
        server: address and port of this end.
    """
    user = _user_of(client, server)
    # Users whom this user namespace does not know are all shown as one.
    return user == os.geteuid() and user != _user_that_stands_for_others()


def _user_of(client: tuple[str, int], server: tuple[str, int]) -> int | None:
    """The user of the socket whose own end is `client`; None where no table has it."""
    wanted = list(zip(_written(*client), _written(*server), strict=True))
    for table in _TABLES:
        try:
            rows = table.read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            fields = row.split()
            if (fields[_LOCAL], fields[_REMOTE]) in wanted and fields[_STATE] == _ESTABLISHED:
                return int(fields[_USER])
    return None


def _written(address: str, port: int) -> list[str]:
    """An end as the table for IPv4 and that for IPv6 write it: words of four bytes in the machine's order, and a port."""
    packed = ipaddress.ip_address(address).packed.removeprefix(_MAPPED)
    forms = (packed, _MAPPED + packed if len(packed) == _IPV4_BYTES else packed)
    return [
        "".join(f"{int.from_bytes(form[i : i + 4], sys.byteorder):08X}" for i in range(0, len(form), 4))
        + f":{port:04X}"
        for form in forms
    ]


def _user_that_stands_for_others() -> int | None:
    try:
        return int(_NO_USER.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
