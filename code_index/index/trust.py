"""Trust in an index folder: it is used only by whom it was made, on the machine where it was made.

A folder called `.code-index` may come with a repository, from another user, or from an archive. Its settings choose a
model, its tables and databases are opened, files in it are replaced and deleted. So nothing of a folder is used before
it passes these tests: this user owns it; it holds only regular files and folders, so that no link leads out of it; git
does not track it; and the mark in its `index.json` is known in the user's own state folder. A missing or empty folder
passes: there is nothing in it to trust.

A mark is random, and known together with a path and an inode, one of which has to be the same: a repository that is
moved keeps its index; a copy, or a folder with a mark that leaked, is trusted only when the user says so.

Belongs here: these tests, and the records of the indexes that a user made. Does not belong here: the folder's parts
(`code_index.index.folder`), and reading small files safely (`code_index.core.regular_files`).
"""

from __future__ import annotations

import json
import os
import pwd
import re
import shlex
import stat
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from code_index.core.atomic_writes import write_atomically
from code_index.core.errors import IndexMissingError, StoreError, UntrustedIndexError, UsageError
from code_index.core.lazy_imports import importing
from code_index.core.regular_files import load_json, read_regular_file
from code_index.repository.skip_rules import INDEX_FOLDER

RECORD_FILE: Final = "index.json"
IGNORE_FILE: Final = ".gitignore"
IGNORE_ALL: Final = "*\n"
STATE_VARIABLE: Final = "XDG_STATE_HOME"

# The one socket of an index: where `code-index serve` is asked. It leads to a process, never to a file.
SOCKET_FILE: Final = "serve.socket"
SOCKET_FOLDER: Final = "locks"

_PARTS: Final = frozenset(
    {
        RECORD_FILE,
        "complete.json",
        "scan.json",
        "sources.json",
        "settings.toml",
        "tables",
        "dagster",
        SOCKET_FOLDER,
        "reports",
        "backup",
        "lost+found",
    }
)
_MARK: Final = re.compile(r"[0-9a-f]{32}")
_MARK_BYTES: Final = 16
# A file system's own folder, a file of macOS, and what a killed first run may leave.
_NOTHING: Final = re.compile(r"lost\+found|\.DS_Store|\.index\.json\.[0-9a-f]+\.tmp")


@dataclass(frozen=True, slots=True)
class _Known:
    """An index that the user made or trusts."""

    path: str
    inode: int
    owner: int


def refuse_untrusted(path: Path) -> None:
    """Refuse an index folder (absolute path) that is not this user's own; a missing or empty one passes.

    Raises:
        UntrustedIndexError: it may not be used; the message says why, and what to do.
        UsageError: it holds other things than an index.
    """
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return
    trusted = is_trusted(path)
    refuse_unfit(path, owner=status.st_uid if trusted else os.geteuid())
    # Asked again: another process may have made the index meanwhile.
    if not trusted and not _is_empty(path) and not is_trusted(path):
        refuse_other_content(path)
        raise UntrustedIndexError(
            f"{path} was not made by code-index for you on this machine; it may have come with the repository. Nothing "
            f"of it was used. Delete it and index again; or, if it is your own index, made by an older version or "
            f"copied here on purpose, run `{_trust_command(path)}`."
        )


def is_trusted(path: Path) -> bool:
    """Tell whether the user made the index folder or trusts it; nothing else of it is looked at."""
    try:
        status = path.lstat()
        mark = mark_of(read_record(path)) if stat.S_ISDIR(status.st_mode) else None
    except (OSError, ValueError):
        return False
    known = None if mark is None else _read_known(_place_of(mark))
    return known is not None and _is_of(known, path, status)


def belongs_to_others(path: Path) -> bool:
    """Tell whether another user owns a file or folder."""
    with suppress(OSError):
        return path.lstat().st_uid != os.geteuid()
    return False


def refuse_unfit(path: Path, *, owner: int) -> None:
    """Refuse a folder that nobody may use as an index, whoever made it.

    Args:
        path: an existing file or folder.
        owner: user id that has to own it.

    Raises:
        IndexMissingError: there is no such folder.
        UntrustedIndexError: it is or holds a link or a special file, belongs to another user, or is tracked by git.
    """
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise IndexMissingError(f"There is no index at {path}.") from error
    if not stat.S_ISDIR(status.st_mode):
        kind = "a symbolic link" if stat.S_ISLNK(status.st_mode) else "no folder"
        raise UntrustedIndexError(
            f"{path} is {kind}, not an index. Nothing was read or written through it. Delete it, or name the folder "
            "of the index with --index-dir."
        )
    if status.st_uid != owner:
        name = _user_name(status.st_uid)
        raise UntrustedIndexError(
            f"{path} belongs to the user {name}, not to you. Nothing of it was used. Name a folder of your own with "
            f"--index-dir; or, if {name} shares this index with you and you trust {name}, run "
            f"`{_trust_command(path, '--owner', name)}`."
        )
    if (part := first_special(path)) is not None:
        kind = "symbolic link" if part.is_symlink() else "special file"
        raise UntrustedIndexError(
            f"{part} is a {kind}, and an index holds only files and folders: it could lead code-index to files outside. "
            f"Nothing of {path} was used. Delete it and index again."
        )
    with importing:  # a search that another process answers asks no git
        from code_index.repository.git_checkout import first_tracked_in

    if (tracked := first_tracked_in(path)) is not None:
        raise UntrustedIndexError(
            f"git tracks {tracked} in {path}: an index that comes with a repository is not used. Nothing of it was. "
            f"Delete it and index again; if you committed it yourself, `git -C {shlex.quote(str(path.parent))} rm -r "
            f"--cached {shlex.quote(path.name)}` keeps it."
        )


def refuse_other_content(path: Path) -> None:
    """Refuse a folder that holds other things than an index: all of it would be ignored by git and by code-index.

    Raises:
        UsageError: it holds something else.
    """
    others = sorted(
        entry.name for entry in path.iterdir() if entry.name not in _PARTS and not entry.name.startswith(".")
    )
    if others:
        raise UsageError(
            f"{path} holds other things than an index, such as {others[0]!r}: all of it would be ignored by git and by "
            "code-index. Name a folder of its own with --index-dir."
        )


def make_mark() -> str:
    """Make the random mark of a new index."""
    return os.urandom(_MARK_BYTES).hex()


def is_known_elsewhere(mark: str, path: Path) -> bool:
    """Tell whether the user knows the mark as that of another folder, of which this one is a copy then."""
    known = _read_known(_place_of(mark))
    return known is not None and not _is_of(known, path, path.stat())


def remember(path: Path, mark: str) -> None:
    """Record in the user's state folder that the folder with this mark is trusted.

    Raises:
        StoreError: the state folder cannot be written.
    """
    status = path.stat()
    known = _Known(str(path), status.st_ino, status.st_uid)
    place = _place_of(mark)
    if _read_known(place) == known:
        return
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(place, json.dumps(asdict(known)) + "\n")
    except OSError as error:
        raise StoreError(
            f"Cannot write {place.parent}, where code-index remembers the indexes that you made: {error.strerror}. "
            f"Allow writing, or name another folder with {STATE_VARIABLE}."
        ) from error


def read_record(path: Path) -> dict[str, Any]:
    """Read `index.json` of an index folder.

    Raises:
        OSError: it is missing, or no file that can be read.
        ValueError: it is not a JSON object.
    """
    record = load_json(read_regular_file(path / RECORD_FILE))
    if not isinstance(record, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - what is wrong is the file's content
    return record


def mark_of(record: dict[str, Any]) -> str | None:
    """Return the mark in a record, if it has the form of one."""
    mark = record.get("mark")
    return mark if isinstance(mark, str) and _MARK.fullmatch(mark) else None


def _is_of(known: _Known, path: Path, status: os.stat_result) -> bool:
    return known.owner == status.st_uid and (known.path == str(path) or known.inode == status.st_ino)


def _read_known(place: Path) -> _Known | None:
    try:
        return _Known(**load_json(read_regular_file(place)))
    except (OSError, ValueError, TypeError):
        return None


def _place_of(mark: str) -> Path:
    """Return the path of a mark's record in the user's state folder."""
    return state_folder() / "indexes" / f"{mark}.json"


def state_folder() -> Path:
    """Return the user's state folder, absolute.

    Raises:
        StoreError: the user has no home folder.
    """
    state = Path(os.environ.get(STATE_VARIABLE, ""))
    if not state.is_absolute():
        home = os.environ.get("HOME") or _home_of_record()
        if not Path(home).is_absolute():
            raise StoreError(
                f"You have no home folder, where code-index remembers the indexes that you made. Name a folder with "
                f"{STATE_VARIABLE}."
            )
        state = Path(home) / ".local" / "state"
    return state / "code-index"


def _home_of_record() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return ""


def _is_empty(path: Path) -> bool:
    """Tell whether a folder holds nothing that a first run would use."""
    for entry in path.iterdir():
        if entry.name == IGNORE_FILE:
            with suppress(OSError):
                if read_regular_file(entry) == IGNORE_ALL.encode():
                    continue
            return False
        if not _NOTHING.fullmatch(entry.name):
            return False
    return True


def first_special(folder: Path) -> Path | None:
    """Find an entry below an index folder that is neither a regular file nor a folder, nor its owner's socket."""
    socket = str(folder / SOCKET_FOLDER / SOCKET_FILE)
    pending = [str(folder)]
    while pending:
        # A folder that another process removes meanwhile, or that is closed to us, leads nowhere.
        with suppress(FileNotFoundError, PermissionError), os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                elif not entry.is_file(follow_symlinks=False) and not (
                    entry.path == socket and _is_socket_of(entry, folder)
                ):
                    return Path(entry.path)
    return None


def _is_socket_of(entry: os.DirEntry[str], folder: Path) -> bool:
    status = entry.stat(follow_symlinks=False)
    return stat.S_ISSOCK(status.st_mode) and status.st_uid == folder.lstat().st_uid


def _user_name(user_id: int) -> str:
    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:
        return str(user_id)


def _trust_command(path: Path, *options: str) -> str:
    place = [str(path.parent)] if path.name == INDEX_FOLDER else ["--index-dir", str(path)]
    return shlex.join(["code-index", "trust", *options, *place])
