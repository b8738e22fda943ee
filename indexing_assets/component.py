"""Indexes as a component of a Dagster project: what `dg scaffold defs indexing_assets.CodeIndexComponent` writes.

Belongs here: the fields of its YAML, and what they mean for definitions. Does not belong here: what an index of a
deployment is (`code_index.index.deployment`) and which settings there are (`code_index.index.settings`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import dagster as dg
from pydantic import BaseModel, ConfigDict, Field, field_validator

from code_index.index.deployment import DeployedIndex, placed_indexes
from indexing_assets.automation.schedules import MAINTENANCE_CRON, MAINTENANCE_TIMEZONE, ScheduleTimes
from indexing_assets.index_definitions import build_index_defs
from indexing_assets.runs.index_names import EMBEDDER_RESOURCE, INDEX_RESOURCE, IO_MANAGER, IndexNames
from resources.embedder_resource import EmbedderResource
from resources.index_resource import IndexResource
from resources.lancedb_io_manager import LanceDBIOManager


class ComponentIndex(DeployedIndex, dg.Resolvable):
    """An index in the YAML of a component; its fields are those of an index in a deployment file."""


class ScaffoldParams(BaseModel):
    """Parameters of `dg scaffold defs`: the first index of the component."""

    model_config = ConfigDict(extra="forbid")

    repository: str = Field(
        default=".", description="Folder of the repository; a relative one counts from the project's folder."
    )
    name: str = Field(default="", description="Name of the index; empty for that of the component's folder.")
    index_dir: str = Field(default="", description="Folder of the index; empty for .code-index in the repository.")
    watch: bool = Field(default=False, description="Let the sensors run from the start.")


class CodeIndexScaffolder(dg.Scaffolder[ScaffoldParams]):
    """Writes a `defs.yaml` with one index, which works as it is."""

    @classmethod
    def get_scaffold_params(cls) -> type[ScaffoldParams]:
        """The parameters that the command line takes."""
        return ScaffoldParams

    def scaffold(self, request: dg.ScaffoldRequest[ScaffoldParams]) -> None:
        """Write the file.

        Raises:
            SettingsError: the name cannot be that of an index.
        """
        params = request.params
        # A folder may have any name: what it lends to the index has to be one.
        name = params.name or request.target_path.name.lower().replace("-", "_")
        fields = params.model_dump(include={"repository", "index_dir"}, exclude_defaults=True)
        index = {"repository": params.repository, **fields}
        placed_indexes({name: DeployedIndex.model_validate(index)}, request.project_root or Path.cwd())
        # The indexes last, where a person appends further ones.
        dg.scaffold_component(request, {"watch": params.watch, "indexes": {name: index}})


@dg.scaffold_with(CodeIndexScaffolder)
class CodeIndexComponent(dg.Component, dg.Model, dg.Resolvable):
    """Semantic code search over repositories: an index for each, kept fresh by sensors and schedules.

    The assets of an index begin with its name, such as `flask/parsed_chunks`.

    Example:
        >>> from indexing_assets import CodeIndexComponent
        >>> component = CodeIndexComponent(indexes={"flask": {"repository": "checkouts/flask"}}, watch=True)
        >>> component.indexes["flask"].repository, component.schedules
        ('checkouts/flask', False)
    """

    indexes: dict[str, ComponentIndex] = Field(
        min_length=1,
        description="Indexes by name: `repository`, and if wanted `index_dir` and `settings`. Relative paths count from "
        "the project's folder, that of pyproject.toml.",
    )
    watch: bool = Field(default=False, description="Sensors follow the repositories from the start.")
    schedules: bool = Field(
        default=False, description="Maintenance and the retries of transient failures run from the start."
    )
    maintenance_cron: str = Field(default=MAINTENANCE_CRON, description="When maintenance runs.")
    timezone: str = Field(default=MAINTENANCE_TIMEZONE, description="Time zone of maintenance_cron.")

    @field_validator("timezone")
    @classmethod
    def _timezone_exists(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ValueError, OSError, ZoneInfoNotFoundError) as error:
            raise ValueError(f"there is no time zone {name!r}; name one such as Europe/Berlin") from error
        return name

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        """Description and tags, for `dg list components` and the web interface."""
        return dg.ComponentTypeSpec(
            description=(cls.__doc__ or "").partition("\n")[0],
            tags=["code search", "lancedb"],
        )

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The definitions of all indexes of the component; they merge with any others.

        Raises:
            UsageError: an index cannot be where the YAML puts it, or its settings cannot be used.
        """
        indexes = placed_indexes(self.indexes, context.project_root)
        return dg.Definitions.merge(*(self._of_index(name, index) for name, index in indexes.items()))

    def _of_index(self, name: str, index: DeployedIndex) -> dg.Definitions:
        only = {name: index.model_dump()}
        resources: dict[str, Any] = {
            INDEX_RESOURCE: IndexResource(indexes=only),
            EMBEDDER_RESOURCE: EmbedderResource(),
            IO_MANAGER: LanceDBIOManager(indexes=only),
        }
        return build_index_defs(
            IndexNames(name),
            index.folder(),
            resources,
            watch=self.watch,
            schedule_times=ScheduleTimes(
                maintenance_cron=self.maintenance_cron, timezone=self.timezone, running=self.schedules
            ),
            round_of=len(self.indexes),
        )
