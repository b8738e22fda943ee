"""Source that a git host has: which commit a ref names there, and that commit brought into this machine's cache.

Belongs here: addresses of git hosts, and all that asks one. Does not belong here: the files of the commit
(`code_index.repository.origin_checkouts`).

This is the only place where git sees the user's configuration, since a host asks for the user's credentials: ssh, credential
helpers, proxies and certificates. Nothing of the repository is read meanwhile but objects: the cache's own configuration is
written here, hooks are off, submodules are not followed, and no transport runs a command that an address names (`ext::`).
Each hazard has a test in `tests/unit/repository/test_origin_hazards.py`.

A cache is a bare repository for each address, with the last commits that were asked for and nothing between them; all
processes of the user share it. A fetch brings only what differs from the commits that are there.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from code_index.core.cache import cache_folder
from code_index.core.errors import RepositoryError, UsageError
from code_index.core.hashing import content_hash
from code_index.repository.git_program import EMPTY_GIT_FOLDER, NO_CONFIGURATION, Git, GitFailedError
from code_index.system.file_locks import locked
from code_index.system.processes import start_stamp

_COMMIT: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_HOST: Final = r"(?:[A-Za-z0-9][A-Za-z0-9._~+-]*@)?[A-Za-z0-9][A-Za-z0-9._-]*"
_REMOTE: Final = re.compile(rf"(?:https|ssh)://{_HOST}(?::\d+)?/\S+|{_HOST}:(?![:-]|//)\S+")
_LOCAL: Final = re.compile(r"(?:file://)?/.+")
_SECRET: Final = re.compile(r"//[^/@\s]*@")
_UNFIT_IN_REF: Final = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|//|@\{|^[-+/.]|[/.]$|\.lock$")
_NAME_BYTES: Final = 32
# What a user may have set in the environment instead of in the configuration.
_OF_USER: Final = re.compile(r"GIT_(ASKPASS|CONFIG.*|HTTP_.*|PROXY.*|SSH.*|SSL.*)")
_ASKING: Final = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "https:ssh:file",
    "GIT_NO_LAZY_FETCH": "1",
}
_OPTIONS: Final = (
    f"core.hooksPath={os.devnull}",
    "core.fsmonitor=false",
    "fetch.recurseSubmodules=false",
    "gc.auto=0",
    # A line that went dead would be waited for until the fetch's own end.
    "http.lowSpeedLimit=1",
    "http.lowSpeedTime=60",
)
# A commit that is there has a file in `refs/commits`; what no commit has any more is thrown away at once.
_SETTINGS: Final = {"gc.packRefs": "false", "gc.pruneExpire": "now", "gc.autoDetach": "false"}
_LOOK_TIMEOUT_S: Final = 20.0
_FETCH_TIMEOUT_S: Final = 3_600.0
# Commits of other refs and of running indexes are among the last ones; another one is fetched again.
_KEPT_COMMITS: Final = 50


@dataclass(frozen=True, slots=True)
class GitOrigin:
    """A ref of a repository at a git host: `url` is https, ssh, `host:path`, or a repository on this machine, absolute.

    `ref` is HEAD, a branch, a tag, a full name such as refs/pull/7/head, or a commit.

    Raises:
        UsageError: one of them cannot be used.
    """

    url: str
    ref: str = "HEAD"

    def __post_init__(self) -> None:
        """Refuse what git would take for an option, a program, or a password to show."""
        if not self.url.isprintable() or not (_REMOTE.fullmatch(self.url) or _LOCAL.fullmatch(self.url)):
            raise UsageError(
                f"{without_secrets(self.url)!r} is no address of a git repository. Write https://host/path, "
                "ssh://user@host/path, user@host:path or the absolute path of a repository on this machine, without a "
                "password: git takes it from its credential helper or from ssh."
            )
        if not self.ref or _UNFIT_IN_REF.search(self.ref) or not self.ref.isprintable():
            raise UsageError(f"{self.ref!r} is no name of a ref. Name a branch, a tag or a commit, such as main.")

    @property
    def address(self) -> str:
        """The address without what nobody else should read."""
        return without_secrets(self.url)

    def __str__(self) -> str:
        """Name the ref and the address."""
        return f"{self.ref} of {self.address}"


def is_local(url: str) -> bool:
    """Tell whether an address is a path of this machine, perhaps a relative one."""
    return not _REMOTE.fullmatch(url) and "::" not in url and "://" not in url


def without_secrets(text: str) -> str:
    """A text in which addresses have neither user nor password."""
    return _SECRET.sub("//", text)


def latest_commit(origin: GitOrigin) -> str:
    """Ask the host which commit the ref names now.

    Raises:
        RepositoryError: the host does not answer, or has no such ref.
    """
    if _COMMIT.fullmatch(origin.ref):
        return origin.ref
    places = ("{}",) if origin.ref == "HEAD" or origin.ref.startswith("refs/") else ("refs/heads/{}", "refs/tags/{}")
    names = [place.format(origin.ref) for place in places]
    # A tag may be an object of its own; what it names follows it.
    asked = [name + end for name in names for end in ("", "^{}")]
    folder = cache_folder()
    with _told(origin):
        environment = _environment_of_user() | {"GIT_DIR": os.fspath(EMPTY_GIT_FOLDER)}
        arguments = ("ls-remote", "--quiet", "--end-of-options", origin.url, *asked)
        running = Git(folder).start(
            *arguments, folder=folder, environment=environment, options=_options(), bounded=False
        )
        _, said = running.output(timeout_s=_LOOK_TIMEOUT_S)
    lines = (line.split("\t", 1) for line in said.decode("utf-8", "replace").splitlines() if "\t" in line)
    found = {name: commit for commit, name in lines if _COMMIT.fullmatch(commit)}
    for name in names:
        if commit := found.get(f"{name}^{{}}", found.get(name)):
            return commit
    raise RepositoryError(f"{origin.address} has no {origin.ref!r}. Correct `ref`: a branch, a tag or a commit.")


class OriginCache:
    """The cache of a repository at a git host, used under its lock (`of`)."""

    def __init__(self, origin: GitOrigin, folder: Path, lock: int) -> None:
        self.git_dir = folder / "repository.git"
        self._origin = origin
        self._lock = lock
        self._git = Git(folder)

    @classmethod
    @contextmanager
    def of(cls, origin: GitOrigin) -> Iterator[OriginCache]:
        """Hold the cache of an origin's address, waiting for others that use it.

        Raises:
            RepositoryError: it cannot be written.
        """
        folder = cache_folder() / "git" / content_hash(os.fsencode(origin.url))[:_NAME_BYTES]
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with locked(folder / "lock") as lock:
                cache = cls(origin, folder, lock)
                cache._end_what_a_killed_process_left()
                yield cache
        except OSError as error:
            raise RepositoryError(
                f"The cache of {origin} in {folder} cannot be written: {error.strerror}. Free space, allow writing, or name "
                "another folder with CODE_INDEX_CACHE_DIR."
            ) from error

    def bring(self, commit: str) -> None:
        """Fetch a commit, unless it is there.

        Raises:
            RepositoryError: the host does not answer, or does not give it.
        """
        kept = self.git_dir / "refs/commits" / commit
        if kept.is_file():
            os.utime(kept)  # it is in use
            return
        with _told(self._origin):
            object_format = "sha1" if len(commit) == len("0" * 40) else "sha256"
            arguments = ("init", "--quiet", "--bare", "--template=", f"--object-format={object_format}")
            self._run(*arguments, os.fspath(self.git_dir), environment=NO_CONFIGURATION)
            for name, value in _SETTINGS.items():
                self._run("config", name, value, environment=self._own())
            try:
                self._fetch(f"{commit}:refs/commits/{commit}")
            except GitFailedError as error:
                self._fetch_by_ref(commit, error)
            self._drop_old()

    def remove(self) -> None:
        """Remove all of it, where something is missing: it is fetched again."""
        shutil.rmtree(self.git_dir, ignore_errors=True)

    def _fetch_by_ref(self, commit: str, refused: GitFailedError) -> None:
        """Fetch the ref from a host that gives nothing by hash.

        Raises:
            GitFailedError: it gives nothing by name either, or another commit.
        """
        if _COMMIT.fullmatch(self._origin.ref):
            raise refused
        self._fetch(f"{self._origin.ref}:refs/incoming")
        said = self._run("rev-parse", "--verify", "refs/incoming^{commit}", environment=self._own())
        if (now := said.decode().strip()) != commit:
            raise GitFailedError(f"it names {now} by now, and {commit} is not given by itself: scan again") from refused
        self._run("update-ref", f"refs/commits/{commit}", commit, environment=self._own())

    def _fetch(self, refspec: str) -> None:
        running = self._git.start(
            *(
                "fetch",
                "--quiet",
                "--depth=1",
                "--force",
                "--no-tags",
                "--no-recurse-submodules",
                "--no-write-fetch-head",
            ),
            *("--end-of-options", self._origin.url, refspec),
            folder=self.git_dir,
            environment=_environment_of_user() | self._own(),
            options=_options(),
            bounded=False,
        )
        os.pwrite(self._lock, f"{running.pid} {start_stamp(running.pid)}\n".encode(), 0)
        try:
            running.output(timeout_s=_FETCH_TIMEOUT_S)
        finally:
            os.ftruncate(self._lock, 0)

    def _end_what_a_killed_process_left(self) -> None:
        """End the fetch of a process that was killed: it goes on by itself, without the lock."""
        pid, _, stamp = os.pread(self._lock, 1_000, 0).decode("ascii", "replace").strip().partition(" ")
        if pid.isdecimal() and stamp and start_stamp(int(pid)) == stamp:
            with suppress(ProcessLookupError):
                os.killpg(int(pid), signal.SIGKILL)
        os.ftruncate(self._lock, 0)
        for left in (
            *self.git_dir.glob("*.lock"),
            *self.git_dir.glob("refs/**/*.lock"),
            *self.git_dir.glob("objects/pack/tmp_*"),
        ):
            left.unlink(missing_ok=True)

    def _drop_old(self) -> None:
        """Forget all but the last commits, and let git throw away what only they had once there is much of it."""
        refs = sorted((self.git_dir / "refs/commits").iterdir(), key=lambda path: path.stat().st_mtime_ns)
        for ref in refs[:-_KEPT_COMMITS]:
            ref.unlink()
        self._run("gc", "--auto", "--quiet", environment=self._own(), timeout_s=_FETCH_TIMEOUT_S)

    def _own(self) -> dict[str, str]:
        return {"GIT_DIR": os.fspath(self.git_dir)}

    def _run(self, *arguments: str, environment: dict[str, str], timeout_s: float = _LOOK_TIMEOUT_S) -> bytes:
        places = NO_CONFIGURATION | {"GIT_DEFAULT_REF_FORMAT": "files"} | environment
        _, said = self._git.start(*arguments, folder=self.git_dir.parent, environment=places).output(
            timeout_s=timeout_s
        )
        return said


@contextmanager
def _told(origin: GitOrigin) -> Iterator[None]:
    """Say of which origin git failed, and what a person can do."""
    try:
        yield
    except GitFailedError as error:
        raise RepositoryError(
            f"{origin}: {without_secrets(str(error))}. Check the address, and that git can read it here without asking: "
            f"`git ls-remote {origin.address}`."
        ) from error


def _environment_of_user() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if _OF_USER.fullmatch(name)} | _ASKING


def _options() -> list[str]:
    return [word for option in _OPTIONS for word in ("-c", option)]
