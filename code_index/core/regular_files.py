"""Reading of small files that somebody else may have put there: regular files only, of a bounded size.

Belongs here: opening without following a link, and reading JSON and TOML whose nesting cannot exhaust the stack. Does
not belong here: source files (`code_index.repository.source_repository`), which are read while they may change.

A link may lead to any file of the user, a pipe blocks for ever, opening a device may have effects.
"""

from __future__ import annotations

import json
import os
import stat
import tomllib
from pathlib import Path
from typing import Any, Final

MAX_SMALL_FILE_BYTES: Final = 4 << 20
_OPEN_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class UnfitFileError(OSError):
    """A file that is no regular file, or over the limit; `strerror` says which."""


def read_regular_file(path: Path, *, max_bytes: int = MAX_SMALL_FILE_BYTES) -> bytes:
    """Read a regular file; the last part of its path may not be a symbolic link.

    Raises:
        FileNotFoundError: there is no such file.
        UnfitFileError: it is a link, folder, pipe or device, or larger than `max_bytes`.
        OSError: the system refuses to read it.
    """
    _require_regular(path, os.lstat(path))
    with os.fdopen(os.open(path, _OPEN_FLAGS), "rb") as file:
        _require_regular(path, os.fstat(file.fileno()))
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise UnfitFileError(0, f"larger than {max_bytes:,} bytes", str(path))
    return content


def load_json(text: str | bytes) -> Any:
    """Parse JSON.

    Raises:
        ValueError: it is not JSON, or nested too deep to be read.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def load_toml(text: str) -> dict[str, Any]:
    """Parse TOML.

    Raises:
        ValueError: it is not TOML, or nested too deep to be read.
    """
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def _require_regular(path: Path, status: os.stat_result) -> None:
    if stat.S_ISREG(status.st_mode):
        return
    kind = "a symbolic link" if stat.S_ISLNK(status.st_mode) else "not a regular file"
    raise UnfitFileError(0, kind, str(path))
