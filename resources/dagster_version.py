"""The newest Dagster with which the tests of its private parts passed, and a word where a newer one is installed.

Decision: docs/decisions/0014-dagster-versions.md.
"""

import functools
import logging
import re
from typing import Final

import dagster as dg

# `make newest T=tests/upstream`; the oldest one is the bound in pyproject.toml.
NEWEST_TESTED: Final = "1.13.29"

_logger = logging.getLogger(__name__)


@functools.cache
def warn_of_an_untested_dagster() -> None:
    """Log a warning, once in a process, where Dagster is newer than the newest tested one; go on in any case.

    A log and no Python warning: those end the tests of a user who makes errors of them.
    """
    if _numbers(dg.__version__) > _numbers(NEWEST_TESTED):
        _logger.warning(
            "Dagster %s is newer than %s, the newest that this code-index was tested with. It goes on; should something "
            'fail that worked before, look for a newer code-index, or `pip install "dagster==%s"`.',
            dg.__version__,
            NEWEST_TESTED,
            NEWEST_TESTED,
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])
