"""Dagster resources: the index, the embedder, the IO manager, and the storages that `dagster.yaml` names."""
