"""`Index`: an index in one object, for Python programs.

Belongs here: opening an index, searching it and asking for its state, each in one call. Does not belong here: how a
search ranks (`code_index.search`), what is counted (`code_index.index.contents`), and writing: the phases
are assets of the Dagster project (`indexing_assets.index_repository` runs them).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import wait
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from code_index.core.content_kinds import ContentKind
from code_index.core.errors import UsageError
from code_index.core.lazy_imports import importing
from code_index.core.model import ChunkType
from code_index.embedding.loader import query_embedder, serving_embedder
from code_index.index.folder import IndexFolder, resolve_index_folder
from code_index.search.hybrid import SearchHit, SearchMode, search
from code_index.search.language_names import languages_named
from code_index.tables.filters import SearchFilter
from code_index.tables.store import IndexStore

if TYPE_CHECKING:
    from code_index.index.contents import IndexStatus
    from code_index.search.symbols import Reference, Symbol

_OPENING_S = 30.0  # half a second as a rule

_Choice = TypeVar("_Choice", bound=StrEnum)


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
        folder.check()
        return cls(folder, IndexStore(folder.tables_dir))

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

        Raises:
            UsageError: the query is empty, or the mode, a number or a filter cannot be used.
            ModelError: the model that made the vectors is missing or cannot be loaded.
            SettingsError: a setting of the index cannot be used.
            StoreError: a table cannot be read.
        """
        search_mode = _member("mode", mode, SearchMode)
        chunk_types = _chunk_types(chunk_type)
        kind = _content(content)
        opening = self.store.search.start_opening()  # while the model is loaded
        encoder = None
        try:
            if search_mode is not SearchMode.LEXICAL:
                encoder = serving_embedder(self.folder.settings().embedder, self.store.models.serving())
            filters = SearchFilter(
                languages=languages_named(_as_tuple(language), held=self.store.search.holds_language),
                path_glob=glob,
                chunk_types=chunk_types,
                function_name=function_name,
                class_name=class_name,
                subproject=subproject,
                content=kind,
            )
            return search(
                self.store,
                encoder,
                query,
                mode=search_mode,
                limit=limit,
                filters=filters,
                per_file=per_file,
                explain=explain,
            )
        finally:
            # A refusal may come first: a process that ends while LanceDB is being imported aborts.
            wait([opening], timeout=_OPENING_S)

    def why_nothing_matches(
        self,
        *,
        language: str | Sequence[str] = (),
        glob: str | None = None,
        chunk_type: str | Sequence[str] = (),
        function_name: str | None = None,
        class_name: str | None = None,
        subproject: str | None = None,
        content: str = "all",
    ) -> list[str]:
        """Say why a search with these filters found nothing: a sentence each; none without filters.

        The filters are those of `search`.

        Raises:
            UsageError: a filter cannot be used.
            StoreError: a table cannot be read.
        """
        with importing:
            from code_index.search.no_match import why_nothing_matches  # most searches find something

        filters = SearchFilter(
            languages=languages_named(_as_tuple(language), held=self.store.search.holds_language),
            path_glob=glob,
            chunk_types=_chunk_types(chunk_type),
            function_name=function_name,
            class_name=class_name,
            subproject=subproject,
            content=_content(content),
        )
        return why_nothing_matches(self.store, filters)

    def symbol(self, name: str, *, kind: str | None = None, limit: int = 20) -> list[Symbol]:
        """Find definitions of a name, best first: exactly it, then where it is a part of the name.

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

        return symbol(self.store, name, kind=None if kind is None else _member("kind", kind, SymbolKind), limit=limit)

    def outline(self, target: str) -> list[Symbol]:
        """List the definitions in a file, by its path, or in a class, by its name, in the order of the source.

        Raises:
            UsageError: no file and no class of the index is called so.
            StoreError: a table cannot be read.
        """
        with importing:
            from code_index.search.symbols import outline

        return outline(self.store, target)

    def references(self, name: str, *, kind: str | None = None, limit: int = 100) -> list[Reference]:
        """Find the places that use a name, the surest first.

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
        return references(self.store, name, kind=of_kind, limit=limit)

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
