"""Every command of docs/upgrading.md runs as it is written."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.harness import write_repository
from tests.old_index import write_old_index

_ROOT = Path(__file__).parents[2]
_PAGE = (_ROOT / "docs" / "upgrading.md").read_text(encoding="utf-8")


def commands() -> list[list[str]]:
    blocks = re.findall(r"```sh\n(.*?)```", _PAGE, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.strip()]
    return [shlex.split(line, comments=True) for line in lines]


@pytest.mark.long
def test_every_command_of_the_page_runs_in_the_order_in_which_it_is_written(
    tmp_path: Path, command_line: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    repository = write_repository(tmp_path / "repository")
    write_old_index(repository)
    ran = commands()
    assert len(ran) == 12
    for program, *arguments in ran:
        assert program == "code-index"
        # Nobody is at a terminal here to answer.
        answer = ["--yes"] if {"--rollback", "--old-index"} & set(arguments) else []
        command_line(*arguments, *answer, cwd=repository)


def test_the_example_is_that_of_the_module_and_links_lead_somewhere() -> None:
    from indexing_assets.operations import api

    (example,) = re.findall(r"```python\n(.*?)```", _PAGE, re.DOTALL)
    assert example.strip() in "\n".join(line.removeprefix("    ") for line in (api.__doc__ or "").splitlines())
    for target in re.findall(r"\]\((?!http)([^)#]+)", _PAGE):
        assert (_ROOT / "docs" / target).exists(), target
    for name in re.findall(r"python -m benchmarks\.(\w+)", _PAGE):
        assert (_ROOT / "benchmarks" / f"{name}.py").exists()
