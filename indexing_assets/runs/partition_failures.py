"""The failure of a step in which some partitions failed and the others are durable."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from code_index.core.quoting import code_span, printable

_LISTED = 50


def partitions_failed(noun: str, reasons: Mapping[str, str], metadata: Mapping[str, Any]) -> dg.Failure:
    """The failure that leaves exactly the partitions without an event as failed.

    Args:
        noun: what a partition is, for the message (`file`, `batch`).
        reasons: partition key to reason.
        metadata: figures of the run, shown with the failure.
    """
    listed = dict(list(reasons.items())[:_LISTED])
    lines = [f"- {code_span(key)}: {code_span(reason)}" for key, reason in listed.items()]
    if len(reasons) > _LISTED:
        lines.append(f"- and {len(reasons) - _LISTED} more: `code-index status --failed`")
    first_key, first_reason = next(iter(reasons.items()))
    plural = noun if len(reasons) == 1 else {"batch": "batches"}.get(noun, noun + "s")
    return dg.Failure(
        description=(
            f"{len(reasons)} {plural} failed, the others are stored. First: {printable(first_key)}: "
            f"{printable(first_reason.rstrip('.'))}. "
            "See `code-index status --failed`; `code-index resume --failed` retries them."
        ),
        metadata={**metadata, "failed_partitions": dg.MetadataValue.md("\n".join(lines))},
        allow_retries=False,
    )
