"""Indexes of a Dagster deployment: one without a name, or several that a file lists.

The environment variable `CODE_INDEX_DEPLOYMENT` names the file:

    [indexes.flask]
    repository = "/srv/checkouts/flask"

    [indexes.django]
    repository = "/srv/checkouts/django"
    index_dir = "/srv/indexes/django"
    settings = { max_file_bytes = 4_000_000 }

    [indexes.celery]
    git = "https://git.example.com/team/celery.git"
    ref = "main"
    tables = "s3://team/indexes/celery"

Belongs here: what an index of a deployment is, and what several must not share. A component's YAML lists the same.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from code_index.core.cache import cache_folder
from code_index.core.errors import SettingsError, StoreError, UsageError
from code_index.core.hashing import content_hash
from code_index.core.regular_files import load_toml, read_regular_file
from code_index.index.folder import IndexFolder, folder_at_store, resolve_index_folder, write_instance_config
from code_index.index.settings import Settings
from code_index.index.trust import state_folder
from code_index.repository.origins import GitOrigin, is_local
from code_index.repository.skip_rules import INDEX_FOLDER

DEPLOYMENT_VARIABLE: Final = "CODE_INDEX_DEPLOYMENT"
# A name becomes part of the names of jobs, ops and partitions, for which Dagster allows no more.
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_HASH_CHARACTERS: Final = 12
_SINGLE: Final[Mapping[str, DeployedIndex]] = MappingProxyType({})


class DeployedIndex(BaseModel):
    """One index of a deployment."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    repository: str = Field(default="", description="Folder of the repository.")
    git: str = Field(
        default="",
        description="Address of the repository at a git host, in place of a folder: https://host/path, "
        "ssh://user@host/path, user@host:path, or the path of a repository on this machine.",
    )
    ref: str = Field(default="HEAD", description="Branch, tag or commit of `git`.")
    index_dir: str = Field(default="", description="Folder of the index; empty for .code-index in the repository.")
    tables: str = Field(
        default="", description="Place of its tables at a store, s3://bucket/prefix, in place of a folder of the index."
    )
    settings: dict[str, Any] = Field(
        default={}, description="Settings, by name, in place of those in the index folder's settings.toml."
    )

    @field_validator("settings")
    @classmethod
    def _settings_can_be_used(cls, values: dict[str, Any]) -> dict[str, Any]:
        try:
            Settings.from_settings(values)
        except SettingsError as error:
            raise ValueError(str(error)) from error
        return values

    @field_validator("tables")
    @classmethod
    def _tables_are_at_a_store(cls, address: str) -> str:
        if address:
            try:
                folder_at_store(address)
            except UsageError as error:
                raise ValueError(str(error)) from error
        return address

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if bool(self.repository) == bool(self.git):
            raise ValueError(
                "an index has either `repository`, a folder, or `git`, the address of a git host; name one"
            )
        if self.git:
            try:
                _placed_address(self.git, self.ref, Path("/"))
            except UsageError as error:
                raise ValueError(str(error)) from error
            if not self.tables and not self.index_dir:
                raise ValueError("an index with `git` needs `tables` at a store, or an `index_dir`: name its place")
        elif self.ref != "HEAD":
            raise ValueError("`ref` belongs to `git`; of a folder, what is checked out is indexed")
        return self

    @model_validator(mode="after")
    def _is_in_one_place(self) -> Self:
        if self.tables and self.index_dir:
            raise ValueError("an index with `tables` at a store has no `index_dir`; leave one of them out")
        return self

    @property
    def source(self) -> str:
        """Name where its source is."""
        return self.repository or GitOrigin(self.git, self.ref).address

    def folder(self) -> IndexFolder:
        """The index folder, absolute.

        Raises:
            UntrustedIndexError, UsageError: as `resolve_index_folder`.
        """
        origin = GitOrigin(self.git, self.ref) if self.git else None
        root = Path(self.repository) if origin is None else self._checkout()
        if self.tables:
            return folder_at_store(self.tables, repository=root, origin=origin, given_settings=self.settings)
        # Both paths are given, so that the variables of a single index do not apply.
        place = self.index_dir or root / INDEX_FOLDER
        return replace(resolve_index_folder(root, place, given_settings=self.settings), origin=origin)

    def _checkout(self) -> Path:
        """The folder in the user's cache folder where this machine has the files of the index's commit."""
        place = f"{self.git}\n{self.tables or self.index_dir}"
        return cache_folder() / "checkouts" / content_hash(place.encode())[:_HASH_CHARACTERS]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    indexes: dict[str, DeployedIndex] = Field(min_length=1)


def deployed_indexes(environment: Mapping[str, str] | None = None) -> Mapping[str, DeployedIndex]:
    """Read the indexes of the deployment, by name; none where it serves a single one without a name.

    Paths are absolute; relative ones count from the file's folder. Repositories and index folders need not exist yet.

    Raises:
        SettingsError: the file cannot be read or used; the message names the entry.
    """
    named = (os.environ if environment is None else environment).get(DEPLOYMENT_VARIABLE)
    if not named:
        return _SINGLE
    path = Path(named).expanduser()
    try:
        # A link is fine here: the user's environment names the file, and Kubernetes mounts files as links.
        place = path.resolve()
        content = read_regular_file(place)
    except OSError as error:
        raise SettingsError(
            f"The deployment file {path} cannot be read: {error.strerror}. Correct {DEPLOYMENT_VARIABLE}."
        ) from error
    try:
        return _indexes_of(content, place.parent)
    except SettingsError as error:
        raise SettingsError(f"The deployment file {path}: {error}") from error


@functools.lru_cache(maxsize=1)
def _indexes_of(content: bytes, folder: Path) -> Mapping[str, DeployedIndex]:
    """The indexes of a deployment file's content; each resource of each index asks for all of them again and again.

    Raises:
        SettingsError: the content cannot be used.
    """
    try:
        parsed = load_toml(content.decode())
    except ValueError as error:
        raise SettingsError(f"it is not valid TOML: {error}.") from error
    return MappingProxyType(placed_indexes(_checked(parsed).indexes, folder))


def create_deployment_home(instance_config: str) -> Path:
    """Create the folder of Dagster's records of the deployment, in the user's state folder, unless it is there.

    It belongs to the path of the deployment file, not to the file's own folder, which may be a checkout's.

    Args:
        instance_config: text of the `dagster.yaml` in it; another one that is there is replaced.

    Raises:
        StoreError: the folder cannot be written.
    """
    place = Path(os.environ[DEPLOYMENT_VARIABLE]).expanduser().resolve()
    home = state_folder() / "deployments" / content_hash(os.fsencode(place))[:_HASH_CHARACTERS]
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_instance_config(home, instance_config)
    except OSError as error:
        raise StoreError(
            f"Cannot write {home}, where Dagster's records of the deployment {place} are kept: {error.strerror}. Allow "
            "writing, or name another folder with DAGSTER_HOME."
        ) from error
    return home


def placed_indexes(indexes: Mapping[str, DeployedIndex], folder: Path) -> dict[str, DeployedIndex]:
    """The indexes with absolute paths; relative ones count from `folder`.

    Raises:
        SettingsError: a name cannot be used, or two of them share an index folder.
    """
    places: dict[str, str] = {}
    placed = {}
    for name, index in indexes.items():
        if not _NAME.fullmatch(name):
            raise SettingsError(
                f"index name {name!r} must be lower-case letters, digits and _, and begin with a letter."
            )
        source = (
            {"git": _placed_address(index.git, index.ref, folder).url}
            if index.git
            else {"repository": str(_below(folder, index.repository))}
        )
        index_dir = _below(folder, index.index_dir or Path(index.repository, INDEX_FOLDER))
        place = index.tables or str(index_dir)
        if place in places:
            own = "tables" if index.tables else "an index_dir"
            raise SettingsError(
                f"{places[place]!r} and {name!r} share the index at {place}. Give one of them {own} of its own."
            )
        places[place] = name
        there = {} if index.tables else {"index_dir": place}
        placed[name] = index.model_copy(update=source | there)
    return placed


def _checked(content: dict[str, Any]) -> _File:
    try:
        return _File.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise SettingsError(
            f"{place}: {first['msg']}. Each index is a table [indexes.<name>] with `repository`, or `git` and "
            "`ref`, and if wanted `index_dir` or `tables`, and `settings`."
        ) from error


def _placed_address(address: str, ref: str, folder: Path) -> GitOrigin:
    """The origin; the path of a repository on this machine counts from `folder`.

    Raises:
        UsageError: the address or the ref cannot be used.
    """
    return GitOrigin(str(_below(folder, address)) if is_local(address) else address, ref)


def _below(folder: Path, path: str | Path) -> Path:
    return (folder / Path(path).expanduser()).resolve()
