"""Jobs, schedules, sensors, and runs of failed partitions again."""
