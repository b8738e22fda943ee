"""What the checks rely on in Dagster: how a step evaluates checks of an asset that emits no output."""

import asyncio
from collections import Counter

import dagster as dg
import pytest
from dagster import AssetCheckKey, AssetKey, DagsterEventType
from dagster._core.loader import LoadingContextForTest
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionResolvedStatus

from resources.event_log import BatchingSqliteEventLogStorage

pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning")

_START, _END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
_FILES = dg.DynamicPartitionsDefinition(name="file_hash")
_KEY = AssetKey("files")
_CHECKS = {"counts_agree": True, "ids_are_unique": False}  # name to whether it blocks
_ALL = ["z", "y", "x", "w", "v"]


@pytest.fixture(params=["default", "fast"])
def instance(request, monkeypatch, tmp_path):
    """With Dagster's own event log and with ours."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "1000")
    if request.param == "default":
        opened = dg.DagsterInstance.ephemeral()
    else:
        storage = BatchingSqliteEventLogStorage
        overrides = {
            "telemetry": {"enabled": False},
            "event_log_storage": {
                "module": storage.__module__,
                "class": storage.__name__,
                "config": {"base_dir": str(tmp_path / "events")},
            },
        }
        opened = dg.DagsterInstance.local_temp(str(tmp_path), overrides=overrides)
    with opened as instance:
        instance.add_dynamic_partitions("file_hash", _ALL)
        yield instance


def _asset(body, *, durable=_ALL, after=None, **options):
    """An asset as `parsed_chunks` is: a generator without a required output that logs its own events."""

    @dg.asset(
        name="files",
        partitions_def=_FILES,
        backfill_policy=dg.BackfillPolicy.single_run(),
        output_required=False,
        check_specs=[dg.AssetCheckSpec(name, asset=_KEY, blocking=blocks) for name, blocks in _CHECKS.items()],
        **options,
    )
    def files(context: dg.AssetExecutionContext):
        for key in context.partition_keys:
            if key in durable:
                context.log_event(dg.AssetMaterialization(context.asset_key, partition=key))
        yield from body
        if after is not None:
            raise after

    return files


def _result(name, *, passed=True, severity=dg.AssetCheckSeverity.ERROR):
    return dg.AssetCheckResult(check_name=name, passed=passed, severity=severity, metadata={"rows": 3})


def _run(instance, *assets, tags=None):
    definitions = dg.Definitions(assets=list(assets), executor=dg.in_process_executor)
    job = definitions.resolve_implicit_global_asset_job_def()
    return job.execute_in_process(instance=instance, tags=tags or {_START: "z", _END: "v"}, raise_on_error=False)


def _evaluations(instance, name):
    """Whether each evaluation of the check passed, newest first; what was planned and not evaluated is None."""
    key = AssetCheckKey(_KEY, name)
    records = instance.event_log_storage.get_asset_check_execution_history(key, limit=10)
    return [getattr(record.evaluation, "passed", None) for record in records]


def _events(instance, result):
    """How many events of each kind concern assets and checks."""
    kinds = (
        DagsterEventType.ASSET_MATERIALIZATION,
        DagsterEventType.ASSET_CHECK_EVALUATION,
        DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED,
        DagsterEventType.ASSET_OBSERVATION,
        DagsterEventType.HANDLED_OUTPUT,
    )
    logged = Counter(entry.dagster_event_type for entry in instance.all_logs(result.run_id))
    return [logged[kind] for kind in kinds]


def test_checks_yielded_by_an_asset_without_output_are_evaluated_once_for_a_range_and_cost_no_event_a_partition(
    instance,
):
    result = _run(instance, _asset([_result("counts_agree"), _result("ids_are_unique")]))

    assert result.success
    assert _evaluations(instance, "counts_agree") == [True]
    materialized, checked, planned_checks, observed, handled = _events(instance, result)
    assert (materialized, checked, planned_checks) == (len(_ALL), len(_CHECKS), len(_CHECKS))
    assert (observed, handled) == (0, 0)
    assert instance.get_materialized_partitions(_KEY) == set(_ALL)
    [record] = instance.event_log_storage.get_asset_check_execution_history(
        AssetCheckKey(_KEY, "counts_agree"), limit=1
    )
    assert record.evaluation.metadata["rows"].value == 3


def test_a_check_that_is_declared_and_not_yielded_fails_the_step_and_every_logged_partition_stays(instance):
    """Why `checks.results` refuses to leave one out."""
    result = _run(instance, _asset([_result("ids_are_unique")]))

    [step] = [event for event in result.all_node_events if event.is_step_failure]
    assert step.step_failure_data.error.cls_name == "DagsterStepOutputNotFoundError"
    assert _evaluations(instance, "counts_agree") == [None]
    assert _evaluations(instance, "ids_are_unique") == [True]
    assert instance.get_materialized_partitions(_KEY) == set(_ALL)


def test_a_failure_after_the_checks_keeps_their_evaluations_and_the_logged_partitions(instance):
    asset = _asset([_result("counts_agree")], durable=["z", "x"], after=dg.Failure("the others failed"))
    result = _run(instance, asset)

    assert not result.success
    [step] = [event for event in result.all_node_events if event.is_step_failure]
    assert step.step_failure_data.user_failure_data.description == "the others failed"
    assert _evaluations(instance, "counts_agree") == [True]
    assert instance.get_materialized_partitions(_KEY) == {"z", "x"}
    statuses = instance.get_status_by_partition(_KEY, _ALL, _FILES)
    assert {key for key, status in statuses.items() if status and status.value == "FAILED"} == {"y", "w", "v"}


def test_checks_that_a_failure_came_before_show_as_not_executed(instance):
    result = _run(instance, _asset([], durable=["z"], after=dg.Failure("all failed")))

    assert not result.success
    [record] = instance.event_log_storage.get_asset_check_execution_history(
        AssetCheckKey(_KEY, "counts_agree"), limit=1
    )
    status = asyncio.run(record.resolve_status(LoadingContextForTest(instance)))
    assert status is AssetCheckExecutionResolvedStatus.EXECUTION_FAILED
    assert instance.get_materialized_partitions(_KEY) == {"z"}


def test_a_blocking_check_that_fails_fails_its_step_and_every_logged_partition_stays(instance):
    asset = _asset([_result("counts_agree", passed=False), _result("ids_are_unique")])
    result = _run(instance, asset)

    assert not result.success
    [step] = [event for event in result.all_node_events if event.is_step_failure]
    assert "counts_agree" in step.step_failure_data.error.message
    assert step.step_failure_data.user_failure_data is None
    # What follows it was still evaluated.
    assert _evaluations(instance, "ids_are_unique") == [True]
    assert _evaluations(instance, "counts_agree") == [False]
    assert instance.get_materialized_partitions(_KEY) == set(_ALL)
    statuses = instance.get_status_by_partition(_KEY, _ALL, _FILES)
    assert {status.value for status in statuses.values()} == {"MATERIALIZED"}


def test_a_blocking_check_that_fails_as_a_warning_stops_nothing(instance):
    warning = _result("counts_agree", passed=False, severity=dg.AssetCheckSeverity.WARN)
    result = _run(instance, _asset([warning, _result("ids_are_unique")]))

    assert result.success
    assert _evaluations(instance, "counts_agree") == [False]


def test_a_check_that_fails_and_does_not_block_leaves_the_run_green(instance):
    result = _run(instance, _asset([_result("counts_agree"), _result("ids_are_unique", passed=False)]))

    assert result.success
    assert _evaluations(instance, "ids_are_unique") == [False]


def test_a_run_of_one_partition_evaluates_the_checks_as_a_range_does(instance):
    result = _run(
        instance,
        _asset([_result("counts_agree"), _result("ids_are_unique")], durable=["y"]),
        tags={_START: "y", _END: "y"},
    )

    assert result.success
    assert _evaluations(instance, "counts_agree") == [True]
    assert instance.get_materialized_partitions(_KEY) == {"y"}


def test_a_check_of_its_own_is_skipped_after_an_asset_that_emits_no_output(instance):
    """Why the checks of the partitioned assets are evaluated inside their steps."""
    ran = []

    @dg.asset(
        name="files", partitions_def=_FILES, backfill_policy=dg.BackfillPolicy.single_run(), output_required=False
    )
    def files(context: dg.AssetExecutionContext):
        for key in context.partition_keys:
            context.log_event(dg.AssetMaterialization(context.asset_key, partition=key))
        yield from ()

    @dg.asset_check(asset=files)
    def counts_agree() -> dg.AssetCheckResult:
        ran.append(1)
        return dg.AssetCheckResult(passed=True)

    definitions = dg.Definitions(assets=[files], asset_checks=[counts_agree], executor=dg.in_process_executor)
    result = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=instance, tags={_START: "z", _END: "v"}
    )

    assert result.success
    assert ran == []
    assert [event.step_key for event in result.all_events if event.is_step_skipped] == ["files_counts_agree"]


def test_a_blocking_check_that_fails_keeps_the_materialization_of_an_asset_with_an_output_and_stops_what_follows(
    instance,
):
    @dg.asset(check_specs=[dg.AssetCheckSpec("keys_exist", asset="manifest", blocking=True)])
    def manifest() -> dg.MaterializeResult:
        return dg.MaterializeResult(
            metadata={"files": 3},
            check_results=[dg.AssetCheckResult(check_name="keys_exist", passed=False)],
        )

    ran = []

    @dg.asset(deps=[manifest])
    def after() -> None:
        ran.append(1)

    result = dg.materialize([manifest, after], instance=instance, raise_on_error=False)

    assert not result.success
    assert ran == []
    assert instance.get_latest_materialization_event(AssetKey("manifest")) is not None


@pytest.mark.filterwarnings("ignore::dagster.PreviewWarning")
def test_a_run_over_a_range_gives_a_partitioned_check_no_partition(instance):
    """Why no check has partitions of its own (docs/decisions/0008)."""

    @dg.asset(
        key=_KEY,
        partitions_def=_FILES,
        backfill_policy=dg.BackfillPolicy.single_run(),
        check_specs=[dg.AssetCheckSpec("counts_agree", asset=_KEY, partitions_def=_FILES)],
    )
    def files(context):
        yield dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=True, check_name="counts_agree")])

    for tags in ({_START: "z", _END: "x"}, {"dagster/partition": "y"}):
        assert dg.materialize([files], instance=instance, tags=tags).success
    records = instance.event_log_storage.get_asset_check_execution_history(
        AssetCheckKey(_KEY, "counts_agree"), limit=10
    )
    events = [record.event.dagster_event for record in records]
    evaluated = [event for event in events if event.event_type is DagsterEventType.ASSET_CHECK_EVALUATION]
    assert {event.asset_check_evaluation_data.partition for event in evaluated} == {None, "y"}
