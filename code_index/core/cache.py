"""The user's cache folder: exported models and the digests of weights files.

Everything here can be deleted at any time and is then made again. Files appear whole or not at all
(`code_index.core.atomic_writes`), so processes may share the folder without locks.
"""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path

_LOG = logging.getLogger(__name__)


def cache_folder() -> Path:
    """A writable folder: `CODE_INDEX_CACHE_DIR`, else `code-index` in `XDG_CACHE_HOME`, else in `~/.cache`.

    Where that cannot be written: a private folder in the system's temporary folder, with a warning.
    """
    wanted = _wanted_folder()
    reason = "this user has no home folder" if wanted.parts[0] == "~" else _obstacle(wanted)
    if reason is None:
        return wanted
    fallback = _temporary_folder()
    _LOG.warning(
        "the cache folder %s cannot be written (%s): using %s; set CODE_INDEX_CACHE_DIR to a writable folder "
        "so that the model is prepared only once",
        wanted,
        reason,
        fallback,
    )
    return fallback


def _wanted_folder() -> Path:
    """The folder that the environment names; it begins with `~` where there is no home."""
    named = os.environ.get("CODE_INDEX_CACHE_DIR") or f"{os.environ.get('XDG_CACHE_HOME') or '~/.cache'}/code-index"
    # Unlike that of a Path, it leaves the `~` of a user without a home as it is.
    expanded = os.path.expanduser(named)  # noqa: PTH111
    return Path(expanded) if expanded.startswith("~") else Path(expanded).absolute()


def _obstacle(folder: Path) -> str | None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Writing is tried, because `os.access` does not see read-only mounts.
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return error.strerror or str(error)


def _temporary_folder() -> Path:
    # The name is guessable: a folder that others can write to may hold a planted model.
    folder = Path(tempfile.gettempdir()) / f"code-index-cache-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        if status.st_uid == os.getuid() and not status.st_mode & 0o022 and folder.is_dir() and not folder.is_symlink():
            return folder
    except OSError as error:
        _LOG.debug("%s cannot be used: %s", folder, error)
    return Path(tempfile.mkdtemp(prefix="code-index-cache-"))
