"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from code_index.core.errors import UsageError
from code_index.index.folder import INDEX_DIR_VARIABLE, IndexFolder, resolve_index_folder

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


def folder_of(path: Path | None, index_dir: Path | None) -> IndexFolder:
    """The index folder that a command's options name.

    Raises:
        UsageError: the repository is no folder, or none that may be entered; an index that lies elsewhere may outlive it.
    """
    folder = resolve_index_folder(path, index_dir)
    try:
        usable = folder.repository_root.is_dir() or folder.exists
    except OSError as error:
        raise UsageError(f"{folder.repository_root} cannot be used: {error.strerror}.") from error
    if not usable:
        raise UsageError(f"{folder.repository_root} is not a folder. Name the folder of a repository.")
    return folder
