"""Options that several commands share."""

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.shell_completion import CompletionItem

from code_index.core.content_kinds import ContentKind
from code_index.core.errors import SettingsError, UsageError
from code_index.core.model import ChunkType
from code_index.index.folder import AT_STORE, INDEX_DIR_VARIABLE, IndexFolder, resolve_index_folder
from code_index.index.permissions import umask_of
from code_index.repository.skip_rules import INDEX_FOLDER
from indexing_assets.cli.output import confirm

if TYPE_CHECKING:
    from code_index import Indexes

_Command = Callable[..., Any]


class _Folder(click.Path):
    """A path that shells complete with folders; whether it is one is told by the command.

    With `or_store` also `s3://bucket/prefix`, an index at a store, which stays a text.
    """

    def __init__(self, *, or_store: bool = False) -> None:
        super().__init__(path_type=Path)
        self._or_store = or_store

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not str(value).startswith(AT_STORE):
            return super().convert(value, param, ctx)
        if not self._or_store:
            raise UsageError(
                f"{value} names an index at a store, which search, symbol, context, related, status, serve and mcp read. What "
                "writes there are the runs of a deployment (docs/machines.md)."
            )
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        return [CompletionItem(incomplete, type="dir")]


FOLDER: Final = _Folder()
FOLDER_OR_STORE: Final = _Folder(or_store=True)


def complete_file(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of files, for arguments that are more than the path of one."""
    return [CompletionItem(incomplete, type="file")]


def _complete_language(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from code_index.chunking.plain_languages import PLAIN_LANGUAGES
    from code_index.chunking.registry import FORMATS, LANGUAGES

    names = {*LANGUAGES, *FORMATS, *(kind.name for kind in PLAIN_LANGUAGES)}
    return [CompletionItem(name) for name in sorted(names) if name.startswith(incomplete)]


def repository_argument(command: _Command) -> _Command:
    """`[PATH]`, the repository; by default the one that holds the current folder."""
    return click.argument("path", required=False, type=FOLDER)(command)


def repository_or_store_argument(command: _Command) -> _Command:
    """`[PATH]`, as `repository_argument`, or an index at a store."""
    return click.argument("path", required=False, type=FOLDER_OR_STORE)(command)


def repository_option(command: _Command) -> _Command:
    """`--path PATH`, for commands whose arguments are something else."""
    return click.option(
        "--path",
        "-C",
        type=FOLDER_OR_STORE,
        help="Repository, or s3://bucket/prefix; by default the one that holds the current folder.",
    )(command)


def index_dir_option(command: _Command) -> _Command:
    """`--index-dir DIR`."""
    return click.option(
        "--index-dir",
        type=FOLDER,
        help=f"Folder of the index; by default ${INDEX_DIR_VARIABLE} or .code-index in the repository.",
    )(command)


def several_options(command: _Command) -> _Command:
    """`--repo PATH` (repeated) and `--all`, for commands that ask several indexes as one."""
    command = click.option("--all", "all_indexes", is_flag=True, help="All indexes of the deployment.")(command)
    return click.option(
        "--repo",
        "repositories",
        multiple=True,
        type=FOLDER_OR_STORE,
        help="A repository to ask, or s3://bucket/prefix; repeated, all in one ranking.",
    )(command)


def with_options(command: _Command, *options: Callable[[_Command], _Command]) -> _Command:
    """Give a command several options, which its help lists in this order."""
    for option in reversed(options):
        command = option(command)
    return command


def filter_options(command: _Command) -> _Command:
    """The filters of a search."""
    return with_options(
        command,
        click.option(
            "--language",
            "-l",
            multiple=True,
            shell_complete=_complete_language,
            help="Only this language, by name or extension (may be repeated).",
        ),
        click.option("--glob", "-g", help="Only paths that match, such as 'src/**/*.{ts,tsx}', 'docs/' or 'app/[id]'."),
        click.option(
            "--type",
            "-t",
            "chunk_type",
            multiple=True,
            type=click.Choice([kind.value for kind in ChunkType], case_sensitive=False),
            metavar="TYPE",
            help="Only this chunk type: function, class, method, ... (may be repeated).",
        ),
        click.option("--function", "function_name", help="Only the function or method of this name."),
        click.option("--class", "class_name", help="Only the class of this name and its members."),
        click.option("--subproject", help="Only this subproject, by name."),
        click.option(
            "--content",
            type=click.Choice([*ContentKind, "all"], case_sensitive=False),
            default="all",
            show_default=True,
            help="Only code, documentation, configuration or tests.",
        ),
        click.option(
            "--changed-since",
            metavar="REF",
            help="Only files that changed since this commit, also in the working tree, or are untracked.",
        ),
    )


def mode_option(command: _Command) -> _Command:
    """`--mode`."""
    return click.option(
        "--mode",
        type=click.Choice(["hybrid", "semantic", "lexical"]),
        default="hybrid",
        show_default=True,
        help="By meaning, by words, or both.",
    )(command)


def json_option(command: _Command) -> _Command:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def wait_option(command: _Command) -> _Command:
    """`--wait/--no-wait`."""
    return click.option(
        "--wait/--no-wait", default=True, show_default=True, help="Wait while another process writes to the index."
    )(command)


def yes_option(command: _Command) -> _Command:
    """`--yes`, for commands that may remove what cannot be made again."""
    return click.option("--yes", "-y", is_flag=True, help="Remove without asking.")(command)


def confirm_loss(question: str, *, yes: bool) -> None:
    """Ask a person at a terminal before something is removed for good, unless they said `--yes`.

    Raises:
        UsageError: nobody can be asked.
        click.Abort: the answer is no.
    """
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"{question} Nothing was removed: nobody can be asked here. Say --yes if that is meant.")
    if not confirm(question, default=False):
        raise click.Abort


def folder_of(path: str | Path | None, index_dir: Path | None) -> IndexFolder:
    """The index folder that a command's options name; files that this process makes in it get its permissions.

    Raises:
        UntrustedIndexError: the folder may not be used.
        UsageError: the repository is no folder, or none that may be entered.
    """
    if isinstance(path, str) and index_dir is not None:
        raise UsageError(f"{path} names an index already. Leave --index-dir out.")
    folder = resolve_index_folder(path, index_dir)
    refuse_no_repository(folder)
    with suppress(SettingsError):  # the command says so itself, or works without settings
        os.umask(umask_of(shared=folder.settings().shared_with_group))
    return folder


def indexes_of(
    path: str | Path | None,
    index_dir: Path | None,
    repositories: Sequence[str | Path] = (),
    *,
    all_indexes: bool = False,
) -> "Indexes":
    """The indexes that a command's options name: one, several repositories, or all of the deployment.

    Raises:
        UsageError: the options contradict each other; or as `folder_of`.
        IndexMissingError, StoreError: as `Index.open`.
    """
    from code_index import Index, Indexes

    given = {"--repo": bool(repositories), "--all": all_indexes, "--path": bool(path), "--index-dir": bool(index_dir)}
    named = [name for name, is_given in given.items() if is_given]
    if len(named) > 1 and (repositories or all_indexes):
        raise UsageError(f"{' and '.join(named)} name different indexes. Use one of them.")
    if all_indexes:
        return Indexes.deployed()
    if repositories:
        # Both paths are given, so that the variables of a single index do not apply.
        opened = [
            Index.of(folder_of(one, None if isinstance(one, str) else one / INDEX_FOLDER)) for one in repositories
        ]
        return Indexes(tuple({index.folder.path: index for index in opened}.values()))
    return Indexes((Index.of(folder_of(path, index_dir)),))


def refuse_no_repository(folder: IndexFolder) -> None:
    """Refuse a repository that is no folder, unless its index exists: one that lies elsewhere may outlive it.

    Raises:
        UsageError: it is no folder, or none that may be entered.
    """
    try:
        usable = folder.repository_root.is_dir() or folder.exists
    except OSError as error:
        raise UsageError(f"{folder.repository_root} cannot be used: {error.strerror}.") from error
    if not usable:
        raise UsageError(f"{folder.repository_root} is not a folder. Name the folder of a repository.")
