"""Sockets that listen, opened before anything else starts: a port that is taken is known at once.

Belongs here: addresses and ports. Does not belong here: who may ask (`guard`).
"""

from __future__ import annotations

import errno
import socket
from contextlib import ExitStack

from code_index.core.errors import AddressError

_REASONS = {
    errno.EADDRINUSE: "port {port} is taken by another program. Choose another one with `--port`, or `--port 0` for any.",
    errno.EACCES: "port {port} is only for the administrator. Choose one above 1023 with `--port`.",
    errno.EADDRNOTAVAIL: "it is not an address of this machine. Choose another one with `--host`.",
}


def listen(host: str, port: int) -> list[socket.socket]:
    """Listen on every address of a host; connections wait until somebody accepts them.

    Args:
        host: a name or an address; a name such as `localhost` may stand for several.
        port: 1 to 65535, or 0 for a free one, the same on every address.

    Raises:
        AddressError: the name is unknown, the port is taken, or the system refuses it.
    """
    with ExitStack() as opened:
        sockets: list[socket.socket] = []
        for family, address in _addresses(host, port):
            listener = opened.enter_context(socket.socket(family, socket.SOCK_STREAM))
            chosen = sockets[0].getsockname()[1] if sockets else port
            try:
                # A port whose last user just ended is free.
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    # `localhost` and `::` would otherwise take the port of the other family as well.
                    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                listener.bind((address, chosen))
                listener.listen(128)
            except OSError as error:
                if sockets and error.errno == errno.EADDRNOTAVAIL:
                    continue  # a name in the hosts file for a family that is switched off
                reason = _REASONS.get(error.errno or 0, "{error}.").format(port=chosen, error=error.strerror)
                raise AddressError(f"Cannot listen on {host}: {reason}") from error
            sockets.append(listener)
        opened.pop_all()
        return sockets


def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, str]]:
    """Families and addresses of a host, IPv4 first, each once."""
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise AddressError(
            f"Cannot listen on {host!r}: the name is unknown. Choose another one with `--host`."
        ) from error
    pairs = {(family, str(address[0])) for family, *_, address in found}
    return sorted(pairs, key=lambda pair: (pair[0] != socket.AF_INET, pair[1]))
