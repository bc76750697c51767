"""Where requests come from: files, folders and tables, at a steady rate."""
