"""`code-index rollback`: published versions that are not fetched any more."""

import click

from indexing_assets.cli.output import say


@click.command("rollback")
@click.argument("place")
@click.argument("version")
def command(place: str, version: str) -> None:
    """Go back to VERSION at PLACE: the newer ones are withdrawn, and nobody fetches them any more.

    `code-index fetch --list PLACE` lists the versions. An index that took files from a withdrawn version parses and embeds
    them again at its next fetch.
    """
    from code_index.sharing.places import Place
    from code_index.sharing.published_index import PublishedIndex

    withdrawn = PublishedIndex(Place(place)).roll_back(version)
    say(f"The newest version at {place} is {version} again; withdrawn: {', '.join(withdrawn) or 'none'}.")
