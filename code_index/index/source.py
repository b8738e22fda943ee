"""The repository of an index, with the settings of its walk."""

from __future__ import annotations

from code_index.index.folder import IndexFolder
from code_index.index.settings import Settings
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


def _group(folder: IndexFolder) -> int:
    """The group that reads the index; before there is one, that of the repository."""
    return (folder.path if folder.path.exists() else folder.repository_root).stat().st_gid
