"""Claims about an index folder from the outside, which hold before its tables and records can be opened.

Belongs here: the folder, the disk, locks, Dagster's databases and the model. Only `code-index doctor` makes them:
Dagster could not start where most of them fail.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from code_index.core.errors import CodeIndexError
from code_index.core.lazy_imports import importing
from code_index.index.folder import IndexFolder
from code_index.index.locks import Phase, owner
from indexing_assets.checks.check import REPAIR, Finding, Severity, check

# A commit writes the rows of some seconds of work; an index run needs room for several.
_FREE_BYTES = 512 << 20


@check()
def index_folder_can_be_used(folder: IndexFolder) -> Finding:
    """The folder belongs to this repository, this program knows its format, and its settings are valid."""
    folder.check()
    folder.settings()
    missing = [] if folder.source_is_elsewhere or folder.repository_root.is_dir() else [str(folder.repository_root)]
    return Finding(missing, "repository", "not there", fix="mount it, or name another one")


@check()
def index_folder_can_be_written(folder: IndexFolder) -> Finding:
    """The index folder and the folders in it can be written."""
    culprits = []
    for path in (folder.path, folder.tables_dir, folder.dagster_home, folder.locks_dir):
        try:
            path.mkdir(exist_ok=True)
            with tempfile.TemporaryFile(dir=path) as file:
                file.write(b"x")
        except OSError as error:
            culprits.append(f"{path} ({error.strerror})")
    return Finding(culprits, "folder", "cannot be written", fix="allow writing, or free space")


@check(severity=Severity.WARNING)
def disk_has_room(folder: IndexFolder) -> Finding:
    """The disk has room for another commit of every table."""
    free = shutil.disk_usage(folder.path).free
    culprits = [f"{folder.path} ({free / 1e6:,.0f} MB free)"] if free < _FREE_BYTES else []
    return Finding(culprits, "disk", "nearly full", fix="free space, or `code-index cleanup`", figures={"free": free})


@check(severity=Severity.WARNING)
def no_other_process_writes(folder: IndexFolder) -> Finding:
    """No other process holds the index at the moment."""
    holders = [(phase, owner(folder.locks, phase)) for phase in Phase]
    culprits = [f"{phase} phase: {who}" for phase, who in holders if who is not None and who.pid != os.getpid()]
    return Finding(culprits, "process", "at work, so the following results may change", fix="wait until it ends")


@check(repair="move the damaged database away and record again what the tables hold, without parsing or embedding")
def dagster_records_can_be_read(folder: IndexFolder) -> Finding:
    """Dagster's databases are whole."""
    damaged = damaged_databases(folder)
    return Finding([f"{path} ({reason})" for path, reason in damaged.items()], "database", "damaged", fix=f"`{REPAIR}`")


@check()
def model_can_be_loaded(folder: IndexFolder) -> Finding:
    """The model that the settings name is here and is the right one."""
    with importing:
        from code_index.embedding.loader import query_embedder

    try:
        _ = query_embedder(folder.settings().embedder).model_id
    except CodeIndexError as error:
        return Finding([str(error)], "model", "cannot be loaded", fix="correct `model` in settings.toml")
    return Finding([])


def damaged_databases(folder: IndexFolder) -> dict[Path, str]:
    """Dagster's databases that SQLite or Dagster cannot use, with the reason."""
    damaged = {}
    for path in sorted(folder.dagster_home.rglob("*.db")):
        if any(part.startswith(("damaged-", ".making-")) for part in path.parts):
            continue
        try:
            with closing(sqlite3.connect(path, timeout=10)) as database:
                said = database.execute("PRAGMA quick_check(1)").fetchone()[0]
                heads = database.execute("SELECT count(*) FROM alembic_version").fetchone()[0]
        except sqlite3.OperationalError as error:
            # Locked, read-only, a full disk: the file itself is not known to be damaged.
            if "no such table" in str(error):
                damaged[path] = str(error)
        except sqlite3.DatabaseError as error:
            damaged[path] = str(error)
        else:
            if said != "ok":
                damaged[path] = said
            elif heads != 1:
                damaged[path] = f"{heads} schema versions"
    return damaged
