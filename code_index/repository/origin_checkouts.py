"""The files of a commit that a git host has, in a folder of this machine.

Belongs here: making the files those of the commit. Does not belong here: bringing the commit
(`code_index.repository.origins`).

The folder is a checkout, so that a scan finds in it what it finds in an ordinary clone: files that are tracked although a rule
ignores them, line ends and encodings that attributes declare, links, empty folders of submodules. git makes it without any
configuration (`code_index.repository.git_program`), so no filter runs, and pointers of Git LFS stay pointers. Its objects
are those of the cache. Rejected: reading blobs with `git cat-file` and writing them here, which would repeat all that.

A file's time is made of its content's id: on each machine the same content has the same time and another content another
one. So a scan on another machine neither reads everything nor writes all rows of `files` again.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

from code_index.core.atomic_writes import write_atomically
from code_index.core.errors import RepositoryError
from code_index.repository.checkouts import Checkout, checkout_at
from code_index.repository.git_checkout import isolated_checkout, repository_settings
from code_index.repository.git_program import NO_CONFIGURATION, Git, GitFailedError, IsolatedGit
from code_index.repository.origins import GitOrigin, OriginCache

_TIMEOUT_S: Final = 3_600.0
_SUBMODULE: Final = b"160000"
_NEEDS_UPDATE: Final = 1  # exit status of `git update-index --refresh` for files that git would write otherwise
# Twenty years that are over: no such time is young for a scan (`code_index.repository.content_rules`).
_FIRST_US: Final = 946_684_800_000_000  # 2000-01-01
_SPAN_US: Final = 20 * 365 * 86_400_000_000


def check_out(origin: GitOrigin, commit: str, root: Path) -> None:
    """Make the files below `root` those of a commit; what else is there is removed.

    It is fetched if it is not there. What a killed process left undone is completed.

    Args:
        origin: where the commit is.
        commit: its hash.
        root: a folder that belongs to this origin and is used for nothing else.

    Raises:
        RepositoryError: the host does not give the commit, or its files cannot be written.
    """
    with OriginCache.of(origin) as cache:
        cache.bring(commit)
        try:
            _write(cache, commit, root)
        except GitFailedError:
            # Something of the cache or of the checkout is missing or damaged.
            shutil.rmtree(root, ignore_errors=True)
            cache.remove()
            cache.bring(commit)
            try:
                _write(cache, commit, root)
            except GitFailedError as error:
                raise RepositoryError(
                    f"The files of {commit} ({origin}) cannot be written to {root}: {error}. Free space, or see what git "
                    "says of the commit."
                ) from error


def _write(cache: OriginCache, commit: str, root: Path) -> None:
    git = Git(root)
    checkout = _prepared(git, cache, commit, root)
    (checkout.git_dir / "index.lock").unlink(missing_ok=True)
    with isolated_checkout(git, checkout, repository_settings(git, checkout), objects=True) as own:
        if _attributes_changed(own, root, commit):
            # git would leave files as they are whose line ends or encoding become others.
            (checkout.git_dir / "index").unlink(missing_ok=True)
        own.run(root, "read-tree", "--reset", "-u", commit, timeout_s=_TIMEOUT_S)
        own.run(root, "clean", "-ffdxq", timeout_s=_TIMEOUT_S)
        _, entries = own.run(root, "ls-files", "--stage", "-z")
        if _set_times(root, entries):
            own.run(root, "update-index", "-q", "--refresh", allowed=(0, _NEEDS_UPDATE), timeout_s=_TIMEOUT_S)
    write_atomically(checkout.git_dir / "HEAD", f"{commit}\n")


def _prepared(git: Git, cache: OriginCache, commit: str, root: Path) -> Checkout:
    """The checkout at `root`, with a git folder of its own that borrows the cache's objects."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    object_format = "sha1" if len(commit) == len("0" * 40) else "sha256"
    arguments = ("init", "--quiet", "--template=", f"--object-format={object_format}", os.fspath(root))
    git.start(*arguments, folder=root, environment=NO_CONFIGURATION).output()
    checkout = checkout_at(root)
    if checkout is None:
        raise GitFailedError(f"git init made no checkout of {root}")
    (checkout.git_dir / "objects/info").mkdir(exist_ok=True)
    write_atomically(checkout.git_dir / "objects/info/alternates", f"{cache.git_dir / 'objects'}\n")
    write_atomically(checkout.git_dir / "shallow", f"{commit}\n")
    return checkout


def _attributes_changed(own: IsolatedGit, root: Path, commit: str) -> bool:
    _, changed = own.run(root, "diff-index", "--cached", "--name-only", "--no-renames", "-z", commit, "--")
    return any(path.rpartition(b"/")[2] == b".gitattributes" for path in changed.split(b"\0"))


def _set_times(root: Path, entries: bytes) -> int:
    """Give each file and link that `git ls-files --stage -z` lists the time of its content; returns how many had another one."""
    top, changed = os.fsencode(root), 0
    for entry in entries.split(b"\0")[:-1]:
        facts, _, path = entry.partition(b"\t")
        mode, blob, _ = facts.split(b" ")
        if mode == _SUBMODULE:
            continue
        place = os.path.join(top, path)  # noqa: PTH118 - a path of bytes
        time_ns = (_FIRST_US + int(blob[:16], 16) % _SPAN_US) * 1_000
        if os.lstat(place).st_mtime_ns != time_ns:
            os.utime(place, ns=(time_ns, time_ns), follow_symlinks=False)
            changed += 1
    return changed
