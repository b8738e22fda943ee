"""The published version that a repository begins with: of the nearest commit, among those that fit."""

from __future__ import annotations

from typing import Final

from code_index.core.errors import UsageError
from code_index.index.folder import IndexFolder
from code_index.index.settings import Settings
from code_index.repository.commits import nearest_commit
from code_index.sharing.published_index import PublishedIndex
from code_index.sharing.published_version import Version
from indexing_assets.runs.planning import chunker_identity

_MOST_VERSIONS: Final = 100
"""That are looked at, the newest first."""


def choose(
    published: PublishedIndex, folder: IndexFolder, settings: Settings, model: str, *, name: str | None
) -> tuple[str, Version]:
    """Choose a version: the one that is named, else that of the nearest commit, else the newest; with its name.

    Raises:
        UsageError: there is none that fits; the message says what differs.
        StoreError: the one that is named was changed.
    """
    chunker = chunker_identity(settings)
    if name is not None:
        version = published.version(name)
        if differs := _difference(version, chunker, model):
            raise UsageError(f"The version {name} does not fit: {differs}")
        return name, version
    found = list(published.readable(most=_MOST_VERSIONS))
    if not found:
        raise UsageError(
            f"Nothing that can be fetched is published at {published.place.address}. Publish there from a complete "
            f"index: `code-index publish {published.place.address}`"
        )
    fitting = [(one, version) for one, version in found if not _difference(version, chunker, model)]
    if not fitting:
        newest, version = found[0]
        raise UsageError(
            f"No version at {published.place.address} fits. Of the newest, {newest}: {_difference(version, chunker, model)}"
        )
    by_commit = {version.commit: (one, version) for one, version in reversed(fitting) if version.commit}
    nearest = nearest_commit(folder.repository_root, by_commit)
    return fitting[0] if nearest is None else by_commit[nearest]


def _difference(version: Version, chunker: str, model: str) -> str:
    """The reason why a version cannot be used here; empty where it can."""
    if version.chunker != chunker:
        return (
            f"its files were cut by the chunker {version.chunker}, here it is {chunker}. Publish with the code-index that "
            f"you use (it was {version.program}), and with the same max_chunk_characters and min_chunk_characters."
        )
    if version.model != model:
        return (
            f"its vectors are of the model {version.model}, here it is {model}. Choose the same model in the settings, "
            "or publish with this one."
        )
    return ""
