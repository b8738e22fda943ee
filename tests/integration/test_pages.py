"""The README and the pages name all that a user can call, and what they show runs as written."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from code_index.chunking.file_type import TEXT
from code_index.chunking.registry import FORMATS, LANGUAGES
from code_index.index.settings import Settings
from indexing_assets.cli.main import cli
from indexing_assets.definitions import build_defs, defs

_ROOT = Path(__file__).parents[2]
_README = (_ROOT / "README.md").read_text(encoding="utf-8")
_COMMANDS = (_ROOT / "docs/commands.md").read_text(encoding="utf-8")
_REFERENCE = (_ROOT / "docs/reference.md").read_text(encoding="utf-8")
_DAGSTER = (_ROOT / "docs/dagster.md").read_text(encoding="utf-8")
_PAGES = [*sorted(_ROOT.glob("*.md")), *sorted((_ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("name", sorted(cli.list_commands(None)))
def test_every_command_is_on_the_page_of_commands_and_its_options_in_the_reference(name: str) -> None:
    assert f"`code-index {name}" in _COMMANDS
    section = _REFERENCE.partition(f"\n## code-index {name}\n")[2].partition("\n## ")[0]
    for option in cli.get_command(None, name).params:
        if option.param_type_name == "option":
            assert {word for word in (*option.opts, *option.secondary_opts) if word not in section} == set()
            assert option.help in section.replace("\\|", "|")


def test_the_reference_is_that_of_the_commands() -> None:
    script = str(_ROOT / ".ci/reference.py")
    written = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True).stdout
    assert written == _REFERENCE, f"run {script} --write"


def test_options_that_the_page_of_commands_names_exist() -> None:
    known = {word for name in cli.list_commands(None) for p in cli.get_command(None, name).params for word in p.opts}
    known |= {
        word
        for name in cli.list_commands(None)
        for p in cli.get_command(None, name).params
        for word in p.secondary_opts
    }
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", _COMMANDS)) - {"--help"}
    assert named
    assert named <= known


@pytest.fixture
def defined(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names of all assets, jobs, sensors and schedules, with those of an index that several hosts embed."""
    monkeypatch.setenv("CODE_INDEX_EMBEDDING_HOSTS", "2")
    monkeypatch.setenv("CODE_INDEX_SHARED_LIBRARIES", "/srv/team/vectors")
    monkeypatch.setenv("CODE_INDEX_WRITE_SHARED_LIBRARIES", "true")
    found = _defined(build_defs())
    assert found - _defined(defs) == {"library_vectors", "embed_for_library_job"}, "one host's pages stay as they are"
    return found


def _defined(definitions: dg.Definitions) -> set[str]:
    repository = definitions.get_repository_def()
    names = {key.to_user_string() for key in repository.asset_graph.get_all_asset_keys()}
    names |= {job.name for job in definitions.resolve_all_job_defs() if not job.name.startswith("__")}
    names |= {sensor.name for sensor in repository.sensor_defs}
    return names | {schedule.name for schedule in repository.schedule_defs}


def test_every_asset_job_sensor_and_schedule_is_on_the_page_about_dagster(defined: set[str]) -> None:
    assert {name for name in defined if f"`{name}`" not in _DAGSTER} == set()


def test_what_the_page_about_dagster_names_exists(defined: set[str]) -> None:
    named = set(
        re.findall(
            r"`([a-z_]+_(?:job|sensor|schedule|partitions|report|indexes|figures|files|chunks|vectors))`", _DAGSTER
        )
    )
    named -= {"flask_parse_chunks_job", "django_repo_changes_sensor"}  # of the example with two indexes
    assert named
    assert named <= defined


def test_every_environment_variable_is_documented() -> None:
    used = set()
    for folder in ("code_index", "indexing_assets", "resources"):
        for path in (_ROOT / folder).rglob("*.py"):
            used |= set(re.findall(r"\bCODE_INDEX_[A-Z_]+[A-Z]\b", path.read_text(encoding="utf-8")))
    documented = set(re.findall(r"\bCODE_INDEX_[A-Z_]+[A-Z]\b", _REFERENCE))
    assert used <= documented
    assert {f"CODE_INDEX_{name.upper()}" for name in Settings.fields_by_setting()} <= documented


def test_the_page_of_commands_lists_every_language_and_format() -> None:
    code, structured = re.search(r"are recognized in (.*?); structure in (.*?)\.", _COMMANDS, re.DOTALL).groups()
    for listed, known in ((code, LANGUAGES), (structured, FORMATS)):
        titles = {spec.title for spec in known.values() if spec.name != TEXT}
        assert sorted(re.split(r",\s+|\s+and\s+", listed)) == sorted(titles)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "AGENTS.md"])
def test_the_make_targets_of_a_page_exist(name: str) -> None:
    makefile = (_ROOT / "Makefile").read_text(encoding="utf-8")
    page = (_ROOT / name).read_text(encoding="utf-8")
    targets = set(re.findall(r"(?:^ *|`)make ([a-z]+)\b", page, re.MULTILINE))
    assert targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_files_that_the_recipes_name_exist() -> None:
    page = (_ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:code_index|tests)/[\w/.]+\w(?![\w/.<]*<)", page))
    assert named
    assert {name for name in named if not (_ROOT / name).exists()} == set()


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.name)
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", page.read_text(encoding="utf-8")):
        file = page.parent / target if target else page
        assert file.exists(), target
        if anchor:
            assert anchor in _anchors(file), f"{target}#{anchor}"


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_is_one_screen() -> None:
    assert len(re.sub(r"<details>.*?</details>", "", _README, flags=re.DOTALL).splitlines()) <= 84


def test_the_list_of_languages_is_that_of_the_registry() -> None:
    script = str(_ROOT / ".ci/languages.py")
    listed = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True).stdout
    assert f"<!-- languages -->\n{listed}<!-- end of languages -->" in _README, f"run {script} --write"


def test_the_python_example_runs_as_written(
    small_repository: Path, command_line: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    command_line("index", small_repository)
    code = re.search(r"```python\n(.*?)```", _README, re.DOTALL)[1].replace(
        "/path/to/your/repository", str(small_repository)
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "app/greeting.py" in done.stdout


def test_the_examples_for_debugging_run_as_written(
    small_repository: Path, command_line: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    command_line("index", small_repository)
    page = (_ROOT / "docs/debugging.md").read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    said = []
    for code in (example.replace("src/app.py", "app/greeting.py") for example in examples):
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=small_repository, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    assert "Counter.increment" in said[0]
    assert "'parsed': 4" in said[1]


@pytest.mark.parametrize("name", ["reliability", "security"])
def test_tests_that_a_page_of_promises_names_exist(name: str) -> None:
    page = (_ROOT / f"docs/{name}.md").read_text(encoding="utf-8")
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (_ROOT / "tests").rglob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", page))
    assert named
    assert {name for name in named if f"def {name}(" not in tests} == set()
    for file in re.findall(r"`(?:tests/\w+/)?(test_\w+\.py)`", page):
        assert list((_ROOT / "tests").rglob(file)), file
