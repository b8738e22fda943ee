"""The index as a Dagster resource: which repository, which folder, its tables and settings."""

import dagster as dg
from pydantic import Field

from resources.index_folder import IndexFolder, resolve_index_folder
from resources.lancedb_store import IndexStore
from resources.source_repository import SourceRepository


class IndexResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Names an index; nothing is opened or created before an asset asks for it."""

    repository_root: str = Field(
        default="",
        description="Folder of the repository. Empty: environment variable CODE_INDEX_REPOSITORY, else the working "
        "directory or the nearest folder above it that has an index.",
    )
    index_dir: str = Field(
        default="",
        description="Folder of the index. Empty: environment variable CODE_INDEX_DIR, else .code-index in the "
        "repository.",
    )

    def folder(self) -> IndexFolder:
        """The index folder, absolute."""
        return resolve_index_folder(self.repository_root or None, self.index_dir or None)

    def store(self) -> IndexStore:
        """The tables of the index."""
        return IndexStore(self.folder().tables_dir)

    def repository(self) -> SourceRepository:
        """The repository, read with the index's settings."""
        folder = self.folder()
        settings = folder.settings()
        return SourceRepository(
            folder.repository_root,
            max_file_bytes=settings.max_file_bytes,
            exclude=settings.ignore,
            index_dir=folder.path,
        )
