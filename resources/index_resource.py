"""The index as a Dagster resource: its repository, folder, tables and settings."""

from pathlib import Path

import dagster as dg
from pydantic import Field

from code_index.core.errors import SettingsError
from code_index.index.deployment import DEPLOYMENT_VARIABLE, deployed_indexes
from code_index.index.folder import IndexFolder, resolve_index_folder
from code_index.repository.skip_rules import INDEX_FOLDER
from code_index.tables import IndexStore


class IndexResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The indexes of a deployment; nothing is opened or created before an asset needs it.

    `name` is that of an index in the deployment file. Without such a file there is one index, called None, which the
    fields describe: by default the environment variable `CODE_INDEX_REPOSITORY` names its repository.
    """

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

    def folder(self, name: str | None = None) -> IndexFolder:
        """The index folder, absolute.

        Raises:
            SettingsError: the deployment file has no index of that name.
        """
        if name is None:
            return resolve_index_folder(self.repository_root or None, self.index_dir or None)
        indexes = deployed_indexes()
        if name not in indexes:
            raise SettingsError(
                f"The deployment has no index {name!r}, it has {', '.join(indexes) or 'none'}. "
                f"Correct the file that {DEPLOYMENT_VARIABLE} names."
            )
        index = indexes[name]
        # Both paths are given, so that the variables of a single index do not apply.
        return resolve_index_folder(index.repository, index.index_dir or Path(index.repository, INDEX_FOLDER))

    def store(self, name: str | None = None) -> IndexStore:
        """The tables of the index."""
        return IndexStore(self.folder(name).tables_dir)
