"""Dagster's side of the integrity checks; what they claim is in `indexing_assets.checks`.

The checks of the pipeline's assets are evaluated inside their steps: a check of its own would be
skipped, because the partitioned assets emit no output (docs/decisions/0001). Those of the whole
index are one op that the maintenance job runs, or a person from the page of `index_report`.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import dagster as dg

from code_index.core.quoting import printable
from indexing_assets.checks import CheckOutcome, Severity, Subject, checks_of, evaluate
from indexing_assets.runs.index_names import EMBEDDER_RESOURCE, INDEX_REPORT, INDEX_RESOURCE, IndexNames
from indexing_assets.runs.index_resources import embedder_of, index_of
from indexing_assets.runs.job_names import RERUN_JOB
from indexing_assets.runs.materializations import markdown_table
from indexing_assets.runs.open_index import open_index

INDEX_CHECKS = "index_checks"

_SEVERITIES = {Severity.ERROR: dg.AssetCheckSeverity.ERROR, Severity.WARNING: dg.AssetCheckSeverity.WARN}
# Files of the repository that each run reads: another draw each time.
_SAMPLED_FILES = 500
_SEED_BITS = 32
# The command that the text of a fix begins with.
_COMMAND = re.compile(r"`([^`]+)`")


def check_specs(names: IndexNames, asset: str) -> list[dg.AssetCheckSpec]:
    """Declare the checks of an asset. Each of them has to be yielded where its step succeeds (see `results`)."""
    return [
        dg.AssetCheckSpec(
            check.name, asset=names.asset_key(asset), description=check.description, blocking=check.blocking
        )
        for check in checks_of(asset)
    ]


def results(
    names: IndexNames, asset: str, outcomes: Iterable[CheckOutcome], run: dg.DagsterRun
) -> Iterator[dg.AssetCheckResult]:
    """The outcomes as what an asset's step yields; a failed one leads to what fixes it."""
    for outcome in outcomes:
        metadata: dict[str, Any] = dict(outcome.figures)
        if outcome.fix:
            metadata["fix"] = dg.MetadataValue.md(outcome.fix)
            if command := _COMMAND.search(outcome.fix):
                metadata["command"] = command[1]
        if outcome.fixed_by:
            metadata["fixed_by"] = _link(names, outcome.fixed_by, run)
        metadata["culprits_found"] = outcome.count
        if outcome.culprits:
            metadata["culprits"] = markdown_table([{"culprit": culprit} for culprit in outcome.culprits])
        where = "" if outcome.passed or names.index is None else f" (in the repository of the index {names.index})"
        yield dg.AssetCheckResult(
            asset_key=names.asset_key(asset),
            check_name=outcome.name,
            passed=outcome.passed,
            severity=_SEVERITIES[outcome.severity],
            description=outcome.markdown + where,
            metadata=metadata,
        )


def _link(names: IndexNames, target: str, run: dg.DagsterRun) -> dg.MetadataValue[Any]:
    """A link to the page of an asset or of a job, from where a person starts it."""
    if target != RERUN_JOB:
        return dg.MetadataValue.asset(names.asset_key(target))
    # A run of a command has no code location: its page is then found by the search of the web interface.
    origin = run.remote_job_origin
    repository = None if origin is None else origin.repository_origin
    return (
        dg.MetadataValue.text(names.prefixed(target))
        if repository is None
        else dg.MetadataValue.job(
            names.prefixed(target),
            repository.code_location_origin.location_name,
            repository_name=repository.repository_name,
        )
    )


def build_index_checks(names: IndexNames) -> list[dg.AssetChecksDefinition]:
    """The checks of the whole index, on the asset `index_report`."""

    @dg.multi_asset_check(
        name=names.prefixed(INDEX_CHECKS),
        specs=check_specs(names, INDEX_REPORT),
        can_subset=True,
        required_resource_keys={names.prefixed(INDEX_RESOURCE), names.prefixed(EMBEDDER_RESOURCE)},
    )
    def index_checks(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        opened = open_index(context.instance, index_of(context, names), names)
        embedder = embedder_of(context, names)
        subject = Subject(
            opened,
            encoder=lambda: embedder.get_for_queries(opened.settings),
            sampled_files=_SAMPLED_FILES,
            seed=int(context.run.run_id.replace("-", "")[: _SEED_BITS // 4], base=16),
        )
        selected = {key.name for key in context.selected_asset_check_keys}
        for outcome in evaluate(subject, names=selected):
            if not outcome.passed:
                context.log.warning("%s: %s", outcome.name, printable(outcome.description))
            yield from results(names, INDEX_REPORT, [outcome], context.run)

    return [index_checks]
