"""An open index: all that a function over its tables and Dagster's records needs.

Belongs here: what is read of both, by the names of this index. Does not belong here: what follows from
it (`planning`, `index_status`, checks, upkeep).
"""

from __future__ import annotations

from dataclasses import dataclass

import dagster as dg

from code_index.index.folder import IndexFolder
from code_index.index.settings import Settings
from code_index.index.source import source_repository
from code_index.repository.source_repository import SourceRepository
from code_index.tables import IndexStore
from indexing_assets.runs.index_names import IndexNames
from resources.index_resource import IndexResource


@dataclass(frozen=True, slots=True)
class OpenIndex:
    """One index of a deployment, with the Dagster instance that has its records."""

    names: IndexNames
    folder: IndexFolder
    settings: Settings
    store: IndexStore
    instance: dg.DagsterInstance

    def repository(self) -> SourceRepository:
        """The repository, read with the index's settings."""
        return source_repository(self.folder, self.settings)

    def partition_keys(self, asset: str) -> list[str]:
        """Partition keys of an asset, in the order in which they were added."""
        return list(self.instance.get_dynamic_partitions(self.names.partitions(asset)))

    def materialized_keys(self, asset: str) -> set[str]:
        """Partition keys that events record as materialized; some may not exist any more."""
        return self.instance.get_materialized_partitions(self.names.asset_key(asset))


def open_index(
    instance: dg.DagsterInstance, index: IndexResource, names: IndexNames, *, must_exist: bool = True
) -> OpenIndex:
    """Open an index; without `must_exist` also one that the first scan has yet to make.

    Raises:
        IndexMissingError: there is no index yet.
        StoreError: the folder was made by a newer program or for another repository.
        SettingsError: a setting cannot be used.
    """
    folder = index.folder(names.index)
    if must_exist:
        folder.check()
    return OpenIndex(names, folder, folder.settings(), index.store(names.index), instance)
