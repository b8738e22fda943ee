"""`code-index publish`: the index of a commit, for others to begin with."""

import time
from pathlib import Path

import click

from indexing_assets.cli.interrupts import saying_what_is_kept
from indexing_assets.cli.options import folder_of, index_dir_option, json_option, repository_argument, wait_option
from indexing_assets.cli.output import human_bytes, say, say_state


@click.command("publish")
@click.argument("place")
@repository_argument
@index_dir_option
@click.option("--keep", type=click.IntRange(min=1), help="Versions to keep at PLACE; the older ones are removed.")
@json_option
@wait_option
def command(place: str, path: Path | None, index_dir: Path | None, keep: int | None, as_json: bool, wait: bool) -> None:
    """Publish the index of the repository at PATH as a version at PLACE: a folder, or s3://bucket/prefix.

    The index must be complete, that of one commit, and pass its checks. Only what is not at PLACE yet is written.
    """
    from code_index.sharing.places import Place
    from code_index.sharing.published_index import PublishedIndex
    from indexing_assets.cli.terminal_progress import showing_progress, tell_waiting
    from indexing_assets.operations.publishing import publish

    folder, started = folder_of(path, index_dir), time.perf_counter()
    again = f"Stopped. No version was published; what was written is used by the next one. Again: code-index publish {place}"
    with saying_what_is_kept(lambda: again), showing_progress():
        done = publish(
            folder, PublishedIndex(Place(place)), keep=keep, wait_s=None if wait else 0.0, on_wait=tell_waiting
        )
    version = done.version
    if as_json:
        say_state(
            {
                "published": done.name,
                **version.model_dump(mode="json", exclude={"parts", "format"}),
                "parts": len(version.parts),
                "new_parts": done.new_parts,
                "new_bytes": done.new_bytes,
                "freed_bytes": done.freed_bytes,
            }
        )
        return
    of = f" of commit {version.commit[:12]}" if version.commit else ""
    say(f"Published {done.name}{of}: {version.files:,} files, {version.chunks:,} chunks, {version.model}.")
    say(
        f"Wrote {done.new_parts:,} of {len(version.parts):,} parts, {human_bytes(done.new_bytes)} of {human_bytes(version.size)}, "
        f"in {time.perf_counter() - started:.1f} s."
    )
    if done.freed_bytes:
        say(f"Freed {human_bytes(done.freed_bytes)} of versions that are not kept.")
