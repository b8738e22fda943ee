"""Requests to the store that an index costs there, by phase and by kind, and what they cost at a price list.

    python -m benchmarks.machines.requests [--files 2000]

Generated files are indexed with their tables at SeaweedFS, behind a proxy that counts; then one file is edited, nothing is
changed, and 20 searches are made. Dagster's jobs run in this process, on SQLite; the locks are in PostgreSQL. The model is the
deterministic one, since a request is the same for each. Prices are those of S3 Standard in us-east-1 in November 2026, in
dollars for a thousand requests: 0.005 for PUT, POST, COPY and LIST, 0.0004 for GET and HEAD, none for DELETE.
"""

from __future__ import annotations

import argparse
import http.client
import os
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import dagster as dg

from benchmarks.machines.network import Network
from benchmarks.report import machine, table, write
from code_index import Index
from code_index.core.errors import IndexMissingError
from code_index.index.deployment import DEPLOYMENT_VARIABLE
from code_index.index.folder import dagster_environment, write_instance_config
from code_index.index.server_locks import POSTGRES_VARIABLE
from indexing_assets.automation.changes_look import ChangesLook, WatchTimes
from indexing_assets.automation.pending_look import PendingLook
from indexing_assets.automation.sensor_cursor import SensorCursor
from indexing_assets.definitions import build_defs
from indexing_assets.runs.index_names import IndexNames
from indexing_assets.runs.partitions import range_tags
from resources.embedder_resource import EmbedderResource
from resources.index_resource import IndexResource
from resources.instance_config import instance_config

_SEED = 0
_FUNCTIONS = 10
_WRITES, _READS = 0.005 / 1_000, 0.0004 / 1_000
_SEARCHES = 20


@contextmanager
def counting(url: str, counts: Counter[str]) -> Iterator[str]:
    """The URL of a proxy to the store at `url`, which counts requests by method; listings are counted as LIST."""
    behind = urlsplit(url).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline()
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            lists = self.command == "GET" and "list-type" in parse_qs(urlsplit(self.path).query)
            counts["LIST" if lists else self.command] += 1
            server = http.client.HTTPConnection(behind)
            server.request(self.command, self.path, body, dict(self.headers))
            answer = server.getresponse()
            content = answer.read()
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in {"content-length", "transfer-encoding", "connection"}:
                    self.send_header(name, value)
            length = answer.getheader("Content-Length") if self.command == "HEAD" else len(content)
            self.send_header("Content-Length", str(length or 0))
            self.end_headers()
            self.wfile.write(content)
            server.close()

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{proxy.server_port}"
        proxy.shutdown()


def _write_files(root: Path, files: int) -> int:
    for number in range(files):
        text = "\n\n".join(
            f'def step_{number}_{place}(value):\n    """Step {place} of file {number}."""\n    return value + {place}\n'
            for place in range(_FUNCTIONS)
        )
        path = root / f"part_{number % 50}" / f"module_{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return files * _FUNCTIONS


def _dollars(counts: Counter[str]) -> float:
    reads = counts["GET"] + counts["HEAD"]
    return reads * _READS + (counts.total() - reads - counts["DELETE"]) * _WRITES


def _tick(instance: dg.DagsterInstance, counts: Counter[str]) -> Counter[str]:
    """Requests of a tick of both sensors, after one that found nothing to do."""
    names, resource = IndexNames("it"), IndexResource()
    looks = [
        ChangesLook(instance, resource, names, WatchTimes(watch_s=0.0)),
        PendingLook(instance, resource, EmbedderResource(), names),
    ]
    cursors = [look.take(SensorCursor()).cursor for look in looks]
    counts.clear()
    for look, cursor in zip(looks, cursors, strict=True):
        look.take(cursor)
    return Counter(counts)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=2_000)
    options = parser.parse_args()
    before = machine()
    counts: Counter[str] = Counter()
    steps: dict[str, Counter[str]] = {}
    commits: dict[str, int] = {}
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        network = opened.enter_context(Network(0))
        postgres = opened.enter_context(network.postgres())
        store = opened.enter_context(network.store())
        chunks = _write_files(folder / "repository", options.files)
        address = "s3://team/index"
        deployment = folder / "deployment.toml"
        deployment.write_text(f'[indexes.it]\nrepository = "{folder / "repository"}"\ntables = "{address}"\n', "utf-8")
        os.environ |= {
            **store.environment,
            "AWS_ENDPOINT_URL": opened.enter_context(counting(store.environment["AWS_ENDPOINT_URL"], counts)),
            POSTGRES_VARIABLE: postgres.url,
            DEPLOYMENT_VARIABLE: str(deployment),
            "CODE_INDEX_MODEL": "deterministic",
            "CODE_INDEX_LIBRARY_BYTES": "0",
            "CODE_INDEX_CACHE_DIR": str(folder / "cache"),
            **dagster_environment(folder),
        }
        write_instance_config(folder, instance_config())
        definitions = build_defs()
        instance = opened.enter_context(dg.DagsterInstance.get())

        def step(name: str, job: str, keys: str = "") -> None:
            versions = _versions(address)
            counts.clear()
            tags = range_tags(instance.get_dynamic_partitions(keys)) if keys else {}
            assert definitions.resolve_job_def(job).execute_in_process(instance=instance, tags=tags).success
            steps[name] = Counter(counts)
            commits[name] = _versions(address) - versions

        step("first scan", "it_scan_source_files_job")
        step("parse all", "it_parse_chunks_job", "it_file_hash")
        step("embed all", "it_embed_chunks_job", "it_embedding_batch")
        step("search indexes, clean-up", "it_clean_index_job")
        step("scan, nothing changed", "it_scan_source_files_job")
        edited = folder / "repository/part_1/module_1.py"
        edited.write_text(edited.read_text("utf-8") + "\n\ndef striped():\n    return 1\n", encoding="utf-8")
        step("scan, one file edited", "it_scan_source_files_job")
        step("parse one file", "it_parse_chunks_job", "it_file_hash")
        step("embed one batch", "it_embed_chunks_job", "it_embedding_batch")
        steps["a tick of both sensors, nothing new"] = _tick(instance, counts)
        index = Index.open(address)
        index.search("striped")
        counts.clear()
        for number in range(_SEARCHES):
            index.search(f"step {number}")
        steps[f"{_SEARCHES} searches, warm"] = Counter(counts)
    kinds = ["GET", "HEAD", "LIST", "PUT", "POST", "DELETE"]
    rows = [
        [name, commits.get(name, 0), *(found[kind] for kind in kinds), f"{_dollars(found):.4f}"]
        for name, found in steps.items()
    ]
    figures: dict[str, Any] = {
        "chunks": chunks,
        "commits": commits,
        **{name: dict(found) for name, found in steps.items()},
    }
    write(
        "requests",
        seed=_SEED,
        machine_before=before,
        figures=figures,
        markdown=table([f"{options.files:,} files, {chunks:,} chunks", "commits", *kinds, "dollars"], rows),
        module="machines.requests",
    )


def _versions(address: str) -> int:
    """Commits of all tables so far."""
    try:
        return sum(Index.open(address).store.upkeep.versions().values())
    except IndexMissingError:
        return 0


if __name__ == "__main__":
    main()
