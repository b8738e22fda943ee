"""Events that are written as work becomes durable, with a real Dagster instance on the fast event log."""

import shutil
import warnings

import dagster as dg
import pytest
from dagster import AssetKey, AssetRecordsFilter

from indexing_assets.runs.materializations import log_materializations, markdown_table

warnings.filterwarnings("ignore", category=dg.BetaWarning)

_KEYS = ["a", "b", "c", "d"]
_PARTITIONS = dg.DynamicPartitionsDefinition(name="letters")
_RANGE = {"dagster/asset_partition_range_start": "a", "dagster/asset_partition_range_end": "d"}


@pytest.fixture
def instance(fresh_dagster_home, tmp_path, monkeypatch):
    shutil.copytree(fresh_dagster_home, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "1000")
    with dg.DagsterInstance.get() as instance:
        instance.add_dynamic_partitions("letters", _KEYS)
        yield instance


@pytest.fixture
def batches(instance, monkeypatch):
    """Sizes of the batches that reach the storage."""
    sizes = []
    store = instance.event_log_storage.store_event_batch

    def count(events):
        sizes.append(len(events))
        store(events)

    monkeypatch.setattr(instance.event_log_storage, "store_event_batch", count)
    return sizes


def _materialize(instance, body, **options):
    def letters(context: dg.AssetExecutionContext):
        body(context)
        yield from ()  # a plain return would materialize every partition of the range

    asset = dg.asset(partitions_def=_PARTITIONS, backfill_policy=dg.BackfillPolicy.single_run(), output_required=False)(
        letters
    )
    return dg.materialize([asset], instance=instance, tags=_RANGE, **options)


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
class TestLogMaterializations:
    def test_each_partition_has_an_event_with_metadata_code_and_data_version(self, instance):
        versions = {"a": "va", "b": "vb", "unused": "x"}

        result = _materialize(
            instance,
            lambda context: log_materializations(
                context, {"a": {"chunks": 1}, "b": {"chunks": 2}}, code_version="7", data_versions=versions
            ),
        )

        assert result.success
        events = {
            record.asset_materialization.partition: record.asset_materialization
            for record in instance.fetch_materializations(AssetKey("letters"), limit=10).records
        }
        assert {key: event.metadata["chunks"].value for key, event in events.items()} == {"a": 1, "b": 2}
        for key, event in events.items():
            assert event.tags["dagster/code_version"] == "7"
            assert event.tags["dagster/data_version"] == f"v{key}"
        assert instance.get_materialized_partitions(AssetKey("letters")) == {"a", "b"}

    def test_a_data_version_of_one_partition_can_be_asked_for(self, instance):
        _materialize(
            instance,
            lambda context: log_materializations(context, {"a": {}}, code_version="1", data_versions={"a": "hash"}),
        )

        records = instance.fetch_materializations(
            AssetRecordsFilter(asset_key=AssetKey("letters"), asset_partitions=["a"]), limit=1
        ).records
        assert records[0].asset_materialization.tags["dagster/data_version"] == "hash"

    def test_without_data_versions_there_is_none_in_the_event(self, instance):
        _materialize(instance, lambda context: log_materializations(context, {"a": {}}, code_version="1"))

        (record,) = instance.fetch_materializations(AssetKey("letters"), limit=10).records
        assert "dagster/data_version" not in record.asset_materialization.tags
        assert record.asset_materialization.tags["dagster/code_version"] == "1"

    def test_a_partition_without_a_data_version_is_an_error_before_the_next_ones(self, instance):
        result = _materialize(
            instance,
            lambda context: log_materializations(context, {"a": {}}, code_version="1", data_versions={}),
            raise_on_error=False,
        )

        assert not result.success
        assert instance.get_materialized_partitions(AssetKey("letters")) == set()

    def test_the_events_reach_the_storage_in_one_batch(self, instance, batches):
        before = []

        def body(context):
            before.append(len(batches))
            log_materializations(context, {key: {} for key in _KEYS}, code_version="1")
            assert batches[before[0] :] == [4]

        assert _materialize(instance, body).success

    def test_a_batch_above_the_limit_comes_in_pieces(self, instance, batches, monkeypatch):
        monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "3")
        before = []

        def body(context):
            before.append(len(batches))
            log_materializations(context, {key: {} for key in _KEYS}, code_version="1")
            assert batches[before[0] :] == [3, 1]
            assert instance.get_materialized_partitions(AssetKey("letters")) == set(_KEYS)

        assert _materialize(instance, body).success

    def test_the_events_are_durable_when_the_call_returns(self, instance):
        def body(context):
            log_materializations(context, {"a": {}, "b": {}}, code_version="1")
            assert instance.get_materialized_partitions(AssetKey("letters")) == {"a", "b"}

        assert _materialize(instance, body).success

    def test_no_partitions_write_no_event(self, instance, batches):
        def body(context):
            before = len(batches)
            log_materializations(context, {}, code_version="1")
            assert len(batches) == before

        assert _materialize(instance, body).success
        assert instance.get_materialized_partitions(AssetKey("letters")) == set()


def test_a_table_has_the_columns_of_its_first_row():
    table = markdown_table([{"file": "a.py", "n": 1}, {"file": "b.py", "n": None}])

    assert table.value == "| file | n |\n| --- | --- |\n| `a.py` | 1 |\n| `b.py` |  |"


def test_a_cell_can_neither_break_its_row_nor_be_long():
    (line,) = markdown_table([{"text": "a|b\nc" + "x" * 200}]).value.splitlines()[2:]

    assert line.startswith("| `a¦b cxxx")
    assert len(line) == 80 + 6


def test_no_rows_say_so():
    assert markdown_table([]).value == "(no rows)"
