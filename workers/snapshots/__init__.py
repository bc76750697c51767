"""Snapshots of processors: kept, shared, migrated, rebuilt."""
