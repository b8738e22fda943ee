"""An index in Dagster's runs and records: names, partitions, plans, materializations, status."""
