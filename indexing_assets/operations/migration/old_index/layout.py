"""The place of a single-table index, and the content of its small files.

Belongs here: finding one, `config.json` and `index_metadata.json`. Does not belong here: the table's rows
(`indexing_assets.operations.migration.old_index.table`).

<repository>/.mcp-vector-search/
  code_search.lance     one row a chunk: vector, content, metadata
  index_metadata.json   version of the program, time, modification time of each file
  config.json           root of the repository, embedding model
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from code_index.core.errors import MigrationError
from code_index.core.regular_files import load_json, read_regular_file

TABLE = "code_search"
METADATA_FILE = "index_metadata.json"
CONFIG_FILE = "config.json"
_USUAL_FOLDER = ".mcp-vector-search"
_SUBFOLDERS = ("", "lance")
MAX_FILE_BYTES = 256 << 20  # of the times of a million files
_LATEST_S = 1e12
_SHOWN = 40  # characters of a version


@dataclass(frozen=True, slots=True)
class OldIndex:
    """A single-table index: its folders and what its files say; `None` where they say nothing.

    `folder` holds the JSON files, `table_folder` the table (the same folder as a rule).
    """

    folder: Path
    table_folder: Path
    program: str
    indexed_at: str | None
    project_root: str | None
    model: str | None
    mtimes_s: Mapping[str, float]
    notes: tuple[str, ...] = ()

    @property
    def table_path(self) -> Path:
        """Folder of the table."""
        return self.table_folder / f"{TABLE}.lance"


def find_old_index(repository_root: Path, named: Path | None = None) -> OldIndex | None:
    """Find the single-table index of a repository, or the one in the folder `named`; None when there is none.

    Raises:
        MigrationError: its small files cannot be read.
    """
    place = find_old_table(repository_root, named)
    return None if place is None else read_old_index(*place)


def find_old_table(repository_root: Path, named: Path | None = None) -> tuple[Path, Path] | None:
    """Find the folder of such an index and the folder of its table, without reading either."""
    if named is not None:
        candidates = [named.resolve()]
    elif not repository_root.is_dir():
        return None
    else:
        hidden = sorted(entry for entry in repository_root.iterdir() if entry.name.startswith(".") and entry.is_dir())
        usual = repository_root / _USUAL_FOLDER
        candidates = [usual, *(entry for entry in hidden if entry != usual), repository_root]
    for candidate in candidates:
        for subfolder in _SUBFOLDERS:
            if (candidate / subfolder / f"{TABLE}.lance").is_dir():
                return candidate, candidate / subfolder
    return None


def read_old_index(folder: Path, table_folder: Path) -> OldIndex:
    """Read the small files of the index in `folder`; a missing one is noted.

    Raises:
        MigrationError: one is damaged; the message says what to do.
    """
    notes: list[str] = []
    config = _json(folder / CONFIG_FILE, notes)
    metadata = _json(folder / METADATA_FILE, notes)
    mtimes = metadata.get("file_mtimes")
    version = _text(metadata.get("index_version"))
    return OldIndex(
        folder=folder,
        table_folder=table_folder,
        program=f"single-table index {version[:_SHOWN]}" if version else "single-table index",
        indexed_at=_text(metadata.get("indexed_at")),
        project_root=_text(config.get("project_root")),
        model=_text(config.get("embedding_model")),
        mtimes_s={path: float(time) for path, time in mtimes.items() if _is_time(time)}
        if isinstance(mtimes, dict)
        else {},
        notes=tuple(notes),
    )


def _json(path: Path, notes: list[str]) -> dict[str, Any]:
    try:
        content = load_json(read_regular_file(path, max_bytes=MAX_FILE_BYTES))
    except FileNotFoundError:
        notes.append(f"{path} is missing")
        return {}
    except (OSError, ValueError) as error:
        raise MigrationError(
            f"{path} cannot be read ({error}). Restore it, or move it away: what it says is then found out another "
            "way, or asked for (--model, --old-root)."
        ) from error
    if not isinstance(content, dict):
        raise MigrationError(f"{path} is not a JSON object. Restore it, or move it away.")
    return content


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and abs(value) < _LATEST_S and math.isfinite(value)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
