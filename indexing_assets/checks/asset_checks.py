"""Dagster's side of the integrity checks; what they claim is in `indexing_assets.checks`.

The checks of the pipeline's assets are evaluated inside their steps: a check of its own would be
skipped, because the partitioned assets emit no output (docs/decisions/0001). Those of the whole
index are one op that the maintenance job runs, or a person from the page of `index_report`.
"""

from collections.abc import Iterable, Iterator

import dagster as dg

from code_index.core.quoting import printable
from indexing_assets.checks import CheckOutcome, Severity, Subject, checks_of, evaluate
from indexing_assets.runs.index_names import EMBEDDER_RESOURCE, INDEX_REPORT, INDEX_RESOURCE, IndexNames
from indexing_assets.runs.index_resources import embedder_of, index_of
from indexing_assets.runs.materializations import markdown_table
from indexing_assets.runs.open_index import open_index

INDEX_CHECKS = "index_checks"

_SEVERITIES = {Severity.ERROR: dg.AssetCheckSeverity.ERROR, Severity.WARNING: dg.AssetCheckSeverity.WARN}
# Files of the repository that each run reads: another draw each time.
_SAMPLED_FILES = 500
_SEED_BITS = 32


def check_specs(names: IndexNames, asset: str) -> list[dg.AssetCheckSpec]:
    """Declare the checks of an asset. Each of them has to be yielded where its step succeeds (see `results`)."""
    return [
        dg.AssetCheckSpec(
            check.name, asset=names.asset_key(asset), description=check.description, blocking=check.blocking
        )
        for check in checks_of(asset)
    ]


def results(names: IndexNames, asset: str, outcomes: Iterable[CheckOutcome]) -> Iterator[dg.AssetCheckResult]:
    """The outcomes as what an asset's step yields."""
    for outcome in outcomes:
        metadata: dict[str, dg.MetadataValue | int | float] = dict(outcome.figures)
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
            yield from results(names, INDEX_REPORT, [outcome])

    return [index_checks]
