"""The user at the other end of a socket that is a file, as Linux and macOS say it."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

import pytest

from code_index.serving import local_socket
from code_index.system import socket_files
from code_index.system.socket_files import short_path, user_of_peer


class _OfMacos:
    """A socket that answers as macOS does: `struct xucred`."""

    def __init__(self, user: int) -> None:
        self._user = user

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        assert (level, option) == (0, 1)  # SOL_LOCAL, LOCAL_PEERCRED
        answer = struct.pack("=IIhxx16I", 0, self._user, 1, 20, *[0] * 15)
        assert len(answer) == size == 76
        return answer


@pytest.mark.skipif("sys.platform != 'linux'", reason="Linux's own call")
def test_linux_tells_the_user() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert user_of_peer(ours) == os.geteuid()


def test_macos_tells_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    assert user_of_peer(_OfMacos(501)) == 501
    monkeypatch.setattr(os, "geteuid", lambda: 501)
    assert local_socket.is_peer_of_this_user(_OfMacos(501))
    assert not local_socket.is_peer_of_this_user(_OfMacos(502))


def test_another_system_says_nothing_and_the_owner_of_the_file_has_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "freebsd14")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert user_of_peer(ours) is None
        assert local_socket.is_peer_of_this_user(ours)


def test_where_no_path_is_short_a_long_one_is_refused_in_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(socket_files, "_OPEN_FOLDERS", tmp_path / "missing")
    with short_path(tmp_path, "socket") as path:
        assert path == str(tmp_path / "socket")
    deep = tmp_path.joinpath(*["a-folder-of-a-long-name"] * 12)
    deep.mkdir(parents=True)
    with pytest.raises(local_socket.StoreError, match="with a shorter path"):
        local_socket.listen(deep)
