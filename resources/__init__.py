"""Dagster resources: the index, the embedder, the IO manager, and the instance that `dagster.yaml` names."""
