"""Jobs, schedules, sensors, and reruns of failed partitions."""
