"""The configuration that the Dagster instance of every index uses."""

from importlib.resources import files
from pathlib import Path

from code_index.core.errors import StoreError
from code_index.core.regular_files import read_regular_file


def instance_config() -> str:
    """Read the text of `dagster.yaml`, for `IndexFolder.create`."""
    return files("resources").joinpath("dagster.yaml").read_text(encoding="utf-8")


def require_instance_config(dagster_home: Path) -> None:
    """Refuse an instance with another configuration: Dagster would load whatever it names, or fail without a word.

    Raises:
        StoreError: `dagster.yaml` is not the one that this version of code-index writes.
    """
    path = dagster_home / "dagster.yaml"
    try:
        found = read_regular_file(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}. Delete it, then run `code-index index`.") from error
    if found != instance_config().encode():
        raise StoreError(
            f"{path} was changed, or is of another version of code-index. Run `code-index index`: it writes it again."
        )
