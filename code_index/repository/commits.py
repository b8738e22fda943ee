"""Commits of a checkout: the one that is checked out, one that a user names, and the files that differ since it.

Belongs here: names of commits, and comparing trees. Does not belong here: how git is run
(`code_index.repository.git_program`) and the state of the working tree (`code_index.repository.fingerprint`).

Names are looked up in the git folder as data, so that git sees neither its configuration nor its refs; git gets a hash, and
of the repository's folders only that of the objects, which it reads. It knows no remote, so it fetches nothing that is missing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Final

from code_index.core.errors import UsageError
from code_index.repository.checkouts import Checkout, find_checkout, read_git_file
from code_index.repository.fingerprint import GitMissesSomethingError, listed_changes, not_compared
from code_index.repository.git_checkout import isolated_checkout, repository_settings
from code_index.repository.git_program import Git, GitFailedError

_HASH: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_HASH_BEGIN: Final = re.compile(r"[0-9a-f]{4,64}")
_SYMBOLIC: Final = re.compile(r"ref: *(?P<name>\S+)")
# What may follow a name: HEAD~3, main^, v1.0^{commit}.
_STEPS: Final = re.compile(r"(?P<name>[^~^]*)(?P<steps>(?:~\d*|\^\d*|\^\{commit\})*)")
_MOST_CHARACTERS: Final = 1_000  # of a name with its steps; a path has 255 in each of its parts
_MOST_LINKS: Final = 5
_MOST_STEPS_BACK: Final = 50_000
# Places of a name, as git looks for it.
_PLACES: Final = ("{}", "refs/{}", "refs/tags/{}", "refs/heads/{}", "refs/remotes/{}", "refs/remotes/{}/HEAD")
_SHOWN: Final = 80


def checked_out_commit(root: Path) -> str | None:
    """The hash of the commit that HEAD names in the checkout around `root`; None where there is none or it cannot be read."""
    checkout = find_checkout(Path(os.path.realpath(root)))
    return None if checkout is None else _of_ref(checkout, "HEAD")


def changed_since(root: Path, reference: str) -> list[str]:
    """Paths below `root`, relative to it, that differ from a commit: in later commits, in the working tree, or untracked.

    Deleted files are among them; ignored ones are not.

    Args:
        root: folder of the repository, absolute; it may lie deep in a checkout.
        reference: a branch, tag, remote branch or hash, also with `~2` or `^` behind it.

    Raises:
        UsageError: there is no checkout, no such commit, or git cannot tell.
    """
    root = Path(os.path.realpath(root))
    checkout = find_checkout(root)
    if checkout is None:
        raise UsageError(f"{root} is no git checkout, so nothing is known of changes since {_quoted(reference)}.")
    start, steps = _resolved(checkout, reference)
    git = Git(checkout.top)
    try:
        settings = repository_settings(git, checkout)
        with isolated_checkout(git, checkout, settings, objects=True) as own:
            arguments = ("rev-parse", "--quiet", "--verify", "--end-of-options", f"{start}{steps}^{{commit}}")
            status, said = own.run(root, *arguments, allowed=(0, 1, 128))
            if status != 0:
                raise _unknown(checkout, reference)
            commit = said.decode("ascii", "replace").strip()
            compared = ("diff-index", "--cached", "--name-only", "--no-renames", "--relative", "-z", commit, "--")
            _, in_index = own.run(root, *compared)
        tracked, in_tree = listed_changes(git, root, checkout, all_compared=False)
    except (GitFailedError, GitMissesSomethingError) as error:
        raise UsageError(
            f"Changes since {_quoted(reference)} are not known: {error}. Ask without this filter."
        ) from error
    # What git was told not to look at may have changed; in a sparse checkout it is mostly not there.
    unseen = [path for path in not_compared(tracked) if os.path.lexists(os.path.join(os.fsencode(root), path))]  # noqa: PTH118
    return sorted(map(os.fsdecode, {*in_index.split(b"\0")[:-1], *in_tree, *unseen}))


def nearest_commit(root: Path, candidates: Collection[str]) -> str | None:
    """The first of some commits on the way back from the one that is checked out; None where none of them is met.

    A shallow clone ends the way early, and so do `_MOST_STEPS_BACK` commits.
    """
    root = Path(os.path.realpath(root))
    checkout = find_checkout(root)
    head = None if checkout is None else _of_ref(checkout, "HEAD")
    if checkout is None or head is None or head in candidates:
        return head if head in candidates else None
    git = Git(checkout.top)
    with suppress(GitFailedError):
        settings = repository_settings(git, checkout)
        with isolated_checkout(git, checkout, settings, objects=True) as own:
            arguments = ("rev-list", f"--max-count={_MOST_STEPS_BACK}", "--end-of-options", head)
            status, said = own.run(root, *arguments, allowed=(0, 128))
        if status == 0:
            return next((commit for commit in said.decode("ascii", "replace").split() if commit in candidates), None)
    return None


def _resolved(checkout: Checkout, reference: str) -> tuple[str, str]:
    """The hash (or its beginning) that the name in a reference stands for, and the steps from there."""
    match = _STEPS.fullmatch(reference) if len(reference) <= _MOST_CHARACTERS else None
    name, steps = (match["name"], match["steps"]) if match else ("", "")
    name = "HEAD" if name == "@" else name
    if not name or name.startswith("-") or ".." in name or not name.isprintable() or "\\" in name:
        raise _unknown(checkout, reference)
    for place in _PLACES:
        # Of the git folder itself, only what is a reference.
        if place == "{}" and not (name.startswith("refs/") or re.fullmatch(r"[A-Z_]*HEAD", name)):
            continue
        if (found := _of_ref(checkout, place.format(name))) is not None:
            return found, steps
    if _HASH_BEGIN.fullmatch(name.lower()):
        return name.lower(), steps
    raise _unknown(checkout, reference)


def _of_ref(checkout: Checkout, name: str) -> str | None:
    """The hash that a ref holds, through symbolic ones."""
    for _ in range(_MOST_LINKS):
        text = _ref_text(checkout, name)
        if text is None or _HASH.fullmatch(text):
            return text
        if (symbolic := _SYMBOLIC.fullmatch(text)) is None or ".." in symbolic["name"]:
            return None
        name = symbolic["name"]
    return None


def _ref_text(checkout: Checkout, name: str) -> str | None:
    """Content of a loose ref, else the hash of a packed one."""
    for folder in dict.fromkeys((checkout.git_dir, checkout.common_dir)):
        try:
            return read_git_file(folder / name).decode("utf-8", "replace").strip()
        except (OSError, ValueError):
            continue
    try:
        packed = read_git_file(checkout.common_dir / "packed-refs")
    except OSError:
        return None
    found = re.search(rb"^([0-9a-f]{40,64}) " + re.escape(os.fsencode(name)) + rb"$", packed, re.MULTILINE)
    return found[1].decode() if found else None


def _unknown(checkout: Checkout, reference: str) -> UsageError:
    shallow = (checkout.common_dir / "shallow").exists()
    why = " The clone is shallow: `git fetch --unshallow` brings older commits." if shallow else ""
    return UsageError(
        f"{_quoted(reference)} names no commit of {checkout.top}. Name a branch, a tag or a commit, such as HEAD~3 or main."
        + why
    )


def _quoted(reference: str) -> str:
    return repr(reference[:_SHOWN])
