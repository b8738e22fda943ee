"""`code-index serve`: one process that stays, watches, and answers commands and the page."""

from contextlib import ExitStack
from pathlib import Path

import click

from indexing_assets.cli.options import folder_of, index_dir_option, repository_or_store_argument
from indexing_assets.cli.output import tell

_HOST = "127.0.0.1"


@click.command("serve")
@repository_or_store_argument
@index_dir_option
@click.option(
    "--port",
    default=0,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port of the page on this machine; 0: any free one.",
)
@click.option(
    "--idle-minutes",
    default=60,
    show_default=True,
    type=click.IntRange(0, 1_000_000),
    help="End when nobody has asked for so long; 0: never.",
)
@click.option(
    "--watch/--no-watch",
    default=True,
    show_default=True,
    help="Index edits by themselves, unless another process does.",
)
def command(path: Path | None, index_dir: Path | None, port: int, idle_minutes: int, watch: bool) -> None:
    """Keep the index open: searches answer at once, edits are indexed, and a page shows it all.

    Other commands find it by themselves, and work as well without it. Started again, it prints the address of the page.
    """
    from code_index.core.errors import IndexBusyError
    from code_index.index.locks import Duty, hold
    from code_index.serving.questions import ask
    from code_index.serving.server import WHERE

    folder = folder_of(path, index_dir)
    watch = watch and folder.tables_at is None  # runs of a deployment write there
    if watch:
        from resources.instance_config import instance_config

        folder.create(instance_config())
    folder.check()
    with ExitStack() as opened:
        try:
            opened.enter_context(hold(folder.locks_dir, Duty.SERVE, wait_s=0))
        except IndexBusyError:
            there = ask(folder, WHERE, {})
            if there is None:
                raise
            tell(f"Process {there['process']} serves {folder.repository} already, at {there['address']}")
            return
        from code_index.api import Index
        from code_index.serving.answers import Answers
        from code_index.serving.listening import listen
        from code_index.serving.server import PageDoor, Server
        from code_index.serving.token_file import new_token
        from indexing_assets.operations.follower import FollowerProcess

        sockets = [opened.enter_context(listener) for listener in listen(_HOST, port)]
        port = sockets[0].getsockname()[1]
        door = PageDoor(
            sockets=sockets,
            hosts=[f"{name}:{port}" for name in ("127.0.0.1", "localhost")],
            token=new_token(),
            cookie=f"code_index_{port}",
        )
        follower = FollowerProcess(folder, on_message=tell) if watch else None
        answers = Answers(
            Index.of(folder),
            following=lambda: {"state": "off"} if follower is None else follower.said,
        )
        opened.callback(answers.close)
        server = Server(
            folder,
            answers,
            door,
            idle_s=60.0 * idle_minutes if idle_minutes else None,
            busy=lambda: follower is not None and follower.is_running,
        )
        tell(f"{folder.repository} is served: the page is at {door.address} (Ctrl-C ends it)")
        if follower is not None:
            opened.enter_context(follower)
        ended = server.run()
    if ended:
        tell(ended)
