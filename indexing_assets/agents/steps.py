"""Setting agents up and undoing it: which files are written, in which order, and what is told of each.

Belongs here: the two ways through the parts of agents, with the record. Does not belong here: the parts themselves
(`indexing_assets.agents.parts`) and printing (`indexing_assets.cli.setup`).

Each file is on its own: one that is refused is told with its reason, and the others are written. A file of a skill may
serve several agents, and goes when the last of them is undone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from indexing_assets.agents import record
from indexing_assets.agents.files import AgentFileError, content_of, remove_empty, replace, target_of
from indexing_assets.agents.parts import ForeignEntryError, HookPart, Part, parts_of
from indexing_assets.agents.table import AGENTS, NAME, Agent, Places, Scope


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result for one file: `done` says what was, or would be, done, `refused` why nothing was; neither: nothing to do."""

    titles: tuple[str, ...]
    path: Path
    what: str
    done: str | None = None
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class _Task:
    part: Part
    agents: tuple[str, ...]

    @property
    def titles(self) -> tuple[str, ...]:
        return tuple(AGENTS[name].title for name in self.agents)

    def outcome(self, *, done: str | None = None, refused: str | None = None) -> Outcome:
        return Outcome(self.titles, self.part.path, self.part.what, done, refused)


def set_up(
    agents: Iterable[Agent], scope: Scope, places: Places, command: str, *, dry_run: bool = False
) -> list[Outcome]:
    """Write what the agents need, file by file; a file that has it already is left as it is.

    The entries run the program `command`. With `dry_run` nothing is written.
    """
    known = record.load()
    refused: set[Path] = set()
    outcomes = []
    for task in _tasks(agents, scope, places, command):
        if isinstance(task.part, HookPart) and task.part.script in refused:
            reason = f"{task.part.path}: no hook was added, because its script is not as code-index wrote it."
            outcomes.append(task.outcome(refused=reason))
            continue
        try:
            done = _write(task, scope, places, known, dry_run=dry_run)
        except AgentFileError as error:
            refused.add(task.part.path)
            outcomes.append(task.outcome(refused=str(error)))
            continue
        outcomes.append(task.outcome(done=done))
    return outcomes


def undo(agents: Iterable[Agent], scope: Scope, places: Places, *, dry_run: bool = False) -> list[Outcome]:
    """Take out what was written: to the byte where nobody changed the file since, and else only what is ours.

    With `dry_run` nothing is written.
    """
    known = record.load()
    outcomes = []
    for task in reversed(_tasks(agents, scope, places, "")):
        try:
            done = _take_out(task, scope, places, known, dry_run=dry_run)
        except AgentFileError as error:
            outcomes.append(task.outcome(refused=str(error)))
            continue
        outcomes.append(task.outcome(done=done))
    return outcomes


def _tasks(agents: Iterable[Agent], scope: Scope, places: Places, command: str) -> list[_Task]:
    """The parts of all agents, each file once."""
    parts: dict[Path, Part] = {}
    needing: dict[Path, list[str]] = {}
    for agent in agents:
        for part in parts_of(agent, places, scope, command):
            parts.setdefault(part.path, part)
            needing.setdefault(part.path, []).append(agent.name)
    return [_Task(part, tuple(needing[path])) for path, part in parts.items()]


def _inside(scope: Scope, places: Places) -> Path | None:
    return places.project if scope is Scope.PROJECT else None


def _write(task: _Task, scope: Scope, places: Places, known: dict[str, record.Written], *, dry_run: bool) -> str | None:
    part = task.part
    target = target_of(part.path, inside=_inside(scope, places))
    content = content_of(target)
    entry = known.get(str(target))
    needing = tuple(sorted({*task.agents, *(entry.agents if entry else ())}))
    state = part.state(content)
    if state == "current":
        if entry is not None and needing != entry.agents and not dry_run:
            _save(known, target, record.renamed(entry, needing))
        return None
    is_exact, original = entry.undone(content) if entry else (False, None)
    # What nobody touched since is written from what was there before, so that it can still be undone to the byte.
    base = original if is_exact else content
    after = part.added(base)
    done = "added" if state == "absent" else "brought up to date"
    if dry_run:
        return done
    made = replace(target, content, after)
    if state == "absent" or is_exact or entry is None:
        folders = tuple(map(str, made)) or (entry.folders if entry and is_exact else ())
        _save(known, target, record.written(needing, base, after, folders))
    else:
        # What was there before is not known any more: undoing takes out what is ours.
        _save(known, target, None)
    return done


def _take_out(
    task: _Task, scope: Scope, places: Places, known: dict[str, record.Written], *, dry_run: bool
) -> str | None:
    part = task.part
    target = target_of(part.path, inside=_inside(scope, places))
    content = content_of(target)
    entry = known.get(str(target))
    rest = tuple(name for name in entry.agents if name not in task.agents) if entry else ()
    if entry is not None and rest:
        if not dry_run:
            _save(known, target, record.renamed(entry, rest))
        return None
    is_exact, original = entry.undone(content) if entry else (False, None)
    done: str | None
    if is_exact:
        after, done = original, "deleted" if original is None else "put back as it was"
    elif content is None or not _is_in(part, content):
        after, done = content, None
    else:
        after = part.removed(content)
        done = "deleted" if after is None else "taken out; the rest, which was changed since, stays"
    if dry_run:
        return done
    if after != content:
        replace(target, content, after)
    if entry is not None:
        if after is None:
            remove_empty([Path(folder) for folder in entry.folders])
        _save(known, target, None)
    return done


def _is_in(part: Part, content: bytes) -> bool:
    """Tell whether a file has something of ours; one that cannot be read has not, if it does not name us."""
    if NAME.encode() not in content:
        return False
    try:
        return part.state(content) != "absent"
    except ForeignEntryError:
        return False


def _save(known: dict[str, record.Written], target: Path, entry: record.Written | None) -> None:
    """Keep the record in step with the file at once, so that a kill loses one file's at most."""
    if entry is None:
        if known.pop(str(target), None) is None:
            return
    else:
        known[str(target)] = entry
    record.save(known)


def found(places: Places, scope: Scope) -> Sequence[Agent]:
    """The agents that are there."""
    return [agent for agent in AGENTS.values() if agent.is_found(places, scope)]
