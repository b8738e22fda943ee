"""`code-index materialize`: one asset, and of its partitions those that a person asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest
from click.testing import CliRunner, Result

from code_index.index.folder import resolve_index_folder
from indexing_assets.cli.main import cli
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.runs.index_names import ASSETS, LIBRARY_VECTORS
from indexing_assets.runs.partitions import keys_of_run
from tests.fakes import obstruct
from tests.indexed_copies import copy_indexed


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, make_small_repository: Callable[[Path], Path]) -> Path:
    """A small repository that is indexed but for `docs/guide.md`, which failed for a reason that lasts."""
    root = make_small_repository(tmp_path_factory.mktemp("template") / "repository")
    guide = root / "docs/guide.md"
    content = guide.read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CODE_INDEX_MODEL", "deterministic")
        with Pipeline(resolve_index_folder(root)) as pipeline:
            assert pipeline.scan().error is None
            obstruct(guide)
            assert pipeline.parse().partial
            assert pipeline.embed().error is None
            files = pipeline.store.files.read()
            place = files.schema.get_field_index("transient")
            lasting = pa.array([False] * files.num_rows, files.schema.field(place).type)
            pipeline.store.files.upsert(files.set_column(place, files.schema.field(place), lasting))
    guide.unlink()
    guide.write_bytes(content)
    return root


@pytest.fixture
def root(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")
    return copy_indexed(template, tmp_path / "repository")


def _materialize(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["materialize", *map(str, arguments)])


def _runs(root: Path) -> list[list[str]]:
    """What each run over partitions was for, the oldest first."""
    with Pipeline(resolve_index_folder(root)) as pipeline:
        found = []
        for run in reversed(pipeline.instance.get_runs()):
            definition = {"parse_chunks_job": "parsed_chunks", "embed_chunks_job": "chunk_vectors"}.get(run.job_name)
            if definition:
                keys = keys_of_run(run.tags, pipeline.index.partition_keys(definition))
                found.append([key.rpartition(":")[2] for key in keys])
        return found


def test_by_default_it_runs_what_is_missing_and_says_what_it_left(root: Path) -> None:
    before = len(_runs(root))
    done = _materialize("parsed_chunks", root)
    assert done.exit_code == 0, done.output
    assert "parsed_chunks: nothing is missing, of 4 partitions." in done.stdout
    assert "1 partition failed before" in done.stderr
    assert "code-index materialize parsed_chunks --failed" in done.stderr
    assert len(_runs(root)) == before

    failed = _materialize("parsed_chunks", "--failed", root)
    assert failed.exit_code == 0, failed.output
    assert "parsed_chunks: 1 of 4 partitions ran" in failed.stdout
    assert "code-index materialize chunk_vectors" in failed.stderr, "its chunks wait"
    assert _runs(root)[before:] == [["docs/guide.md"]]

    embedded = _materialize("chunk_vectors", root)
    assert embedded.exit_code == 0, embedded.output
    assert "ran in" in embedded.stdout
    assert "nothing is missing" in _materialize("chunk_vectors", "--missing", root).stdout
    assert "nothing failed" in _materialize("parsed_chunks", "--failed", root).stdout
    with Pipeline(resolve_index_folder(root)) as pipeline:
        assert pipeline.store.vectors.count() == pipeline.store.chunks.count() > 0


def test_files_are_named_by_glob_and_batches_by_number_and_run_again(root: Path) -> None:
    before = len(_runs(root))
    assert _materialize("parsed_chunks", root, "--file", "app/*.py", "--file", "web/").exit_code == 0
    assert sorted(_runs(root)[before]) == ["app/greeting.py", "web/getUserName.ts"]
    assert "nothing failed" in _materialize("parsed_chunks", root, "--failed", "--file", "app/").stdout
    again = _materialize("chunk_vectors", root, "--partition", "1")
    assert again.exit_code == 0, again.output
    with Pipeline(resolve_index_folder(root)) as pipeline:
        [run] = pipeline.instance.get_runs(dg.RunsFilter(job_name="embed_chunks_job"), limit=1)
        said = [event.user_message for event in pipeline.instance.all_logs(run.run_id)]
        assert any(f"{pipeline.store.chunks.count()} chunks to embed" in line for line in said), "stored ones as well"
    assert len(_runs(root)) == before + 2


def test_what_fails_again_ends_with_1_and_its_reason(root: Path) -> None:
    obstruct(root / "docs/guide.md")
    done = _materialize("parsed_chunks", root, "--all")
    assert done.exit_code == 1
    assert "parsed_chunks: 4 of 4 partitions ran" in done.stdout
    assert "1 file failed, the others are stored. First:" in done.stderr
    assert "docs/guide.md" in done.stderr


def test_every_asset_can_be_materialized(root: Path) -> None:
    of_one_host = [asset for asset in ASSETS if asset != LIBRARY_VECTORS]
    for asset in of_one_host:
        done = _materialize(asset, root)
        assert done.exit_code == 0, done.output
    with Pipeline(resolve_index_folder(root)) as pipeline:
        for asset in of_one_host:
            assert pipeline.instance.get_latest_materialization_event(dg.AssetKey(asset)) is not None, asset


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["chunks"],
            "There is no asset 'chunks'. The assets are source_files, parsed_chunks, references, chunk_vectors",
        ),
        (["search_indexes", "--failed"], "search_indexes has no partitions"),
        (["index_report", "--file", "*.py"], "index_report has no partitions"),
        (["chunk_vectors", "--file", "*.py"], "--file is for parsed_chunks only"),
        (["chunk_vectors", "--failed", "--all"], "exclude each other"),
        (["parsed_chunks", "--all", "--file", "*.py"], "--file goes with"),
        (["parsed_chunks", "--file", "nowhere/"], "No indexed file matches 'nowhere/'"),
        (["parsed_chunks", "--partition", "abc:gone.py"], "parsed_chunks has no partition 'abc:gone.py'"),
        (["chunk_vectors", "--partition", "99"], "chunk_vectors has no partition '00000099'"),
    ],
)
def test_wrong_use_ends_with_2_and_a_sentence(root: Path, arguments: list[str], said: str) -> None:
    done = _materialize(*arguments, "--index-dir", root / ".code-index", root)
    assert done.exit_code == 2, done.output
    assert said in done.stderr


def test_without_an_index_it_names_the_command_that_makes_one(tmp_path: Path) -> None:
    done = _materialize("chunk_vectors", tmp_path)
    assert done.exit_code == 2
    assert "code-index index" in done.stderr
    assert not (tmp_path / ".code-index").exists()


def test_the_help_names_every_asset() -> None:
    help_text = _materialize("--help").output
    assert [asset for asset in ASSETS if asset not in help_text] == []
