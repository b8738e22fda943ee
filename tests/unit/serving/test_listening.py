"""Listening on a host: all its addresses, or a sentence that says why not."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator

import pytest

from code_index.core.errors import AddressError
from code_index.serving import listening
from code_index.serving.listening import listen


@pytest.fixture
def taken() -> Iterator[int]:
    """A port of 127.0.0.1 that another program listens on."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def test_a_free_port_is_had_at_once_and_answers() -> None:
    (listener,) = listen("127.0.0.1", 0)
    with listener, socket.create_connection(listener.getsockname()):
        assert listener.getsockname()[1] > 0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_a_taken_port_is_named_with_the_option(taken: int, host: str) -> None:
    with pytest.raises(AddressError, match=rf"{host}: port {taken} is taken .* `--port`"):
        listen(host, taken)


def test_a_name_of_several_addresses_has_one_port_on_all(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "127.0.0.2")]
    monkeypatch.setattr(listening, "_addresses", lambda host, port: both)
    listeners = listen("both", 0)
    names = [listener.getsockname() for listener in listeners]
    for listener in listeners:
        listener.close()
    assert [address for address, _ in names] == ["127.0.0.1", "127.0.0.2"]
    assert len({port for _, port in names}) == 1


def test_a_port_that_one_of_several_addresses_lacks_leaves_nothing_open(
    taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = [(socket.AF_INET, "127.0.0.2"), (socket.AF_INET, "127.0.0.1")]
    monkeypatch.setattr(listening, "_addresses", lambda host, port: both)
    with pytest.raises(AddressError, match=f"port {taken} is taken"):
        listen("both", taken)
    with socket.socket() as again:
        again.bind(("127.0.0.2", taken))


@pytest.mark.parametrize("host", ["no-such-host.invalid", "127.0.0.1.2.3", "a" * 70, "\u00e9" * 70, "a..b"])
def test_an_unknown_name_is_named_with_the_option(host: str) -> None:
    with pytest.raises(AddressError, match=r"name is unknown.*`--host`"):
        listen(host, 0)


def test_an_address_of_another_machine_is_refused_in_words() -> None:
    with pytest.raises(AddressError, match=r"192\.0\.2\.1: it is not an address of this machine.*`--host`"):
        listen("192.0.2.1", 0)


def test_a_port_of_the_administrators_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(AddressError, match=r"port 80 is only for the administrator.*`--port`"):
        listen("127.0.0.1", 80)
