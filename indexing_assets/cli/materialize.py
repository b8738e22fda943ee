"""`code-index materialize`: one asset, or the partitions of it that are missing, failed or named.

The runs are those of `index` and `resume` (`indexing_assets.operations.pipeline`); which partitions there are to run
is said by `indexing_assets.runs.planning`.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from code_index.core.errors import UsageError
from indexing_assets.cli.interrupts import saying_what_is_kept
from indexing_assets.cli.options import folder_of, index_dir_option, repository_argument, wait_option
from indexing_assets.cli.os_errors import trouble_in
from indexing_assets.cli.output import say, tell, tell_message

if TYPE_CHECKING:
    from indexing_assets.operations.pipeline import Pipeline
    from indexing_assets.runs.in_process import PhaseResult
    from indexing_assets.runs.open_index import OpenIndex
    from indexing_assets.runs.planning import Wanted


@click.command("materialize")
@click.argument("asset")
@repository_argument
@index_dir_option
@click.option("--missing", is_flag=True, help="What is missing, as `code-index index` would run it; the default.")
@click.option("--failed", is_flag=True, help="What failed, for whatever reason, and nothing else.")
@click.option("--all", "everything", is_flag=True, help="Everything again, also what is stored.")
@click.option(
    "--file",
    "globs",
    multiple=True,
    metavar="GLOB",
    help="Files to parse again, such as src/app.py or docs/; with --missing or --failed only those among them.",
)
@click.option(
    "--partition",
    "keys",
    multiple=True,
    metavar="KEY",
    help="Partitions to run again, by key; of a batch its number is enough.",
)
@wait_option
def command(
    asset: str,
    path: Path | None,
    index_dir: Path | None,
    missing: bool,
    failed: bool,
    everything: bool,
    globs: Sequence[str],
    keys: Sequence[str],
    wait: bool,
) -> None:
    """Materialize one ASSET of the index of PATH, and no other.

    ASSET is source_files, parsed_chunks, references, chunk_vectors, search_indexes, language_figures or index_report.
    The second, third and fourth have partitions: by default those run that are missing. A run of parsed_chunks is one of
    references too, and the other way round. --file, of parsed_chunks, and --partition may be given several times. Where
    embedding_hosts is above 1 there is library_vectors too, with the partitions of chunk_vectors.
    """
    if asset == "references":
        asset = "parsed_chunks"
    _refuse_wrong_use(asset, [missing, failed, everything, bool(keys)], globs)
    started = time.perf_counter()
    folder = folder_of(path, index_dir)
    folder.check()

    from indexing_assets.cli.outcome import what_is_kept
    from indexing_assets.cli.terminal_progress import showing_progress, tell_waiting
    from indexing_assets.operations.pipeline import Pipeline
    from indexing_assets.runs.index_names import LIBRARY_VECTORS, PARSED_CHUNKS, PARTITIONED
    from indexing_assets.runs.planning import Wanted

    with (
        saying_what_is_kept(lambda: what_is_kept(folder)),
        Pipeline(folder, wait_s=None if wait else 0.0, on_wait=tell_waiting) as pipeline,
    ):
        if asset == LIBRARY_VECTORS and pipeline.settings.embedding_hosts == 1:
            raise UsageError(f"Only where several hosts embed an index there is {asset}: set embedding_hosts.")
        if asset in {*PARTITIONED, LIBRARY_VECTORS}:
            if asset != PARSED_CHUNKS:
                _ = pipeline.model_id  # a model that is missing is an error before anything runs
            named = globs and not (missing or failed)
            wanted = Wanted.failed if failed else Wanted.all if everything or named else Wanted.missing
            choose = partial(_choose, asset, wanted, globs, keys, lambda: pipeline.model_id)
            with showing_progress():
                result = pipeline.run_partitions(asset, choose, force=bool(everything or named or keys))
            _report_partitions(pipeline, asset, result, wanted, seconds=time.perf_counter() - started)
        else:
            with showing_progress():
                result = _whole(pipeline, asset)
            if result.error is None:
                say(f"{asset}: materialized in {time.perf_counter() - started:.1f} s (Dagster run {result.run_id}).")
    if result.error is not None:
        if result.partial:
            tell_message(result.error)
        else:
            reason = trouble_in(result.error) or result.error
            tell_message(f"{asset} failed: {reason} (Dagster run {result.run_id})")
        raise click.exceptions.Exit(1)


def _refuse_wrong_use(asset: str, choices: Sequence[bool], globs: Sequence[str]) -> None:
    """Refuse an asset that is none, and options that do not go with it or with each other.

    Args:
        asset: as it was given.
        choices: whether --missing, --failed, --all and --partition were given, in this order.
        globs: what --file was given.
    """
    from indexing_assets.runs.index_names import ASSETS, LIBRARY_VECTORS, PARSED_CHUNKS, PARTITIONED

    if asset not in ASSETS:
        known = ", ".join(name for name in ASSETS if name != LIBRARY_VECTORS)  # which few indexes have
        raise UsageError(f"There is no asset {asset!r}. The assets are {known}.")
    if asset not in {*PARTITIONED, LIBRARY_VECTORS} and (any(choices) or globs):
        raise UsageError(
            f"{asset} has no partitions and is materialized as a whole: leave the options out. "
            f"With partitions are {' and '.join(PARTITIONED)}."
        )
    if sum(choices) > 1:
        raise UsageError("--missing, --failed, --all and --partition exclude each other. Say one of them.")
    if globs and asset != PARSED_CHUNKS:
        raise UsageError(f"A batch has chunks of many files: --file is for {PARSED_CHUNKS} only.")
    if globs and any(choices[2:]):
        raise UsageError("--file goes with --missing, with --failed or with neither.")


def _choose(
    asset: str,
    wanted: "Wanted",
    globs: Sequence[str],
    keys: Sequence[str],
    model_id: Callable[[], str],
    index: "OpenIndex",
) -> list[str]:
    """The partition keys that the options name."""
    from indexing_assets.runs.planning import keys_of_files, known_keys, wanted_partitions

    if keys:
        return known_keys(index, asset, keys)
    found = wanted_partitions(index, asset, wanted, model_id)
    if not globs:
        return found
    of_files = set(keys_of_files(index, globs))
    return [key for key in found if key in of_files]


def _whole(pipeline: "Pipeline", asset: str) -> "PhaseResult":
    """Materialize an asset without partitions."""
    from indexing_assets.runs.index_names import SEARCH_INDEXES, SOURCE_FILES

    if asset == SOURCE_FILES:
        return pipeline.scan()
    if asset == SEARCH_INDEXES:
        return pipeline.cleanup()
    return pipeline.materialize(asset)


def _report_partitions(
    pipeline: "Pipeline", asset: str, result: "PhaseResult", wanted: "Wanted", *, seconds: float
) -> None:
    """Say what ran, and what is left for another command."""
    from indexing_assets.runs.index_names import PARSED_CHUNKS
    from indexing_assets.runs.planning import Wanted, wanted_partitions

    total = len(pipeline.index.partition_keys(asset))
    if not result.partitions:
        nothing = {Wanted.missing: "is missing", Wanted.failed: "failed", Wanted.all: "is there to run"}
        say(f"{asset}: nothing {nothing[wanted]}, of {_partitions(total)}.")
    else:
        say(
            f"{asset}: {result.partitions:,} of {_partitions(total)} ran in {seconds:.1f} s (Dagster run {result.run_id})."
        )
    if result.error is not None:
        return
    failed = wanted_partitions(pipeline.index, asset, Wanted.failed, lambda: pipeline.model_id)
    if failed:
        tell(
            f"{_partitions(len(failed))} failed before and did not run: `code-index status --failed` says why, "
            f"`code-index materialize {asset} --failed` retries."
        )
    if asset == PARSED_CHUNKS and result.partitions:
        waiting = pipeline.store.chunks.count() - pipeline.store.vectors.count()
        if waiting > 0:
            tell(f"{waiting:,} chunks have no vector yet: `code-index materialize chunk_vectors` embeds them.")


def _partitions(count: int) -> str:
    return f"{count:,} partition{'' if count == 1 else 's'}"
