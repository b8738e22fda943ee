"""The page about agents says what is written where, as the table of agents has it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from indexing_assets.agents.table import AGENTS, Agent, Places, Scope

_PAGE = (Path(__file__).parents[3] / "docs/agents.md").read_text(encoding="utf-8")
_HOME, _PROJECT = Path("/home/me"), Path("/home/me/project")


def _section(agent: Agent) -> str:
    return re.search(rf"^## {re.escape(agent.title)}\n(.*?)(?=^## )", _PAGE, re.MULTILINE | re.DOTALL)[1]


def _named(path: Path, scope: Scope) -> str:
    return f"`{path.relative_to(_PROJECT)}`" if scope is Scope.PROJECT else f"`~/{path.relative_to(_HOME)}`"


@pytest.mark.parametrize("agent", AGENTS.values(), ids=lambda agent: agent.name)
@pytest.mark.parametrize("scope", Scope)
def test_each_agent_has_a_section_with_its_files_and_how_to_check(
    agent: Agent, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    section = _section(agent)
    places = Places(_HOME, _HOME / ".config", _PROJECT, {})
    server, skill, hook = agent.server(places, scope, "c"), agent.skill(places, scope), agent.hook(places, scope)
    named = [file for file in (server, hook) if file is not None]
    for file in named:
        assert _named(file.path, scope) in section
        assert file.keys[0] in section
    assert _named(skill, scope) in section
    assert ("reminder" in section) == (hook is not None)
    assert "Check: " in section
    assert re.search(r"Source:\s+\[", section)


def test_the_page_has_no_section_of_an_agent_that_is_not_there() -> None:
    headings = re.findall(r"^## (.*)$", _PAGE, re.MULTILINE)
    assert headings == [*(agent.title for agent in AGENTS.values()), "Any other agent", "What it costs an agent"]
