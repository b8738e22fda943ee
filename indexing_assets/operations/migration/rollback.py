"""The way back from a migration: backup and record, and what is done with them.

Belongs here: whatever a rollback or the end of the old index needs. Does not belong here: the way there
(`indexing_assets.operations.migration.steps`).
"""

import json
import os
import shutil
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from code_index.core.atomic_writes import write_atomically
from code_index.core.errors import StoreError, UsageError
from code_index.core.regular_files import load_json, read_regular_file
from code_index.index.folder import IndexFolder
from code_index.index.locks import hold_all
from code_index.tables import IndexStore
from indexing_assets.operations.migration.carrier import MigrationReport
from indexing_assets.operations.migration.old_index.containment import refuse_leading_out
from indexing_assets.operations.migration.old_index.layout import CONFIG_FILE, MAX_FILE_BYTES, METADATA_FILE, TABLE
from indexing_assets.operations.migration.plan import Plan
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.runs.index_names import CHUNK_VECTORS, PARSED_CHUNKS, REFERENCES
from indexing_assets.runs.partitions import delete_partitions

_RECORD_FILE = "migration.json"
_UNDONE = ".migration-undone"


def write_record(tables_dir: Path, plan: Plan, report: MigrationReport) -> dict[str, Any]:
    """Write into the migrated tables where they come from, and return it."""
    record = {
        "source": str(plan.old.folder),
        "table": str(plan.old.table_path),
        "migrated_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "report": asdict(report),
    }
    (tables_dir / _RECORD_FILE).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return record


def read_record(folder: IndexFolder) -> dict[str, Any] | None:
    """Read what a migration wrote into an index's tables; None for tables that were never migrated.

    Raises:
        StoreError: it cannot be read.
    """
    return _read_record(folder.tables_dir)


def back_up(plan: Plan) -> None:
    """Keep the old index as it is now beside the new one.

    Files of the table never change, so that hard links will do where the disk has them.

    Raises:
        MigrationError: not all of its files are its own.
    """
    refuse_leading_out(plan.old.folder, plan.old.table_path)
    backup = plan.folder.backup_dir
    temporary = backup.with_name(f"{backup.name}.tmp")
    remove(temporary)
    temporary.mkdir()
    # The manifests first: whatever they name was there before them.
    for subfolder in ("_versions", ""):
        _link_tree(plan.old.table_path / subfolder, temporary / f"{TABLE}.lance" / subfolder)
    for name in (CONFIG_FILE, METADATA_FILE):
        if (plan.old.folder / name).exists():
            (temporary / name).write_bytes(read_regular_file(plan.old.folder / name, max_bytes=MAX_FILE_BYTES))
    kept = backup / "settings.toml"
    shutil.copy2(kept if kept.exists() else plan.folder.settings_path, temporary / "settings.toml")
    remove(backup)
    temporary.rename(backup)


def restore_old_table(backup: Path, table: Path) -> None:
    """Put the old table back from the backup."""
    temporary = table.with_name(f"{table.name}.tmp")
    remove(temporary)
    temporary.parent.mkdir(parents=True, exist_ok=True)
    _link_tree(backup / f"{TABLE}.lance", temporary)
    temporary.rename(table)


def roll_back(folder: IndexFolder) -> dict[str, Any]:
    """Undo a migration: the index is empty again, its settings are those before; the old index is as it was.

    Returns:
        the record of the migration that is undone.

    Raises:
        UsageError: there is nothing to undo, the backup is gone, or the old table was lost outside of the repository.
    """
    folder.check()
    with hold_all(folder.locks_dir):
        undone = folder.path / _UNDONE
        record = read_record(folder) or _read_record(undone)
        if record is None:
            raise UsageError(f"{folder.path} does not come from a migration: there is nothing to undo.")
        backup = folder.backup_dir
        if not (backup / f"{TABLE}.lance").is_dir():
            raise UsageError(f"The backup {backup} is gone: the migration cannot be undone any more.")
        table = Path(record["table"])
        if not table.exists():
            _refuse_outside(table, folder)
            restore_old_table(backup, table)
        if folder.tables_dir.exists() and not undone.exists():
            folder.tables_dir.rename(undone)
        folder.tables_dir.mkdir(exist_ok=True)
        move_asset_tables(undone, folder.tables_dir)
        before = backup / "settings.toml"
        if before.exists():
            write_atomically(folder.settings_path, before.read_text(encoding="utf-8"))
        with Pipeline(folder) as pipeline:
            index = pipeline.index
            for asset in (PARSED_CHUNKS, REFERENCES, CHUNK_VECTORS):
                delete_partitions(index.instance, index.names.partitions(asset), index.partition_keys(asset))
                index.instance.wipe_assets([index.names.asset_key(asset)])
        # The next migration keeps the settings of its own time.
        before.unlink(missing_ok=True)
        remove(undone)
    return record


def remove_old_index(folder: IndexFolder) -> int:
    """Remove the old table and the backup of a migration for good; returns the bytes that were freed.

    Raises:
        UsageError: there was no migration, so that the table is somebody else's; or it lies outside of the repository.
    """
    record = read_record(folder)
    if record is None:
        raise UsageError(
            f"{folder.path} does not come from a migration: no old table is removed. `code-index migrate` imports one."
        )
    table = Path(record["table"])
    with hold_all(folder.locks_dir):
        refuse_foreign_table(record, folder)
        freed = sum(_bytes(place) for place in (table, folder.backup_dir))
        remove(folder.backup_dir)
        remove(table)
    return freed


def refuse_foreign_table(record: dict[str, Any], folder: IndexFolder) -> None:
    """Refuse to remove the old table of a migration that is not in this repository; one that is gone is no matter.

    Raises:
        UsageError: it lies outside of the repository.
    """
    table = Path(record["table"])
    if table.exists():
        _refuse_outside(table, folder)


def _refuse_outside(table: Path, folder: IndexFolder) -> None:
    """Refuse to write or delete an old table where only the record of a migration says that it lies.

    Its true place has to be in this repository, and its name that of an old table.
    """
    real = Path(os.path.realpath(table))
    if not real.is_relative_to(folder.repository_root) or real.name != f"{TABLE}.lance":
        raise UsageError(
            f"{table} is not an old index of {folder.repository_root}: code-index neither removes nor restores it. "
            f"Do that yourself; its backup is {folder.backup_dir / f'{TABLE}.lance'}."
        )


def move_asset_tables(source: Path, target: Path) -> None:
    """Move the tables of a user's own assets, which came from no migration; one that is at the target stays there."""
    for name in IndexStore(source).upkeep.asset_tables():
        place = target / f"{name}.lance"
        if not place.exists():
            (source / place.name).rename(place)


def remove(path: Path) -> None:
    """Remove a file or a folder with all that is in it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _read_record(tables_dir: Path) -> dict[str, Any] | None:
    path = tables_dir / _RECORD_FILE
    try:
        found: dict[str, Any] = load_json(read_regular_file(path))
        _ = Path(found["table"]), Path(found["source"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path} cannot be read: {error}. Restore it from a backup, or index again.") from error
    return found


def _link_tree(source: Path, target: Path) -> None:
    """Link all files below a folder, or copy them where the disk has no links; existing ones stay."""
    for path in sorted(source.rglob("*")):
        place = target / path.relative_to(source)
        if path.is_dir():
            place.mkdir(parents=True, exist_ok=True)
        elif not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(path, place, follow_symlinks=False)
            except OSError:
                shutil.copy2(path, place, follow_symlinks=False)


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.stat().st_nlink == 1)
