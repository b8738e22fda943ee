"""The integrity checks as Dagster evaluates and shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import lancedb
import pytest
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from code_index.embedding.deterministic import DeterministicEmbedder
from code_index.index.deployment import DEPLOYMENT_VARIABLE
from code_index.index.folder import resolve_index_folder
from indexing_assets.checks import CHECKS, CheckOutcome, Severity, Subject, checks_of, evaluate
from indexing_assets.checks.asset_checks import INDEX_CHECKS, build_index_checks, check_specs, results
from indexing_assets.definitions import build_defs
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.runs.index_names import (
    CHUNK_VECTORS,
    INDEX_REPORT,
    PARSED_CHUNKS,
    REFERENCES,
    SOURCE_FILES,
    UNNAMED,
    IndexNames,
)
from resources.embedder_resource import EmbedderResource
from resources.index_resource import IndexResource
from tests.indexed_copies import copy_indexed

REPORT = dg.AssetKey(INDEX_REPORT)
_RUN = dg.DagsterRun("some_job")


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory, make_small_repository: Callable[[Path], Path]) -> Path:
    """A repository with a whole index, which tests copy."""
    root = make_small_repository(tmp_path_factory.mktemp("indexed") / "repository")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CODE_INDEX_REPOSITORY", "CODE_INDEX_DIR", "DAGSTER_HOME"):
            patch.delenv(name, raising=False)
        with Pipeline(resolve_index_folder(root), embedder=EmbedderResource(model="deterministic")) as pipeline:
            assert [r.error for r in (pipeline.scan(), pipeline.parse(), pipeline.embed())] == [None] * 3
    return root


@pytest.fixture
def pipeline(indexed: Path, tmp_path: Path) -> Iterator[Pipeline]:
    root = copy_indexed(indexed, tmp_path / "repository")
    with Pipeline(resolve_index_folder(root), embedder=EmbedderResource(model="deterministic")) as opened:
        yield opened


def run_checks(pipeline: Pipeline, names: IndexNames = UNNAMED, selection: dg.AssetSelection | None = None):
    """Run the whole-index checks as a job of their own, as the page of `index_report` does."""
    root = pipeline.folder.repository_root
    index = IndexResource() if names.index else IndexResource(repository_root=str(root))
    definitions = dg.Definitions(
        assets=[dg.AssetSpec(names.asset_key(INDEX_REPORT))],
        asset_checks=build_index_checks(names),
        jobs=[dg.define_asset_job("check_job", selection=selection or dg.AssetSelection.all_asset_checks())],
        resources={names.prefixed("index"): index, names.prefixed("embedder"): EmbedderResource(model="deterministic")},
        executor=dg.in_process_executor,
    )
    job = definitions.resolve_job_def("check_job")
    result = job.execute_in_process(instance=pipeline.instance, raise_on_error=False)
    assert result.success
    return {evaluation.check_name: evaluation for evaluation in result.get_asset_check_evaluations()}


def test_every_check_belongs_to_an_asset_and_says_what_it_claims() -> None:
    specs = {spec.name: spec for asset in _assets() for spec in check_specs(UNNAMED, asset)}
    assert specs.keys() == CHECKS.keys()
    for name, spec in specs.items():
        assert spec.asset_key == dg.AssetKey(CHECKS[name].asset)
        assert (spec.description or "").endswith(".")
    blocking = {name for name, spec in specs.items() if spec.blocking}
    assert blocking == {
        "every_indexed_file_has_its_partition",
        "chunk_ids_are_unique",
        "every_chunk_has_a_batch_with_a_partition",
    }


def _assets() -> list[str]:
    return [SOURCE_FILES, PARSED_CHUNKS, REFERENCES, CHUNK_VECTORS, INDEX_REPORT]


def test_each_check_leads_to_an_asset_or_a_job_of_the_index() -> None:
    repository = build_defs().get_repository_def()
    known = {key.to_user_string() for key in repository.asset_graph.get_all_asset_keys()} | set(repository.job_names)
    assert {check.fixed_by for check in CHECKS.values()} <= known
    assert {check.name: check.fixed_by for check in CHECKS.values() if check.fixed_by == INDEX_REPORT} == {}


def test_what_is_left_failed_leads_to_the_job_that_reruns_it() -> None:
    outcome = CHECKS["no_partition_is_left_failed"]
    failed = CheckOutcome(outcome.name, False, outcome.severity, (), 1, "", "", {}, fixed_by=outcome.fixed_by)
    [of_a_command] = results(IndexNames("payments"), INDEX_REPORT, [failed], _RUN)
    assert of_a_command.metadata["fixed_by"] == dg.MetadataValue.text("payments_rerun_failed_partitions")
    definitions = ManagedGrpcPythonEnvCodeLocationOrigin(
        LoadableTargetOrigin(module_name="indexing_assets.definitions"), location_name="here"
    )
    origin = RemoteJobOrigin(RemoteRepositoryOrigin(definitions, "__repository__"), "maintain_index_job")
    run = dg.DagsterRun("maintain_index_job", remote_job_origin=origin)
    [of_the_pages] = results(IndexNames("payments"), INDEX_REPORT, [failed], run)
    assert of_the_pages.metadata["fixed_by"] == dg.MetadataValue.job(
        "payments_rerun_failed_partitions", "here", repository_name="__repository__"
    )


def test_a_check_that_blocks_is_an_error_for_else_dagster_would_let_it_pass() -> None:
    assert [check.name for check in CHECKS.values() if check.blocking and check.severity is not Severity.ERROR] == []


def test_a_blocking_check_is_of_an_asset_that_something_comes_after() -> None:
    assert {check.asset for check in CHECKS.values() if check.blocking} <= {SOURCE_FILES, PARSED_CHUNKS}


def test_checks_of_a_named_index_are_of_its_own_assets() -> None:
    names = IndexNames("payments")
    assert {spec.asset_key for spec in check_specs(names, PARSED_CHUNKS)} == {dg.AssetKey(["payments", PARSED_CHUNKS])}
    [definition] = build_index_checks(names)
    assert definition.node_def.name == f"payments_{INDEX_CHECKS}"
    assert {key.asset_key for key in definition.check_keys} == {dg.AssetKey(["payments", INDEX_REPORT])}


def test_each_declared_check_of_a_step_is_yielded_once(pipeline: Pipeline) -> None:
    """Dagster fails a step that leaves one out."""
    subject = Subject(pipeline.index, encoder=DeterministicEmbedder)
    for asset in (SOURCE_FILES, PARSED_CHUNKS, REFERENCES, CHUNK_VECTORS):
        yielded = list(results(UNNAMED, asset, evaluate(subject, asset=asset), _RUN))
        assert [result.check_name for result in yielded] == [spec.name for spec in check_specs(UNNAMED, asset)]
        assert {(result.asset_key, result.passed) for result in yielded} == {(dg.AssetKey(asset), True)}
        assert [result.description for result in yielded] == [check.description for check in checks_of(asset)]


def _in_a_run(pipeline: Pipeline, asset: str) -> dict[str, CheckOutcome]:
    """The outcomes of a run's checks, which look at what changed since the last look of this process."""
    subject = Subject(pipeline.index, encoder=DeterministicEmbedder, since_last_look=True)
    return {outcome.name: outcome for outcome in evaluate(subject, asset=asset)}


def test_a_runs_check_sees_what_another_process_did_to_rows_that_it_has_looked_at(pipeline: Pipeline) -> None:
    first = _in_a_run(pipeline, CHUNK_VECTORS)
    assert [name for name, outcome in first.items() if not outcome.passed] == []
    vectors = lancedb.connect(pipeline.folder.tables_dir).open_table("vectors")
    row = vectors.search().limit(1).to_arrow()
    vectors.add(row)
    found = _in_a_run(pipeline, CHUNK_VECTORS)
    assert not found["no_chunk_has_two_vectors"].passed
    assert row["file_path"][0].as_py() in found["no_chunk_has_two_vectors"].description
    vectors.delete(f"chunk_id = '{row['chunk_id'][0]}'")
    assert _in_a_run(pipeline, CHUNK_VECTORS)["no_chunk_has_two_vectors"].passed


def test_a_runs_check_looks_again_at_what_it_found(pipeline: Pipeline) -> None:
    assert _in_a_run(pipeline, SOURCE_FILES)["no_rows_of_files_that_are_gone"].passed
    path = pipeline.store.chunks.read(["file_path"], limit=1)["file_path"][0].as_py()
    pipeline.store.files.delete([path])  # a commit of this process's own
    for _ in range(2):
        assert path in _in_a_run(pipeline, SOURCE_FILES)["no_rows_of_files_that_are_gone"].culprits


def test_an_outcome_keeps_its_figures_culprits_severity_and_words() -> None:
    outcome = CheckOutcome(
        name="chunk_ids_are_unique",
        passed=False,
        severity=Severity.WARNING,
        culprits=("a|b.py:1 f", "c.py:2 g"),
        count=30,
        description="30 chunks stored more than once: a|b.py:1 f ... Fix: `code-index index`",
        markdown="30 chunks stored more than once: `a¦b.py:1 f` ... Fix: `code-index index`",
        figures={"chunks": 100, "share": 0.3},
        fix="`code-index index`, or a backfill",
        fixed_by=PARSED_CHUNKS,
    )
    [result] = results(IndexNames("payments"), PARSED_CHUNKS, [outcome], _RUN)
    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert result.description == (
        "30 chunks stored more than once: `a¦b.py:1 f` ... Fix: `code-index index` "
        "(in the repository of the index payments)"
    )
    assert result.metadata["chunks"] == dg.MetadataValue.int(100)
    assert result.metadata["share"] == dg.MetadataValue.float(0.3)
    assert result.metadata["culprits_found"] == dg.MetadataValue.int(30)
    assert result.metadata["fix"] == dg.MetadataValue.md("`code-index index`, or a backfill")
    assert result.metadata["command"] == dg.MetadataValue.text("code-index index")
    assert result.metadata["fixed_by"] == dg.MetadataValue.asset(dg.AssetKey(["payments", PARSED_CHUNKS]))
    assert result.metadata["culprits"] == dg.MetadataValue.md("| culprit |\n| --- |\n| `a¦b.py:1 f` |\n| `c.py:2 g` |")


def test_the_checks_of_a_whole_index_all_pass_and_give_figures(pipeline: Pipeline) -> None:
    evaluations = run_checks(pipeline)
    assert evaluations.keys() == {check.name for check in checks_of(INDEX_REPORT)}
    assert {name: e.description for name, e in evaluations.items() if not e.passed} == {}
    chunks = pipeline.store.chunks.count()
    assert evaluations["every_chunk_has_its_vector"].metadata["complete_chunks"].value == chunks
    assert evaluations["searching_finds_what_is_indexed"].metadata["lexical_ms"].value > 0
    assert evaluations["source_matches_the_manifest"].metadata["files_read"].value == 4


def test_a_failed_check_leaves_the_run_green_and_tells_the_command(pipeline: Pipeline) -> None:
    pipeline.store.vectors.drop()
    evaluations = run_checks(pipeline)
    failed = {name: e for name, e in evaluations.items() if not e.passed}
    assert {name: e.severity.value for name, e in failed.items()} == {
        "every_chunk_has_its_vector": "WARN",
        "records_agree_with_the_tables": "ERROR",
    }
    assert "`code-index resume`" in failed["every_chunk_has_its_vector"].description
    assert "| `app/greeting.py:" in failed["every_chunk_has_its_vector"].metadata["culprits"].value


def test_one_check_can_be_run_alone(pipeline: Pipeline) -> None:
    key = dg.AssetCheckKey(REPORT, "tables_can_be_read")
    evaluations = run_checks(pipeline, selection=dg.AssetSelection.checks(key))
    assert list(evaluations) == ["tables_can_be_read"]


def test_a_named_index_is_checked_in_its_own_folder(pipeline: Pipeline, monkeypatch, tmp_path: Path) -> None:
    deployment = tmp_path / "deployment.toml"
    deployment.write_text(f'[indexes.payments]\nrepository = "{pipeline.folder.repository_root}"\n')
    monkeypatch.setenv(DEPLOYMENT_VARIABLE, str(deployment))
    names = IndexNames("payments")
    evaluations = run_checks(pipeline, names)
    # The records of this deployment are those of the single index: of the named one there are none.
    [name] = [name for name, evaluation in evaluations.items() if not evaluation.passed]
    assert name == "records_agree_with_the_tables"
    assert evaluations[name].description.endswith("(in the repository of the index payments)")
