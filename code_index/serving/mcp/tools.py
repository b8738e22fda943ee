"""Answers of the tools: what is asked of the engine, and what is said to the model.

Belongs here: one function a tool. Does not belong here: what tools take (`definitions`), how text is quoted and kept within
its budget (`page`), and the protocol (`server`).

Every answer is text, best first, and begins with the state of the index. What cannot be answered says why and what to do
next. Paths are those of files in an index that is served; nothing else is read.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from code_index.api import Index, Indexes
from code_index.core.errors import CodeIndexError, IndexMissingError, UsageError
from code_index.core.lazy_imports import importing
from code_index.core.quoting import printable, printable_message
from code_index.index.folder import REPOSITORY_VARIABLE, IndexFolder, folder_at_store, locate_index_folder
from code_index.repository.skip_rules import INDEX_FOLDER
from code_index.search.answer import Answer
from code_index.search.freshness import PATIENCE_S, FileState, Freshness
from code_index.search.symbols import Reference
from code_index.search.symbols import Symbol as Definition
from code_index.serving.mcp import asking
from code_index.serving.mcp.definitions import (
    Arguments,
    Context,
    IndexStatus,
    RefreshIndex,
    Related,
    Search,
    Served,
    Symbol,
)
from code_index.serving.mcp.page import Page, add_hits, add_pieces, name_of
from code_index.serving.mcp.runs import IndexRuns, is_being_indexed

_LONGEST_ERROR: Final = 2_000
_NOTE_TOKENS: Final = 60
"""Tokens kept for the last lines of an answer."""
_NEWER_SHOWN: Final = 5
_SHORT_HASH: Final = 10
_LANGUAGES_SHOWN: Final = 8


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer's text, and whether it tells of a failure."""

    text: str
    failed: bool = False


class Tools:
    """The tools on some repositories; safe in several threads."""

    def __init__(self, served: Served) -> None:
        """Answer about what is served; nothing of it is read yet."""
        self._served = served
        self._lock = threading.Lock()
        self._opened: dict[Path, Index] = {}
        self._runs = None if served.command is None else IndexRuns(served.command)
        self._asks: Mapping[str, Callable[[Any], str]] = {
            "search": self._search,
            "related": self._related,
            "symbol": self._symbol,
            "context": self._context,
            "index_status": self._index_status,
            "refresh_index": self._refresh_index,
        }

    def answer(self, name: str, arguments: Mapping[str, Any]) -> Reply:
        """Answer a call; whatever goes wrong is an answer as well.

        Raises:
            KeyError: no such tool is offered.
        """
        definition = {tool.name: tool for tool in self._served.tools}[name]
        try:
            checked: Arguments = definition.checked(arguments)
            return Reply(self._asks[name](checked))
        except IndexMissingError as error:
            return Reply(_in_short(" ".join([str(error), *self._next_steps(self._named(checked.repo)[0])])))
        except CodeIndexError as error:
            return Reply(_in_short(str(error)), failed=True)
        except Exception as error:  # noqa: BLE001 - the model gets an answer, and the log the reason
            print(f"{name}: {type(error).__name__}: {_in_short(str(error))}", file=sys.stderr)  # noqa: T201
            said = (
                f"{name} failed by a fault of code-index ({type(error).__name__}). Its log on standard error says more."
            )
            return Reply(said, failed=True)

    def warm(self) -> None:
        """Open the indexes and load their models, so that the first question does not wait for it.

        Whatever goes wrong is said to the question that meets it.
        """
        with suppress(Exception):
            for folder in self._folders():
                with suppress(Exception):
                    if folder.exists:
                        asking.search(Indexes((self._index(folder),)), query="warm", limit=1)

    def close(self) -> None:
        """Forget the indexes and what is kept of them in memory; the next question opens its index again."""
        with self._lock:
            self._opened.clear()

    def _search(self, asked: Search) -> str:
        indexes, notes = self._indexes(asked.repo)
        filters = _filters(asked)
        answer = asking.search(indexes, query=asked.query, limit=asked.offset + asked.limit + 1, **filters)
        page = Page(asked.max_tokens)
        several = len(indexes.members) > 1
        _begin(page, answer, notes)
        hits = answer.hits[asked.offset : asked.offset + asked.limit]
        if not hits:
            reasons = [reason for index in indexes.members for reason in index.why_nothing_matches(**filters)]
            _say(
                page,
                "Nothing more is found." if answer.hits else "Nothing is found.",
                *(reasons if not answer.hits else ()),
            )
            return page.text
        shown = add_hits(
            page, hits, first=asked.offset + 1, query=asked.query, lines=asked.lines, keep=_NOTE_TOKENS, several=several
        )
        _say_what_is_left(page, asked.offset, shown, len(answer.hits))
        return page.text

    def _related(self, asked: Related) -> str:
        index, notes = self._only(asked.repo, asked.path)
        answer = asking.related(index, path=asked.path, line=asked.line, limit=asked.offset + asked.limit + 1)
        page = Page(asked.max_tokens)
        _begin(page, answer, notes)
        hits = answer.hits[asked.offset : asked.offset + asked.limit]
        if not hits:
            _say(page, "No code like it is found.")
            return page.text
        shown = add_hits(
            page, hits, first=asked.offset + 1, query="", lines=_RELATED_LINES, keep=_NOTE_TOKENS, several=False
        )
        _say_what_is_left(page, asked.offset, shown, len(answer.hits))
        return page.text

    def _context(self, asked: Context) -> str:
        indexes, notes = self._indexes(asked.repo)
        page = Page(asked.max_tokens)
        filters = {"glob": asked.glob} if asked.glob else {}
        budget = max(100, asked.max_tokens * 9 // 10 - 100)
        answer = asking.context(indexes, task=asked.task, max_tokens=budget, **filters)
        _begin(page, answer, notes)
        if not answer.hits:
            reasons = [reason for index in indexes.members for reason in index.why_nothing_matches(**filters)]
            _say(page, "Nothing is found.", *reasons)
        elif not add_pieces(page, answer.hits, several=len(indexes.members) > 1):
            _say(page, "max_tokens is too small for the best piece.")
        return page.text

    def _indexes(self, repo: str) -> tuple[Indexes, list[str]]:
        """The indexes that a call is about, the named one or all, and sentences about those that cannot be asked.

        Raises:
            CodeIndexError: of none of them there is an answer, for the reason that it says.
            UsageError: no repository of that name is served.
        """
        members, notes = [], []
        reason: CodeIndexError | None = None
        for folder in self._named(repo):
            try:
                members.append(self._index(folder))
            except IndexMissingError as error:
                reason = reason or error
                notes.append(f"{folder.repository} has no index and was not asked.")
            except CodeIndexError as error:
                reason = error if reason is None or isinstance(reason, IndexMissingError) else reason
                notes.append(f"{folder.repository} was not asked: {_in_short(str(error))}")
        if reason is not None and not members:
            raise reason
        return Indexes(tuple(members)), notes

    def _only(self, repo: str, path: str) -> tuple[Index, list[str]]:
        """The index that a path is of, the named one or the first that holds it, and sentences as `_indexes`."""
        indexes, notes = self._indexes(repo)
        members = indexes.members
        given = Path(path)
        if len(members) == 1:
            return members[0], notes
        if given.is_absolute():
            for index in members:
                if given.is_relative_to(index.folder.repository_root):
                    return index, notes
        for index in members:
            if index.store.search.file_records([given.as_posix()]):
                return index, notes
        raise UsageError(f"{path!r:.200} is in none of the indexes. Name the repository with repo, and a file of it.")

    def _named(self, repo: str) -> list[IndexFolder]:
        folders = self._folders()
        if not repo:
            return folders
        named = [folder for folder in folders if repo in {folder.repository, folder.repository.rpartition("/")[2]}]
        if not named:
            served = ", ".join(folder.repository for folder in folders)
            raise UsageError(f"{repo!r:.200} is not served here; there is {served}.")
        return named

    def _folders(self) -> list[IndexFolder]:
        """The index folders of the repositories, each once; one that may not be used is refused when it is asked."""
        paths = self._served.paths
        if len(paths) <= 1:
            return [locate_index_folder(paths[0] if paths else None, self._served.index_dir)]
        # The variables of a single index do not apply.
        folders = [folder_at_store(path) if isinstance(path, str) else _folder_in(path.resolve()) for path in paths]
        return list({folder.path: folder for folder in folders}.values())

    def _index(self, folder: IndexFolder) -> Index:
        """The opened index of a folder, which may have been made, or deleted, since the last call."""
        folder.refuse_untrusted()
        folder.check()
        with self._lock:
            index = self._opened.get(folder.path)
            if index is None:
                index = self._opened[folder.path] = Index.of(folder)
            return index

    def _next_steps(self, folder: IndexFolder) -> list[str]:
        """Sentences that say what to do about an index that is missing."""
        if folder.tables_at is not None:
            return ["It is only read here: the runs of its deployment make it. Until then, use grep."]
        if self._runs is None:
            return ["This server only reads: a person has to index it. Until then, use grep."]
        if misplaced := self._misplaced(folder):
            return [misplaced]
        state, lines = self._runs.state(folder), self._run_lines(folder)
        if (state is not None and state.status is None) or is_being_indexed(folder):
            return [*lines, "It is being made, and index_status tells how far it is. Until then, use grep."]
        if state is not None and state.status:
            return [*lines, "Until that is fixed, use grep; then call refresh_index again."]
        made = "it is made in the background, and index_status tells how far it is; parts can be searched meanwhile"
        return [f"Call refresh_index: {made}. Until then, use grep."]

    def _misplaced(self, folder: IndexFolder) -> str:
        """The reason why a folder that nobody named is not indexed: agents start servers in any folder."""
        if self._served.paths or os.environ.get(REPOSITORY_VARIABLE) or not folder.holds_home:
            return ""
        return (
            f"This server was started in {folder.repository_root}, which is no repository. A person has to add the path of the repository "
            "to its arguments (code-index mcp PATH)."
        )

    def _symbol(self, asked: Symbol) -> str:
        (indexes, notes), page = self._indexes(asked.repo), Page(asked.max_tokens)
        most = asked.offset + asked.limit + 1
        found: list[str] = []
        unknown: UsageError | None = None
        for index in indexes.members:
            prefix = f"{name_of(index.folder.repository)} " if len(indexes.members) > 1 else ""
            try:
                answer, lines = _named(index, asked, most)
            except UsageError as error:
                unknown = error
                _say_how_fresh(page, index.freshness(patience_s=PATIENCE_S))
                continue
            _begin(page, answer, [])
            found += [prefix + line for line in lines]
        if not found and unknown is not None:
            raise unknown
        _say_notes(page, notes)
        shown = found[asked.offset : asked.offset + asked.limit]
        if not shown:
            more = "" if asked.want != "definitions" else " Try search, or grep for text that is no name."
            _say(page, f"{'Nothing more' if found else 'Nothing'} is found.{more}")
            return page.text
        fitting = next((at for at, line in enumerate(shown) if not page.add(line, keep=_NOTE_TOKENS)), len(shown))
        _say_what_is_left(page, asked.offset, fitting, len(found))
        return page.text

    def _index_status(self, asked: IndexStatus) -> str:
        return "\n\n".join(self._status_of(folder) for folder in self._named(asked.repo))

    def _status_of(self, folder: IndexFolder) -> str:
        with importing:
            from code_index.embedding.models.description import describe_model
            from code_index.index.contents import index_status  # and polars: most sessions never ask

        lines = [f"Repository {name_of(folder.repository)}"]
        try:
            index = self._index(folder)
        except IndexMissingError:
            return "\n".join([*lines, "There is no index yet.", *self._next_steps(folder)])
        except CodeIndexError as error:
            return "\n".join([*lines, _in_short(str(error))])
        # Before the tables: what a run that has ended stored is in them.
        run, going_on = self._run_lines(folder), is_being_indexed(folder)
        status = index_status(folder, index.store, describe_model(folder.settings().embedder).model_id)
        freshness = index.freshness()
        lines.append(_in_words(freshness))
        chunks, complete = sum(status.chunks.values()), status.chunks["complete"]
        languages = ", ".join(f"{name} {count:,}" for name, count in list(status.languages.items())[:_LANGUAGES_SHOWN])
        lines += [
            f"Files: {_counts(status.files)}",
            f"Languages: {languages or 'none'}",
            f"Chunks: {chunks:,}, {complete:,} with a vector",
            f"Model: {printable(status.serving_model)}",
            *run,
        ]
        if going_on:
            lines.append("It is being indexed; what is stored can be searched.")
        elif self._runs is not None and folder.tables_at is None and (chunks != complete or not freshness.is_current):
            lines.append("Next: refresh_index takes in what is missing or changed.")
        elif status.failed:
            lines.append("Next: a person can see what failed with `code-index status --failed`.")
        else:
            lines.append("Next: nothing; all is indexed.")
        return "\n".join(lines)

    def _run_lines(self, folder: IndexFolder) -> list[str]:
        state = None if self._runs is None else self._runs.state(folder)
        if state is None:
            return []
        if state.status is None:
            return [f"A run that refresh_index started has been going on for {_span(state.seconds)}."]
        if state.status == 0:
            return [f"The last run of refresh_index ended well after {_span(state.seconds)}."]
        said = _in_short(state.said.splitlines()[-1] if state.said else "it said nothing")
        return [f"The last run of refresh_index failed with status {state.status}: {said}"]

    def _refresh_index(self, asked: RefreshIndex) -> str:
        folders = self._named(asked.repo)
        if len(folders) > 1:
            served = ", ".join(name_of(folder.repository) for folder in folders)
            raise UsageError(f"Name one repository with repo: {served}.")
        assert self._runs is not None  # else the tool is not offered
        if misplaced := self._misplaced(folders[0]):
            raise UsageError(misplaced)
        folders[0].refuse_untrusted()
        if folders[0].tables_at is not None:
            raise UsageError(
                f"{folders[0].tables_at} is only read here: the runs of its deployment bring it up to date."
            )
        root = name_of(folders[0].repository)
        if self._runs.start(folders[0]):
            return (
                f"{root} is being indexed in the background. index_status tells how far it is; what is stored by then can be "
                "searched."
            )
        return f"{root} is being indexed already. index_status tells how far it is."


_RELATED_LINES: Final = 20


def _folder_in(root: Path) -> IndexFolder:
    """The folder of the index in a repository; one that may not be used is refused when it is asked."""
    return IndexFolder(path=root / INDEX_FOLDER, repository_root=root)


def _filters(asked: Search) -> dict[str, Any]:
    filters: dict[str, Any] = {"content": asked.content}
    if asked.glob:
        filters["glob"] = asked.glob
    if asked.language:
        filters["language"] = [name.strip() for name in asked.language.split(",") if name.strip()]
    if asked.changed_since:
        filters["changed_since"] = asked.changed_since
    return filters


def _begin(page: Page, answer: Answer[Any], notes: Sequence[str]) -> None:
    """Say how fresh an answer is, and in what way it is less than what was asked for."""
    for fresh in answer.freshness:
        _say_how_fresh(page, fresh)
    _say_notes(page, [*answer.notes, *notes])


def _say_notes(page: Page, notes: Sequence[str]) -> None:
    for note in notes:
        page.add(printable(note), keep=_NOTE_TOKENS)


def _say_how_fresh(page: Page, fresh: Freshness) -> None:
    """Say the state of an index; in a small budget long names are left out."""
    if not page.add(_in_words(fresh), keep=_NOTE_TOKENS):
        page.add(_in_words(fresh, names=0))


def _in_words(fresh: Freshness, *, names: int = _NEWER_SHOWN) -> str:
    """The state of an index in one line, with the names of some files that are newer."""
    commit = "" if fresh.commit is None else f" at {fresh.commit[:_SHORT_HASH]}"
    if fresh.commit and fresh.current_commit and fresh.commit != fresh.current_commit:
        commit += f" (checked out now: {fresh.current_commit[:_SHORT_HASH]})"
    scanned = "never fully scanned" if fresh.age_s is None else f"scanned {_span(fresh.age_s)} ago"
    if fresh.newer_count is None or fresh.newer_files is None:
        newer = "newer files not known yet"
    elif fresh.newer_count:
        shown = [name_of(path) for path in fresh.newer_files[:names]]
        listed = ", ".join([*shown, *["..."] * (fresh.newer_count > names)])
        newer = f"{fresh.newer_count:,} file{'s' * (fresh.newer_count > 1)} newer than it: {listed}"
    else:
        newer = "no file is newer"
    share = f"{int(fresh.vectors_share * 100)} % with vectors" if fresh.chunks else "nothing stored yet"
    return f"Index of {name_of(fresh.repository)}{commit}: {scanned}; {newer}; {share}."


def _named(index: Index, asked: Symbol, most: int) -> tuple[Answer[Any], list[str]]:
    """Answer of an index about a name, `most` lines of it at most but for an outline."""
    if asked.want == "definitions":
        definitions = index.symbol(asked.name, kind=asked.kind or None, limit=most)
        return definitions, [_definition(one) for one in definitions.hits]
    if asked.want == "outline":
        listed = index.outline(asked.name)
        return listed, _outlined(asked.name, [one for one in listed.hits if asked.kind in {"", one.kind}])
    places = index.references(asked.name, kind="call" if asked.want == "callers" else None, limit=most)
    return places, [_reference(one) for one in places.hits]


def _definition(one: Definition) -> str:
    gone = " (gone)" if one.state == FileState.GONE else ""
    return f"{name_of(one.file_path)}:{one.start_line}-{one.end_line} {one.kind} {name_of(one.qualified_name)}{gone}"


def _outlined(target: str, listed: Sequence[Definition]) -> list[str]:
    """Lines of an outline; the first of each file has its path, except for the file that was asked for."""
    lines = []
    path = target.removeprefix("./")
    for one in listed:
        place = "" if one.file_path == path else f"{name_of(one.file_path)}:"
        lines.append(f"{'  ' * one.depth}{place}{one.start_line}-{one.end_line} {one.kind} {name_of(one.name)}")
        path = one.file_path
    return lines


def _reference(one: Reference) -> str:
    lines = ",".join(map(str, one.lines))
    within = f" in {name_of(one.enclosing)}" if one.enclosing else ""
    target = f" -> {name_of(one.target)}" if one.target else ""
    gone = ", gone" if one.state == FileState.GONE else ""
    return f"{name_of(one.file_path)}:{lines}{within} ({one.kind}, {one.confidence}{gone}){target}"


def _say(page: Page, *sentences: str) -> None:
    for sentence in sentences:
        page.add(printable(sentence))


def _say_what_is_left(page: Page, offset: int, shown: int, found: int) -> None:
    """Say how to get the rest, if there is one; what has no room in the whole budget would be asked for for ever."""
    if shown == 0:
        page.add(f"max_tokens is too small for number {offset + 1}. More: offset={offset + 1}.")
    elif offset + shown < found:
        page.add(f"More: offset={offset + shown}.")


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items() if count) or "none"


def _span(seconds: float) -> str:
    for unit, length in (("day", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length or (unit != "day" and seconds >= length):
            count = int(seconds // length)
            return f"{count} {unit}{'s' if unit == 'day' and count > 1 else ''}"
    return f"{int(seconds)} s"


def _in_short(text: str) -> str:
    """A message with control characters escaped, on one line, and bounded."""
    said = printable_message(" ".join(text.split()))
    return said if len(said) <= _LONGEST_ERROR else f"{said[:_LONGEST_ERROR]} ..."
