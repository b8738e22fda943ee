"""Files of agents: read and replaced as a whole, with their link, mode and owner kept.

Belongs here: what may be touched, and how. Does not belong here: what is written (`indexing_assets.agents.parts`).

A file may be a link into a folder of dotfiles: the link stays, and the file that it leads to is replaced. Below a project
no link may lead out of it, because a project may be somebody else's work.
"""

from __future__ import annotations

import os
import stat
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Final

from code_index.core.errors import CodeIndexError
from code_index.system.files import flush

# The file of Claude Code holds the history of its projects, and grows.
_MAX_BYTES: Final = 64 << 20
_WRITABLE: Final = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


class AgentFileError(CodeIndexError):
    """A file of an agent that is not touched; the message names it, and says why and what to do."""


def target_of(path: Path, *, inside: Path | None) -> Path:
    """Return the file that `path` leads to, which need not exist.

    Args:
        path: absolute.
        inside: a folder that it may not lead out of; None lets it lead anywhere.

    Raises:
        AgentFileError: it leads out, round in a circle, or to something that is no regular file of this user that may be
            written.
    """
    try:
        target = path.resolve()
        if inside is not None and not target.is_relative_to(inside.resolve()):
            raise AgentFileError(f"{path} leads out of the project, to {target}. Remove the link; nothing was changed.")
        status = target.lstat()
    except FileNotFoundError:
        return target
    except (OSError, RuntimeError) as error:
        raise AgentFileError(f"{path} cannot be used: {error}. Nothing was changed.") from error
    if not stat.S_ISREG(status.st_mode):
        raise AgentFileError(f"{path} is no file. Move it away; nothing was changed.")
    if status.st_uid != os.geteuid() and os.geteuid() != 0:
        raise AgentFileError(f"{path} belongs to another user. Nothing was changed.")
    if not status.st_mode & _WRITABLE:
        # The folder would allow to replace it, but whoever closed it, or made it elsewhere, does not want that.
        raise AgentFileError(
            f"{path} is read-only. Make it writable (chmod u+w), or edit its source; nothing was changed."
        )
    return target


def content_of(target: Path) -> bytes | None:
    """Read a file; None if there is none.

    Raises:
        AgentFileError: it cannot be read, or is too large.
    """
    try:
        with target.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise AgentFileError(f"{target} cannot be read: {error.strerror}. Nothing was changed.") from error
    if len(content) > _MAX_BYTES:
        raise AgentFileError(f"{target} is larger than {_MAX_BYTES:,} bytes. Nothing was changed.")
    return content


def replace(target: Path, before: bytes | None, after: bytes | None) -> list[Path]:
    """Replace the content `before` of a file by `after`, in one step; None stands for no file.

    Returns:
        The folders that were made for it, outermost first.

    Raises:
        AgentFileError: it was changed meanwhile, or the system refuses; the file is as it was.
    """
    made: list[Path] = []
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        if after is None:
            _refuse_changed(target, before)
            target.unlink()
            return made
        made = _make_folders(target.parent)
        temporary.write_bytes(after)
        with suppress(FileNotFoundError):
            status = target.stat()
            temporary.chmod(stat.S_IMODE(status.st_mode))
            if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
                with suppress(PermissionError):  # a group that this user is not in
                    os.chown(temporary, status.st_uid, status.st_gid)
        with temporary.open("rb") as file:
            flush(file.fileno())
        _refuse_changed(target, before)
        temporary.replace(target)
    except OSError as error:
        raise AgentFileError(f"{target} cannot be written: {error.strerror}. It is as it was.") from error
    finally:
        with suppress(OSError):
            temporary.unlink()
    return made


def remove_empty(folders: list[Path]) -> None:
    """Remove folders that were made for a file, innermost first, as far as they are empty."""
    for folder in reversed(folders):
        try:
            folder.rmdir()
        except OSError:
            return


def _make_folders(folder: Path) -> list[Path]:
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    for parent in reversed(missing):
        parent.mkdir(exist_ok=True)
    return list(reversed(missing))


def _refuse_changed(target: Path, before: bytes | None) -> None:
    if content_of(target) != before:
        raise AgentFileError(f"{target} was changed by another program meanwhile. Run the command again.")
