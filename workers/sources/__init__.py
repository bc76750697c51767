"""Where requests come from: files, folders, tables, videos, cameras and an HTTP port, at a rate."""
