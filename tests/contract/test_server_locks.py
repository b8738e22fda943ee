"""Locks at a PostgreSQL server do what lock files do, and survive what a server goes through.

Needs PostgreSQL's server programs (`apt-get install postgresql`); a server of its own is started for the tests.
"""

import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from code_index.core.errors import IndexBusyError, StoreError, UsageError
from code_index.index import server_locks
from code_index.index.locks import Duty, Phase, check_held, hold, hold_all, owner
from code_index.index.server_locks import POSTGRES_VARIABLE, LockServer
from tests.postgres_server import PostgresServer, running_server
from tests.waiting import PATIENCE_S, started, wait_until

psycopg2 = pytest.importorskip(
    "psycopg2"
)  # of dagster-postgres, which may come out later than the Dagster of `make newest`
pytestmark = pytest.mark.slow

_HOLDER = """
import sys
from code_index.index.locks import Phase, hold
from code_index.index.server_locks import LockServer
with hold(LockServer(sys.argv[1], sys.argv[2]), Phase.PARSE, run_id="run of the holder"):
    print("held", flush=True)
    sys.stdin.readline()
"""
_COUNTER = """
import sys
from pathlib import Path
from code_index.index import server_locks
from code_index.index.locks import Phase, hold
server_locks._POLL_S = 0.001
counter = Path(sys.argv[3])
for _ in range(int(sys.argv[4])):
    with hold(server_locks.LockServer(sys.argv[1], sys.argv[2]), Phase.PARSE):
        counter.write_text(str(int(counter.read_text()) + 1))
print("done", flush=True)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with running_server() as server:
        yield server


@pytest.fixture
def place(server: PostgresServer, request: pytest.FixtureRequest) -> LockServer:
    """Locks of an index of the test's own."""
    return LockServer(server.url.format("postgres"), f"s3://team/{request.node.name}")


@contextmanager
def _holder(place: LockServer) -> Iterator[subprocess.Popen[str]]:
    command = (sys.executable, "-c", _HOLDER, place.url, place.scope)
    with started(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process


def _in_thread(place: LockServer, wait_s: float | None = 0) -> list[object]:
    """What another thread says that tries to take the lock: None, or the error."""
    said: list[object] = []

    def take() -> None:
        try:
            with hold(place, Phase.PARSE, wait_s=wait_s):
                said.append(None)
        except IndexBusyError as error:
            said.append(error)

    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    return said


def _end_sessions(place: LockServer) -> None:
    """End all sessions of locks, as a cut link or a restart does."""
    connection = psycopg2.connect(place.url.replace("+psycopg2", ""))
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE application_name = 'code-index lock'"
        )
    connection.close()


def test_a_lock_that_nobody_holds_has_no_owner(place: LockServer) -> None:
    assert owner(place, Phase.PARSE) is None
    with hold(place, Phase.PARSE, wait_s=0):
        assert owner(place, Phase.PARSE) is not None
        assert owner(place, Phase.EMBED) is None
    assert owner(place, Phase.PARSE) is None
    assert place.unheld([Phase.PARSE, Phase.EMBED]) in ({Phase.PARSE, Phase.EMBED}, set())


def test_a_process_that_must_not_wait_is_told_who_holds_the_index(place: LockServer) -> None:
    with _holder(place) as holder:
        found = owner(place, Phase.PARSE)
        assert found is not None
        assert (found.pid, found.run_id) == (holder.pid, "run of the holder")
        with pytest.raises(IndexBusyError) as refusal, hold(place, Phase.PARSE, wait_s=0):
            pytest.fail("two hold it")
        assert f"The index at {place.scope} is busy: {found} holds its parse phase" in str(refusal.value)
        with hold(place, Phase.EMBED, wait_s=0):
            pass
        with pytest.raises(IndexBusyError), hold_all(place, wait_s=0):
            pytest.fail("two hold it")


def test_the_lock_of_a_killed_process_is_free_and_the_one_that_waits_goes_on(place: LockServer, monkeypatch) -> None:
    monkeypatch.setattr(server_locks, "_RESTORED_S", 0)
    with _holder(place) as holder:
        told = []

        def on_wait(found: object) -> None:
            told.append(found)
            holder.kill()

        with hold(place, Phase.PARSE, wait_s=PATIENCE_S, on_wait=on_wait):
            assert getattr(told[0], "pid", None) == holder.pid
            check_held(place, Phase.PARSE)


def test_two_that_take_turns_never_hold_the_lock_together(place: LockServer, tmp_path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    command = (sys.executable, "-c", _COUNTER, place.url, place.scope, counter, 50)
    with started(*command) as one, started(*command) as other:
        assert (one.wait(PATIENCE_S), other.wait(PATIENCE_S)) == (0, 0)
    assert counter.read_text() == "100"


def test_the_same_thread_may_hold_it_within_itself_and_another_waits(place: LockServer) -> None:
    with hold(place, Phase.PARSE, run_id="outer"):
        with hold(LockServer(place.url, place.scope), Phase.PARSE, wait_s=0, run_id="inner"):
            found = owner(place, Phase.PARSE)
            assert found is not None
            assert found.run_id == "inner"
        found = owner(place, Phase.PARSE)
        assert found is not None
        assert found.run_id == "outer"
        assert isinstance(_in_thread(place)[0], IndexBusyError)
    assert _in_thread(place) == [None]


def test_duties_are_told_by_their_own_name(place: LockServer) -> None:
    with hold(place, Duty.FOLLOW):
        assert owner(place, Duty.FOLLOW) is not None
        assert owner(place, Duty.SERVE) is None


def test_a_holder_whose_session_ended_takes_the_lock_again(place: LockServer, monkeypatch) -> None:
    monkeypatch.setattr(server_locks, "_LOOK_S", 3_600.0)
    with hold(place, Phase.PARSE, run_id="mine"):
        _end_sessions(place)
        assert owner(place, Phase.PARSE) is None
        check_held(place, Phase.PARSE)
        found = owner(place, Phase.PARSE)
        assert found is not None
        assert found.run_id == "mine"
        assert isinstance(_in_thread(place)[0], IndexBusyError)


def test_a_holder_takes_the_lock_again_by_itself(place: LockServer, monkeypatch) -> None:
    monkeypatch.setattr(server_locks, "_LOOK_S", 0.05)
    with hold(place, Phase.PARSE):
        _end_sessions(place)
        wait_until(lambda: owner(place, Phase.PARSE), "the lock is held again")


def test_a_holder_that_lost_its_lock_to_another_stops_before_its_commit(place: LockServer, monkeypatch) -> None:
    monkeypatch.setattr(server_locks, "_LOOK_S", 3_600.0)
    monkeypatch.setattr(server_locks, "_RESTORED_S", 0)
    with hold(place, Phase.PARSE):
        _end_sessions(place)
        with _holder(place):
            with pytest.raises(IndexBusyError, match="another process has it") as error:
                check_held(place, Phase.PARSE)
            assert place.scope in str(error.value)
        with pytest.raises(IndexBusyError, match="lost its lock of the parse phase"):
            check_held(place, Phase.PARSE)
    with hold(place, Phase.PARSE, wait_s=PATIENCE_S):
        _end_sessions(place)
        with _holder(place) as holder:
            holder.communicate("\n")
        with pytest.raises(IndexBusyError, match="another process had it"):
            check_held(place, Phase.PARSE)


def test_a_restart_of_the_server_gives_a_held_lock_to_nobody_else(place: LockServer, server: PostgresServer) -> None:
    said: list[object] = []
    with hold(place, Phase.PARSE):
        waiting = threading.Thread(target=lambda: said.extend(_in_thread(place, wait_s=PATIENCE_S)))
        waiting.start()
        server.stop()
        time.sleep(1)
        server.start()
        check_held(place, Phase.PARSE)
        assert place.unheld([Phase.PARSE, Phase.EMBED]) == set(), "nobody is called dead just after a restart"
        time.sleep(1)
        assert not said
        check_held(place, Phase.PARSE)
    waiting.join()
    assert said == [None]


def test_a_server_that_is_away_for_long_is_named_without_its_password(monkeypatch) -> None:
    monkeypatch.setattr(server_locks, "_OUTAGE_S", 0.1)
    place = LockServer("postgresql+psycopg2://somebody:secret@/index?host=/nowhere", "s3://team/away")
    said = rf"s3://team/away cannot be reached: .*{POSTGRES_VARIABLE}"
    with pytest.raises(StoreError, match=said) as error, hold(place, Phase.PARSE):
        pytest.fail("held without a server")
    assert "secret" not in f"{error.value}{place}"
    with pytest.raises(StoreError, match=POSTGRES_VARIABLE):
        owner(place, Phase.PARSE)
    with pytest.raises(StoreError, match=POSTGRES_VARIABLE):
        place.unheld(["a run"])


def test_what_is_missing_is_named(monkeypatch) -> None:
    monkeypatch.delenv(POSTGRES_VARIABLE, raising=False)
    with pytest.raises(UsageError, match=POSTGRES_VARIABLE):
        LockServer.named("s3://team/index")
    monkeypatch.setenv(POSTGRES_VARIABLE, "postgresql+psycopg2://postgres@db/index")
    place = LockServer.named("s3://team/index")
    assert pickle.loads(pickle.dumps(place)) == place
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    with pytest.raises(UsageError, match=r"code-index-search\[postgres\]"), hold(place, Phase.PARSE):
        pytest.fail("held without a client")
