"""`code-index fetch`: an index that begins with a published one."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from code_index.core.errors import UsageError
from indexing_assets.cli.index import run
from indexing_assets.cli.interrupts import saying_what_is_kept
from indexing_assets.cli.options import folder_of, index_dir_option, json_option, repository_argument, wait_option
from indexing_assets.cli.outcome import what_is_kept
from indexing_assets.cli.output import human_bytes, say, say_state, tell

if TYPE_CHECKING:
    from code_index.sharing.published_index import PublishedIndex
    from indexing_assets.operations.publishing import Fetched

_LISTED = 50
_NAMED = 3


@click.command("fetch")
@click.argument("place")
@repository_argument
@index_dir_option
@click.option(
    "--version", "name", metavar="VERSION", help="The version to take; by default that of the nearest commit."
)
@click.option("--list", "list_versions", is_flag=True, help="List the versions at PLACE, and take none.")
@json_option
@wait_option
def command(
    place: str,
    path: Path | None,
    index_dir: Path | None,
    name: str | None,
    list_versions: bool,
    as_json: bool,
    wait: bool,
) -> None:
    """Take what is published at PLACE of the repository at PATH, then index what differs.

    PLACE is a folder, or s3://bucket/prefix. What a version says of a file is used only where the file is the same here, and
    is checked first. An index that is there keeps what it has.
    """
    from code_index.sharing.places import Place
    from code_index.sharing.published_index import PublishedIndex

    published = PublishedIndex(Place(place))
    if list_versions:
        _list(published, as_json=as_json)
        return
    if as_json:
        raise UsageError("--json is for --list; `code-index status --json` has the figures of an index.")
    folder = folder_of(path, index_dir)
    from indexing_assets.cli.terminal_progress import showing_progress, tell_waiting
    from indexing_assets.operations.publishing import fetch

    with saying_what_is_kept(lambda: what_is_kept(folder)), showing_progress():
        fetched = fetch(folder, published, name=name, wait_s=None if wait else 0.0, on_wait=tell_waiting)
    _show(fetched)
    run(path, index_dir, phase="all", force=False, verify=False, wait=wait, retry_failed=False)


def _show(fetched: "Fetched") -> None:
    version = fetched.version
    of = f" of commit {version.commit[:12]}" if version.commit else ""
    if fetched.withdrawn_files:
        say(f"Removed what {fetched.withdrawn_files:,} files had from versions that are withdrawn.")
    say(
        f"Took {fetched.files:,} files, {fetched.chunks:,} chunks with their vectors from version {fetched.name}{of}; "
        f"{fetched.left_files:,} files were parsed here."
    )
    if fetched.untrue:
        named = ", ".join(f"{path} {reason}" for path, reason in list(fetched.untrue.items())[:_NAMED])
        tell(f"What the version says of {len(fetched.untrue):,} files is not so, and was not used: {named}.")
    say(f"Searchable after {fetched.searchable_s:.1f} s.")


def _list(published: "PublishedIndex", *, as_json: bool) -> None:
    found = list(published.readable(most=_LISTED))
    if as_json:
        versions = [
            {"name": name, **version.model_dump(mode="json", exclude={"parts", "format"})} for name, version in found
        ]
        say_state({"versions": versions})
        return
    for name, version in found:
        size = human_bytes(version.size)
        commit = version.commit[:12] if version.commit else "no commit"
        say(f"{name}  {commit}  {version.files:,} files, {version.chunks:,} chunks, {size}, {version.model}")
    if not found:
        say(f"Nothing is published at {published.place.address}.")
