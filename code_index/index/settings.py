"""Settings of an index: one documented TOML file in the index folder, and the environment.

An environment variable wins over the file, the file over the default. Values are checked here,
once; everything below takes them as they are.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from code_index.core.errors import SettingsError

ENVIRONMENT_PREFIX = "CODE_INDEX_"
DEVICE_PATTERN = r"^(auto|cpu|mps|cuda(:\d+)?)$"
BACKEND_PATTERN = r"^(auto|onnx|torch)$"
RECIPE_PATTERN = r"^(full|source)$"
PRECISION_PATTERN = r"^(auto|float32|float16|bfloat16|int8)$"


class Settings(BaseModel):
    """What a user may tune; each field is a key of `settings.toml` and an environment variable."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_file_bytes: int = Field(default=1 << 20, ge=1, description="Larger files are skipped, with that reason. Bytes.")
    ignore: tuple[str, ...] = Field(
        default=(), description="More ignore patterns in .gitignore syntax, relative to the repository's root."
    )
    max_chunk_characters: int = Field(
        default=2_000, ge=200, le=100_000, description="A longer definition is split at syntax boundaries."
    )
    min_chunk_characters: int = Field(
        default=200, ge=0, le=10_000, description="Shorter neighbouring pieces of module code are merged."
    )
    parse_workers: int = Field(
        default=0, ge=0, le=256, description="Parser processes; 0 means one per available processor."
    )
    parse_timeout_s: float = Field(
        default=20.0,
        gt=0,
        le=86_400,
        description="A file whose grammar takes longer is cut as plain text; one that takes as long again fails. "
        "Seconds of a processor.",
    )
    parse_memory_bytes: int = Field(
        default=2 << 30,
        ge=256 << 20,
        le=1 << 50,
        description="Address space that a parser process may take for a file, beyond its own; one that needs more fails.",
    )
    parse_checkpoint_files: int = Field(
        default=1_000, ge=1, description="Chunks are committed at the latest after so many files, or every 5 seconds."
    )
    model: str = Field(
        default="all-MiniLM-L6-v2",
        min_length=1,
        description="Embedding model: the built-in name, a folder, or a model hub's name.",
    )
    model_revision: str = Field(
        default="", description="Branch, tag or commit of a hub's model; empty for the one that is here, or the newest."
    )
    document_prompt: str = Field(
        default="auto", description="Text put before each chunk for the model; auto for what the model's folder says."
    )
    query_prompt: str = Field(
        default="auto", description="Text put before each query for the model; auto for what the model's folder says."
    )
    text_recipe: str = Field(
        default="full",
        pattern=RECIPE_PATTERN,
        description="What of a chunk is embedded: full (path, names and source) or source (as in single-table indexes).",
    )
    device: str = Field(
        default="auto",
        pattern=DEVICE_PATTERN,
        description="Where the model runs: auto (CUDA, then MPS, then CPU), cpu, cuda, cuda:<number> or mps.",
    )
    backend: str = Field(
        default="auto",
        pattern=BACKEND_PATTERN,
        description="auto, onnx (CPU, without torch) or torch (any device, any model).",
    )
    precision: str = Field(
        default="auto",
        pattern=PRECISION_PATTERN,
        description="Arithmetic of the model: auto, float32, float16, bfloat16 or int8. Vectors are float32.",
    )
    max_tokens: int = Field(
        default=0,
        ge=0,
        description="Tokens of a text that the model reads; 0 for what suits the model. A change embeds all again.",
    )
    token_budget: int = Field(
        default=0, ge=0, description="Most tokens in one batch, padding included; 0 for what suits the device."
    )
    embed_threads: int = Field(default=0, ge=0, le=1_024, description="CPU threads of the model; 0 for all cores.")
    allow_download: bool = Field(
        default=False, description="Whether a model that is not here may be downloaded from a model hub."
    )
    embedding_batch_chunks: int = Field(
        default=512, ge=1, le=100_000, description="Chunks in one partition of chunk_vectors."
    )
    checkpoint_chunks: int = Field(
        default=10_000, ge=1, description="Vectors are committed at the latest after so many chunks ..."
    )
    checkpoint_s: float = Field(
        default=15.0, gt=0, le=86_400, description="... or about so many seconds, whichever comes first."
    )


def load_settings(path: Path, environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings that hold for an index.

    Args:
        path: `settings.toml`; a missing file means defaults.
        environment: by default that of the process.

    Raises:
        SettingsError: a value or a key cannot be used; the message names it and its source.
    """
    values, sources = _gathered(path, os.environ if environment is None else environment)
    return _checked(values, sources)


@dataclass(frozen=True, slots=True)
class SettingOrigin:
    """A setting as it holds, and where its value comes from: `default`, a file, or an environment variable."""

    name: str
    value: Any
    default: Any
    source: str
    description: str


def explained_settings(path: Path, environment: Mapping[str, str] | None = None) -> list[SettingOrigin]:
    """Every setting with its origin, in the order of the settings file.

    Raises:
        SettingsError: as `load_settings`.
    """
    values, sources = _gathered(path, os.environ if environment is None else environment)
    settings = _checked(values, sources)
    return [
        SettingOrigin(name, getattr(settings, name), item.default, sources.get(name, "default"), item.description or "")
        for name, item in Settings.model_fields.items()
    ]


def _gathered(path: Path, environment: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Values as they are written, and where each comes from."""
    values: dict[str, Any] = {}
    try:
        values.update(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        pass
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{path} is not valid TOML: {error}. Mend it, or delete it to go back to defaults."
        ) from error
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be read: {error.strerror}. Make it a readable file, or delete it."
        ) from error
    sources = dict.fromkeys(values, str(path))
    for name in Settings.model_fields:
        variable = ENVIRONMENT_PREFIX + name.upper()
        if variable in environment:
            text = environment[variable]
            values[name] = tuple(filter(None, text.split("\n"))) if name == "ignore" else text
            sources[name] = f"environment variable {variable}"
    return values, sources


def _checked(values: Mapping[str, Any], sources: Mapping[str, str]) -> Settings:
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        if first["type"] == "extra_forbidden":
            raise SettingsError(
                f"{sources[name]}: there is no setting {name!r}. Known: {', '.join(Settings.model_fields)}."
            ) from error
        raise SettingsError(f"{sources[name]}: {name} = {first['input']!r}: {first['msg']}.") from error
    if settings.min_chunk_characters > settings.max_chunk_characters:
        places = {sources[name] for name in ("min_chunk_characters", "max_chunk_characters") if name in sources}
        raise SettingsError(
            f"{' and '.join(sorted(places))}: min_chunk_characters = {settings.min_chunk_characters} is above "
            f"max_chunk_characters = {settings.max_chunk_characters}. Lower the first or raise the second."
        )
    return settings


def settings_template() -> str:
    """Text of a new `settings.toml`: every setting with its meaning, commented out at its default."""
    lines = ["# Settings of this index. Uncomment a line to change it.", ""]
    for name, field in Settings.model_fields.items():
        lines += [
            f"# {field.description}",
            f"# Environment variable: {ENVIRONMENT_PREFIX}{name.upper()}",
            f"# {name} = {_toml(field.default)}",
            "",
        ]
    return "\n".join(lines)


def settings_with(text: str, values: Mapping[str, Any]) -> str:
    """The text of a `settings.toml` with these values set, each at the place where the file speaks of it."""
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
