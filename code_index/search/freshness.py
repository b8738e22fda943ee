"""Freshness of an index: how old what it says may be, and which files changed since.

Belongs here: comparing an index with its repository while a search runs, and bringing hits of changed files up to date.
Does not belong here: scanning (`code_index.repository.source_repository`) and the envelope (`code_index.search.answer`).

The repository is compared in a thread beside the search, which mostly waits for the disk and for git: where git says that
nothing differs from the state of the last scan, that is all; else a walk finds what does, as a scan would. An answer waits
for it `PATIENCE_S` at most, and 4 ms where one of the last minute is there, whose age it tells. A comparison serves the
answers of the next second, on a large repository of a longer time, so that comparing never takes more than a twentieth of
a processor. The files of the hits themselves are always compared. Rejected: events of the file system, which are lost while nobody listens.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYetError
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, TypeVar

from code_index.core.errors import CodeIndexError, RepositoryError
from code_index.core.lazy_imports import importing
from code_index.core.lines import lines_of
from code_index.index.folder import IndexFolder
from code_index.index.last_scan import read_last_scan
from code_index.repository.content_rules import recorded_mtime_ns, skip_reason_for_content
from code_index.search.relocation import PresentLines, relocated

if TYPE_CHECKING:
    from code_index.repository.source_repository import FileContent, SourceRepository
    from code_index.search.hybrid import SearchHit
    from code_index.search.symbols import Reference, Symbol
    from code_index.tables.search_rows import FileRecord
    from code_index.tables.store import IndexStore

PATIENCE_S: Final = 0.05
"""Longest time that an answer waits for the comparison of all files, once all else of it is there."""
_BRIEF_S: Final = 0.004  # where an earlier comparison tells nearly as much
_TELLS_S: Final = 60.0  # how long it does; its age is told, and the files of hits are compared anyway
COMPARING_THREAD: Final = "code-index-freshness"
"""Name of the thread that compares; it ends by itself, and git with the process."""
_FRESH_S: Final = 1.0  # an answer says what was true that long ago
_SHARE: Final = 20.0  # times that a comparison took, until the next one
MOST_NEWER_FILES: Final = 200
"""Paths that `Freshness.newer_files` lists at most; `newer_count` counts all."""
_MOST_READ: Final = 200  # files that a comparison reads, where size and time leave it open
_PLACED: Final = ("chunk_id", "file_path", "start_line", "end_line", "content")

NameT = TypeVar("NameT", "Symbol", "Reference")


class FileState(StrEnum):
    """State of a hit's file, compared with what was indexed.

    `current`: the lines and the content are those of the file. `moved`: the same text stands at other lines, which the hit
    now names. `changed`: the text differs; lines and content were read again, of a long one only the beginning. `gone`: the
    file is not there any more, cannot be read, or would not be indexed now; the content is what was indexed.
    """

    CURRENT = "current"
    MOVED = "moved"
    CHANGED = "changed"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Freshness:
    """Distance of an index from its repository.

    `commit` was checked out at the last scan and `current_commit` is now; None outside of git, or where it is not known.
    `age_s` is seconds since the last scan. `newer_files` are the first of the `newer_count` paths that were added, changed or
    removed since, or that wait to be parsed, sorted; the comparison was made `compared_s` ago. All three are None where it takes
    longer than an answer waits.
    `vectors_share` is the share of `chunks` with a vector, in [0, 1]; the others are found only by their words.

    Example:
        >>> from code_index import Index
        >>> fresh = Index.open("repository").freshness()
        >>> fresh.newer_files, fresh.vectors_share, fresh.is_current
        ((), 1.0, True)
    """

    repository: str
    commit: str | None
    current_commit: str | None
    age_s: float | None
    newer_files: tuple[str, ...] | None
    newer_count: int | None
    compared_s: float | None
    chunks: int
    vectors_share: float

    @property
    def chunks_without_vector(self) -> int:
        """Number of chunks that are found only by their words."""
        return self.chunks - round(self.chunks * self.vectors_share)

    @property
    def is_current(self) -> bool:
        """Tell whether it is known that no file is newer than the index, and every chunk has a vector."""
        return self.newer_count == 0 and self.chunks_without_vector == 0


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Result of a comparison: when it began (clock of `time.monotonic`), how long it took, and the paths that differ."""

    began: float
    took_s: float
    newer: tuple[str, ...]
    current_commit: str | None


class FreshnessReader:
    """Compare one index with its repository, for any number of answers and threads."""

    def __init__(self, folder: IndexFolder, store: IndexStore) -> None:
        self._folder = folder
        self._store = store
        self._lock = threading.Lock()
        self._running: Future[_Comparison] | None = None
        self._last: _Comparison | None = None
        self._since = 0.0  # a comparison that began earlier does not serve
        self._hashes: dict[str, tuple[int, int, str]] = {}  # path to size, mtime and hash of what was read

    def start(self) -> None:
        """Begin to compare all files, unless that is under way, the last comparison still serves, or there are none here."""
        if self._folder.source_is_elsewhere:
            return
        with self._lock:
            if self._running is not None and not self._running.done():
                return
            self._take_result()
            last, now = self._last, time.monotonic()
            if last is not None and last.began >= max(self._since, now - max(_FRESH_S, _SHARE * last.took_s)):
                return
            running: Future[_Comparison] = Future()
            self._running = running
        threading.Thread(target=self._run, args=(running,), name=COMPARING_THREAD, daemon=True).start()

    def read(self, *, patience_s: float = PATIENCE_S) -> Freshness:
        """Freshness now, waiting for `patience_s` at most where all files are being compared.

        Who waits longer than an answer does gets a comparison that began after the call.

        Raises:
            StoreError: a table cannot be read.
        """
        if patience_s > PATIENCE_S:
            patience_s = self._end_earlier(patience_s)
        self.start()
        scan = read_last_scan(self._folder, recent=True)
        there = self._store.search.available()
        with self._lock:
            running, last = self._running, self._last
        if last is not None and time.monotonic() - last.began < _TELLS_S and patience_s <= PATIENCE_S:
            patience_s = min(patience_s, _BRIEF_S)
        if running is not None:
            with suppress(NotYetError, CodeIndexError, OSError):  # it is told as not known
                running.result(patience_s)
        with self._lock:
            self._take_result()
            last = self._last
        return Freshness(
            repository=self._folder.repository,
            commit=None if scan is None else scan.commit,
            current_commit=None if last is None else last.current_commit,
            age_s=None if scan is None else round(max(0.0, time.time() - scan.at), 1),
            newer_files=None if last is None else last.newer[:MOST_NEWER_FILES],
            newer_count=None if last is None else len(last.newer),
            compared_s=None if last is None else round(time.monotonic() - last.began, 1),
            chunks=there.chunks,
            vectors_share=min(1.0, there.vectors / there.chunks) if there.chunks else 0.0,
        )

    def brought_up_to_date(self, hits: Sequence[SearchHit]) -> tuple[SearchHit, ...]:
        """Mark hits of files that changed since they were indexed, with lines and content as they are now.

        Raises:
            StoreError: a table cannot be read.
        """
        texts = self._texts(hits)
        return tuple(self._marked(hit, texts.get(hit.file_path, FileState.GONE)) for hit in hits)

    def names_brought_up_to_date(self, names: Sequence[NameT]) -> tuple[NameT, ...]:
        """Mark definitions or references of files that changed since they were indexed, with their lines as they are now.

        Raises:
            StoreError: a table cannot be read.
        """
        texts = self._texts(names)
        changed = sorted({one.chunk_id for one in names if isinstance(texts.get(one.file_path), PresentLines)} - {""})
        rows, _ = self._store.search.details(changed, [], _PLACED) if changed else ({}, {})
        shifts = {chunk_id: _shift(row, texts[row["file_path"]]) for chunk_id, row in rows.items()}
        return tuple(
            one.at_present(texts.get(one.file_path, FileState.GONE), shifts.get(one.chunk_id, 0)) for one in names
        )

    def _texts(self, found: Sequence[SearchHit] | Sequence[NameT]) -> dict[str, PresentLines | FileState]:
        """The present lines of the files that something was found in, where they changed; else their states."""
        records = self._store.search.file_records(sorted({one.file_path for one in found}))
        return {path: self._lines_if_changed(path, record) for path, record in records.items()}

    def _marked(self, hit: SearchHit, now: PresentLines | FileState) -> SearchHit:
        hit = replace(hit, repository=self._folder.repository)
        if isinstance(now, FileState):
            return replace(hit, state=now)
        found = relocated(lines_of(hit.content), hit.start_line, hit.end_line, now)
        if found is None:
            return replace(hit, state=FileState.GONE)
        state = FileState.CHANGED if found.lines is not None else FileState.MOVED
        if found.lines is None and found.start_line == hit.start_line:
            state = FileState.CURRENT
        content = hit.content if found.lines is None else "\n".join(found.lines)
        return replace(hit, state=state, start_line=found.start_line, end_line=found.end_line, content=content)

    def _lines_if_changed(self, path: str, record: FileRecord) -> PresentLines | FileState:
        """The lines of a file that changed, with keys masked; else its state."""
        if self._folder.source_is_elsewhere:  # the file of that commit is as it was
            return FileState.CURRENT
        try:
            status = (self._folder.repository_root / path).lstat()
            if self._is_known(path, record, status.st_size, status.st_mtime_ns):
                return FileState.CURRENT
            read = self._repository().read(path)
        except (OSError, RepositoryError):  # what cannot be read cannot be shown either
            return FileState.GONE
        if read.file_hash == record.file_hash:
            self._remember(path, read, record)
            return FileState.CURRENT
        if _is_left_out(read.content, record):
            return FileState.GONE
        return PresentLines(indexed_lines(read.content, record))

    def _repository(self) -> SourceRepository:
        with importing:
            from code_index.index.source import source_repository

        return source_repository(self._folder, self._folder.settings())

    def _end_earlier(self, patience_s: float) -> float:
        """Wait for the comparison that is under way, and let none from before now serve; returns the patience that is left."""
        now = time.monotonic()
        with self._lock:
            self._since, running = now, self._running
        if running is not None:
            with suppress(NotYetError, CodeIndexError, OSError):
                running.result(patience_s)
        return max(PATIENCE_S, patience_s - (time.monotonic() - now))

    def _take_result(self) -> None:
        """Keep what a comparison found, once it has ended; the lock is held."""
        if self._running is not None and self._running.done():
            if self._running.exception() is None:
                self._last = self._running.result()
            self._running = None

    def _run(self, running: Future[_Comparison]) -> None:
        try:
            running.set_result(self._compare())
        except BaseException as error:  # noqa: BLE001 - it is told by `read` as not known
            running.set_exception(error)

    def _compare(self) -> _Comparison:
        with importing:
            from code_index.index.source import walk_options
            from code_index.repository.commits import checked_out_commit
            from code_index.repository.fingerprint import RepositoryState, git_state

        began = time.monotonic()
        root, scan = self._folder.repository_root, read_last_scan(self._folder)
        options = walk_options(self._folder, self._folder.settings())
        commit = checked_out_commit(root)
        state = git_state(root, options)
        is_as_scanned = scan is not None and isinstance(state, RepositoryState) and state.token == scan.token
        newer = set() if is_as_scanned else self._walked()
        # Tables last: a command imports LanceDB while git is asked and folders are listed.
        newer |= set(self._store.search.waiting_files())
        return _Comparison(began, time.monotonic() - began, tuple(sorted(newer)), commit)

    def _walked(self) -> set[str]:
        """Paths that a scan would find added, changed or removed."""
        with importing:
            from code_index.index.source import walk_options
            from code_index.repository.walk import walk

        repository = self._repository()
        found = walk(repository.root, walk_options(self._folder, self._folder.settings()))
        known = self._store.search.all_file_records()
        seen = {path for path, _, _, _ in found.files}
        unreadable = tuple(found.unreadable)
        newer = {
            path
            for path, record in known.items()
            if record.file_hash and path not in seen and not (unreadable and path.startswith(unreadable))
        }
        readings = _MOST_READ
        for path, _, size, mtime_ns in found.files:
            record = known.get(path)
            if record is not None and self._is_known(path, record, size, mtime_ns):
                continue
            # A file that was left out may be so again. Else the time proves nothing where the size is the same: the file was
            # young when it was read, or was only touched.
            if record is not None and (not record.file_hash or record.size_bytes == size):
                if readings:
                    readings -= 1
                    if self._holds_the_same(repository, path, record):
                        continue
                elif not record.file_hash:
                    continue
            newer.add(path)
        return newer

    def _is_known(self, path: str, record: FileRecord, size: int, mtime_ns: int) -> bool:
        """Tell whether size and time prove that a file has the content that was indexed."""
        if (record.size_bytes, record.mtime_ns) == (size, mtime_ns):
            return True
        return self._hashes.get(path) == (size, mtime_ns, record.file_hash)

    def _holds_the_same(self, repository: SourceRepository, path: str, record: FileRecord) -> bool:
        try:
            read = repository.read(path)
        except RepositoryError:  # a scan keeps its record as well
            return True
        if not (_is_left_out(read.content, record) if not record.file_hash else read.file_hash == record.file_hash):
            return False
        self._remember(path, read, record)
        return True

    def _remember(self, path: str, read: FileContent, record: FileRecord) -> None:
        """Remember that a content is as recorded, by size and time, unless the file is so young that these prove nothing."""
        if recorded_mtime_ns(read.mtime_ns, time.time_ns()) == read.mtime_ns:
            self._hashes[path] = (read.size_bytes, read.mtime_ns, record.file_hash)


def _shift(row: Mapping[str, Any], now: PresentLines | FileState) -> int:
    """Lines by which a chunk moved in the present file."""
    start, end = row["start_line"], row["end_line"]
    found = None if isinstance(now, FileState) else relocated(lines_of(row["content"]), start, end, now)
    return 0 if found is None else found.start_line - start


def indexed_lines(content: bytes, record: FileRecord) -> list[str]:
    """The lines of a file as those of its chunks are counted: UTF-8, keys masked, a notebook as its cells."""
    with importing:
        from code_index.chunking.chunker import masked_source
        from code_index.chunking.registry import FORMATS

    source = masked_source(content, declared_encoding=record.working_tree_encoding).text
    kind = FORMATS.get(record.language)
    if kind is not None and kind.render is not None and (rendered := kind.render(source)) is not None:
        source = rendered.text
    return lines_of(source.decode("utf-8", "replace"))


def _is_left_out(content: bytes, record: FileRecord) -> bool:
    """Tell whether a scan would leave a file out for what it holds."""
    with importing:
        from code_index.chunking.encoding import ascii_compatible

    text = ascii_compatible(content, record.working_tree_encoding)
    return skip_reason_for_content(text, record.language) is not None
