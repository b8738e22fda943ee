"""Dagster's web server behind the guard: which requests act, and that the guard knows them all."""

import json
from collections.abc import Iterator
from types import SimpleNamespace

import dagster as dg
import pytest
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster_webserver.app import create_app_from_workspace_process_context
from starlette.routing import Route
from starlette.testclient import TestClient

from code_index.serving import guard
from indexing_assets.operations.web_interface import _ENDPOINTS, Opening, guarded, only_reads

_MUTATION = 'mutation { setConcurrencyLimit(concurrencyKey: "by_a_guarded_request", limit: 3) }'
_JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def served() -> Iterator[SimpleNamespace]:
    with (
        dg.DagsterInstance.local_temp() as instance,
        WorkspaceProcessContext(instance, EmptyWorkspaceTarget(), version=dg.__version__) as context,
    ):
        app = create_app_from_workspace_process_context(context)
        yield SimpleNamespace(instance=instance, app=app)


@pytest.fixture
def client(served: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """A program of the same user."""
    monkeypatch.setattr(guard, "is_of_this_user", lambda client, server: True)
    opening = Opening(sockets=[], folder="", hosts=["testserver"], token="a token", cookie="cookie")
    return TestClient(guarded(served.app, opening), follow_redirects=False)


def _limits(served: SimpleNamespace) -> set[str]:
    return set(served.instance.event_log_storage.get_concurrency_keys())


@pytest.fixture(autouse=True)
def nothing_is_set(served: SimpleNamespace) -> None:
    served.instance.event_log_storage.delete_concurrency_limit("by_a_guarded_request")


def test_a_mutation_passes_as_json_by_post_only(served: SimpleNamespace, client: TestClient) -> None:
    refused = [
        client.get("/graphql", params={"query": _MUTATION}),
        client.get("/graphql/", params={"query": _MUTATION}),
        client.get("/%67raphql", params={"query": _MUTATION}),
        client.get("/graphql", params=[("query", "{version}"), ("query", _MUTATION)]),
        client.get("/graphql", params=[("query", _MUTATION), ("query", "{version}")]),
        client.get(
            "/graphql",
            params={"query": f"query A {{version}} {_MUTATION.replace('{', 'B {', 1)}", "operationName": "B"},
        ),
        client.get("/graphql", params={"query": "# query\nfragment F on Query {version} " + _MUTATION}),
        client.get("/graphql", params={"query": "subscription { capturedLogs(logKey: []) { stdout } }"}),
        client.post("/graphql", params={"query": _MUTATION}),
        client.post("/graphql", data={"query": _MUTATION}),
        client.post("/graphql", content=_MUTATION, headers={"content-type": "application/graphql"}),
        client.post("/graphql", content=json.dumps({"query": _MUTATION}), headers={"content-type": "text/plain"}),
        client.post("/graphql", params={"query": _MUTATION}, headers={"content-type": "text/plain; application/json"}),
        client.head("/graphql", params={"query": _MUTATION}),
        client.put("/graphql", params={"query": _MUTATION}),
    ]
    assert {answer.status_code for answer in refused} <= {405, 415}
    assert _limits(served) == set()
    assert client.post("/graphql", json={"query": _MUTATION}).status_code == 200
    assert _limits(served) == {"by_a_guarded_request"}


def test_dagster_itself_carries_out_what_the_guard_refuses(served: SimpleNamespace) -> None:
    TestClient(served.app).get("/graphql", params={"query": _MUTATION})
    assert _limits(served) == {"by_a_guarded_request"}, "else the guard's rule for GET is no longer needed"


def test_a_query_by_get_is_answered(client: TestClient) -> None:
    answer = client.get("/graphql", params={"query": "query A {version} query B {version}", "operationName": "B"})
    assert answer.json() == {"data": {"version": dg.__version__}}
    assert client.get("/graphql", params={"query": "{"}).status_code == 400
    assert client.get("/server_info").json()["dagster_version"] == dg.__version__


@pytest.mark.parametrize("document", ["query {version}", "{version}", "fragment F on Query {version} {...F}", "", "{"])
def test_a_document_of_queries_only_reads(document: str) -> None:
    assert only_reads("/graphql", [("query", document)])


def test_every_route_of_dagster_that_acts_is_an_endpoint(served: SimpleNamespace) -> None:
    # Mounts are folders of static files; the only websocket is GraphQL's.
    methods = {route.path: set(route.methods) for route in served.app.routes if isinstance(route, Route)}
    acting = {path for path, taken in methods.items() if taken - {"GET", "HEAD"}}
    assert acting == {
        "/graphql",
        "/report_asset_materialization/{asset_key:path}",
        "/report_asset_check/{asset_key:path}",
        "/report_asset_observation/{asset_key:path}",
    }
    assert all(path.startswith(_ENDPOINTS) for path in acting)
    static = {path for path in methods if "." in path}
    assert set(methods) - acting - static == {
        "/server_info",
        "/dagit_info",
        "/logs/{path:path}",
        "/notebook",
        "/dagit/notebook",
        "/download_debug/{run_id:str}",
        "/{path:path}",
        "/",
    }, "a new route: does it act, or give a file?"


def test_a_report_of_an_event_is_json_too(served: SimpleNamespace, client: TestClient) -> None:
    assert client.post("/report_asset_materialization/of_a_form", data={"a": "b"}).status_code == 415
    assert client.post("/report_asset_materialization/of_a_form").status_code == 415
    assert served.instance.fetch_materializations(dg.AssetKey("of_a_form"), limit=1).records == []
