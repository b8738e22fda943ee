"""Options that several commands share."""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from code_index.core.errors import SettingsError, UsageError
from code_index.index.folder import INDEX_DIR_VARIABLE, IndexFolder, resolve_index_folder
from code_index.index.permissions import umask_of
from indexing_assets.cli.output import confirm

_Command = Callable[..., Any]


def repository_argument(command: _Command) -> _Command:
    """`[PATH]`, the repository; by default the one that holds the current folder."""
    return click.argument("path", required=False, type=click.Path(path_type=Path))(command)


def repository_option(command: _Command) -> _Command:
    """`--path PATH`, for commands whose arguments are something else."""
    return click.option(
        "--path",
        "-C",
        type=click.Path(path_type=Path),
        help="Repository; by default the one that holds the current folder.",
    )(command)


def index_dir_option(command: _Command) -> _Command:
    """`--index-dir DIR`."""
    return click.option(
        "--index-dir",
        type=click.Path(path_type=Path),
        help=f"Folder of the index; by default ${INDEX_DIR_VARIABLE} or .code-index in the repository.",
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


def folder_of(path: Path | None, index_dir: Path | None) -> IndexFolder:
    """The index folder that a command's options name; files that this process makes in it get its permissions.

    Raises:
        UntrustedIndexError: the folder may not be used.
        UsageError: the repository is no folder, or none that may be entered.
    """
    folder = resolve_index_folder(path, index_dir)
    refuse_no_repository(folder)
    with suppress(SettingsError):  # the command says so itself, or works without settings
        os.umask(umask_of(shared=folder.settings().shared_with_group))
    return folder


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
