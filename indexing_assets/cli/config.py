"""`code-index config`: each setting, its value, and where it comes from."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from indexing_assets.cli.options import folder_of, index_dir_option, json_option, repository_argument
from indexing_assets.cli.output import say, say_state


@click.command("config")
@repository_argument
@index_dir_option
@json_option
def command(path: Path | None, index_dir: Path | None, as_json: bool) -> None:
    """Show each setting, its value, and where it comes from: default, settings.toml or environment; then model and extras.

    Works before there is an index, and exits with 0 even if the model is missing.
    """
    from code_index.core.distribution import EXTRAS, has_extra
    from code_index.index.settings import explained_settings

    folder = folder_of(path, index_dir)
    settings = explained_settings(folder.settings_path)
    model = _model(folder.settings())
    extras = {extra: has_extra(extra) for extra in EXTRAS}
    if as_json:
        listed = [asdict(item) for item in settings]
        say_state({"file": str(folder.settings_path), "settings": listed, "model": model, "extras": extras})
        return
    exists = "" if folder.settings_path.exists() else " (not there yet: all defaults)"
    say(f"{folder.settings_path}{exists}")
    width = max(len(item.name) for item in settings)
    values = {item.name: json.dumps(item.value, ensure_ascii=False) for item in settings}
    value_width = min(40, max(map(len, values.values())))
    for item in settings:
        source = item.source.replace(str(folder.settings_path), "settings.toml")
        say(f"  {item.name:<{width}}  {values[item.name]:<{value_width}}  {source}")
    say("Model")
    for name, value in model.items():
        say(f"  {name:<{width}}  {value if isinstance(value, str) else json.dumps(value)}")
    say("Extras")
    for extra, there in extras.items():
        say(f"  {extra:<{width}}  {'' if there else 'not '}installed")


def _model(settings: Any) -> dict[str, Any]:
    """Describe the model, or say why its folder cannot be read."""
    from code_index.core.errors import CodeIndexError
    from code_index.embedding.models.description import describe_model

    try:
        return asdict(describe_model(settings.embedder))
    except CodeIndexError as error:
        return {"error": str(error)}
