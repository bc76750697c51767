"""Worker processes as nodes of this machine."""
