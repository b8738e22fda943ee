"""What the pipeline relies on in Dagster and its documentation does not promise."""

import warnings
from collections.abc import Iterator

import dagster as dg
import pytest
from dagster import AssetKey
from dagster._core.definitions.data_version import DATA_VERSION_TAG
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value

warnings.filterwarnings("ignore", category=dg.BetaWarning)
pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning")

_START, _END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
_FILES = dg.DynamicPartitionsDefinition(name="file_hash")
_BATCHES = dg.DynamicPartitionsDefinition(name="embedding_batch")


@pytest.fixture
def instance(monkeypatch):
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "1000")
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("file_hash", ["z", "y", "x", "w", "v"])
        yield instance


def _asset(body, *, returns=True, **options):
    def returning(context: dg.AssetExecutionContext) -> None:
        body(context)

    def yielding_nothing(context: dg.AssetExecutionContext):
        body(context)
        yield from ()

    files = returning if returns else yielding_nothing
    return dg.asset(name="files", partitions_def=_FILES, backfill_policy=dg.BackfillPolicy.single_run(), **options)(
        files
    )


def _status(instance):
    """Materialized, failed and running partitions, as the asset's page counts them."""
    value = get_and_update_asset_status_cache_value(instance, AssetKey("files"), _FILES)
    subsets = (
        value.deserialize_materialized_partition_subsets(_FILES),
        value.deserialize_failed_partition_subsets(_FILES),
        value.deserialize_in_progress_partition_subsets(_FILES),
    )
    return tuple(set(subset.get_partition_keys()) for subset in subsets)


def test_a_range_of_keys_in_the_order_of_their_adding_is_one_run(instance):
    seen = []
    asset = _asset(lambda context: seen.append(list(context.partition_keys)))

    result = dg.materialize([asset], instance=instance, tags={_START: "y", _END: "w"})

    assert result.success
    assert seen == [["y", "x", "w"]]
    assert instance.get_runs_count() == 1


def test_an_asset_that_returns_materializes_every_partition_of_its_range(instance):
    dg.materialize([_asset(lambda _: None)], instance=instance, tags={_START: "z", _END: "x"})

    assert _status(instance) == ({"z", "y", "x"}, set(), set())


def test_without_a_required_output_nothing_is_materialized_but_what_is_logged(instance):
    def body(context):
        context.log_event(dg.AssetMaterialization(context.asset_key, partition="y"))

    result = dg.materialize(
        [_asset(body, output_required=False, returns=False)], instance=instance, tags={_START: "z", _END: "x"}
    )

    assert result.success
    assert instance.get_materialized_partitions(AssetKey("files")) == {"y"}


def test_an_asset_that_returns_nothing_has_an_output_even_if_none_is_required(instance):
    dg.materialize([_asset(lambda _: None, output_required=False)], instance=instance, tags={_START: "z", _END: "x"})

    assert instance.get_materialized_partitions(AssetKey("files")) == {"z", "y", "x"}


def test_logged_events_and_a_failure_leave_exactly_the_others_as_failed(instance):
    def body(context):
        for key in ("z", "x"):
            context.log_event(dg.AssetMaterialization(context.asset_key, partition=key))
        raise dg.Failure("y and w failed")

    result = dg.materialize(
        [_asset(body, output_required=False, returns=False)],
        instance=instance,
        tags={_START: "z", _END: "w"},
        raise_on_error=False,
    )

    assert not result.success
    assert _status(instance) == ({"z", "x"}, {"y", "w"}, set())


def test_a_failed_partition_that_is_run_again_is_no_longer_failed_and_its_neighbours_stay(instance):
    def fail(context):
        context.log_event(dg.AssetMaterialization(context.asset_key, partition="z"))
        raise dg.Failure("the others failed")

    def succeed(context):
        for key in context.partition_keys:
            context.log_event(dg.AssetMaterialization(context.asset_key, partition=key))

    options = {"instance": instance, "raise_on_error": False}
    dg.materialize([_asset(fail, output_required=False, returns=False)], tags={_START: "z", _END: "w"}, **options)
    dg.materialize([_asset(succeed, output_required=False, returns=False)], tags={_START: "y", _END: "x"}, **options)

    assert _status(instance) == ({"z", "y", "x"}, {"w"}, set())


def test_a_key_that_is_added_again_moves_to_the_end_and_keeps_its_events(instance):
    dg.materialize([_asset(lambda _: None)], instance=instance, tags={_START: "y", _END: "y"})

    instance.delete_dynamic_partition("file_hash", "y")
    assert "y" not in instance.get_dynamic_partitions("file_hash")
    instance.add_dynamic_partitions("file_hash", ["y", "v"])

    assert list(instance.get_dynamic_partitions("file_hash")) == ["z", "x", "w", "v", "y"]
    assert instance.get_materialized_partitions(AssetKey("files")) == {"y"}
    assert _status(instance)[0] == {"y"}


def test_a_dependency_on_no_particular_partitions_resolves_no_upstream_keys(instance, monkeypatch):
    upstream = _asset(lambda _: None)

    @dg.asset(
        partitions_def=_BATCHES,
        backfill_policy=dg.BackfillPolicy.single_run(),
        deps=[dg.AssetDep(upstream, partition_mapping=dg.SpecificPartitionsPartitionMapping([]))],
    )
    def batches(context: dg.AssetExecutionContext) -> None:
        assert context.partition_keys == ["0", "1"]

    instance.add_dynamic_partitions("embedding_batch", ["0", "1"])
    asked = []
    real = instance.get_dynamic_partitions

    def ask(partitions_def_name):
        asked.append(partitions_def_name)
        return real(partitions_def_name)

    monkeypatch.setattr(instance, "get_dynamic_partitions", ask)

    result = dg.materialize([upstream, batches], selection=[batches], instance=instance, tags={_START: "0", _END: "1"})

    assert result.success
    assert "file_hash" not in asked
    mapping = dg.SpecificPartitionsPartitionMapping([])
    mapped = mapping.get_upstream_mapped_partitions_result_for_partitions(
        _BATCHES.subset_with_partition_keys(["0"]), _BATCHES, _FILES
    )
    assert list(mapped.partitions_subset.get_partition_keys()) == []


@pytest.mark.parametrize("key", ["a...b", "a\nb", "a\tb", "a\0b"])
def test_a_key_that_we_escape_is_one_that_dagster_refuses(key):
    with pytest.raises(dg.DagsterInvalidDefinitionError):
        dg.StaticPartitionsDefinition([key])


def test_the_newest_data_version_of_each_partition_is_found_without_its_event() -> None:
    """`batches_given` relies on it, for materializations and observations."""

    @dg.asset(partitions_def=dg.DynamicPartitionsDefinition(name="batches"), output_required=False)
    def batches(context: dg.AssetExecutionContext) -> Iterator[dg.AssetCheckResult]:
        key = context.asset_key
        for version in ("old", "new"):
            tags = {DATA_VERSION_TAG: version}
            context.log_event(dg.AssetMaterialization(key, partition="1", tags=tags))
            context.log_event(dg.AssetObservation(key, partition="2", tags=tags))
        yield from ()

    with dg.instance_for_test() as instance:
        instance.add_dynamic_partitions("batches", ["1", "2"])
        assert dg.materialize([batches], instance=instance, partition_key="1").success
        for kind, key in (("ASSET_MATERIALIZATION", "1"), ("ASSET_OBSERVATION", "2")):
            found = instance.event_log_storage.get_latest_tags_by_partition(
                dg.AssetKey("batches"), dg.DagsterEventType(kind), [DATA_VERSION_TAG]
            )
            assert found == {key: {DATA_VERSION_TAG: "new"}}


def test_a_pool_gets_a_limit_of_its_own_beside_the_default() -> None:
    with dg.instance_for_test() as instance:
        instance.event_log_storage.set_concurrency_slots("pool", 3)
        assert {limit.name: limit.limit for limit in instance.event_log_storage.get_pool_limits()} == {"pool": 3}
