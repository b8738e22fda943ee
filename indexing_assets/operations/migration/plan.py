"""A migration decided: which old index, which model, which roots. Nothing is written.

Belongs here: what the command's options, the old index's small files and the environment say together. Does not belong
here: the old table's rows (`indexing_assets.operations.migration.carrier`).
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from code_index.core.errors import MigrationError, SettingsError
from code_index.embedding.configuration import DETERMINISTIC
from code_index.embedding.models.description import ModelDescription, describe_model, settings_for_plain_encoding
from code_index.embedding.models.lookup import is_default_model
from code_index.index.folder import IndexFolder
from code_index.index.settings import ENVIRONMENT_PREFIX, Settings
from code_index.tables import IndexStore
from indexing_assets.operations.migration.old_index.layout import (
    CONFIG_FILE,
    TABLE,
    OldIndex,
    find_old_index,
    find_old_table,
    read_old_index,
)

_SHOWN = 80  # characters of a model's name


@dataclass(frozen=True, slots=True)
class Plan:
    """A migration decided before anything is written.

    `roots` are the folders that the old paths may begin with; `values` the settings of the old vectors' model, and
    `settings` all settings of the index with them.
    """

    folder: IndexFolder
    old: OldIndex
    roots: tuple[str, ...]
    values: Mapping[str, Any]
    settings: Settings
    model: ModelDescription


def find_unmigrated(folder: IndexFolder) -> OldIndex | None:
    """Find the old index of a repository whose own index has no chunks yet.

    Raises:
        MigrationError: its small files cannot be read.
    """
    place = find_old_table(folder.repository_root)
    if place is None or (folder.exists and IndexStore(folder.tables_dir).chunks.count()):
        return None
    return read_old_index(*place)


def plan_migration(
    folder: IndexFolder, *, source: Path | None = None, model: str | None = None, old_root: str | None = None
) -> Plan:
    """Find the old index, its model and its root.

    Args:
        folder: the index that imports it.
        source: folder of the old index; by default the one in the repository.
        model: name of its model, where its config does not say or the model has another name here.
        old_root: the folder that its absolute paths begin with, where its config does not say.

    Raises:
        MigrationError: there is none, or it cannot be imported.
        ModelError: its model is not here; the message says what to do.
        SettingsError: the environment asks for another model.
    """
    old = find_old_index(folder.repository_root, source)
    if old is None:
        place = source or folder.repository_root
        raise MigrationError(
            f"There is no single-table index (a table {TABLE}.lance) in {place}. Name its folder with --from."
        )
    name = model or old.model
    if model is None and name is not None and name != DETERMINISTIC and not is_default_model(name):
        # Whatever it names would be loaded: a folder of the repository as well as a model from a hub.
        raise MigrationError(
            f"{old.folder / CONFIG_FILE} says that the model {name[:_SHOWN]!r} made the vectors. It may have come with "
            "the repository, which does not choose a model: if you trust it, name it yourself with --model."
        )
    if name is None:
        raise MigrationError(f"{old.folder / CONFIG_FILE} does not name the embedding model. Name it with --model.")
    current = folder.settings()
    values = settings_for_plain_encoding(name, allow_download=current.embedder.allow_download)
    for key, value in values.items():
        variable = ENVIRONMENT_PREFIX + key.upper()
        if os.environ.get(variable, str(value)) != str(value):
            raise SettingsError(
                f"environment variable {variable} = {os.environ[variable]!r}, but the vectors of {old.folder} need "
                f"{key} = {value!r}. Unset it and run the migration again."
            )
    settings = current.with_settings(values)
    roots = [old_root] if old_root else [old.project_root, str(folder.repository_root)]
    return Plan(folder, old, tuple(filter(None, roots)), values, settings, describe_model(settings.embedder))
