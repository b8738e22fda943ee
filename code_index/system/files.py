"""Names and contents of files, as file systems keep them.

Belongs here: what a file system does with letters' case and with composed letters, what it takes to have bytes on the
disk, and how a folder is opened. Does not belong here: which files are read (`code_index.repository`).

Names are bytes on Linux: two that look alike are two files. On macOS a name is found in either case, unless the disk was
made otherwise, and in either normal form of Unicode (`é` as one character, NFC, or as two, NFD); what `listdir` answers is
the form that the file was made with. git writes NFC into its list there (`core.precomposeunicode`), whatever the disk says.
"""

from __future__ import annotations

import fcntl
import os
import sys
import unicodedata
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Final

FOLDER_FLAGS: Final = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""Flags that open a folder only to go on from it. Linux asks for less than reading it; macOS for reading."""


def composed_name(folder: str, entry: os.DirEntry[str], siblings: Collection[str]) -> str:
    """The name of an entry in NFC, as git and people write it, if the file system finds the file by it; else as it is.

    The file system is asked, not the platform: Linux finds it by its own bytes only, and there nothing changes.

    Args:
        folder: path of the folder that lists the entry.
        entry: whose name is UTF-8.
        siblings: all names in the folder; one that is taken stands for a file of its own.
    """
    name = entry.name
    if name.isascii() or unicodedata.is_normalized("NFC", name):
        return name
    composed = unicodedata.normalize("NFC", name)
    if composed in siblings:
        return name
    try:
        same = os.path.samestat(os.lstat(os.path.join(folder, composed)), entry.stat(follow_symlinks=False))  # noqa: PTH118
    except OSError:
        return name
    return composed if same else name


def is_same_folder(path: str, other: str) -> bool:
    """Tell whether two absolute paths are of one folder: alike, or alike but for case and normal form where both lead there.

    Where the disk knows a name by one spelling only, as on Linux, two spellings are two folders.
    """
    if path == other:
        return True
    alike = unicodedata.normalize("NFC", path).lower() == unicodedata.normalize("NFC", other).lower()
    try:
        return alike and Path(path).samefile(other)
    except OSError:
        return False


def flush(descriptor: int) -> None:
    """Write a file's bytes to the disk itself; on macOS `fsync` leaves them in the disk's own memory, `F_FULLFSYNC` does not.

    Raises:
        OSError: the disk is full or failing.
    """
    if sys.platform == "darwin":
        with suppress(OSError):  # a file system that has no such call
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)
