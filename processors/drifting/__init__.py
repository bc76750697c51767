"""drift: what no longer is as it was."""
