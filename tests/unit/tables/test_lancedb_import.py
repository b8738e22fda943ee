"""LanceDB is imported without its REST client, and the client is there as soon as somebody uses it."""

import subprocess
import sys
import typing

import pytest

from code_index.tables.lancedb_import import StandIn
from tests.waiting import PATIENCE_S

CLIENT = "lance_namespace_urllib3_client"


def in_a_new_process(code, *arguments):
    """Run code in an interpreter that has imported nothing; its output."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_reading_and_writing_tables_never_imports_the_client(tmp_path):
    code = f"""
import sys
import pyarrow as pa
from code_index.tables.lance_tables import LanceTables
from pathlib import Path
tables = LanceTables(Path(sys.argv[1]))
schema = pa.schema([pa.field("key", pa.string(), nullable=False), pa.field("text", pa.string())])
tables.merge("t", schema, pa.table({{"key": ["a"], "text": ["x"]}}, schema=schema), keys=["key"])
print(tables.read("t", schema).to_pylist())
print([name for name in sys.modules if name.startswith("{CLIENT}")])
"""
    assert in_a_new_process(code, str(tmp_path)).splitlines() == ["[{'key': 'a', 'text': 'x'}]", "[]"]


def test_threads_that_begin_at_once_all_get_the_whole_package():
    code = """
import threading
from code_index.tables.lancedb_import import load_lancedb
begin = threading.Barrier(16)
got = []
def load():
    begin.wait()
    got.append(all(hasattr(load_lancedb(), name) for name in ("connect", "connect_async", "Table")))
threads = [threading.Thread(target=load) for _ in range(16)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(got == [True] * 16)
"""
    assert in_a_new_process(code) == "True"


def test_a_class_of_the_client_that_lancedb_uses_is_the_real_one(tmp_path):
    code = f"""
import sys
from code_index.tables.lancedb_import import load_lancedb
connection = load_lancedb().connect(sys.argv[1])
connection.create_table("t", [{{"a": 1}}])
listed = connection.list_tables()
from {CLIENT}.models import ListTablesResponse
print(type(listed) is ListTablesResponse, listed.tables)
"""
    assert in_a_new_process(code, str(tmp_path)) == "True ['t']"


def test_whoever_imports_the_client_afterwards_gets_all_of_it():
    code = f"""
from code_index.tables.lancedb_import import load_lancedb
load_lancedb()
import lance_namespace
import {CLIENT}
from {CLIENT}.models import ListTablesRequest
from {CLIENT}.api.table_api import TableApi

class Own(lance_namespace.LanceNamespace):
    def namespace_id(self):
        return "own"

class Request(lance_namespace.ListTablesRequest):
    pass

request = lance_namespace.ListTablesRequest(limit=3)
print({CLIENT}.ListTablesRequest is ListTablesRequest, type(request) is ListTablesRequest)
print(isinstance(request, lance_namespace.ListTablesRequest), issubclass(Request, ListTablesRequest))
print(isinstance(1, lance_namespace.ListTablesRequest), lance_namespace.ListTablesRequest.__name__)
print(lance_namespace.ListTablesRequest.model_fields.keys() == ListTablesRequest.model_fields.keys(), Own().namespace_id())
"""
    assert in_a_new_process(code).splitlines() == ["True True", "True True", "False ListTablesRequest", "True own"]


def test_a_client_that_is_loaded_already_stays_as_it_is():
    code = f"""
import {CLIENT} as client
from code_index.tables.lancedb_import import load_lancedb
load_lancedb()
import sys, lance_namespace
print(sys.modules["{CLIENT}"] is client, lance_namespace.ListTablesRequest is client.ListTablesRequest)
"""
    assert in_a_new_process(code) == "True True"


def test_a_stand_in_is_accepted_where_types_are_written():
    there = StandIn("collections", "OrderedDict")
    assert typing.get_args(typing.Optional[there]) == (there, type(None))  # noqa: UP045 - what is tested
    assert typing.get_args(there | None) == typing.get_args(None | there)[::-1] == (there, type(None))
    assert repr(there) == "<collections.OrderedDict, not imported yet>"


def test_a_stand_in_for_what_does_not_exist_says_so_when_it_is_used():
    with pytest.raises(AttributeError, match="NoSuchClass"):
        StandIn("collections", "NoSuchClass")()


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="LanceDB takes the decorator of `typing`")
def test_the_decorator_of_others_checks_again_once_lancedb_is_imported():
    code = """
import overrides
from code_index.tables.lancedb_import import load_lancedb
print(load_lancedb().DBConnection.__subclasses__()[0].table_names.__override__)
class Base:
    pass
try:
    class Wrong(Base):
        @overrides.override
        def nothing_of_that_name(self): ...
except TypeError as error:
    print(error)
"""
    assert in_a_new_process(code).splitlines() == ["True", "Wrong.nothing_of_that_name: No super class method found"]
