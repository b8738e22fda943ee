"""The reason why a search with filters found nothing.

Belongs here: looking at each filter by itself, and names that come close. Does not belong here: the filters' conditions
(`code_index.tables.filters`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Final

import pyarrow.compute as pc

from code_index.tables.filters import SearchFilter
from code_index.tables.store import IndexStore

_NAMES: Final = {
    "languages": "language",
    "path_glob": "glob",
    "chunk_types": "type",
    "function_name": "function",
    "class_name": "class",
    "subproject": "subproject",
    "content": "content",
    "paths": "changed since",
}
"""Names of the filters, for a reader who gave them as options, as arguments or on a page."""

_COLUMNS: Final = {"function_name": "function_name", "class_name": "class_name", "subproject": "subproject_name"}
_NOUNS: Final = {"function_name": "function or method", "class_name": "class", "subproject": "subproject"}
_NEAREST: Final = 3
_COMPARED: Final = 2_000  # names; comparing costs a tenth of a millisecond each
_SHOWN: Final = 80


def why_nothing_matches(store: IndexStore, filters: SearchFilter) -> list[str]:
    """Sentences that say which filters let nothing through, and why; none without filters.

    Raises:
        StoreError: a table cannot be read.
    """
    if filters.paths == ():
        return ["No file differs from that commit."]
    given = [field for field in _NAMES if getattr(filters, field)]
    if not given:
        return []
    blocking = [field for field in given if not _count(store, _only(filters, field))]
    if blocking:
        return [_of_filter(store, field, filters) for field in blocking]
    matching = _count(store, filters)
    if matching:
        return [f"{matching:,} chunks meet the filters, but none holds what the query says."]
    names = " and ".join(_NAMES[field] for field in given)
    return [f"Some chunks meet each of the filters {names}, but none meets all of them."]


def _only(filters: SearchFilter, field: str) -> SearchFilter:
    return replace(SearchFilter(), **{field: getattr(filters, field)})


def _count(store: IndexStore, filters: SearchFilter) -> int:
    return int(store.chunks.read(["chunk_type"], filters.where()).num_rows)


def _of_filter(store: IndexStore, field: str, filters: SearchFilter) -> str:
    if field == "paths":
        changed = len(filters.paths or ())
        return f"Of {changed:,} files that changed since that commit none has a chunk in this index."
    if field not in _COLUMNS:
        value = getattr(filters, field)
        shown = value if isinstance(value, str) else ", ".join(value)
        return f"No chunk of this index meets the filter {_NAMES[field]} {shown[:_SHOWN]}."
    noun, name = _NOUNS[field], str(getattr(filters, field))
    names = _names(store, field)
    if not names:
        languages = sorted(_distinct(store, "language", None))
        return f"No {noun} is known in this index, whose languages are {', '.join(languages) or 'none'}."
    other = {"function_name": "class_name", "class_name": "function_name"}.get(field)
    if other is not None and name in _names(store, other):
        return f"{name[:_SHOWN]!r} is a {_NOUNS[other]}, and no {noun}: filter by {_NAMES[other]}."
    near = _nearest(name, names)
    hint = f" Close to it: {', '.join(near)}." if near else ""
    return f"No {noun} of this index is called {name[:_SHOWN]!r}.{hint}"


def _names(store: IndexStore, field: str) -> list[str]:
    column = _COLUMNS[field]
    return _distinct(store, column, f"{column} IS NOT NULL")


def _distinct(store: IndexStore, column: str, where: str | None) -> list[str]:
    return [str(name) for name in pc.unique(store.chunks.read([column], where).column(column)).to_pylist() if name]


def _nearest(name: str, names: Sequence[str]) -> list[str]:
    """Names that somebody may have meant: spelled in another case, the last part of a longer one, or with a slip."""
    parts = [part for part in name.replace("::", ".").replace("#", ".").replace("/", ".").split(".") if part]
    wanted = {name.casefold(), *(part.casefold() for part in parts[-1:])}
    same = [one for one in names if one.casefold() in wanted or one.casefold().rpartition(".")[2] in wanted]
    if len(same) < _NEAREST:
        holding = [one for one in names if name.casefold() in one.casefold()]
        close = [one for one in names if one[:1].casefold() == name[:1].casefold() and abs(len(one) - len(name)) <= 2]  # noqa: PLR2004
        same += [*get_close_matches(name, close[:_COMPARED], n=_NEAREST), *sorted(holding, key=len)]
    return list(dict.fromkeys(same))[:_NEAREST]
