"""The package that people install: its name on a registry, its version, and its extras.

Belongs here: what is said, in one sentence, where an extra is not installed. Does not belong here: which extra a
setting or a command needs; the place that uses it asks.
"""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec
from typing import Final

from code_index.core.errors import UsageError

DISTRIBUTION: Final = "code-index-search"
EXTRAS: Final = {
    "torch": ("torch", "transformers", "sentence_transformers", "onnxscript"),
    "ui": ("dagster_webserver", "graphql", "matplotlib"),
    "postgres": ("dagster_postgres", "psycopg2"),
    "celery": ("dagster_celery", "celery"),
}
"""The packages, as they are imported, that an extra brings and this project imports."""


def distribution_version() -> str:
    """The version of this project that is installed."""
    return version(DISTRIBUTION)


def has_extra(extra: str) -> bool:
    """Tell whether all packages of an extra are installed, without importing them."""
    return all(find_spec(name) is not None for name in EXTRAS[extra])


def missing_extra(extra: str, what: str) -> str:
    """Say what needs an extra, and how to install it; `what` begins the sentence."""
    wanted = f"'{DISTRIBUTION}[{extra}]'"
    return f"{what} needs the extra {extra}: pip install {wanted} (or: uv tool install {wanted})"


def require_extra(extra: str, what: str) -> None:
    """Refuse what needs an extra that is not installed.

    Raises:
        UsageError: the text of `missing_extra`.
    """
    if not has_extra(extra):
        raise UsageError(missing_extra(extra, what))
