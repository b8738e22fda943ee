"""Errors of a full, read-only or failing disk, in words.

Dagster's records are written by SQLAlchemy, logs by Python itself: their errors name neither the disk
nor what to do.
"""

import errno
from collections.abc import Iterator

_OF_SQLITE = {
    "database or disk is full": "is full",
    "disk i/o error": "is full or failing",
    "attempt to write a readonly database": "cannot be written",
    "unable to open database file": "is full or cannot be written",
}
_OF_SYSTEM = {
    errno.ENOSPC: "is full",
    errno.EDQUOT: "is over its quota",
    errno.EROFS: "is read-only",
    errno.EACCES: "cannot be written",
    errno.EIO: "is failing",
}


def disk_trouble(error: BaseException) -> str | None:
    """Say what is wrong with the disk, if that caused the error; None for any other error."""
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.errno in _OF_SYSTEM:
            place = f" ({cause.filename})" if cause.filename else ""
            return f"{_OF_SYSTEM[cause.errno]}{place}"
        if type(cause).__module__.split(".")[0] in {"sqlite3", "sqlalchemy"}:
            text = str(cause).lower()
            for phrase, meaning in _OF_SQLITE.items():
                if phrase in text:
                    return f"{meaning}, where Dagster's records are"
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__
