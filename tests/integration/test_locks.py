import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from code_index.core.errors import IndexBusyError, StoreError
from code_index.index import locks
from code_index.index.locks import LockOwner, Phase, hold, owner
from tests.waiting import PATIENCE_S, started

_HOLDER = """
import sys
from pathlib import Path
from code_index.index.locks import Phase, hold
with hold(Path(sys.argv[1]), Phase.PARSE, run_id="run of the holder"):
    print("held", flush=True)
    sys.stdin.readline()
"""
_TAKER = """
import sys
from pathlib import Path
from code_index.core.errors import IndexBusyError
from code_index.index.locks import Phase, hold
refused = 0
for _ in range(int(sys.argv[2])):
    try:
        with hold(Path(sys.argv[1]), Phase.PARSE, wait_s=0):
            pass
    except IndexBusyError:
        refused += 1
print(refused)
"""
_LOOKER = """
import sys
from pathlib import Path
from code_index.index.locks import Phase, owner
print("looking", flush=True)
while True:
    owner(Path(sys.argv[1]), Phase.PARSE)
"""


@pytest.fixture
def locks_dir(tmp_path):
    return tmp_path / "index" / "locks"


@contextmanager
def _process(script: str, *arguments: object):
    command = (sys.executable, "-c", script, *arguments)
    with started(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        process.first_line = process.stdout.readline().strip()
        yield process


def test_a_lock_that_nobody_holds_has_no_owner(locks_dir):
    assert owner(locks_dir, Phase.PARSE) is None

    with hold(locks_dir, Phase.PARSE):
        pass

    assert (locks_dir / "parse.lock").exists()
    assert owner(locks_dir, Phase.PARSE) is None


def test_an_owner_is_known_by_host_process_time_command_and_run(locks_dir):
    with _process(_HOLDER, locks_dir) as holder:
        found = owner(locks_dir, Phase.PARSE)

    assert (found.host, found.pid, found.run_id) == (socket.gethostname(), holder.pid, "run of the holder")
    assert abs(datetime.now(UTC) - datetime.fromisoformat(found.since)).total_seconds() < 60
    assert str(locks_dir) in found.command


def test_a_process_that_must_not_wait_is_told_who_holds_the_index(locks_dir):
    with _process(_HOLDER, locks_dir) as holder:
        found = owner(locks_dir, Phase.PARSE)
        with pytest.raises(IndexBusyError) as refusal, hold(locks_dir, Phase.PARSE, wait_s=0):
            pytest.fail("two processes hold one lock")

    message = str(refusal.value)
    assert f"process {holder.pid} on {socket.gethostname()} since {found.since}" in message
    assert f"The index at {locks_dir.parent} is busy" in message
    assert "holds its parse phase" in message
    assert "--no-wait" in message


def test_the_phases_are_locked_apart_from_each_other(locks_dir):
    with _process(_HOLDER, locks_dir), hold(locks_dir, Phase.EMBED, wait_s=0):
        assert owner(locks_dir, Phase.EMBED).pid == os.getpid()


def test_a_waiting_process_goes_on_as_soon_as_the_owner_ends(locks_dir):
    waited_for = []

    with _process(_HOLDER, locks_dir) as holder:

        def on_wait(current: LockOwner | None) -> None:
            waited_for.append(current)
            holder.stdin.write("\n")
            holder.stdin.flush()

        with hold(locks_dir, Phase.PARSE, wait_s=PATIENCE_S, on_wait=on_wait):
            assert [current.pid for current in waited_for] == [holder.pid]
            assert owner(locks_dir, Phase.PARSE).pid == os.getpid()


def test_a_process_that_waits_in_vain_gives_up_in_time(locks_dir):
    told = []

    with _process(_HOLDER, locks_dir):
        began = time.monotonic()
        with pytest.raises(IndexBusyError), hold(locks_dir, Phase.PARSE, wait_s=0.5, on_wait=told.append):
            pytest.fail("two processes hold one lock")

    assert 0.5 <= time.monotonic() - began < PATIENCE_S
    assert len(told) == 1


def test_the_lock_of_a_killed_process_is_taken_over(locks_dir):
    with _process(_HOLDER, locks_dir) as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        assert str(holder.pid) in (locks_dir / "parse.lock").read_text()
        assert owner(locks_dir, Phase.PARSE) is None

        with hold(locks_dir, Phase.PARSE, wait_s=0):
            assert owner(locks_dir, Phase.PARSE).pid == os.getpid()


def test_a_child_that_outlives_the_owner_does_not_keep_its_lock(locks_dir):
    script = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'input()'])\n{_HOLDER}"

    with _process(script, locks_dir) as holder:
        assert holder.first_line == "held"
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with hold(locks_dir, Phase.PARSE, wait_s=0):
            pass


def test_a_look_at_the_owner_never_makes_a_lock_refuse(locks_dir):
    with _process(_LOOKER, locks_dir), _process(_LOOKER, locks_dir), _process(_TAKER, locks_dir, 2_000) as taker:
        assert taker.first_line == "0"


def test_two_that_take_turns_never_hold_the_lock_together(locks_dir, tmp_path):
    counter = tmp_path / "counter"
    counter.write_text("0")
    script = """
import sys
from pathlib import Path
from code_index.index import locks
locks._POLL_S = 0.001
counter = Path(sys.argv[2])
for _ in range(100):
    with locks.hold(Path(sys.argv[1]), locks.Phase.PARSE):
        counter.write_text(str(int(counter.read_text()) + 1))
print("done")
"""
    with _process(script, locks_dir, counter) as one, _process(script, locks_dir, counter) as other:
        assert (one.first_line, other.first_line) == ("done", "done")

    assert counter.read_text() == "200"


def test_the_same_thread_may_hold_a_lock_within_itself(locks_dir):
    with hold(locks_dir, Phase.PARSE, run_id="outer"):
        since = owner(locks_dir, Phase.PARSE).since
        with hold(locks_dir / ".." / "locks", Phase.PARSE, wait_s=0, run_id="inner"):
            assert owner(locks_dir, Phase.PARSE).run_id == "inner"
            with hold(locks_dir, Phase.PARSE, wait_s=0):
                assert owner(locks_dir, Phase.PARSE).run_id == "inner"
        assert owner(locks_dir, Phase.PARSE).run_id == "outer"
        assert owner(locks_dir, Phase.PARSE).since == since

    assert owner(locks_dir, Phase.PARSE) is None


def test_the_time_of_an_owner_is_that_of_its_first_hold(locks_dir, monkeypatch):
    class Clock:
        @staticmethod
        def now(zone):
            return datetime(2030, 1, 1, tzinfo=zone)

    with hold(locks_dir, Phase.PARSE):
        since = owner(locks_dir, Phase.PARSE).since
        monkeypatch.setattr(locks, "datetime", Clock)
        with hold(locks_dir, Phase.PARSE, run_id="later"):
            assert owner(locks_dir, Phase.PARSE).since == since


def test_another_thread_waits_like_another_process(locks_dir):
    refusals = []

    def take() -> None:
        try:
            with hold(locks_dir, Phase.PARSE, wait_s=0):
                refusals.append(None)
        except IndexBusyError as error:
            refusals.append(error)

    with hold(locks_dir, Phase.PARSE):
        thread = threading.Thread(target=take)
        thread.start()
        thread.join()
    take()

    assert f"process {os.getpid()} on" in str(refusals[0])
    assert refusals[1] is None


def test_an_error_inside_lets_go_of_the_lock(locks_dir):
    with pytest.raises(RuntimeError, match="inside"), hold(locks_dir, Phase.PARSE), hold(locks_dir, Phase.PARSE):
        raise RuntimeError("inside")

    assert owner(locks_dir, Phase.PARSE) is None
    with hold(locks_dir, Phase.PARSE, wait_s=0):
        pass


def test_an_owner_whose_name_cannot_be_read_still_holds_the_lock(locks_dir):
    with hold(locks_dir, Phase.PARSE):
        (locks_dir / "parse.lock").write_text("{")
        refusals = []

        def take() -> None:
            try:
                with hold(locks_dir, Phase.PARSE, wait_s=0):
                    pass
            except IndexBusyError as error:
                refusals.append(str(error))

        thread = threading.Thread(target=take)
        thread.start()
        thread.join()

    assert "another process holds its parse phase" in refusals[0]


def test_a_lock_file_that_cannot_be_made_is_named_with_the_reason(locks_dir):
    locks_dir.parent.mkdir()
    locks_dir.write_text("")

    with pytest.raises(StoreError, match=r"parse\.lock: .*Free space or allow writing"), hold(locks_dir, Phase.PARSE):
        pytest.fail("held without a file")


def test_a_full_disk_lets_go_of_the_lock_and_says_so(locks_dir, monkeypatch):
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", fail)
        with pytest.raises(StoreError, match="No space left on device"), hold(locks_dir, Phase.PARSE):
            pytest.fail("held without a name")

    with hold(Path(locks_dir), Phase.PARSE, wait_s=0):
        assert owner(locks_dir, Phase.PARSE).pid == os.getpid()


def test_a_lock_that_is_only_looked_at_is_waited_for(locks_dir):
    with hold(locks_dir, Phase.PARSE):
        pass
    looking = os.open(locks_dir / "parse.lock", os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    timer = threading.Timer(0.1, os.close, [looking])
    timer.start()

    with hold(locks_dir, Phase.PARSE, wait_s=0):
        timer.join()
        assert owner(locks_dir, Phase.PARSE).pid == os.getpid()
