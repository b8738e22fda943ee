"""Ways to find an answer, each by rules that are fixed: our tools, grep and reading, semble.

*Ours*, the text of the tools: `symbol` with its defaults, `want` by the kind of question, and the next page as long as the
answer tells of one; for a change `context` (8,000 tokens, its default).

*Grep*: for a symbol `grep -rnwIF NAME`, by path, then 40 lines around each hit that was not read yet, then the whole files
of the hits; a file that is asked for is read from its top. For a change `grep -rniIF WORD`, of each hundred first lines, then
40 lines around the first hit in each of three files; word by word, longest first, of at least four letters.

*semble*: `search` by the name, the path or the subject, 50 results; whole chunks for a symbol, ten lines each (its default)
and all kinds of files for a change. Read from the top.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.agents.gold import Question
from benchmarks.agents.reading import Piece, Span
from code_index.serving.mcp.definitions import Served
from code_index.serving.mcp.tools import Tools

CHANGE = "change"
_WANTS = {"where": "definitions", "callers": "callers", "file": "outline", "type": "outline"}
_MORE = re.compile(r"More: offset=(\d+)\.")
_DEFINITION = re.compile(r"(\S+):(\d+)-(\d+) \w+ (\S+)")
_OUTLINED = re.compile(r" *(?:\S+:)?(\d+)-(\d+) \w+ (\S+)")
_REFERENCE = re.compile(r"(\S+):([\d,]+) in (\S+) \(")
_PLACE = re.compile(r"(\S+):(\d+)-(\d+)(?: .*)?")
_JOINT = re.compile(r"\.|::|#")
_AROUND = 40  # lines
_MOST_HITS = 100  # lines of a grep by word
_FILES_READ = 3  # by word
_LONGEST_LINE = 500
_WORD = re.compile(r"[A-Za-z_][\w-]{3,}")
_STOP = frozenset({
    "with", "from", "that", "this", "when", "into", "should", "have", "been", "were", "will", "also", "does", "only",
    "them", "they", "than", "then", "more", "some", "other", "which", "while", "instead", "using", "make", "makes",
    "made",
})  # fmt: skip


class Ours:
    """The tools of the server on one repository."""

    def __init__(self, root: Path, index: Path, context_tokens: int) -> None:
        self._context_tokens = context_tokens
        self._tools = Tools(Served((root,), index))

    def __call__(self, question: Question) -> Iterator[Piece]:
        if question.kind == CHANGE:
            yield from self._change(question.name)
            return
        want, offset, page = _WANTS[question.kind], 0, 0
        while True:
            text = self._asked("symbol", name=question.name, want=want, offset=offset)
            for line in text.splitlines():
                yield _symbol_line(page, line, want)
            more = _MORE.search(text.splitlines()[-1])
            if more is None:
                return
            offset, page = int(more[1]), page + 1

    def _change(self, subject: str) -> Iterator[Piece]:
        fence = ""
        for line in self._asked("context", task=subject, max_tokens=self._context_tokens).splitlines():
            place = None if fence else _PLACE.fullmatch(line)
            if fence:
                fence = "" if line == fence else fence
            elif line.startswith("```"):
                fence = re.match("`+", line)[0]  # type: ignore[index]
            yield Piece(0, line, place[1] if place else "")

    def _asked(self, tool: str, **arguments: Any) -> str:
        reply = self._tools.answer(tool, arguments)
        if reply.failed:
            raise SystemExit(f"{tool} {arguments}: {reply.text}")
        return reply.text


def _symbol_line(page: int, line: str, want: str) -> Piece:
    if want == "definitions" and (found := _DEFINITION.fullmatch(line)):
        path, first, last, name = found.groups()
        return Piece(page, line, path, spans=(Span(path, int(first), int(last), _own(name)),))
    if want == "outline" and (found := _OUTLINED.fullmatch(line)):
        first, last, name = found.groups()
        return Piece(page, line, spans=(Span("", int(first), int(last), _own(name)),))
    if want == "callers" and (found := _REFERENCE.match(line)):
        path, lines, caller = found.groups()
        return Piece(page, line, path, tuple(map(int, lines.split(","))), caller=_own(caller))
    return Piece(page, line)


def _own(qualified_name: str) -> str:
    return _JOINT.split(qualified_name)[-1]


class Grep:
    """Grep and reading, on one checkout."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._answer = 0

    def __call__(self, question: Question) -> Iterator[Piece]:
        self._answer = 0
        if question.kind == CHANGE:
            yield from self._change(question.name)
        elif question.kind == "file":
            yield from self._read(question.name, 1, None)
        else:
            yield from self._symbol(question.name)

    def _symbol(self, name: str) -> Iterator[Piece]:
        hits = self._grep("-w", name)
        yield from self._said(hits)
        read: set[tuple[str, int]] = set()
        for path, line, _ in hits:
            if (path, line) not in read:
                for piece in self._read(path, line - _AROUND // 2, line + _AROUND // 2 - 1):
                    read |= {(path, number) for number in piece.lines}
                    yield piece
        for path in dict.fromkeys(path for path, _, _ in hits):
            yield from self._read(path, 1, None)

    def _change(self, subject: str) -> Iterator[Piece]:
        words = sorted({word.lower() for word in _WORD.findall(subject)} - _STOP, key=lambda word: (-len(word), word))
        for word in words:
            hits = self._grep("-i", word)[:_MOST_HITS]
            yield from self._said(hits)
            first = {path: line for path, line, _ in reversed(hits)}
            for path in list(dict.fromkeys(path for path, _, _ in hits))[:_FILES_READ]:
                yield from self._read(path, first[path] - _AROUND // 2, first[path] + _AROUND // 2 - 1)

    def _grep(self, option: str, text: str) -> list[tuple[str, int, str]]:
        done = subprocess.run(
            ["grep", "-rnIFZ", option, "-e", text, "."],
            cwd=self._root,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode > 1:
            raise SystemExit(f"grep failed: {done.stderr}")
        hits = []
        for line in done.stdout.split("\n")[:-1]:
            path, _, rest = line.partition("\0")
            number, _, content = rest.partition(":")
            hits.append((path.removeprefix("./"), int(number), content[:_LONGEST_LINE]))
        return sorted(hits)

    def _said(self, hits: Sequence[tuple[str, int, str]]) -> Iterator[Piece]:
        self._answer += 1
        for path, line, content in hits:
            yield Piece(self._answer, f"{path}:{line}:{content}", path, (line,))

    def _read(self, path: str, first: int, last: int | None) -> Iterator[Piece]:
        self._answer += 1
        lines = (self._root / path).read_text(encoding="utf-8", errors="replace").split("\n")
        for number, line in enumerate(lines[max(0, first - 1) : last], start=max(1, first)):
            yield Piece(self._answer, f"{number} {line[:_LONGEST_LINE]}", path, (number,))


class Semble:
    """Answers that `semble_search` wrote."""

    def __init__(self, answers: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        self._answers = answers

    def __call__(self, question: Question) -> Iterator[Piece]:
        for result in self._answers[f"{question.kind} {question.name}"]:
            first = int(result["start_line"])
            lines = range(first, first + len(result["content"].splitlines()))
            yield Piece(0, json.dumps(result), result["file_path"], tuple(lines))
