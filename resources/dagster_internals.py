"""The parts of Dagster that are not public, all of them: no other module imports any.

A name that `import dagster as dg` has is taken from there. What stands here has no public name, may change with any
release, and has a test of what is assumed of it in `tests/upstream/test_dagster_internals.py`: that is what to read, and to
run, when a new Dagster comes. Subclasses of storages stay in modules of their own; tests/upstream holds also the methods and
attributes that they override or use.

What `import dagster` has not loaded already is loaded when it is first asked for (`_LATE`), and so is what an extra brings.
No lock is taken for it: modules ask while they are themselves imported (`code_index.core.lazy_imports`).
"""

import importlib
import multiprocessing
from typing import TYPE_CHECKING, Any, Final

# A check of Dagster's arguments failed; what a broken dagster.yaml raises.
from dagster._check import CheckError

# Config of a storage: the type of what `config_type` returns.
from dagster._config.config_schema import UserConfigSchema

# The graph of assets that a repository has; only handed on, to a backfill.
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph

# Tags of an event that make a partition fresh or stale, and the version that Dagster computes where none is given.
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,
    DATA_VERSION_TAG,
    NULL_EVENT_POINTER,
    compute_logical_data_version,
    get_input_data_version_tag,
    get_input_event_pointer_tag,
)

# A backfill by ranges of partitions, as the web interface asks for one.
from dagster._core.definitions.partitions.context import partition_loading_context
from dagster._core.definitions.selector import PartitionRangeSelector, PartitionsByAssetSelector, PartitionsSelector

# What `dg.define_asset_job` returns; the type only.
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition,
)

# Callbacks and cursors of live logs.
from dagster._core.event_api import EventHandlerFn, EventLogCursor

# The kinds of events that the index database of a SQLite event log repeats; batches of events; data of an event.
from dagster._core.events import (
    ASSET_CHECK_EVENTS,
    ASSET_EVENTS,
    EVENT_TYPE_TO_PIPELINE_RUN_STATUS,
    DagsterEventBatchMetadata,
    StepMaterializationData,
    generate_event_batch_id,
)

# Times and states of a run's steps, computed from a run's events in order.
from dagster._core.execution.stats import (
    STEP_STATS_EVENT_TYPES,
    RunStepKeyStatsSnapshot,
    build_run_step_stats_from_events,
)

# The parts of an instance that dagster.yaml leaves out.
from dagster._core.instance.ref import InstanceRef

# The names of run and job under which events that no run made are stored.
from dagster._core.instance.utils import RUNLESS_JOB_NAME, RUNLESS_RUN_ID

# A launcher's word on the process of a run.
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus

# The tags by which a run is for a partition, or for a range of them; the beginning of those that no page shows.
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    HIDDEN_TAG_PREFIX,
    PARTITION_NAME_TAG,
)

# An id for a backfill, that no other has.
from dagster._core.utils import make_new_backfill_id

# Where the storage stands in dagster.yaml; only handed on.
from dagster._serdes import ConfigurableClassData

# An error as it is stored in an event: its message begins with the class's name, and its cause is another one.
from dagster_shared.error import SerializableErrorInfo

# Many stored texts to what they hold, faster than one at a time.
from dagster_shared.serdes import deserialize_values

from code_index.core.distribution import require_extra

if TYPE_CHECKING:
    from dagster._cli.proxy_server_manager import ProxyServerManager
    from dagster._core.execution.backfill import PartitionBackfill
    from dagster._core.loader import LoadingContext
    from dagster._core.storage.event_log import SqlEventLogStorage, SqliteEventLogStorage
    from dagster._core.storage.event_log.base import AssetRecord, EventLogStorage
    from dagster._core.storage.event_log.schema import (
        AssetCheckExecutionsTable,
        AssetEventTagsTable,
        DynamicPartitionsTable,
        SqlEventLogStorageTable,
    )
    from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
    from dagster._core.storage.partition_status_cache import AssetStatusCacheValue
    from dagster._core.storage.runs.sqlite.sqlite_run_storage import SqliteRunStorage
    from dagster._core.storage.schedules.sqlite.sqlite_schedule_storage import (
        SqliteScheduleStorage,
    )
    from dagster._core.storage.sqlite import create_db_conn_string
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import ModuleTarget, WorkspaceFileTarget
    from dagster._utils.log import configure_loggers
    from dagster_celery.launcher import CeleryRunLauncher
    from dagster_celery.tags import DAGSTER_CELERY_QUEUE_TAG, DAGSTER_CELERY_TASK_ID_TAG
    from dagster_postgres.event_log import PostgresEventLogStorage
    from dagster_postgres.run_storage import PostgresRunStorage
    from dagster_postgres.schedule_storage import PostgresScheduleStorage
    from dagster_postgres.utils import get_token_provider_from_config, pg_url_from_config
    from dagster_shared.ipc import get_ipc_shutdown_pipe, open_ipc_subprocess, send_ipc_shutdown_message
    from dagster_webserver.app import (
        create_app_from_workspace_process_context,
    )

# By module, the names that are loaded when they are first asked for; the same as above, for type checkers.
_LATE: Final = {
    # `dagster dev`'s code server: started on entry, ended on exit, told to a workspace file by its specs.
    "dagster._cli.proxy_server_manager": ("ProxyServerManager",),
    # A backfill that `DagsterInstance.add_backfill` takes.
    "dagster._core.execution.backfill": ("PartitionBackfill",),
    # Event logs, and the one that a file `<shard>.db` for the index and for each run makes up.
    "dagster._core.storage.event_log": ("SqlEventLogStorage", "SqliteEventLogStorage"),
    "dagster._core.storage.event_log.base": ("AssetRecord", "EventLogStorage"),
    "dagster._core.storage.event_log.sqlite.sqlite_event_log": ("INDEX_SHARD_NAME",),
    # Tables of an event log, read and written with these columns.
    "dagster._core.storage.event_log.schema": (
        "AssetCheckExecutionsTable",
        "AssetEventTagsTable",
        "DynamicPartitionsTable",
        "SqlEventLogStorageTable",
    ),
    # What a request of the web server has read so far; the states of an asset's partitions. Only handed on, but for
    # `earliest_in_progress_materialization_event_id`: None where no run is under way.
    "dagster._core.loader": ("LoadingContext",),
    "dagster._core.storage.partition_status_cache": ("AssetStatusCacheValue",),
    # Storages of runs and schedules in a file, made by `from_local`, opened by `connect`.
    "dagster._core.storage.runs.sqlite.sqlite_run_storage": ("SqliteRunStorage",),
    "dagster._core.storage.schedules.sqlite.sqlite_schedule_storage": ("SqliteScheduleStorage",),
    "dagster._core.storage.sqlite": ("create_db_conn_string",),
    # Dagster's web server on a workspace file, and the logs that `dagster dev` prints.
    "dagster._core.workspace.context": ("WorkspaceProcessContext",),
    "dagster._core.workspace.load_target": ("ModuleTarget", "WorkspaceFileTarget"),
    "dagster._utils.log": ("configure_loggers",),
    "dagster_webserver.app": ("create_app_from_workspace_process_context",),
    # The daemon as a child that ends when it is told so through a pipe.
    "dagster_shared.ipc": ("get_ipc_shutdown_pipe", "open_ipc_subprocess", "send_ipc_shutdown_message"),
    # The extra `celery`: a launcher with its app in `celery`, and the tags of a run's queue and task.
    "dagster_celery.launcher": ("CeleryRunLauncher",),
    "dagster_celery.tags": ("DAGSTER_CELERY_QUEUE_TAG", "DAGSTER_CELERY_TASK_ID_TAG"),
    # The extra `postgres`: the storages on one `_engine`, and its address and tokens from a config.
    "dagster_postgres.event_log": ("PostgresEventLogStorage",),
    "dagster_postgres.run_storage": ("PostgresRunStorage",),
    "dagster_postgres.schedule_storage": ("PostgresScheduleStorage",),
    "dagster_postgres.utils": ("get_token_provider_from_config", "pg_url_from_config"),
}
_MODULES: Final = {name: module for module, names in _LATE.items() for name in names}

# The beginning of the name of the folder that a command makes where DAGSTER_HOME is not set (`dagster._cli.utils`, which
# takes 0.4 s to load).
TMP_DAGSTER_HOME_PREFIX: Final = ".tmp_dagster_home_"

# Module and class of a storage that is made of three.
COMPOSITE_STORAGE: Final = ("dagster._core.storage.legacy_storage", "CompositeStorage")

# The module that runs Dagster's daemon, as `python -m` takes it.
DAEMON_MODULE: Final = "dagster._daemon"


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = _MODULES[name]
    if module.startswith("dagster_postgres"):
        require_extra("postgres", "dagster.yaml names a storage on PostgreSQL, which")
    if module.startswith("dagster_celery"):
        require_extra("celery", "dagster.yaml names a launcher through Celery, which")
    value = globals()[name] = getattr(importlib.import_module(module), name)
    return value


def in_process_of_step() -> bool:
    """Tell whether this process executes one step only: the multiprocess executor started it, a child of the run's."""
    target = getattr(multiprocessing.current_process(), "_target", None)
    return getattr(target, "__name__", None) == "_execute_command_in_child_process"


def given_values(resource: Any) -> Any:
    """The values that a configurable resource or IO manager was made with; environment variables are still names."""
    return resource._resolved_config_dict  # noqa: SLF001
