"""A Dagster project whose indexes are declared in YAML."""
