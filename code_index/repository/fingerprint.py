"""A token that changes when a repository changes, and costs less than a scan.

Belongs here: the token. Does not belong here: what changed (`code_index.repository.source_repository`).

In a git checkout, git lists the files that differ from its index, by its cache of sizes and times; only their
present state is read. The token covers contents, not commits: a commit of contents seen before is no change. Where
git cannot be asked, or does not see all that a scan sees (another repository inside, patterns that bring ignored
files back, files that git was told not to look at), the size and time of every file is read, as in a scan. Filters do
not run for it: until git has compared a touched file that has one, the file counts as changed, with its present state.
Not noticed in a checkout: a `.codeindexignore` below the root that git itself ignores. Rejected: file system events,
which are lost while nobody listens and cost one watch per folder.
"""

from __future__ import annotations

import codecs
import hashlib
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from code_index.core.errors import RepositoryError
from code_index.repository.checkouts import Checkout, find_checkout, read_git_file
from code_index.repository.git_checkout import (
    ask_for_user_ignore_file,
    isolated_checkout,
    repository_settings,
    user_ignore_file,
)
from code_index.repository.git_program import Git, GitFailedError
from code_index.repository.walk import Walk, WalkOptions, walk
from code_index.repository.walk_rules import OWN_IGNORE_FILE, read_ignore_file

_IGNORE_FILE: Final = os.fsencode(OWN_IGNORE_FILE)
_NOT_IGNORED: Final = 1  # exit status of `git check-ignore`
_SUBMODULE: Final = b"160000"
_OTHER_REPOSITORIES: Final = "there are other repositories in it, such as submodules"
# Tags of `git ls-files -v` for files that git compares with the working tree: cached, unmerged.
_COMPARED: Final = (b"\0H ", b"\0M ")


@dataclass(frozen=True, slots=True)
class RepositoryState:
    """The state of a repository.

    Equal tokens mean that a scan would find the same files with the same contents. `source` says how it was
    read: `git`, or `walk` with the reason.
    """

    token: str
    source: str


def repository_state(root: Path, options: WalkOptions) -> RepositoryState:
    """Read the state of the repository at `root`.

    Args:
        root: folder of the repository, absolute.
        options: of the index's scan; they go into the token.

    Raises:
        RepositoryError: the root cannot be read.
    """
    state = git_state(root, options)
    if isinstance(state, RepositoryState):
        return state
    return walked_state(walk(Path(os.path.realpath(root)), options), options, reason=state)


def git_state(root: Path, options: WalkOptions) -> RepositoryState | str:
    """The state that git reports, or the reason why git misses something; arguments as for `repository_state`."""
    root = Path(os.path.realpath(root))
    if not root.is_dir():
        raise RepositoryError(f"{root} is not a folder. Check the path and that its disk is mounted.")
    try:
        return RepositoryState(_token(_git_parts(root, options), options), "git")
    except GitMissesSomethingError as reason:
        return str(reason)


def walked_state(found: Walk, options: WalkOptions, *, reason: str) -> RepositoryState:
    """The state that a walk with these options saw; the walk of a scan will do."""
    return RepositoryState(_token(_walk_parts(found), options), f"walk: {reason}")


def commit_state(commit: str, options: WalkOptions) -> RepositoryState:
    """The state of a source of which only commits are seen, with the options of the index's scan."""
    return RepositoryState(_token([b"commit", commit.encode()], options), "commit")


def _token(parts: Iterable[bytes], options: WalkOptions) -> str:
    digest = hashlib.sha256(repr(_shaping(options)).encode())
    for part in parts:
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.hexdigest()[:32]


def _shaping(options: WalkOptions) -> tuple[object, ...]:
    """The options that shape a scan."""
    return (
        options.max_file_bytes,
        options.exclude,
        options.use_gitignore,
        options.tracked_dependencies,
        options.readers_group,
    )


def settled_state(
    root: Path,
    options: WalkOptions,
    before: RepositoryState,
    *,
    quiet_s: float,
    patience_s: float,
    sleep: Callable[[float], None] = time.sleep,
) -> RepositoryState | None:
    """The state after `quiet_s` without a change; None if none followed within `patience_s`, in which it waits.

    Args:
        root: folder of the repository, absolute.
        options: of the index's scan.
        before: the state that was just read.
        quiet_s: how long an equal state makes rest.
        patience_s: how long to wait for rest; less than `quiet_s` for not at all.
        sleep: waits for so many seconds.

    Raises:
        RepositoryError: the root cannot be read.
    """
    waited_s = 0.0
    while waited_s + quiet_s <= patience_s:
        sleep(quiet_s)
        waited_s += quiet_s
        now = repository_state(root, options)
        if now.token == before.token:
            return now
        before = now
    return None


class GitMissesSomethingError(Exception):
    """Git does not see all that a scan sees; the text is the reason."""


def _git_parts(root: Path, options: WalkOptions) -> list[bytes]:
    """The parts of a token, as git reports them."""
    checkout = find_checkout(root)
    if checkout is None:
        raise GitMissesSomethingError("no git checkout")
    if not options.use_gitignore:
        raise GitMissesSomethingError("what git ignores is indexed")
    try:
        tracked, changed = listed_changes(Git(checkout.top), root, checkout)
    except GitFailedError as error:
        raise GitMissesSomethingError(str(error)) from error
    own = os.fsencode(os.path.relpath(os.path.realpath(options.index_dir), root)) + b"/"
    changed = [path for path in changed if not path.startswith(own)]
    if any(path.endswith(b"/") for path in changed):
        raise GitMissesSomethingError(_OTHER_REPOSITORIES)
    contents = [_content(root, path) for path in _named(_IGNORE_FILE, tracked, changed)]
    patterns = [*map(os.fsencode, options.exclude), *(line for content in contents for line in content.splitlines())]
    if any(pattern.startswith(b"!") for pattern in patterns):
        raise GitMissesSomethingError("a pattern brings ignored files back")
    states = [_file_state(root, path) for path in changed]
    return [tracked, _sizes(root, tracked, changed), b"changed", *states, b"ignored", *contents]


def listed_changes(git: Git, root: Path, checkout: Checkout, *, all_compared: bool = True) -> tuple[bytes, list[bytes]]:
    """Tracked files below the root, and the paths that differ in the working tree.

    The former are tag, mode, object and stage, a tab, the path and a NUL for each entry of the index
    (`git ls-files -s -v`). The latter are the paths, relative to the root, that are modified, deleted, or untracked
    and not ignored; one that ends with `/` is another repository.

    Args:
        git: the program.
        root: folder of the repository, absolute.
        checkout: the one that it is in.
        all_compared: refuse where git was told not to look at some files (`not_compared`).

    Raises:
        GitFailedError: git cannot tell.
        GitMissesSomethingError: git does not see all that a scan sees.
    """
    settings = repository_settings(git, checkout)
    with isolated_checkout(git, checkout, settings) as own, ask_for_user_ignore_file(git) as asked:
        _, tracked = own.run(root, "ls-files", "-z", "--stage", "-v", quiet=True)
        # Before the next command, for which git would read files in the git folders of submodules.
        if _SUBMODULE in tracked and any(entry.split(b" ", 2)[1:2] == [_SUBMODULE] for entry in tracked.split(b"\0")):
            raise GitMissesSomethingError(_OTHER_REPOSITORIES)
        compared = sum((b"\0" + tracked).count(begin) for begin in _COMPARED)
        if all_compared and compared != tracked.count(b"\0"):
            raise GitMissesSomethingError("git was told not to look at some files")
        ignore_file, _ = user_ignore_file(git, checkout, settings, asked=asked)
        # Of two rules that match, git takes the later one.
        with own.ignoring(
            b"\n".join(_rules(path) for path in (ignore_file, checkout.exclude_file) if path is not None)
        ):
            if checkout.top != root:
                ignored = own.run(root, "check-ignore", "-q", ".", allowed=(0, _NOT_IGNORED), reads_tree=True)
                if ignored[0] == 0:
                    raise GitMissesSomethingError("the checkout around it ignores this folder")
            arguments = ("ls-files", "-z", "--modified", "--deleted", "--others", "--exclude-standard")
            _, said = own.run(root, *arguments, reads_tree=True)
    return tracked, sorted(set(said.split(b"\0")[:-1]))


def not_compared(tracked: bytes) -> list[bytes]:
    """The paths of tracked files that git does not compare, of those that `listed_changes` lists."""
    tags = tuple(begin[1:] for begin in _COMPARED)
    return [entry.partition(b"\t")[2] for entry in tracked.split(b"\0")[:-1] if not entry.startswith(tags)]


def _rules(path: Path) -> bytes:
    """Rules of an ignore file outside of the working tree; none where it cannot be read."""
    try:
        return read_git_file(path).removeprefix(codecs.BOM_UTF8)
    except OSError:  # the walk of the scan warns
        return b""


def _named(name: bytes, tracked: bytes, changed: list[bytes]) -> list[bytes]:
    """Paths of the files of a name, and the one at the root."""
    paths = list(changed)
    if name + b"\0" in tracked:  # rarely; a repository has many files
        paths += _paths(tracked)
    return sorted({path for path in paths if path.rpartition(b"/")[2] == name} | {name})


def _paths(tracked: bytes) -> list[bytes]:
    return [entry.partition(b"\t")[2] for entry in tracked.split(b"\0")[:-1]]


def _sizes(root: Path, tracked: bytes, changed: list[bytes]) -> bytes:
    """Sizes of tracked files where a filter may make other contents of the same object, as `git lfs pull` does."""
    if not any(b"filter" in _content(root, path) for path in _named(b".gitattributes", tracked, changed)):
        return b""
    top = os.fsencode(root)
    sizes = []
    for path in _paths(tracked):
        try:
            sizes.append(os.lstat(os.path.join(top, path)).st_size)  # noqa: PTH118 - a path of bytes
        except OSError:  # it is among those that changed
            sizes.append(-1)
    return repr(sizes).encode()


def _file_state(root: Path, path: bytes) -> bytes:
    """Path and present state of a file: any further edit changes at least one of these figures."""
    try:
        status = os.lstat(os.path.join(os.fsencode(root), path))  # noqa: PTH118 - a path of bytes
    except (FileNotFoundError, NotADirectoryError):
        return path + b"\0gone"
    except OSError as error:
        return path + b"\0" + str(error.errno).encode()
    kind = (status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    return path + b"\0" + repr(kind).encode()


def _content(root: Path, path: bytes) -> bytes:
    try:
        return read_ignore_file(root / os.fsdecode(path))
    except OSError as error:
        return f"errno {error.errno}".encode()


def _walk_parts(found: Walk) -> list[bytes]:
    return [
        *(repr((path, size, mtime)).encode() for path, _, size, mtime in sorted(found.files)),
        *sorted(repr((entry.path, entry.reason)).encode() for entry in found.skipped),
        *sorted(repr(item).encode() for item in found.unreadable.items()),
        *sorted(repr(item).encode() for item in found.encodings.items()),
    ]
