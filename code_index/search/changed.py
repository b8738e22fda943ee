"""Filter of a search: only files that changed since a commit, or in the working tree.

Belongs here: the filter with its paths. Does not belong here: asking git (`code_index.repository.commits`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from code_index.core.errors import UsageError
from code_index.index.folder import IndexFolder
from code_index.repository.commits import changed_since
from code_index.tables.filters import SearchFilter

MOST_CHANGED_FILES: Final = 50_000
"""Paths that a filter may name: reading by a condition of so many takes a quarter of a second."""


def only_changed(
    filters: SearchFilter, folder: IndexFolder, reference: str, *, known: Callable[[], Iterable[str]]
) -> SearchFilter:
    """Narrow a filter to files that differ from a commit: in later commits, in the working tree, or untracked.

    Args:
        filters: to narrow.
        folder: of the index.
        reference: names the commit.
        known: gives the paths of all files of the index; git names only the folder of an untracked repository.

    Raises:
        UsageError: the repository is not on this machine, is no git checkout, has no such commit, or too much of it changed.
    """
    if folder.source_is_elsewhere:
        raise UsageError(
            f"{folder.repository} is searched without its repository: the source is elsewhere, so nothing is known of "
            f"changes since {reference[:80]!r}. Ask without this filter."
        )
    # What is no UTF-8 is not indexed.
    paths = tuple(path for path in changed_since(folder.repository_root, reference) if _is_text(path))
    if folders := tuple(path for path in paths if path.endswith("/")):
        paths += tuple(path for path in known() if path.startswith(folders))
    if len(paths) > MOST_CHANGED_FILES:
        raise UsageError(
            f"{len(paths):,} files changed since {reference[:80]!r}, more than the {MOST_CHANGED_FILES:,} that a search "
            "can be narrowed to. Name a later commit, or search without this filter."
        )
    return replace(filters, paths=paths)


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
