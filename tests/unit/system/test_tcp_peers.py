"""Whose the other end of a connection is, asked of the kernel."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from code_index.system import tcp_peers as peers
from code_index.system.tcp_peers import is_of_this_user

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux's table of sockets")


@contextmanager
def _connected(family: socket.AddressFamily, listen_at: str, connect_to: str) -> Iterator[tuple[str, int, str, int]]:
    """Addresses and ports of both ends, as the server sees them."""
    with socket.socket(family) as server:
        if family == socket.AF_INET6:
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        server.bind((listen_at, 0))
        server.listen()
        with socket.create_connection((connect_to, server.getsockname()[1])), server.accept()[0] as accepted:
            yield (*accepted.getpeername()[:2], *accepted.getsockname()[:2])


@pytest.mark.parametrize(
    ("family", "listen_at", "connect_to"),
    [
        (socket.AF_INET, "127.0.0.1", "127.0.0.1"),
        (socket.AF_INET6, "::1", "::1"),
        (socket.AF_INET6, "::", "127.0.0.1"),
    ],
)
def test_the_other_end_of_an_own_connection_is_of_this_user(
    family: socket.AddressFamily, listen_at: str, connect_to: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if family == socket.AF_INET6 and not Path("/proc/net/if_inet6").exists():
        pytest.skip("this machine has no IPv6")
    with _connected(family, listen_at, connect_to) as (peer, peer_port, own, own_port):
        assert is_of_this_user((peer, peer_port), (own, own_port))
        assert not is_of_this_user((peer, peer_port), (own, own_port + 1)), "another server of that client"
        monkeypatch.setattr(os, "geteuid", lambda: 12_345)
        assert not is_of_this_user((peer, peer_port), (own, own_port)), "another user's server"


def test_a_connection_that_ended_is_nobodys() -> None:
    with _connected(socket.AF_INET, "127.0.0.1", "127.0.0.1") as ends:
        pass
    assert not is_of_this_user(ends[:2], ends[2:])


def test_where_the_kernel_says_nothing_nobody_is_of_this_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "_TABLES", (tmp_path / "tcp", tmp_path / "tcp6"))
    with _connected(socket.AF_INET, "127.0.0.1", "127.0.0.1") as ends:
        assert not is_of_this_user(ends[:2], ends[2:])


def test_the_user_that_stands_for_all_unknown_ones_is_no_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "overflowuid").write_text(f"{os.geteuid()}\n")
    monkeypatch.setattr(peers, "_NO_USER", tmp_path / "overflowuid")
    with _connected(socket.AF_INET, "127.0.0.1", "127.0.0.1") as ends:
        assert not is_of_this_user(ends[:2], ends[2:])
