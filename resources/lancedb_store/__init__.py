"""The tables of an index, free of Dagster. Public: `IndexStore`."""
