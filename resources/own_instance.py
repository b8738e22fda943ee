"""The Dagster instance of this project: its storages, and the folder of its records where `DAGSTER_HOME` names none.

Without `DAGSTER_HOME`, Dagster's commands read `dagster.yaml` in the working directory, and keep their records in a
temporary folder that is removed when they end. Materializations are the checkpoint of an index, so those of a command
that may run something go into the folder of that index, as those of `code-index` do; a deployment has a folder of the
user's for all its indexes. A command that only loads definitions leaves nothing behind.

Belongs here: what `dagster.yaml` cannot say, because it depends on the environment. Does not belong here: the storages
(`resources.record_storage`, `resources.event_log`), and what holds for every instance (`dagster.yaml`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import dagster as dg

from code_index.core.errors import CodeIndexError
from code_index.core.quoting import printable
from code_index.index.deployment import DEPLOYMENT_VARIABLE, create_deployment_home, deployed_indexes
from code_index.index.folder import REPOSITORY_VARIABLE, dagster_environment, resolve_index_folder
from resources.dagster_internals import COMPOSITE_STORAGE, TMP_DAGSTER_HOME_PREFIX, ConfigurableClassData, InstanceRef
from resources.instance_config import instance_config

# Words of commands that load definitions and run nothing: `dg check defs`, `dg list defs`, `dagster job print`, ...
_LOADING_ONLY = frozenset({"check", "list", "print", "validate"})


class CodeIndexInstance(dg.DagsterInstance):
    """`DagsterInstance` whose records lie with the index; named in `dagster.yaml` under `instance_class`."""

    @classmethod
    def config_schema(cls) -> Mapping[str, Any]:
        """Keys that `dagster.yaml` may have beside Dagster's own: none."""
        return {}

    @classmethod
    def config_defaults(cls, base_dir: str) -> Mapping[str, ConfigurableClassData | None]:
        """Parts of an instance that `dagster.yaml` leaves out, with the folder of each.

        Args:
            base_dir: `DAGSTER_HOME`, or the temporary folder that a command of Dagster's made without it.

        Raises:
            ClickException: the index cannot be used, or its folder cannot be made; Dagster's commands print it.
        """
        home = Path(_home(base_dir))
        storages = {
            "run_storage": _part("resources.record_storage", "SharedSqliteRunStorage", home / "history"),
            "event_log_storage": _part("resources.event_log", "BatchingSqliteEventLogStorage", home / "history/runs"),
            "schedule_storage": _part("resources.record_storage", "SharedSqliteScheduleStorage", home / "schedules"),
        }
        # As Dagster puts together storages that `dagster.yaml` names.
        together = {
            name: {"module_name": part.module_name, "class_name": part.class_name, "config_yaml": part.config_yaml}
            for name, part in storages.items()
        }
        storage = ConfigurableClassData(*COMPOSITE_STORAGE, json.dumps(together))
        return {**InstanceRef.config_defaults(str(home)), **storages, "storage": storage}


# Config of a part is YAML, and JSON is YAML.
def _part(module: str, name: str, folder: Path) -> ConfigurableClassData:
    return ConfigurableClassData(module, name, json.dumps({"base_dir": str(folder)}))


def _home(base_dir: str) -> str:
    """Return the folder of the records; where that is an index's, this process and those it starts have its variables."""
    temporary = Path(base_dir).name.startswith(TMP_DAGSTER_HOME_PREFIX)
    if not temporary or os.environ.get("DAGSTER_HOME") or _only_loads_definitions():
        return base_dir
    try:
        environment = _deployment() if deployed_indexes() else _single_index()
    except CodeIndexError as error:
        raise click.ClickException(str(error)) from error
    os.environ.update(environment)
    return environment["DAGSTER_HOME"]


def _only_loads_definitions() -> bool:
    """Tell whether the command that runs is known to run nothing; one that is not known may run something."""
    context = click.get_current_context(silent=True)
    return context is not None and not _LOADING_ONLY.isdisjoint(context.command_path.split())


def _single_index() -> dict[str, str]:
    named = os.environ.get(REPOSITORY_VARIABLE)
    folder = resolve_index_folder()
    folder.create(instance_config())
    _say_where(folder.dagster_home, f"the repository {folder.repository_root}")
    if not named:
        click.echo(f"To index another repository, let {REPOSITORY_VARIABLE} name it.", err=True)
    return folder.environment()


def _deployment() -> dict[str, str]:
    home = create_deployment_home(instance_config())
    _say_where(home, f"the deployment {os.environ[DEPLOYMENT_VARIABLE]}")
    return dagster_environment(home)


def _say_where(home: Path, what: str) -> None:
    # Dagster has perhaps said that its records are in a temporary directory.
    click.echo(
        f"Records of {printable(what)} are kept in {printable(str(home))}, not in a temporary directory.", err=True
    )
