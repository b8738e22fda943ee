"""git as a program, run so that a repository can neither name what it runs nor what it reads.

Belongs here: finding git, starting it, ending it. Does not belong here: questions to it
(`code_index.repository.git_checkout`).

`.git` may come with an archive or a shared disk, so what it says is a stranger's. Its configuration can name programs in
dozens of places, and every version of git adds some. They are not switched off one by one: git never sees the
configuration. It gets an empty git folder of this package (`git_folders`), with the repository's index and working tree
beside it, and as settings only values that were looked at (`IsolatedGit`). Neither does it then see the user's own
configuration, whose filters (Git LFS) would start for the repository's files. Rejected: the repository's own git folder
with `-c` for each setting that is known to run something, and `git diff-files` or `git status`, which run filters.

Each hazard has a test in `tests/unit/repository/test_git_hazards.py` that plants it and has plain git fall for it:

- Filters (`clean`, `process`) of the repository, of a nested one, of `config.worktree`, through `include.path` and
  `includeIf`, `textconv` and external diffs; hooks and `core.hooksPath`; `core.fsmonitor`; pagers, aliases, editors,
  ssh commands, credential helpers, `gpg.program`: no configuration is read.
- Lazy fetches from a promisor, `ext::` and other remotes, alternates: no remote is known, the object folder is empty. Only
  where commits are compared it is the repository's; of what its alternates lead to, names of files in trees are all that
  comes back.
- `core.worktree`, a `.git` file, `commondir` or a bare repository that lead elsewhere: the working tree is the one
  that the file system shows, and of the folder they lead to only index and exclude file are read, as data.
- Pipes, devices and endless files in place of configuration, index, exclude and ignore files: those of the git folder
  are read by us, as regular files of a bounded size. In the working tree git itself opens ignore and attribute files,
  and `.git` of nested repositories: where it is slow, a pipe or device is looked for and ends it; its memory is bounded,
  and it has no terminal.
- A program called `git` in the repository or the working directory: relative entries of PATH and those that lead into
  the repository are left out.
- `GIT_*` of a hook that calls us, and of tracing: not handed on, but for `GIT_CONFIG*` where the user's own settings
  are asked for.
"""

from __future__ import annotations

import atexit
import os
import shutil
import stat
import subprocess
import tempfile
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final, Self

from code_index.system.limits import bound_memory_of

_GIT_FOLDERS: Final = Path(__file__).with_name("git_folders")
EMPTY_GIT_FOLDER: Final = _GIT_FOLDERS / "sha1"
"""A git folder that knows nothing."""
_TIMEOUT_S: Final = 60
# git answers sooner but in large repositories; beyond, it may wait on a pipe.
_SLOW_S: Final = 1.0
_LOOK_S: Final = 0.1
# A million tracked files take less than 1 GiB.
_MEMORY_BYTES: Final = 4 << 30
_ALWAYS: Final = {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
# None is looked for then, so that no repository's configuration is read.
_NO_REPOSITORY: Final = {"GIT_DIR": os.devnull}
NO_CONFIGURATION: Final = {
    "HOME": os.devnull,
    "XDG_CONFIG_HOME": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_ATTR_NOSYSTEM": "1",
}
"""Environment in which git finds neither the user's nor the machine's configuration."""
_SPECIAL: Final = {stat.S_IFIFO: "a pipe", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}


# A thread that asks git may be cut off by the end of the process; git, waiting on a pipe, would stay behind.
_RUNNING: Final[weakref.WeakSet[subprocess.Popen[bytes]]] = weakref.WeakSet()


@atexit.register
def _end_all() -> None:
    for process in list(_RUNNING):
        if process.returncode is None:
            with suppress(OSError):
                process.kill()


class GitFailedError(Exception):
    """git is missing, or cannot or may not answer; the text is the reason."""


class Git:
    """The program, for questions about what lies below `root`: the top of a checkout, or a folder in none."""

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.realpath(root))

    def start(
        self,
        *arguments: str,
        folder: Path,
        environment: Mapping[str, str],
        options: Sequence[str] = (),
        stdin: bytes = b"",
        reads_tree: bool = False,
        bounded: bool = True,
    ) -> RunningGit:
        """Start a command in `folder`; of our environment, all variables of git are replaced by `environment`.

        Where it `reads_tree`, it opens files of the working tree: one that takes long may wait on a pipe there. Its memory
        is `bounded`, but where it starts programs of the user, which may set more aside than they need.

        Raises:
            GitFailedError: git is not installed outside of the repository, or does not start.
        """
        places = self._places()
        programs = (os.path.join(place, "git") for place in places)  # noqa: PTH118
        program = next((path for path in programs if _is_program(path) and not self._is_inside(path)), None)
        if program is None:
            raise GitFailedError("git is not installed")
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        try:
            process = subprocess.Popen(
                [program, *options, "-C", os.fspath(folder), *arguments],
                cwd="/",
                env=kept | _ALWAYS | {"PATH": os.pathsep.join(places)} | dict(environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # without a terminal that something could read from
            )
        except (OSError, ValueError) as error:  # the latter for a path with a NUL byte
            raise GitFailedError(f"git {arguments[0]} failed ({error})") from error
        _RUNNING.add(process)
        if bounded:
            bound_memory_of(process.pid, _MEMORY_BYTES)
        return RunningGit(process, arguments[0], self.root if reads_tree else None, stdin)

    def user_setting(self, kind: str, name: str) -> RunningGit:
        """Start to read all values of a setting from the user's and the machine's configuration, NUL after each.

        Raises:
            GitFailedError: as for `start`.
        """
        environment = {name: value for name, value in os.environ.items() if name.startswith("GIT_CONFIG")}
        arguments = ("config", "--null", f"--type={kind}", "--get-all", name)
        return self.start(*arguments, folder=Path("/"), environment=environment | _NO_REPOSITORY)

    def parse_configuration(self, content: bytes) -> list[str]:
        """The entries of a configuration file: name in small letters, a newline and the value, if there is one.

        Raises:
            GitFailedError: as for `start` and `RunningGit.output`.
        """
        arguments = ("config", "--file", "-", "--no-includes", "--null", "--list")
        _, said = self.start(*arguments, folder=Path("/"), environment=_NO_REPOSITORY, stdin=content).output()
        return [os.fsdecode(entry) for entry in said.split(b"\0")[:-1]]

    def _places(self) -> list[str]:
        """The folders of PATH that the repository has no say in."""
        return [place for place in os.get_exec_path() if os.path.isabs(place) and not self._is_inside(place)]  # noqa: PTH117

    def _is_inside(self, path: str) -> bool:
        return Path(os.path.realpath(path)).is_relative_to(self.root)


class RunningGit:
    """A command of git that was started."""

    def __init__(self, process: subprocess.Popen[bytes], name: str, tree: Path | None, stdin: bytes) -> None:
        self._process = process
        self._name = name
        self._tree = tree
        self._stdin: bytes | None = stdin

    def __enter__(self) -> Self:
        """Return the command itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it, if it has not ended."""
        if self._process.poll() is None:
            self._process.kill()
        with self._process:
            pass

    @property
    def pid(self) -> int:
        """Number of the process, and of the group that it and what it starts are in."""
        return self._process.pid

    def output(
        self, *, allowed: Sequence[int] = (0,), quiet: bool = False, timeout_s: float | None = None
    ) -> tuple[int, bytes]:
        """Wait for its end; exit status, one of those `allowed`, and output.

        Raises:
            GitFailedError: it fails, takes too long, seems to wait on a pipe, or should be `quiet` and warns.
        """
        with self:
            said, error = self._wait(_TIMEOUT_S if timeout_s is None else timeout_s)
        status = self._process.returncode
        if status not in allowed or (quiet and error):
            lines = error.decode("utf-8", "replace").strip().splitlines()
            raise GitFailedError(f"git {self._name} failed ({lines[0] if lines else f'exit status {status}'})")
        return status, said

    def _wait(self, timeout_s: float) -> tuple[bytes, bytes]:
        ends = time.monotonic() + timeout_s
        patience_s = _SLOW_S
        looked_at = _special_files(self._tree) if self._tree is not None else iter(())
        while True:
            try:
                return self._process.communicate(self._stdin, timeout=min(patience_s, timeout_s))
            except subprocess.TimeoutExpired:
                patience_s, self._stdin = _LOOK_S, None  # what was not written yet is kept
            until = time.monotonic() + _LOOK_S
            for found in looked_at:
                if found is not None:
                    raise GitFailedError(f"git {self._name} would wait for {found}")
                if time.monotonic() > until:
                    break
            if time.monotonic() > ends:
                raise GitFailedError(f"git {self._name} failed (timed out after {timeout_s:.0f} s)")


class IsolatedGit:
    """git on an index and a working tree, with a git folder of this package that knows nothing of the repository."""

    def __init__(self, git: Git, git_dir: Path, environment: Mapping[str, str], settings: Mapping[str, str]) -> None:
        self._git = git
        self._environment = {
            # Neither are programs of the user's configuration run for the files of the repository.
            **NO_CONFIGURATION,
            "GIT_DIR": os.fspath(git_dir),
            # git would read `commondir` of nested repositories to the end, be it /dev/zero.
            "GIT_COMMON_DIR": os.fspath(git_dir),
            **environment,
        }
        self._options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self._rules = os.devnull

    def run(
        self,
        folder: Path,
        *arguments: str,
        allowed: Sequence[int] = (0,),
        quiet: bool = False,
        reads_tree: bool = False,
        timeout_s: float | None = None,
    ) -> tuple[int, bytes]:
        """Run a command in a folder of the working tree; exit status and output.

        Raises:
            GitFailedError: as for `Git.start` and `RunningGit.output`.
        """
        options = [*self._options, "-c", f"core.excludesFile={self._rules}"]
        running = self._git.start(
            *arguments, folder=folder, environment=self._environment, options=options, reads_tree=reads_tree
        )
        return running.output(allowed=allowed, quiet=quiet, timeout_s=timeout_s)

    @contextmanager
    def ignoring(self, rules: bytes) -> Iterator[None]:
        """Let these ignore rules hold, as if they stood in the exclude file.

        Raises:
            GitFailedError: they cannot be written.
        """
        if all(not line.strip() or line.startswith(b"#") for line in rules.splitlines()):
            yield
            return
        with ExitStack() as stack:
            try:
                file = stack.enter_context(tempfile.NamedTemporaryFile(prefix="code-index-git-"))
                file.write(rules)
                file.flush()
            except OSError as error:
                raise GitFailedError(f"git cannot be told what to ignore ({error})") from error
            self._rules = file.name
            yield
            self._rules = os.devnull


@contextmanager
def isolated(
    git: Git, *, git_dir: Path, top: Path, settings: Mapping[str, str], objects: Path | None = None
) -> Iterator[IsolatedGit]:
    """Git on the index in `git_dir`, of which nothing else is used, and the working tree at `top`.

    `settings` are names and plain words that go into the configuration. `objects` is the folder of objects that git may
    read, where it is asked for commits; by default it knows none.

    Raises:
        GitFailedError: the index is no file, or in two parts that cannot be joined.
    """
    index = git_dir / "index"
    settings = dict(settings)
    own = _GIT_FOLDERS / settings.pop("extensions.objectformat", "sha1")
    with ExitStack() as stack:
        try:
            if index.exists() and not index.is_file():  # there is none before the first file is added
                raise GitFailedError(f"{index} is not a regular file")
            if shared := [path for path in git_dir.glob("sharedindex.*") if path.is_file()]:
                own = _with_links(own, shared, stack)
        except OSError as error:
            raise GitFailedError(f"{index} cannot be read ({error})") from error
        environment = {"GIT_WORK_TREE": os.fspath(top), "GIT_INDEX_FILE": os.fspath(index)}
        if objects is not None:
            environment["GIT_OBJECT_DIRECTORY"] = os.fspath(objects)
        yield IsolatedGit(git, own, environment, settings)


def _with_links(git_folder: Path, shared: Sequence[Path], stack: ExitStack) -> Path:
    """A copy of a git folder, with the other parts of a split index."""
    copy = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="code-index-git-"))) / "git"
    shutil.copytree(git_folder, copy)
    for path in shared:
        (copy / path.name).symlink_to(path)
    return copy


def _is_program(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)  # noqa: PTH113


def _special_files(root: Path) -> Iterator[str | None]:
    """Look for pipes and devices that git may open, below `root` and in what holds above; None for each folder."""
    for above in root.parents:
        for name in (".gitignore", ".gitattributes"):
            yield _special(above / name)
    pending = [os.fspath(root)]
    while pending:
        with suppress(OSError), os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                elif not entry.is_file(follow_symlinks=False) and (found := _special(Path(entry.path))) is not None:
                    yield found
        yield None


def _special(path: Path) -> str | None:
    try:
        kind = _SPECIAL.get(stat.S_IFMT(path.stat().st_mode))
    except OSError:
        return None
    return f"{path}, {kind}" if kind is not None else None
