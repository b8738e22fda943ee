"""Forms of an answer: for a reader, for an editor, for other programs, within a budget, with and without colours."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from code_index.search.token_estimate import estimate_tokens
from indexing_assets import index_repository
from indexing_assets.cli.main import cli
from tests.conftest import write_files
from tests.indexed_copies import copy_indexed
from tests.terminal import at_a_terminal, said_until

_DURATION = (
    'def parse_duration(text: str) -> int:\n    """Parse a duration such as 5m."""\n    unit = UNITS[text[-1]]\n'
    "    count = int(text[:-1])\n    if count < 0:\n        raise ValueError(text)\n    return count * unit\n"
)
_ODD = "lib/odd\n\x1b[2Jname.py"
_KEY = "ghp_" + "Zq8" * 12
_LONG = "word_" * 300
# What a terminal of any width is sent: escape sequences of colours.
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_ASKING = (
    ["search", "parse", "duration"],
    ["related", "lib/time.py:4"],
    ["context", "parse", "duration"],
    ["symbol", "parse_duration"],
    ["symbol", "check_unit", "--references"],
    ["symbol", "--outline", "lib/time.py"],
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, make_small_repository: Callable[[Path], Path]) -> Path:
    """A repository, indexed, that no test changes."""
    root = make_small_repository(tmp_path_factory.mktemp("forms") / "repository")
    keyed = f'"""Times."""\nTOKEN = "{_KEY}"\n\n\n{_DURATION}\n\ndef check_unit(unit: str) -> None:\n    print(unit)\n'
    uses = "from lib.time import check_unit\n\n\ndef checked() -> None:\n    check_unit('m')\n    check_unit('h')\n"
    write_files(root, {"lib/time.py": keyed, "old/time.py": _DURATION, "lib/uses.py": uses})
    write_files(
        root, {_ODD: "def odd_name() -> None: ...\n", "lib/wide.py": f'def wide() -> str:\n    return "{_LONG}"\n'}
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CODE_INDEX_MODEL", "deterministic")
        index_repository(root)
    return root


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")
    for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def asked(made: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run a command within the repository, or the folder of it that is named."""

    def run(*arguments: str, below: str = "", root: Path = made, status: int = 0) -> Result:
        monkeypatch.chdir(root / below)
        done = CliRunner().invoke(cli, [*arguments], prog_name="code-index")
        assert done.exit_code == status, done.output
        return done

    return run


@pytest.mark.parametrize("question", _ASKING, ids=" ".join)
@pytest.mark.parametrize("below", ["", "lib"])
def test_files_only_is_each_file_once_best_first_and_leads_there_from_here(
    asked: Callable[..., Result], made: Path, question: list[str], below: str
) -> None:
    if below:
        question = [word.replace("lib/", "") for word in question]
    hits = json.loads(asked(*question, "--json", below=below).stdout)["hits"]
    listed = asked(*question, "--files-only", "-0", below=below).stdout.split("\0")
    assert listed.pop() == ""
    found = [name for hit in hits for name in (hit["file_path"], *_files_of(hit.get("copies", ())))]
    assert [Path(os.path.normpath(made / below / name)) for name in listed] == [
        made / name for name in dict.fromkeys(found)
    ]


def _files_of(places: Sequence[str]) -> list[str]:
    return [place.rpartition(":")[0] for place in places]


def test_copies_stand_behind_the_hit_that_stands_for_them(asked: Callable[..., Result]) -> None:
    places = asked("search", "parse_duration", "--format", "path:line").stdout.splitlines()
    assert places[:2] == ["lib/time.py:5:parse_duration", "old/time.py:1:parse_duration"]


@pytest.mark.parametrize("question", _ASKING, ids=" ".join)
def test_a_place_is_a_line_that_an_editor_takes(asked: Callable[..., Result], made: Path, question: list[str]) -> None:
    places = asked(*question, "--format", "path:line").stdout.splitlines()
    assert places
    for place in places:
        path, line, what = re.fullmatch(r"(.+?):(\d+):(.+)", place).groups()  # as Vim's %f:%l:%m
        if path.isprintable() and "\\" not in path:
            assert what
            assert 1 <= int(line) <= len((made / path).read_text(encoding="utf-8").splitlines())


def test_places_of_references_are_all_of_their_lines(asked: Callable[..., Result]) -> None:
    places = asked("symbol", "check_unit", "--references", "--format", "path:line").stdout.splitlines()
    assert {"lib/uses.py:5:call in checked", "lib/uses.py:6:call in checked"} <= set(places)


def test_a_name_is_escaped_and_with_null_it_is_what_it_is(asked: Callable[..., Result], made: Path) -> None:
    question = ("search", "odd_name", "-n", "1", "--files-only")
    assert asked(*question).stdout == "lib/odd\\n\\x1b[2Jname.py\n"
    assert asked(*question, "--null").stdout_bytes == os.fsencode(_ODD) + b"\0"
    with at_a_terminal(*question, "--null", cwd=made, output=True) as (process, terminal):
        said = said_until(terminal, "Send them")
    assert process.returncode == 2
    assert "--null prints names as they are" in said
    assert "name.py" not in said


def test_what_is_gone_is_left_out_and_told(asked: Callable[..., Result], made: Path, tmp_path: Path) -> None:
    root = copy_indexed(made, tmp_path / "repository")
    (root / "old/time.py").unlink()
    done = asked("search", "parse duration", "--glob", "old/", "--files-only", root=root)
    assert done.stdout == ""
    assert "Left out, gone since it was indexed: old/time.py" in done.stderr


def test_several_repositories_have_paths_that_lead_there(
    asked: Callable[..., Result], made: Path, tmp_path: Path
) -> None:
    other = copy_indexed(made, tmp_path / "other")
    several = ("--repo", str(made), "--repo", str(other))
    listed = asked("search", "check_unit", *several, "--files-only", "--mode", "lexical").stdout.splitlines()
    assert {"lib/time.py", f"{other}/lib/time.py"} <= set(listed)


def test_lines_around_a_hit_are_those_of_the_file_with_their_numbers(asked: Callable[..., Result], made: Path) -> None:
    shown = asked("search", "parse duration", "-n", "1", "--glob", "lib/time.py", "--context", "3").stdout
    found = [re.fullmatch(r" *(\d+)([:-])(?: (.*))?", line) for line in shown.splitlines()[1:-1]]
    numbers = [int(line[1]) for line in found]
    lines = (made / "lib/time.py").read_text(encoding="utf-8").replace(_KEY, "masked_github_token").splitlines()
    assert [line[3] or "" for line in found] == lines[numbers[0] - 1 : numbers[-1]]
    assert numbers == list(range(2, 9)), "three before and after the first line of the function"
    assert [int(line[1]) for line in found if line[2] == ":"] == [5]
    assert "masked_github_token" in shown, "lines beside a hit are masked as those in it"


def test_lines_around_each_use_of_a_name_are_shown(asked: Callable[..., Result]) -> None:
    shown = asked("symbol", "check_unit", "--references", "--kind", "call", "--context", "1").stdout
    assert "     4- def checked() -> None:\n     5:     check_unit('m')\n     6-     check_unit('h')\n" in shown
    assert "     5-     check_unit('m')\n     6:     check_unit('h')\n" in shown
    shown = asked("symbol", "check_unit", "--context", "1").stdout
    assert ": def check_unit(unit: str) -> None:\n" in shown
    refused = asked("symbol", "--outline", "lib/time.py", "--context", "1", status=2)
    assert "--outline and --context contradict each other" in refused.stderr


def test_lines_around_a_hit_that_moved_are_the_present_ones(
    asked: Callable[..., Result], made: Path, tmp_path: Path
) -> None:
    root = copy_indexed(made, tmp_path / "repository")
    (root / "old/time.py").write_text("# new\n" + _DURATION)
    (root / "lib/uses.py").unlink()
    shown = asked("search", "parse duration", "-n", "1", "--glob", "old/", "--context", "1", root=root).stdout
    assert "     1- # new\n     2: def parse_duration(text: str) -> int:\n     3-     " in shown
    shown = asked("search", "checked", "-n", "1", "--glob", "lib/uses.py", "--context", "1", root=root).stdout
    assert "[gone since it was indexed]" in shown
    assert "      def checked() -> None:\n" in shown, "the lines of the index, without numbers"


@pytest.mark.parametrize("budget", [20, 60, 150, 400, 100_000])
@pytest.mark.parametrize("more", [[], ["--context", "20"], ["--explain"]], ids=["plain", "context", "explain"])
def test_a_budget_is_kept_and_what_finds_no_room_is_a_place(
    asked: Callable[..., Result], budget: int, more: list[str]
) -> None:
    whole = asked("search", "parse duration", *more).stdout
    done = asked("search", "parse duration", *more, "--max-tokens", str(budget))
    assert estimate_tokens(done.stdout) <= budget
    places = [line for line in whole.splitlines() if re.match(r" ?\d+\. ", line)]
    kept = [line for line in done.stdout.splitlines() if re.match(r" ?\d+\. ", line)]
    assert [line for line in places if line in kept] == kept
    left = re.search(r"has no room for (\d+) further hits", done.stderr)
    assert len(places) - len(kept) == (int(left[1]) if left else 0)
    if budget == 100_000:
        assert done.stdout == whole


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--json", "--files-only"], ["--json", "--files-only"]),
        (["--json", "--format", "text"], ["--format text", "--json"]),
        (["--format", "path:line", "--files-only"], ["--format path:line", "--files-only"]),
        (["--json", "--context", "0"], ["--json", "--context"]),
        (["--files-only", "--context", "2"], ["--files-only", "--context"]),
        (["--format", "path:line", "--max-tokens", "99"], ["--format path:line", "--max-tokens"]),
        (["--json", "--color", "always"], ["--json", "--color always"]),
        (["--files-only", "--explain"], ["--files-only", "--explain"]),
        (["--null"], ["--null", "--files-only"]),
        (["--null", "--json"], ["--null", "--files-only"]),
    ],
    ids=" ".join,
)
def test_options_that_contradict_each_other_are_refused_by_name(
    asked: Callable[..., Result], options: list[str], named: list[str]
) -> None:
    done = asked("search", "x", *options, status=2)
    for name in named:
        assert name in done.stderr
    assert done.stdout == ""


def test_a_context_has_its_budget_in_every_form(asked: Callable[..., Result]) -> None:
    said, short = (
        json.loads(asked("context", "parse duration", "--max-tokens", "200", *form).stdout)["hits"]
        for form in (("--format", "json"), ("--json",))
    )
    assert said == short
    assert sum(piece["tokens"] for piece in said) <= 200
    assert asked("context", "parse duration", "--max-tokens", "200", "--files-only").stdout


@pytest.mark.parametrize("question", [_ASKING[0], _ASKING[0] + ["--context", "1"], *_ASKING[1:]], ids=" ".join)
def test_a_pipe_gets_colours_only_when_asked_and_then_the_same_text(
    asked: Callable[..., Result], question: list[str]
) -> None:
    plain, coloured = asked(*question).stdout, asked(*question, "--color", "always").stdout
    assert _COLOUR.search(plain) is None
    assert _COLOUR.search(coloured) is not None
    assert _COLOUR.sub("", coloured) == plain
    assert asked(*question, "--color", "never").stdout == plain


def test_a_terminal_gets_colours_unless_they_are_unwanted(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def shown(*options: str) -> str:
        with at_a_terminal("search", "parse duration", "-n", "1", *options, cwd=made, output=True) as (_, terminal):
            return said_until(terminal, "up to date")

    monkeypatch.setenv("TERM", "xterm")
    assert _COLOUR.search(shown()) is not None
    assert _COLOUR.search(shown("--color", "never")) is None
    monkeypatch.setenv("NO_COLOR", "1")
    assert _COLOUR.search(shown()) is None
    assert _COLOUR.search(shown("--color", "always")) is not None, "an option is said later than a variable"


def test_no_width_cuts_a_line(asked: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    for more in ((), ("--context", "1"), ("--color", "always")):
        assert _LONG in asked("search", "wide", "-n", "1", *more).stdout
