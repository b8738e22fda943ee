"""Files of a model: found, checked, described and exported."""
