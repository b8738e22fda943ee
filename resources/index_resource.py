"""The index as a Dagster resource: its repository, folder, tables and settings."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from pydantic import Field

from code_index.core.errors import SettingsError
from code_index.index.deployment import DEPLOYMENT_VARIABLE, DeployedIndex, deployed_indexes
from code_index.index.folder import IndexFolder, resolve_index_folder
from code_index.tables import IndexStore


class IndexResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The indexes of a deployment; nothing is opened or created before an asset needs it.

    `name` is that of an index in `indexes`, or in the deployment file. Without either there is one index, called None,
    which the fields describe: by default the environment variable `CODE_INDEX_REPOSITORY` names its repository.
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
    indexes: dict[str, Any] = Field(
        default={},
        description="Indexes by name, each a mapping as in the deployment file. Empty: those of that file.",
    )

    def folder(self, name: str | None = None) -> IndexFolder:
        """The index folder, absolute.

        Raises:
            SettingsError: the deployment file has no index of that name.
        """
        if name is None:
            return resolve_index_folder(self.repository_root or None, self.index_dir or None)
        indexes = named_indexes(self.indexes)
        if name not in indexes:
            raise SettingsError(
                f"The deployment has no index {name!r}, it has {', '.join(indexes) or 'none'}. "
                f"Correct the file that {DEPLOYMENT_VARIABLE} names."
            )
        return indexes[name].folder()

    def store(self, name: str | None = None) -> IndexStore:
        """The tables of the index."""
        return IndexStore(self.folder(name).tables)


def named_indexes(given: Mapping[str, Any]) -> Mapping[str, DeployedIndex]:
    """The indexes that a resource was given, by name, or those of the deployment file.

    Raises:
        SettingsError: the deployment file cannot be used.
    """
    return {name: DeployedIndex.model_validate(index) for name, index in given.items()} or deployed_indexes()
