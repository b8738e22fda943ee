"""The user's cache folder: exported models and the digests of weights files.

Everything here can be deleted at any time and is then made again. Files appear whole or not at all
(`code_index.core.atomic_writes`), so processes may share the folder without locks.

What lies here is loaded, so nobody else may have put it there: each user has a folder of mode 0700 in the one that is
named. One that another user owns, that others can reach or that is a link, as a checkout or a shared place may hold
it, is not used.
"""

from __future__ import annotations

import functools
import logging
import os
import stat
import tempfile
from pathlib import Path

_LOG = logging.getLogger(__name__)
_FOR_OTHERS = 0o077


def cache_folder() -> Path:
    """A folder that only this user can reach, in `CODE_INDEX_CACHE_DIR`, else `code-index` in `XDG_CACHE_HOME`, else in `~/.cache`.

    Where that cannot be used: a private folder in the system's temporary folder, with a warning.
    """
    wanted = _wanted_folder()
    folder = wanted / f"user-{os.getuid()}"
    reason = "this user has no home folder" if wanted.parts[0] == "~" else _obstacle(wanted, folder)
    if reason is None:
        return folder
    fallback = _temporary_folder()
    _warn(folder, reason, fallback)
    return fallback


@functools.cache
def _warn(folder: Path, reason: str, fallback: Path) -> None:
    """Say it once in a process, which asks for the folder many times."""
    _LOG.warning(
        "the cache folder %s cannot be used (%s): using %s; set CODE_INDEX_CACHE_DIR to a writable folder "
        "so that the model is prepared only once",
        folder,
        reason,
        fallback,
    )


def _wanted_folder() -> Path:
    """The folder that the environment names; it begins with `~` where there is no home."""
    named = os.environ.get("CODE_INDEX_CACHE_DIR")
    if not named:
        # A relative one is to be ignored (XDG Base Directory Specification): it would lie in the working directory.
        base = os.environ.get("XDG_CACHE_HOME", "")
        named = f"{base if Path(base).is_absolute() else '~/.cache'}/code-index"
    # Unlike that of a Path, it leaves the `~` of a user without a home as it is.
    return Path(os.path.expanduser(named))  # noqa: PTH111


def _obstacle(wanted: Path, folder: Path) -> str | None:
    if not wanted.is_absolute():
        return "its path is not absolute, so it would be another one in each working directory"
    try:
        wanted.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        if not _is_private(folder):
            return "others may have written to it: delete it"
        # Writing is tried, because `os.access` does not see read-only mounts.
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return error.strerror or str(error)


def _is_private(folder: Path) -> bool:
    """Tell whether this is a folder, no link, of this user that others cannot reach."""
    status = folder.lstat()
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & _FOR_OTHERS


def _temporary_folder() -> Path:
    # The name is guessable: somebody else may have made the folder.
    folder = Path(tempfile.gettempdir()) / f"code-index-cache-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if _is_private(folder):
            return folder
    except OSError as error:
        _LOG.debug("%s cannot be used: %s", folder, error)
    return Path(tempfile.mkdtemp(prefix="code-index-cache-"))
