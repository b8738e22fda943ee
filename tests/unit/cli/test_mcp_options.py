"""Options of `code-index mcp` that cannot go together."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from code_index.core.errors import UsageError
from indexing_assets.cli.mcp import command


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing-folder"], "is not a folder"),
        ([".", "..", "--index-dir", "x"], "names the index of one repository"),
        (["--token-file", "x"], "is for --http"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_served(arguments: list[str], said: str) -> None:
    done = CliRunner().invoke(command, arguments)
    assert isinstance(done.exception, UsageError)
    assert said in str(done.exception)
