"""Settings of an index: one documented TOML file in the index folder, and the environment.

An environment variable wins over what a deployment gives, that over the file, the file over the default. Values are
checked here, once.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Self

from pydantic import Field, model_validator

from code_index.core.addresses import parsed_address
from code_index.core.checked_settings import CheckedSettings
from code_index.core.errors import SettingsError, UsageError
from code_index.core.regular_files import load_toml, read_regular_file
from code_index.embedding.configuration import EmbedderConfig

ENVIRONMENT_PREFIX = "CODE_INDEX_"
_NONE_GIVEN: Final[Mapping[str, Any]] = MappingProxyType({})


class Settings(CheckedSettings):
    """The values that a user may tune; each setting is a key of `settings.toml` and an environment variable."""

    max_file_bytes: int = Field(
        default=1 << 20, ge=1, description="Bytes of the largest file that is indexed; larger ones are skipped."
    )
    ignore: tuple[str, ...] = Field(
        default=(), description="More ignore patterns in .gitignore syntax, relative to the repository's root."
    )
    use_gitignore: bool = Field(
        default=True,
        description="Leave out what git ignores; otherwise only .codeindexignore, ignore and the built-in rules do.",
    )
    tracked_dependencies: bool = Field(
        default=False,
        description="Index dependencies that git tracks, such as vendor beside go.mod; otherwise they are skipped.",
    )
    shared_with_group: bool = Field(
        default=False,
        description="Let the group of the index folder read the index, with those source files that the group may "
        "read; otherwise it is closed to other users.",
    )
    max_chunk_characters: int = Field(
        default=2_000, ge=200, le=100_000, description="A longer definition is split at syntax boundaries."
    )
    min_chunk_characters: int = Field(
        default=200, ge=0, le=10_000, description="Shorter pieces of a long text between definitions are merged."
    )
    parse_workers: int = Field(
        default=0, ge=0, le=256, description="Parser processes; 0 means one per available processor."
    )
    parse_timeout_s: float = Field(
        default=20.0,
        gt=0,
        le=86_400,
        description="Processor seconds that a file's grammar may take, then it is cut as plain text; if that takes as "
        "long again, the file fails.",
    )
    parse_memory_bytes: int = Field(
        default=2 << 30,
        ge=256 << 20,
        le=1 << 50,
        description="Bytes of address space that a parser process may add for a file; one that needs more fails.",
    )
    parse_checkpoint_files: int = Field(
        default=1_000,
        ge=1,
        description="Most files between two commits of chunks; one comes every 5 seconds at the latest.",
    )
    embedder: EmbedderConfig = Field(default=EmbedderConfig(), description="The model; its settings stand among these.")
    embedding_batch_chunks: int = Field(
        default=512, ge=1, le=100_000, description="Chunks in one partition of chunk_vectors."
    )
    checkpoint_chunks: int = Field(default=10_000, ge=1, description="Most chunks between two commits of vectors.")
    checkpoint_s: float = Field(
        default=15.0,
        gt=0,
        le=86_400,
        description="Seconds between two commits of vectors, about; checkpoint_chunks may come first.",
    )
    library_bytes: int = Field(
        default=5_000_000_000,
        ge=0,
        le=1 << 50,
        description="Bytes of vectors in this user's library, which all indexes of the machine share; 0 means that this "
        "index neither asks it nor gives to it.",
    )
    library_days: int = Field(
        default=90, ge=1, le=36_500, description="Days without use after which a vector leaves this user's library."
    )
    shared_libraries: tuple[str, ...] = Field(
        default=(),
        description="Further libraries that are asked for vectors, in this order: folders by absolute path, or "
        "s3://bucket/prefix.",
    )
    write_shared_libraries: bool = Field(
        default=False, description="Also give new vectors to the shared libraries, as a team's CI does."
    )
    embedding_hosts: int = Field(
        default=1,
        ge=1,
        le=1_000,
        description="Hosts that embed this index at once: the sensor cuts its batches into as many runs of "
        "library_vectors, which give vectors to the shared libraries; 1 means that one run embeds all.",
    )

    @model_validator(mode="after")
    def _limits_of_chunks_agree(self) -> Self:
        if self.min_chunk_characters > self.max_chunk_characters:
            raise SettingsError(
                f"min_chunk_characters = {self.min_chunk_characters} is above "
                f"max_chunk_characters = {self.max_chunk_characters}. Lower the first or raise the second.",
                settings=("min_chunk_characters", "max_chunk_characters"),
            )
        return self

    @model_validator(mode="after")
    def _libraries_are_named_by_their_address(self) -> Self:
        for place in self.shared_libraries:
            try:
                parsed_address(place)
            except UsageError as error:
                raise SettingsError(f"shared_libraries: {error}", settings=("shared_libraries",)) from error
        return self

    @model_validator(mode="after")
    def _hosts_meet_in_a_library(self) -> Self:
        if self.embedding_hosts > 1 and not (self.shared_libraries and self.write_shared_libraries):
            raise SettingsError(
                f"embedding_hosts = {self.embedding_hosts} needs a library that all hosts reach: name it in "
                "shared_libraries, and set write_shared_libraries to true.",
                settings=("embedding_hosts",),
            )
        return self


def load_settings(
    path: Path, environment: Mapping[str, str] | None = None, *, given: Mapping[str, Any] = _NONE_GIVEN
) -> Settings:
    """Read the settings of an index.

    Args:
        path: `settings.toml`; a missing file means defaults.
        environment: by default that of the process.
        given: values, by setting, that win over the file's: those of a deployment.

    Raises:
        SettingsError: a value or a key cannot be used; the message names it and its source.
    """
    values, sources = _gathered(path, os.environ if environment is None else environment, given)
    return _checked(values, sources)


@dataclass(frozen=True, slots=True)
class SettingOrigin:
    """A setting with the source of its value: `default`, a file, or an environment variable."""

    name: str
    value: Any
    default: Any
    source: str
    description: str


def explained_settings(path: Path, environment: Mapping[str, str] | None = None) -> list[SettingOrigin]:
    """List every setting with its origin, in the order of the settings file.

    Raises:
        SettingsError: as `load_settings`.
    """
    values, sources = _gathered(path, os.environ if environment is None else environment, {})
    current = _checked(values, sources).by_setting()
    return [
        SettingOrigin(name, current[name], field.default, sources.get(name, "default"), field.description or "")
        for name, field in Settings.fields_by_setting().items()
    ]


def _gathered(
    path: Path, environment: Mapping[str, str], given: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Gather the values as they are written, and the source of each."""
    values: dict[str, Any] = {}
    try:
        values.update(load_toml(read_regular_file(path).decode()))
    except FileNotFoundError:
        pass
    except ValueError as error:
        raise SettingsError(
            f"{path} is not valid TOML: {error}. Fix it, or delete it to go back to defaults."
        ) from error
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be read: {error.strerror}. Make it a readable file, or delete it."
        ) from error
    sources = dict.fromkeys(values, str(path))
    values.update(given)
    sources.update(dict.fromkeys(given, "settings of the deployment"))
    for name, field in Settings.fields_by_setting().items():
        variable = ENVIRONMENT_PREFIX + name.upper()
        if variable in environment:
            text = environment[variable]
            values[name] = tuple(filter(None, text.split("\n"))) if isinstance(field.default, tuple) else text
            sources[name] = f"environment variable {variable}"
    return values, sources


def _checked(values: Mapping[str, Any], sources: Mapping[str, str]) -> Settings:
    try:
        return Settings.from_settings(values)
    except SettingsError as error:
        places = {sources[name] for name in error.settings if name in sources}
        raise SettingsError(f"{' and '.join(sorted(places))}: {error}", settings=error.settings) from error


def settings_template() -> str:
    """Write the text of a new `settings.toml`: every setting with its meaning, commented out at its default."""
    lines = ["# Settings of this index. Uncomment a line to change it.", ""]
    for name, field in Settings.fields_by_setting().items():
        lines += [
            f"# {field.description}",
            f"# Environment variable: {ENVIRONMENT_PREFIX}{name.upper()}",
            f"# {name} = {_toml(field.default)}",
            "",
        ]
    return "\n".join(lines)


def settings_with(text: str, values: Mapping[str, Any]) -> str:
    """Set values in the text of a `settings.toml`, each on its own or its commented line, else at the end."""
    lines = text.splitlines()
    for name, value in values.items():
        entry = f"{name} = {_toml(value)}"
        said = [at for at, line in enumerate(lines) if re.match(rf"{name}\s*=", line)]
        offered = [at for at, line in enumerate(lines) if re.match(rf"#\s*{name}\s*=", line)]
        if places := said or offered:
            lines[places[0]] = entry
        else:
            lines.append(entry)
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)  # a basic string of TOML has JSON's escapes
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)
