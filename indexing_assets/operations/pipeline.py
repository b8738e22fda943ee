"""Both phases in this process, through the same Dagster jobs that the web interface runs.

Belongs here: what has to run, and in which ranges. Does not belong here: how a phase works (the
assets) and what is printed (the command line).
"""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import dagster as dg
import pyarrow.compute as pc

from code_index.core.errors import StoreError, UsageError
from code_index.core.model import FileStatus
from code_index.embedding.embedder import Embedder
from code_index.index.folder import IndexFolder
from code_index.index.locks import LockOwner, Phase, hold
from code_index.index.skipped import skipped_counts
from code_index.index.trust import refuse_other_content
from code_index.index.unchanged_marker import Counts, tables_fingerprint
from code_index.parsing.configuration import parser_config
from code_index.parsing.kept_parser import OF_THIS_PROCESS
from code_index.parsing.parser_pool import start_ahead
from code_index.repository.content_rules import RACY_MTIME_NS
from code_index.tables import IndexStore
from indexing_assets.assets.source_files import STATE_METADATA, WARNINGS_METADATA
from indexing_assets.automation.changes_look import ChangesLook, WatchTimes
from indexing_assets.automation.look import Look
from indexing_assets.automation.pending_look import PendingLook
from indexing_assets.definitions import build_defs
from indexing_assets.runs.in_process import PHASES, PhaseResult, execute, execute_partitions, execute_request
from indexing_assets.runs.index_names import CHUNK_VECTORS, PARSED_CHUNKS, SEARCH_INDEXES, SOURCE_FILES, UNNAMED
from indexing_assets.runs.job_names import CLEANUP_JOB, SCAN_JOB
from indexing_assets.runs.live_runs import RETRY_LASTING_TAG, close_dead_runs
from indexing_assets.runs.open_index import OpenIndex
from indexing_assets.runs.planning import batches_to_embed, files_to_parse, serve_kept_vectors
from indexing_assets.runs.pools import prepare_pools
from indexing_assets.upkeep.compaction import VECTOR_TABLES, expire_copies
from indexing_assets.upkeep.retention import USUAL, Retention
from resources.embedder_resource import EmbedderResource
from resources.index_resource import IndexResource
from resources.instance_config import instance_config


@dataclass(frozen=True, slots=True)
class Complete:
    """An index in which nothing is left to do, for `code_index.index.unchanged_marker`; `copies` are still to be removed."""

    token: str
    tables: str
    counts: Counts
    copies: bool


class Pipeline:
    """Runs the phases of one index; a context manager that closes the Dagster instance."""

    def __init__(
        self,
        folder: IndexFolder,
        *,
        embedder: EmbedderResource | None = None,
        wait_s: float | None = None,
        on_wait: Callable[[LockOwner | None], None] | None = None,
    ) -> None:
        """Open an index.

        Args:
            folder: the index; made where it is missing.
            embedder: in place of the one that the settings name.
            wait_s: how long to wait for another process; `None` for as long as it takes.
            on_wait: called with the process that holds the index.

        Raises:
            RepositoryError: the repository is not there.
            StoreError: the folder cannot be written.
            SettingsError: a setting cannot be used.
        """
        folder.create(instance_config())
        self.folder = folder
        self.settings = folder.settings()
        self.store = IndexStore(folder.tables)
        # Dagster and the parser processes read these; they are put back on exit.
        self._environment = {name: os.environ.get(name) for name in folder.environment()}
        os.environ.update(folder.environment())
        self.instance = dg.DagsterInstance.get()
        self.index = OpenIndex(UNNAMED, folder, self.settings, self.store, self.instance)
        prepare_pools(self.instance, self.settings)
        self._resource = IndexResource(repository_root=str(folder.repository_root), index_dir=str(folder.path))
        self._embedder = embedder or EmbedderResource()
        self._definitions = build_defs({"index": self._resource, "embedder": self._embedder}, indexes=[UNNAMED])
        self._wait_s = wait_s
        self._on_wait = on_wait

    def __enter__(self) -> Self:
        """Return the pipeline itself; between its runs a parser process may wait."""
        OF_THIS_PROCESS.expect(self)
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Close the Dagster instance and put the environment back.

        Raises:
            StoreError: somebody deleted the index meanwhile, whatever ended the block.
        """
        OF_THIS_PROCESS.expect_no_more(self)
        self.instance.dispose()
        for name, value in self._environment.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        if not self.folder.exists and (error is None or isinstance(error, Exception)):
            remove_remains(self.folder)
            raise StoreError(
                f"The index folder {self.folder.path} was deleted while it was in use. Index again: "
                f"`code-index index {self.folder.repository_root}`."
            ) from error

    def start_parser(self) -> None:
        """Start a parser process for the files that a scan is likely to find changed; it is there when the scan ends."""
        start_ahead(parser_config(self.folder, self.settings))

    def scan(self, *, verify: bool = False) -> PhaseResult:
        """Bring the manifest, the partition keys and the rows of what is gone up to date."""
        with self._locked(Phase.PARSE):
            return self._run(SCAN_JOB, SOURCE_FILES, {"verify": verify})

    def parse(self, *, force: bool = False, retry_failed: bool = False) -> PhaseResult:
        """Parse the files whose chunks are missing; with `force` all of them."""
        with self._locked(Phase.PARSE):
            plan = files_to_parse(self.index, force=force, retry_failed=retry_failed)
            return self._run_partitions(PARSED_CHUNKS, plan, force=force)

    def embed(self, *, force: bool = False, retry_failed: bool = False) -> PhaseResult:
        """Embed the batches that have chunks without a vector; with `force` all of them."""
        with self._locked(Phase.EMBED):
            plan = batches_to_embed(self.index, self.model_id, force=force, retry_failed=retry_failed)
            if not plan:
                serve_kept_vectors(self.store, self.model_id)
                expire_copies(self.store, VECTOR_TABLES)
                self._drop_orphaned_vectors()
            tags = {} if retry_failed else {RETRY_LASTING_TAG: "false"}
            return self._run_partitions(CHUNK_VECTORS, plan, force=force, tags=tags)

    def materialize(self, asset: str) -> PhaseResult:
        """Materialize one of the assets that read an index and change nothing of it."""
        close_dead_runs(self.instance, self.index)
        return execute(self.index, self._definitions.resolve_implicit_global_asset_job_def(), asset, only=True)

    def run_partitions(self, asset: str, choose: Callable[[OpenIndex], Sequence[str]], *, force: bool) -> PhaseResult:
        """Run the partitions of an asset that `choose` names, once nobody else can change which those are.

        Raises:
            UsageError: `choose` refuses.
        """
        with self._locked(PHASES[asset]):
            return self._run_partitions(asset, choose(self.index), force=force)

    def looks(self) -> list[Look]:
        """The looks of the sensors at this index, in the order in which they find work for each other."""
        changes = ChangesLook(self.instance, self._resource, UNNAMED, WatchTimes())
        return [changes, PendingLook(self.instance, self._resource, self._embedder, UNNAMED)]

    def run_request(self, request: dg.RunRequest) -> PhaseResult:
        """Run what a look asked for."""
        assert request.job_name is not None
        return execute_request(self.index, self._definitions.resolve_job_def(request.job_name), request.tags)

    def cleanup(self, kept: Retention = USUAL) -> PhaseResult:
        """Bring the search indexes up to date and free the disk space that nothing needs."""
        config = {
            "keep_versions_minutes": kept.versions // timedelta(minutes=1),
            "keep_unused_vectors_days": kept.unused_vectors // timedelta(days=1),
            "keep_runs": kept.runs,
        }
        with self._locked(Phase.PARSE):
            return self._run(CLEANUP_JOB, SEARCH_INDEXES, config)

    def query_encoder(self) -> Embedder:
        """The index's model, for queries; raises `ModelError` when it is missing."""
        return self._embedder.get_for_queries(self.settings)

    @property
    def model_id(self) -> str:
        """Identity of the index's model, as stored with each vector; raises `ModelError` when it is missing."""
        return self._embedder.get_for_queries(self.settings).model_id

    def describe_embedder(self) -> str:
        """Model, device and arithmetic that documents are embedded with; loads the model where it is not."""
        return self._embedder.get(self.settings).describe()

    def nothing_left(self, scan: PhaseResult) -> Complete | None:
        """Describe the index if nothing is left to do after this scan and the phases that followed; None otherwise.

        Something is left if anything failed or is missing, or if a file that was just written has to be read again.
        """
        tables = tables_fingerprint(self.folder)
        files = self.store.files.read(columns=["status", "mtime_ns"])
        statuses = set(files.column("status").to_pylist())
        racy = pc.equal(files.column("mtime_ns"), RACY_MTIME_NS)
        chunks, vectors = self.store.chunks.count(), self.store.vectors.count(self.model_id)
        event = self.instance.get_latest_materialization_event(dg.AssetKey(SOURCE_FILES))
        if (
            not statuses <= {FileStatus.PARSED.value, FileStatus.SKIPPED.value}
            or pc.any(racy).as_py()
            or chunks != vectors
            or event is None
            or event.asset_materialization is None
            or event.run_id != scan.run_id
        ):
            return None
        parsed = pc.sum(pc.equal(files.column("status"), FileStatus.PARSED.value)).as_py() or 0
        return Complete(
            token=str(event.asset_materialization.metadata[STATE_METADATA].value),
            tables=tables,
            counts=Counts(files=parsed, chunks=chunks, vectors=vectors, skipped=skipped_counts(self.store)),
            copies=self.store.upkeep.copies_on_disk(),
        )

    def scan_warnings(self, scan: PhaseResult) -> list[str]:
        """The warnings of a scan, for people."""
        event = self.instance.get_latest_materialization_event(dg.AssetKey(SOURCE_FILES))
        if event is None or event.asset_materialization is None or event.run_id != scan.run_id:
            return []
        said = event.asset_materialization.metadata.get(WARNINGS_METADATA)
        return [str(warning) for warning in said.value] if said is not None and isinstance(said.value, list) else []

    def changed_since_scan(self) -> bool:
        """Tell whether files changed between the scan and their parsing, so that another scan is worth it."""
        where = f"status = '{FileStatus.PENDING.value}' OR (status = '{FileStatus.ERROR.value}' AND transient = true)"
        return bool(self.store.files.read(columns=["file_path"], where=where).num_rows)

    @contextmanager
    def _locked(self, phase: Phase) -> Iterator[None]:
        with hold(self.folder.locks, phase, wait_s=self._wait_s, on_wait=self._on_wait):
            close_dead_runs(self.instance, self.index)
            yield

    def _drop_orphaned_vectors(self) -> None:
        """Drop vectors of chunks that are gone: a run that was killed beside an edit could not do it at its end."""
        failed = self.store.errors.read(self.model_id).num_rows
        if self.store.vectors.count() > self.store.chunks.count() - failed:
            self.store.sync.vectors(now=datetime.now(UTC))

    def _run(self, job: str, asset: str, config: Mapping[str, Any] | None = None) -> PhaseResult:
        return execute(self.index, self._definitions.resolve_job_def(job), asset, config=config)

    def _run_partitions(
        self, asset: str, keys: Sequence[str], *, force: bool, tags: Mapping[str, str] | None = None
    ) -> PhaseResult:
        return execute_partitions(self.index, self._definitions.resolve_job_def, asset, keys, force=force, tags=tags)


def remove_remains(folder: IndexFolder) -> None:
    """Remove what this process made since the index was deleted: without a record it would be taken for a stranger's."""
    with suppress(OSError, UsageError):
        refuse_other_content(folder.path)
        shutil.rmtree(folder.path)
