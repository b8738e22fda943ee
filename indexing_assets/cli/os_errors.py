"""Errors of a full, read-only or failing disk, and of limits of the system, in words.

Dagster's records are written by SQLAlchemy, logs by Python itself, tables by native code: their errors name neither
the limit nor what to do.
"""

import errno
import os
from collections.abc import Iterator
from typing import Final

from code_index.system import limits

_TOO_MANY_OPEN_FILES: Final = "too many open files"
# SQLite says no more than this, whatever keeps it from opening a file.
_SQLITE_CANNOT_OPEN: Final = "unable to open database file"
# With fewer, a run cannot do its work.
_FEW_OPEN_FILES: Final = 256

_OF_SQLITE: Final = {
    "database or disk is full": "is full",
    "disk i/o error": "is full or failing",
    "attempt to write a readonly database": "cannot be written",
    _SQLITE_CANNOT_OPEN: "is full or cannot be written",
}
_OF_SYSTEM: Final = {
    errno.ENOSPC: "is full",
    errno.EDQUOT: "is over its quota",
    errno.EROFS: "is read-only",
    errno.EACCES: "cannot be written",
    errno.EIO: "is failing",
}
# Words of Python, of Rust's and C++'s libraries, of SQLite and of the C library, in lower case.
_LIMITS: Final = (
    (
        (_TOO_MANY_OPEN_FILES,),
        "This process may open {open_files} files, and needs more. Raise the limit of open files: `ulimit -n`.",
    ),
    (
        ("no usable temporary directory", "failed to create temp dir"),
        "No folder for temporary files can be written{temporary}. Set TMPDIR to one that can.",
    ),
    (
        ("cannot allocate memory", "failed to map segment", "memoryerror", "bad_alloc"),
        "Memory ran out. Close other programs, or raise the limit of this process (`ulimit -v`) or its container.",
    ),
    (
        (
            "start new thread",
            "failed to spawn",
            "not spawn",
            "can't spawn",
            "launch worker thread",
            "resource temporarily unavailable",
        ),
        "The system starts no more threads or processes. Raise the limit: `ulimit -u`, or the container's.",
    ),
    (
        ("could not determine home directory",),
        "You have no home folder. Name one with the environment variable HOME, or write the path in full.",
    ),
    (
        ("file too large",),
        "A file may not grow any further. Raise the limit of file sizes: `ulimit -f`.",
    ),
    (
        ("no space left on device", "disk quota exceeded", "database or disk is full"),
        "The disk is full. Free space.",
    ),
    (
        ("file is not a database", "database disk image is malformed", "malformed database schema"),
        (
            "A database of Dagster's records is damaged. Run `code-index doctor --repair`: it writes them again from "
            "the tables, without parsing or embedding; search works meanwhile."
        ),
    ),
    (
        ("database is locked",),
        "Another process holds Dagster's records and does not go on; it may be stopped. Continue or end it.",
    ),
)


def disk_trouble(error: BaseException) -> str | None:
    """Say what is wrong with the disk, if that caused the error; None for any other error."""
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.errno in _OF_SYSTEM:
            place = f" ({cause.filename})" if cause.filename else ""
            return f"{_OF_SYSTEM[cause.errno]}{place}"
        if type(cause).__module__.split(".")[0] in {"sqlite3", "sqlalchemy"}:
            text = _lowered(str(cause))
            for phrase, meaning in _OF_SQLITE.items():
                if phrase in text:
                    return f"{meaning}, where Dagster's records are"
    return None


def trouble(error: BaseException) -> str | None:
    """Say in a sentence which limit of the system or which fault of the disk caused the error; None for any other."""
    if (disk := disk_trouble(error)) is not None:
        return (
            f"The disk that holds the index {disk}{', or a file met the limit `ulimit -f`' if limits.file_size_bytes() is not None else ''}. Free "
            "space or allow writing, then `code-index resume`; what was stored is safe."
        )
    return next((said for cause in _causes(error) if (said := trouble_in(_words_of(cause)))), None)


def _lowered(text: str) -> str:
    """Text in lower case; SQLite's words become those of the limit of open files where that is so low that it is the cause."""
    lowered = text.lower()
    open_files = limits.open_files()
    few = open_files is not None and open_files < _FEW_OPEN_FILES
    return lowered.replace(_SQLITE_CANNOT_OPEN, _TOO_MANY_OPEN_FILES) if few else lowered


def _words_of(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def trouble_in(text: str) -> str | None:
    """Say which limit of the system or fault of the disk the text of an error is about; None for any other text."""
    lowered = _lowered(text)
    for phrases, sentence in _LIMITS:
        if any(phrase in lowered for phrase in phrases):
            named = os.environ.get("TMPDIR")
            open_files = limits.open_files()
            return sentence.format(
                open_files="any number of" if open_files is None else f"{open_files:,}",
                temporary=f" (TMPDIR is {named})" if named else "",
            )
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__
