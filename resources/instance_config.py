"""The configuration that the Dagster instance of every index uses."""

from importlib.resources import files


def instance_config() -> str:
    """Read the text of `dagster.yaml`, for `IndexFolder.create`."""
    return files("resources").joinpath("dagster.yaml").read_text(encoding="utf-8")
