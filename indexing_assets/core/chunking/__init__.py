"""Files into chunks. Public: `chunk_file`."""
