"""`code-index trust`: use an index that this user did not make on this machine."""

import pwd
from pathlib import Path

import click

from code_index.core.errors import UsageError
from code_index.index.folder import locate_index_folder
from code_index.repository.skip_rules import INDEX_FOLDER
from indexing_assets.cli.options import index_dir_option, refuse_no_repository, repository_argument
from indexing_assets.cli.output import say


@click.command("trust")
@repository_argument
@index_dir_option
@click.option("--owner", help="Name or number of the user who shares the index; by default it has to be your own.")
def command(path: Path | None, index_dir: Path | None, owner: str | None) -> None:
    """Trust the index of the repository at PATH, which an older version made or which was copied here on purpose.

    Its settings choose what is read and which model runs. An index that holds links or that git tracks stays refused.
    """
    if path is not None and path.name == INDEX_FOLDER and index_dir is None:
        path = path.parent
    folder = locate_index_folder(path, index_dir)
    if path is None and index_dir is not None:
        folder = folder.with_recorded_root()
    refuse_no_repository(folder)
    folder.trust(owner=None if owner is None else _user_id(owner))
    say(f"Trusted: {folder.path}")


def _user_id(owner: str) -> int:
    if owner.isdecimal():
        return int(owner)
    try:
        return pwd.getpwnam(owner).pw_uid
    except KeyError as error:
        raise UsageError(f"There is no user {owner}. Name the owner of the index with --owner.") from error
