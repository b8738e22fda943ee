"""`code-index status`: what is indexed, what is missing, what failed, what to do next."""

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from indexing_assets.cli.options import folder_of, index_dir_option, json_option, repository_or_store_argument
from indexing_assets.cli.output import human_bytes, say, say_json, say_state, tell

if TYPE_CHECKING:
    import dagster as dg

    from code_index.index.contents import IndexStatus
    from code_index.index.folder import IndexFolder
    from code_index.index.settings import Settings
    from code_index.tables import IndexStore
    from indexing_assets.runs.run_figures import LastEmbedding

_LANGUAGES = 8


@click.command("status")
@repository_or_store_argument
@index_dir_option
@click.option("--failed", is_flag=True, help="List files and chunks that failed, with reason and run.")
@click.option(
    "--skipped", is_flag=True, help="List files and folders that are not indexed, or only in part, or as plain text."
)
@click.option(
    "--masked", is_flag=True, help="List files with keys that are masked in the index, and the kinds of keys."
)
@json_option
def command(
    path: Path | None, index_dir: Path | None, failed: bool, skipped: bool, masked: bool, as_json: bool
) -> None:
    """Show the state of an index."""
    from code_index.embedding.models.description import describe_model
    from code_index.tables import IndexStore

    folder = folder_of(path, index_dir)
    folder.check()
    settings = folder.settings()
    store = IndexStore(folder.tables)
    if skipped:
        _show_skipped(store, as_json=as_json)
        return
    if masked:
        _show_masked(store, as_json=as_json)
        return
    model_id = describe_model(settings.embedder).model_id
    if failed:
        _show_failed(store, model_id, as_json=as_json)
    else:
        _show_status(folder, settings, store, model_id, as_json=as_json)


def _show_skipped(store: "IndexStore", *, as_json: bool) -> None:
    # A parsed file has a reason only where its grammar could not be used, or did not know many of its lines.
    where = "status = 'skipped' OR (status = 'parsed' AND reason IS NOT NULL)"
    rows = store.files.read(columns=["file_path", "reason"], where=where).sort_by("file_path").to_pylist()
    if as_json:
        say_json(rows)
        return
    for row in rows:
        say(f"{row['file_path']}: {row['reason']}")
    if not rows:
        say("Nothing is skipped.")


def _show_masked(store: "IndexStore", *, as_json: bool) -> None:
    from code_index.core.secret_masks import named_counts

    masked = store.files.masked_keys()
    if as_json:
        say_json([{"file_path": path, "masked_keys": counts} for path, counts in masked.items()])
        return
    for path, counts in masked.items():
        say(f"{path}: {named_counts(counts)}")
    if not masked:
        say("No key is masked.")


def _show_failed(store: "IndexStore", model_id: str, *, as_json: bool) -> None:
    from code_index.index.contents import failed_chunks, failed_files

    files, chunks = failed_files(store), failed_chunks(store, model_id)
    if as_json:
        say_state({"files": [asdict(item) for item in files], "chunks": [asdict(item) for item in chunks]})
        return
    for item in files:
        kind = "may pass by itself" if item.transient else "lasts until the file or a setting changes"
        say(f"{item.file_path}: {item.reason} ({kind}; Dagster run {item.run_id})")
    for chunk in chunks:
        place = f"{chunk.file_path}:{chunk.start_line}-{chunk.end_line}"
        say(f"{place} {chunk.qualified_name}: {chunk.reason} (tried {chunk.attempts} times)")
    if files or chunks:
        tell("Retry: code-index resume --failed")
    else:
        say("Nothing failed.")


def opened_instance(folder: "IndexFolder") -> "dg.DagsterInstance":
    """Open Dagster's records of an index; `folder.environment()` has to be set.

    Raises:
        StoreError: its `dagster.yaml` cannot be used.
    """
    import dagster as dg
    import yaml  # type: ignore[import-untyped]

    from code_index.core.errors import StoreError
    from resources.dagster_internals import CheckError

    try:
        return dg.DagsterInstance.get()
    except (RecursionError, ImportError, AttributeError, yaml.YAMLError, dg.DagsterError, CheckError) as error:
        raise StoreError(
            f"{folder.dagster_home / 'dagster.yaml'} cannot be used ({type(error).__name__}). Run `code-index index`: it "
            "writes it again."
        ) from error


def _asked_of_dagster(
    folder: "IndexFolder", settings: "Settings", store: "IndexStore", model_id: str
) -> "tuple[IndexStatus, dict[str, float], LastEmbedding]":
    """Read the state with what only Dagster tells: which batches a run embeds, and records in another storage."""
    from indexing_assets.runs.index_names import UNNAMED
    from indexing_assets.runs.index_status import last_embedding, read_status, throughput
    from indexing_assets.runs.open_index import OpenIndex

    os.environ.update(folder.environment())
    with opened_instance(folder) as instance:
        index = OpenIndex(UNNAMED, folder, settings, store, instance)
        return read_status(index, model_id), throughput(index), last_embedding(index)


def _asked_of_records(
    folder: "IndexFolder", settings: "Settings", store: "IndexStore", model_id: str
) -> "tuple[IndexStatus, dict[str, float], LastEmbedding]":
    """Read the state with the figures of the last runs, without Dagster where its records can be read so."""
    from code_index.index.contents import index_status
    from code_index.index.locks import Phase, owner
    from indexing_assets.runs.index_names import CHUNK_VECTORS, PARSED_CHUNKS
    from indexing_assets.runs.run_figures import OF_A_RUN, RECENT_EVENTS, figures_of_runs, last_embedding, throughput
    from resources.plain_records import PlainRecords

    folder.check_records()
    records = PlainRecords.of(folder.dagster_home)
    if records is None or owner(folder.locks, Phase.EMBED) is not None:
        return _asked_of_dagster(folder, settings, store, model_id)
    runs = {
        asset: figures_of_runs(records.newest_materializations(asset, limit=RECENT_EVENTS, entry=OF_A_RUN))
        for asset in (PARSED_CHUNKS, CHUNK_VECTORS)
    }
    return index_status(folder, store, model_id), throughput(runs.__getitem__), last_embedding(runs.__getitem__)


def _show_status(
    folder: "IndexFolder", settings: "Settings", store: "IndexStore", model_id: str, *, as_json: bool
) -> None:
    from code_index.index.contents import index_status
    from code_index.index.skipped import skipped_in_words
    from code_index.sharing.libraries import Libraries
    from indexing_assets.cli.outcome import masked_total, vectors_from
    from indexing_assets.runs.run_figures import LastEmbedding

    if folder.tables_at is None:
        status, rates, last = _asked_of_records(folder, settings, store, model_id)
    else:  # the deployment that indexes it has the records, and pages that show them
        status, rates, last = index_status(folder, store, model_id), {}, LastEmbedding()
    libraries = Libraries.of(settings, model_id).contents()
    if as_json:
        say_state(asdict(status) | {"throughput": rates, "last_embedding": asdict(last), "libraries": libraries})
        return
    languages = list(status.languages.items())
    named = ", ".join(f"{name} {count:,}" for name, count in languages[:_LANGUAGES])
    lines = [
        ("Repository", status.repository_root),
        ("Index", f"{folder.tables_at or status.index_dir} ({human_bytes(sum(status.disk_bytes.values()))})"),
        ("Files", _counts(status.files)),
        ("Languages", named + (", ..." if languages[_LANGUAGES:] else "")),
        *([("No syntax", f"{_counts(status.without_syntax)} (cut as plain text)")] if status.without_syntax else []),
        *([("Encodings", f"{_counts(status.guessed_encodings)} (guessed)")] if status.guessed_encodings else []),
        *([("Skipped", skipped_in_words(status.skipped))] if status.skipped else []),
        ("Chunks", f"{sum(status.chunks.values()):,}: {_counts(status.chunks)}"),
        ("Batches", f"{status.batches:,}, {status.pending_batches:,} with pending chunks"),
        ("Model", status.model),
        *(
            [("Vectors", f"{sum(sources.values()):,} added so far: {vectors_from(sources)}")]
            if (sources := status.vector_sources)
            else []
        ),
        *([("In use", status.serving_model)] if status.serving_model != status.model else []),
        *(
            [("Stale", f"{status.stale_batches:,} batches hold only vectors of the model in use")]
            if status.stale_batches
            else []
        ),
        ("Disk", ", ".join(f"{name} {human_bytes(size)}" for name, size in status.disk_bytes.items())),
    ]
    others = {name: count for name, count in status.vectors_by_model.items() if name != status.model}
    if others:
        lines.append(("Other models", ", ".join(f"{name}: {count:,} vectors" for name, count in others.items())))
    if rates:
        lines.append(("Last rates", ", ".join(f"{name} {rate:,.1f}" for name, rate in rates.items())))
    lines += [("Library", f"{count:,} vectors of this model in {place}") for place, count in libraries.items()]
    if masked := store.files.masked_keys():
        lines.append(("Masked", masked_total(masked)))
    lines += [(f"{phase} lock", str(who)) for phase, who in status.holders.items()]
    lines.append(("Next", status.next_step))
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
        say(f"{name:<{width}}  {value}")


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items() if count) or "none"
