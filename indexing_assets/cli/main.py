"""The group `code-index` and what all commands share: errors, exit statuses, variables."""

import importlib
import io
import os
import sys
from pathlib import Path
from typing import Any, Final, NoReturn

import click
from click.shell_completion import CompletionItem

from code_index.core.distribution import DISTRIBUTION
from code_index.core.errors import CodeIndexError, UsageError, is_panic
from code_index.index.permissions import umask_of
from indexing_assets.cli.interrupts import STATUS, Stopped, ignore_interrupts, raise_interrupts, was_interrupted
from indexing_assets.cli.limits import raise_open_files, refuse_low_limits
from indexing_assets.cli.os_errors import trouble, trouble_in
from indexing_assets.cli.output import tell, tell_message
from indexing_assets.cli.streams import end_process, finish, open_streams

_COMMANDS = {
    "cleanup": "Free the disk space that nothing needs.",
    "completion": "Complete commands and options in bash, zsh and fish.",
    "config": "Show each setting, its value and where it comes from.",
    "context": "Print the best code for a task, within a budget of tokens.",
    "doctor": "Check an index, say what is wrong, and fix it.",
    "env": "Print the variables that point Dagster's own commands at an index.",
    "fetch": "Begin an index with what somebody published of the repository.",
    "index": "Index a repository: parse, then embed.",
    "materialize": "Materialize one asset: what is missing of it, what failed, or all.",
    "mcp": "Answer coding agents by the Model Context Protocol.",
    "migrate": "Import an index of the single-table kind.",
    "models": "Show the embedding models, what each is good at, and which is in use.",
    "publish": "Publish the index of a commit, for others to begin with.",
    "related": "Find code like that at a line.",
    "resume": "Continue an interrupted or failed run.",
    "rollback": "Withdraw the published versions that are newer than one.",
    "search": "Search an index.",
    "serve": "Keep an index open: quick answers, fresh, with a page.",
    "setup": "Tell coding agents of code-index: server, skill, reminder.",
    "status": "Show what is indexed, what is missing and what failed.",
    "symbol": "Find definitions and uses of a name, or list what a file or class defines.",
    "trust": "Use an index that was copied here or made by an older version.",
    "ui": "Open Dagster's web interface on an index.",
}

EXIT_STATUSES: Final = {
    0: "All is done.",
    1: "Something failed, and the rest is safe; or output was lost, as on a full disk.",
    2: "Wrong use: a path that is no folder, an unknown word, options that contradict each other.",
    130: "Stopped by Ctrl-C; what was stored is safe.",
}
VARIABLES: Final = {
    "CODE_INDEX_REPOSITORY": "The repository, where no PATH is given, and for Dagster's own commands.",
    "CODE_INDEX_DIR": "Folder of the index.",
    "CODE_INDEX_DEPLOYMENT": "The file that lists the indexes of a deployment, where several are served or asked.",
    "CODE_INDEX_POSTGRES_URL": "The PostgreSQL of Dagster's records, which keeps the locks of indexes at a store as well.",
    "CODE_INDEX_WATCH": "1: sensors and schedules run from the start, as with `code-index ui --watch`.",
    "CODE_INDEX_CACHE_DIR": "Absolute path for prepared models; by default ~/.cache/code-index. Each user has a folder in it "
    "that others cannot reach, and that can be deleted at any time.",
    "CODE_INDEX_...": "Each setting, by its name in capitals; stronger than settings.toml, also before there is one.",
    "AWS_ENDPOINT_URL": "URL of an S3-compatible store, for what is at s3://...; without it that is AWS. Only where it "
    "begins with http:// is the connection not encrypted. AWS_ENDPOINT_URL_S3 comes before it.",
    "AWS_REGION": "Region of that store, else AWS_DEFAULT_REGION.",
    "AWS_ACCESS_KEY_ID": "Key for that store, with AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN; without it AWS_PROFILE, then "
    "the machine's role.",
    "XDG_STATE_HOME": "Where the indexes that you made are remembered; by default ~/.local/state.",
    "NO_COLOR": "No colours, unless --color says so.",
    "FORCE_COLOR": "Colours also in a pipe, unless NO_COLOR is set; CLICOLOR_FORCE means the same.",
}


class _LazyGroup(click.Group):
    """Imports a command's module when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"indexing_assets.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Exit status"):
            formatter.write_dl([(str(status), said) for status, said in EXIT_STATUSES.items()])
        with formatter.section("Environment"):
            formatter.write_dl(list(VARIABLES.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        # That of click imports the module of every command.
        named = [CompletionItem(name, help=said) for name, said in _COMMANDS.items() if name.startswith(incomplete)]
        return named + click.Command.shell_complete(self, ctx, incomplete)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            _refuse_without_folder()
            raise_open_files()
            refuse_low_limits()
            return super().invoke(ctx)
        except UsageError as error:
            raise _Refused(str(error)) from error
        except CodeIndexError as error:
            raise _Failed(" ".join(filter(None, (str(error), trouble_in(str(error)))))) from error
        except BaseException as error:
            # A limit is the most likely cause of a panic.
            if not (isinstance(error, Exception) or is_panic(error)):
                raise
            if (said := trouble(error)) is None:
                raise
            raise _Failed(said) from error


def _refuse_without_folder() -> None:
    """Refuse to work in a folder that was deleted: relative paths mean nothing there, and Dagster asks for it."""
    try:
        Path.cwd()
    except OSError as error:
        raise UsageError(f"The current folder cannot be used ({error.strerror}). Change to one that exists.") from error


class _Failed(click.ClickException):
    exit_code = 1


class _Refused(click.ClickException):
    exit_code = 2


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name=DISTRIBUTION, prog_name="code-index")
def cli() -> None:
    """Semantic code search over a repository that survives crashes, failures and change.

    PATH is the folder of a repository, by default the one that holds the current folder.
    """


def main() -> NoReturn:
    """Run the command line, and exit, in a process that may go on; `program` is the entry point."""
    sys.exit(_status())


def program() -> NoReturn:
    """Run the command line, and end the process."""
    end_process(_status())


def _status() -> int:
    # Warnings of LanceDB's native code, one per query; must be set before its import.
    os.environ.setdefault("LANCEDB_LOG", "error")
    # Whatever a command writes is its user's own; an index that is shared sets another umask (`options.folder_of`).
    os.umask(umask_of(shared=False))
    open_streams()
    return finish(_run())


def _run() -> int:
    """Run the command and print what it ended with; returns the exit status."""
    try:
        raise_interrupts()
        # Outside of standalone mode click returns the status of `Exit` instead of raising it.
        status = cli.main(standalone_mode=False)
    except click.ClickException as error:
        if was_interrupted():
            return _stopped(error)
        message = io.StringIO()
        error.show(file=message)
        # It may quote a file's name or an argument.
        tell_message(message.getvalue())
        return error.exit_code
    except (click.Abort, KeyboardInterrupt) as error:
        return _stopped(error)
    except Exception as error:
        if not was_interrupted():
            raise
        return _stopped(error)
    return status if isinstance(status, int) else 0


def _stopped(error: BaseException) -> int:
    """Say that somebody stopped the command, and what is kept; returns the exit status."""
    ignore_interrupts()  # only the exit is left: a second signal must not turn it into a traceback
    # click puts its own exception in place of `KeyboardInterrupt`.
    said = next((str(one) for one in (error, error.__cause__) if isinstance(one, Stopped)), None)
    tell(said or "Stopped. What is stored is safe. To go on, run the same command again.")
    return STATUS


if __name__ == "__main__":
    program()
