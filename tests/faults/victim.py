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

from code_index.core.embedding_text import EmbeddingInput, TextRecipe

# All that leaves something on the disk: module, class (or none), function.
DURABLE = (
    ("code_index.index.unchanged_marker", None, "write_atomically"),
    ("code_index.index.folder", None, "write_atomically"),
    ("code_index.index.records", None, "write_atomically"),
    ("resources.record_storage", None, "create_once"),
    ("resources.event_log", None, "create_once"),
    ("resources.event_log", "BatchingSqliteEventLogStorage", "store_event"),
    ("resources.event_log", "BatchingSqliteEventLogStorage", "store_event_batch"),
    ("resources.event_log", "BatchingSqliteEventLogStorage", "add_dynamic_partitions"),
    ("resources.event_log", "BatchingSqliteEventLogStorage", "delete_dynamic_partitions"),
    ("dagster._core.storage.runs.sql_run_storage", "SqlRunStorage", "add_run"),
    ("dagster._core.storage.runs.sql_run_storage", "SqlRunStorage", "handle_run_event"),
    ("dagster._core.storage.runs.sql_run_storage", "SqlRunStorage", "add_run_tags"),
    ("code_index.tables.lance_tables", "LanceTables", "open_or_create"),
    ("code_index.tables.model_switching", None, "write_registry"),
    ("code_index.tables.schema_version", None, "replace_version"),
    ("code_index.tables.lance_tables", "LanceTables", "_add_missing_columns"),
    ("code_index.tables.lance_tables", "LanceTables", "merge"),
    ("code_index.tables.lance_tables", "LanceTables", "append"),
    ("code_index.tables.lance_tables", "LanceTables", "update_matched"),
    ("code_index.tables.lance_tables", "LanceTables", "delete"),
    ("code_index.tables.lance_tables", "LanceTables", "drop"),
    ("code_index.tables.table_upkeep", "TableUpkeep", "_build"),
    ("code_index.tables.table_upkeep", "TableUpkeep", "optimize"),
    ("code_index.tables.table_upkeep", "TableUpkeep", "sweep_leftovers"),
)
# What a migration does besides.
MIGRATION = (
    ("indexing_assets.operations.migration.steps", None, "back_up"),
    ("indexing_assets.operations.migration.steps", None, "adopt_settings"),
    ("indexing_assets.operations.migration.steps", None, "switch_over"),
    ("indexing_assets.operations.migration.rollback", None, "restore_old_table"),
    ("indexing_assets.operations.migration.steps", None, "remove"),
    ("indexing_assets.operations.migration.rollback", None, "remove"),
)
# What publishing does besides.
PUBLISHING = (("code_index.sharing.places", "Place", "write"),)
_BESIDES = {"migrate": MIGRATION, "publish": PUBLISHING}


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
    from code_index.embedding.deterministic import DeterministicEmbedder
    from code_index.parsing.parser_pool import ParserPool

    parse, embed = ParserPool.parse, DeterministicEmbedder.embed_documents_detailed

    def watched_parse(self: Any, tasks: Any) -> Iterator[Any]:
        for group in parse(self, tasks):
            for outcome in group.outcomes:
                log.write("parsed", repr(outcome.file_path), outcome.file_hash)
            yield group

    def watched_embed(self: Any, texts: Any, names: Any, **kwargs: Any) -> Any:
        for text, name in zip(texts, names, strict=True):
            recipe = os.environ.get("CODE_INDEX_TEXT_RECIPE", TextRecipe.FULL)
            log.write("embedded", EmbeddingInput(text, name, recipe).text_hash)
        return embed(self, texts, names, **kwargs)

    ParserPool.parse = watched_parse  # type: ignore[method-assign]
    DeterministicEmbedder.embed_documents_detailed = watched_embed  # type: ignore[method-assign]


def main() -> None:
    log = _Log(sys.argv[1])
    taken: Counter[str] = Counter()
    for module, owner, function in (*DURABLE, *_BESIDES.get(sys.argv[3], ())):
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
