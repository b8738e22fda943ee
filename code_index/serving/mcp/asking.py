"""Asking an index: the process that serves it (`code-index serve`), if there is one, else this one; the answer is the same.

Belongs here: the envelope that comes through the socket as the engine's answer. Does not belong here: the socket
(`code_index.serving.questions`), and what a tool says (`tools`).

A process that serves has tables and model in memory already: this one then loads neither, and an agent's server has a
third of the memory. Several indexes in one ranking are asked here, as by the commands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from code_index.api import Index, Indexes
from code_index.search.answer import Answer
from code_index.search.context import ContextPiece
from code_index.search.freshness import Freshness
from code_index.search.hybrid import SearchHit
from code_index.serving.questions import ask

HitT = TypeVar("HitT")

_TUPLES: Final = ("copies", "newer_files")


def search(indexes: Indexes, **arguments: Any) -> Answer[SearchHit]:
    """Search; arguments and errors as those of `Indexes.ask`."""
    return _by_process("search", indexes, arguments, SearchHit) or indexes.ask(**arguments)


def context(indexes: Indexes, **arguments: Any) -> Answer[ContextPiece]:
    """Gather code for a task; arguments and errors as those of `Indexes.context`."""
    return _by_process("context", indexes, arguments, ContextPiece) or indexes.context(**arguments)


def related(index: Index, **arguments: Any) -> Answer[SearchHit]:
    """Find code like that at a line; arguments and errors as those of `Index.related`."""
    return _by_process("related", Indexes((index,)), arguments, SearchHit) or index.related(**arguments)


def _by_process(
    question: str, indexes: Indexes, arguments: Mapping[str, Any], hit: Callable[..., HitT]
) -> Answer[HitT] | None:
    """The answer of the process that serves the only index; None where there is none."""
    if len(indexes.members) != 1:
        return None
    said = ask(indexes.members[0].folder, question, arguments)
    if said is None:
        return None
    envelope = said["envelope"]
    return Answer(
        freshness=tuple(Freshness(**_with_tuples(one)) for one in envelope["indexes"]),
        hits=tuple(hit(**_with_tuples(one)) for one in envelope["hits"]),
        notes=tuple(envelope["notes"]),
    )


def _with_tuples(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a record as they were before JSON, which has no tuples."""
    return {name: tuple(value) if name in _TUPLES and value is not None else value for name, value in fields.items()}
