"""The text of `code-index index --dry-run`, and times for people."""

import os
from dataclasses import asdict
from typing import TYPE_CHECKING

from indexing_assets.cli.output import human_bytes, say, say_json

if TYPE_CHECKING:
    from code_index.index.folder import IndexFolder

_LANGUAGES = 8
_MINUTE_S = 60
_HOUR_S = 3_600


def show_forecast(folder: "IndexFolder", *, as_json: bool) -> None:
    """Print what a run would do and take.

    Raises:
        CodeIndexError: as `indexing_assets.operations.forecast.forecast`.
    """
    from code_index.index.skipped import skipped_in_words
    from indexing_assets.operations.forecast import forecast

    found = forecast(folder, folder.settings(), rates=_rates(folder))
    if as_json:
        say_json(asdict(found))
        return
    about = "" if found.exact else "about "
    say(f"Repository  {found.repository_root}")
    say(f"Index       {found.index_dir} (about {human_bytes(found.disk_bytes)} when it is complete)")
    changes = f"{found.new:,} new, {found.changed:,} changed, {found.removed:,} removed"
    say(f"Files       {found.files:,}, {human_bytes(found.bytes)}: {changes}")
    languages = list(found.languages.items())
    for name, one in languages[:_LANGUAGES]:
        say(f"            {name}: {one.files:,}, {human_bytes(one.bytes)}, {about}{one.chunks:,} chunks")
    if more := languages[_LANGUAGES:]:
        files, size, chunks = (sum(getattr(one, name) for _, one in more) for name in ("files", "bytes", "chunks"))
        say(f"            {len(more):,} more languages: {files:,}, {human_bytes(size)}, {about}{chunks:,} chunks")
    if words := skipped_in_words(found.skipped):
        say(f"Skipped     {words}")
    there = f", in libraries {about}{found.from_libraries:,}" if found.from_libraries else ""
    say(f"Chunks      {about}{found.chunks:,}, to embed {about}{found.texts:,}{there}")
    if found.new or found.changed:
        say(f"Parsing     about {duration(found.parse_s)}; then words are found")
    elif not (found.removed or found.texts):
        say("Next        All is indexed: a run only looks at the files.")
    for model, seconds in found.embed_s.items() if found.texts else ():
        chosen = ", the model of the settings" if model == found.model else ""
        took = "was not measured" if seconds is None else f"about {duration(seconds)}"
        say(f"Embedding   {model}: {took} on {found.device} with {found.threads} threads{chosen}")
    say("Nothing was written. Times are estimates, from rates measured on a machine with little else to do.")


def duration(seconds: float) -> str:
    """A time for people, in one unit: 90 s, 12 min, 2.5 h."""
    if seconds < 2 * _MINUTE_S:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / _MINUTE_S:.0f} min" if seconds < _HOUR_S else f"{seconds / _HOUR_S:.1f} h"


def _rates(folder: "IndexFolder") -> dict[str, float]:
    """Rates of an index's last runs, by Dagster's records; none after a change of the model."""
    if not folder.exists:
        return {}
    from code_index.embedding.models.description import describe_model
    from code_index.tables import IndexStore
    from indexing_assets.cli.status import opened_instance
    from indexing_assets.runs.index_names import UNNAMED
    from indexing_assets.runs.index_status import throughput
    from indexing_assets.runs.open_index import OpenIndex

    folder.check_records()
    settings, store = folder.settings(), IndexStore(folder.tables)
    serving = store.models.serving()
    if serving is None or serving[0] != describe_model(settings.embedder).model_id:
        return {}
    os.environ.update(folder.environment())
    with opened_instance(folder) as instance:
        return throughput(OpenIndex(UNNAMED, folder, settings, store, instance))
