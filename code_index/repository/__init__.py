"""The files of a repository: found, selected for the index, and compared with the last scan."""
