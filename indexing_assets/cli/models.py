"""`code-index models`: the presets of embedding models, what each is good at, and which is in use."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from indexing_assets.cli.options import folder_of, index_dir_option, json_option, repository_argument
from indexing_assets.cli.output import human_bytes, say, say_state

_HEADS = ("preset", "size", "NDCG@10", "by meaning", "chunks/s", "model")


@click.command("models")
@repository_argument
@index_dir_option
@json_option
def command(path: Path | None, index_dir: Path | None, as_json: bool) -> None:
    """Show the embedding models by preset: size, quality and speed as measured, and the one in use.

    Works before there is an index. A preset is chosen by the setting `model`.
    """
    from code_index.embedding.models.lookup import preset_of
    from code_index.embedding.models.measured import MEASURED, PROVENANCE
    from code_index.tables.model_registry import read_registry

    folder = folder_of(path, index_dir)
    configured = folder.settings().embedder.model
    preset = preset_of(configured)
    registry = read_registry(folder.tables)
    in_use = None if registry is None else registry.serving
    if as_json:
        models = [asdict(model) | {"configured": model.name == preset} for model in MEASURED.values()]
        say_state({"models": models, "measured": PROVENANCE, "configured": configured, "in_use": in_use})
        return
    rows = [_HEADS, *(_row(asdict(model)) for model in MEASURED.values())]
    widths = [max(len(row[at]) for row in rows) for at in range(len(_HEADS))]
    for row in rows:
        mark = "*" if row[0] == preset else " "
        cells = [
            row[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(row[1:-1], widths[1:-1], strict=True)),
        ]
        say(f"{mark} {'  '.join([*cells, row[-1]])}")
    say(f"Configured: model = {configured}{'' if preset else ' (no preset)'}")
    say(f"In use: {in_use or 'no vectors yet'}")
    say("NDCG@10 is the quality of the first ten hits, 1 at best: of a whole search, and by meaning only.")
    say(f"Measured by {PROVENANCE}. Speed is by core.")
    say('Choose one with model = "fast" in settings.toml, then run code-index index.')


def _row(model: dict[str, Any]) -> tuple[str, ...]:
    return (
        model["name"],
        human_bytes(model["disk_bytes"]),
        f"{model['hybrid_ndcg']:.3f}",
        f"{model['semantic_ndcg']:.3f}",
        f"{model['chunks_per_core_second']:,.0f}",
        f"{model['model']}, {model['from_where']}",
    )
