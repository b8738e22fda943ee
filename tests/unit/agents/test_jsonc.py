"""JSON with comments is edited in place: nothing but the edit changes."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexing_assets.agents import jsonc

_KEYS = ("mcpServers", "code-index")
_ENTRY = {"command": "/bin/code-index", "args": ["mcp"]}

# A text takes many draws.
_FEWER = settings(max_examples=40)

_SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=8,
)
_BLANKS = st.lists(
    st.sampled_from(
        ["", " ", "\t", "\n", "\r\n", "  ", "/* c */", "/* a\n * b */", "// to the end\n", '// "quoted": {\n', "/**/"]
    ),
    max_size=3,
).map("".join)


@st.composite
def _texts(draw: st.DrawFn) -> tuple[str, dict, list[str]]:
    """A text, what it holds, and its comments in order."""
    data = draw(st.dictionaries(st.text(), _VALUES, max_size=3))
    if draw(st.booleans()):
        data["mcpServers"] = draw(st.dictionaries(st.text(), _VALUES, max_size=3))
        data["mcpServers"].pop("code-index", None)

    def spelled(value) -> str:
        if not isinstance(value, (dict, list)) or not (value or draw(st.booleans())):
            return json.dumps(value, ensure_ascii=draw(st.booleans()))
        is_object = isinstance(value, dict)
        items = []
        for item in value:
            head = f"{json.dumps(item)}{draw(_BLANKS)}:{draw(_BLANKS)}" if is_object else ""
            items.append(f"{draw(_BLANKS)}{head}{spelled(value[item] if is_object else item)}{draw(_BLANKS)}")
        inside = ",".join(items) + ("," if items and draw(st.booleans()) else "") + draw(_BLANKS)
        return f"{{{inside}}}" if is_object else f"[{inside}]"

    text = draw(st.sampled_from(["", "\ufeff"])) + draw(_BLANKS) + spelled(data) + draw(_BLANKS)
    return text, data


def _comments(text: str) -> list[str]:
    """The comments of a text, by a scan of another kind than that of the module."""
    found, at, start = [], 0, 0
    while at < len(text):
        if text[at] == '"':
            at += 1
            while text[at] != '"':
                at += 2 if text[at] == "\\" else 1
            at += 1
        elif text.startswith("//", at):
            start, at = at, text.find("\n", at) if "\n" in text[at:] else len(text)
            found.append(text[start:at].rstrip())
        elif text.startswith("/*", at):
            start, at = at, text.index("*/", at + 2) + 2
            found.append(text[start:at])
        else:
            at += 1
    return found


@_FEWER
@given(_texts())
def test_a_text_is_read_as_what_it_holds(made) -> None:
    text, data = made
    assert jsonc.read(text).value == data


@_FEWER
@given(_texts())
def test_an_added_member_changes_nothing_else(made) -> None:
    text, data = made
    edited = jsonc.with_member(text, _KEYS, _ENTRY)
    assert jsonc.read(edited).value == {**data, "mcpServers": {**data.get("mcpServers", {}), "code-index": _ENTRY}}
    assert _comments(edited) == _comments(text)


@_FEWER
@given(_texts())
def test_a_member_that_is_taken_out_again_leaves_what_was_there(made) -> None:
    text, data = made
    left = jsonc.without_member(jsonc.with_member(text, _KEYS, _ENTRY), _KEYS)
    assert jsonc.read(left).value == {**data, "mcpServers": data.get("mcpServers", {})}
    assert _comments(left) == _comments(text)


@_FEWER
@given(_texts(), st.data())
def test_any_member_can_be_taken_out_and_the_others_stay(made, draw) -> None:
    text, data = made
    if not data:
        return
    key = draw.draw(st.sampled_from(sorted(data)))
    del data[key]
    assert jsonc.read(jsonc.without_member(text, (key,))).value == data


@_FEWER
@given(_texts(), st.lists(_VALUES, max_size=3))
def test_an_item_is_appended_and_taken_out(made, items) -> None:
    text, data = made
    data.pop("mcpServers", None)
    text = jsonc.with_member(text, ("hooks",), {"PreToolUse": items})
    edited = jsonc.with_item(text, ("hooks", "PreToolUse"), {"matcher": "Grep"})
    assert jsonc.read(edited).value["hooks"]["PreToolUse"] == [*items, {"matcher": "Grep"}]
    assert jsonc.without_item(edited, ("hooks", "PreToolUse"), len(items)) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '{\n\t"a": 1, // one\n}\r\n',
            '{\n\t"a": 1, // one\n\t"mcpServers": {\n\t\t"code-index": {\n\t\t\t"command": "c"\n\t\t}\n\t},\n}\r\n',
        ),
        (
            '{\r\n    "mcpServers": {}\r\n}',
            '{\r\n    "mcpServers": {\r\n        "code-index": {\r\n            "command": "c"\r\n        }\r\n    }\r\n}',
        ),
        ('{"mcpServers":{"b":{"c":1}}}', '{"mcpServers":{"b":{"c":1},"code-index":{"command":"c"}}}'),
        ('{"mcpServers": {"b": 1}}', '{"mcpServers": {"b": 1, "code-index": {"command": "c"}}}'),
        ("{}", '{\n  "mcpServers": {\n    "code-index": {\n      "command": "c"\n    }\n  }\n}'),
        ("", '{\n  "mcpServers": {\n    "code-index": {\n      "command": "c"\n    }\n  }\n}\n'),
        (
            "// mine\r\n",
            '// mine\r\n{\r\n  "mcpServers": {\r\n    "code-index": {\r\n      "command": "c"\r\n    }\r\n  }\r\n}\r\n',
        ),
        (
            '{\n  "mcpServers": {\n    "b": 1 /* last */\n  }\n}\n',
            '{\n  "mcpServers": {\n    "b": 1, /* last */\n    "code-index": {\n      "command": "c"\n    }\n  }\n}\n',
        ),
    ],
)
def test_a_member_is_written_in_the_style_of_the_file(text: str, expected: str) -> None:
    assert jsonc.with_member(text, _KEYS, {"command": "c"}) == expected


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"a": 1,, "b": 2}', "line 1, column 9"),
        ("{'a': 1}", "a string is expected"),
        ('{"a": 1} x', "something follows"),
        ('{"a": 01}', "a comma or }"),
        ('{"a": NaN}', "a value is expected"),
        ('{"a": "\n"}', "a bad string"),
        ('{\n  "a": 1 /* never closed\n}', "not closed"),
        ("{", "a string is expected"),
        ("[" * 5000, "nested too deep"),
        ("[]", "no object"),
        ('{"mcpServers": []}', '"mcpServers" is not an object'),
        ('{"mcpServers": {}, "mcpServers": {}}', "given 2 times"),
    ],
)
def test_what_cannot_be_edited_is_refused_with_the_place(text: str, told: str) -> None:
    with pytest.raises(jsonc.JsoncError, match=told.replace("}", r"\}")):
        jsonc.with_member(text, _KEYS, _ENTRY)


@given(st.text(alphabet='{}[]",:/*\\ \n1ae', max_size=40))
def test_any_text_is_read_or_refused_as_python_reads_it(text: str) -> None:
    try:
        expected = json.loads(text, parse_constant=lambda _: pytest.skip("a constant of JavaScript"))
    except ValueError:
        return
    assert jsonc.read(text).value == expected


@pytest.mark.parametrize(
    "text", ['{"a": "' + "\\" * 400_001, "{" + "/*" * 200_000, "{" + " \n" * 400_000, '{"' + "a" * 800_000]
)
def test_hostile_text_is_refused_in_linear_time(text: str) -> None:
    def seconds(of: str) -> float:
        start = time.process_time()
        with pytest.raises(jsonc.JsoncError):
            jsonc.read(of)
        return time.process_time() - start

    assert seconds(text) < 50 * max(seconds(text[: len(text) // 8]), 0.005)
