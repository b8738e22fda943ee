"""`code-index doctor`: what is wrong with an index.

Belongs here: which checks are made, and in which order. Does not belong here: what they claim
(`indexing_assets.checks`), the repair (`indexing_assets.operations.repair`), and what is printed.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from code_index.index.folder import IndexFolder
from indexing_assets.checks import CheckOutcome, Severity, Subject, dagster_records, evaluate, index_folder
from indexing_assets.checks.check import checks_in
from indexing_assets.operations.pipeline import Pipeline


def examine(folder: IndexFolder, *, every_file: bool = False) -> Iterator[CheckOutcome]:
    """Run all checks from the outside in, without those that an earlier fault makes impossible.

    Args:
        folder: an existing index.
        every_file: read all files of the repository rather than a sample of 500.
    """
    broken = False
    for check in checks_in(index_folder):
        outcome = check(folder)
        broken |= not outcome.passed and outcome.severity is Severity.ERROR
        yield outcome
    if broken:
        return
    with Pipeline(folder) as pipeline:
        for check in checks_in(dagster_records):
            yield check(pipeline.index)
        subject = Subject(
            pipeline.index,
            encoder=pipeline.query_encoder,
            sampled_files=None if every_file else 500,
            seed=datetime.now(UTC).toordinal(),
        )
        yield from evaluate(subject)
