"""The shape of a check, of its subject and of its outcome.

Belongs here: the shape of all checks. Does not belong here: what any of them claims, and Dagster's
own check results (`indexing_assets.checks.asset_checks`).

Decision: a check stands whole at its function, with what Dagster shows of it and what a repair does about
it; `checks_in` finds it there, so that no list has to name it again. The function returns what it found,
and is wrapped so that an index that cannot be read makes the check fail with that error's text. A check
that raised would leave the others unevaluated, and one that returned nothing would pass in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import ModuleType
from typing import Any, Generic, TypeVar

from code_index.core.errors import CodeIndexError, UsageError
from code_index.core.quoting import code_span
from code_index.embedding.embedder import Embedder
from code_index.tables.table_names import INDEX_TABLES
from indexing_assets.runs.open_index import OpenIndex

_KEPT_CULPRITS = 20
_NAMED_CULPRITS = 5

RESUME = "code-index resume"
INDEX = "code-index index"
PARSE_AGAIN = "code-index index --phase parse --force"
EMBED_AGAIN = "code-index index --phase embed --force"
REPAIR = "code-index doctor --repair"

# What a repair does at its end, whatever else it did.
REINDEXED = "index again: what is stored stays, what is missing is made"

S = TypeVar("S")


class Severity(StrEnum):
    """Meaning of a failed check: something is wrong, or only late."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Subject:
    """An index as checks see it.

    `encoder` gives the index's model for queries; it is called only by checks that need the model.
    `file_paths` and `batch_ids` are the slice that a run wrote, to which checks of rows keep as far
    as that is sound; None stands for the whole index. `since_last_look` is for runs: rows that this process has looked at,
    and that nobody but itself can have changed since, are not read again.
    """

    index: OpenIndex
    encoder: Callable[[], Embedder] | None = None
    file_paths: Sequence[str] | None = None
    batch_ids: Sequence[int] | None = None
    sampled_files: int | None = None  # files whose content is read; None for all
    seed: int = 0  # of what is drawn at random
    since_last_look: bool = False

    def model(self) -> Embedder:
        """The index's model.

        Raises:
            ModelError: it is missing.
            UsageError: nobody handed it over.
        """
        if self.encoder is None:
            raise UsageError("This check needs the index's model. Hand `encoder` over to the subject.")
        return self.encoder()

    def rebuild_chunks(self) -> str:
        """The command that parses all files again into an empty table; vectors are kept and none is made again."""
        return self.rebuild("chunks")

    def rebuild(self, table: str) -> str:
        """The command that drops a table and fills it again; for a table of another asset, the one that moves it away."""
        if table not in INDEX_TABLES:
            return REPAIR
        return f"rm -r '{self.index.store.tables.path(table)}' && {INDEX}"


@dataclass(frozen=True, slots=True)
class Finding:
    """Culprits that the function of a check found: it passes where there is none.

    `problem` says of the culprits what is wrong with them, as in `have no partition`; `noun` is what
    they are, in the singular.
    """

    culprits: Sequence[str]
    noun: str = ""
    problem: str = ""
    fix: str = ""
    figures: Mapping[str, int | float] = field(default_factory=dict)
    count: int | None = None  # where there are more than are named


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """Outcome of a check.

    `culprits` are at most 20, `count` is how many there are; `description` names the first ones and the command that
    fixes them, `markdown` the same with what comes from the index as code. `fix` is that command, as Markdown, and
    `fixed_by` the asset or the job that does the same. `repair` says what `code-index doctor --repair` would do; empty
    where it passed, and where only a person can do something.
    """

    name: str
    passed: bool
    severity: Severity
    culprits: tuple[str, ...]
    count: int
    description: str
    markdown: str
    figures: Mapping[str, int | float]
    repair: str = ""
    fix: str = ""
    fixed_by: str = ""


@dataclass(frozen=True, slots=True)
class Check(Generic[S]):
    """A claim about a subject and the function that tells whether it holds.

    `fixed_by` is the asset whose materialization fixes what it finds, or the job: by default `asset`, which is where
    Dagster shows it; empty for one that only `code-index doctor` makes. `blocking`: what
    comes downstream must not run where it fails. `repair`: what `code-index doctor --repair` does about it.
    """

    name: str
    asset: str
    description: str
    function: Callable[[S], Finding]
    severity: Severity
    blocking: bool
    repair: str
    fixed_by: str

    def __call__(self, subject: S) -> CheckOutcome:
        """Evaluate the claim; a claim that cannot be evaluated fails with the reason."""
        try:
            finding = self.function(subject)
        except CodeIndexError as error:
            said = "Cannot be checked: "
            return CheckOutcome(
                name=self.name,
                passed=False,
                severity=Severity.ERROR,
                culprits=(),
                count=0,
                description=f"{said}{error}",
                markdown=said + code_span(str(error)),
                figures={},
                repair=self.repair,
                fixed_by=self.fixed_by,
            )
        culprits = tuple(finding.culprits[:_KEPT_CULPRITS])
        count = len(finding.culprits) if finding.count is None else finding.count
        return CheckOutcome(
            name=self.name,
            passed=not count,
            severity=self.severity,
            culprits=culprits,
            count=count,
            description=_failure(finding, count) if count else self.description,
            markdown=_failure(finding, count, shown=code_span) if count else self.description,
            figures=finding.figures,
            repair=self.repair if count else "",
            fix=finding.fix if count else "",
            fixed_by=self.fixed_by if count else "",
        )


def check(
    asset: str = "",
    *,
    severity: Severity = Severity.ERROR,
    blocking: bool = False,
    repair: str = "",
    fixed_by: str = "",
) -> Callable[[Callable[[S], Finding]], Check[S]]:
    """Make a check of a function; its name is the claim, its docstring's first line says what that means."""

    def decorate(function: Callable[[S], Finding]) -> Check[S]:
        description = (function.__doc__ or "").strip().splitlines()[0]
        return Check(function.__name__, asset, description, function, severity, blocking, repair, fixed_by or asset)

    return decorate


def checks_in(module: ModuleType) -> list[Check[Any]]:
    """The checks that a module defines, in their order in it."""
    return [value for value in vars(module).values() if isinstance(value, Check)]


def _failure(finding: Finding, count: int, *, shown: Callable[[str], str] = str) -> str:
    named = ", ".join(map(shown, finding.culprits[:_NAMED_CULPRITS]))
    more = count - min(len(finding.culprits), _NAMED_CULPRITS)
    listed = named + (f" and {more:,} more" if more else "")
    noun = finding.noun if count == 1 else _plural(finding.noun)
    return f"{count:,} {noun} {finding.problem}: {listed}. Fix: {finding.fix}"


def _plural(noun: str) -> str:
    return " or ".join({"batch": "batches"}.get(word, word + "s") for word in noun.split(" or "))
