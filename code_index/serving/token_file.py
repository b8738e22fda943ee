"""Tokens of servers, and the file that keeps one for the next start.

Belongs here: making, writing and reading a token. Does not belong here: who has to send it (`guard`).
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from typing import Final

from code_index.core.errors import UsageError

_TOKEN_BYTES: Final = 32
_LEAST_CHARACTERS: Final = 32
_MOST_CHARACTERS: Final = 1_000


def new_token() -> str:
    """Make a token of 43 random characters that a header and a URL may hold."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


def token_in(file: Path) -> str:
    """The token that a file holds, which only its user may read; a missing file is made.

    Raises:
        UsageError: the file cannot be used, or others may read it.
    """
    token = new_token()
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as made:
            made.write(token + "\n")
    except FileExistsError:
        return _read_token(file)
    except OSError as error:
        raise UsageError(f"{file} cannot be used as file of the token: {error.strerror}.") from error
    return token


def _read_token(file: Path) -> str:
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as opened:
            status = os.fstat(opened.fileno())
            token = opened.read(_MOST_CHARACTERS + 1).decode("ascii", "replace").strip()
    except OSError as error:
        raise UsageError(f"{file} cannot be used as file of the token: {error.strerror}.") from error
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise UsageError(f"{file} has to be a file of yours that others cannot read: chmod 600 {file}")
    if not (_LEAST_CHARACTERS <= len(token) <= _MOST_CHARACTERS) or not token.isprintable() or " " in token:
        raise UsageError(
            f"{file} has to hold a token of {_LEAST_CHARACTERS} to {_MOST_CHARACTERS} characters without spaces. Delete it, "
            "and one is made."
        )
    return token
