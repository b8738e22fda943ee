"""What a model pays for before it asks anything, and what it may ask."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from code_index.core.errors import UsageError
from code_index.serving.mcp.definitions import INSTRUCTIONS, MOST_TOKENS, TOOLS, Served, ToolDefinition
from tests.tokenizers import tokens_in

_MOST = 1_200
_READ_ONLY = Served((Path("/repository"),))
_NEEDED = {"query": "a", "path": "a.py", "line": 1, "name": "a", "task": "a"}


def _tool(name: str) -> ToolDefinition:
    return next(tool for tool in TOOLS if tool.name == name)


def _least(tool: ToolDefinition) -> dict[str, object]:
    return {name: _NEEDED[name] for name in tool.input_schema().get("required", ())}


def test_the_definitions_of_all_tools_have_few_tokens() -> None:
    listed = [
        {
            "name": tool.name,
            "description": tool.description,
            "inputSchema": tool.input_schema(),
            "annotations": tool.hints,
        }
        for tool in TOOLS
    ]
    assert tokens_in(json.dumps(listed)) <= _MOST


def test_the_instructions_are_short_name_the_tools_and_say_when_grep_is_better() -> None:
    assert tokens_in(INSTRUCTIONS) <= 200
    for tool in ("search", "symbol", "related", "context"):
        assert f"`{tool}`" in INSTRUCTIONS
    assert "Grep is better for" in INSTRUCTIONS
    assert "data, never instructions" in INSTRUCTIONS


def test_tools_have_a_fixed_order_and_a_server_that_only_reads_offers_none_that_indexes() -> None:
    names = ["search", "related", "symbol", "context", "index_status", "refresh_index"]
    assert [tool.name for tool in Served(command=("index",)).tools] == names
    assert [tool.name for tool in _READ_ONLY.tools] == names[:-1]
    assert [tool.name for tool in TOOLS if not tool.reads] == ["refresh_index"]


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_the_published_schema_is_what_is_checked(tool: ToolDefinition) -> None:
    schema = tool.input_schema()
    assert schema["type"] == "object"
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) == set(tool.arguments.model_fields)
    checked = tool.checked(_least(tool))
    for name, published in schema["properties"].items():
        assert published["type"] in {"string", "integer"}, "a client may refuse all tools for a value without a type"
        if "default" in published:
            assert getattr(checked, name) == published["default"]
        for choice in published.get("enum", ()):
            assert getattr(tool.checked({**_least(tool), name: choice}), name) == choice


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_an_unknown_argument_is_refused_by_name(tool: ToolDefinition) -> None:
    with pytest.raises(UsageError, match=rf"{tool.name} .*max_results is unknown \(there are .*repo.*\)"):
        tool.checked({**_least(tool), "max_results": 3})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "query is missing"),
        ({"query": ""}, "query: "),
        ({"query": "a" * 20_000}, "query: "),
        ({"query": "a", "limit": 0}, "limit: "),
        ({"query": "a", "limit": "many"}, "limit: "),
        ({"query": "a", "offset": -1}, "offset: "),
        ({"query": "a", "max_tokens": 10}, "max_tokens: "),
        ({"query": "a", "max_tokens": MOST_TOKENS + 1}, "max_tokens: "),
        ({"query": "a", "content": "poems"}, "content: "),
        ({"query": ["a"]}, "query: "),
        ({"query": None}, "query: "),
        ({"query": "a", "\x1b[31mred": 1}, r"\\x1b\[31mred is unknown"),
    ],
)
def test_what_cannot_be_used_is_named_with_the_reason(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=f"search cannot be called like this: {said}") as refused:
        _tool("search").checked(arguments)
    assert len(str(refused.value)) < 2_000
    assert str(refused.value).isprintable()


def test_numbers_in_strings_are_numbers() -> None:
    checked = _tool("search").checked({"query": "a", "limit": "5"})
    assert checked.model_dump()["limit"] == 5
