"""`code-index setup`: tell coding agents of code-index."""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from code_index.core.errors import CodeIndexError, UsageError
from indexing_assets.agents.parts import plugin_folder
from indexing_assets.agents.steps import Outcome, found, set_up, undo
from indexing_assets.agents.table import AGENTS, NAME, Agent, Places, Scope
from indexing_assets.cli.options import FOLDER
from indexing_assets.cli.output import say, shell_word, tell

# Files of a project are for all who work on it.
_PROJECT_UMASK = 0o022


@click.command("setup")
@click.argument("path", required=False, type=FOLDER)
@click.option(
    "--agent",
    "names",
    multiple=True,
    shell_complete=lambda _context, _option, incomplete: [name for name in AGENTS if name.startswith(incomplete)],
    help=f"Agents to set up, separated by commas, found or not ({', '.join(AGENTS)}); by default those that are found.",
)
@click.option("--user", "scope", flag_value="user", default="user", help="In your own settings, for all projects.")
@click.option("--project", "scope", flag_value="project", help="In the project at PATH, for all who work on it.")
@click.option("--dry-run", is_flag=True, help="Say what would be written, and write nothing.")
@click.option("--undo", "undoing", is_flag=True, help="Take out again what was written.")
@click.option("--plugin", is_flag=True, help="Say where the plugin for Claude Code lies, and write nothing.")
def command(path: Path | None, names: tuple[str, ...], scope: str, dry_run: bool, undoing: bool, plugin: bool) -> None:
    """Set up coding agents: add the MCP server, a skill and, where an agent has hooks, a reminder to their files.

    Foreign entries, comments and formatting stay. A second run changes nothing; --undo leaves each file as it was before.
    """
    if plugin:
        _tell_plugin()
        return
    chosen = Scope(scope)
    if path is not None and not path.is_dir():
        raise UsageError(f"{path.absolute()} is not a folder. Name the folder of a project.")
    if path is not None and chosen is Scope.USER:
        raise UsageError("PATH is for --project; your own settings are for all projects.")
    if chosen is Scope.PROJECT:
        os.umask(_PROJECT_UMASK)
    places = _places(path, chosen)
    agents = _agents(names, places, chosen, undoing=undoing)
    if undoing:
        outcomes = undo(agents, chosen, places, dry_run=dry_run)
    else:
        outcomes = set_up(agents, chosen, places, _program(chosen), dry_run=dry_run)
        _tell_without_place(agents, chosen, places)
    _tell(outcomes, places, dry_run=dry_run, undoing=undoing)
    if refused := [outcome for outcome in outcomes if outcome.refused]:
        raise CodeIndexError(
            f"{len(refused)} {'file was' if len(refused) == 1 else 'files were'} not touched (see above)."
        )


def _places(path: Path | None, scope: Scope) -> Places:
    home = Path(os.environ.get("HOME", ""))
    if not home.is_absolute():
        raise UsageError("You have no home folder, where agents have their settings. Set HOME.")
    configured = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    project = (path or Path.cwd()).absolute()
    if scope is Scope.PROJECT and path is None:
        # An agent reads the files at the top of a checkout.
        project = next((folder for folder in (project, *project.parents) if (folder / ".git").exists()), project)
    return Places(home, configured if configured.is_absolute() else home / ".config", project, os.environ)


def _agents(names: Sequence[str], places: Places, scope: Scope, *, undoing: bool) -> Sequence[Agent]:
    wanted = [name.strip().lower() for group in names for name in group.split(",") if name.strip()]
    if unknown := [name for name in wanted if name not in AGENTS]:
        raise UsageError(f"There is no agent {unknown[0]}. Name some of {', '.join(AGENTS)}.")
    if wanted:
        return [AGENTS[name] for name in dict.fromkeys(wanted)]
    if undoing:
        return list(AGENTS.values())
    agents = found(places, scope)
    if not agents:
        raise UsageError(f"No agent was found. Name some with --agent: {', '.join(AGENTS)}.")
    return agents


def _program(scope: Scope) -> str:
    """The program that the entries run: by its place for this user, by its name for a project."""
    if scope is Scope.PROJECT:
        return NAME
    beside = Path(sys.executable).parent / NAME
    on_path = shutil.which(NAME)
    # A link on PATH stays where it is when the program is installed again; it has to be the program that runs now.
    if on_path and (not beside.exists() or Path(on_path).resolve() == beside.resolve()):
        return str(Path(on_path).absolute())
    if beside.exists():
        return str(beside)
    raise UsageError(f"The command {NAME} is not installed beside {sys.executable}. Install code-index, then run it.")


def _tell_without_place(agents: Sequence[Agent], scope: Scope, places: Places) -> None:
    for agent in agents:
        if agent.server(places, scope, NAME) is None:
            tell(f"{agent.title} reads no servers of a project: run `code-index setup --user --agent {agent.name}`.")


def _tell(outcomes: Sequence[Outcome], places: Places, *, dry_run: bool, undoing: bool) -> None:
    changed = [outcome for outcome in outcomes if outcome.done]
    for outcome in changed:
        mark = "would be " if dry_run else ""
        say(f"{', '.join(outcome.titles)}: {_short(outcome.path, places)}: {outcome.what}: {mark}{outcome.done}")
    for outcome in outcomes:
        if outcome.refused:
            tell(f"{', '.join(outcome.titles)}: {outcome.refused}")
    if not changed and not any(outcome.refused for outcome in outcomes):
        say("Nothing to undo." if undoing else "Nothing to do: all is set up.")
    elif changed and not dry_run:
        say("Restart the agents." if undoing else "Restart the agents. `code-index setup --undo` takes it out again.")


def _short(path: Path, places: Places) -> str:
    if path.is_relative_to(places.home):
        return f"~/{path.relative_to(places.home)}"
    return str(path)


def _tell_plugin() -> None:
    folder = plugin_folder()
    say(f"{folder}")
    say(f"claude plugin marketplace add {shell_word(str(folder))}")
    say(f"claude plugin install {NAME}@{NAME}")
