"""`code-index status`: what is indexed, what is missing, what failed, what to do next."""

import json
import os
from pathlib import Path

import click

from indexing_assets.cli.options import folder_of, index_dir_option, json_option, repository_argument


@click.command("status")
@repository_argument
@index_dir_option
@click.option("--failed", is_flag=True, help="List files and chunks that failed, with reason and run.")
@click.option("--skipped", is_flag=True, help="List files and folders that are not indexed, with reason.")
@json_option
def command(path: Path | None, index_dir: Path | None, failed: bool, skipped: bool, as_json: bool) -> None:
    """Show the state of an index."""
    import dagster as dg

    from indexing_assets.cli.report import human_bytes, printable
    from indexing_assets.status import failed_chunks, failed_files, read_status
    from resources.embedding.resource import EmbedderResource
    from resources.lancedb_store import IndexStore

    folder = folder_of(path, index_dir)
    folder.check()
    settings = folder.settings()
    store = IndexStore(folder.tables_dir)
    model_id = EmbedderResource(model=settings.model, device=settings.device).get_for_queries().model_id
    if failed:
        files, chunks = failed_files(store), failed_chunks(store, model_id)
        if as_json:
            click.echo(_json({"files": files, "chunks": chunks}))
            return
        for item in files:
            kind = "may pass by itself" if item.transient else "lasts until the file or a setting changes"
            click.echo(f"{printable(item.file_path)}: {item.reason} ({kind}; Dagster run {item.run_id})")
        for chunk in chunks:
            place = f"{printable(chunk.file_path)}:{chunk.start_line}-{chunk.end_line}"
            click.echo(f"{place} {chunk.qualified_name}: {chunk.reason} (tried {chunk.attempts} times)")
        click.echo(
            "Try again: code-index resume --failed" if files or chunks else "Nothing failed.", err=bool(files or chunks)
        )
        return
    if skipped:
        rows = store.files(columns=["file_path", "reason"], where="status = 'skipped'").sort_by("file_path").to_pylist()
        if as_json:
            click.echo(_json(rows))
            return
        for row in rows:
            click.echo(f"{printable(row['file_path'])}: {row['reason']}")
        if not rows:
            click.echo("Nothing is skipped.")
        return

    os.environ.update(folder.environment())
    with dg.DagsterInstance.get() as instance:
        status = read_status(folder, store, instance, model_id)
    if as_json:
        click.echo(_json(status.as_json()))
        return
    languages = list(status.languages.items())
    lines = [
        ("Repository", status.repository_root),
        ("Index", f"{status.index_dir} ({human_bytes(sum(status.disk_bytes.values()))})"),
        ("Files", _counts(status.files)),
        ("Languages", ", ".join(f"{name} {count:,}" for name, count in languages[:8]) + (", ..." if languages[8:] else "")),
        ("Chunks", f"{sum(status.chunks.values()):,}: " + _counts(status.chunks)),
        ("Batches", f"{status.batches:,}, {status.pending_batches:,} with pending chunks"),
        ("Model", status.model),
        ("Disk", ", ".join(f"{name} {human_bytes(size)}" for name, size in status.disk_bytes.items())),
    ]
    others = {name: count for name, count in status.vectors_by_model.items() if name != status.model}
    if others:
        lines.append(("Other models", ", ".join(f"{name}: {count:,} vectors" for name, count in others.items())))
    if status.throughput:
        lines.append(("Last rates", ", ".join(f"{name} {rate:,.1f}" for name, rate in status.throughput.items())))
    lines += [(f"{phase} lock", str(who)) for phase, who in status.holders.items()]
    lines.append(("Next", status.next_step))
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
        click.echo(f"{name:<{width}}  {value}")


def _counts(counts: object) -> str:
    return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in dict(counts).items() if count) or "none"  # type: ignore[call-overload]


def _json(data: object) -> str:
    from dataclasses import asdict, is_dataclass

    return json.dumps(data, indent=2, default=lambda item: asdict(item) if is_dataclass(item) else str(item))
