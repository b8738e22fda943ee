"""A `code-index` command that is to be killed: writes down its work, and kills itself at a step if asked to.

    python -m tests.faults.victim LOG KILL COMMAND [ARGUMENT ...]

COMMAND `daemon-run` stands for what Dagster's daemon does (`tests.faults.daemon_run`). KILL is `none`, or `<step>:<occurrence>:before` or `:after`: the durable step at which the process kills
itself with SIGKILL. LOG gets a line for each durable step, each file that was parsed, and each text that
went through the model; a line is one write, so that no kill can tear it.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from indexing_assets.core.embedding_text import embedded_text_hash

# All that leaves something on the disk: module, class (or none), function.
DURABLE = (
    ("resources.complete_record", None, "write_atomically"),
    ("resources.index_folder", None, "write_atomically"),
    ("resources.record_storage", None, "make_once"),
    ("resources.event_log", None, "make_once"),
    ("resources.event_log", "BatchingSqliteEventLogStorage", "store_event"),
    ("resources.event_log", "BatchingSqliteEventLogStorage", "store_event_batch"),
    ("resources.event_log", "BatchingSqliteEventLogStorage", "add_dynamic_partitions"),
    ("resources.event_log", "BatchingSqliteEventLogStorage", "delete_dynamic_partitions"),
    ("dagster._core.storage.runs.sql_run_storage", "SqlRunStorage", "add_run"),
    ("dagster._core.storage.runs.sql_run_storage", "SqlRunStorage", "handle_run_event"),
    ("dagster._core.storage.runs.sql_run_storage", "SqlRunStorage", "add_run_tags"),
    ("resources.lancedb_store.tables", "Tables", "open_or_create"),
    ("resources.lancedb_store.switching", None, "write_registry"),
    ("resources.lancedb_store.version", None, "replace_version"),
    ("resources.lancedb_store.tables", "Tables", "_add_missing_columns"),
    ("resources.lancedb_store.tables", "Tables", "merge"),
    ("resources.lancedb_store.tables", "Tables", "update_matched"),
    ("resources.lancedb_store.tables", "Tables", "delete"),
    ("resources.lancedb_store.tables", "Tables", "drop"),
    ("resources.lancedb_store.maintenance", "Maintenance", "_build"),
    ("resources.lancedb_store.maintenance", "Maintenance", "optimize"),
    ("resources.lancedb_store.maintenance", "Maintenance", "sweep_leftovers"),
)
# What a migration does besides.
MIGRATION = (
    ("resources.lancedb_store.tables", "Tables", "append"),
    ("indexing_assets.migration", None, "back_up"),
    ("indexing_assets.migration", None, "adopt_settings"),
    ("indexing_assets.migration", None, "switch_over"),
    ("indexing_assets.migration", None, "restore_old_table"),
    ("indexing_assets.migration", None, "_remove"),
)


class _Log:
    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, kind: str, *values: str) -> None:
        os.write(self._descriptor, ("\t".join([kind, *values]) + "\n").encode())


def _deadly(original: Callable[..., Any], name: str, log: _Log, kill: str, taken: Counter[str]) -> Callable[..., Any]:
    def step(*args: Any, **kwargs: Any) -> Any:
        taken[name] += 1
        place = f"{name}:{taken[name]}"
        log.write("step", name)
        if kill == f"{place}:before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*args, **kwargs)
        if kill == f"{place}:after":
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return step


def _watch_work(log: _Log) -> None:
    from resources.embedding.deterministic import DeterministicEmbedder
    from resources.parser_pool import ParserPool

    parse, embed = ParserPool.parse, DeterministicEmbedder.embed_documents_detailed

    def watched_parse(self: Any, tasks: Any) -> Iterator[Any]:
        for group in parse(self, tasks):
            for outcome in group.outcomes:
                log.write("parsed", repr(outcome.file_path), outcome.file_hash)
            yield group

    def watched_embed(self: Any, texts: Any, names: Any, **kwargs: Any) -> Any:
        for text, name in zip(texts, names, strict=True):
            log.write("embedded", embedded_text_hash(text=text, name=name))
        return embed(self, texts, names, **kwargs)

    ParserPool.parse = watched_parse  # type: ignore[method-assign]
    DeterministicEmbedder.embed_documents_detailed = watched_embed  # type: ignore[method-assign]


def main() -> None:
    log = _Log(sys.argv[1])
    taken: Counter[str] = Counter()
    for module, owner, function in (*DURABLE, *(MIGRATION if "migrate" in sys.argv else ())):
        place = importlib.import_module(module)
        if owner is not None:
            place = getattr(place, owner)
        setattr(place, function, _deadly(getattr(place, function), function.lstrip("_"), log, sys.argv[2], taken))
    _watch_work(log)
    if sys.argv[3] == "daemon-run":
        from tests.faults.daemon_run import main as daemon_run

        log.write("ready")
        sys.exit(daemon_run(Path(sys.argv[4])))
    sys.argv = ["code-index", *sys.argv[3:]]
    from indexing_assets.cli.main import main as command_line

    log.write("ready")
    command_line()


if __name__ == "__main__":
    main()
