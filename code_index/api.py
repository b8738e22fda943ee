"""`Index`: an index in one object, for Python programs.

Belongs here: opening an index, searching it and asking for its state, each in one call. Does not belong here: how a
search ranks (`code_index.search`), what is counted (`code_index.index.contents`), and writing: the phases
are assets of the Dagster project (`indexing_assets.index_repository` runs them).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, TypeVar, Unpack

from code_index.core.content_kinds import ContentKind
from code_index.core.errors import CodeIndexError, UsageError
from code_index.core.lazy_imports import importing
from code_index.core.model import ChunkType
from code_index.embedding.loader import query_embedder, serving_embedder
from code_index.index.folder import IndexFolder, resolve_index_folder
from code_index.repository.skip_rules import INDEX_FOLDER
from code_index.search.answer import Answer
from code_index.search.context import ContextPiece, hits_for, pack, refuse_budget
from code_index.search.freshness import Freshness, FreshnessReader, NameT
from code_index.search.hybrid import QueryEncoder, SearchHit, SearchMode, search
from code_index.search.language_names import languages_named
from code_index.search.related import related
from code_index.search.several import AskedIndex, search_several
from code_index.tables.filters import SearchFilter
from code_index.tables.store import IndexStore

if TYPE_CHECKING:
    from code_index.index.contents import IndexStatus
    from code_index.search.symbols import Reference, Symbol

_OPENING_S = 30.0  # half a second as a rule
_COMPARING_S = 600.0  # a second for 50,000 files
_SHOWN = 80

_Choice = TypeVar("_Choice", bound=StrEnum)


class Filters(TypedDict, total=False):
    """Filters of a search, as the arguments of `Index.search` say them."""

    language: str | Sequence[str]
    glob: str | None
    chunk_type: str | Sequence[str]
    function_name: str | None
    class_name: str | None
    subproject: str | None
    content: str
    changed_since: str | None


@dataclass(frozen=True, slots=True)
class Index:
    """An index on disk: any number of threads and processes may search it, also while it grows.

    `folder` says where it is and `store` has its tables, for what the methods do not offer. The first call that needs
    them opens the tables and loads the model; there is nothing to close.

    Example:
        >>> from code_index import Index
        >>> index = Index.open("repository")
        >>> for hit in index.search("greet a person by name", limit=1):
        ...     print(hit.file_path, hit.start_line, hit.qualified_name)
        app/greeting.py 4 greet
        >>> index.status().files["parsed"]
        4
    """

    folder: IndexFolder
    store: IndexStore
    _freshness: FreshnessReader = field(repr=False, compare=False)

    @classmethod
    def open(cls, path: str | Path | None = None, index_dir: str | Path | None = None) -> Index:
        """Find the index of a repository, as the command line does, and check that this program can read it.

        Args:
            path: the repository; by default `CODE_INDEX_REPOSITORY`, or the nearest folder at or above the current
                one that holds an index.
            index_dir: folder of the index; by default `CODE_INDEX_DIR`, or `.code-index` in the repository.

        Raises:
            IndexMissingError: nothing was ever indexed there.
            UsageError: a path cannot be used.
            StoreError: the index is of another repository, or was written by a newer code-index.
        """
        folder = resolve_index_folder(path, index_dir)
        return cls.of(folder)

    @classmethod
    def of(cls, folder: IndexFolder) -> Index:
        """Open the index in a folder that was found before.

        Raises:
            IndexMissingError, StoreError: as `open`.
        """
        folder.check()
        store = IndexStore(folder.tables)
        return cls(folder, store, FreshnessReader(folder, store))

    def search(
        self,
        query: str,
        *,
        mode: str = "hybrid",
        limit: int = 10,
        language: str | Sequence[str] = (),
        glob: str | None = None,
        chunk_type: str | Sequence[str] = (),
        function_name: str | None = None,
        class_name: str | None = None,
        subproject: str | None = None,
        content: str = "all",
        per_file: int = 1,
        explain: bool = False,
        changed_since: str | None = None,
    ) -> list[SearchHit]:
        """Find the chunks that match a query best, best first.

        Args:
            query: words or code, in any form.
            mode: `semantic` compares meanings, `lexical` words (and needs no model), `hybrid` both.
            limit: maximum number of hits, at least 1.
            language: only that language, or one of those; `TypeScript`, `ts` and `.ts` mean `typescript`.
            glob: only paths that match, such as `src/**/*.py` or `docs/`; brackets and braces in names match as well.
            chunk_type: only that type, or one of those: function, class, method, module, section, rule, ...
            function_name: only the function or method of this name.
            class_name: only the class of this name and its members.
            subproject: only this subproject, by name.
            content: only `code`, `docs`, `config` or `tests` (with examples and benchmarks), or `all`.
            per_file: hits of one file that count in full, at least 1; further ones make room for other files.
            explain: whether each hit of a hybrid search says in `explanation` what its score is made of.
            changed_since: only files that differ from this commit (a branch, a tag, a hash, `HEAD~3`) in later commits or in
                the working tree, or are untracked.

        Raises:
            UsageError: the query is empty, or the mode, a number or a filter cannot be used.
            ModelError: the model that made the vectors is missing or cannot be loaded.
            SettingsError: a setting of the index cannot be used.
            StoreError: a table cannot be read.
        """
        return self._found(
            query,
            self._filter(
                language=language,
                glob=glob,
                chunk_type=chunk_type,
                function_name=function_name,
                class_name=class_name,
                subproject=subproject,
                content=content,
                changed_since=changed_since,
            ),
            mode=_member("mode", mode, SearchMode),
            limit=limit,
            per_file=per_file,
            explain=explain,
        )

    def ask(
        self,
        query: str,
        *,
        mode: str = "hybrid",
        limit: int = 10,
        per_file: int = 1,
        explain: bool = False,
        **filters: Unpack[Filters],
    ) -> Answer[SearchHit]:
        """Search, and say how fresh the answer is; arguments and errors as those of `search`.

        Hits of files that changed since they were indexed are marked (`SearchHit.state`), and have the lines and the content
        of the file as it is now. Comparing all files costs an answer 50 ms at most.
        """
        self._freshness.start()
        notes: list[str] = []
        hits = self._found(
            query,
            self._filter(**filters),
            mode=_member("mode", mode, SearchMode),
            limit=limit,
            per_file=per_file,
            explain=explain,
            notes=notes,
        )
        return self._answer(hits, notes)

    def related(self, path: str | Path, line: int, *, limit: int = 10, **filters: Unpack[Filters]) -> Answer[SearchHit]:
        """Find code like that at a line, nearest first; copies and near-duplicates are named as such. Needs no model.

        Args:
            path: a file, relative to the repository or absolute.
            line: a line of it, from 1; the innermost chunk there counts.
            limit: maximum number of hits, at least 1.
            filters: as those of `search`.

        Raises:
            UsageError: no chunk is there, or a filter cannot be used.
            StoreError: a table cannot be read.
        """
        self._freshness.start()
        found = related(
            self.store,
            self._relative(path),
            line,
            limit=limit,
            filters=self._filter(**filters),
            up_to_date=self._freshness.brought_up_to_date,
        )
        return self._answer(found.hits, found.notes)

    def context(
        self, task: str, *, max_tokens: int = 8_000, mode: str = "hybrid", **filters: Unpack[Filters]
    ) -> Answer[ContextPiece]:
        """Gather the best code for a task, with what encloses it, packed to a budget of tokens.

        The texts of the pieces together, joined by empty lines, have `max_tokens` tokens at most by an estimate that is
        never under what a tokenizer counts, and nearly as many where there is enough.

        Args:
            task: words or code, as for `search`.
            max_tokens: the budget, at least 100.
            mode: as for `search`.
            filters: as those of `search`.

        Raises:
            UsageError: the task is empty, or the budget, the mode or a filter cannot be used.
            ModelError, SettingsError, StoreError: as `search`.
        """
        return Indexes((self,)).context(task, max_tokens=max_tokens, mode=mode, **filters)

    def freshness(self, *, patience_s: float = _COMPARING_S) -> Freshness:
        """Compare the index with its repository, to the end if that takes no longer than `patience_s` seconds.

        Raises:
            StoreError: a table cannot be read.
        """
        return self._freshness.read(patience_s=patience_s)

    def _found(
        self,
        query: str,
        filters: SearchFilter,
        *,
        mode: SearchMode,
        limit: int,
        per_file: int,
        explain: bool,
        notes: list[str] | None = None,
    ) -> list[SearchHit]:
        opening = self.store.search.start_opening()  # while the model is loaded
        try:
            return search(
                self.store,
                self._encoder(mode),
                query,
                mode=mode,
                limit=limit,
                filters=filters,
                per_file=per_file,
                explain=explain,
                notes=notes,
            )
        finally:
            # A refusal may come first: a process that ends while LanceDB is being imported aborts.
            wait([opening], timeout=_OPENING_S)

    def _encoder(self, mode: SearchMode) -> QueryEncoder | None:
        if mode is SearchMode.LEXICAL:
            return None
        return serving_embedder(self.folder.settings().embedder, self.store.models.serving())

    def _answer(self, hits: Sequence[SearchHit], notes: Sequence[str] = ()) -> Answer[SearchHit]:
        marked = self._freshness.brought_up_to_date(hits)
        return Answer((self._freshness.read(),), marked, tuple(notes))

    def _relative(self, path: str | Path) -> str:
        """A path as the index has it."""
        root = self.folder.repository_root
        try:
            given = Path(path).expanduser()
            if given.is_absolute() and not given.is_relative_to(root):  # by a link to the repository
                given = Path(os.path.realpath(given.parent), given.name)
            return Path(os.path.normpath(root / given)).relative_to(root).as_posix()
        except (ValueError, RuntimeError) as error:  # a home of somebody whom the system does not know
            raise UsageError(f"{str(path)[:_SHOWN]!r} is not in the repository {root}. Name a file of it.") from error

    def _filter(
        self,
        *,
        language: str | Sequence[str] = (),
        glob: str | None = None,
        chunk_type: str | Sequence[str] = (),
        function_name: str | None = None,
        class_name: str | None = None,
        subproject: str | None = None,
        content: str = "all",
        changed_since: str | None = None,
    ) -> SearchFilter:
        filters = SearchFilter(
            languages=languages_named(_as_tuple(language), held=self.store.search.holds_language),
            path_glob=glob,
            chunk_types=_chunk_types(chunk_type),
            function_name=function_name,
            class_name=class_name,
            subproject=subproject,
            content=_content(content),
        )
        if changed_since is None:
            return filters
        with importing:
            from code_index.search.changed import only_changed

        return only_changed(filters, self.folder, changed_since, known=self.store.search.all_file_records)

    def why_nothing_matches(self, **filters: Unpack[Filters]) -> list[str]:
        """Say why a search with these filters found nothing: a sentence each; none without filters.

        Args:
            filters: those of `search`.

        Raises:
            UsageError: a filter cannot be used.
            StoreError: a table cannot be read.
        """
        with importing:
            from code_index.search.no_match import why_nothing_matches  # most searches find something

        return why_nothing_matches(self.store, self._filter(**filters))

    def symbol(self, name: str, *, kind: str | None = None, limit: int = 20) -> Answer[Symbol]:
        """Find definitions of a name, best first: exactly it, then where it is a part of the name.

        Definitions in files that changed since they were indexed are marked (`Symbol.state`), and have their present lines.

        Args:
            name: such as `parse_date`, `Counter.increment` or `Counter::increment`.
            kind: only class, function, method, variable, field or module.
            limit: maximum number of definitions, at least 1.

        Raises:
            UsageError: the name is empty, or the kind or the limit cannot be used.
            StoreError: a table cannot be read.
        """
        with importing:
            from code_index.search.symbols import SymbolKind, symbol

        of_kind = None if kind is None else _member("kind", kind, SymbolKind)
        self._freshness.start()
        return self._named(symbol(self.store, name, kind=of_kind, limit=limit))

    def outline(self, target: str) -> Answer[Symbol]:
        """List the definitions in a file or in a class, in the order of the source; marked as those of `symbol`.

        Args:
            target: path of a file, relative to the repository or absolute, or name of a class.

        Raises:
            UsageError: no file and no class of the index is called so.
            StoreError: a table cannot be read.
        """
        with importing:
            from code_index.search.symbols import outline

        self._freshness.start()
        with suppress(UsageError):  # no path of the repository: a name
            target = self._relative(target) if target.strip() else target
        return self._named(outline(self.store, target))

    def references(self, name: str, *, kind: str | None = None, limit: int = 100) -> Answer[Reference]:
        """Find the places that use a name, the surest first; marked as definitions by `symbol`.

        Args:
            name: as for `symbol`; with a qualifier, places that are known to mean another definition are left out.
            kind: only call, inheritance, import or use; `call` gives the callers.
            limit: maximum number of places, at least 1.

        Raises:
            UsageError: the name is empty, or the kind or the limit cannot be used.
            StoreError: a table cannot be read.
        """
        with importing:
            from code_index.search.symbols import ReferenceKind, references

        of_kind = None if kind is None else _member("kind", kind, ReferenceKind)
        self._freshness.start()
        return self._named(references(self.store, name, kind=of_kind, limit=limit))

    def _named(self, found: Sequence[NameT]) -> Answer[NameT]:
        marked = self._freshness.names_brought_up_to_date(found)
        notes = []
        if unknown := self.store.files.without_references():
            again = f"`code-index index {self.folder.repository_root}` parses them again; no text is embedded again."
            notes.append(f"The names in {unknown:,} files are not known yet: {again}")
        return Answer((self._freshness.read(),), marked, tuple(notes))

    def status(self) -> IndexStatus:
        """Count what the index holds, lacks and takes on disk.

        Chunks that a run is embedding count as pending: only Dagster's records tell them apart.

        Raises:
            ModelError: the model that the settings name is missing or cannot be loaded.
            SettingsError: a setting of the index cannot be used.
            StoreError: a table cannot be read.
        """
        with importing:
            from code_index.index.contents import index_status  # not for the command line's search

        return index_status(self.folder, self.store, query_embedder(self.folder.settings().embedder).model_id)


@dataclass(frozen=True, slots=True)
class Indexes:
    """Several indexes, asked as one: their hits stand in one ranking, and each names its repository.

    Example:
        >>> from code_index import Index, Indexes
        >>> indexes = Indexes((Index.open("repository"),))
        >>> hit = indexes.ask("greet a person by name", limit=1).hits[0]
        >>> hit.repository == str(indexes.members[0].folder.repository_root), hit.file_path
        (True, 'app/greeting.py')
    """

    members: tuple[Index, ...]
    left_out: tuple[str, ...] = ()
    """Sentences about indexes that cannot be asked; notes of each answer."""

    @classmethod
    def open(cls, paths: Sequence[str | Path]) -> Indexes:
        """Open the indexes of several repositories, each once.

        Raises:
            UsageError: none is named.
            IndexMissingError, UntrustedIndexError, StoreError: as `Index.open`.
        """
        if not paths:
            raise UsageError("No repository is named.")
        # Both paths are given, so that the variables of a single index do not apply.
        opened = [Index.open(path, Path(path).expanduser() / INDEX_FOLDER) for path in paths]
        return cls(tuple({index.folder.path: index for index in opened}.values()))

    @classmethod
    def deployed(cls) -> Indexes:
        """Open the indexes of the deployment that `CODE_INDEX_DEPLOYMENT` names, one of each repository.

        Those that cannot be asked, such as one that was never made, are left out, and answers say so.

        Raises:
            UsageError: there is no deployment.
            SettingsError: its file cannot be used.
            IndexMissingError, UntrustedIndexError, StoreError: as `Index.open`, where none of them can be asked.
        """
        with importing:
            from code_index.index.deployment import DEPLOYMENT_VARIABLE, deployed_indexes

        if not (indexes := deployed_indexes()):
            raise UsageError(
                f"{DEPLOYMENT_VARIABLE} is not set, so there is no deployment whose indexes could be asked. Name its file, "
                "or the repositories."
            )
        members: dict[Path, Index] = {}
        left_out: list[str] = []
        reason: CodeIndexError | None = None
        for deployed in indexes.values():
            try:
                index = Index.of(deployed.folder())
            except CodeIndexError as error:
                reason = reason or error
                left_out.append(f"{deployed.source} was not asked: {error}")
            else:
                members.setdefault(index.folder.repository_root, index)
        if reason is not None and not members:
            raise reason
        return cls(tuple(members.values()), tuple(left_out))

    def ask(
        self,
        query: str,
        *,
        mode: str = "hybrid",
        limit: int = 10,
        per_file: int = 1,
        explain: bool = False,
        **filters: Unpack[Filters],
    ) -> Answer[SearchHit]:
        """Search all indexes and rank what they have together; arguments and errors as those of `Index.search`.

        Raises:
            UsageError: also where a semantic search would compare vectors of different models.
        """
        if len(self.members) == 1:
            answer = self.members[0].ask(query, mode=mode, limit=limit, per_file=per_file, explain=explain, **filters)
            return replace(answer, notes=(*answer.notes, *self.left_out))
        found, notes = self._found(
            query, _member("mode", mode, SearchMode), limit=limit, per_file=per_file, explain=explain, filters=filters
        )
        return Answer(self._freshness(), self._brought_up_to_date(found), notes)

    def context(
        self, task: str, *, max_tokens: int = 8_000, mode: str = "hybrid", **filters: Unpack[Filters]
    ) -> Answer[ContextPiece]:
        """Gather the best code for a task from all indexes; arguments and errors as those of `Index.context`."""
        search_mode = _member("mode", mode, SearchMode)
        refuse_budget(max_tokens)
        stores = {index.folder.repository: index.store for index in self.members}
        limit = hits_for(max_tokens)
        while True:
            found, notes = self._found(task, search_mode, limit=limit, per_file=1, explain=False, filters=filters)
            pieces = pack(stores, self._brought_up_to_date(found), task, max_tokens)
            more = hits_for(max_tokens, spent=sum(piece.tokens for piece in pieces), hits=len(found))
            if len(found) < limit or more <= limit:
                return Answer(self._freshness(), pieces, notes)
            limit = more

    def _found(
        self, query: str, mode: SearchMode, *, limit: int, per_file: int, explain: bool, filters: Filters
    ) -> tuple[list[SearchHit], tuple[str, ...]]:
        """The hits of all members, and the notes of the answer."""
        notes: list[str] = []
        if len(self.members) == 1:
            (only,) = self.members
            only._freshness.start()  # noqa: SLF001 - of the same module
            hits = only._found(  # noqa: SLF001
                query,
                only._filter(**filters),  # noqa: SLF001
                mode=mode,
                limit=limit,
                per_file=per_file,
                explain=explain,
                notes=notes,
            )
            return [replace(hit, repository=only.folder.repository) for hit in hits], (*notes, *self.left_out)
        openings = []
        for index in self.members:
            index._freshness.start()  # noqa: SLF001
            openings.append(index.store.search.start_opening())
        try:
            asked = [
                AskedIndex(
                    index.folder.repository,
                    index.store,
                    index._encoder(mode),  # noqa: SLF001
                    index._filter(**filters),  # noqa: SLF001
                )
                for index in self.members
            ]
            hits = search_several(asked, query, mode=mode, limit=limit, per_file=per_file, explain=explain, notes=notes)
            return hits, (*notes, *self.left_out)
        finally:
            wait(openings, timeout=_OPENING_S)

    def _freshness(self) -> tuple[Freshness, ...]:
        return tuple(index._freshness.read() for index in self.members)  # noqa: SLF001

    def _brought_up_to_date(self, hits: Sequence[SearchHit]) -> tuple[SearchHit, ...]:
        """The hits, in their order, each compared with the files of its own repository."""
        marked: dict[tuple[str | None, str], SearchHit] = {}
        for index in self.members:
            root = index.folder.repository
            of_index = [hit for hit in hits if hit.repository == root]
            for hit in index._freshness.brought_up_to_date(of_index):  # noqa: SLF001
                marked[root, hit.chunk_id] = hit
        return tuple(marked[hit.repository, hit.chunk_id] for hit in hits)


def _as_tuple(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _chunk_types(value: str | Sequence[str]) -> tuple[ChunkType, ...]:
    return tuple(_member("chunk_type", one, ChunkType) for one in _as_tuple(value))


def _content(value: str) -> ContentKind | None:
    if value.lower() == "all":
        return None
    try:
        return ContentKind(value.lower())
    except ValueError as error:
        raise UsageError(f"content {value!r:.80} is not one of all, {', '.join(ContentKind)}.") from error


def _member(name: str, value: str, words: type[_Choice]) -> _Choice:
    try:
        return words(value.lower())
    except ValueError as error:
        raise UsageError(f"{name} {value!r:.80} is not one of {', '.join(words)}.") from error
