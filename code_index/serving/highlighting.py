"""Source code as styled parts of lines, for a terminal and a page, in bounded time.

Belongs here: code to parts with the name of a style. Does not belong here: colours, and the escaping of what is shown:
parts are text as it is.

Lexers are regular expressions that nobody bounded, and a file may be written to keep one busy for ever, with Python's
lock held. So a process that stays lets another one run them (`Highlighter`), and ends it when it takes too long.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import IO, Any, Final

from code_index.core.child_python import child_environment
from code_index.core.lazy_imports import importing

Line = list[tuple[str, str]]
"""Parts of a line in order: the name of a style, empty for plain text, and text."""

_LONGEST_LINE: Final = 2_000  # characters; what follows is shown as "..."
_PATIENCE_S: Final = 3.0
# Of processor time a question; the kernel ends the process then, also one whose parent was killed.
_MOST_S: Final = 10.0


def plain(lines: Sequence[str]) -> list[Line]:
    """Lines without styles, each cut to a length that can be shown."""
    return [[("", _cut(line))] for line in lines]


def highlighted(lines: Sequence[str], language: str) -> list[Line]:
    """Lines with styles, as many as were given; plain for a language that pygments does not know."""
    with importing:
        from pygments.lexers import get_lexer_by_name
        from pygments.util import ClassNotFound

    try:
        lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return plain(lines)
    found: list[Line] = [[]]
    text = "\n".join(map(_cut, lines))
    for token, value in lexer.get_tokens(text):
        style = _style_of(token)
        for number, part in enumerate(value.split("\n")):
            if number:
                found.append([])
            if part and found[-1] and found[-1][-1][0] == style:
                found[-1][-1] = (style, found[-1][-1][1] + part)
            elif part:
                found[-1].append((style, part))
    # A lexer may drop or add blank lines at the end; anything else would show another text than there is.
    same = ["".join(part for _, part in line) for line in found[: len(lines)]] == text.split("\n")[: len(lines)]
    return found[: len(lines)] if same and len(found) >= len(lines) else plain(lines)


def _cut(line: str) -> str:
    line = line.replace("\n", " ").replace("\r", " ")
    return line if len(line) <= _LONGEST_LINE else line[:_LONGEST_LINE] + " ..."


def _style_of(token: Any) -> str:
    with importing:
        from pygments.token import Comment, Keyword, Name, Number, String

    for kind, style in (
        (Comment, "comment"),
        (String, "string"),
        (Keyword.Type, "type"),
        (Keyword, "keyword"),
        (Number, "number"),
        (Name.Function, "function"),
        (Name.Class, "class"),
        (Name.Builtin, "builtin"),
        (Name.Decorator, "decorator"),
    ):
        if token in kind:
            return style
    return ""


class Highlighter:
    """Highlights in a process of its own, started by the first use; safe in several threads."""

    def __init__(self, *, patience_s: float = _PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def highlight(self, texts: Sequence[tuple[str, Sequence[str]]]) -> list[list[Line]]:
        """Highlight each (language, lines); all plain where that takes too long or fails."""
        with self._lock:
            try:
                found = self._asked(texts)
            except (OSError, ValueError):
                self._end()
                return [plain(lines) for _, lines in texts]
        return [[[(str(style), str(part)) for style, part in line] for line in lines] for lines in found]

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def _asked(self, texts: Sequence[tuple[str, Sequence[str]]]) -> list[Any]:
        process = self._process
        if process is None or process.poll() is not None:
            self._end()
            process = self._process = _started()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(texts).encode() + b"\n")
        process.stdin.flush()
        found = json.loads(_line_of(process.stdout, self._patience_s))
        if not isinstance(found, list) or len(found) != len(texts):
            raise ValueError("not an answer to the question")
        return found

    def _end(self) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


def _started() -> subprocess.Popen[bytes]:
    # A session of its own: Ctrl-C is for the process that serves, which ends this one.
    return subprocess.Popen(
        [sys.executable, "-m", "code_index.serving.highlighting"],
        env=child_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _line_of(pipe: IO[bytes], patience_s: float) -> bytes:
    """Read a line, all of it within the time.

    Raises:
        TimeoutError: it did not come.
    """
    ends = time.monotonic() + patience_s
    said = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while not said.endswith(b"\n"):
            if not selector.select(max(0.0, ends - time.monotonic())):
                raise TimeoutError
            more = os.read(pipe.fileno(), 1 << 16)
            if not more:
                raise BrokenPipeError
            said += more
    return bytes(said)


def _answers(questions: IO[bytes]) -> Iterator[bytes]:
    for question in questions:
        signal.setitimer(signal.ITIMER_PROF, _MOST_S)
        found = [highlighted(lines, language) for language, lines in json.loads(question)]
        signal.setitimer(signal.ITIMER_PROF, 0)
        yield json.dumps(found).encode() + b"\n"


def main() -> None:
    """Answer lines of JSON until the other end closes."""
    # A handler would wait for the lexer, the system does not.
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    for answer in _answers(sys.stdin.buffer):
        sys.stdout.buffer.write(answer)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
