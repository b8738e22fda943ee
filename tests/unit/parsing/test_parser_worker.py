import contextlib
import hashlib
import resource
import signal
import socket
import sys
from multiprocessing.connection import Connection

import pyarrow as pa
import pytest

from code_index.core.errors import ParseError
from code_index.core.model import ChunkingOptions
from code_index.parsing import parser_worker
from code_index.parsing.parser_worker import TIMEOUT_SIGNALS, Answer, ParserConfig, ParseTask, Started
from code_index.tables.schemas import PARSED_CHUNKS


@pytest.fixture
def no_limits(monkeypatch):
    """Keep this process as it is; returns the limits that would have been set."""
    limits = []
    monkeypatch.setattr(resource, "setrlimit", lambda kind, values: limits.append((kind, values)))
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, *TIMEOUT_SIGNALS)}
    yield limits
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def serve(no_limits, tmp_path, monkeypatch):
    """Run a worker in this process on groups that wait for it; returns what it sends."""

    def run(*groups: tuple[ParseTask, ...], timeout_s: float = 30.0) -> list[Started | Answer]:
        ours, theirs = socket.socketpair()
        connection = Connection(ours.detach())
        connection.send(ParserConfig(str(tmp_path), 1 << 20, ChunkingOptions(), timeout_s, 1 << 30))
        for group in groups:
            connection.send(group)
        # The worker reads an end after the last group; what it sends still comes back.
        sender = socket.socket(fileno=connection.fileno())
        sender.shutdown(socket.SHUT_WR)
        sender.detach()
        monkeypatch.setattr(sys, "argv", ["worker", str(theirs.detach())])
        parser_worker.main()
        messages = []
        with contextlib.suppress(EOFError):
            while True:
                messages.append(connection.recv())
        connection.close()
        return messages

    return run


def _task(root, path: str, content: str) -> ParseTask:
    (root / path).write_text(content)
    return ParseTask(path, hashlib.sha256(content.encode()).hexdigest(), "python", len(content))


def test_a_worker_says_what_it_starts_and_answers_a_group_at_a_time(serve, tmp_path):
    one, two, three = (_task(tmp_path, f"{name}.py", f"def {name}():\n    pass\n") for name in "abc")

    messages = serve((one, two), (three,))

    assert [m.position if isinstance(m, Started) else "answer" for m in messages] == [0, 1, "answer", 0, "answer"]
    first = messages[2]
    table = pa.ipc.open_stream(first.batch).read_all()
    assert table.schema == PARSED_CHUNKS
    assert table["file_path"].to_pylist() == ["a.py", "b.py"]
    assert [(o.file_path, o.chunk_count, o.error) for o in first.outcomes] == [("a.py", 1, None), ("b.py", 1, None)]


def test_a_group_without_chunks_has_an_empty_batch(serve, tmp_path):
    task = _task(tmp_path, "a.py", "x = 1")
    (tmp_path / "a.py").unlink()

    answer = serve((task,))[-1]

    assert answer.batch == b""
    assert answer.outcomes[0].superseded


def test_no_alarm_is_left_when_a_file_is_done(serve, tmp_path):
    serve((_task(tmp_path, "a.py", "x = 1"),), timeout_s=1_000)

    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)


def test_ctrl_c_is_left_to_the_parent_and_the_alarm_to_the_kernel(serve):
    serve()

    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    assert {signal.getsignal(number) for number in TIMEOUT_SIGNALS} == {signal.SIG_DFL}


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ParseError("a.py: the grammar gave no tree"), "a.py: the grammar gave no tree"),
        (MemoryError(), "needs more memory than parse_memory_bytes allows"),
        (RecursionError("too deep"), "the chunker failed with RecursionError: too deep"),
    ],
)
def test_what_the_chunker_raises_is_the_lasting_reason_of_one_file(serve, tmp_path, monkeypatch, error, reason):
    real = parser_worker.chunk_file

    def chunk(content, *, file_path, **options):
        if file_path == "a.py":
            # A new one: the parametrized error would keep its traceback, and so the worker's connection, open.
            raise type(error)(*error.args)
        return real(content, file_path=file_path, **options)

    monkeypatch.setattr(parser_worker, "chunk_file", chunk)

    answer = serve((_task(tmp_path, "a.py", "x = 1"), _task(tmp_path, "b.py", "x = 1")))[-1]

    assert [(o.error, o.transient) for o in answer.outcomes] == [(reason, False), (None, False)]


def test_a_content_that_is_not_that_of_the_scan_is_not_stored_under_its_hash(serve, tmp_path):
    task = _task(tmp_path, "a.py", "x = 1")
    (tmp_path / "a.py").write_text("x = 2")

    answer = serve((task,))[-1]

    assert (answer.outcomes[0].error, answer.outcomes[0].superseded) == ("changed since the scan", True)


def test_a_file_whose_chunks_fit_no_row_fails_alone_in_its_group(serve, tmp_path, monkeypatch, capsys):
    chunk_file = parser_worker.chunk_file

    def broken(content, **about):
        chunks = chunk_file(content, **about)
        return [chunk._replace(start_line=1 << 40) for chunk in chunks] if about["file_path"] == "b.py" else chunks

    monkeypatch.setattr(parser_worker, "chunk_file", broken)

    answer = serve(tuple(_task(tmp_path, f"{name}.py", f"def {name}():\n    pass\n") for name in "abc"))[-1]

    assert [(o.file_path, o.chunk_count, o.error is None) for o in answer.outcomes] == [
        ("a.py", 1, True),
        ("b.py", 0, False),
        ("c.py", 1, True),
    ]
    assert pa.ipc.open_stream(answer.batch).read_all()["file_path"].to_pylist() == ["a.py", "c.py"]
    assert "ArrowInvalid" in capsys.readouterr().err
