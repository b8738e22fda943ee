import pyarrow as pa

from code_index.core.model import Chunk, ChunkType, Parameter, TypeAnnotation
from code_index.parsing.chunk_rows import chunks_to_batch
from code_index.tables.schemas import CHUNKS, PARSED_CHUNKS

_PLAIN = Chunk(
    chunk_id="0" * 32,
    file_path="src/a.py",
    file_hash="f" * 64,
    start_line=1,
    end_line=2,
    content="x = 1\n",
    language="python",
    chunk_type=ChunkType.MODULE,
)
_FULL = _PLAIN._replace(
    chunk_id="1" * 32,
    chunk_type=ChunkType.METHOD,
    qualified_name="Store.getUserName",
    function_name="getUserName",
    class_name="Store",
    docstring="Doc.",
    imports=("os", "sys"),
    parent_chunk_id="2" * 32,
    child_chunk_ids=("3" * 32, "4" * 32),
    chunk_depth=1,
    complexity_score=1.5,
    cyclomatic_complexity=2,
    cognitive_complexity=3,
    max_nesting_depth=4,
    parameter_count=2,
    lines_of_code=2,
    decorators=("@cached",),
    parameters=(Parameter("self"), Parameter("n", "int", "1")),
    return_type="str",
    type_annotations=(TypeAnnotation("n", "int"), TypeAnnotation("return", "str")),
    subproject_name="core",
    subproject_path="src",
)
_DERIVED = {"search_text", "parameters", "type_annotations"}


def test_the_rows_have_every_column_of_the_table_but_those_that_the_store_adds():
    missing = [field.name for field in CHUNKS if field.name not in PARSED_CHUNKS.names]

    assert missing == ["embedding_batch_id", "created_at", "updated_at"]
    assert [field for field in CHUNKS if field.name not in missing] == list(PARSED_CHUNKS)


def test_every_field_of_a_chunk_has_a_column():
    assert set(Chunk._fields) | {"search_text"} == set(PARSED_CHUNKS.names)


def test_chunks_become_rows_in_their_order_with_their_values():
    batch = chunks_to_batch([_FULL, _PLAIN, _FULL])

    assert batch.schema == PARSED_CHUNKS
    assert batch["chunk_id"].to_pylist() == ["1" * 32, "0" * 32, "1" * 32]
    for row, chunk in zip(batch.to_pylist(), (_FULL, _PLAIN, _FULL), strict=True):
        for name in set(PARSED_CHUNKS.names) - _DERIVED:
            value = getattr(chunk, name)
            assert row[name] == (list(value) if isinstance(value, tuple) else value), name


def test_parameters_and_annotations_become_records():
    row = chunks_to_batch([_FULL]).to_pylist()[0]

    assert row["parameters"] == [
        {"name": "self", "type": None, "default": None},
        {"name": "n", "type": "int", "default": "1"},
    ]
    assert row["type_annotations"] == [{"name": "n", "type": "int"}, {"name": "return", "type": "str"}]


def test_the_search_text_finds_parts_of_identifiers():
    text = chunks_to_batch([_FULL]).to_pylist()[0]["search_text"].lower().split()

    assert {"user", "name", "store", "src"} <= set(text)


def test_no_chunks_become_an_empty_batch_of_the_same_schema():
    batch = chunks_to_batch([])

    assert batch.num_rows == 0
    assert batch.schema == PARSED_CHUNKS


def test_rows_survive_the_way_between_processes():
    batch = chunks_to_batch([_FULL, _PLAIN])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)

    assert pa.ipc.open_stream(sink.getvalue()).read_all().to_batches() == [batch]
