"""The repository of an index, with the settings of its walk.

Belongs here: which commit of a git host an index is of. Does not belong here: asking the host and writing its files
(`code_index.repository.origins`, `code_index.repository.origin_checkouts`).
"""

from __future__ import annotations

from code_index.index.folder import IndexFolder
from code_index.index.last_scan import read_last_scan
from code_index.index.settings import Settings
from code_index.repository.commits import checked_out_commit
from code_index.repository.fingerprint import RepositoryState, commit_state, repository_state
from code_index.repository.origin_checkouts import check_out
from code_index.repository.origins import latest_commit
from code_index.repository.source_repository import SourceRepository
from code_index.repository.walk import WalkOptions


def walk_options(folder: IndexFolder, settings: Settings) -> WalkOptions:
    """Gather the options of a walk of the index's repository."""
    return WalkOptions(
        max_file_bytes=settings.max_file_bytes,
        index_dir=folder.path,
        exclude=settings.ignore,
        use_gitignore=settings.use_gitignore,
        tracked_dependencies=settings.tracked_dependencies,
        readers_group=_group(folder) if settings.shared_with_group else None,
    )


def source_repository(folder: IndexFolder, settings: Settings) -> SourceRepository:
    """Make the reader of the index's repository."""
    options = walk_options(folder, settings)
    return SourceRepository(
        folder.repository_root,
        max_file_bytes=options.max_file_bytes,
        exclude=options.exclude,
        use_gitignore=options.use_gitignore,
        tracked_dependencies=options.tracked_dependencies,
        index_dir=options.index_dir,
        readers_group=options.readers_group,
    )


def newest_source(folder: IndexFolder) -> str | None:
    """Bring the newest source that there is, under the lock of the parse phase; returns its commit, None outside of git.

    Source that a git host has is checked out here, at the commit that the ref names now; other source is here.

    Raises:
        RepositoryError: the host does not answer, or the files cannot be written.
    """
    if folder.origin is None:
        return checked_out_commit(folder.repository_root)
    commit = latest_commit(folder.origin)
    check_out(folder.origin, commit, folder.repository_root)
    return commit


def scanned_source(folder: IndexFolder) -> None:
    """Bring the source that the last scan saw, under the lock of the parse phase: of a git host, its commit.

    Another machine may have scanned, and the ref may name another commit by now.

    Raises:
        RepositoryError: as for `newest_source`.
    """
    if folder.origin is not None:
        scan = read_last_scan(folder)
        commit = None if scan is None else scan.commit
        check_out(folder.origin, commit or latest_commit(folder.origin), folder.repository_root)


def source_state(folder: IndexFolder, settings: Settings) -> RepositoryState:
    """Read the state of the newest source; a git host is asked for its commit, and nothing is fetched.

    Raises:
        RepositoryError: the host does not answer, or the repository's folder cannot be read.
    """
    options = walk_options(folder, settings)
    if folder.origin is None:
        return repository_state(folder.repository_root, options)
    return commit_state(latest_commit(folder.origin), options)


def _group(folder: IndexFolder) -> int:
    """The group that reads the index; before there is one, that of the repository."""
    return (folder.path if folder.path.exists() else folder.repository_root).stat().st_gid
