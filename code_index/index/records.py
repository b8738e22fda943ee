"""Small records of an index beside its tables, that all its machines know: files of its folder, or rows at its store.

Belongs here: reading and writing one by its name. Does not belong here: what it says (`last_scan`, `vector_sources`), and the
registry of models, which may only be replaced by who read it (`code_index.tables.model_registry`).
"""

from __future__ import annotations

from code_index.core.atomic_writes import write_atomically
from code_index.core.lazy_imports import importing
from code_index.core.regular_files import read_regular_file
from code_index.index.folder import IndexFolder


def read_record(folder: IndexFolder, name: str, *, recent: bool = False) -> bytes | None:
    """Read a record; None where there is none. `recent`: what another machine wrote within a second may be missing.

    Raises:
        OSError: the file cannot be read.
        StoreError: the store cannot be read.
    """
    if folder.tables_at is None:
        path = folder.path / name
        return read_regular_file(path) if path.exists() else None
    with importing:
        from code_index.tables.folder_at_store import FolderAtStore
    return FolderAtStore(folder.tables_at).record(name, recent=recent)


def write_record(folder: IndexFolder, name: str, text: str) -> None:
    """Write a record whole, whatever there is.

    Raises:
        OSError: the file cannot be written.
        StoreError: the store cannot be written.
    """
    if folder.tables_at is None:
        write_atomically(folder.path / name, text)
    else:
        with importing:
            from code_index.tables.folder_at_store import FolderAtStore
        FolderAtStore(folder.tables_at).write_record(name, text)
