"""What Dagster's runs and records say of an index: partitions, plans, materializations, status."""
