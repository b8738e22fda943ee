"""Resources whose values stand: what the definitions bind, no config of a run changes.

Whoever launches a run chooses its config. A resource of Dagster's takes each of its fields from there, and so would
another folder be read and written, or another model be loaded, than those of the deployment.
"""

from __future__ import annotations

from typing import Any

import dagster as dg

from resources.dagster_internals import given_values


def bound(resource: Any) -> Any:
    """A resource with the values that it was made with, which refuses config of a run.

    What is no configurable resource is returned as it is; so is one that its maker left open by `configure_at_launch`.
    """
    if not isinstance(resource, dg.ConfigurableResource | dg.ConfigurableIOManagerFactory):
        return resource
    # Environment variables are still names here, and are read when a run begins.
    values = given_values(resource)
    return resource.get_resource_definition().configured(lambda _config: values, config_schema={})
