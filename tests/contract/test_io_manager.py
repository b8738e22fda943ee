"""What the IO manager promises to any asset, through `dg.materialize` on an ephemeral instance."""

from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from code_index.core.errors import StoreError
from code_index.tables.lance_tables import LanceTables
from code_index.tables.slices import SliceTables
from resources.lancedb_io_manager import LanceDBIOManager

DAYS = dg.StaticPartitionsDefinition(["mon", "tue", "wed's", "thu"])
SHAPES = {
    "arrow": pa.Table,
    "reader": pa.RecordBatchReader,
    "polars": pl.DataFrame,
    "lazy": pl.LazyFrame,
}


def to_shape(table: pa.Table, shape: type) -> Any:
    if shape is pa.RecordBatchReader:
        return pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=2))
    if shape is pl.DataFrame:
        return pl.DataFrame(table)
    if shape is pl.LazyFrame:
        return pl.DataFrame(table).lazy()
    return table


def rows_of(loaded: Any) -> list[dict[str, Any]]:
    if isinstance(loaded, pl.LazyFrame):
        loaded = loaded.collect()
    if isinstance(loaded, pl.DataFrame):
        return loaded.to_dicts()
    if isinstance(loaded, pa.RecordBatchReader):
        loaded = loaded.read_all()
    return loaded.to_pylist()


def sorted_rows(loaded: Any) -> list[dict[str, Any]]:
    return sorted(rows_of(loaded), key=repr)


def day_rows(days: list[str], per_day: int = 2, tag: str = "") -> pa.Table:
    return pa.table(
        {
            "day": [day for day in days for _ in range(per_day)],
            "value": [f"{day}{place}{tag}" for day in days for place in range(per_day)],
        }
    )


@pytest.fixture
def manager(tmp_path):
    return LanceDBIOManager(tables_dir=str(tmp_path / "tables"))


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def stored(manager: LanceDBIOManager, table: str) -> list[dict[str, Any]]:
    slices = SliceTables(LanceTables(Path(manager.tables_dir)))
    schema = slices.schema(table)
    assert schema is not None
    return sorted_rows(pa.Table.from_batches(slices.read(table, schema.names, None), schema))


def materialize(assets, manager, instance, **kwargs):
    return dg.materialize(assets, resources={"io_manager": manager}, instance=instance, **kwargs)


def write_days(manager, instance, days, *, per_day=2, tag="", metadata=None, shape=pa.Table):
    @dg.asset(name="days", partitions_def=DAYS, metadata={"partition_expr": "day", **(metadata or {})})
    def days_asset(context: dg.AssetExecutionContext):
        return to_shape(day_rows(list(context.partition_keys), per_day, tag), shape)

    if len(days) == 1:
        return materialize([days_asset], manager, instance, partition_key=days[0])
    tags = {"dagster/asset_partition_range_start": days[0], "dagster/asset_partition_range_end": days[-1]}
    return materialize([days_asset], manager, instance, tags=tags)


def load_days(manager, instance, *, mapping=None, partition_key=None, partitions_def=None, annotation=pa.Table, **meta):
    seen = []

    @dg.asset(
        name="reader",
        partitions_def=partitions_def,
        ins={"days": dg.AssetIn(key="days", partition_mapping=mapping, metadata=meta)},
    )
    def reader(days: annotation) -> None:
        seen.append({k: sorted_rows(v) for k, v in days.items()} if isinstance(days, dict) else sorted_rows(days))

    upstream = dg.AssetSpec("days", partitions_def=DAYS, metadata={"partition_expr": "day"})
    materialize([upstream.with_io_manager_key("io_manager"), reader], manager, instance, partition_key=partition_key)
    return seen[0]


@pytest.mark.parametrize("out", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("into", SHAPES.values(), ids=SHAPES)
def test_rows_survive_every_pair_of_shapes(manager, instance, out, into):
    rows = pa.table({"a": [1, None, 3], "b": ["x", "é'", None], "c": [[1.5], [], None]})
    seen = []

    @dg.asset
    def numbers():
        return to_shape(rows, out)

    @dg.asset
    def reader(numbers: into) -> None:
        assert isinstance(numbers, into)
        seen.append(sorted_rows(numbers))

    assert materialize([numbers, reader], manager, instance).success
    assert seen == [sorted_rows(rows)]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {
                "number": st.none() | st.integers(-(2**63), 2**63 - 1),
                "real": st.none() | st.floats(allow_nan=False),
                "text": st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
                "flag": st.none() | st.booleans(),
            }
        ),
        max_size=8,
    )
)
def test_any_rows_come_back_as_they_went(tmp_path_factory, rows):
    schema = pa.schema([("number", pa.int64()), ("real", pa.float64()), ("text", pa.string()), ("flag", pa.bool_())])
    manager = LanceDBIOManager(tables_dir=str(tmp_path_factory.mktemp("tables")))
    table = pa.Table.from_pylist(rows, schema=schema)
    seen = []

    @dg.asset
    def anything() -> pa.Table:
        return table

    @dg.asset
    def reader(anything: pa.Table) -> None:
        assert anything.schema == schema
        seen.append(sorted_rows(anything))

    with dg.DagsterInstance.ephemeral() as ephemeral:
        materialize([anything, reader], manager, ephemeral)
    assert seen == [sorted_rows(table)]


@settings(max_examples=15, deadline=None)
@given(writes=st.lists(st.lists(st.sampled_from(range(4)), min_size=1, max_size=2), min_size=1, max_size=4))
def test_any_sequence_of_slices_leaves_the_last_write_of_each_partition(tmp_path_factory, writes):
    manager = LanceDBIOManager(tables_dir=str(tmp_path_factory.mktemp("tables")))
    keys = DAYS.get_partition_keys()
    expected = {}
    with dg.DagsterInstance.ephemeral() as ephemeral:
        for number, ends in enumerate(writes):
            days = keys[min(ends) : max(ends) + 1]
            write_days(manager, ephemeral, days, tag=f"#{number}")
            expected.update(dict.fromkeys(days, f"#{number}"))
    left = {(row["day"], row["value"]) for row in stored(manager, "days")}
    assert left == {(day, f"{day}{place}{tag}") for day, tag in expected.items() for place in range(2)}


def test_a_range_of_partitions_is_replaced_in_one_commit(manager, instance):
    write_days(manager, instance, ["mon", "tue", "wed's", "thu"])
    result = write_days(manager, instance, ["mon", "tue", "wed's"], per_day=1, tag="new")
    versions = [e.materialization.metadata["table_version"].value for e in result.get_asset_materialization_events()]
    metadata = result.get_asset_materialization_events()[0].materialization.metadata
    assert metadata["rows_written"].value == 3
    assert "dagster/partition_row_count" not in metadata  # it is known for single partitions only
    assert len(set(versions)) == 1
    assert versions[0] == LanceTables(Path(manager.tables_dir)).version("days")
    values = {row["value"] for row in stored(manager, "days")}
    assert values == {"mon0new", "thu0", "thu1", "tue0new", "wed's0new"}


def test_an_empty_output_clears_its_partition_alone(manager, instance):
    write_days(manager, instance, ["mon", "tue"])
    write_days(manager, instance, ["mon"], per_day=0)
    assert {row["day"] for row in stored(manager, "days")} == {"tue"}


@pytest.mark.parametrize("annotation", [pa.Table, pl.LazyFrame], ids=["arrow", "lazy"])
def test_a_downstream_partition_loads_only_its_own_rows(manager, instance, annotation):
    write_days(manager, instance, DAYS.get_partition_keys())
    loaded = load_days(manager, instance, partitions_def=DAYS, partition_key="wed's", annotation=annotation)
    assert {row["day"] for row in loaded} == {"wed's"}


def test_an_unpartitioned_reader_loads_all_partitions(manager, instance):
    write_days(manager, instance, DAYS.get_partition_keys())
    assert {row["day"] for row in load_days(manager, instance)} == set(DAYS.get_partition_keys())


def test_a_mapping_selects_the_partitions_that_are_loaded(manager, instance):
    write_days(manager, instance, DAYS.get_partition_keys())
    loaded = load_days(manager, instance, mapping=dg.SpecificPartitionsPartitionMapping(["mon", "thu"]))
    assert {row["day"] for row in loaded} == {"mon", "thu"}


@pytest.mark.parametrize("shape", [pa.Table, pl.DataFrame, pl.LazyFrame], ids=["arrow", "polars", "lazy"])
def test_a_dict_input_gets_the_rows_of_each_partition(manager, instance, shape):
    write_days(manager, instance, DAYS.get_partition_keys())
    loaded = load_days(manager, instance, annotation=dict[str, shape])
    assert list(loaded) == DAYS.get_partition_keys()
    assert all({row["day"] for row in rows} == {day} for day, rows in loaded.items())


def test_a_partition_never_materialized_is_an_error_that_names_it(manager, instance):
    write_days(manager, instance, ["mon", "tue"])
    with pytest.raises(StoreError, match=r"2 of 4 partitions: wed's, thu\. Materialize them"):
        load_days(manager, instance)


def test_allow_missing_partitions_loads_what_is_there(manager, instance):
    write_days(manager, instance, ["mon", "tue"])
    loaded = load_days(manager, instance, allow_missing_partitions=True)
    assert {row["day"] for row in loaded} == {"mon", "tue"}


def test_a_partition_that_was_materialized_empty_is_not_missing(manager, instance):
    write_days(manager, instance, ["mon", "tue", "wed's"])
    write_days(manager, instance, ["thu"], per_day=0)
    assert {row["day"] for row in load_days(manager, instance)} == {"mon", "tue", "wed's"}


def test_loading_before_anything_was_written_says_what_to_materialize(manager, instance):
    with pytest.raises(StoreError, match=r"'days' has no table 'days'.*materialize it first"):
        load_days(manager, instance)


def test_only_the_columns_asked_for_are_loaded(manager, instance):
    write_days(manager, instance, DAYS.get_partition_keys())
    loaded = load_days(manager, instance, columns=["value"])
    assert all(list(row) == ["value"] for row in loaded)


def test_an_unknown_column_is_refused_by_name(manager, instance):
    write_days(manager, instance, DAYS.get_partition_keys())
    with pytest.raises(StoreError, match="no column 'nope'"):
        load_days(manager, instance, columns=["nope"])


def test_rows_outside_the_written_partitions_are_refused_and_nothing_is_written(manager, instance):
    write_days(manager, instance, ["mon", "tue"])
    before = stored(manager, "days")

    @dg.asset(name="days", partitions_def=DAYS, metadata={"partition_expr": "day"})
    def stray():
        return day_rows(["mon", "tue"])

    with pytest.raises(StoreError, match="rows of partitions that are not being written: tue"):
        materialize([stray], manager, instance, partition_key="mon")
    assert stored(manager, "days") == before


def test_the_partition_column_is_filled_in_when_the_rows_lack_it(manager, instance):
    @dg.asset(partitions_def=DAYS, metadata={"partition_expr": "day"})
    def bare():
        return pa.table({"value": [1, 2]})

    materialize([bare], manager, instance, partition_key="wed's")
    assert stored(manager, "bare") == [{"value": 1, "day": "wed's"}, {"value": 2, "day": "wed's"}]


def test_a_partitioned_asset_without_partition_expr_is_refused_with_the_fix(manager, instance):
    @dg.asset(partitions_def=DAYS)
    def bare():
        return pa.table({"value": [1]})

    with pytest.raises(StoreError, match='metadata=\\{"partition_expr": "day"\\}'):
        materialize([bare], manager, instance, partition_key="mon")


def test_multi_partitions_are_kept_apart_by_all_their_dimensions(manager, instance):
    grid = dg.MultiPartitionsDefinition(
        {"day": dg.StaticPartitionsDefinition(["1", "2"]), "place": dg.StaticPartitionsDefinition(["a", "b"])}
    )

    @dg.asset(partitions_def=grid, metadata={"partition_expr": {"day": "d", "place": "p"}})
    def cells(context: dg.AssetExecutionContext):
        return pa.table({"run": [context.run.run_id]})

    for key in grid.get_partition_keys():
        materialize([cells], manager, instance, partition_key=key)
    run = materialize([cells], manager, instance, partition_key=dg.MultiPartitionKey({"day": "2", "place": "a"}))
    rows = stored(manager, "cells")
    assert {(row["d"], row["p"]) for row in rows} == {("1", "a"), ("1", "b"), ("2", "a"), ("2", "b")}
    assert [(row["d"], row["p"]) for row in rows if row["run"] == run.run_id] == [("2", "a")]


def test_upsert_updates_rows_by_key_and_keeps_the_others(manager, instance):
    contents = [{"id": ["a", "b"], "n": [1, 2]}, {"id": ["b", "c"], "n": [3, 4]}]

    @dg.asset(metadata={"mode": "upsert", "key": "id"})
    def items():
        return pa.table(contents.pop(0))

    materialize([items], manager, instance)
    materialize([items], manager, instance)
    assert stored(manager, "items") == [{"id": "a", "n": 1}, {"id": "b", "n": 3}, {"id": "c", "n": 4}]


def test_upsert_without_a_key_is_refused(manager, instance):
    @dg.asset(metadata={"mode": "upsert"})
    def items():
        return pa.table({"id": ["a"]})

    with pytest.raises(StoreError, match="needs the metadata 'key'"):
        materialize([items], manager, instance)


def test_a_key_twice_in_the_rows_is_refused_by_name(manager, instance):
    @dg.asset(metadata={"key": "id"})
    def items():
        return pa.table({"id": ["a", "b", "a"]})

    with pytest.raises(StoreError, match="1 keys more than once: a"):
        materialize([items], manager, instance)


def test_append_adds_to_what_is_there(manager, instance):
    @dg.asset(metadata={"mode": "append"})
    def log():
        return pa.table({"line": ["x"]})

    materialize([log], manager, instance)
    materialize([log], manager, instance)
    assert stored(manager, "log") == [{"line": "x"}, {"line": "x"}]


def test_overwriting_a_whole_table_takes_the_new_columns(manager, instance):
    contents = [{"old": [1]}, {"new": ["x"]}]

    @dg.asset
    def changing():
        return pa.table(contents.pop(0))

    materialize([changing], manager, instance)
    materialize([changing], manager, instance)
    assert stored(manager, "changing") == [{"new": "x"}]


def test_a_slice_with_a_new_column_leaves_nulls_in_the_others(manager, instance):
    @dg.asset(name="days", partitions_def=DAYS, metadata={"partition_expr": "day"})
    def wider():
        return pa.table({"day": ["tue"], "value": ["v"], "extra": [7]})

    write_days(manager, instance, ["mon"], per_day=1)
    materialize([wider], manager, instance, partition_key="tue")
    assert stored(manager, "days") == [
        {"day": "mon", "value": "mon0", "extra": None},
        {"day": "tue", "value": "v", "extra": 7},
    ]


def test_an_unknown_mode_is_refused_with_the_choices(manager, instance):
    @dg.asset(metadata={"mode": "replace"})
    def items():
        return pa.table({"id": ["a"]})

    with pytest.raises(StoreError, match="use one of overwrite, append, upsert"):
        materialize([items], manager, instance)


def test_an_object_of_another_shape_is_refused_by_its_type(manager, instance):
    @dg.asset
    def items():
        return [1, 2]

    with pytest.raises(StoreError, match="list cannot be stored as a table"):
        materialize([items], manager, instance)


def test_none_is_refused_unless_the_asset_says_that_it_stores_nothing(manager, instance):
    @dg.asset
    def items():
        return None

    with pytest.raises(StoreError, match="returned None"):
        materialize([items], manager, instance)


def test_an_input_of_another_shape_is_refused_with_the_choices(manager, instance):
    @dg.asset
    def items() -> pa.Table:
        return pa.table({"id": ["a"]})

    @dg.asset
    def reader(items: set) -> None: ...

    with pytest.raises(StoreError, match="annotate the input with one of Table, RecordBatchReader"):
        materialize([items, reader], manager, instance)


def test_the_output_metadata_describe_the_table(manager, instance):
    write_days(manager, instance, ["mon", "tue"])
    result = write_days(manager, instance, ["tue"], per_day=3)
    (event,) = result.get_asset_materialization_events()
    metadata = event.materialization.metadata
    assert metadata["dagster/table_name"].value == "days"
    assert metadata["dagster/row_count"].value == 5
    assert metadata["dagster/partition_row_count"].value == 3
    assert metadata["dagster/uri"].value.startswith("file:///")
    assert metadata["dagster/uri"].value.endswith("/days.lance")
    assert [(c.name, c.type) for c in metadata["dagster/column_schema"].schema.columns] == [
        ("day", "string"),
        ("value", "string"),
    ]
    assert metadata["rows_written"].value == 3
    assert metadata["size_bytes"].value > 0
    assert metadata["table_version"].value == LanceTables(Path(manager.tables_dir)).version("days")


def test_table_metadata_names_the_table_and_prefixes_are_part_of_it_otherwise(manager, instance):
    @dg.asset(key_prefix=["team", "raw"])
    def items():
        return pa.table({"id": ["a"]})

    @dg.asset(metadata={"table": "chosen"})
    def named():
        return pa.table({"id": ["b"]})

    materialize([items, named], manager, instance)
    assert stored(manager, "team__raw__items") == [{"id": "a"}]
    assert stored(manager, "chosen") == [{"id": "b"}]


def test_outputs_of_ops_are_stored_under_their_name(manager):
    seen = []

    @dg.op(out=dg.Out(metadata={"table": "op_rows"}))
    def produce() -> pa.Table:
        return pa.table({"id": ["a"]})

    @dg.op
    def consume(rows: pa.Table) -> None:
        seen.append(rows.to_pylist())

    @dg.job(resource_defs={"io_manager": manager})
    def chain():
        consume(produce())

    assert chain.execute_in_process().success
    assert seen == [[{"id": "a"}]]


def test_streams_leave_no_staged_files(manager, instance):
    @dg.asset
    def numbers():
        return to_shape(pa.table({"a": [1]}), pa.RecordBatchReader)

    materialize([numbers], manager, instance)
    assert not list(Path(manager.tables_dir).glob(".staged*"))


def test_a_lazy_input_reads_only_the_columns_and_rows_it_uses(manager, instance):
    @dg.asset
    def wide() -> pa.Table:
        return pa.table({"a": list(range(100)), "b": ["x"] * 100})

    seen = []

    @dg.asset
    def reader(wide: pl.LazyFrame) -> None:
        seen.append(wide.filter(pl.col("a") > 50).select("b").head(3).collect().to_dicts())

    materialize([wide, reader], manager, instance)
    assert seen == [[{"b": "x"}] * 3]


def test_allow_missing_partitions_covers_a_table_that_was_never_written(manager, instance):
    assert load_days(manager, instance, allow_missing_partitions=True) == []


def test_a_dict_input_of_an_asset_without_partitions_is_refused(manager, instance):
    @dg.asset
    def items() -> pa.Table:
        return pa.table({"id": ["a"]})

    @dg.asset
    def reader(items: dict[str, pa.Table]) -> None: ...

    with pytest.raises(StoreError, match="has no partitions: annotate the input without dict"):
        materialize([items, reader], manager, instance)


def test_a_dict_input_without_item_type_gets_arrow_tables(manager, instance):
    write_days(manager, instance, DAYS.get_partition_keys())
    assert set(load_days(manager, instance, annotation=dict)) == set(DAYS.get_partition_keys())


def test_an_input_without_annotation_is_an_arrow_table(manager, instance):
    seen = []

    @dg.asset
    def items():
        return pa.table({"id": ["a"]})

    @dg.asset
    def reader(items) -> None:
        seen.append(type(items))

    materialize([items, reader], manager, instance)
    assert seen == [pa.Table]


def test_rows_for_several_partitions_need_the_column_that_tells_them_apart(manager, instance):
    @dg.asset(partitions_def=DAYS, metadata={"partition_expr": "day"})
    def bare():
        return pa.table({"value": [1]})

    tags = {"dagster/asset_partition_range_start": "mon", "dagster/asset_partition_range_end": "tue"}
    with pytest.raises(StoreError, match="rows for 2 partitions need the column 'day'"):
        materialize([bare], manager, instance, tags=tags)


def test_a_partition_column_of_another_type_is_refused(manager, instance):
    @dg.asset(partitions_def=DAYS, metadata={"partition_expr": "day"})
    def numbered():
        return pa.table({"day": [1]})

    with pytest.raises(StoreError, match="'day' must hold the keys as strings, not int64"):
        materialize([numbered], manager, instance, partition_key="mon")


def test_multi_partitions_need_a_column_for_each_dimension(manager, instance):
    grid = dg.MultiPartitionsDefinition(
        {"day": dg.StaticPartitionsDefinition(["1"]), "place": dg.StaticPartitionsDefinition(["a"])}
    )

    @dg.asset(partitions_def=grid, metadata={"partition_expr": {"day": "d"}})
    def cells():
        return pa.table({"n": [1]})

    with pytest.raises(StoreError, match=r"must map each of the dimensions \['day', 'place'\]"):
        materialize([cells], manager, instance, partition_key=dg.MultiPartitionKey({"day": "1", "place": "a"}))


def test_a_key_that_the_rows_lack_is_refused_by_name(manager, instance):
    @dg.asset(metadata={"key": ["id", "place"]})
    def items():
        return pa.table({"id": ["a"]})

    with pytest.raises(StoreError, match="lack the key column 'place'"):
        materialize([items], manager, instance)


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [({}, {"key": "value"}, "written without the key"), ({"key": "value"}, {}, "written with a key")],
)
def test_a_table_keeps_or_lacks_its_key_for_good(manager, instance, first, second, reason):
    write_days(manager, instance, ["mon"], metadata=first)
    with pytest.raises(StoreError, match=reason):
        write_days(manager, instance, ["tue"], metadata=second)


@pytest.mark.parametrize("shape", [pa.Table, pl.LazyFrame], ids=["arrow", "lazy"])
def test_dictionaries_and_views_are_stored_as_their_values(manager, instance, shape):
    table = pa.table(
        {
            "category": pa.array(["x", "y", "x"]).dictionary_encode(),
            "view": pa.array(["a", None, "c"], pa.string_view()),
            "bytes": pa.array([b"1", b"2", None], pa.binary_view()),
        }
    )

    @dg.asset
    def items():
        return to_shape(table, shape)

    materialize([items], manager, instance)
    assert stored(manager, "items") == sorted_rows(table)
