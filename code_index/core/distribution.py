"""Name of the published package, and the sentence that says which of its extras to install."""

from __future__ import annotations

from typing import Final

DISTRIBUTION: Final = "code-index-search"


def missing_extra(extra: str, what: str) -> str:
    """A sentence of what needs an extra that is not installed."""
    return f"{what} needs {extra}: pip install '{DISTRIBUTION}[{extra}]'"
