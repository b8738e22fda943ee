"""The repository of an index, looked at as its settings say."""

from __future__ import annotations

from code_index.index.folder import IndexFolder
from code_index.index.settings import Settings
from code_index.repository.source_repository import SourceRepository
from code_index.repository.walk import WalkOptions


def walk_options(folder: IndexFolder, settings: Settings) -> WalkOptions:
    """Gather what a walk of the index's repository is told."""
    return WalkOptions(max_file_bytes=settings.max_file_bytes, index_dir=folder.path, exclude=settings.ignore)


def source_repository(folder: IndexFolder, settings: Settings) -> SourceRepository:
    """Make the reader of the index's repository."""
    return SourceRepository(
        folder.repository_root,
        max_file_bytes=settings.max_file_bytes,
        exclude=settings.ignore,
        index_dir=folder.path,
    )
