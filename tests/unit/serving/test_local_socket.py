"""The socket of an index: found by its user, and by nobody else, and replaced where its process was killed."""

from __future__ import annotations

import os
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from code_index.core.errors import StoreError
from code_index.index.trust import SOCKET_FILE
from code_index.serving import local_socket
from code_index.serving.local_socket import connect, is_peer_of_this_user, listen, remove

_S = 10.0


@pytest.fixture
def locks(tmp_path: Path) -> Path:
    folder = tmp_path / "locks"
    folder.mkdir()
    return folder


@pytest.fixture
def listener(locks: Path) -> Iterator[socket.socket]:
    with listen(locks) as listening:
        yield listening


def test_two_ends_meet_and_each_knows_the_user_of_the_other(locks: Path, listener: socket.socket) -> None:
    with connect(locks, timeout_s=_S) as asking:
        answering, _ = listener.accept()
        with answering:
            assert is_peer_of_this_user(answering)
            assert is_peer_of_this_user(asking)


def test_the_socket_is_its_owners_only(locks: Path, listener: socket.socket) -> None:
    status = (locks / SOCKET_FILE).lstat()
    assert stat.S_ISSOCK(status.st_mode)
    assert stat.S_IMODE(status.st_mode) == 0o600
    assert status.st_uid == os.geteuid()


def test_a_socket_of_another_user_is_not_spoken_to(
    locks: Path, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    me = os.geteuid()
    monkeypatch.setattr(local_socket.os, "geteuid", lambda: me + 1)
    assert connect(locks, timeout_s=_S) is None
    listener.setblocking(False)
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_a_process_of_another_user_behind_a_socket_of_ours_is_not_spoken_to(
    locks: Path, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_socket, "is_peer_of_this_user", lambda _connection: False)
    assert connect(locks, timeout_s=_S) is None


def test_the_user_of_the_other_end_is_the_kernels_word(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert is_peer_of_this_user(ours)
        me = os.geteuid()
        monkeypatch.setattr(local_socket.os, "geteuid", lambda: me + 1)
        assert not is_peer_of_this_user(ours)


def test_nobody_is_found_where_nobody_listens(locks: Path, tmp_path: Path) -> None:
    assert connect(locks, timeout_s=_S) is None
    assert connect(tmp_path / "missing", timeout_s=_S) is None


def test_what_a_killed_process_left_leads_to_nobody_and_is_replaced(locks: Path) -> None:
    listen(locks).close()  # the file stays, as after a kill
    assert (locks / SOCKET_FILE).exists()
    assert connect(locks, timeout_s=_S) is None
    with listen(locks), connect(locks, timeout_s=_S):
        pass


@pytest.mark.parametrize("kind", ["file", "folder", "link", "pipe"])
def test_what_is_no_socket_is_not_spoken_to(locks: Path, tmp_path: Path, kind: str) -> None:
    place = locks / SOCKET_FILE
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with listen(elsewhere):
        match kind:
            case "file":
                place.write_text("", encoding="utf-8")
            case "folder":
                place.mkdir()
            case "link":
                place.symlink_to(elsewhere / SOCKET_FILE)
            case "pipe":
                os.mkfifo(place)
        assert connect(locks, timeout_s=_S) is None


def test_a_folder_that_is_a_link_is_not_entered(locks: Path, listener: socket.socket, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(locks)
    assert connect(tmp_path / "link", timeout_s=_S) is None
    with pytest.raises(StoreError, match="No socket can be made"):
        listen(tmp_path / "link")


def test_a_folder_is_as_deep_as_it_likes(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["a-folder-of-a-long-name"] * 12)
    deep.mkdir(parents=True)
    assert len(os.fsencode(deep)) > 200
    with listen(deep), connect(deep, timeout_s=_S):
        pass


def test_a_socket_that_is_removed_is_gone(locks: Path) -> None:
    with listen(locks):
        remove(locks)
        assert not (locks / SOCKET_FILE).exists()
    remove(locks)


def test_a_connection_is_refused_in_words_where_no_socket_can_be(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="--index-dir"):
        listen(tmp_path / "missing")


def test_connections_wait_until_they_are_accepted(locks: Path, listener: socket.socket) -> None:
    found = []
    threads = [threading.Thread(target=lambda: found.append(connect(locks, timeout_s=_S))) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 10
    assert None not in found
    for connection in found:
        connection.close()
