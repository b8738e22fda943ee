"""Answers of a process that stays, to the command line and to the page, as values that JSON can spell.

Belongs here: each question, what it takes and what is said to it. Does not belong here: sockets and HTTP (`server`,
`page`), ranking (`code_index.search`) and all that writes.

Every answer is about what is in the index: a path that is not a file of it is refused, and text of a file is read as
the index reads it, with masks in place of keys.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import PurePosixPath
from typing import Any, Final

import polars as pl

from code_index.api import Index, Indexes
from code_index.chunking import masked_source
from code_index.core.errors import RepositoryError, UsageError
from code_index.core.lines import lines_of
from code_index.core.model import EmbeddingStatus, FileStatus
from code_index.embedding.models.description import describe_model
from code_index.index.contents import failed_chunks, failed_files
from code_index.index.locks import holders
from code_index.index.source import source_repository
from code_index.search.answer import Answer as EngineAnswer
from code_index.search.freshness import FileState, indexed_lines
from code_index.search.hybrid import SearchHit, query_words
from code_index.search.snippets import snippet, snippet_of
from code_index.serving.highlighting import Highlighter, Line, plain
from code_index.tables.sql import equals
from code_index.tables.table_names import CHUNKS_TABLE, ERRORS_TABLE, FILES_TABLE, VECTORS_TABLE

SNIPPET_LINES: Final = 8
_FILTERS: Final = (
    "language",
    "glob",
    "chunk_type",
    "function_name",
    "class_name",
    "subproject",
    "content",
    "changed_since",
)
_TAKEN: Final = {
    "search": frozenset({"query", "mode", "limit", "per_file", "explain", "around", *_FILTERS}),
    "related": frozenset({"path", "line", "limit", "around", *_FILTERS}),
    "context": frozenset({"task", "max_tokens", "mode", *_FILTERS}),
}
_MOST_LINES: Final = 1_200  # of a file in one answer
_AROUND: Final = 60  # lines shown around a place
_MOST_FILES: Final = 1_500  # of a map
_MOST_FAILED: Final = 500
_RELATED: Final = 6

Highlight = Callable[[Sequence[tuple[str, Sequence[str]]]], list[list[Line]]]
Answer = dict[str, Any]


def search(
    indexes: Indexes, query: str, *, around: int | None = None, highlight: Highlight | None = None, **options: Any
) -> Answer:
    """Search, and say all that a command or a page says of it.

    Args:
        indexes: to search.
        query: as for `Indexes.ask`.
        around: lines of the file to show before and after the best line of each hit, in place of a part of the hit.
        highlight: styles the lines that are shown; without it they are plain.
        options: as for `Indexes.ask`.

    Returns:
        `envelope`, that of the answer; `shown`, for each hit the lines to show (`first`, from 0, within its content;
        `lines`; `left`, how many follow; with `around` also `number`, the first line's in the file, and `best`, that of the
        best line, which are not there where the file is gone); `without_vector`, chunks of each index; `why_nothing`, sentences.

    Raises:
        CodeIndexError: as `Indexes.ask`.
    """
    answer = indexes.ask(query, **options)
    filters = {name: value for name, value in options.items() if name in _FILTERS}
    reasons = [] if answer.hits else [why for index in indexes.members for why in index.why_nothing_matches(**filters)]
    return {**_presented(answer, _excerpts(indexes, answer.hits, query, around, highlight)), "why_nothing": reasons}


def related(
    indexes: Indexes,
    path: str,
    line: int,
    *,
    around: int | None = None,
    highlight: Highlight | None = None,
    **options: Any,
) -> Answer:
    """Find code like that at a line of the only index; arguments as for `Index.related`, the rest as for `search`."""
    (index,) = indexes.members
    answer = index.related(path, line, **options)
    return _presented(answer, _excerpts(indexes, answer.hits, "", around, highlight))


def context(indexes: Indexes, task: str, *, highlight: Highlight | None = None, **options: Any) -> Answer:
    """Gather code for a task; arguments as for `Indexes.context`, `shown` are the lines of each piece below its place."""
    answer = indexes.context(task, **options)
    texts = [(piece.language, piece.text.split("\n")[1:]) for piece in answer.hits]
    return _presented(answer, [{"lines": lines} for lines in _styled(texts, highlight)])


ENGINE: Final[Mapping[str, Callable[..., Answer]]] = {"search": search, "related": related, "context": context}
"""Questions that a command asks, of the process that serves an index or of its own."""


def _presented(answer: EngineAnswer[Any], shown: list[Answer]) -> Answer:
    return {
        "envelope": answer.envelope(),
        "shown": shown,
        "without_vector": [one.chunks_without_vector for one in answer.freshness],
    }


def _excerpts(
    indexes: Indexes, hits: Sequence[SearchHit], query: str, around: int | None, highlight: Highlight | None
) -> list[Answer]:
    words = query_words(query).split()
    files = {} if around is None else _files_of(indexes, hits)
    parts = [_excerpt(hit, files.get((hit.repository, hit.file_path)), words, around or 0) for hit in hits]
    styled = _styled([(hit.language, part["lines"]) for hit, part in zip(hits, parts, strict=True)], highlight)
    return [{**part, "lines": lines} for part, lines in zip(parts, styled, strict=True)]


def _excerpt(hit: SearchHit, file: Sequence[str] | None, words: Sequence[str], around: int) -> Answer:
    """A part of a hit, or lines of its file around the best line."""
    own = file[hit.start_line - 1 : hit.end_line] if file else ()
    if file is None or not own:
        first, lines, count = snippet_of(hit.content, words, height=SNIPPET_LINES)
        return {"first": first, "lines": lines, "left": count - first - len(lines)}
    offset, _ = snippet(own, words, height=1)
    return lines_around(file, hit.start_line + offset, around)


def lines_around(file: Sequence[str], best: int, around: int) -> Answer:
    """The lines of a file around one, 1-based: `lines`, the `number` of the first, and `best`; as those that show hits."""
    first = max(1, best - around)
    return {"first": 0, "lines": file[first - 1 : best + around], "left": 0, "number": first, "best": best}


def lines_of_files(index: Index, paths: Iterable[str]) -> dict[str, list[str]]:
    """The lines of files of an index as they are now, keys masked, by path; without those that cannot be read."""
    repository = source_repository(index.folder, index.folder.settings())
    found = {}
    for path, record in index.store.search.file_records(sorted(set(paths))).items():
        with suppress(RepositoryError):  # gone since the answer was marked
            found[path] = indexed_lines(repository.read(path).content, record)
    return found


def _files_of(indexes: Indexes, hits: Sequence[SearchHit]) -> dict[tuple[str | None, str], list[str]]:
    """The lines of the files of hits, by repository and path."""
    found: dict[tuple[str | None, str], list[str]] = {}
    for index in indexes.members:
        root = index.folder.repository
        paths = {hit.file_path for hit in hits if hit.repository == root and hit.state is not FileState.GONE}
        found |= {(root, path): lines for path, lines in lines_of_files(index, paths).items()}
    return found


def _styled(texts: Sequence[tuple[str, Sequence[str]]], highlight: Highlight | None) -> list[list[Line]]:
    return highlight(texts) if highlight is not None and texts else [plain(lines) for _, lines in texts]


class Answers:
    """Answers about one index that stays open; safe in several threads."""

    def __init__(self, index: Index, *, following: Callable[[], Mapping[str, Any]]) -> None:
        """Keep an index.

        Args:
            index: to answer from.
            following: tells of what keeps the index fresh: `state`, and perhaps `progress`.
        """
        self._index = index
        self._following = following
        self._highlighter = Highlighter()
        self._kept: dict[str, tuple[tuple[int, ...], Any]] = {}
        self._kept_lock = threading.Lock()
        self._questions: Mapping[str, Callable[..., Answer]] = {
            **{question: partial(self._engine, question) for question in ENGINE},
            "status": self._status,
            "failed": self._failed,
            "file": self._file,
            "map": self._map,
        }

    def answer(self, question: str, arguments: Mapping[str, Any]) -> Answer:
        """Answer a question.

        Raises:
            CodeIndexError: as the work itself.
            UsageError: there is no such question, or it takes no such arguments.
        """
        ask = self._questions.get(question)
        if ask is None:
            raise UsageError(f"There is no question {question!r:.80}; known are {', '.join(self._questions)}.")
        # What was laid into the folder since it was opened is refused here as by a command.
        self._index.folder.refuse_untrusted()
        self._index.folder.check()
        _refuse_arguments(question, arguments, inspect.signature(ask))
        return ask(**arguments)

    def warm(self) -> None:
        """Open the tables and load the model, so that the first question does not wait for it."""
        self._index.search("warm", limit=1)

    def close(self) -> None:
        """End what was started for answers."""
        self._highlighter.close()

    def _engine(self, question: str, /, *, highlight: bool = False, **arguments: Any) -> Answer:
        ask = ENGINE[question]
        if unknown := sorted(arguments.keys() - _TAKEN[question]):
            known = ", ".join(sorted(_TAKEN[question]))
            raise UsageError(f"{question} does not take {', '.join(unknown)}; it takes {known}.")
        indexes = Indexes((self._index,))
        _refuse_arguments(question, {"indexes": indexes, **arguments}, inspect.signature(ask))
        return ask(indexes, highlight=self._highlighter.highlight if highlight else None, **arguments)

    def _status(self) -> Answer:
        status = self._of_tables("status", lambda: asdict(self._index.status()))
        writers = {phase: str(who) for phase, who in holders(self._index.folder).items()}
        return {**status, "holders": writers, "following": dict(self._following())}

    def _failed(self) -> Answer:
        def gathered() -> Answer:
            files, chunks = failed_files(self._index.store), failed_chunks(self._index.store, self._model_id())
            return {
                "files": [asdict(item) for item in files[:_MOST_FAILED]],
                "chunks": [asdict(item) for item in chunks[:_MOST_FAILED]],
                "more": max(0, len(files) - _MOST_FAILED) + max(0, len(chunks) - _MOST_FAILED),
            }

        failed: Answer = self._of_tables("failed", gathered)
        return failed

    def _file(self, path: str, *, line: int = 1, first: int | None = None, last: int | None = None) -> Answer:
        """Part of a file of the index as it is now: lines `first` to `last`, or those around `line`."""
        rows = self._index.store.files.read(where=equals("file_path", path)).to_pylist()
        if not rows or rows[0]["status"] == FileStatus.SKIPPED.value:
            raise UsageError(f"{path!r:.200} is not a file of this index.")
        row = rows[0]
        lines, newer = self._lines_of(path, row)
        begin = min(max(1, (line - _AROUND) if first is None else first), len(lines))
        end = min((line + _AROUND) if last is None else last, begin + _MOST_LINES - 1)
        shown = lines[begin - 1 : max(begin, end)]
        return {
            "path": path,
            "language": row["language"],
            "size_bytes": row["size_bytes"],
            "status": row["status"],
            "reason": row["reason"],
            "newer": newer,
            "first": begin,
            "total": len(lines),
            "lines": self._highlighter.highlight([(row["language"] or "text", shown)])[0] if shown else [],
            "outline": self._outline(path),
            "related": self._related(path, line),
        }

    def _lines_of(self, path: str, row: Mapping[str, Any]) -> tuple[list[str], bool]:
        """The lines of a file as they are, keys masked, and whether they differ from what is indexed."""
        repository = source_repository(self._index.folder, self._index.folder.settings())
        try:
            read = repository.read(path)
        except RepositoryError as error:
            raise RepositoryError(f"{path!r:.200} cannot be shown: {error}") from error
        text = masked_source(read.content, declared_encoding=row["working_tree_encoding"]).text
        decoded = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        return lines_of(decoded), read.file_hash != row["file_hash"]

    def _related(self, path: str, line: int) -> list[Answer]:
        try:
            hits = self._index.related(path, line, limit=_RELATED).hits
        except UsageError:  # nothing of the file, or at the line, is a chunk
            return []
        names = ("file_path", "start_line", "end_line", "qualified_name", "chunk_type", "score", "relation")
        return [{name: getattr(hit, name) for name in names} for hit in hits]

    def _outline(self, path: str) -> list[Answer] | None:
        """The definitions of a file; None for an index of before they were stored."""
        if self._index.store.files.without_references() and not self._index.store.references.exists():
            return None
        return [
            {
                "name": one.name,
                "kind": one.kind,
                "start_line": one.start_line,
                "end_line": one.end_line,
                "depth": one.depth,
            }
            for one in self._index.outline(path).hits
        ]

    def _map(self, folder: str = "") -> Answer:
        """Files below a folder for a map, the largest first; the smallest of many only as a sum."""
        files = self._of_tables("map", self._map_rows)
        prefix = f"{PurePosixPath(folder)}/" if folder.strip("/") else ""
        below = files.filter(pl.col("path").str.starts_with(prefix)) if prefix else files
        shown = below.head(_MOST_FILES)
        others = below.slice(_MOST_FILES)
        return {
            "folder": prefix.rstrip("/"),
            "files": shown.rows(),
            "columns": shown.columns,
            "others": {"files": others.height, "bytes": int(others["bytes"].sum() or 0)},
            "total": {"files": below.height, "bytes": int(below["bytes"].sum() or 0)},
        }

    def _map_rows(self) -> pl.DataFrame:
        store = self._index.store
        files = pl.DataFrame(
            store.files.read(columns=["file_path", "size_bytes", "language", "status", "mtime_ns", "parsed_at"])
        ).filter(pl.col("status") != FileStatus.SKIPPED.value)
        chunks = store.statuses.read(self._model_id(), columns=["cyclomatic_complexity"])
        complete = pl.col("embedding_status") == EmbeddingStatus.COMPLETE.value
        by_file = chunks.group_by("file_path").agg(
            complexity=pl.col("cyclomatic_complexity").max(),
            chunks=pl.len(),
            vectors=complete.sum(),
        )
        parsed = pl.col("parsed_at").dt.epoch("s")
        modified = pl.when(pl.col("mtime_ns") > 0).then(pl.col("mtime_ns") // 1_000_000_000).otherwise(parsed)
        return (
            files.join(by_file, on="file_path", how="left")
            .select(
                path="file_path",
                bytes="size_bytes",
                language="language",
                status="status",
                modified_s=modified,
                complexity="complexity",
                chunks=pl.col("chunks").fill_null(0),
                vectors=pl.col("vectors").fill_null(0),
            )
            .sort("bytes", "path", descending=[True, False])
        )

    def _model_id(self) -> str:
        serving = self._index.store.models.serving()
        return describe_model(self._index.folder.settings().embedder).model_id if serving is None else serving[0]

    def _of_tables(self, name: str, make: Callable[[], Any]) -> Any:
        """The same as before while no table was written."""
        tables = self._index.store.tables
        versions = tuple(tables.version(table) for table in (FILES_TABLE, CHUNKS_TABLE, VECTORS_TABLE, ERRORS_TABLE))
        with self._kept_lock:
            kept = self._kept.get(name)
        if kept is None or kept[0] != versions:
            kept = versions, make()
            with self._kept_lock:
                self._kept[name] = kept
        return kept[1]


def _refuse_arguments(question: str, arguments: Mapping[str, Any], signature: inspect.Signature) -> None:
    try:
        signature.bind(**arguments)
    except TypeError as error:
        raise UsageError(f"{question} does not take these arguments: {error}.") from error
